// Two operators' wallets: a holder's account at the one is bound in the other with a code that the holder is sent, pays a
// shop there and is refunded; the holder sets limits and ends it. Both sides in a browser.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  balance, bind, cardOf, env, friend, json, keyIn, launch, messages, nextCode, payOnPage, payPath, phone, register, secret,
  shopOrder, shopState, shot, signIn, topUp, until,
} from "./lib.mjs";

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

test("an account of another wallet is bound, pays, is refunded, is limited and is let go", async () => {
  const card = await cardOf(24);
  const holder = await register(card.phone, friend);
  await topUp(holder, await bind(holder, card, "debit", friend), "100.00", friend);

  // The holder finds the account's number.
  const theirs = await phone(browser);
  await signIn(theirs, holder, friend);
  const there = await theirs.newPage();
  await there.goto(`${friend.wallet}/cards`);
  await shot(there, "issuer-cards");
  await there.locator('a[href="/apps"]').tap();
  await there.waitForURL(`${friend.wallet}/apps`);
  await shot(there, "issuer-apps-none");
  const number = secret(await there.locator("[data-account]").getAttribute("data-account"));
  assert.match(number, /^998801\d{12}$/);

  // The same person binds it where they are new.
  const token = await register(card.phone);
  const ours = await phone(browser);
  await signIn(ours, token);
  const here = await ours.newPage();
  await here.goto(`${env.wallet}/cards/new`);
  for (const [name, value] of Object.entries({ ...card, number })) await here.fill(`[name=${name}]`, value);
  const [seen, ownSeen] = [(await messages(card.phone, friend)).length, (await messages(card.phone)).length];
  await here.locator("#card-new .go").tap();
  await keyIn(here);
  await here.waitForSelector("#card-confirm");
  const code = await nextCode(card.phone, seen, friend);
  assert.equal((await messages(card.phone)).length, ownSeen, "the code is the issuer's to send");
  await there.goto(`${friend.inbox}/?to=${card.phone}`);
  await shot(there, "issuer-inbox");
  await here.fill("[name=code]", code);
  await shot(here, "app-code");
  await here.locator("#card-confirm .go").tap();
  await here.waitForURL(/\/cards\/\d{28}/);
  assert.match(await here.locator("main").innerText(), /邻里钱包/);
  await shot(here, "app-bound");
  const account = /\/cards\/(\d{28})/.exec(here.url())[1];

  // It pays, and both sides say so.
  const order = await shopOrder("dumplings");
  await here.goto(`${env.wallet}${await payPath(token, order.code_url)}`);
  await shot(here, "app-pay");
  await payOnPage(here, account);
  await here.waitForSelector('[data-state="paid"]');
  await shot(here, "app-paid");
  assert.equal(await balance(holder, friend), 10_000 - order.amount.minor);
  await there.goto(`${friend.wallet}/records`);
  await shot(there, "issuer-records");
  await there.locator('a[href^="/records/6400"]').first().tap();
  await there.waitForURL(/\/records\/6400/);
  assert.match(await there.locator("main").innerText(), /口袋/);
  await shot(there, "issuer-record");
  await until("the shop is told", async () => (await shopState(order.order_no)).state === "paid");
  await json(`${env.shop}/orders/${order.order_no}/refund`, { body: {} });
  await until("the money is back", async () => (await balance(holder, friend)) === 10_000);

  // The holder lets the app take less.
  await there.goto(`${friend.wallet}/apps`);
  await shot(there, "issuer-apps");
  await there.locator('a[href^="/apps/6300"]').tap();
  await there.waitForURL(/\/apps\/6300/);
  await there.fill("[name=per_payment]", "1");
  await shot(there, "issuer-app");
  await there.locator("[data-open]").tap();
  await keyIn(there);
  await there.waitForURL(`${friend.wallet}/apps`);
  assert.match(await there.locator('a[href^="/apps/6300"]').innerText(), /¥\s*1\.00/);
  const dear = await shopOrder("noodles");
  await here.goto(`${env.wallet}${await payPath(token, dear.code_url)}`);
  await payOnPage(here, account);
  await here.waitForSelector('[data-refusal="CARD_OVER_LIMIT"]');
  await shot(here, "app-over-the-limit");
  assert.equal(await balance(holder, friend), 10_000, "nothing was charged");

  // And ends it.
  await there.locator('a[href^="/apps/6300"]').tap();
  await there.locator('a[href$="/end"]').tap();
  await there.waitForURL(/\/end$/);
  await shot(there, "issuer-end");
  await there.locator("#end .go").tap();
  await there.waitForURL(`${friend.wallet}/apps`);
  await there.waitForSelector('[data-state="ended"]');
  await here.goto(`${env.wallet}${await payPath(token, dear.code_url)}`);
  await payOnPage(here, account);
  await here.waitForSelector('[data-refusal="CARD_NOT_USABLE"]');
  await shot(here, "app-ended");
  assert.equal(await balance(holder, friend), 10_000);
  await theirs.close();
  await ours.close();
});
