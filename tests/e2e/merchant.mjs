// A merchant of the tests' own: signs requests to the gateway, and has its rights changed by the operator.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createSign, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { env, secret } from "./lib.mjs";

export const merchant = JSON.parse(readFileSync(process.env.KOUDAI_MERCHANT, "utf8"));
const { mchid, appid } = merchant;

/** Posts to the gateway, signed (API v3: method, path, time, nonce and body, each ended by a line feed). */
export async function gateway(path, content) {
  const body = JSON.stringify(content);
  const [timestamp, nonce] = [Math.floor(Date.now() / 1000), randomBytes(16).toString("hex")];
  const signed = `POST\n${path}\n${timestamp}\n${nonce}\n${body}\n`;
  const signature = createSign("RSA-SHA256").update(signed).sign(merchant.private_key_pem, "base64");
  const fields = { mchid, nonce_str: nonce, signature, timestamp, serial_no: merchant.serial_no };
  const list = Object.entries(fields).map(([name, value]) => `${name}="${value}"`).join(",");
  const answer = await fetch(env.gateway + path, {
    method: "POST",
    headers: {
      accept: "application/json", "content-type": "application/json", authorization: `WECHATPAY2-SHA256-RSA2048 ${list}`,
    },
    body,
  });
  const text = await answer.text();
  assert.ok(answer.ok, `${path} gave ${answer.status} ${text}`);
  return text ? JSON.parse(text) : {};
}

/** An order of 1.00 yuan: its number and the text of its code. */
export async function place() {
  const out_trade_no = `e2e-${Date.now().toString(36)}-${randomBytes(4).toString("hex")}`;
  const { code_url } = await gateway("/v3/pay/transactions/native", {
    appid, mchid, out_trade_no, description: "豆沙包", notify_url: "http://127.0.0.1:9/notify",
    amount: { total: 100, currency: "CNY" },
  });
  secret(code_url.split("/q/")[1].split("#")[0]);
  return { out_trade_no, code_url };
}

export const close = ({ out_trade_no }) => gateway(`/v3/pay/transactions/out-trade-no/${out_trade_no}/close`, { mchid });

function operator(command, ...rest) {
  const args = ["merchant", ...command.split(" "), "--data", process.env.KOUDAI_DATA, mchid, ...rest];
  return execFileSync(process.env.KOUDAI_BIN, args, { encoding: "utf8" });
}

/** Changes the merchant's rights: `--products jsapi`, `--suspend`. */
export const allow = (...rights) => operator("set", ...rights);

/** A printed code of the merchant's: its link and where its sheet is. */
export function printed(label) {
  allow("--products", "native,static");
  const { link, sheet, code } = JSON.parse(operator("code add", "--label", label));
  return { code, link: env.wallet + link, page: env.wallet + link.split("#")[0], sheet: env.wallet + sheet };
}

/** Ends it. */
export const takeDown = ({ code }) => operator("code revoke", code);
