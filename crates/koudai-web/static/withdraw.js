// What a withdrawal costs, as the server reckons it: no fee is worked out in a page. Without this the page says the rule.
import { look, wait } from "./say.js";

const form = document.getElementById("withdraw");
const { amount } = form?.elements ?? {};
const fees = [...document.querySelectorAll("[data-fee]")];
const cost = form?.querySelector("[data-cost]");
let asked = 0;

function show(speeds) {
  for (const fee of fees) {
    const line = speeds.find(({ speed }) => speed === fee.dataset.fee);
    fee.textContent = line?.fee_text ?? fee.dataset.rule;
  }
  const chosen = form.elements.speed.value;
  const rule = fees.find((fee) => fee.dataset.fee === chosen)?.dataset.rule;
  if (cost) cost.textContent = speeds.find(({ speed }) => speed === chosen)?.fee_figure ?? rule;
}

// The newest question alone is answered, a moment after the last key.
async function ask() {
  const turn = ++asked;
  show([]);
  await wait(200);
  if (turn !== asked || !amount.value || !amount.checkValidity()) return;
  const { body } = await look(`/withdraw?amount=${encodeURIComponent(amount.value)}`).catch(() => ({}));
  if (turn === asked && body?.speeds) show(body.speeds);
}

amount?.addEventListener("input", ask);
form?.addEventListener("change", ({ target }) => { if (target.name === "speed") ask(); });
for (const all of document.querySelectorAll("[data-all]")) {
  all.addEventListener("click", (event) => {
    event.preventDefault();
    amount.value = all.dataset.all;
    form.elements.speed.value = all.dataset.speed;
    ask();
  });
}
if (form) ask();
