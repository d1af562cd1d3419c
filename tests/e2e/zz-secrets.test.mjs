// Last, as its name says: nothing secret that the other tests typed, were sent or were given stands in the server's log,
// which was written at its most talkative. What support needs to follow a payment does stand in it.
import assert from "node:assert/strict";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { PIN, env, freshNumber, json, payPath, person, register, secret, shopOrder } from "./lib.mjs";
import { merchant } from "./merchant.mjs";
import { post, refused } from "./paying.mjs";

/** Where a log has a secret: codes only as whole numbers and not as the fraction of a second, card numbers in fours too. */
function find(log, text) {
  if (/^\d{3,6}$/.test(text)) return log.search(new RegExp(String.raw`(?<!\d)(?<!:\d\d\.)${text}(?!\d)`));
  if (/^\d{15,19}$/.test(text)) return log.search(new RegExp([...text].join("[ -]?")));
  return log.indexOf(text);
}

/** The lines of every private key, and what else is kept beside them to sign or to unlock with, in a data directory. */
function kept(directory) {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .map((name) => join(directory, name))
    .filter((path) => /((key|token|merchant)[^/]*|keys\/platform\/[^/]*\.json)$/.test(path) && !/public_key(_id|\.pem)$/.test(path) && statSync(path).isFile())
    .flatMap((path) => {
      const bytes = readFileSync(path);
      const text = bytes.toString("utf8");
      if (path.endsWith(".json")) {
        const { private_key_pem, apiv3_key } = JSON.parse(text);
        return [apiv3_key, ...lines(private_key_pem)].filter(Boolean);
      }
      // Keys that are bytes would stand in a log as one of these.
      return /^[\x20-\x7e\s]*$/.test(text) ? lines(text) : [bytes.toString("hex"), bytes.toString("base64")];
    });
}

const lines = (pem) => pem.split("\n").filter((line) => line && !line.startsWith("-----"));

test("a search finds what it should", () => {
  assert.equal(find("at 10:00:00.123456Z", "123456"), -1);
  assert.equal(find("id=91234567", "123456"), -1);
  assert.ok(find('code="123456"', "123456") > 0);
  assert.ok(find("pin=123456\n", "123456") > 0);
  assert.ok(find("cvv=123", "123") > 0);
  assert.ok(find("card 6299 9900 0000 0000 012", "6299990000000000012") > 0);
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

  // A credit card's details go through to the bank, which refuses them. Three digits are looked for from here on only.
  const before = statSync(process.env.KOUDAI_LOG).size;
  const credit = {
    kind: "credit", number: secret("6299990000000025"), name: "李明", id_number: "110199199001010010", phone: "13900000001",
    expiry: "12/30", cvv: "739",
  };
  const stranger = { token: await register(freshNumber()) };
  refused(await post(stranger, "/cards", { binding_id: `b-${Date.now()}`, ...credit, payment_password: PIN }), "CARD_DETAILS_MISMATCH");
  const since = readFileSync(process.env.KOUDAI_LOG).subarray(before).toString("utf8");
  assert.match(since, / DEBUG /, "something was written meanwhile");
  for (const text of [credit.cvv, credit.expiry]) assert.equal(find(since, text), -1, `${text} in ${since}`);

  const log = readFileSync(process.env.KOUDAI_LOG, "utf8");
  assert.match(log, / DEBUG /, "the log is at its most talkative");
  const secrets = new Set([
    ...readFileSync(process.env.KOUDAI_SECRETS, "utf8").split("\n").filter(Boolean),
    merchant.apiv3_key,
    ...lines(merchant.private_key_pem),
    ...kept(process.env.KOUDAI_DATA),
  ]);
  assert.ok(secrets.has(PIN) && secrets.size > 20);
  const leaks = [...secrets].map((text) => [text, find(log, text)]).filter(([, at]) => at >= 0);
  const found = leaks.map(([text, at]) => `${text}: ${log.slice(log.lastIndexOf("\n", at) + 1, log.indexOf("\n", at))}`);
  assert.deepEqual(found, []);

  const line = log.split("\n").find((text) => text.includes(order) && /\b7000\d{24}\b/.test(text));
  assert.ok(line, "a line of the log ties the order to its attempt");
});
