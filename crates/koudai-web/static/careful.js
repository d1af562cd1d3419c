// Sends a payment, a top-up or a withdrawal over a network that may fail at any moment, and always says truthfully whether it went
// out. The server knows one payment by its number, so looking again and sending again never charge twice; all state is
// there, so a reload at any moment shows where it stands. The payment password is never kept for a second try.
import { look, say, wait, waitOrOnline, within } from "./say.js";

const form = document.querySelector("form[data-careful]");
const state = form?.dataset.careful;
const pin = form?.querySelector("[data-pin]");
const sheet = form?.querySelector("[data-sheet]");
const slow = document.querySelector('[data-net="slow"]');
let sending = false;
// Whether a try has left this phone without a certain answer: it may yet arrive.
let astray = false;

// What is said of each: while its answer is awaited, without a network, and when it has not arrived.
const WORDS = {
  "top-up": [
    say("正在确认充值结果，请勿重复充值", "Checking the result, do not top up again"),
    say("网络不可用，充值未提交，未扣款", "No network. Not sent, not charged"),
    say("还没有收到这次充值，未扣款", "This top‑up has not arrived and you have not been charged"),
  ],
  withdraw: [
    say("正在确认提现结果，请勿重复提现", "Checking the result, do not withdraw again"),
    say("网络不可用，提现未提交，零钱未变动", "No network. Not sent, your balance is as it was"),
    say("还没有收到这次提现，零钱未变动", "This withdrawal has not arrived, your balance is as it was"),
  ],
  pay: [
    say("正在确认支付结果，请勿重复付款", "Checking the result, do not pay again"),
    say("网络不可用，付款未提交，未扣款", "No network. Not sent, not charged"),
    say("还没有收到这次付款，未扣款", "This payment has not arrived and you have not been charged"),
  ],
};
// A payment's order is there before it is paid; a top-up or withdrawal that was never sent has no state to look at yet.
const isNew = ["top-up", "withdraw"].includes(form?.id);
const [checking, noNetwork, notArrived] = WORDS[form?.id] ?? WORDS.pay;

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (sending) return;
  sending = true;
  const fields = new URLSearchParams(new FormData(form));
  for (const input of pin.querySelectorAll("input")) input.value = "";
  if (form.elements.passkey) form.elements.passkey.value = "";
  note(say("正在提交…", "Sending…"));
  const slowly = setTimeout(() => note(say("网络较慢，请稍候", "Slow network, please wait")), 8000);
  try {
    await send(fields);
  } finally {
    clearTimeout(slowly);
    fields.delete("payment_password");
    sending = false;
  }
});

async function send(fields) {
  // Before sending: is anybody there? If not, nothing has left this phone, and we can say so.
  try {
    if (!navigator.onLine) throw new TypeError("offline");
    const { body } = await look(isNew && !astray ? "/status" : state);
    // An answer that is not ours comes from something in between, such as a café's sign-in page.
    if (!body) throw new TypeError("not ours");
    if (isSettled(body)) return location.replace(state);
  } catch {
    if (astray) return check();
    return refuse({
      title: noNetwork,
      code: "NO_NETWORK",
      next: say("网络恢复后再试一次", "Try again when the network is back"),
    });
  }

  let answer, body;
  const earlier = astray;
  astray = true;
  try {
    const going = fetch(form.action, {
      method: "POST",
      body: fields,
      headers: { Accept: "application/json" },
      credentials: "same-origin",
      cache: "no-store",
      signal: within(20_000),
    });
    // It is on its way; nothing here needs the password any more.
    fields.delete("payment_password");
    answer = await going;
    body = await answer.json();
  } catch {
    // Sent, perhaps; no answer, or one that was cut off, or one that is not ours.
    return check();
  }
  if (answer.ok) return location.replace(state);
  if (body?.code === "SIGNED_OUT") return location.replace(`/login?next=${encodeURIComponent(location.pathname)}`);
  if (!body?.code) return check();
  // This try is answered; an earlier one may still be out there.
  astray = earlier;
  // Somebody's payment of this order is on record: its page says how it stands.
  if (["ORDER_ALREADY_PAID", "ORDER_BEING_PAID", "ORDER_CLOSED", "ORDER_EXPIRED", "ORDER_REVERSED"].includes(body.code)) return location.replace(state);
  return refuse(body);
}

// The answer is not known: say so, and ask until it is.
async function check() {
  if (sheet?.open) sheet.close();
  const main = document.querySelector("main");
  const page = [...main.childNodes];
  main.replaceChildren(document.getElementById("checking").content.cloneNode(true));
  // Whom and how much, as the sheet had it.
  const sum = sheet?.querySelector(".sheet-sum");
  if (sum) main.querySelector("[data-sum]").append(...sum.cloneNode(true).childNodes);
  const title = main.querySelector("[data-say]");
  const then = main.querySelector("[data-then]");
  const choices = main.querySelector("[data-choices]");
  const unknown = () => {
    title.textContent = checking;
    then.textContent = say("结果会自动显示，不会重复扣款", "It will show by itself. You will not be charged twice");
    choices.hidden = true;
  };
  unknown();
  const again = new Promise((chosen) => {
    main.querySelector("[data-again]").addEventListener("click", () => chosen());
  });

  const began = Date.now();
  for (let turn = 1; ; turn += 1) {
    if (await Promise.race([again.then(() => true), waitOrOnline(Math.min(turn, 5) * 1000)])) break;
    try {
      const seen = await Promise.race([again.then(() => null), look(state)]);
      if (!seen) break;
      const { status, body } = seen;
      if (isSettled(body) || status === 401) return location.replace(state);
      if (status === 404 || body?.state === "payable") {
        // It may still be on its way, so we go on looking while the person decides.
        title.textContent = notArrived;
        then.textContent = say("可以再试，不会重复扣款", "You can retry; you will never be charged twice");
        choices.hidden = false;
        continue;
      }
    } catch {
      // No network: what was true at the last look need not be true any more.
      unknown();
    }
    if (Date.now() - began > 60_000 && choices.hidden) {
      then.textContent = say("结果稍后通知，订单已锁定防止重复扣款", "We will notify you; order locked against double charge");
    }
  }
  main.replaceChildren(...page);
  done();
}

// Whether the server has this payment: anything it can be but waiting for one.
const isSettled = (body) => Boolean(body?.state) && body.state !== "payable";

function refuse(refusal) {
  done();
  const block = document.createElement("div");
  block.className = "refused";
  block.setAttribute("role", "alert");
  block.dataset.state = "refused";
  block.dataset.refusal = refusal.code;
  const text = document.createElement("div");
  const line = (tag, words, name) => {
    if (!words) return;
    const element = document.createElement(tag);
    element.textContent = words;
    if (name) element.className = name;
    text.append(element);
  };
  const stop = say("。", ". ");
  line("b", refusal.title);
  line("p", [refusal.money, refusal.next].filter(Boolean).join(stop) + stop.trim());
  if (refusal.way_out) {
    const link = Object.assign(document.createElement("a"), { href: refusal.way_out.path, textContent: refusal.way_out.label });
    text.append(document.createElement("p"));
    text.lastChild.append(link);
  }
  if (refusal.reference) line("p", `${say("参考号", "Ref.")} ${refusal.reference}`, "ref");
  block.append(text);

  // What can pay may have changed: the page shows what holds now.
  if (refusal.code === "INSUFFICIENT_BALANCE") look(state).then(({ body }) => grey(body?.methods ?? [])).catch(() => {});
  // A card that was refused is not tried again unless it is chosen again.
  if (["CARD_INSUFFICIENT_FUNDS", "CARD_NOT_USABLE", "CARD_UNKNOWN", "BANK_REFUSED"].includes(refusal.code)) chooseAnother();

  // A wrong password is told where it was typed and may be tried at once; anything else is told on the page.
  document.querySelector(".refused")?.remove();
  if (refusal.code.match(/^PAYMENT_PASSWORD_WRONG$|^PASSKEY_/) && sheet?.open) {
    pin.prepend(block);
  } else {
    if (sheet?.open) sheet.close();
    document.querySelector("main").prepend(block);
    wait(50).then(() => block.scrollIntoView({ block: "center" }));
  }
}

const methods = () => [...form.elements].filter((field) => field.name === "method");

function grey(known) {
  for (const { method, usable, why } of known) {
    const input = methods().find(({ value }) => value === method);
    if (!input) continue;
    input.disabled = !usable;
    input.closest(".cell").classList.toggle("off", !usable);
    const [text] = input.labels[0].getElementsByClassName("text");
    text.querySelector("b + span")?.remove();
    if (why) text.append(Object.assign(document.createElement("span"), { textContent: why }));
    if (!usable && input.checked) chooseAnother();
  }
}

function chooseAnother() {
  const chosen = methods().find(({ checked }) => checked);
  if (!chosen) return;
  chosen.checked = false;
  const other = methods().find((input) => input !== chosen && !input.disabled);
  if (other) other.checked = true;
}

function note(text) {
  const line = pin.querySelector("[data-note]");
  line.textContent = text;
}

function done() {
  note("");
  slow.hidden = true;
  pin.dispatchEvent(new Event("koudai:clear"));
}
