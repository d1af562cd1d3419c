// Writes the contract of a wallet with a WeChat Pay on this machine, as `koudai demo --wechat` reads it, from what
// `koudai merchant create` and `koudai merchant app-secret` printed there:
//
//   node wechat-contract.mjs MERCHANT.json APP-SECRET.json URL FOLDER
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [merchant, app] = process.argv.slice(2, 4).map((path) => JSON.parse(readFileSync(path, "utf8")));
const [url, folder] = process.argv.slice(4);

mkdirSync(folder, { recursive: true });
const write = (name, text) => {
  writeFileSync(join(folder, name), text, { mode: 0o600 });
  return name;
};
const settings = {
  api: url,
  authorize: url,
  sns: url,
  appid: merchant.appid,
  mchid: merchant.mchid,
  certificate: write("certificate.pem", merchant.certificate_pem),
  key: write("key.pem", merchant.private_key_pem),
  "apiv3-key": write("apiv3_key.txt", merchant.apiv3_key),
  "public-keys": `${merchant.platform_public_key_id} ${write("public_key.pem", merchant.platform_public_key_pem)}`,
  "app-secret": write("app_secret.txt", app.app_secret),
  pay: "native, h5, jsapi",
  "payout-scene": "1000",
  "payout-report": "活动名称=零钱提现, 奖励说明=提现",
};
write("wechat.conf", Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`).join(""));
