// The page's language for the few sentences only scripts say, and small things every script needs.
const english = document.documentElement.lang === "en";

export const say = (zh, en) => (english ? en : zh);

export const wait = (ms) => new Promise((done) => setTimeout(done, ms));

// Ends a request after `ms`; browsers that cannot (before 2022) wait as long as the network does.
export const within = (ms) => AbortSignal.timeout?.(ms);

// The present state of what a page shows, as JSON: {status, body}. Rejects when no answer came within `ms`.
export async function look(path, ms = 8000) {
  const answer = await fetch(path, {
    headers: { Accept: "application/json" },
    cache: "no-store",
    credentials: "same-origin",
    signal: within(ms),
  });
  const body = await answer.json().catch(() => null);
  return { status: answer.status, body };
}

// Until `ms` have passed or the network is back, whichever is first.
export const waitOrOnline = (ms) =>
  new Promise((done) => {
    const timer = setTimeout(end, ms);
    function end() {
      clearTimeout(timer);
      removeEventListener("online", end);
      done();
    }
    addEventListener("online", end);
  });
