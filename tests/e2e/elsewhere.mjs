// What the tests of paying at another wallet share: the browsers people have, and the app that a page inside it calls up.
import { env, freshNumber, json, payOnPage, payPath, phone, register, secret, shopOrder, signIn, until } from "./lib.mjs";

const MOBILE = "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/140.0.0.0 Mobile Safari/537.36";
const AGENTS = {
  computer: undefined,
  phone: MOBILE,
  alipay: `${MOBILE} NebulaSDK/1.8.100112 AlipayDefined(nt:WIFI,ws:375|812|3.0) AliApp(AP/10.8.0.8000) AlipayClient/10.8.0.8000 Language/zh-Hans`,
  wechat: `${MOBILE} XWEB/1380143 MMWEBSDK/20250804 MicroMessenger/8.0.62.2900(0x28003E3A) WeChat/arm64 Weixin NetType/WIFI Language/zh_CN`,
};

/** A browser at a place: `computer`, `phone`, or inside `alipay` or `wechat`. */
export const browserAt = (browser, place, options) =>
  phone(browser, { viewport: { width: 375, height: 812 }, userAgent: AGENTS[place], ...options });

/** What the other wallet says of its person comes and goes in addresses, and belongs in no log. */
export function tellNobody(context) {
  context.on("request", (request) => {
    const brought = new URL(request.url()).searchParams;
    for (const name of ["code", "auth_code", "state"]) if (/^[\w-]{16,}$/.test(brought.get(name) ?? "")) secret(brought.get(name));
  });
}

/** Somebody new here, in a browser at a place. */
export async function newcomer(browser, place, options) {
  const token = await register(freshNumber());
  const context = await browserAt(browser, place, options);
  await signIn(context, token);
  tellNobody(context);
  return { token, context, page: await context.newPage() };
}

/** Plays the app around a page: `does` gets what the page calls up and a tab beside it, and gives what the page is told. */
export async function inApp(context, bridge, call, does) {
  await context.exposeBinding("theApp", async (_, name, parameters) => {
    const tab = await context.newPage();
    const told = await does(name, parameters, tab);
    await tab.close();
    return told;
  });
  await context.addInitScript(`window.${bridge} = { ${call}: (name, parameters, then) => theApp(name, parameters).then(then) }`);
}

/** Places an order at the shop; its page. */
export async function ordered(token, goods) {
  const order = await shopOrder(goods);
  return { ...order, price: order.amount.minor, url: env.wallet + (await payPath(token, order.code_url)) };
}

/** Chooses another wallet on a payment's page and types the payment password. */
export const goTo = (page, network) => payOnPage(page, `wallet:${network}`);

/** Tops up from another wallet, up to the last key. */
export async function fillTopUp(page, network, amount) {
  await page.goto(`${env.wallet}/top-up`);
  await page.fill("[name=amount]", amount);
  await page.locator(`label[for="card-wallet:${network}"]`).tap();
  await page.locator("[data-open]").tap();
}

/** The way to the other wallet that a page shows, as a program reads it. */
export async function wayOf({ token }, page) {
  const { body } = await json(page.url(), { token });
  return body.way;
}

/** Gives the shop's money back, and waits until it has arrived. */
export async function refund({ order_no }, arrived) {
  await json(`${env.shop}/orders/${order_no}/refund`, { body: {} });
  await until("the refund arrives", arrived);
}

/** What the shop has heard of an order. */
export const heard = async ({ order_no }) => (await json(`${env.shop}/orders/${order_no}`)).body.state;

/** Waits until a page that looks by itself shows something; it looks at once when the network is back. */
export async function arrives(page, selector) {
  // A page that is on its way already has looked by itself.
  await page.evaluate(() => dispatchEvent(new Event("online"))).catch(() => {});
  await page.waitForSelector(selector);
}
