// Paying at WeChat Pay, which is another operator's gateway here: at a computer by a code, from a phone's browser by its page,
// inside its app by the app's own call. Its people are that operator's, and do what they do on their own wallet's pages.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { balance, env, friend, json, keyIn, launch, payOnPage, person, secret, shot, signIn, until } from "./lib.mjs";
import { arrives, browserAt, fillTopUp, goTo, heard, inApp, newcomer, ordered, refund, wayOf } from "./elsewhere.mjs";

const WECHAT = 1002;
let browser, them;
before(async () => {
  const kept = (name) => readFileSync(join(process.env.KOUDAI_WECHAT, name), "utf8");
  secret(kept("app_secret.txt"), kept("apiv3_key.txt"), ...kept("key.pem").split("\n").filter((line) => line && !line.startsWith("-")));
  browser = await launch();
  them = (await person(26, "500.00", friend)).token;
});
after(() => browser.close());

const has = () => balance(them, friend);

/** Pays on their wallet's page from their balance. */
async function pays(page) {
  await page.waitForSelector("#pay");
  await payOnPage(page, "balance");
  await page.waitForSelector('[data-state="paid"]');
}

test("at a computer a code is scanned, and what the shop gives back arrives there", async () => {
  const who = await newcomer(browser, "computer");
  const { page, token } = who;
  const order = await ordered(token, "dumplings");
  const had = await has();
  await page.goto(order.url);
  await goTo(page, WECHAT);
  await page.waitForSelector('[data-way="scan"]');
  await shot(page, "scan");
  const { code } = await wayOf(who, page);
  const theirs = await browserAt(browser, "wechat");
  await signIn(theirs, them, friend);
  const app = await theirs.newPage();
  const { body } = await json(`${friend.wallet}/scan`, { token: them, body: { text: code } });
  await app.goto(friend.wallet + body.pay);
  await shot(app, "there-pay");
  await pays(app);
  await theirs.close();
  await until("the shop is told", async () => (await heard(order)) === "paid");
  await arrives(page, '[data-state="paid"]');
  assert.match(await page.locator("main").innerText(), /支付方式\s*微信支付/);
  await shot(page, "paid");
  assert.equal(await has(), had - order.price, "taken once");
  assert.equal(await balance(token), 0, "and not from here");
  await refund(order, async () => (await has()) === had);
  await who.context.close();
});

test("a phone's browser goes to its page and comes back; who comes back without paying pays another way", async () => {
  const who = await newcomer(browser, "phone", { locale: "en-GB", colorScheme: "dark" });
  const { context, page, token } = who;
  await signIn(context, them, friend);
  const had = await has();
  await fillTopUp(page, WECHAT, "90");
  await keyIn(page);
  await page.waitForURL((url) => url.href.startsWith(friend.wallet));
  await shot(page, "there-pay-dark");
  await pays(page);
  await page.locator("a.go").tap();
  await page.waitForSelector('[data-state="succeeded"]');
  assert.ok(page.url().startsWith(`${env.wallet}/top-up/`), page.url());
  assert.deepEqual([await balance(token), await has()], [9_000, had - 9_000]);
  await shot(page, "topped-up-dark");

  const order = await ordered(token, "dumplings");
  await page.goto(order.url);
  await goTo(page, WECHAT);
  await page.waitForURL((url) => url.href.startsWith(friend.wallet));
  await page.locator("[data-back]").tap();
  await page.waitForSelector('[data-way="visit"]');
  assert.equal(page.url(), order.url, "and is not sent off again");
  await shot(page, "visit-dark");
  await page.locator("form[action$=give-up] button.plain").tap();
  await page.waitForSelector('[data-refusal="NOT_COMPLETED"]');
  await payOnPage(page, "balance");
  await page.waitForSelector('[data-state="paid"]');
  assert.deepEqual([await balance(token), await has()], [9_000 - order.price, had - 9_000]);
  await context.close();
});

test("inside the app: who the person is, the app's own call, a link, a withdrawal received there; Alipay is greyed out", async () => {
  const who = await newcomer(browser, "wechat");
  const { context, page, token } = who;
  await signIn(context, them, friend);
  await inApp(context, "WeixinJSBridge", "invoke", async (name, parameters, tab) => {
    if (name === "requestMerchantTransfer") {
      await tab.goto(parameters.package);
      await shot(tab, "there-receive");
      await tab.locator("#receive .go").tap();
      await tab.waitForSelector('[data-state="received"]');
      return { err_msg: "requestMerchantTransfer:ok" };
    }
    assert.equal(name, "getBrandWCPayRequest");
    await tab.goto(`${friend.wallet}/pay/jsapi?${new URLSearchParams(parameters)}`);
    await pays(tab);
    return { err_msg: "get_brand_wcpay_request:ok" };
  });
  const had = await has();
  const order = await ordered(token, "dumplings");
  const asked = page.waitForRequest((request) => request.url().startsWith(`${friend.wallet}/connect/oauth2/authorize`));
  await page.goto(order.url);
  await asked;
  // What WeChat wants behind that address stays behind ours.
  assert.equal(page.url().split("#")[0], order.url, "it says who they are by itself");
  assert.ok(await page.locator('input[id="method-wallet:1003"]').isDisabled());
  await page.locator(".choice.off", { hasText: "支付宝" }).getByText("当前环境不支持").waitFor();
  await shot(page, "methods-inside");
  await goTo(page, WECHAT);
  await page.waitForSelector('[data-state="paid"]');
  assert.equal(await has(), had - order.price);
  await fillTopUp(page, WECHAT, "50");
  await keyIn(page);
  await page.waitForSelector('[data-state="succeeded"]');

  await page.goto(`${env.wallet}/wallets/${WECHAT}`);
  await shot(page, "wallet");
  await page.locator("[data-open]").tap();
  await keyIn(page);
  await page.waitForSelector('[data-state="linked"]');
  await shot(page, "linked");
  const before = await has();
  await page.goto(`${env.wallet}/withdraw`);
  await page.fill("[name=amount]", "10");
  await page.locator('[data-fee="real_time"]', { hasText: "手续费 ¥0.10" }).waitFor();
  await shot(page, "withdraw");
  await page.locator("[data-open]").tap();
  await shot(page, "withdraw-sheet");
  await keyIn(page);
  await page.waitForSelector('[data-state="succeeded"]');
  await shot(page, "withdrawn");
  assert.deepEqual([await has(), await balance(token)], [before + 1_000, 5_000 - 1_010]);
  await page.locator('a[href^="/records/7300"]').tap();
  await page.waitForURL(/\/records\/7300/);
  assert.doesNotMatch(await page.locator("main").innerText(), /银行/);
  await shot(page, "record-withdrawal");
  await context.close();
});
