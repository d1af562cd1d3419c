// wechatpay-axios-plugin, unmodified: only the base URL and the keys are ours. It verifies every 2xx reply by itself.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';

import { Person, Shop, eventually, fresh, gateway, merchant } from './koudai.mjs';

const { Wechatpay, Rsa, Aes, Formatter } = createRequire(import.meta.url)('wechatpay-axios-plugin');

const { mchid, appid } = merchant;
const certificate = { [merchant.platform_certificate_serial]: merchant.platform_certificate_pem };
const publicKey = { [merchant.platform_public_key_id]: merchant.platform_public_key_pem };

const client = (certs, more = {}) => new Wechatpay({
  mchid,
  serial: merchant.serial_no,
  privateKey: merchant.private_key_pem,
  certs,
  baseURL: `${gateway}/`,
  ...more,
});

const wxpay = client({ ...certificate, ...publicKey });
const NATIVE = '/v3/pay/transactions/native';
const REFUNDS = '/v3/refund/domestic/refunds';

let shop;
let person;

before(async () => {
  shop = await Shop.open();
  person = await Person.withBalance('100.00');
});

after(async () => {
  await person?.leave();
  shop?.close();
});

const order = (out_trade_no, total) => ({
  appid, mchid, description: '拿铁 大杯', out_trade_no, notify_url: shop.notifyUrl, attach: 'till 3',
  amount: { total, currency: 'CNY' },
});

const query = (out_trade_no, pay = wxpay) => pay.chain('v3/pay/transactions/out-trade-no/{out_trade_no}')
  .get({ params: { mchid }, out_trade_no }).then(({ data }) => data);

const refundOf = (out_refund_no) => wxpay.chain('v3/refund/domestic/refunds/{out_refund_no}')
  .get({ out_refund_no }).then(({ data }) => data);

/** What the gateway says no to: status and body. */
const refused = async (call) => {
  const error = await call.then(() => assert.fail('it was accepted'), (thrown) => thrown);
  assert.ok(error.response, error.message);
  return { status: error.response.status, ...error.response.data };
};

const open = ({ ciphertext, nonce, associated_data: aad }) =>
  JSON.parse(Aes.AesGcm.decrypt(ciphertext, merchant.apiv3_key, nonce, aad));

const verified = ({ headers, body }) => {
  const key = { ...certificate, ...publicKey }[headers['wechatpay-serial']];
  assert.ok(key, 'signed by a key we know');
  const message = Formatter.response(headers['wechatpay-timestamp'], headers['wechatpay-nonce'], body);
  assert.ok(Rsa.verify(message, headers['wechatpay-signature'], key), 'the signature holds');
};

/** Sends `body` under a signature made for `signed`. */
const send = (path, body, { signed = body, serial = merchant.serial_no, at = Formatter.timestamp() } = {}) => {
  const nonce = Formatter.nonce();
  const signature = Rsa.sign(Formatter.request('POST', path, at, nonce, signed), merchant.private_key_pem);
  const authorization = Formatter.authorization(mchid, nonce, signature, at, serial);
  const headers = { authorization, 'content-type': 'application/json', accept: 'application/json' };
  return () => fetch(gateway + path, { method: 'POST', headers, body })
    .then(async (reply) => ({ status: reply.status, body: await reply.json() }));
};

test('an order is placed, paid, told, refunded and told again', async () => {
  const number = fresh('axios');
  const { data: { code_url: codeUrl } } = await wxpay.v3.pay.transactions.native.post(order(number, 8_800));
  assert.equal((await query(number)).trade_state, 'NOTPAY');

  const { before: payable } = await person.pay(codeUrl);
  assert.equal(payable.state, 'payable');
  const paid = await query(number);
  assert.equal(paid.trade_state, 'SUCCESS');
  assert.equal(paid.amount.payer_total, 8_800);
  const byId = await wxpay.chain('v3/pay/transactions/id/{transaction_id}')
    .get({ params: { mchid }, transaction_id: paid.transaction_id });
  assert.deepEqual(byId.data, paid);
  assert.equal((await refused(wxpay.v3.pay.transactions.native.post(order(number, 8_800)))).code, 'INVALID_REQUEST');

  const told = await shop.notification('TRANSACTION.SUCCESS', open, (t) => t.out_trade_no === number);
  verified(told);
  assert.equal(told.content.transaction_id, paid.transaction_id);
  assert.deepEqual(told.content.amount, paid.amount);

  const out_refund_no = fresh('back');
  const request = {
    out_trade_no: number, out_refund_no, reason: '少了一杯', notify_url: shop.notifyUrl,
    amount: { refund: 3_000, total: 8_800, currency: 'CNY' },
  };
  const { data: asked } = await wxpay.v3.refund.domestic.refunds.post(request);
  const { data: again } = await wxpay.v3.refund.domestic.refunds.post(request);
  assert.equal(again.refund_id, asked.refund_id);
  const done = await eventually('the refund', async () => {
    const refund = await refundOf(out_refund_no);
    return refund.status === 'SUCCESS' && refund;
  });
  assert.equal(done.refund_id, asked.refund_id);
  assert.equal((await query(number)).trade_state, 'REFUND');
  const toldBack = await shop.notification('REFUND.SUCCESS', open, (r) => r.out_refund_no === out_refund_no);
  verified(toldBack);
  assert.equal(toldBack.content.amount.refund, 3_000);
  assert.equal(await person.balance(), 10_000 - 8_800 + 3_000);

  const reused = await refused(wxpay.v3.refund.domestic.refunds.post({
    ...request, amount: { ...request.amount, refund: 3_001 },
  }));
  assert.deepEqual([reused.status, reused.code, reused.detail.field], [400, 'INVALID_REQUEST', '/amount/refund']);
});

test('a card payment is refunded to the card', async () => {
  const number = fresh('card');
  const { data: { code_url: codeUrl } } = await wxpay.v3.pay.transactions.native.post(order(number, 1_200));
  await person.pay(codeUrl, person.card);
  const out_refund_no = fresh('back');
  await wxpay.v3.refund.domestic.refunds.post({
    out_trade_no: number, out_refund_no, amount: { refund: 1_200, total: 1_200, currency: 'CNY' },
  });
  await eventually('the refund', async () => (await refundOf(out_refund_no)).status === 'SUCCESS');
  const told = await shop.notification('REFUND.SUCCESS', open, (r) => r.out_refund_no === out_refund_no);
  verified(told);
});

test('an order is closed, twice, and takes no other', async () => {
  const number = fresh('close');
  await wxpay.v3.pay.transactions.native.post(order(number, 100));
  const close = () => wxpay.chain('v3/pay/transactions/out-trade-no/{out_trade_no}/close')
    .post({ mchid }, { out_trade_no: number });
  assert.equal((await close()).status, 204);
  assert.equal((await close()).status, 204);
  assert.equal((await query(number)).trade_state, 'CLOSED');
  const { status, code } = await refused(wxpay.v3.pay.transactions.native.post(order(number, 100)));
  assert.deepEqual([status, code], [400, 'ORDER_CLOSED']);
});

test('the same order again is one order, another under its number is refused', async () => {
  const number = `${fresh('twice')}|*`;
  const first = await wxpay.v3.pay.transactions.native.post(order(number, 100));
  const second = await wxpay.v3.pay.transactions.native.post(order(number, 100));
  assert.equal(first.data.code_url, second.data.code_url);
  const other = await refused(wxpay.v3.pay.transactions.native.post(order(number, 101)));
  assert.deepEqual([other.status, other.code, other.detail.field], [403, 'OUT_TRADE_NO_USED', '/amount/total']);
  assert.equal((await query(number)).amount.total, 100);
});

test('the same signed bytes sent twice have one effect', async () => {
  const number = fresh('bytes');
  const place = send(NATIVE, JSON.stringify(order(number, 500)));
  const [first, second] = [await place(), await place()];
  assert.equal(first.status, 200);
  assert.deepEqual(first, second);
  await person.pay(first.body.code_url);

  const before = await person.balance();
  const refund = send(REFUNDS, JSON.stringify({
    out_trade_no: number, out_refund_no: fresh('back'), amount: { refund: 200, total: 500, currency: 'CNY' },
  }));
  const [one, two] = await Promise.all([refund(), refund()]);
  assert.deepEqual([one.status, two.status, one.body.refund_id], [200, 200, two.body.refund_id]);
  await eventually('the refund', async () => (await person.balance()) === before + 200);
});

test('what is not signed as it is sent is refused', async () => {
  const body = JSON.stringify(order(fresh('bad'), 100));
  const issue = async (reply, part) => {
    const { status, body: { code, message, detail } } = await reply();
    assert.deepEqual([status, code, detail.field], [401, 'SIGN_ERROR', part]);
    assert.ok(message);
    return detail;
  };
  const seen = await issue(send(NATIVE, body.replace('"total":100', '"total":1'), { signed: body }), 'signature');
  assert.equal(seen.sign_information.url, NATIVE);
  const platform = send(NATIVE, body, { serial: merchant.platform_certificate_serial });
  assert.equal((await issue(platform, 'serial_no')).issue, 'platform serial used as merchant serial');
  await issue(send(NATIVE, body, { serial: '5157F09EFDC096DE15EBE81A47057A7232F1B8E1' }), 'serial_no');
  await issue(send(NATIVE, body, { at: Formatter.timestamp() - 400 }), 'timestamp');
});

const byCode = (out_trade_no, total, auth_code) => ({
  appid, mchid, description: '拿铁 大杯', out_trade_no, payer: { auth_code }, amount: { total, currency: 'CNY' },
  scene_info: { device_id: 'till-3', store_info: { out_id: 'A1' } },
});

const reverse = (out_trade_no, pay = wxpay) => pay.chain('v3/pay/transactions/out-trade-no/{out_trade_no}/reverse')
  .post({ appid, mchid }, { out_trade_no });

test('a payer\'s code pays in the reply, once, and is reversed whole', async () => {
  const before = await person.balance();
  const number = fresh('code');
  const request = byCode(number, 300, await person.code());
  const paid = await wxpay.v3.pay.transactions.codepay.post(request);
  assert.deepEqual([paid.status, paid.data.trade_state, paid.data.trade_type], [200, 'SUCCESS', 'MICROPAY']);
  assert.deepEqual((await wxpay.v3.pay.transactions.codepay.post(request)).data, paid.data);
  assert.deepEqual(await query(number), paid.data);
  const used = await refused(wxpay.v3.pay.transactions.codepay.post({ ...request, out_trade_no: fresh('code') }));
  assert.deepEqual([used.status, used.code], [400, 'AUTH_CODE_INVALID']);
  const close = wxpay.chain('v3/pay/transactions/out-trade-no/{out_trade_no}/close').post({ mchid }, { out_trade_no: number });
  assert.equal((await refused(close)).code, 'INVALID_REQUEST');
  assert.equal((await refused(reverse(number))).code, 'INVALID_REQUEST', 'the outcome may still be on its way');
  await new Promise((done) => { setTimeout(done, 15_200); });
  const { status, data } = await reverse(number);
  assert.deepEqual([status, data], [200, { appid, mchid, out_trade_no: number }]);
  assert.equal((await reverse(number)).status, 200);
  assert.equal((await query(number)).trade_state, 'REVOKED');
  assert.equal(await person.balance(), before);
});

test('a number reversed before its call arrived never pays', async () => {
  for (const certs of [certificate, publicKey]) {
    const pay = client(certs, { headers: { 'wechatpay-serial': Object.keys(certs)[0] } });
    const number = fresh('late');
    assert.equal((await reverse(number, pay)).status, 200);
    assert.equal((await query(number, pay)).trade_state, 'REVOKED');
    const late = await refused(pay.v3.pay.transactions.codepay.post(byCode(number, 100, await person.code())));
    assert.deepEqual([late.status, late.code], [400, 'ORDER_CLOSED']);
  }
});

test('a large amount is asked about and confirmed on the phone', async () => {
  const rich = await Person.withBalance('1500.00');
  const number = fresh('asked');
  const asked = await wxpay.v3.pay.transactions.codepay.post(byCode(number, 100_001, await rich.code()));
  assert.deepEqual([asked.status, asked.data.code], [202, 'USER_PAYING']);
  assert.equal((await query(number)).trade_state, 'USERPAYING');
  await rich.confirm();
  assert.equal((await query(number)).trade_state, 'SUCCESS');
  await rich.leave();
});

test('mistakes are named', async () => {
  const number = fresh('wrong');
  const zero = await refused(wxpay.v3.pay.transactions.native.post(order(number, 0)));
  assert.deepEqual([zero.status, zero.code], [400, 'PARAM_ERROR']);
  assert.deepEqual([zero.detail.field, zero.detail.location], ['/amount/total', 'body']);
  const unknown = await refused(query(fresh('nowhere')));
  assert.deepEqual([unknown.status, unknown.code], [404, 'ORDER_NOT_EXIST']);
});

/** A call-up's parameters, signed as the SDK signs them. */
const callUp = (fourth) => {
  const [timeStamp, nonceStr] = [`${Formatter.timestamp()}`, Formatter.nonce()];
  const signature = Rsa.sign(Formatter.joinedByLineFeed(appid, timeStamp, nonceStr, fourth), merchant.private_key_pem);
  return { timeStamp, nonceStr, signature };
};

test('a JSAPI order is called up by its page and paid by whom it is meant for', async () => {
  const number = fresh('jsapi');
  const placing = { ...order(number, 300), payer: { openid: await person.openid() } };
  const { data: { prepay_id } } = await wxpay.v3.pay.transactions.jsapi.post(placing);
  assert.ok(prepay_id.length <= 64);
  const { data: again } = await wxpay.v3.pay.transactions.jsapi.post(placing);
  assert.equal(again.prepay_id, prepay_id);

  const { timeStamp, nonceStr, signature } = callUp(`prepay_id=${prepay_id}`);
  const parameters = {
    appId: appid, timeStamp, nonceStr, package: `prepay_id=${prepay_id}`, signType: 'RSA', paySign: signature,
  };
  const changed = { ...parameters, nonceStr: Formatter.nonce() };
  assert.deepEqual(await person.calledInVain('/pay/jsapi', changed), { status: 403, code: 'CALL_UP_INVALID' });
  await person.payCalled('/pay/jsapi', parameters);
  const paid = await query(number);
  assert.deepEqual([paid.trade_state, paid.trade_type, paid.payer.openid], ['SUCCESS', 'JSAPI', placing.payer.openid]);
  const told = await shop.notification('TRANSACTION.SUCCESS', open, (t) => t.out_trade_no === number);
  assert.equal(told.content.payer.openid, placing.payer.openid);

  const stranger = { ...order(fresh('jsapi'), 300), payer: { openid: `${placing.payer.openid.slice(0, -1)}_` } };
  const nobody = await refused(wxpay.v3.pay.transactions.jsapi.post(stranger));
  assert.deepEqual([nobody.status, nobody.code, nobody.detail.field], [400, 'PARAM_ERROR', '/payer/openid']);
});

test('an App order is called up by its app', async () => {
  const number = fresh('app');
  const { data: { prepay_id } } = await wxpay.v3.pay.transactions.app.post(order(number, 200));
  const { timeStamp, nonceStr, signature } = callUp(prepay_id);
  await person.payCalled('/pay/app', {
    appid, partnerid: mchid, prepayid: prepay_id, package: 'Sign=WXPay', noncestr: nonceStr, timestamp: timeStamp,
    sign: signature,
  });
  assert.equal((await query(number)).trade_type, 'APP');
});

test('an H5 order is paid by its link', async () => {
  const number = fresh('h5');
  const scene_info = { payer_client_ip: '14.23.150.211', device_id: 'till-3', h5_info: { type: 'Wap' } };
  const { data: { h5_url } } = await wxpay.v3.pay.transactions.h5.post({ ...order(number, 100), scene_info });
  await person.payCalled(`${h5_url}&redirect_url=${encodeURIComponent('https://shop.example.org/paid')}`);
  const paid = await query(number);
  assert.deepEqual([paid.trade_type, paid.scene_info], ['MWEB', { device_id: 'till-3' }]);
  const missing = await refused(wxpay.v3.pay.transactions.h5.post(order(fresh('h5'), 100)));
  assert.deepEqual([missing.code, missing.detail.field], ['PARAM_ERROR', '/scene_info']);
});

test('both key modes work, each alone', async () => {
  const number = fresh('mode');
  const named = { headers: { 'Wechatpay-Serial': merchant.platform_public_key_id } };
  const byKey = client(publicKey, named);
  const placed = await byKey.v3.pay.transactions.native.post(order(number, 100));
  assert.equal(placed.headers['wechatpay-serial'], merchant.platform_public_key_id);
  const asCertificate = { headers: { 'Wechatpay-Serial': merchant.platform_certificate_serial } };
  assert.equal((await query(number, client(certificate, asCertificate))).trade_state, 'NOTPAY');
});

test('the platform certificate is handed out and opens', async () => {
  const { data: { data } } = await wxpay.v3.certificates.get({ params: { algorithm_type: 'RSA' } });
  assert.equal(data[0].serial_no, merchant.platform_certificate_serial);
  const { ciphertext, nonce, associated_data: aad } = data[0].encrypt_certificate;
  const pem = Aes.AesGcm.decrypt(ciphertext, merchant.apiv3_key, nonce, aad);
  assert.equal(pem.trim(), merchant.platform_certificate_pem.trim());
});
