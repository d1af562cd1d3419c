// Confirming by a finger instead of the payment password, and the way back when that is locked.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { atOrder } from "./paying.mjs";
import { PIN, balance, env, fingerAt, keyIn, launch, messages, nextCode, payOnPage, person, phone, secret, shot, signIn } from "./lib.mjs";

const NEW_PIN = secret("864297");
let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

test("a passkey is allowed to pay, pays what is on the page, and gives way to the payment password", async () => {
  const who = await person(30, "300.00");
  const context = await phone(browser);
  await signIn(context, who.token);
  const page = await context.newPage();
  const finger = await fingerAt(context, page);
  const on = { page, token: who.token };

  // Without one, nothing of it is shown.
  await atOrder(on);
  assert.equal(await page.locator("[data-by-passkey]").count(), 0);
  await page.goto(`${env.wallet}/security/passkeys`);
  await page.waitForSelector("#passkey-new:not([hidden])");
  await page.locator("#passkey-new .go").tap();
  await page.locator("a.cell").tap();
  await page.waitForSelector('[data-pays="false"]');
  await shot(page, "passkey");
  await page.locator("[data-open]").tap();
  await shot(page, "passkey-allow");
  await keyIn(page);
  await page.waitForSelector('[data-pays="true"]');
  await shot(page, "passkey-pays");

  const first = await atOrder(on);
  await page.locator('label[for="method-balance"]').tap();
  await page.locator("[data-open]").tap();
  await page.locator("[data-by-passkey]:visible").waitFor();
  await shot(page, "sheet");
  await page.locator("[data-by-passkey]").tap();
  await page.waitForSelector('[data-state="paid"]');
  assert.equal(await balance(who.token), 30_000 - first.price);

  // The next time it is asked for by itself.
  const second = await atOrder(on);
  await page.locator('label[for="method-balance"]').tap();
  await page.locator("[data-open]").tap();
  await page.waitForSelector('[data-state="paid"]');
  const left = 30_000 - first.price - second.price;
  assert.equal(await balance(who.token), left);

  // A finger that the phone does not know: the keys are there.
  await finger(false);
  const third = await atOrder(on);
  await page.locator('label[for="method-balance"]').tap();
  await page.locator("[data-open]").tap();
  await page.waitForFunction(() => document.querySelector("[data-pin] [data-note]").textContent !== "");
  await shot(page, "not-recognised");
  await keyIn(page);
  await page.waitForSelector('[data-state="paid"]');
  assert.equal(await balance(who.token), left - third.price);

  // Topping up, by a press this time.
  await finger(true);
  await page.goto(`${env.wallet}/top-up`);
  await page.fill("[name=amount]", "20");
  await page.locator("[data-open]").tap();
  await page.locator("[data-by-passkey]").tap();
  await page.waitForSelector('[data-state="succeeded"]');
  assert.equal(await balance(who.token), left - third.price + 2_000);

  // Taken back, it is offered no more.
  await page.goto(`${env.wallet}/security/passkeys`);
  await page.locator("a.cell").tap();
  await page.locator("#passkey-pay-off button").tap();
  await page.waitForSelector('[data-pays="false"]');
  await atOrder(on);
  assert.equal(await page.locator("[data-by-passkey]").count(), 0);
  await context.close();
});

test("a payment password that is locked is set anew by a code and the number of a card; a known one is changed", async () => {
  const who = await person(31, "100.00");
  const context = await phone(browser, { locale: "en-GB", colorScheme: "dark" });
  await signIn(context, who.token);
  const page = await context.newPage();
  const order = await atOrder({ page, token: who.token });
  await payOnPage(page, "balance", "111222");
  await page.waitForSelector('[data-refusal="PAYMENT_PASSWORD_WRONG"]');
  for (let tries = 0; tries < 3; tries += 1) {
    const before = await page.locator("[data-refusal]").innerText();
    await keyIn(page, "111222");
    await page.waitForFunction((text) => document.querySelector("[data-refusal]")?.innerText !== text, before);
  }
  await shot(page, "last-try-dark");
  await keyIn(page, "111222");
  await page.waitForSelector('[data-refusal="PAYMENT_PASSWORD_LOCKED"]');
  await shot(page, "locked-dark");
  await page.locator('[data-refusal] a[href="/payment-password/forgot"]').tap();
  await page.waitForURL(/forgot/);
  await shot(page, "forgot-dark");
  const seen = (await messages(who.number)).length;
  await page.locator("#reset-code .go").tap();
  await page.waitForSelector("#reset");
  const code = await nextCode(who.number, seen);
  await page.fill("[name=code]", code);
  await page.fill("[name=number]", who.card.number);
  await shot(page, "forgot-code-dark");
  await page.locator("#reset .go").tap();
  await page.waitForURL(/payment-password\/new/);
  await keyIn(page, "850101");
  await page.waitForFunction(() => document.querySelector("[data-note]").classList.contains("bad"));
  await shot(page, "birthday-dark");
  await keyIn(page, NEW_PIN);
  await keyIn(page, NEW_PIN);
  await page.waitForURL(/\/security$/);
  await page.goto(env.wallet + order.path);
  await payOnPage(page, "balance", NEW_PIN);
  await page.waitForSelector('[data-state="paid"]');

  await page.goto(`${env.wallet}/security`);
  await shot(page, "security-dark");
  await page.locator('a[href="/payment-password/change"]').tap();
  await page.waitForURL(/change/);
  await shot(page, "change-dark");
  await keyIn(page, NEW_PIN);
  await page.waitForURL(/payment-password\/new/);
  await keyIn(page, PIN);
  await keyIn(page, PIN);
  await page.waitForSelector('[data-refusal="PAYMENT_PASSWORD_REUSED"]');
  await shot(page, "reused-dark");
  await context.close();
});
