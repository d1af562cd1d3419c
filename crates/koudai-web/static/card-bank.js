// Whose card is being typed, as soon as its first digits say so: shows the bank, and asks for expiry and security code if it
// is a credit card. The server sees the first ten digits at most. What a person chose themselves is left as it is.
import { look, say } from "./say.js";

const number = document.getElementById("number");
const line = document.querySelector("[data-bank]");
const kinds = [...document.querySelectorAll('input[name="kind"]')];
let asked = "";
let shown = "";
// Whether the person chose the kind, and what stood there before a bank was known.
let chosen = false;
let before = null;

async function ask(typed) {
  const digits = number.value.replace(/\D/g, "");
  const first = digits.slice(0, 10);
  const query = first.length < 6 || digits.length > 19 ? "" : `digits=${first}&length=${digits.length}`;
  if (query === asked) return;
  asked = query;
  let bank = null;
  if (query) {
    try {
      bank = (await look(`/cards/bank?${query}`)).body?.bank ?? null;
    } catch { /* No network: the page works without. */ }
    // Meanwhile other digits were typed, and they are asked for by themselves.
    if (query !== asked) return;
  }
  show(bank, Boolean(typed));
}

function show(bank, typed) {
  const kind = bank?.kind === "credit" ? say("信用卡", "Credit card") : say("储蓄卡", "Debit card");
  const text = bank ? `${bank.name} · ${kind}` : "";
  if (text === shown) return;
  shown = text;
  line.textContent = text;
  line.hidden = !text;
  // A number that came with the page came with the kind its owner chose.
  if (!typed || chosen) return;
  before ??= kinds.find(({ checked }) => checked).value;
  for (const input of kinds) input.checked = input.value === (bank?.kind ?? before);
}

for (const input of kinds) input.addEventListener("change", () => { chosen = true; });
number.addEventListener("input", ask);
ask();
