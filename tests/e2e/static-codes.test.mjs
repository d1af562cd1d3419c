// One printed code for all wallets: scanned with this wallet, opened inside WeChat and inside Alipay by people without an account
// here, and in plain browsers. WeChat is another operator's wallet, Alipay the sandbox.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { balance, env, friend, json, launch, payOnPage, person, secret, shot, signIn, until } from "./lib.mjs";
import { arrives, browserAt, inApp, tellNobody } from "./elsewhere.mjs";
import { gateway, printed, takeDown } from "./merchant.mjs";

let browser, counter;
before(async () => {
  browser = await launch();
  counter = printed("1号窗口");
  secret(counter.link.split("#")[1]);
});
after(() => browser.close());

/** Types an amount on the code's page, and goes on. */
async function says(page, amount, note) {
  await page.fill("[name=amount]", amount);
  if (note) await page.fill("[name=note]", note);
  await page.locator("#static .go").tap();
}

/** The merchant gives back what was paid under the number that a result shows. */
async function refunds(page, fen) {
  const out_trade_no = /S\d{28}/.exec(await page.locator("main").innerText())[0];
  const refund = await gateway("/v3/refund/domestic/refunds", {
    out_trade_no, out_refund_no: `${out_trade_no}B`, amount: { refund: fen, total: fen, currency: "CNY" },
  });
  assert.equal(refund.out_trade_no, out_trade_no);
}

test("scanned with the wallet: amount and note, the payment page, and the bound of the day", async () => {
  const { token } = await person(27, "600.00");
  const context = await browserAt(browser, "phone");
  await signIn(context, token);
  const page = await context.newPage();
  const { body } = await json(`${env.wallet}/scan`, { token, body: { text: counter.link } });
  assert.equal(env.wallet + body.pay, counter.page);
  await page.goto(counter.page);
  assert.match(await page.locator("main").innerText(), /静态码今日剩余\s*¥500\.00/);
  await shot(page, "amount");
  await says(page, "420.5", "三号桌");
  await page.waitForSelector("#pay");
  await shot(page, "methods");
  await payOnPage(page, "balance");
  await page.waitForSelector('[data-state="paid"]');
  await shot(page, "paid");
  assert.equal(await balance(token), 60_000 - 42_050);

  await page.goto(counter.page);
  assert.match(await page.locator("main").innerText(), /静态码今日剩余\s*¥79\.50/);
  await says(page, "100");
  await page.waitForSelector("#pay");
  assert.ok(await page.locator('input[id="method-balance"]').isDisabled());
  await page.locator(".choice.off", { hasText: "零钱" }).getByText("静态码今日剩余 ¥79.50").first().waitFor();
  await shot(page, "bound");
  await page.goto(counter.page);
  await says(page, "500.01");
  await page.waitForSelector('[data-refusal="DAY_STATIC_CODES_REACHED"]');
  assert.equal(await page.inputValue("[name=amount]"), "500.01", "what was typed stays");
  await shot(page, "too-much");
  await context.close();
});

test("inside WeChat: somebody without an account pays by the app's own call, and is given it back there", async () => {
  const them = (await person(28, "100.00", friend)).token;
  const context = await browserAt(browser, "wechat");
  tellNobody(context);
  await signIn(context, them, friend);
  let agrees = false;
  await inApp(context, "WeixinJSBridge", "invoke", async (name, parameters, tab) => {
    assert.equal(name, "getBrandWCPayRequest");
    // The app's own sheet stays open until the person leaves it.
    if (!agrees) return new Promise(() => {});
    await tab.goto(`${friend.wallet}/pay/jsapi?${new URLSearchParams(parameters)}`);
    await tab.waitForSelector("#pay");
    await payOnPage(tab, "balance");
    await tab.waitForSelector('[data-state="paid"]');
    return { err_msg: "get_brand_wcpay_request:ok" };
  });
  const page = await context.newPage();
  await page.goto(counter.link);
  await page.waitForSelector('[data-state="amount"]');
  assert.ok((await context.cookies(env.wallet)).every(({ name }) => name !== "koudai_wallet"), "there is no session");
  await shot(page, "wechat-amount");
  await says(page, "12.5", "少糖");
  await page.waitForSelector('[data-way="call-up"]');
  await shot(page, "wechat-call-up");
  await page.locator("form[action$=give-up] button.plain").tap();
  await arrives(page, '[data-refusal="NOT_COMPLETED"]');
  await shot(page, "wechat-given-up");
  assert.equal(await balance(them, friend), 10_000);

  agrees = true;
  await page.locator("a.go").tap();
  await says(page, "12.5", "少糖");
  await arrives(page, '[data-state="paid"]');
  await shot(page, "wechat-paid");
  assert.equal(await balance(them, friend), 10_000 - 1_250);
  await refunds(page, 1_250);
  await until("it is given back there", async () => (await balance(them, friend)) === 10_000);
  for (const path of ["/", "/records"]) {
    await page.goto(env.wallet + path);
    assert.ok(page.url().startsWith(`${env.wallet}/login`), "nothing else is theirs to see");
  }
  await context.close();
});

test("inside Alipay: who they are, the app's own call, in English and dark", async () => {
  const context = await browserAt(browser, "alipay", { locale: "en-GB", colorScheme: "dark" });
  tellNobody(context);
  const chooses = async (page) => {
    await page.locator('input[name=person][value="2"]').tap();
    await page.locator("button[value=agree], button:not([value])").tap();
  };
  await inApp(context, "AlipayJSBridge", "call", async (name, { tradeNO }, tab) => {
    assert.equal(name, "tradePay");
    await tab.goto(`${env.alipay}/cashier?tradeNO=${tradeNO}`);
    await chooses(tab);
    await tab.waitForSelector('[data-paid="true"]');
    return { resultCode: "9000" };
  });
  const page = await context.newPage();
  await page.goto(counter.link);
  await page.waitForURL(/publicAppAuthorize/);
  await chooses(page);
  await page.waitForSelector('[data-state="amount"]');
  await shot(page, "alipay-amount-dark");
  await says(page, "0.01");
  await page.waitForSelector('[data-state="paid"]');
  await shot(page, "alipay-paid-dark");
  await refunds(page, 1);
  await context.close();
});

test("a plain browser says which apps work, leads to signing in and back; the sheet is printed; what is taken down is said to be", async () => {
  for (const [place, options] of [["phone", {}], ["computer", { locale: "en-GB", viewport: { width: 1100, height: 900 }, colorScheme: "dark" }]]) {
    const context = await browserAt(browser, place, options);
    const page = await context.newPage();
    await page.goto(counter.link);
    const text = await page.locator("main").innerText();
    for (const app of place === "phone" ? [/口袋/, /微信/, /支付宝/] : [/Koudai/, /WeChat/, /Alipay/]) assert.match(text, app);
    await shot(page, `apps-${place}`);
    await page.locator('a[href^="/login"]').tap();
    await page.waitForURL(/\/login\?next=/);
    await context.close();
  }
  const context = await browserAt(browser, "computer", { viewport: { width: 760, height: 1080 } });
  const page = await context.newPage();
  await page.goto(env.shop);
  await page.locator("[data-sheet]").tap();
  await page.waitForSelector('[data-state="sheet"]');
  await page.goto(counter.sheet);
  assert.match(await page.locator("main").innerText(), /SDK 食堂/);
  await shot(page, "sheet");
  await page.emulateMedia({ media: "print" });
  await shot(page, "sheet-on-paper");
  takeDown(counter);
  await page.goto(counter.link.replace("#", "?again#"));
  await page.locator("main", { hasText: "该收款码已停用" }).waitFor();
  await shot(page, "taken-down");
  await context.close();
});
