// What every page has: the network bars, buttons that cannot be pressed twice, countdowns, the eye, and results that
// look again by themselves. Pages work without any of it.
import { look, waitOrOnline } from "./say.js";

const root = document.documentElement;
root.classList.add("js");

// Network bars.
const offline = document.querySelector('[data-net="offline"]');
const slow = document.querySelector('[data-net="slow"]');
const showOffline = () => { offline.hidden = navigator.onLine; };
addEventListener("online", showOffline);
addEventListener("offline", showOffline);
showOffline();

let slowTimer;
function leaving() {
  clearTimeout(slowTimer);
  slowTimer = setTimeout(() => { slow.hidden = false; }, 8000);
}
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (link && !event.defaultPrevented && !link.hash && !event.metaKey && !event.ctrlKey) leaving();
});

// A form is sent once; its button shows progress until the next page is here.
document.addEventListener("submit", (event) => {
  const form = event.target;
  // A form with a script of its own (careful.js) has taken the event and keeps its own order.
  if (event.defaultPrevented) return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "yes";
  (event.submitter ?? form.querySelector(".go"))?.setAttribute("aria-busy", "true");
  leaving();
});
// A page that comes back from the browser's memory is a fresh one.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

// "Resend in 60 s".
for (const button of document.querySelectorAll("[data-countdown]")) {
  const label = button.textContent;
  const until = Date.now() + Number(button.dataset.countdown) * 1000;
  const tick = () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    button.disabled = left > 0;
    button.textContent = left > 0 ? button.dataset.counting.replace("%s", left) : label;
    if (left > 0) setTimeout(tick, 1000);
  };
  tick();
}

document.querySelector("[data-print]")?.addEventListener("click", () => print());

// The eye that hides the balance; remembered on this device.
const eye = document.querySelector("[data-eye]");
if (eye) {
  const show = (veiled) => {
    eye.setAttribute("aria-pressed", veiled);
    const [open, shut] = eye.children;
    open.hidden = veiled;
    shut.hidden = !veiled;
    for (const seen of document.querySelectorAll("[data-seen]")) seen.hidden = veiled;
    for (const veil of document.querySelectorAll("[data-veiled]")) veil.hidden = !veiled;
  };
  let veiled = false;
  try { veiled = localStorage.getItem("veiled") === "yes"; } catch { /* Storage is off: start open. */ }
  show(veiled);
  eye.addEventListener("click", () => {
    veiled = !veiled;
    show(veiled);
    try { localStorage.setItem("veiled", veiled ? "yes" : "no"); } catch { /* As above. */ }
  });
}

// A card number in fours, and the stroke in an expiry date, as typed.
document.querySelector("[data-fours]")?.addEventListener("input", ({ target, inputType }) => {
  if (target.selectionStart !== target.value.length || inputType?.startsWith("delete")) return;
  target.value = target.value.replace(/\D/g, "").replace(/(\d{4})(?=\d)/g, "$1 ");
});
document.querySelector("[data-expiry]")?.addEventListener("input", ({ target, inputType }) => {
  if (/^\d\d$/.test(target.value) && !inputType?.startsWith("delete")) target.value += "/";
});

// A result that is not known yet looks again until it is: 1 s, 2 s, … and never more often than every 5 s after that.
const pending = document.querySelector("[data-poll]");
if (pending) {
  const then = pending.querySelector("[data-then]");
  const began = Date.now();
  for (let turn = 1; ; turn += 1) {
    await waitOrOnline(Math.min(turn, 5) * 1000);
    if (document.hidden) continue;
    try {
      const { status, body } = await look(pending.dataset.poll);
      if (status === 401 || (status === 200 && body && body.state !== pending.dataset.while)) {
        location.replace(pending.dataset.poll);
        break;
      }
    } catch { /* No answer: look again. */ }
    if (then && Date.now() - began > 60_000) {
      then.textContent = root.lang === "en"
        ? "We will notify you; order locked against double charge"
        : "结果稍后通知，订单已锁定防止重复扣款";
    }
  }
}
