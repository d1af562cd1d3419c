// What the tests of trouble share: paying up to the last key, counting afterwards, and reading refusals.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  PIN, balance, bankCard, env, json, launch, luhn, payOnPage, payPath, payments, phone, shopOrder, shopState, signIn, until,
} from "./lib.mjs";

/** A browser for a file's tests; `on(name, whom, run)` is a test that gives `run` a person with a phone in hand. */
export function stage() {
  const stage = {};
  before(async () => { stage.browser = await launch(); });
  after(() => stage.browser.close());
  stage.on = (name, whom, run) => test(name, async () => {
    const context = await phone(stage.browser);
    try {
      const who = await whom();
      await signIn(context, who.token);
      await run({ ...who, context, page: await context.newPage() });
    } finally {
      await context.close();
    }
  });
  return stage;
}

/** Places an order at the shop and opens its payment page. */
export async function atOrder({ page, token }, goods = "dumplings") {
  const order = await shopOrder(goods);
  const path = await payPath(token, order.code_url);
  await page.goto(env.wallet + path);
  return { ...order, path, price: order.amount.minor };
}

/** Everything of paying but the last key, which it gives. */
export async function almostPay(page, method) {
  await payOnPage(page, method, PIN.slice(0, -1));
  return page.locator(`[data-key="${PIN.at(-1)}"]:visible`).first();
}

/** Whether a page sends something. */
export const isPost = (request) => request.method() === "POST";

/** Makes sure that `act` charges the person's balance, or the funds `left` counts, once, and that the shop is told. */
export async function paysOnce(who, order, act, left = () => balance(who.token)) {
  const had = { money: await left(), payments: (await payments(who.token)).length };
  await act();
  await until("the shop is told", async () => (await shopState(order.order_no)).state === "paid");
  assert.equal(await left(), had.money - order.price, "charged once");
  assert.equal((await payments(who.token)).length, had.payments + 1, "one payment in the records");
}

/** Cards 1, 3 to 6 (customer 1), 7 and 8 (customer 2) of the sandbox bank, as its page describes them. */
export function testCard(no) {
  const digits = `629999${String(no).padStart(12, "0")}`;
  const holder = no < 7
    ? { name: "李明", id_number: "110199199001010010", phone: "13900000001" }
    : { name: "王芳", id_number: "110199199001010029", phone: "13900000002" };
  return { number: `${digits}${luhn(digits)}`, ...holder };
}

/** What the bank says a card still has, in fen. */
export async function bankFunds({ number }) {
  const [, yuan, fen] = /余额 ¥([\d,]+)\.(\d\d)/.exec(await bankCard(number));
  return Number(yuan.replaceAll(",", "")) * 100 + Number(fen);
}

/** Sends something as somebody, as a program would. */
export const post = ({ token }, path, body) => json(env.wallet + path, { token, body });

/** A refusal as a program gets it. */
export function refused({ status, body }, code) {
  assert.ok(status >= 400 && status < 500, `status ${status}`);
  assert.deepEqual([body.code, body.money_moved], [code, "no"]);
  for (const part of ["title", "money", "next", "reference"]) assert.ok(body[part], part);
  return body;
}

/** The same refusal as a person reads it on the page; `title` where the two differ by what came before. */
export async function shows(page, refusal, title = refusal.title) {
  const block = page.locator(`[data-refusal="${refusal.code}"]:visible`);
  await block.waitFor();
  const text = await block.innerText();
  for (const part of [title, refusal.money, refusal.next]) assert.ok(text.includes(part), `${part} in ${text}`);
  assert.match(text, /参考号\s*\S{8,}/);
}

/** Runs `act` and makes sure that it moved no money of the person's. */
export async function unharmed({ token }, act) {
  const now = async () => [await balance(token), (await payments(token)).length].join();
  const had = await now();
  await act();
  // A bank that is slow to refuse leaves a payment under way for a moment; one that charged would never be as before.
  await until("no money moved", async () => (await now()) === had);
}
