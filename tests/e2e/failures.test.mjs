// Everything that may refuse a payment, a card or a code. Each time a person reads what happened, that no money moved, what to do next and a
// reference; a program reads the same from the same code.
import assert from "node:assert/strict";
import { before } from "node:test";
import { PIN, bind, env, json, keyIn, payOnPage, payPath, person, register, secret, shopOrder, shot } from "./lib.mjs";
import { allow, close, place } from "./merchant.mjs";
import { atOrder, bankFunds, paysOnce, post, refused, shows, stage, testCard, unharmed } from "./paying.mjs";

const CHECKING = "正在确认支付结果，请勿重复付款";

const { on } = stage();
let payer;
/** Customer 1, with cards 3, 5 and 6 by number. */
let liMing;
before(async () => {
  payer = await person(14, "10.00");
  const token = await register(testCard(3).phone);
  const { body } = await json(`${env.wallet}/cards`, { token });
  liMing = { token, cards: {} };
  for (const no of [3, 5, 6]) {
    const card = testCard(no);
    liMing.cards[no] = body.cards.find(({ last4 }) => card.number.endsWith(last4))?.card_id ?? (await bind(token, card));
  }
});

const pay = (who, path, method = "balance", pin = PIN) => post(who, path, { method, payment_password: pin });

/** An order of the tests' own merchant, with its page open. */
async function atTill(who) {
  const order = await place();
  const path = await payPath(who.token, order.code_url);
  await who.page.goto(env.wallet + path);
  return { ...order, path };
}

on("a balance that falls short is greyed, and refused if it shrank meanwhile", () => payer, async (who) => {
  const { page } = who;
  const order = await atOrder(who); // ¥8.80 of ¥10.00, which the next one takes.
  const other = await payPath(who.token, (await shopOrder("dumplings")).code_url);
  assert.equal((await pay(who, other)).body.state, "paid");
  await unharmed(who, async () => {
    const refusal = refused(await pay(who, order.path), "INSUFFICIENT_BALANCE");
    await payOnPage(page, "balance");
    await shows(page, refusal);
    await page.waitForSelector("#method-balance:disabled", { state: "attached" });
    assert.match(await page.locator('label[for="method-balance"]').innerText(), /余额不足/, "the reason shows at once");
    assert.ok(await page.locator(`#method-${who.cardId}`).isChecked(), "the card is offered instead");
    await shot(page, "insufficient-balance");
    await page.goto(env.wallet + order.path);
    assert.ok(await page.locator("#method-balance").isDisabled());
    assert.match(await page.locator('label[for="method-balance"]').innerText(), /余额不足/);
    assert.ok(await page.locator(`#method-${who.cardId}`).isChecked(), "the card is offered instead");
    await shot(page, "balance-greyed");
  });
});

on("an order that the merchant closed", () => payer, (who) => unharmed(who, async () => {
  const order = await atTill(who);
  await close(order);
  refused(await pay(who, order.path, who.cardId), "ORDER_CLOSED");
  await payOnPage(who.page, who.cardId);
  await who.page.waitForSelector('[data-state="closed"][data-refusal="ORDER_CLOSED"]');
  assert.match(await who.page.locator("main").innerText(), /订单已关闭[^]*未扣款[^]*请商家重新下单/);
  await shot(who.page, "closed");
}));

on("an order that somebody else paid", () => payer, (who) => unharmed(who, async () => {
  const order = await atOrder(who);
  const friend = await person(15, "10.00");
  assert.equal((await pay(friend, order.path)).body.state, "paid");
  refused(await pay(who, order.path, who.cardId), "ORDER_ALREADY_PAID");
  await payOnPage(who.page, who.cardId);
  await who.page.getByText("该订单已支付").waitFor();
  await who.page.waitForSelector('[data-state="paid-by-another"][data-refusal="ORDER_ALREADY_PAID"]');
  assert.match(await who.page.locator("main").innerText(), /本次未扣款[^]*无需再付[^]*参考号/);
  assert.equal(await who.page.locator('a[href^="/records/4200"]').count(), 0, "somebody else's receipt is not shown");
  await shot(who.page, "already-paid");
}));

for (const [code, right, restored] of [
  ["PRODUCT_NOT_ENABLED", ["--products", "jsapi"], ["--products", "native"]],
  ["MERCHANT_SUSPENDED", ["--suspend"], ["--resume"]],
]) {
  on(`a merchant who may not: ${code}`, () => payer, (who) => unharmed(who, async () => {
    const order = await atTill(who);
    allow(...right);
    try {
      const refusal = refused(await pay(who, order.path, who.cardId), code);
      await payOnPage(who.page, who.cardId);
      await shows(who.page, refusal);
      await shot(who.page, code.toLowerCase());
    } finally {
      allow(...restored);
    }
  }));
}

on("a wrong payment password counts down and locks", () => person(13, "10.00"), (who) => unharmed(who, async () => {
  const { page } = who;
  const order = await atOrder(who);
  const wrong = secret("918273");
  const first = refused(await pay(who, order.path, "balance", wrong), "PAYMENT_PASSWORD_WRONG");
  assert.match(first.title, /还可输入 4 次/);
  await payOnPage(page, "balance", wrong);
  await shows(page, first, "支付密码错误，还可输入 3 次");
  await shot(page, "wrong-payment-password");
  // The sheet stays open for the next try.
  for (const left of [2, 1]) {
    await keyIn(page, wrong);
    await page.getByText(`还可输入 ${left} 次`).waitFor();
  }
  await keyIn(page, wrong);
  await page.locator('[data-refusal="PAYMENT_PASSWORD_LOCKED"]').waitFor();
  await shows(page, refused(await pay(who, order.path), "PAYMENT_PASSWORD_LOCKED"));
  await shot(page, "locked");
}));

on("a card without money", () => liMing, (who) => unharmed(who, async () => {
  const { page, cards } = who;
  const order = await atOrder(who);
  const other = await payPath(who.token, (await shopOrder("dumplings")).code_url);
  const refusal = refused(await pay(who, other, cards[3]), "CARD_INSUFFICIENT_FUNDS");
  await payOnPage(page, cards[3]);
  await shows(page, refusal);
  assert.ok(!(await page.isChecked(`#method-${cards[3]}`)), "the card is not tried again by itself");
  await page.reload();
  await shows(page, refusal);
  assert.ok(!(await page.isChecked(`#method-${cards[3]}`)));
  await shot(page, "card-without-money");
  assert.ok(await page.locator("[data-open]").isVisible(), "the order may be paid by other means");
}));

for (const [no, what] of [[5, "answers late"], [6, "never answers"]]) {
  on(`a bank that ${what}: the page waits and becomes paid by itself`, () => liMing, async (who) => {
    const order = await atOrder(who);
    await paysOnce(who, order, async () => {
      await payOnPage(who.page, who.cards[no]);
      await who.page.waitForSelector('[data-state="pending"]');
      await who.page.getByText(CHECKING).waitFor();
      const other = refused(await pay(who, order.path), "ORDER_BEING_PAID");
      assert.equal(other.title, CHECKING);
      await shot(who.page, "bank-is-asked");
      await who.page.waitForSelector('[data-state="paid"]', { timeout: 60_000 });
    }, () => bankFunds(testCard(no)));
  });
}

for (const [no, code, whom] of [
  [4, "CARD_DETAILS_MISMATCH", () => liMing],
  [8, "CARD_NOT_USABLE", async () => ({ token: await register(testCard(8).phone) })],
]) {
  on(`card ${no} is not bound: ${code}`, whom, async (who) => {
    const { page } = who;
    const card = testCard(no);
    secret(card.number);
    const listed = async () => (await json(`${env.wallet}/cards`, { token: who.token })).body.cards;
    const had = await listed();
    const refusal = refused(await post(who, "/cards", { binding_id: `b-${Date.now()}`, kind: "debit", ...card, payment_password: PIN }), code);
    await page.goto(`${env.wallet}/cards/new`);
    for (const [name, value] of Object.entries(card)) {
      // Whoever has been proven is not asked for a name again.
      const field = page.locator(`#card-new [name=${name}]`);
      if (await field.count()) await field.fill(value);
    }
    await page.locator("#card-new .go").tap();
    await keyIn(page);
    await shows(page, refusal);
    assert.equal((await page.inputValue("[name=number]")).replaceAll(" ", ""), card.number, "nobody types 19 digits twice");
    assert.deepEqual(await listed(), had);
    await shot(page, `card-${no}`);
  });
}

on("codes that are not ours, were swapped or cannot be read", () => payer, async (who) => {
  const { page } = who;
  const { code_url } = await shopOrder("dumplings");
  const [link, signature] = code_url.split("#");
  const swapped = `${link}#${signature[0] === "-" ? "_" : "-"}${signature.slice(1)}`;
  for (const [text, code] of [
    ["https://pay.example/q/abcdefghijklmnopqrstuv#x", "CODE_NOT_OURS"],
    ["你好", "CODE_NOT_OURS"],
    [swapped, "CODE_SWAPPED"],
    [link, "CODE_SWAPPED"],
  ]) {
    const refusal = refused(await post(who, "/scan", { text }), code);
    await page.goto(`${env.wallet}/scan`);
    await page.fill("#scan [name=text]", text);
    await page.press("#scan [name=text]", "Enter");
    await shows(page, refusal);
  }

  const blank = await page.screenshot();
  const form = new FormData();
  form.append("picture", new Blob([blank], { type: "image/png" }), "blank.png");
  const headers = { accept: "application/json", authorization: `Bearer ${who.token}` };
  const answer = await fetch(`${env.wallet}/scan`, { method: "POST", headers, body: form });
  const refusal = refused({ status: answer.status, body: await answer.json() }, "CODE_UNREADABLE");
  for (const buffer of [blank, Buffer.from("not a picture")]) {
    await page.goto(`${env.wallet}/scan`);
    await page.setInputFiles("[name=picture]", { name: "picture.png", mimeType: "image/png", buffer });
    await shows(page, refusal);
  }
  await shot(page, "unreadable");
});
