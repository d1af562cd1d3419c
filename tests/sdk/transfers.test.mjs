// A merchant's transfers to people, with wechatpay-axios-plugin, unmodified. wechatpay-node-v3 has only the older transfers in
// batches, which are refused.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';

import { Person, Shop, fresh, gateway, merchant } from './koudai.mjs';

const require = createRequire(import.meta.url);
const { Wechatpay, Rsa, Aes, Formatter } = require('wechatpay-axios-plugin');
const WxPay = require('wechatpay-node-v3');
const { PayRequest } = require('wechatpay-node-v3/dist/lib/pay-request.js');

const { mchid, appid } = merchant;
const keys = {
  [merchant.platform_certificate_serial]: merchant.platform_certificate_pem,
  [merchant.platform_public_key_id]: merchant.platform_public_key_pem,
};
const wxpay = new Wechatpay({
  mchid,
  serial: merchant.serial_no,
  privateKey: merchant.private_key_pem,
  certs: keys,
  baseURL: `${gateway}/`,
});

let shop;
let person;
let openid;

before(async () => {
  shop = await Shop.open();
  person = await Person.withBalance('100.00');
  // The shop gets some money, and with it the payer's openid.
  const out_trade_no = fresh('fund');
  const { data: { code_url: codeUrl } } = await wxpay.v3.pay.transactions.native.post({
    appid, mchid, description: '会员充值', out_trade_no, notify_url: shop.notifyUrl, amount: { total: 8_000, currency: 'CNY' },
  });
  await person.pay(codeUrl);
  const { data } = await wxpay.chain('v3/pay/transactions/out-trade-no/{out_trade_no}')
    .get({ params: { mchid }, out_trade_no });
  openid = data.payer.openid;
});

after(async () => {
  await person?.leave();
  shop?.close();
});

const number = () => fresh('t').replaceAll('-', '').slice(0, 32);

const wish = (out_bill_no, transfer_amount, more = {}) => ({
  appid, out_bill_no, transfer_scene_id: '1000', openid, transfer_amount, transfer_remark: '新会员奖励',
  user_recv_perception: '活动奖励', notify_url: shop.notifyUrl,
  transfer_scene_report_infos: [
    { info_type: '活动名称', info_content: '注册会员有礼' },
    { info_type: '奖励说明', info_content: '一等奖' },
  ],
  ...more,
});

const send = (body, serial) => wxpay.v3.fundApp.mchTransfer.transferBills
  .post(body, serial && { headers: { 'Wechatpay-Serial': serial } }).then(({ data }) => data);

const bill = (out_bill_no) => wxpay.chain('v3/fund-app/mch-transfer/transfer-bills/out-bill-no/{out_bill_no}')
  .get({ out_bill_no }).then(({ data }) => data);

const cancel = (out_bill_no) => wxpay.chain('v3/fund-app/mch-transfer/transfer-bills/out-bill-no/{out_bill_no}/cancel')
  .post(undefined, { out_bill_no }).then(({ data }) => data);

const refused = async (call) => {
  const error = await call.then(() => assert.fail('it was accepted'), (thrown) => thrown);
  assert.ok(error.response, error.message);
  return { status: error.response.status, ...error.response.data };
};

const open = ({ ciphertext, nonce, associated_data: aad }) =>
  JSON.parse(Aes.AesGcm.decrypt(ciphertext, merchant.apiv3_key, nonce, aad));

const told = async (out_bill_no) => {
  const { headers, body, content } =
    await shop.notification('MCHTRANSFER.BILL.FINISHED', open, (t) => t.out_bill_no === out_bill_no);
  const message = Formatter.response(headers['wechatpay-timestamp'], headers['wechatpay-nonce'], body);
  assert.ok(Rsa.verify(message, headers['wechatpay-signature'], keys[headers['wechatpay-serial']]));
  return content;
};

test('money is sent, received and told of', async () => {
  const out_bill_no = number();
  const before = await person.balance();
  const made = await send(wish(out_bill_no, 500));
  assert.equal(made.state, 'WAIT_USER_CONFIRM');
  assert.ok((await person.waiting()).some(({ id }) => id === made.transfer_bill_no));
  const { before: page, after } = await person.receive(made.package_info);
  assert.deepEqual([page.state, page.remark, page.reason, page.amount.minor], ['waiting', '新会员奖励', '活动奖励', 500]);
  assert.equal(after.state, 'received');
  assert.equal(await person.balance(), before + 500);

  const found = await bill(out_bill_no);
  assert.deepEqual([found.state, found.openid, found.mch_id], ['SUCCESS', openid, mchid]);
  const byId = await wxpay.chain('v3/fund-app/mch-transfer/transfer-bills/transfer-bill-no/{transfer_bill_no}')
    .get({ transfer_bill_no: made.transfer_bill_no });
  assert.deepEqual(byId.data, found);
  const notice = await told(out_bill_no);
  assert.deepEqual([notice.state, notice.transfer_amount, notice.openid], ['SUCCESS', 500, openid]);

  const again = await send(wish(out_bill_no, 500));
  assert.deepEqual([again.state, again.transfer_bill_no], ['SUCCESS', made.transfer_bill_no]);
  const other = await refused(send(wish(out_bill_no, 501)));
  assert.deepEqual([other.status, other.code, other.detail.field], [400, 'INVALID_REQUEST', '/transfer_amount']);
});

test('a name is encrypted to either key and comes back encrypted', async () => {
  for (const [serial, key] of Object.entries(keys)) {
    const out_bill_no = number();
    const made = await send(wish(out_bill_no, 100, { user_name: Rsa.encrypt(person.name, key) }), serial);
    assert.equal(made.state, 'WAIT_USER_CONFIRM');
    const { user_name } = await bill(out_bill_no);
    assert.equal(Rsa.decrypt(user_name, merchant.private_key_pem), person.name);
    assert.equal((await cancel(out_bill_no)).state, 'CANCELLED');
    assert.equal((await cancel(out_bill_no)).state, 'CANCELLED');
    assert.equal((await told(out_bill_no)).fail_reason, 'MCH_CANCEL');
  }
  const user_name = Rsa.encrypt('别人', merchant.platform_public_key_pem);
  const failed = await send(wish(number(), 100, { user_name }), merchant.platform_public_key_id);
  assert.deepEqual([failed.state, failed.fail_reason, failed.package_info], ['FAIL', 'NAME_NOT_CORRECT', undefined]);
  const unnamed = await refused(send(wish(number(), 100, { user_name })));
  assert.deepEqual([unnamed.status, unnamed.code], [400, 'PARAM_ERROR']);
  assert.equal(unnamed.message, '平台证书序列号Wechatpay-Serial错误');
});

test('what may not be sent is refused and why is said', async () => {
  const codes = async (body) => {
    const { status, code, detail } = await refused(send(body));
    return [status, code, detail?.field];
  };
  assert.deepEqual(await codes(wish(number(), 199_999)), [403, 'NOT_ENOUGH', undefined]);
  assert.deepEqual(await codes(wish(number(), 200_000)), [400, 'PARAM_ERROR', '/user_name']);
  assert.deepEqual(await codes(wish(number(), 9)), [400, 'PARAM_ERROR', '/transfer_amount']);
  assert.deepEqual(await codes(wish(number(), 100, { transfer_scene_id: '1005' })), [403, 'NO_AUTH', '/transfer_scene_id']);
  assert.deepEqual(await codes(wish(number(), 100, { openid: 'oNobody' })), [400, 'PARAM_ERROR', '/openid']);
  const unknown = await refused(bill(number()));
  assert.deepEqual([unknown.status, unknown.code], [404, 'NOT_FOUND']);
});

test('transfers in batches, which wechatpay-node-v3 has, are not there', async () => {
  class Local extends PayRequest {
    post(url, params, headers) {
      return super.post(url.replace('https://api.mch.weixin.qq.com', gateway), params, headers);
    }
  }
  const pay = new WxPay({
    appid,
    mchid,
    publicKey: Buffer.from(merchant.certificate_pem),
    privateKey: Buffer.from(merchant.private_key_pem),
    key: merchant.apiv3_key,
  });
  pay.createHttp(new Local());
  const answer = await pay.batches_transfer({
    out_batch_no: number(), batch_name: '奖励', batch_remark: '奖励', total_amount: 100, total_num: 1,
    wx_serial_no: merchant.platform_certificate_serial,
    transfer_detail_list: [{ out_detail_no: number(), transfer_amount: 100, transfer_remark: '奖励', openid }],
  });
  assert.equal(answer.status, 404);
  assert.match(answer.error, /NOT_FOUND/);
});
