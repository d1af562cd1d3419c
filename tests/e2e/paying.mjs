// Paying as the tests of trouble do it: up to the last key, and counted afterwards.
import assert from "node:assert/strict";
import {
  PIN, balance, bankCard, env, luhn, payOnPage, payPath, payments, phone, shopOrder, shopState, signIn, until,
} from "./lib.mjs";

/** A person with a phone in hand. */
export async function holding(browser, who, options) {
  const context = await phone(browser, options);
  await signIn(context, who.token);
  return { ...who, context, page: await context.newPage() };
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
