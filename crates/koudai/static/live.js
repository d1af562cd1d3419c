// Keeps a page's live part as the server has it, and copies codes. Without it the pages work by reloading.
document.documentElement.classList.add("js");

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = button.dataset.copied;
  } catch {
    // The code stands beside the button and can be selected by hand.
  }
});

// The part is fetched with the page it belongs to and swapped only where it has changed, so that nothing flickers and
// what is being typed or selected stays.
const live = document.querySelector("[data-live]");
if (live) {
  let shown = live.innerHTML;
  let timer = 0;
  const look = async () => {
    clearTimeout(timer);
    let wait = 3000;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("[data-live]");
      if (answer.ok && fresh) {
        wait = Number(fresh.dataset.live);
        if (fresh.innerHTML !== shown) {
          shown = fresh.innerHTML;
          live.innerHTML = shown;
        }
      }
    } catch {
      // No network: look again later.
    }
    clearTimeout(timer);
    timer = setTimeout(look, document.hidden ? wait * 5 : wait);
  };
  timer = setTimeout(look, Number(live.dataset.live));
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) look();
  });
}
