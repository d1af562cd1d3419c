// Keys that change while both SDKs work: the platform's next certificate, and a merchant's own. Everything is put back
// before the other tests of the same server go on. It needs the program and the data directory: KOUDAI_BIN, KOUDAI_DATA.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import { gateway, merchant } from './koudai.mjs';

const require = createRequire(import.meta.url);
const { Wechatpay, Aes } = require('wechatpay-axios-plugin');
const WxPay = require('wechatpay-node-v3');
const { PayRequest } = require('wechatpay-node-v3/dist/lib/pay-request.js');

const { mchid, appid } = merchant;
const { KOUDAI_BIN, KOUDAI_DATA } = process.env;
const skip = !(KOUDAI_BIN && KOUDAI_DATA) && 'KOUDAI_BIN and KOUDAI_DATA are not set';

const koudai = (...args) =>
  JSON.parse(execFileSync(KOUDAI_BIN, [...args.slice(0, 2), '--data', KOUDAI_DATA, ...args.slice(2)], { encoding: 'utf8' }));
const certificate = (command, ...args) => JSON.parse(
  execFileSync(KOUDAI_BIN, ['merchant', 'certificate', command, '--data', KOUDAI_DATA, mchid, ...args], { encoding: 'utf8' }));

const axios = (certs, own = merchant) => new Wechatpay({
  mchid, serial: own.serial_no, privateKey: own.private_key_pem, certs, baseURL: `${gateway}/`,
});

/** The list that `GET /v3/certificates` gives, opened, as certificates by serial. */
async function listed(wxpay) {
  const { data: { data } } = await wxpay.v3.certificates.get();
  return Object.fromEntries(data.map(({ serial_no, encrypt_certificate: { ciphertext, nonce, associated_data } }) =>
    [serial_no, Aes.AesGcm.decrypt(ciphertext, merchant.apiv3_key, nonce, associated_data)]));
}

test('a next platform certificate is fetched, named and verified before it signs by itself', { skip }, async (t) => {
  const old = merchant.platform_certificate_serial;
  const next = koudai('keys', 'rotate').platform.find(({ state }) => state === 'waits').name;
  t.after(() => koudai('keys', 'retire', next));

  const known = { [old]: merchant.platform_certificate_pem };
  const certs = await listed(axios(known));
  assert.deepEqual(Object.keys(certs).sort(), [old, next].sort());

  const wxpay = axios(certs);
  const ask = (headers) => wxpay.v3.certificates.get({ headers }).then((reply) => reply.headers['wechatpay-serial']);
  assert.equal(await ask({}), old, 'its turn has not come');
  assert.equal(await ask({ 'Wechatpay-Serial': next }), next);
  assert.equal(await ask({ 'Wechatpay-Serial': old }), old);

  class ToKoudai extends PayRequest {
    elsewhere = (url) => url.replace('https://api.mch.weixin.qq.com', gateway);
    get(url, headers) { return super.get(this.elsewhere(url), headers); }
    post(url, params, headers) { return super.post(this.elsewhere(url), params, headers); }
  }
  const pay = new WxPay({
    appid, mchid,
    publicKey: Buffer.from(merchant.certificate_pem),
    privateKey: Buffer.from(merchant.private_key_pem),
    key: merchant.apiv3_key,
  });
  pay.createHttp(new ToKoudai());
  const found = await pay.get_certificates(merchant.apiv3_key);
  assert.equal(found.length, 2);
});

test('a retired certificate is not listed any more', { skip }, async () => {
  const next = koudai('keys', 'rotate').platform.find(({ state }) => state === 'waits').name;
  koudai('keys', 'retire', next);
  const known = { [merchant.platform_certificate_serial]: merchant.platform_certificate_pem };
  assert.deepEqual(Object.keys(await listed(axios(known))), [merchant.platform_certificate_serial]);
});

test('a merchant works with two certificates until one is revoked', { skip }, async () => {
  const known = { [merchant.platform_certificate_serial]: merchant.platform_certificate_pem };
  const second = certificate('add');
  const [one, two] = [axios(known), axios(known, second)];
  await listed(one);
  await listed(two);
  certificate('revoke', second.serial_no);
  await listed(one);
  await assert.rejects(listed(two), ({ response: { status, data } }) => {
    assert.equal(status, 401);
    assert.equal(data.detail.issue, 'revoked certificate');
    return true;
  });
});
