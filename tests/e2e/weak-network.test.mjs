// A network that fails at the worst moment: before a payment leaves the phone, on its way, or on the way back. The page
// always says which, and whatever happens is charged once.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import {
  balance, env, keyIn, payOnPage, payPath, person, phone, shopOrder, shopState, shot, signIn, until,
} from "./lib.mjs";
import { almostPay, atOrder, isPost, paysOnce, post, stage, unharmed } from "./paying.mjs";

const PAID = '[data-state="paid"]';
const NOT_SENT = "网络不可用，付款未提交，未扣款";
const CHECKING = "正在确认支付结果，请勿重复付款";
const NOT_ARRIVED = "还没有收到这次付款，未扣款";

const stand = stage();
let someone;
before(async () => { someone = await person(10, "500.00"); });
const on = (name, run) => stand.on(name, () => someone, run);

const says = (page, text) => page.getByText(text).first().waitFor();

/** The whole of paying, on a page that is open. */
const pays = (who, order) => paysOnce(who, order, async () => {
  await payOnPage(who.page, "balance");
  await who.page.waitForSelector(PAID);
});

/** Whatever happened, nothing was charged and the order waits. */
const unpaid = (who, order, act) => unharmed(who, async () => {
  await act();
  assert.equal((await shopState(order.order_no)).state, "unpaid");
});

/** Lets a form reach the server, and cuts the phone off before the answer comes back. */
async function loseTheAnswer({ page, context }, act) {
  let status;
  await page.route("**/*", async (route) => {
    if (!isPost(route.request())) return route.fallback();
    const answer = await route.fetch();
    await context.setOffline(true);
    status = answer.status();
    return route.abort("internetdisconnected");
  });
  await act();
  await until("the server takes it", () => status === 200);
}

on("cut off before sending: not sent, not charged; the retry pays once", async (who) => {
  const { page, context } = who;
  const order = await atOrder(who);
  const last = await almostPay(page, "balance");
  const posts = [];
  page.on("request", (request) => { if (isPost(request)) posts.push(request.url()); });
  await context.setOffline(true);
  await unpaid(who, order, async () => {
    await last.tap();
    await says(page, NOT_SENT);
  });
  assert.equal(await page.locator("[data-refusal]").getAttribute("data-refusal"), "NO_NETWORK");
  assert.ok(await page.locator('[data-net="offline"]').isVisible());
  assert.deepEqual(posts, []);
  await shot(page, "cut-off-before");

  await context.setOffline(false);
  await pays(who, order);
});

on("a network that is up but leads nowhere: not sent either", async (who) => {
  const { page } = who;
  const order = await atOrder(who);
  const last = await almostPay(page, "balance");
  // What the sign-in page of a café answers to everything.
  const cafe = (route) => route.fulfill({ contentType: "text/html", body: "<p>Welcome to our Wi-Fi</p>" });
  await page.route("**/*", cafe);
  await unpaid(who, order, async () => {
    await last.tap();
    await says(page, NOT_SENT);
  });
  await page.unroute("**/*", cafe);
  await pays(who, order);
});

on("cut off after sending: the page finds out by itself when it is back online", async (who) => {
  const { page, context } = who;
  const order = await atOrder(who);
  const last = await almostPay(page, "balance");
  await paysOnce(who, order, async () => {
    await loseTheAnswer(who, () => last.tap());
    await says(page, CHECKING);
    assert.equal(await page.locator("[data-pin]").count(), 0, "there is nothing to pay with");
    const text = await page.locator("main").innerText();
    for (const part of ["街角小店", (order.price / 100).toFixed(2)]) assert.ok(text.includes(part), `${part} in ${text}`);
    await shot(page, "cut-off-after");
    await context.setOffline(false);
    await page.waitForSelector(PAID);
  });
});

on("cut off after sending: a reload shows that it is paid", async (who) => {
  const { page, context } = who;
  const order = await atOrder(who);
  const last = await almostPay(page, "balance");
  await paysOnce(who, order, async () => {
    await loseTheAnswer(who, () => last.tap());
    await says(page, CHECKING);
    // The script never gets an answer, so that it is the reload that shows it.
    await page.route("**/*", (route) => (route.request().resourceType() === "fetch" ? route.abort() : route.fallback()));
    await context.setOffline(false);
    await page.reload();
    await page.waitForSelector(PAID);
  });
});

on("lost on the way and then offline: a payment that arrives late is never called unpaid", async (who) => {
  const { page, context } = who;
  const order = await atOrder(who);
  const last = await almostPay(page, "balance");
  let late;
  await page.route("**/*", (route) => {
    if (!isPost(route.request())) return route.fallback();
    late = route.request().postData();
    return route.abort("connectionreset");
  });
  await paysOnce(who, order, async () => {
    await last.tap();
    await says(page, NOT_ARRIVED);
    await context.setOffline(true);
    await says(page, CHECKING);
    assert.equal(await page.getByText("未扣款").count(), 0);
    const { body } = await post(who, order.path, Object.fromEntries(new URLSearchParams(late)));
    assert.equal(body.state, "paid");
    await context.setOffline(false);
    await page.waitForSelector(PAID);
  });
});

on("lost on the way: the page says that it has not arrived, and the retry pays once", async (who) => {
  const { page } = who;
  const order = await atOrder(who);
  const lose = (route) => (isPost(route.request()) ? route.abort("connectionreset") : route.fallback());
  await page.route("**/*", lose);
  await unpaid(who, order, async () => {
    await payOnPage(page, "balance");
    await says(page, NOT_ARRIVED);
  });
  await shot(page, "lost-on-the-way");

  await page.unroute("**/*", lose);
  await page.locator("[data-again]").tap();
  await pays(who, order);
});

on("a top-up whose answer is lost is credited once", async (who) => {
  const { page, context } = who;
  const had = await balance(who.token);
  await page.goto(`${env.wallet}/top-up`);
  await page.fill("[name=amount]", "5.00");
  await page.locator("[data-open]").tap();
  await loseTheAnswer(who, () => keyIn(page));
  await page.waitForSelector('[data-state="pending"]');
  assert.match(await page.locator("main").innerText(), /充值到零钱\s*¥\s*5\.00/);
  await context.setOffline(false);
  await page.waitForSelector('[data-state="succeeded"]');
  assert.equal(await balance(who.token), had + 500);
});

on("the last key tapped twice, and two pages at once: charged once", async (who) => {
  const { page, context } = who;
  const twice = await atOrder(who);
  const posts = [];
  page.on("request", (request) => { if (isPost(request)) posts.push(request.url()); });
  const last = await almostPay(page, "balance");
  await paysOnce(who, twice, async () => {
    await last.evaluate((key) => { key.click(); key.click(); });
    await page.waitForSelector(PAID);
  });
  assert.equal(posts.length, 1);

  const order = await atOrder(who);
  const keys = [await almostPay(page, "balance")];
  const other = await context.newPage();
  await other.goto(page.url());
  keys.push(await almostPay(other, "balance"));
  await paysOnce(who, order, async () => {
    // Both are let go when both have come.
    const waiting = [];
    await context.route("**/*", (route) => {
      if (!isPost(route.request())) return route.fallback();
      waiting.push(route);
      return undefined;
    });
    for (const key of keys) await key.evaluate((element) => element.click());
    await until("both pages have sent", () => waiting.length === 2);
    await Promise.all(waiting.map((route) => route.continue()));
    for (const shown of [page, other]) await shown.waitForSelector(PAID);
  });
});

on("over a slow 3G network a person pays, once", async (who) => {
  const order = await atOrder(who);
  await slowly(who.page);
  await who.page.reload();
  await pays(who, order);
});

for (const name of ["the first page", "the home page", "a payment page"]) {
  test(`the first view of ${name} is at most 60 KB over the wire`, async () => {
    // A phone that has never been here: nothing is in its cache.
    const context = await phone(stand.browser);
    const page = await context.newPage();
    let path = "/login";
    if (name !== "the first page") await signIn(context, someone.token);
    if (name === "the home page") path = "/";
    if (name === "a payment page") path = await payPath(someone.token, (await shopOrder()).code_url);
    const network = await slowly(page);
    let bytes = 0;
    network.on("Network.loadingFinished", ({ encodedDataLength }) => { bytes += encodedDataLength; });
    await page.goto(env.wallet + path, { waitUntil: "networkidle" });
    assert.ok(bytes > 1_000 && bytes <= 60 * 1024, `${bytes} bytes`);
    await context.close();
  });
}

async function slowly(page) {
  const network = await page.context().newCDPSession(page);
  await network.send("Network.enable");
  await network.send("Network.emulateNetworkConditions", {
    offline: false, latency: 400, downloadThroughput: 50 * 1024, uploadThroughput: 50 * 1024,
  });
  return network;
}
