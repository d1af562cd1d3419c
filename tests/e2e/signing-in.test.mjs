// Signing in by phone, e-mail, password and passkey, with codes that come by a real short message centre and a real mail relay;
// and the security centre, where all of that is set up.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { PIN, fingerAt, freshNumber, keyIn, launch, phone, sessionOf, shot } from "./lib.mjs";
import { mailRelay, messageCentre } from "./messengers.mjs";

const PASSWORD = "tulip-ferry-9-quartz";
const CENTRE_PASSWORD = "cent-re9";
const folder = mkdtempSync(join(tmpdir(), "koudai-signing-in-"));
let browser, centre, relay, demo, wallet;
let log = "";

before(async () => {
  [browser, centre, relay] = await Promise.all([launch(), messageCentre("koudai", CENTRE_PASSWORD), mailRelay()]);
  writeFileSync(join(folder, "centre-password"), CENTRE_PASSWORD, { mode: 0o600 });
  demo = spawn(process.env.KOUDAI_BIN, [
    "--log", "debug", "demo", "--json", "--data", join(folder, "data"),
    "--sms-url", `smpp://koudai@127.0.0.1:${centre.port}`, "--sms-token-file", join(folder, "centre-password"),
    "--sms-sender", "10690000", "--mail-url", `smtp://127.0.0.1:${relay.port}`, "--mail-from", "Koudai <wallet@koudai.example>", "--sign-in-rules", "code-gap=1",
  ], { stdio: ["ignore", "pipe", "pipe"] });
  demo.stderr.on("data", (bytes) => { log += bytes; });
  const [addresses] = await once(demo.stdout, "data");
  ({ wallet } = JSON.parse(addresses));
});

after(async () => {
  await browser?.close();
  demo?.kill();
  if (demo && demo.exitCode === null) await once(demo, "exit");
  centre?.close();
  relay?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A browser of its own in which a page is open, with a finger that unlocks passkeys. */
async function device(options) {
  const context = await phone(browser, options);
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => { if (message.type() === "error" && !/status of 4/.test(message.text())) problems.push(message.text()); });
  return { context, page, problems, finger: await fingerAt(context, page) };
}

const press = (page, form) => page.locator(`${form} .go`).first().tap();

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
  for (const text of [PASSWORD, PIN, CENTRE_PASSWORD, "not-the-password", "@mail.example", "验证码"]) {
    assert.ok(!log.includes(text), `${text} stands in the log`);
  }
  assert.match(log, /message/, "messages are logged by their ids");
});
