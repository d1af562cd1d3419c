// wechatpay-node-v3, unmodified: its documented `createHttp` sends to our base URL what it would send to the original.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';

import { Person, Shop, eventually, fresh, gateway, merchant } from './koudai.mjs';

const require = createRequire(import.meta.url);
const WxPay = require('wechatpay-node-v3');
const { PayRequest } = require('wechatpay-node-v3/dist/lib/pay-request.js');

const ORIGINAL = 'https://api.mch.weixin.qq.com';
const { mchid, appid } = merchant;

/** Sends to our base URL, with headers of ours on top. */
class Local extends PayRequest {
  constructor(more = {}) {
    super();
    this.more = more;
  }

  get(url, headers) {
    return super.get(url.replace(ORIGINAL, gateway), { ...headers, ...this.more });
  }

  post(url, params, headers) {
    return super.post(url.replace(ORIGINAL, gateway), params, { ...headers, ...this.more });
  }
}

const client = (more, keys = {}) => {
  const pay = new WxPay({
    appid,
    mchid,
    publicKey: Buffer.from(merchant.certificate_pem),
    privateKey: Buffer.from(merchant.private_key_pem),
    key: merchant.apiv3_key,
    ...keys,
  });
  pay.createHttp(new Local(more));
  return pay;
};

const pay = client();
// It looks keys up in this map, which it fills with certificates by itself, but not with public keys.
WxPay.certificates[merchant.platform_public_key_id] = merchant.platform_public_key_pem;

let shop;
let person;

before(async () => {
  shop = await Shop.open();
  person = await Person.withBalance('50.00');
});

after(async () => {
  await person?.leave();
  shop?.close();
});

const order = (out_trade_no, total) => ({
  description: '拿铁 大杯', out_trade_no, notify_url: shop.notifyUrl, amount: { total, currency: 'CNY' },
});

const fine = ({ status, data, error }) => {
  assert.ok(status === 200 || status === 204, error);
  return data;
};

const refused = ({ status, error }) => ({ status, ...JSON.parse(error) });

const open = ({ ciphertext, nonce, associated_data: aad }) =>
  pay.decipher_gcm(ciphertext, aad, nonce, merchant.apiv3_key);

const signatureHolds = (headers, body) => pay.verifySign({
  timestamp: headers['wechatpay-timestamp'],
  nonce: headers['wechatpay-nonce'],
  serial: headers['wechatpay-serial'],
  signature: headers['wechatpay-signature'],
  body,
  apiSecret: merchant.apiv3_key,
});

test('an order is placed, paid, told, refunded and told again', async () => {
  const number = fresh('node');
  const { code_url: codeUrl } = fine(await pay.transactions_native(order(number, 4_000)));
  assert.equal(fine(await pay.query({ out_trade_no: number })).trade_state, 'NOTPAY');
  await person.pay(codeUrl);
  const paid = fine(await pay.query({ out_trade_no: number }));
  assert.equal(paid.trade_state, 'SUCCESS');
  assert.deepEqual(fine(await pay.query({ transaction_id: paid.transaction_id })), paid);

  const told = await shop.notification('TRANSACTION.SUCCESS', open, (t) => t.out_trade_no === number);
  assert.equal(await signatureHolds(told.headers, told.body), true);
  assert.equal(await signatureHolds(told.headers, `${told.body} `), false);

  const out_refund_no = fresh('back');
  const request = {
    transaction_id: paid.transaction_id, out_refund_no, notify_url: shop.notifyUrl,
    amount: { refund: 1_500, total: 4_000, currency: 'CNY' },
  };
  const asked = fine(await pay.refunds(request));
  assert.equal(fine(await pay.refunds(request)).refund_id, asked.refund_id);
  await eventually('the refund', async () => fine(await pay.find_refunds(out_refund_no)).status === 'SUCCESS');
  const toldBack = await shop.notification('REFUND.SUCCESS', open, (r) => r.out_refund_no === out_refund_no);
  assert.equal(await signatureHolds(toldBack.headers, toldBack.body), true);
  assert.equal(await person.balance(), 5_000 - 4_000 + 1_500);
});

test('an order is closed, and an unknown one is not', async () => {
  const number = fresh('close');
  fine(await pay.transactions_native(order(number, 100)));
  assert.equal((await pay.close(number)).status, 204);
  assert.equal(fine(await pay.query({ out_trade_no: number })).trade_state, 'CLOSED');
  const { status, code } = refused(await pay.close(fresh('nowhere')));
  assert.deepEqual([status, code], [404, 'ORDER_NOT_EXIST']);
});

test('a serial that is not the merchant\'s is refused', async () => {
  const wrong = client({}, { serial_no: merchant.platform_certificate_serial });
  const { status, code, detail } = refused(await wrong.transactions_native(order(fresh('bad'), 100)));
  assert.deepEqual([status, code, detail.field], [401, 'SIGN_ERROR', 'serial_no']);
});

test('replies are signed by the key the request names', async () => {
  const number = fresh('mode');
  const named = { 'Wechatpay-Serial': merchant.platform_public_key_id };
  fine(await client(named).transactions_native(order(number, 100)));

  for (const serial of [merchant.platform_public_key_id, merchant.platform_certificate_serial]) {
    const path = `/v3/pay/transactions/out-trade-no/${number}?mchid=${mchid}`;
    const headers = pay.getHeaders(pay.buildAuthorization('GET', ORIGINAL + path), { 'Wechatpay-Serial': serial });
    const reply = await fetch(gateway + path, { headers });
    assert.equal(reply.headers.get('wechatpay-serial'), serial);
    assert.equal(await signatureHolds(Object.fromEntries(reply.headers), await reply.text()), true);
  }
});

test('the platform certificate is handed out and opens', async () => {
  const [certificate] = await pay.get_certificates(merchant.apiv3_key);
  assert.equal(certificate.serial_no, merchant.platform_certificate_serial);
  assert.match(certificate.publicKey, /BEGIN PUBLIC KEY/);
});

test('JSAPI and App orders come back signed for their call-up, which the wallet takes', async () => {
  const payer = { openid: await person.openid() };
  const jsapi = fine(await pay.transactions_jsapi({ ...order(fresh('jsapi'), 300), payer }));
  assert.equal(jsapi.signType, 'RSA');
  const changed = { ...jsapi, timeStamp: `${Number(jsapi.timeStamp) + 1}` };
  assert.deepEqual(await person.calledInVain('/pay/jsapi', changed), { status: 403, code: 'CALL_UP_INVALID' });
  await person.payCalled('/pay/jsapi', jsapi);

  const number = fresh('app');
  const app = fine(await pay.transactions_app(order(number, 200)));
  await person.payCalled('/pay/app', app);
  const paid = fine(await pay.query({ out_trade_no: number }));
  assert.deepEqual([paid.trade_state, paid.trade_type], ['SUCCESS', 'APP']);
});

test('an H5 order has its link', async () => {
  const number = fresh('h5');
  const scene_info = { payer_client_ip: '14.23.150.211', h5_info: { type: 'iOS', app_name: '口袋咖啡' } };
  const { h5_url } = fine(await pay.transactions_h5({ ...order(number, 100), scene_info }));
  await person.payCalled(h5_url);
  assert.equal(fine(await pay.query({ out_trade_no: number })).trade_type, 'MWEB');
});
