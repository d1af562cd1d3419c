// Last, as its name says: nothing secret that the other tests typed, were sent or were given stands in the server's log,
// which was written at its most talkative. What support needs to follow a payment does stand in it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { PIN, env, json, payPath, person, secret, shopOrder } from "./lib.mjs";
import { merchant } from "./merchant.mjs";

/** Whether a log has a secret; short runs of digits only whole, and not as the fraction of a second. */
function find(log, text) {
  if (!/^\d{6}$/.test(text)) return log.indexOf(text);
  return log.search(new RegExp(String.raw`(?<!\d)(?<!:\d\d\.)${text}(?!\d)`));
}

test("a search finds what it should", () => {
  assert.equal(find("at 10:00:00.123456Z", "123456"), -1);
  assert.equal(find("id=91234567", "123456"), -1);
  assert.ok(find('code="123456"', "123456") > 0);
  assert.ok(find("pin=123456\n", "123456") > 0);
});

test("no secret is in the log, and a payment can be followed by its ids", async () => {
  // One of each kind of secret, so that this holds whatever ran before.
  const payer = await person(16, "20.00");
  secret(payer.card.id_number, payer.card.number, payer.token);
  const path = await payPath(payer.token, (await shopOrder("dumplings")).code_url);
  const paid = await json(env.wallet + path, {
    token: payer.token, body: { method: payer.cardId, payment_password: PIN },
  });
  const order = /^\/records\/(4200\d{24})$/.exec(paid.body.record)?.[1];
  assert.ok(order, JSON.stringify(paid.body));

  const log = readFileSync(process.env.KOUDAI_LOG, "utf8");
  assert.match(log, / DEBUG /, "the log is at its most talkative");
  const keys = (pem) => pem.split("\n").filter((line) => line && !line.startsWith("-----"));
  const secrets = new Set([
    ...readFileSync(process.env.KOUDAI_SECRETS, "utf8").split("\n").filter(Boolean),
    merchant.apiv3_key,
    ...keys(merchant.private_key_pem),
  ]);
  assert.ok(secrets.has(PIN) && secrets.size > 20);
  const leaks = [...secrets].map((text) => [text, find(log, text)]).filter(([, at]) => at >= 0);
  const lines = leaks.map(([text, at]) => `${text}: ${log.slice(log.lastIndexOf("\n", at) + 1, log.indexOf("\n", at))}`);
  assert.deepEqual(lines, []);

  const line = log.split("\n").find((text) => text.includes(order) && /\b7000\d{24}\b/.test(text));
  assert.ok(line, "a line of the log ties the order to its attempt");
});
