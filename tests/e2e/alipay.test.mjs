// Paying at Alipay: at a computer by a code, from a phone's browser by its page, inside its app by the app's own call. The other
// side is the sandbox's, on its own pages.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { balance, env, json, keyIn, launch, payOnPage, shot, until } from "./lib.mjs";
import { arrives, browserAt, fillTopUp, goTo, heard, inApp, newcomer, ordered, refund, wayOf } from "./elsewhere.mjs";

const ALIPAY = 1003;
let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

/** What one of Alipay's people has, in fen. */
async function has(person) {
  const text = await (await fetch(env.alipay)).text();
  const [, yuan, fen] = new RegExp(`id="person-${person}"[^]*?¥([\\d,]+)\\.(\\d\\d)`).exec(text);
  return Number(yuan.replaceAll(",", "")) * 100 + Number(fen);
}

/** Somebody chooses who they are on the sandbox's page, and says yes or no. */
async function answers(page, person, act = "agree") {
  await page.locator(`input[name=person][value="${person}"]`).tap();
  await page.locator(`button[value=${act}], button:not([value])`).tap();
}

test("at a computer a code is scanned; what the shop gives back arrives there; the choice is remembered", async () => {
  const who = await newcomer(browser, "computer");
  const { page, token } = who;
  const order = await ordered(token, "dumplings");
  const had = await has(1);
  await page.goto(order.url);
  await shot(page, "methods");
  await goTo(page, ALIPAY);
  await page.waitForSelector('[data-way="scan"]');
  await shot(page, "scan");
  const { code } = await wayOf(who, page);

  const theirs = await browserAt(browser, "alipay");
  const app = await theirs.newPage();
  await app.goto(code);
  await shot(app, "sandbox-pay");
  await answers(app, 1);
  await app.waitForSelector('[data-paid="true"]');
  await shot(app, "sandbox-paid");
  await theirs.close();
  await until("the shop is told", async () => (await heard(order)) === "paid");
  await arrives(page, '[data-state="paid"]');
  assert.match(await page.locator("main").innerText(), /支付方式\s*支付宝/);
  await shot(page, "paid");
  assert.equal(await has(1), had - order.price, "taken once");
  assert.equal(await balance(token), 0, "and not from here");
  await refund(order, async () => (await has(1)) === had);
  const record = async () => (await json(`${env.wallet}/records`, { token })).body.records.find((r) => r.kind === "refund");
  const { id } = await until("it is done here too", async () => ((await record())?.state === "succeeded" ? record() : null));
  await page.goto(`${env.wallet}/records/${id}`);
  assert.doesNotMatch(await page.locator("main").innerText(), /银行/);
  await shot(page, "record-refund");

  const next = await ordered(token, "noodles");
  await page.goto(next.url);
  assert.ok(await page.locator(`input[id="method-wallet:${ALIPAY}"]`).isChecked(), "chosen again");
  await page.goto(env.alipay);
  await shot(page, "sandbox-home");
  await who.context.close();
});

test("a phone's browser goes to its page and comes back; who cancels there pays another way", async () => {
  const who = await newcomer(browser, "phone", { colorScheme: "dark" });
  const { page, token } = who;
  await fillTopUp(page, ALIPAY, "90");
  await shot(page, "top-up-sheet");
  await keyIn(page);
  await page.waitForURL((url) => url.href.startsWith(env.alipay.replace("localhost", "127.0.0.1")));
  await shot(page, "sandbox-pay-dark");
  await answers(page, 2);
  await page.waitForSelector('[data-state="succeeded"]');
  assert.ok(page.url().startsWith(`${env.wallet}/top-up/`), page.url());
  assert.equal(await balance(token), 9_000);
  await shot(page, "topped-up");

  const order = await ordered(token, "dumplings");
  await page.goto(order.url);
  await goTo(page, ALIPAY);
  await page.locator("button[value=refuse]").tap();
  await page.waitForSelector('[data-refusal="NOT_COMPLETED"]');
  assert.equal(page.url(), order.url);
  await shot(page, "cancelled-there");
  await payOnPage(page, "balance");
  await page.waitForSelector('[data-state="paid"]');
  assert.equal(await balance(token), 9_000 - order.price);
  await who.context.close();
});

test("inside the app: who the person is, the app's own call, a link, a withdrawal to it; cancelled, another way", async () => {
  const who = await newcomer(browser, "alipay", { locale: "en-GB" });
  const { context, page, token } = who;
  let person = 3;
  // The app's own sheet stays open until the person closes it.
  const sheet = {};
  sheet.closed = new Promise((close) => { sheet.close = close; });
  await inApp(context, "AlipayJSBridge", "call", async (name, { tradeNO }, tab) => {
    assert.equal(name, "tradePay");
    if (person === null) {
      await sheet.closed;
      return { resultCode: "6001" };
    }
    await tab.goto(`${env.alipay}/cashier?tradeNO=${tradeNO}`);
    await answers(tab, person);
    await tab.waitForSelector('[data-paid="true"]');
    return { resultCode: "9000" };
  });
  const had = await has(3);
  const order = await ordered(token, "dumplings");
  await page.goto(order.url);
  await page.waitForURL(/publicAppAuthorize/);
  await shot(page, "sandbox-who");
  await answers(page, 3);
  await page.waitForURL(order.url);
  await shot(page, "methods-inside");
  assert.ok(await page.locator('input[id="method-wallet:1002"]').isDisabled(), "another wallet's app");
  await goTo(page, ALIPAY);
  await page.waitForSelector('[data-state="paid"]');
  assert.equal(await has(3), had - order.price);
  await shot(page, "paid-inside");

  await fillTopUp(page, ALIPAY, "100");
  await keyIn(page);
  await page.waitForSelector('[data-state="succeeded"]');
  await shot(page, "topped-up-inside");
  assert.equal(await balance(token), 10_000);

  // Called up, and closed by the person without paying: the page stays, and they pay another way.
  person = null;
  const other = await ordered(token, "noodles");
  await page.goto(other.url);
  await goTo(page, ALIPAY);
  await page.waitForSelector('[data-way="call-up"]');
  await shot(page, "call-up");
  const back = page.waitForEvent("load");
  sheet.close();
  await back;
  await page.locator("form[action$=give-up] button.plain").tap();
  await page.waitForSelector('[data-refusal="NOT_COMPLETED"]');
  await shot(page, "given-up");
  await payOnPage(page, "balance");
  await page.waitForSelector('[data-state="paid"]');
  const left = 10_000 - other.price;
  assert.equal(await balance(token), left);

  await page.goto(`${env.wallet}/cards`);
  await shot(page, "cards");
  await page.locator(`a[href="/wallets/${ALIPAY}"]`).tap();
  await page.waitForURL(/\/wallets\/1003$/);
  await shot(page, "wallet");
  await page.locator("[data-open]").tap();
  await shot(page, "link-sheet");
  await keyIn(page);
  await page.waitForURL(/publicAppAuthorize/);
  await answers(page, 3);
  await page.waitForSelector('[data-state="linked"]');
  await shot(page, "linked");

  const before = await has(3);
  await page.goto(`${env.wallet}/withdraw`);
  await page.fill("[name=amount]", "10");
  await page.locator('[data-fee="real_time"]', { hasText: "Fee ¥0.10" }).waitFor();
  await shot(page, "withdraw");
  await page.locator("[data-open]").tap();
  await shot(page, "withdraw-sheet");
  await keyIn(page);
  await page.waitForSelector('[data-state="succeeded"]');
  await shot(page, "withdrawn");
  assert.equal(await has(3), before + 1_000, "it has arrived");
  assert.equal(await balance(token), left - 1_010, "with its fee");
  await context.close();
});
