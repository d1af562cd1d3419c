// Confirms a payment by a passkey in the place of the payment password. The challenge is made for what the form says at that
// moment and covers nothing else. Whoever paid so the last time on this phone is asked so first; the keys stay where they are.
import { canUse, get } from "./passkey.js";
import { say } from "./say.js";

const LAST = "pays by passkey";
const button = document.querySelector("[data-by-passkey]");
const { form } = button;
const note = form.querySelector("[data-pin] [data-note]");
const instead = say("未识别，请用支付密码", "Not recognised, use your payment password");
let busy = false;

function last(set) {
  try {
    if (set !== undefined) localStorage.setItem(LAST, set);
    return localStorage.getItem(LAST) === "yes";
  } catch { /* Storage is off: it takes a press. */ return false; }
}

function tell(text, bad = true) {
  note.textContent = text;
  note.classList.toggle("bad", bad && text !== "");
}

// What the form says now, confirmed: what to post of it, or null if its owner thought better of it.
async function answered() {
  const reply = await fetch(`${form.getAttribute("action")}/passkey`, {
    method: "POST",
    body: new URLSearchParams(new FormData(form)),
    headers: { Accept: "application/json" },
    credentials: "same-origin",
    cache: "no-store",
  });
  const body = await reply.json();
  if (reply.ok) return get(body);
  if (body.code === "SIGNED_OUT") location.assign(`/login?next=${location.pathname}`);
  throw new Error(body.code);
}

async function confirm() {
  if (busy) return;
  busy = true;
  button.disabled = true;
  tell("");
  try {
    const posted = await answered();
    last(posted ? "yes" : "no");
    if (!posted) return tell(say("请输入支付密码", "Enter your payment password"), false);
    form.elements.passkey.value = JSON.stringify(posted);
    form.requestSubmit();
  } catch {
    tell(instead);
  } finally {
    busy = false;
    button.disabled = false;
  }
}

if (await canUse()) {
  button.hidden = false;
  button.addEventListener("click", confirm);
  form.querySelector("[data-open]").addEventListener("click", () => {
    if (last() && button.closest("[data-sheet]").open) confirm();
  });
}
