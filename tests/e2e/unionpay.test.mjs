// A bank card through UnionPay: its bank is named while the number is typed, it is opened with the code its holder is sent,
// pays a shop and gets the money back; one that is not set up for it says what to do.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  cardOf, env, json, keyIn, launch, luhn, messages, nextCode, payOnPage, payPath, phone, register, secret, shopOrder, shopState, shot, signIn,
  until,
} from "./lib.mjs";

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

/** The UnionPay debit card of a customer: the same people as the sandbox bank's. */
async function unionpayCard(n) {
  const { name, id_number, phone: number } = await cardOf(n);
  const digits = `6216261${String(n).padStart(11, "0")}`;
  return { number: secret(`${digits}${luhn(digits)}`), name, id_number, phone: number };
}

async function fill(page, card) {
  for (const [name, value] of Object.entries(card)) await page.fill(`[name=${name}]`, value);
}

test("a card is opened with its holder's code, pays, and is paid back", async () => {
  const card = await unionpayCard(25);
  const token = await register(card.phone);
  const context = await phone(browser);
  await signIn(context, token);
  const page = await context.newPage();
  await page.goto(`${env.wallet}/cards/new`);
  await page.locator("[name=number]").pressSequentially(card.number.slice(0, 8));
  await page.getByText("平安银行").first().waitFor();
  await shot(page, "bank-named");
  await fill(page, card);
  const seen = (await messages(card.phone)).length;
  await page.locator("#card-new .go").tap();
  await keyIn(page);
  await page.waitForSelector("#card-confirm");
  const message = await until("a message", async () => (await messages(card.phone)).slice(seen).at(-1));
  assert.match(message.text, /沙盒银联/);
  await page.fill("[name=code]", await nextCode(card.phone, seen));
  await shot(page, "code");
  await page.locator("#card-confirm .go").tap();
  await page.waitForURL(/\/cards\/\d{28}/);
  assert.match(await page.locator("main").innerText(), /平安银行/);
  await shot(page, "bound");
  const cardId = /\/cards\/(\d{28})/.exec(page.url())[1];

  const order = await shopOrder("dumplings");
  await page.goto(`${env.wallet}${await payPath(token, order.code_url)}`);
  await payOnPage(page, cardId);
  await page.waitForSelector('[data-state="paid"]');
  await shot(page, "paid");
  await until("the shop is told", async () => (await shopState(order.order_no)).state === "paid");
  await json(`${env.shop}/orders/${order.order_no}/refund`, { body: {} });
  const refunded = async () => {
    const { body } = await json(`${env.wallet}/records`, { token });
    return body.records.find((record) => record.kind === "refund" && record.state === "succeeded");
  };
  await until("the money is back on the card", refunded);
  await page.goto(env.unionpay);
  // All of it went back on the same clearing day, unless one ended just then: the payment was taken back as if it had never been.
  assert.match(await page.locator(".lines").innerText(), /(撤销|退货)[\s\S]*消费/);
  await page.evaluate(() => document.querySelector(".lines").scrollIntoView());
  await shot(page, "network");
  await context.close();
});

test("a card that is not set up for paying without it says what to do", async () => {
  const card = await unionpayCard(37);
  const token = await register(card.phone);
  const context = await phone(browser);
  await signIn(context, token);
  const page = await context.newPage();
  await page.goto(`${env.wallet}/cards/new`);
  await fill(page, card);
  await page.locator("#card-new .go").tap();
  await keyIn(page);
  await page.waitForSelector('[data-refusal="CARD_NOT_OPENED"]');
  await shot(page, "not-opened");
  assert.deepEqual((await json(`${env.wallet}/cards`, { token })).body.cards, []);
  await context.close();
});
