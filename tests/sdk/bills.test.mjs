// Bills with both SDKs, unmodified: applied for, downloaded, and read by the SDK's own parser. The merchant's day was made by
// `koudai bench bill`, two days before the server's today.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';

import { gateway } from './koudai.mjs';

const require = createRequire(import.meta.url);
const { Wechatpay, Formatter } = require('wechatpay-axios-plugin');
const WxPay = require('wechatpay-node-v3');
const { PayRequest } = require('wechatpay-node-v3/dist/lib/pay-request.js');

const file = process.env.KOUDAI_BILLS_MERCHANT;
const merchant = file && JSON.parse(readFileSync(file, 'utf8'));
const options = { skip: !file && 'set KOUDAI_BILLS_MERCHANT; README.md says to what' };

const sha1 = (bytes) => createHash('sha1').update(bytes).digest('hex');
const fen = (yuan) => Math.round(Number(yuan) * 100);
const total = (rows, column) => rows.reduce((sum, row) => sum + fen(row[column]), 0);

const axios = (keyMode) => new Wechatpay({
  mchid: merchant.mchid,
  serial: merchant.serial_no,
  privateKey: merchant.private_key_pem,
  certs: keyMode === 'certificate'
    ? { [merchant.platform_certificate_serial]: merchant.platform_certificate_pem }
    : { [merchant.platform_public_key_id]: merchant.platform_public_key_pem },
  baseURL: `${gateway}/`,
  headers: {
    'Wechatpay-Serial': keyMode === 'certificate'
      ? merchant.platform_certificate_serial : merchant.platform_public_key_id,
  },
});

const download = (wxpay, url) => wxpay.v3.billdownload.file.get({
  params: Object.fromEntries(new URL(url).searchParams), responseType: 'arraybuffer',
}).then(({ data, headers }) => ({ bytes: Buffer.from(data), type: headers['content-type'] }));

for (const keyMode of ['certificate', 'public key']) {
  test(`axios-plugin applies for a bill and downloads and parses it, in ${keyMode} mode`, options, async () => {
    const wxpay = axios(keyMode);
    const params = { bill_date: merchant.bill_date, bill_type: 'ALL' };
    const { data: plain } = await wxpay.v3.bill.tradebill.get({ params });
    assert.equal(plain.hash_type, 'SHA1');
    const { bytes, type } = await download(wxpay, plain.download_url);
    assert.match(type, /^text\/plain/);
    assert.equal(sha1(bytes), plain.hash_value);
    const { rows, summary } = Formatter.castCsvBill(bytes);
    assert.equal(rows.length, Number(summary['总交易单数']));
    assert.equal(total(rows, '订单金额'), fen(summary['订单总金额']));
    assert.equal(total(rows, '退款金额'), fen(summary['退款总金额']));
    assert.equal(total(rows, '手续费'), fen(summary['手续费总金额']));
    const refund = rows.find((row) => row['交易状态'] === 'REFUND');
    assert.ok(rows.some((row) => row['微信订单号'] === refund['微信订单号'] && row['交易状态'] === 'SUCCESS'));
    assert.equal(refund['商户号'], merchant.mchid);

    const { data: packed } = await wxpay.v3.bill.tradebill.get({ params: { ...params, tar_type: 'GZIP' } });
    assert.equal(packed.hash_value, plain.hash_value, 'the hash is that of the plain file');
    const gzip = await download(wxpay, packed.download_url);
    assert.equal(gzip.type, 'application/x-gzip');
    assert.deepEqual(gunzipSync(gzip.bytes), bytes);

    const flow = await wxpay.v3.bill.fundflowbill.get({ params: { bill_date: merchant.bill_date } });
    const { rows: flows, summary: sums } = Formatter.castCsvBill((await download(wxpay, flow.data.download_url)).bytes);
    assert.equal(flows.length, Number(sums['资金流水总笔数']));
    const net = fen(sums['收入金额']) - fen(sums['支出金额']);
    assert.equal(net, fen(summary['订单总金额']) - fen(summary['退款总金额']) - fen(summary['手续费总金额']));
  });
}

test('axios-plugin is told that there is no such bill', options, async () => {
  const params = { bill_date: merchant.bill_date, account_type: 'FEES' };
  const error = await axios('certificate').v3.bill.fundflowbill.get({ params }).then(() => assert.fail(), (e) => e);
  assert.deepEqual([error.response.status, error.response.data.code], [400, 'NO_STATEMENT_EXIST']);
});

test('node-v3 applies for both bills and downloads them by the address it was given', options, async () => {
  const ORIGINAL = 'https://api.mch.weixin.qq.com';
  class Local extends PayRequest {
    get(url, headers) { return super.get(url.replace(ORIGINAL, gateway), headers); }
  }
  const pay = new WxPay({
    appid: merchant.appid,
    mchid: merchant.mchid,
    publicKey: Buffer.from(merchant.certificate_pem),
    privateKey: Buffer.from(merchant.private_key_pem),
    key: merchant.apiv3_key,
  });
  pay.createHttp(new Local());
  const applied = [
    await pay.tradebill({ bill_date: merchant.bill_date, bill_type: 'SUCCESS' }),
    await pay.fundflowbill({ bill_date: merchant.bill_date, account_type: 'BASIC' }),
  ];
  for (const { status, data, error } of applied) {
    assert.equal(status, 200, error);
    // As it stands, whose signature covers the whole address; and moved to where the SDK expects it.
    for (const url of [data.download_url, data.download_url.replace(gateway, ORIGINAL)]) {
      const bill = await pay.downloadBill(url);
      assert.equal(bill.status, 200, bill.error);
      const text = bill.data.startsWith('\ufeff') ? bill.data : `\ufeff${bill.data}`;
      assert.equal(sha1(Buffer.from(text)), data.hash_value);
    }
  }
  const none = await pay.fundflowbill({ bill_date: merchant.bill_date, account_type: 'OPERATION' });
  assert.equal(JSON.parse(none.error).code, 'NO_STATEMENT_EXIST');
});
