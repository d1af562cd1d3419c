// Forms that send what a passkey answers. They stay hidden where this phone can keep none.
import { canUse, create, get } from "./passkey.js";
import { say } from "./say.js";

const ways = { get, create };

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!(await canUse())) continue;
  form.hidden = false;
  const { answer } = form.elements;
  const note = form.querySelector("[data-note]");
  const button = form.querySelector("button");
  const busy = (now) => {
    button.disabled = now;
    button.toggleAttribute("aria-busy", now);
  };

  form.addEventListener("submit", async (event) => {
    // With its answer it goes the way of every form.
    if (answer.value) return;
    event.preventDefault();
    note.textContent = "";
    busy(true);
    try {
      const reply = await fetch(form.dataset.options, { headers: { Accept: "application/json" } });
      if (reply.status === 401) return location.assign(`/login?next=${location.pathname}`);
      if (reply.status === 403) return location.assign(`/security/proof?next=${location.pathname}`);
      if (!reply.ok) throw new Error(`${reply.status}`);
      const posted = await ways[form.dataset.passkey](await reply.json());
      busy(false);
      if (!posted) return; // Its owner thought better of it.
      answer.value = JSON.stringify(posted);
      form.requestSubmit();
    } catch (error) {
      busy(false);
      note.textContent = error.name === "InvalidStateError"
        ? say("这台设备已经添加过了", "This device has one already")
        : say("没有成功，请重试或换一种方式", "That did not work. Try again, or another way");
    }
  });
}
