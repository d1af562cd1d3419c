// From a shop's own web page to the wallet and back: a page that calls up its order by the script, one that asks who is
// there, and an H5 link. The page is of another origin, as a shop's is.
import assert from "node:assert/strict";
import { createSign, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { env, freshNumber, keyIn, launch, messages, nextCode, person, phone, secret, shot, signIn } from "./lib.mjs";
import { close, gateway, merchant } from "./merchant.mjs";

const { mchid, appid } = merchant;
let browser, shop, origin;
const pages = new Map();
const visits = [];

before(async () => {
  browser = await launch();
  shop = createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    if (pages.has(pathname)) visits.push(request.url);
    response.writeHead(pages.has(pathname) ? 200 : 404, { "content-type": "text/html; charset=utf-8" });
    response.end(pages.get(pathname));
  });
  shop.listen(0, "127.0.0.1");
  await once(shop, "listening");
  origin = `http://127.0.0.1:${shop.address().port}`;
});
after(async () => {
  shop.closeAllConnections();
  shop.close();
  await browser.close();
});

/** Places an order of 1.00 yuan; what its page, app or browser is given. */
async function place(kind, more) {
  const out_trade_no = `e2e-${Date.now().toString(36)}-${randomBytes(4).toString("hex")}`;
  const order = { appid, mchid, out_trade_no, description: "豆沙包", notify_url: "http://127.0.0.1:9/n", amount: { total: 100 } };
  return { out_trade_no, ...await gateway(`/v3/pay/transactions/${kind}`, { ...order, ...more }) };
}

/** What a shop's server hands to its page. */
function signed(prepay_id) {
  const [timeStamp, nonceStr, pack] = [`${Math.floor(Date.now() / 1000)}`, randomBytes(16).toString("hex"), `prepay_id=${prepay_id}`];
  const paySign = createSign("RSA-SHA256").update(`${appid}\n${timeStamp}\n${nonceStr}\n${pack}\n`)
    .sign(merchant.private_key_pem, "base64");
  return { appId: appid, timeStamp, nonceStr, package: pack, signType: "RSA", paySign };
}

/** The page of the original's documentation, which calls up as soon as there is a bridge; or on a tap. */
const page = (parameters, onTap) => `<!doctype html><meta charset="utf-8"><title>shop</title><p id="result"></p><p id="event"></p>
<button id="pay">pay</button><script src="${env.wallet}/js/koudai-pay.js"></script><script>
document.addEventListener("koudaipay", (e) => { document.getElementById("event").textContent = e.detail.err_msg; });
function onBridgeReady() {
  WeixinJSBridge.invoke("getBrandWCPayRequest", ${JSON.stringify(parameters)}, (res) => {
    document.getElementById("result").textContent = res.err_msg;
  });
}
if (${onTap}) document.getElementById("pay").addEventListener("click", onBridgeReady);
else if (typeof WeixinJSBridge == "undefined") document.addEventListener("WeixinJSBridgeReady", onBridgeReady, false);
else onBridgeReady();
</script>`;

/** A phone whose owner is signed in, and what the app knows them as. */
async function signedIn(n) {
  const payer = await person(n, "10.00");
  const context = await phone(browser);
  await signIn(context, payer.token);
  const ask = new URLSearchParams({ appid, redirect_uri: `${origin}/back`, response_type: "code", scope: "snsapi_base", state: "s1" });
  pages.set("/back", "<!doctype html><title>back</title>");
  const tab = await context.newPage();
  await tab.goto(`${env.wallet}/connect/oauth2/authorize?${ask}#wechat_redirect`);
  const came = new URL(tab.url());
  assert.equal(came.origin + came.pathname, `${origin}/back`);
  assert.equal(came.searchParams.get("state"), "s1");
  const code = secret(came.searchParams.get("code"));
  const own = new URLSearchParams({ appid, secret: secret(process.env.KOUDAI_APP_SECRET), code, grant_type: "authorization_code" });
  const { openid } = await (await fetch(`${env.gateway}/sns/oauth2/access_token?${own}`)).json();
  assert.ok(openid);
  return { tab, openid };
}

const pay = async (tab) => {
  await tab.locator("[data-open]").tap();
  await keyIn(tab);
  await tab.waitForSelector('[data-state="paid"]');
};

test("a page that calls up by itself gets the result in its own callback, paid or cancelled", async () => {
  const { tab, openid } = await signedIn(21);
  const paid = await place("jsapi", { payer: { openid } });
  pages.set("/auto", page(signed(paid.prepay_id), false));
  await tab.goto(`${origin}/auto?table=4#menu`);
  await tab.waitForURL(/\/pay\/[\w-]{22}$/);
  await shot(tab, "pay-from-page");
  await pay(tab);
  await shot(tab, "paid-from-page");
  await tab.locator("a.go").tap();
  await tab.waitForURL(`${origin}/auto?table=4#menu`);
  await tab.waitForFunction(() => document.getElementById("result").textContent);
  assert.equal(await tab.locator("#result").innerText(), "get_brand_wcpay_request:ok");
  assert.equal(await tab.locator("#event").innerText(), "", "told once");
  assert.ok(visits.at(-1).includes("get_brand_wcpay_request=ok"));

  const cancelled = await place("jsapi", { payer: { openid } });
  pages.set("/auto", page(signed(cancelled.prepay_id), false));
  await tab.goto(`${origin}/auto`);
  await tab.waitForURL(/\/pay\/[\w-]{22}$/);
  await tab.locator("[data-back]").tap();
  await tab.waitForURL(`${origin}/auto`);
  await tab.waitForFunction(() => document.getElementById("result").textContent);
  assert.equal(await tab.locator("#result").innerText(), "get_brand_wcpay_request:cancel");
  await tab.context().close();
});

test("a page that calls up on a tap hears of the result by an event, and of the browser's own way back", async () => {
  const { tab, openid } = await signedIn(22);
  const order = await place("jsapi", { payer: { openid } });
  pages.set("/tap", page(signed(order.prepay_id), true));
  await tab.goto(`${origin}/tap`);
  await tab.locator("#pay").tap();
  await tab.waitForURL(/\/pay\/[\w-]{22}$/);
  await close(order);
  await tab.reload();
  await tab.waitForSelector('[data-state="closed"]');
  await tab.locator("a.go").tap();
  await tab.waitForURL(`${origin}/tap`);
  await tab.waitForFunction(() => document.getElementById("event").textContent);
  assert.equal(await tab.locator("#event").innerText(), "get_brand_wcpay_request:fail");
  await tab.reload();
  assert.equal(await tab.locator("#event").innerText(), "", "a reload does not say it again");

  const left = await place("jsapi", { payer: { openid } });
  pages.set("/tap", page(signed(left.prepay_id), true));
  await tab.goto(`${origin}/tap?again`);
  await tab.locator("#pay").tap();
  await tab.waitForURL(/\/pay\/[\w-]{22}$/);
  await tab.goBack();
  await tab.waitForFunction(() => document.getElementById("event").textContent);
  assert.equal(await tab.locator("#event").innerText(), "get_brand_wcpay_request:cancel");
  await tab.context().close();
});

test("a stranger on the way signs in and is brought on to the page that asked", async () => {
  const context = await phone(browser);
  const tab = await context.newPage();
  pages.set("/back", "<!doctype html><title>back</title>");
  const ask = new URLSearchParams({ appid, redirect_uri: `${origin}/back?a=1`, response_type: "code", scope: "snsapi_base", state: "x y" });
  const number = freshNumber();
  await tab.goto(`${env.wallet}/connect/oauth2/authorize?${ask}`);
  await tab.waitForURL(/\/login/);
  const seen = (await messages(number)).length;
  await tab.fill("[name=phone]", number);
  await tab.locator("#login-code .go").tap();
  await tab.waitForURL(/\/login\/code/);
  await tab.fill("[name=code]", await nextCode(number, seen));
  await tab.locator("#agree").check();
  await tab.locator("#login .go").tap();
  // Somebody new here sets a payment password on the way.
  await tab.waitForURL(/payment-password/);
  await keyIn(tab);
  await keyIn(tab);
  await tab.waitForURL(/\/back\?a=1&code=/);
  assert.equal(new URL(tab.url()).searchParams.get("state"), "x y");
  secret(new URL(tab.url()).searchParams.get("code"));
  await context.close();
});

test("an H5 link is paid in the browser, which goes back to the shop and to nobody else", async () => {
  const { tab } = await signedIn(23);
  const scene_info = { payer_client_ip: "127.0.0.1", h5_info: { type: "Wap" } };
  pages.set("/thanks", "<!doctype html><title>thanks</title>");
  const { h5_url } = await place("h5", { scene_info });
  await tab.goto(`${h5_url}&redirect_url=${encodeURIComponent(`${origin}/thanks?n=1`)}`);
  await pay(tab);
  await tab.locator("a.go").tap();
  await tab.waitForURL(`${origin}/thanks?n=1`);

  const other = await place("h5", { scene_info });
  await tab.goto(`${other.h5_url}&redirect_url=${encodeURIComponent("https://evil.example/")}`);
  assert.equal(await tab.locator("[data-back]").count(), 0);
  await pay(tab);
  assert.equal(await tab.locator("a.go").getAttribute("href"), "/");
  await tab.context().close();
});
