// The sandbox Alipay as the SDKs that merchants use see it: npm's `alipay-sdk`, which is Alipay's own, and PyPI's
// `python-alipay-sdk`, both unmodified but for the gateway's address, in key mode and in certificate mode.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { promisify } from 'node:util';

import { app, appId, ear, sandbox, seller, skip } from './alipay.mjs';

const { KOUDAI_PYTHON = '../.cache/python/bin/python' } = process.env;
const checked = { validateSign: true };

for (const mode of ['keys', 'certificates']) {
  test(`npm's SDK orders, asks, refunds and closes, in ${mode}`, { skip }, async (t) => {
    const house = await sandbox(t);
    const sdk = app(house, mode);
    const notices = await ear(t);
    const call = (method, bizContent, more = {}) => sdk.exec(method, { bizContent, ...more }, checked);

    const order = { outTradeNo: 'A1', totalAmount: '88.00', subject: '早餐 / 午餐' };
    const way = await call('alipay.trade.precreate', order, { notifyUrl: notices.url });
    assert.equal(way.code, '10000');
    assert.match(way.qrCode, /^http:\/\/127\.0\.0\.1:\d+\/pay\/[0-9a-f]{32}$/);
    assert.equal((await call('alipay.trade.query', { outTradeNo: 'A1' })).subCode, 'ACQ.TRADE_NOT_EXIST');
    assert.equal((await house.person(way.qrCode, 'agree')).trade_status, 'TRADE_SUCCESS');
    const paid = await call('alipay.trade.query', { outTradeNo: 'A1' });
    assert.deepEqual([paid.tradeStatus, paid.totalAmount], ['TRADE_SUCCESS', '88.00']);

    const notice = await notices.of('A1');
    assert.ok(sdk.checkNotifySignV2(notice), 'the SDK believes the notice');
    assert.deepEqual([notice.app_id, notice.seller_id, notice.out_trade_no, notice.total_amount],
      [appId, seller, 'A1', '88.00']);
    assert.ok(!sdk.checkNotifySignV2({ ...notice, total_amount: '88.01' }), 'and no other');

    const part = { outTradeNo: 'A1', refundAmount: '8.00', outRequestNo: 'R1' };
    assert.equal((await call('alipay.trade.refund', part)).fundChange, 'Y');
    const again = await call('alipay.trade.refund', part);
    assert.deepEqual([again.fundChange, again.refundFee], ['N', '8.00']);
    const back = await call('alipay.trade.fastpay.refund.query', { outTradeNo: 'A1', outRequestNo: 'R1' });
    assert.deepEqual([back.refundStatus, back.refundAmount], ['REFUND_SUCCESS', '8.00']);

    const byCode = await call('alipay.trade.pay', {
      outTradeNo: 'A2', totalAmount: '1.50', subject: '茶', scene: 'bar_code', authCode: await house.code(2),
    });
    assert.deepEqual([byCode.code, byCode.receiptAmount], ['10000', '1.50']);
    const large = { outTradeNo: 'A3', totalAmount: '1000.00', subject: '茶', scene: 'bar_code', authCode: await house.code(2) };
    assert.equal((await call('alipay.trade.pay', large)).code, '10003');
    const cancelled = await call('alipay.trade.cancel', { outTradeNo: 'A3' });
    assert.deepEqual([cancelled.action, cancelled.retryFlag], ['close', 'N']);

    const inside = await call('alipay.trade.create', { ...order, outTradeNo: 'A4', buyerId: '2088200000000003' });
    assert.match(inside.tradeNo, /^\d{28}$/);
    assert.equal((await call('alipay.trade.close', { outTradeNo: 'A4' })).code, '10000');
    assert.equal((await call('alipay.trade.query', { outTradeNo: 'A4' })).tradeStatus, 'TRADE_CLOSED');

    const page = sdk.pageExecute('alipay.trade.wap.pay', 'GET', {
      bizContent: { ...order, outTradeNo: 'A5', productCode: 'QUICK_WAP_WAY' }, returnUrl: notices.url,
    });
    const cashier = await fetch(page);
    assert.match(cashier.url, /\/pay\/[0-9a-f]{32}$/);
    assert.match(await cashier.text(), /¥88\.00/);

    // The day is not over, and other days have nothing.
    const bill = await call('alipay.data.dataservice.bill.downloadurl.query', { billType: 'trade', billDate: '2020-01-01' });
    assert.equal(bill.subCode, 'isp.bill_not_exist');
    const payout = await call('alipay.fund.trans.uni.transfer', {
      outBizNo: 'T1', transAmount: '5.00', productCode: 'TRANS_ACCOUNT_NO_PWD', bizScene: 'DIRECT_TRANSFER',
      orderTitle: '提现', payeeInfo: { identity: '2088200000000003', identityType: 'ALIPAY_USER_ID' },
    });
    assert.equal(payout.status ?? payout.subCode, mode === 'keys' ? 'isv.insufficient-isv-permissions' : 'SUCCESS');
  });
}

test('npm\'s SDK refuses what another Alipay signed, and is refused without the app\'s key', { skip }, async (t) => {
  const [house, other] = await Promise.all([sandbox(t), sandbox(t)]);
  const paper = (name) => (name.startsWith('alipay') ? other : house).paper(name);
  await assert.rejects(app({ ...house, paper }, 'keys').exec('alipay.trade.query', { bizContent: { outTradeNo: 'A' } }, checked));
  const stranger = app({ ...house, paper: (name) => (name === 'app_key.pem' ? other : house).paper(name) }, 'certificates');
  const refused = await stranger.exec('alipay.trade.query', { bizContent: { outTradeNo: 'A' } }, checked);
  assert.equal(refused.subCode, 'isv.invalid-signature');
});

test('PyPI\'s SDK does the same in both modes', {
  skip: skip || (!existsSync(KOUDAI_PYTHON) && `${KOUDAI_PYTHON} has no python-alipay-sdk: see README.md`),
}, async (t) => {
  const house = await sandbox(t);
  const notices = await ear(t);
  for (const mode of ['keys', 'certificates']) {
    const { stdout } = await promisify(execFile)(KOUDAI_PYTHON, ['alipay_sdk.py', mode, house.url, house.dir, notices.url]);
    assert.match(stdout, /all of it\n$/);
    const notice = await notices.of(`P_${mode}`);
    assert.equal(notice.sign_type, 'RSA2');
    assert.equal(notice.trade_status, 'TRADE_SUCCESS');
  }
});
