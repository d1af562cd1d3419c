// Somebody whose balance is short pays the rest by a card, in one payment; what is refunded goes to the card first.
import assert from "node:assert/strict";
import { env, json, payOnPage, payPath, person, shopOrder, shopState, shot, until } from "./lib.mjs";
import { stage } from "./paying.mjs";

const { on } = stage();
const BALANCE = 3_000;

on("what the balance lacks the card pays, and gets back first", () => person(17, "30.00"), async (who) => {
  const { page, token, cardId } = who;
  const order = await shopOrder("cake");
  await page.goto(env.wallet + (await payPath(token, order.code_url)));
  const both = `both:${BALANCE}:${cardId}`;
  await page.locator(`input[id="method-${both}"]`).waitFor({ state: "attached" });
  await shot(page, "methods");
  await payOnPage(page, both);
  await page.waitForSelector('[data-state="paid"]');
  await shot(page, "paid");
  await until("the shop is told", async () => (await shopState(order.order_no)).state === "paid");
  const balance = async () => (await json(`${env.wallet}/`, { token })).body.balance.minor;
  assert.equal(await balance(), 0);

  const record = async (kind) => {
    const { body } = await json(`${env.wallet}/records`, { token });
    return body.records.find((found) => found.kind === kind);
  };
  const look = async (kind, name, ...parts) => {
    await page.goto(`${env.wallet}/records/${(await record(kind)).id}`);
    const text = await page.locator("main").innerText();
    for (const part of parts) assert.match(text, part);
    await shot(page, name);
  };
  await look("payment", "record", /零钱部分\s*¥30\.00/, /银行卡部分\s*¥58\.00/);

  await json(`${env.shop}/orders/${order.order_no}/refund`, { body: {} });
  await until("all of it is back", async () => (await record("refund"))?.state === "succeeded");
  assert.equal(await balance(), BALANCE);
  await look("refund", "refund", /零钱部分\s*¥30\.00/, /银行卡部分\s*¥58\.00/);
});
