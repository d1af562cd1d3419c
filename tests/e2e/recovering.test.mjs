// Getting back what was lost: a forgotten log-in password by the phone and a card, a lost phone by the password and a passkey; what
// a cool-down keeps from happening; and freezing an account by a link in a mail and by a code from a short message.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { bind, cardOf, device as deviceOf, freshNumber, keyIn, launch, press, sessionOf, shot, topUp } from "./lib.mjs";
import { ownWallet } from "./messengers.mjs";

const PASSWORD = "tulip-ferry-9-quartz";
const NEW_PASSWORD = "otter-lantern-4-maple";
let browser, own, wallet, centre, relay;
/** What freezes accounts. */
const words = [];

before(async () => {
  [browser, own] = await Promise.all([launch(), ownWallet("code-gap=1")]);
  ({ centre, relay } = own);
  ({ wallet } = own.at);
});

after(async () => {
  await browser?.close();
  await own?.close();
});

const device = (options) => deviceOf(browser, options);

/** Asks for a code by a form, and fills in the one that comes. */
async function byCode(page, form, number, field) {
  const seen = centre.inbox.count(`86${number}`);
  await press(page, form);
  const { code } = await centre.inbox.next(`86${number}`, seen);
  await page.waitForSelector(field);
  await page.fill(field, code);
}

async function signIn(page, number) {
  await page.goto(`${wallet}/login`);
  await page.fill("[name=phone]", number);
  await byCode(page, "#login-code", number, "#login [name=code]");
  await page.locator("#agree").check();
  await press(page, "#login");
}

/** Registers, with a payment password, an address and a log-in password. */
async function newcomer(page, number, address) {
  await signIn(page, number);
  await page.waitForURL(/payment-password/);
  await keyIn(page);
  await keyIn(page);
  await page.waitForURL(`${wallet}/`);
  await page.goto(`${wallet}/security/email`);
  await page.fill("#email-code [name=email]", address);
  await press(page, "#email-code");
  const mail = await relay.inbox.next(address, 0);
  await page.fill("#email [name=code]", mail.code);
  await press(page, "#email");
  await page.waitForURL(/\/security$/);
  await page.goto(`${wallet}/security/password`);
  await page.fill("#password", PASSWORD);
  await press(page, "#login-password");
  await page.waitForURL(/\/security$/);
}

async function signOut(page) {
  await page.goto(wallet);
  await page.locator("#logout button").tap();
  await page.waitForURL(/\/login/);
}

test("a forgotten password is set anew by the phone and a card, and whoever did not do that freezes the account", async () => {
  const { page, context, problems } = await device();
  const card = await cardOf(19);
  const address = `cara.${card.phone}@mail.example`;
  await newcomer(page, card.phone, address);
  const token = await sessionOf(context);
  await topUp(token, await bind(token, card, "debit", own.at), "100.00", own.at);
  await signOut(page);

  await page.locator('a[href="/recover"]').tap();
  await page.waitForURL(/\/recover$/);
  await shot(page, "recover");
  await page.locator('a[href="/recover/password"]').tap();
  await page.waitForURL(/recover\/password/);
  await page.fill("[name=phone]", card.phone);
  await shot(page, "recover-phone");
  const told = centre.inbox.newsCount(`86${card.phone}`);
  const mailed = relay.inbox.newsCount(address);
  await byCode(page, "#recover-code", card.phone, "#recover [name=code]");
  await shot(page, "recover-code");
  await press(page, "#recover");
  await page.waitForURL(/recover\/proof/);
  await page.fill("[name=number]", "6226388000000095");
  await press(page, "#recover-proof");
  await page.waitForSelector("[data-refusal]");
  await shot(page, "recover-proof-refused");
  await page.fill("[name=number]", card.number);
  await press(page, "#recover-proof");
  await page.waitForURL(/recover\/password\/new/);
  await page.fill("[name=password]", PASSWORD);
  await press(page, "#recovered-password");
  await page.waitForSelector('[data-refusal="LOGIN_PASSWORD_REUSED"]');
  await page.fill("[name=password]", NEW_PASSWORD);
  await shot(page, "recover-new-password");
  await press(page, "#recovered-password");
  await page.waitForSelector('[data-state="recovered"]');
  await shot(page, "recovered");

  // Nobody is signed in by it. Once they are, the account is protected for a day.
  await page.locator(".dock .go").tap();
  await page.waitForURL(/\/login/);
  await signIn(page, card.phone);
  await page.waitForURL(`${wallet}/`);
  assert.match(await page.locator("[data-protected]").innerText(), /安全保护中：\d+月\d+日 \d\d:\d\d 前暂不能提现，每天最多消费 ¥500\.00/);
  await shot(page, "protected-home");
  await page.goto(`${wallet}/withdraw`);
  await page.fill("[name=amount]", "20");
  await page.locator("[data-open]").tap();
  await keyIn(page);
  await page.waitForSelector('[data-refusal="COOLING_DOWN"]');
  await shot(page, "protected-withdraw");

  // Both are told; the message to the phone has no link, and the one in the mail freezes nothing by being opened.
  const message = await centre.inbox.news(`86${card.phone}`, told);
  assert.match(message.text, /^【.+】你的账户于 \d+月\d+日 \d\d:\d\d 找回并重设了登录密码。不是你？.+冻结码 [A-Z2-9]{5}-[A-Z2-9]{5} /);
  assert.ok(!/https?:/.test(message.text));
  const mail = await relay.inbox.news(address, mailed);
  assert.match(mail.subject, /账户安全提醒$/);
  const link = /\n(https?:\S+)\n/.exec(mail.text)[1];
  assert.ok(link.startsWith(`${wallet}/freeze/`), "only our own origin is linked to");
  words.push(link.split("/").at(-1));
  for (let opened = 0; opened < 3; opened += 1) await fetch(link);
  await page.goto(`${wallet}/security`);
  await shot(page, "protected-security");
  const owner = await device({ colorScheme: "dark" });
  await owner.page.goto(link);
  await shot(owner.page, "freeze-link-dark");
  await press(owner.page, "#freeze");
  await owner.page.waitForSelector('[data-state="frozen"]');
  await shot(owner.page, "frozen-dark");
  await page.goto(`${wallet}/security`);
  await page.waitForURL(/\/login/);
  await owner.page.goto(link);
  await press(owner.page, "#freeze");
  await owner.page.waitForSelector('[data-refusal="FREEZE_WORD_WRONG"]');
  await shot(owner.page, "freeze-again-dark");
  assert.deepEqual([...problems, ...owner.problems], []);
  await Promise.all([context.close(), owner.context.close()]);
});

test("a lost phone is replaced by the password and a passkey, and the old number can freeze the account", async () => {
  const [lost, found] = [freshNumber(), freshNumber()];
  const address = `dora.${lost}@mail.example`;
  const { page, context, problems } = await device({ locale: "en-GB" });
  await newcomer(page, lost, address);
  await page.goto(`${wallet}/security/passkeys`);
  await page.waitForSelector("#passkey-new:not([hidden])");
  await press(page, "#passkey-new");
  await page.waitForSelector("a.cell");
  await signOut(page);

  await page.goto(`${wallet}/recover`);
  await shot(page, "recover-en");
  await page.locator('a[href="/recover/phone"]').tap();
  await page.waitForURL(/recover\/phone/);
  await page.fill("[name=account]", address);
  await page.fill("[name=password]", "not-the-password");
  await press(page, "#recover-phone");
  await page.waitForSelector('[data-refusal="SIGN_IN_WRONG"]');
  await page.fill("[name=password]", PASSWORD);
  await shot(page, "recover-lost-phone-en");
  await press(page, "#recover-phone");
  await page.waitForURL(/recover\/proof/);
  await page.waitForSelector("#recover-passkey:not([hidden])");
  await shot(page, "recover-passkey-en");
  await page.locator("#recover-passkey button").tap();
  await page.waitForURL(/recover\/phone\/new/);
  await page.fill("#new", found);
  const told = centre.inbox.newsCount(`86${lost}`);
  await byCode(page, "#phone-code", found, "#phone [name=code]");
  await shot(page, "recover-new-phone-en");
  await press(page, "#phone");
  await page.waitForSelector('[data-state="recovered"]');
  await shot(page, "recovered-phone-en");
  await signIn(page, found);
  await page.waitForURL(`${wallet}/`);
  await shot(page, "protected-home-en");

  // From the security centre the number is changed by whoever is signed in and has proved who they are.
  await page.locator('a[href="/security"]').first().tap();
  await page.locator('a[href="/security/phone"]').tap();
  await page.waitForURL(/security\/phone/);
  await shot(page, "security-phone-en");

  const message = await centre.inbox.news(`86${lost}`, told);
  const word = /by the code ([A-Z2-9]{5}-[A-Z2-9]{5}),/.exec(message.text)[1];
  words.push(word);
  await page.goto(`${wallet}/freeze`);
  await page.fill("[name=phone]", found);
  await page.fill("[name=code]", word);
  await press(page, "#freeze");
  await page.waitForSelector('[data-refusal="FREEZE_WORD_WRONG"]');
  await shot(page, "freeze-refused-en");
  await page.fill("[name=phone]", lost);
  await page.fill("[name=code]", word.toLowerCase());
  await press(page, "#freeze");
  await page.waitForSelector('[data-state="frozen"]');
  await shot(page, "frozen-en");
  assert.deepEqual(problems, []);
  await context.close();
});

test("nothing that was typed or sent stands in the log", () => {
  for (const text of [PASSWORD, NEW_PASSWORD, "@mail.example", "冻结码", ...words]) {
    assert.ok(!own.log.includes(text), `${text} stands in the log`);
  }
});
