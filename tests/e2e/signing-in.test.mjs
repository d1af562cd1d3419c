// Signing in by phone, e-mail, password and passkey, with codes that come by a real short message centre and a real mail relay;
// and the security centre, where all of that is set up.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, test } from "node:test";
import { PIN, device as deviceOf, freshNumber, keyIn, launch, press, sessionOf, shot } from "./lib.mjs";
import { ownWallet } from "./messengers.mjs";

const PASSWORD = "tulip-ferry-9-quartz";
let browser, own, wallet, centre, relay;

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

/** From the first page to the wallet by a code to a phone. */
async function signInByPhone(page, number) {
  const to = `86${number}`;
  const seen = centre.inbox.count(to);
  await page.goto(`${wallet}/login`);
  await page.fill("[name=phone]", number);
  await press(page, "#login-code");
  await page.waitForURL(/\/login\/code/);
  const message = await centre.inbox.next(to, seen);
  await page.fill("[name=code]", message.code);
  await page.locator("#agree").check();
  await press(page, "#login");
  return message;
}

async function signOut(page) {
  await page.goto(wallet);
  await page.locator("#logout button").tap();
  await page.waitForURL(/\/login/);
}

test("a person signs in by every way there is, each set up in the security centre", async () => {
  const number = freshNumber();
  const address = `anna.${number}@mail.example`;
  const { context, page, problems, finger } = await device();
  const message = await signInByPhone(page, number);
  assert.match(message.text, /^【.+】验证码 \d{6}，用于登录，5 分钟内有效。任何人索要都是诈骗。$/, "in the reader's language only");
  await page.waitForURL(/payment-password/);
  await keyIn(page);
  await keyIn(page);
  await page.waitForURL(`${wallet}/`);
  await page.locator('a[href="/security"]').first().tap();
  await page.waitForURL(/\/security$/);
  await shot(page, "security-new");

  // An e-mail address, confirmed by a code that comes as mail.
  await page.locator('a[href="/security/email"]').tap();
  await page.waitForURL(/\/security\/email/);
  await shot(page, "security-email");
  await page.fill("#email-code [name=email]", "nonsense@");
  await page.evaluate(() => { document.querySelector("#email-code").noValidate = true; });
  await press(page, "#email-code");
  await page.waitForSelector('[data-refusal="EMAIL_INVALID"]');
  await shot(page, "security-email-refused");
  await page.fill("#email-code [name=email]", address.toUpperCase());
  await press(page, "#email-code");
  const mail = await relay.inbox.next(address, 0);
  assert.match(mail.subject, /验证码$/);
  assert.match(mail.text, /任何人索要验证码都是诈骗/);
  assert.ok(!/https?:/.test(mail.text) && !mail.html, "no link, no HTML");
  await page.waitForSelector("#email [name=code]");
  await shot(page, "security-email-code");
  await page.fill("#email [name=code]", mail.code);
  await press(page, "#email");
  await page.waitForURL(/\/security$/);

  // A password: a common one is refused, and a good one taken.
  await page.locator('a[href="/security/password"]').tap();
  await page.waitForURL(/\/security\/password/);
  await page.fill("[name=password]", "password123");
  await press(page, "#login-password");
  await page.waitForSelector('[data-refusal="LOGIN_PASSWORD_COMMON"]');
  await shot(page, "security-password-refused");
  await page.fill("[name=password]", PASSWORD);
  await press(page, "#login-password");
  await page.waitForURL(/\/security$/);

  // A passkey: whoever does not give a finger adds none.
  await page.locator('a[href="/security/passkeys"]').tap();
  await page.waitForSelector("#passkey-new:not([hidden])");
  await shot(page, "security-passkeys-new");
  await finger(false);
  await press(page, "#passkey-new");
  await page.waitForFunction(() => !document.querySelector("#passkey-new button").disabled);
  assert.equal(await page.locator("a.cell").count(), 0);
  await finger(true);
  await press(page, "#passkey-new");
  await page.waitForSelector("a.cell");
  await shot(page, "security-passkeys");
  await page.goto(`${wallet}/security`);
  await shot(page, "security");
  const stolen = await sessionOf(context);

  // By the passkey, with nothing typed.
  await signOut(page);
  await page.waitForSelector("#login-passkey:not([hidden])");
  await shot(page, "login-with-passkey");
  await page.locator("#login-passkey button").tap();
  await page.waitForURL(`${wallet}/`);
  const other = await sessionOf(context);
  assert.notEqual(other, stolen, "each time a session of its own");
  const gone = await fetch(`${wallet}/security`, { headers: { accept: "application/json", authorization: `Bearer ${stolen}` } });
  assert.equal(gone.status, 401, "a session that was signed out is over");

  // By the password, on a device that was used before.
  await signOut(page);
  await page.locator('a[href="/login?by=password"]').tap();
  await page.waitForURL(/by=password/);
  await page.fill("[name=account]", address);
  await page.fill("[name=password]", "not-the-password");
  await press(page, "#login-password");
  await page.waitForSelector('[data-refusal="SIGN_IN_WRONG"]');
  await shot(page, "login-password-refused");
  assert.equal(await page.inputValue("[name=account]"), address, "what was typed is there still");
  await page.fill("[name=password]", PASSWORD);
  await press(page, "#login-password");
  await page.waitForURL(`${wallet}/`);

  // By a code to the address, in English.
  await signOut(page);
  await page.locator('a[href^="/lang/en"]').tap();
  await page.waitForSelector('html[lang="en"]');
  await page.locator('a[href="/login?by=email"]').tap();
  await page.waitForURL(/by=email/);
  await shot(page, "login-email-en");
  await page.fill("[name=email]", address);
  await press(page, "#login-code");
  await page.waitForURL(/\/login\/code/);
  const letter = await relay.inbox.next(address, 1);
  assert.match(letter.subject, /^Your .+ code$/);
  assert.match(letter.text, /It is for sign-in and valid for 5 minutes/);
  await page.fill("[name=code]", letter.code);
  await page.locator("#agree").check();
  await shot(page, "login-email-code-en");
  await press(page, "#login");
  await page.waitForURL(`${wallet}/`);
  assert.deepEqual(problems, []);
  await context.close();

  // On a device that is new the password is not enough.
  const stranger = await device({ colorScheme: "dark" });
  await stranger.page.goto(`${wallet}/login?by=password&next=%2Fsecurity`);
  await stranger.page.fill("[name=account]", number);
  await stranger.page.fill("[name=password]", PASSWORD);
  const seen = centre.inbox.count(`86${number}`);
  await press(stranger.page, "#login-password");
  await stranger.page.waitForURL(/\/login\/code/);
  await shot(stranger.page, "login-new-device-dark");
  const code = await centre.inbox.next(`86${number}`, seen);
  await stranger.page.fill("[name=code]", code.code);
  await stranger.page.locator("#agree").check();
  await press(stranger.page, "#login");
  await stranger.page.waitForURL(/\/security$/);
  await shot(stranger.page, "security-dark");
  assert.deepEqual(stranger.problems, []);
  await stranger.context.close();
});

/** What an authenticator app with this secret shows, so many half minutes from now (RFC 6238). */
function shownBy(secret, ahead = 0) {
  const bits = [...secret].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigInt64BE(BigInt(Math.floor(Date.now() / 30_000) + ahead));
  const mac = createHmac("sha1", key).update(step).digest();
  return String((mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

test("two steps: an app, recovery codes, codes to phone and address, each on a device that is new", async () => {
  const number = freshNumber();
  const address = `ben.${number}@mail.example`;
  const first = await device();
  const { page } = first;
  await signInByPhone(page, number);
  await page.waitForURL(/payment-password/);
  await page.goto(`${wallet}/security`);
  await page.locator('a[href="/security/two-steps"]').tap();
  await page.waitForURL(/two-steps$/);
  await shot(page, "two-steps-off");
  await page.locator('a[href="/security/two-steps/app"]').tap();
  await page.waitForURL(/two-steps\/app$/);
  await shot(page, "app-off");
  await press(page, "#app-offer");
  const secret = await page.locator("[data-secret]").getAttribute("data-secret");
  await shot(page, "app-new");
  const link = new URL(await page.locator('a[href^="otpauth:"]').getAttribute("href"));
  assert.deepEqual([link.searchParams.get("secret"), link.searchParams.get("digits"), link.searchParams.get("period")], [secret, "6", "30"]);
  assert.ok(!link.href.includes(number), "an app shows the number masked");
  const wrong = String((Number(shownBy(secret)) + 1) % 1_000_000).padStart(6, "0");
  await page.fill("[name=code]", wrong);
  await press(page, "#app-confirm");
  await page.waitForSelector('[data-refusal="SECOND_STEP_WRONG"]');
  await page.fill("[name=code]", shownBy(secret));
  await press(page, "#app-confirm");
  await page.waitForSelector("[data-recovery-code]");
  await shot(page, "recovery-codes");
  const codes = await page.locator("[data-recovery-code]").allInnerTexts();
  assert.equal(codes.length, 10);
  await page.locator(".dock .go").tap();
  await page.waitForURL(/two-steps$/);
  await shot(page, "two-steps-app");

  // By the app, on a new device; the code that set it up is used.
  const other = await device({ locale: "en-GB", colorScheme: "dark" });
  await signInByPhone(other.page, number);
  await other.page.waitForURL(/login\/second/);
  await shot(other.page, "second-app-dark");
  await other.page.fill("[name=code]", wrong);
  await press(other.page, "#second");
  await other.page.waitForSelector('[data-refusal="SECOND_STEP_WRONG"]');
  await shot(other.page, "second-refused-dark");
  await other.page.fill("[name=code]", shownBy(secret, 1));
  await press(other.page, "#second");
  await other.page.waitForURL(/payment-password/);

  // Codes by mail as well: the address first.
  await page.goto(`${wallet}/security/email`);
  await page.fill("#email-code [name=email]", address);
  await press(page, "#email-code");
  const mail = await relay.inbox.next(address, 0);
  await page.fill("#email [name=code]", mail.code);
  await press(page, "#email");
  await page.waitForURL(/\/security$/);
  await page.goto(`${wallet}/security/two-steps`);
  await page.locator("#two-steps-codes button").tap();
  await page.waitForSelector("#two-steps-codes [value=no]", { state: "attached" });
  await shot(page, "two-steps-on");

  const third = await device();
  await signInByPhone(third.page, number);
  await third.page.waitForURL(/login\/second/);
  await third.page.locator('a[href*="by=code"]').tap();
  await third.page.waitForSelector("#second-code .go");
  await shot(third.page, "second-code");
  await press(third.page, "#second-code");
  const letter = await relay.inbox.next(address, 1);
  assert.match(letter.text, /两步验证/);
  await third.page.waitForSelector("#second");
  await third.page.fill("[name=code]", letter.code);
  await shot(third.page, "second-code-sent");
  await press(third.page, "#second");
  await third.page.waitForURL(/payment-password/);

  // And by a recovery code, once.
  for (const [at, works] of [[codes[2].toLowerCase().replace("-", " "), true], [codes[2], false]]) {
    const fourth = await device();
    await signInByPhone(fourth.page, number);
    await fourth.page.waitForURL(/login\/second/);
    await fourth.page.locator('a[href*="by=recovery"]').tap();
    await fourth.page.fill("[name=code]", at);
    if (works) await shot(fourth.page, "second-recovery");
    await press(fourth.page, "#second");
    if (works) await fourth.page.waitForURL(/payment-password/);
    else await fourth.page.waitForSelector('[data-refusal="SECOND_STEP_WRONG"]');
    assert.deepEqual(fourth.problems, []);
    await fourth.context.close();
  }

  // Proof takes the second step too.
  await other.page.goto(`${wallet}/security`);
  await shot(other.page, "security-two-steps-dark");
  for (const each of [first, other, third]) {
    assert.deepEqual(each.problems, []);
    await each.context.close();
  }
});

test("an address that no account has is answered alike, and nobody is written to", async () => {
  const { context, page } = await device();
  await page.goto(`${wallet}/login?by=email`);
  await page.fill("[name=email]", "nobody@mail.example");
  await press(page, "#login-code");
  await page.waitForURL(/\/login\/code/);
  assert.match(await page.locator("main .note").first().innerText(), /如果该邮箱可用，验证码已发送/);
  // A message asked for after it has arrived: had there been one before, it would have too.
  const { page: other, context: others } = await device();
  await signInByPhone(other, freshNumber());
  assert.equal(relay.inbox.count("nobody@mail.example"), 0);
  await Promise.all([context.close(), others.close()]);
});

test("nothing that was typed or sent stands in the log", () => {
  for (const text of [PASSWORD, PIN, own.password, "not-the-password", "@mail.example", "验证码"]) {
    assert.ok(!own.log.includes(text), `${text} stands in the log`);
  }
  assert.match(own.log, /message/, "messages are logged by their ids");
});
