// The main job: a person registers, binds a card, tops up, pays a shop by the picture of its code, and is refunded.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  PIN, balance, bind, cardOf, env, freshNumber, json, keyIn, launch, messages, nextCode, payOnPage, payPath, phone, register,
  secret, shopOrder, shopState, shot, signIn, topUp, until,
} from "./lib.mjs";

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

const minor = async (page, where) => Number(await page.locator(`${where} [data-minor]`).first().getAttribute("data-minor"));

test("a person registers, pays by balance and by card from a picture of the code, and is refunded", async () => {
  const context = await phone(browser);
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => { if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) problems.push(message.text()); });
  const card = await cardOf(3);

  // Register.
  await page.goto(env.wallet);
  await page.waitForURL(/\/login/);
  await shot(page, "login");
  let seen = (await messages(card.phone)).length;
  await page.fill("[name=phone]", card.phone);
  await page.locator("#login-code .go").tap();
  await page.fill("[name=code]", await nextCode(card.phone, seen));
  await shot(page, "login-code");
  await page.locator("#agree").check();
  await page.locator("#login .go").tap();

  // The payment password, twice on our own keys; a run is refused.
  await page.waitForURL(/payment-password/);
  await keyIn(page, "123456");
  await keyIn(page, "123456");
  await page.waitForSelector('[data-refusal="PAYMENT_PASSWORD_WEAK"]');
  secret(PIN);
  await keyIn(page);
  await shot(page, "payment-password");
  await keyIn(page);
  await page.waitForURL(`${env.wallet}/`);
  await shot(page, "home-empty");

  // Bind a card.
  await page.goto(`${env.wallet}/cards/new`);
  for (const [name, value] of Object.entries(card)) await page.fill(`[name=${name}]`, value);
  secret(card.number);
  await shot(page, "card-new");
  seen = (await messages(card.phone)).length;
  await page.locator("#card-new .go").tap();
  await page.waitForSelector("#card-confirm");
  await page.fill("[name=code]", await nextCode(card.phone, seen));
  await shot(page, "card-code");
  await page.locator("#card-confirm .go").tap();
  await page.waitForURL(/\/cards\/\d{28}/);
  await shot(page, "card-bound");
  const cardId = /\/cards\/(\d{28})/.exec(page.url())[1];

  // Top up.
  await page.goto(`${env.wallet}/top-up`);
  await page.fill("[name=amount]", "100.00");
  await shot(page, "top-up");
  await page.locator("[data-open]").tap();
  await shot(page, "top-up-sheet");
  await keyIn(page);
  await page.waitForSelector('[data-state="succeeded"]');
  await shot(page, "top-up-done");

  // Pay by balance: the shop's picture of its code, uploaded.
  const scanPicture = async (order) => {
    const picture = Buffer.from(await (await fetch(`${env.shop}/orders/${order.order_no}/code.png`)).arrayBuffer());
    await page.goto(`${env.wallet}/scan`);
    // A chosen picture is sent by itself.
    const read = page.waitForURL(/\/pay\//);
    await page.setInputFiles("[name=picture]", { name: "code.png", mimeType: "image/png", buffer: picture });
    await read;
  };
  await page.goto(`${env.wallet}/scan`);
  await shot(page, "scan");
  const first = await shopOrder("dumplings");
  await scanPicture(first);
  assert.equal(await minor(page, ".payee"), first.amount.minor);
  await shot(page, "pay");
  await page.locator('label[for="method-balance"]').tap();
  await page.locator("[data-open]").tap();
  await page.waitForTimeout(300);
  await shot(page, "pay-sheet");
  await keyIn(page);
  await page.waitForSelector('[data-state="paid"]');
  await shot(page, "paid");
  await until("the shop is told", async () => (await shopState(first.order_no)).state === "paid");

  // Pay by card.
  const second = await shopOrder("noodles");
  await scanPicture(second);
  await payOnPage(page, cardId);
  await page.waitForSelector('[data-state="paid"]');
  await until("the shop is told", async () => (await shopState(second.order_no)).state === "paid");

  // Both stand in the records, each with its page.
  await page.goto(`${env.wallet}/records`);
  await shot(page, "records");
  const lines = await page.locator('a[href^="/records/4200"]').evaluateAll((links) => links.map((a) => a.getAttribute("href")));
  assert.equal(new Set(lines).size, 2);
  for (const line of lines) {
    await page.goto(`${env.wallet}${line}`);
    const text = await page.locator("main").innerText();
    assert.ok([first.order_no, second.order_no].some((no) => text.includes(no)), text);
  }
  await shot(page, "record");

  // The shop refunds both: one wholly, one in part.
  const shop = await context.newPage();
  await shop.goto(`${env.shop}/orders/${first.order_no}`);
  await shot(shop, "shop-order-paid");
  await shop.locator("[data-refund=all], #refund button").first().tap();
  await until("the first is refunded", async () => (await shopState(first.order_no)).state === "refunded");
  await json(`${env.shop}/orders/${second.order_no}/refund`, { body: { amount: "1.23" } });
  await until("the second is refunded in part", async () => (await shopState(second.order_no)).refunded.minor === 123);
  await shop.waitForSelector('[data-state="refunded"]');
  await shot(shop, "shop-order-refunded");

  await page.goto(env.wallet);
  assert.equal(await minor(page, "main"), 10_000, "everything paid from the balance came back");
  await shot(page, "home");
  await page.goto(`${env.wallet}/records`);
  assert.equal(await page.locator('a[href^="/records/5030"]').count(), 2, "both refunds stand in the records");
  await shot(page, "records-refunded");
  await page.goto(`${env.wallet}${await page.locator('a[href^="/records/5030"]').first().getAttribute("href")}`);
  await shot(page, "record-refund");

  // The other pages, then everything again in the dark and in English.
  for (const [name, path] of [["cards", "/cards"], ["card", `/cards/${cardId}`], ["status", "/status"], ["terms", "/terms"]]) {
    await page.goto(`${env.wallet}${path}`);
    await shot(page, name);
  }
  for (const [name, options] of [["dark", { colorScheme: "dark" }], ["english", { locale: "en-US" }]]) {
    const other = await phone(browser, options);
    await other.addCookies(await context.cookies());
    const pages = await other.newPage();
    const third = await shopOrder("tea");
    const token = (await context.cookies()).find((cookie) => cookie.name === "koudai_wallet").value;
    const pay = await payPath(token, third.code_url);
    for (const path of ["/", "/cards/new", "/top-up", "/scan", pay, "/records", `${lines[0]}`, "/cards", "/status"]) {
      await pages.goto(`${env.wallet}${path}`);
      await shot(pages, `${name}-${path.split("/")[1] || "home"}`);
    }
    await pages.goto(env.shop);
    await shot(pages, `${name}-shop`);
    await pages.goto(env.inbox);
    await shot(pages, `${name}-inbox`);
    await pages.goto(env.bank);
    await shot(pages, `${name}-bank`);
    await other.close();
  }
  assert.deepEqual(problems, [], "no script failed and nothing was blocked");
  await context.close();
});

test("without JavaScript a person registers, sets a password and pays by plain forms", async () => {
  const context = await phone(browser, { javaScriptEnabled: false });
  const page = await context.newPage();
  const number = freshNumber();
  await page.goto(`${env.wallet}/login`);
  await page.fill("[name=phone]", number);
  await page.click("#login-code .go");
  await page.fill("[name=code]", await nextCode(number, 0));
  await page.check("#agree");
  await page.click("#login .go");
  await page.fill("[name=payment_password]", PIN);
  await page.fill("[name=payment_password_again]", PIN);
  await page.click("#payment-password .go");
  await page.waitForURL(`${env.wallet}/`);

  // Somebody with a balance pays.
  const card = await cardOf(4);
  const token = await register(card.phone);
  secret(token);
  await signIn(context, token);
  await topUp(token, await bind(token, card), "20.00");
  const order = await shopOrder("dumplings");
  await page.goto(`${env.wallet}/scan`);
  await page.fill("#scan [name=text]", order.code_url);
  await page.press("#scan [name=text]", "Enter");
  await page.waitForURL(/\/pay\//);
  await page.check("#method-balance");
  await page.fill("[name=payment_password]", PIN);
  await page.press("#pay [name=payment_password]", "Enter");
  await page.waitForSelector('[data-state="paid"]');
  assert.equal(await balance(token), 2_000 - order.amount.minor);
  await context.close();
});
