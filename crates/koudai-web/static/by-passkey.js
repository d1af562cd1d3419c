// Confirms a payment by a passkey in the place of the payment password. The challenge is made for what the form says at that
// moment and covers nothing else. Whoever paid so the last time on this phone is asked so first; the keys stay where they are.
import { canUse, get } from "./passkey.js";
import { say } from "./say.js";

const LAST = "pays by passkey";
const button = document.querySelector("[data-by-passkey]");
const form = button?.form;
const note = form?.querySelector("[data-pin] [data-note]");
const instead = say("未识别，请用支付密码", "Not recognised, use your payment password");
let busy = false;

// What the server said, in its own words.
class Refused extends Error {}

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
  const fields = new URLSearchParams(new FormData(form));
  // What was begun with the keys is nobody's business here.
  fields.delete("payment_password");
  const reply = await fetch(`${form.getAttribute("action")}/passkey`, {
    method: "POST",
    body: fields,
    headers: { Accept: "application/json" },
    credentials: "same-origin",
    cache: "no-store",
  });
  const body = await reply.json();
  if (reply.ok) return get(body);
  if (body.code === "SIGNED_OUT") location.assign(`/login?next=${location.pathname}`);
  throw new Refused(body.title);
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
  } catch (error) {
    tell(error instanceof Refused ? error.message : instead);
  } finally {
    busy = false;
    button.disabled = false;
  }
}

if (button && (await canUse())) {
  button.hidden = false;
  button.addEventListener("click", confirm);
  form.querySelector("[data-open]").addEventListener("click", () => {
    if (last() && button.closest("[data-sheet]").open) confirm();
  });
}
