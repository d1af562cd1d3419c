// The payer's code: a fresh one before this one ends and whenever the page comes back to sight, and what a cashier's scan
// came to as soon as it is known. Without scripts the page loads itself again.
import { look, wait } from "./say.js";

let shown = document.querySelector("[data-code]");
let until = Date.now() + Number(shown.dataset.fresh);

async function refresh() {
  // Nobody sees it: the next code can wait.
  if (document.hidden) return;
  try {
    const answer = await fetch("/code", { credentials: "same-origin", cache: "no-store" });
    // Somebody is asked, signed out or has switched codes off: the whole page is another one.
    if (answer.redirected || !answer.ok) return location.replace(answer.url || "/code");
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector("[data-code]");
    if (!fresh) return location.replace("/code");
    // What became of the last one stays news until it is shown.
    fresh.dataset.news = shown.dataset.news;
    shown.replaceWith(document.adoptNode(fresh));
    shown = fresh;
    until = Date.now() + Number(shown.dataset.fresh);
  } catch { /* No network: the bar says so; try again soon. */
    until = Date.now() + 3000;
  }
}

document.addEventListener("visibilitychange", () => { if (Date.now() >= until) refresh(); });

for (;;) {
  await wait(1500);
  if (document.hidden) continue;
  if (Date.now() >= until) await refresh();
  try {
    const { status, body } = await look(shown.dataset.news);
    if (status === 401) location.replace("/login?next=/code");
    if (body?.state === "news") {
      location.replace(body.go);
      break;
    }
  } catch { /* No answer: look again. */ }
}
