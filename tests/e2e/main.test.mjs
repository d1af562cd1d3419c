// The main job: a person registers, binds a card, tops up, pays a shop by the picture of its code, and is refunded.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  PIN, balance, bind, cardOf, env, json, keyIn, launch, messages, nextCode, payOnPage, payPath, phone, secret, sessionOf, shopOrder,
  shopState, shot, topUp, until,
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
  page.on("console", (message) => { if (message.type() === "error") problems.push(`${message.text()} ${message.location().url}`); });
  const card = await cardOf(3);

  // Register.
  await page.goto(env.wallet);
  await page.waitForURL(/\/login/);
  await shot(page, "login");
  let seen = (await messages(card.phone)).length;
  await page.fill("[name=phone]", card.phone);
  await page.locator("#login-code .go").tap();
  await page.waitForURL(/\/login\/code/);
  const code = await nextCode(card.phone, seen);
  // The page of the code can be left and come back to without asking for another.
  await page.goBack();
  await page.goForward();
  await page.reload();
  assert.equal((await messages(card.phone)).length, seen + 1);
  await page.fill("[name=code]", code);
  await shot(page, "login-code");
  await page.locator("#agree").check();
  await page.locator("#login .go").tap();

  // The payment password, twice on our own keys; a run is refused at once, and so are two that differ.
  await page.waitForURL(/payment-password/);
  const token = await sessionOf(context);
  for (const weak of ["123456", "999999", "656565", card.phone.slice(-6)]) {
    await keyIn(page, weak);
    assert.match(await page.locator(".pin-note.bad").innerText(), /不能使用.*请换一个/);
    assert.equal(await page.locator(".dots .on").count(), 0);
  }
  await shot(page, "payment-password-weak");
  secret(PIN);
  await keyIn(page);
  assert.equal(await page.locator(".pin-note").innerText(), "");
  await keyIn(page, "738215");
  assert.match(await page.locator(".pin-note.bad").innerText(), /不一致/);
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
  await keyIn(page);
  await page.waitForSelector("#card-confirm");
  await page.fill("[name=code]", await nextCode(card.phone, seen));
  await shot(page, "card-code");
  await page.locator("#card-confirm .go").tap();
  await page.waitForURL(/\/cards\/\d{28}/);
  await shot(page, "card-bound");
  const cardId = /\/cards\/(\d{28})/.exec(page.url())[1];

  // Top up.
  await page.goto(`${env.wallet}/top-up`);
  await page.fill("[name=amount]", "100");
  await shot(page, "top-up");
  await page.locator("[data-open]").tap();
  assert.match(await page.locator("dialog").innerText(), /请输入支付密码[^]*¥\s*100\.00/);
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
  await page.locator('a[href^="/status?record="]').tap();
  assert.match(await page.locator("[data-about]").innerText(), new RegExp(lines.at(-1).split("/").at(-1)));
  await shot(page, "help-with-a-record");

  // The shop refunds both: one wholly, one in part.
  const shop = await context.newPage();
  await shop.goto(`${env.shop}/orders/${(await shopOrder("cake")).order_no}`);
  await shot(shop, "shop-order");
  await shop.goto(`${env.shop}/orders/${first.order_no}`);
  await shot(shop, "shop-order-paid");
  assert.ok(!(await shop.locator("#refund button").isVisible()), "one tap refunds nothing");
  await shop.locator("[data-refunding] summary").tap();
  await shot(shop, "shop-order-refunding");
  await shop.locator("#refund button").tap();
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
  const refund = await page.locator('a[href^="/records/5030"]').first().getAttribute("href");
  await page.goto(`${env.wallet}${refund}`);
  await shot(page, "record-refund");

  // Withdraw: what it costs is said before, at once and for the next day.
  await page.goto(`${env.wallet}/withdraw`);
  await page.fill("[name=amount]", "30");
  await page.locator('[data-fee="real_time"]', { hasText: "手续费 ¥0.10" }).waitFor();
  await shot(page, "withdraw");
  await page.locator("[data-open]").tap();
  assert.match(await page.locator("dialog").innerText(), /¥\s*30\.00[^]*实时到账[^]*手续费[^]*¥0\.10/);
  await shot(page, "withdraw-sheet");
  await keyIn(page);
  await page.waitForSelector('[data-state="succeeded"]');
  await shot(page, "withdraw-done");
  await page.locator('a[href^="/records/7300"]').tap();
  assert.match(await page.locator("main").innerText(), /已申请提现[^]*已到银行卡/);
  await shot(page, "record-withdrawal");
  await page.goto(`${env.wallet}/withdraw`);
  await page.locator('[data-all][data-speed="next_day"]').tap();
  assert.equal(await page.inputValue("[name=amount]"), "69.90");
  await page.locator("[data-open]").tap();
  await keyIn(page);
  await page.waitForSelector('[data-state="waiting"]');
  assert.match(await page.locator("main").innerText(), /还没有汇出/);
  await shot(page, "withdraw-waiting");
  await page.locator("#cancel button").tap();
  await page.waitForSelector('[data-state="cancelled"]');
  await shot(page, "withdraw-cancelled");

  // The other pages, then everything that can be looked at again in the dark and in English.
  const paidPath = await payPath(token, first.code_url);
  const open = await payPath(token, (await shopOrder("tea")).code_url);
  const others = { cards: "/cards", card: `/cards/${cardId}`, status: "/status", terms: "/terms" };
  for (const [name, path] of Object.entries(others)) {
    await page.goto(`${env.wallet}${path}`);
    await shot(page, name);
  }
  for (const [look, options] of [["dark", { colorScheme: "dark" }], ["english", { locale: "en-US" }]]) {
    const other = await phone(browser, options);
    const again = await other.newPage();
    const visit = async (name, address) => {
      await again.goto(address);
      await shot(again, `${look}-${name}`);
    };
    await visit("login", env.wallet);
    await other.addCookies(await context.cookies());
    for (const [name, path] of Object.entries({
      home: "/", "card-new": "/cards/new", "top-up": "/top-up", withdraw: "/withdraw", scan: "/scan", paid: paidPath, records: "/records",
      record: lines[0], "record-refund": refund, ...others, pay: open,
    })) await visit(name, `${env.wallet}${path}`);
    await again.locator("[data-open]").tap();
    await shot(again, `${look}-pay-sheet`);
    await again.goto(`${env.wallet}/scan`);
    await again.fill("#scan [name=text]", "https://pay.example/q/1");
    await again.press("#scan [name=text]", "Enter");
    await again.waitForSelector("[data-refusal]");
    await shot(again, `${look}-refused`);
    await visit("shop", env.shop);
    await visit("shop-order", `${env.shop}/orders/${second.order_no}`);
    await visit("inbox", env.inbox);
    await visit("bank", env.bank);
    await other.close();
  }
  assert.deepEqual(problems, [], "no script failed and nothing was blocked");
  await context.close();
});

test("without JavaScript a person registers, sets a password and pays by plain forms", async () => {
  const context = await phone(browser, { javaScriptEnabled: false });
  const page = await context.newPage();
  const card = await cardOf(4);
  await page.goto(`${env.wallet}/login`);
  await page.fill("[name=phone]", card.phone);
  const seen = (await messages(card.phone)).length;
  await page.click("#login-code .go");
  await page.fill("[name=code]", await nextCode(card.phone, seen));
  await page.check("#agree");
  await page.click("#login .go");
  for (const pin of ["123456", PIN]) {
    await page.fill("[name=payment_password]", pin);
    await page.fill("[name=payment_password_again]", pin);
    await page.click("#payment-password .go");
    if (pin !== PIN) await page.waitForSelector('[data-refusal="PAYMENT_PASSWORD_WEAK"]');
  }
  await page.waitForURL(`${env.wallet}/`);

  const token = await sessionOf(context);
  await topUp(token, await bind(token, card), "20.00");
  const order = await shopOrder("dumplings");
  await page.goto(`${env.wallet}/scan`);
  await page.fill("#scan [name=text]", order.code_url);
  await page.press("#scan [name=text]", "Enter");
  await page.waitForURL(/\/pay\//);
  const pay = async (pin) => {
    await page.check("#method-balance");
    await page.fill("[name=payment_password]", pin);
    await page.press("#pay [name=payment_password]", "Enter");
  };
  await pay(secret("904713"));
  await page.waitForSelector('[data-refusal="PAYMENT_PASSWORD_WRONG"]');
  await shot(page, "no-script-refused");
  assert.equal(await page.inputValue("[name=payment_password]"), "", "the page does not carry the password");
  await pay(PIN);
  await page.waitForSelector('[data-state="paid"]');
  await shot(page, "no-script-paid");
  assert.equal(await balance(token), 2_000 - order.amount.minor);

  await page.goto(`${env.shop}/orders/${order.order_no}`);
  assert.ok(!(await page.isVisible("#refund button")), "one click refunds nothing");
  await page.click("[data-refunding] summary");
  await page.click("#refund button");
  await until("it is refunded", async () => (await balance(token)) === 2_000);
  await context.close();
});
