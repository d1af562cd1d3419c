// What the browser tests share: a phone-sized browser, people, the inbox, the shop.
import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { chromium } from "playwright-core";

const addresses = (whose) =>
  Object.fromEntries(["WALLET", "SHOP", "BANK", "INBOX", "GATEWAY", "UNIONPAY", "ALIPAY"].map((face) => [face.toLowerCase(), process.env[`${whose}_${face}`]]));
export const env = addresses("KOUDAI");
/** Another operator's wallet, whose accounts may be bound here. */
export const friend = addresses("KOUDAI_FRIEND");
assert.ok(env.wallet, "KOUDAI_WALLET names a running demo; `sh tests/with-demo.sh` sets it");

export const PIN = "738214";
export const shots = process.env.KOUDAI_SHOTS ?? mkdtempSync(join(tmpdir(), "koudai-shots-"));
mkdirSync(shots, { recursive: true });

/** Something that must not stand in any log. */
export function secret(...texts) {
  if (process.env.KOUDAI_SECRETS) appendFileSync(process.env.KOUDAI_SECRETS, texts.map((text) => `${text}\n`).join(""));
  return texts[0];
}

/** A browser that opens nothing but this machine. */
export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync",
    ],
  });
}

/** A phone: 390×844, Chinese and light unless said. */
export function phone(browser, options = {}) {
  return browser.newContext({
    viewport: { width: 390, height: 844 },
    deviceScaleFactor: 2,
    hasTouch: true,
    isMobile: true,
    locale: "zh-CN",
    colorScheme: "light",
    ...options,
  });
}

export async function json(url, { token, method, body } = {}) {
  const answer = await fetch(url, {
    method: method ?? (body ? "POST" : "GET"),
    headers: {
      accept: "application/json",
      ...(body && { "content-type": "application/json" }),
      ...(token && { authorization: `Bearer ${token}` }),
    },
    body: body && JSON.stringify(body),
  });
  return { status: answer.status, body: await answer.json() };
}

/** Looks until `look` gives something. */
export async function until(what, look, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) assert.fail(`${what}: not within ${seconds} s`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** How many messages a phone number has had. */
export async function messages(number, at = env) {
  const { body } = await json(`${at.inbox}/inbox?to=${number}`);
  return body;
}

/** The next code to a number, after the `seen` messages there were. */
export async function nextCode(number, seen, at = env) {
  const list = await until(`a code to ${number}`, async () => {
    const all = await messages(number, at);
    return all.length > seen ? all : null;
  });
  return secret(list.at(-1).code);
}

let numbers = 0;
/** A phone number nobody has used, in this run or another. */
export function freshNumber() {
  numbers += 1;
  return `15${String(Date.now() % 1e7).padStart(7, "0")}${String(numbers % 100).padStart(2, "0")}`;
}

/** The test cards of a customer with one ordinary debit card, 3 to 40; each test takes its own. */
export function customer(n) {
  assert.ok(n >= 3 && n <= 40);
  const digits = `629999000000000${String(n + 6).padStart(3, "0")}`;
  return { number: `${digits}${luhn(digits)}`, phone: `139000000${String(n).padStart(2, "0")}`, n };
}

export function luhn(digits) {
  const sum = [...digits].reverse().reduce((total, digit, i) => {
    const value = Number(digit) * (i % 2 === 0 ? 2 : 1);
    return total + (value > 9 ? value - 9 : value);
  }, 0);
  return (10 - (sum % 10)) % 10;
}

/** What the bank's page says of its cards: number, name, ID number, phone, in that order of appearance. */
export async function bankCard(number) {
  const page = await (await fetch(env.bank, { headers: { "accept-language": "zh-CN" } })).text();
  const text = page.replace(/<[^>]*>/g, " ").replace(/\s+/g, " ");
  const spaced = text.replace(/(\d) (?=\d)/g, "$1");
  const at = spaced.indexOf(number);
  assert.ok(at >= 0, `the bank's page shows ${number}`);
  return spaced.slice(at, at + 400);
}

/** Registers over JSON; the person's token. */
export async function register(number, at = env) {
  const seen = (await messages(number, at)).length;
  const asked = await json(`${at.wallet}/login/code`, { body: { phone: number } });
  assert.equal(asked.status, 200, JSON.stringify(asked.body));
  const code = await nextCode(number, seen, at);
  const { status, body } = await json(`${at.wallet}/login`, { body: { phone: number, code, request: asked.body.request, agree: "yes" } });
  assert.equal(status, 200, JSON.stringify(body));
  secret(body.token, PIN);
  if (!body.has_payment_password) {
    await json(`${at.wallet}/payment-password`, { token: body.token, body: { payment_password: PIN } });
  }
  return body.token;
}

/** Binds a card over JSON; its id. */
export async function bind(token, card, kind = "debit", at = env) {
  const seen = (await messages(card.phone, at)).length;
  secret(card.number);
  const started = await json(`${at.wallet}/cards`, {
    token,
    body: { binding_id: `bind-${Date.now()}-${card.number.slice(-4)}`, kind, ...card, payment_password: PIN },
  });
  assert.equal(started.status, 200, JSON.stringify(started.body));
  const code = await nextCode(card.phone, seen, at);
  const id = started.body.binding_id;
  const bound = await json(`${at.wallet}/cards/bindings/${id}/confirm`, { token, body: { code } });
  assert.equal(bound.body.state, "bound", JSON.stringify(bound.body));
  return bound.body.card_id;
}

export async function topUp(token, card_id, amount, at = env) {
  const { body } = await json(`${at.wallet}/top-up`, {
    token,
    body: { attempt_id: `top-up-${Date.now()}`, card_id, amount, payment_password: PIN },
  });
  assert.equal(body.state, "succeeded", JSON.stringify(body));
}

/** The customers of the sandbox bank by number: one person, one debit card. */
export async function cardOf(n) {
  const { number, phone } = customer(n);
  const text = await bankCard(number);
  const id_number = /\d{17}[\dX]/.exec(text.slice(number.length))?.[0];
  const name = /[一-鿿]{2,4}/u.exec(text.slice(number.length).replace(/储蓄卡|信用卡|姓名|卡号|证件号|身份证号?|手机号?|持卡人|预留/g, " "))?.[0];
  return { number, phone, name, id_number };
}

/** Somebody with a card and, if wanted, a balance: everything over JSON. */
export async function person(n, balance, at = env) {
  const card = await cardOf(n);
  const token = await register(card.phone, at);
  const { body } = await json(`${at.wallet}/cards`, { token });
  const cardId = body.cards[0]?.card_id ?? (await bind(token, card, "debit", at));
  if (balance) await topUp(token, cardId, balance, at);
  return { token, cardId, card, number: card.phone };
}

/** An order at the shop. */
export async function shopOrder(goods = "dumplings", amount) {
  const { status, body } = await json(`${env.shop}/orders`, { body: { goods, ...(amount && { amount }) } });
  assert.ok(status < 300, JSON.stringify(body));
  secret(body.code_url.split("/q/")[1].split("#")[0]);
  return body;
}

export const shopState = async (no) => (await json(`${env.shop}/orders/${no}`)).body;

/** A browser of its own in which a page is open, with a finger that unlocks passkeys, and what went wrong on it. */
export async function device(browser, options) {
  const context = await phone(browser, options);
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => { if (message.type() === "error" && !/status of 4/.test(message.text())) problems.push(message.text()); });
  return { context, page, problems, finger: await fingerAt(context, page) };
}

/** The main button of a form. */
export const press = (page, form) => page.locator(`${form} .go`).first().tap();

/** Gives a page's phone a finger that unlocks passkeys; whether the phone knows it can be set. */
export async function fingerAt(context, page) {
  const devtools = await context.newCDPSession(page);
  await devtools.send("WebAuthn.enable");
  const { authenticatorId } = await devtools.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  return (known) => devtools.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: known });
}

/** The session of a browser that signed in on the page. */
export async function sessionOf(context) {
  return secret((await context.cookies()).find(({ name }) => name === "koudai_wallet").value);
}

/** Signs a browser in as somebody. */
export async function signIn(context, token, at = env) {
  await context.addCookies([{ name: "koudai_wallet", value: token, url: at.wallet, httpOnly: true, sameSite: "Lax" }]);
}

/** The path of an order's payment page. */
export async function payPath(token, codeUrl) {
  const { body } = await json(`${env.wallet}/scan`, { token, body: { text: codeUrl } });
  assert.ok(body.pay, JSON.stringify(body));
  return body.pay;
}

/** Types the payment password on the page's own keys. */
export async function keyIn(page, pin = PIN) {
  for (const digit of pin) await page.locator(`[data-key="${digit}"]:visible`).first().tap();
}

/** Pays on a payment page: chooses, opens the sheet, types. */
export async function payOnPage(page, method, pin = PIN) {
  await page.locator(`label[for="method-${method}"]`).tap();
  await page.locator("[data-open]").tap();
  await keyIn(page, pin);
}

export async function balance(token, at = env) {
  return (await json(`${at.wallet}/`, { token })).body.balance.minor;
}

export async function payments(token) {
  const { body } = await json(`${env.wallet}/records`, { token });
  return body.records.filter((record) => record.kind === "payment" && record.state !== "failed");
}

const file = basename(process.argv[1] ?? "", ".test.mjs");
let shotNumber = 0;
/** A numbered picture of a page, with all motion over. Those of the main job come first, the others after their file's name. */
export async function shot(page, name) {
  shotNumber += 1;
  const number = String(shotNumber).padStart(2, "0");
  const path = join(shots, `${file === "main" ? "" : `${file}-`}${number}-${name}.png`);
  // A page that is just being opened, or comes back from behind another, now and then gives no picture: nothing is wrong with it.
  for (let tries = 1; ; tries += 1) {
    try {
      await page.waitForLoadState("load");
      await page.evaluate(() => document.fonts.ready);
      return await page.screenshot({ path, animations: "disabled", timeout: 8_000 });
    } catch (error) {
      if (tries === 3) throw error;
    }
  }
}
