// WeChat Pay's side of APIv3, for the wallet's client to be tried against code that is not ours: every signature, every check of
// one and every encryption is done by functions of two SDKs (wechatpay-axios-plugin, wechatpay-node-v3).
//
// The first line of standard input is what it knows, as JSON:
//   { appid, mchid, apiv3_key, merchant_certificate_pem,
//     platform: [{ key_pem, certificate_pem }], public_key: { id, key_pem } }
// It prints the port it listens on, and ends with its input. Under /control a test acts out what people and the platform do.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(import.meta.url);
const { Rsa, Aes, Formatter } = require('wechatpay-axios-plugin');
const WxPay = require('wechatpay-node-v3');

const input = createInterface({ input: process.stdin });
const [line] = await once(input, 'line');
input.on('close', () => process.exit(0));
const known = JSON.parse(line);
const { appid, mchid } = known;

const reader = new WxPay({
  appid, mchid,
  publicKey: Buffer.from(known.merchant_certificate_pem),
  privateKey: Buffer.from(known.platform[0].key_pem),
  key: known.apiv3_key,
});
const merchantSerial = reader.getSN(known.merchant_certificate_pem).toUpperCase();
const platform = known.platform.map(({ key_pem, certificate_pem }) =>
  ({ name: reader.getSN(certificate_pem).toUpperCase(), key: key_pem, certificate: certificate_pem }));
const publicKey = { name: known.public_key.id, key: known.public_key.key_pem };
/** How many of the platform's certificates are listed; the last of them signs. */
let listed = 1;

const orders = new Map();
const refunds = new Map();
const transfers = new Map();
const seen = [];

class Refused extends Error {
  constructor(status, code) {
    super(code);
    Object.assign(this, { status, code });
  }
}
const refuse = (status, code) => { throw new Refused(status, code); };
const must = (fine, what) => { if (!fine) throw new Refused(400, `PARAM_ERROR ${what}`); };
const now = () => new Date(Date.now() + 8 * 3_600_000).toISOString().replace(/\.\d+Z$/, '+08:00');

/** Who asks: the merchant, by a signature over exactly what came. */
function authenticate({ method, url, headers }, body) {
  const [scheme, rest] = (headers.authorization ?? '').split(/ (.*)/s);
  if (scheme !== 'WECHATPAY2-SHA256-RSA2048') refuse(401, 'SIGN_ERROR');
  const part = Object.fromEntries([...rest.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]));
  const message = Formatter.request(method, url, part.timestamp, part.nonce_str, body);
  const fresh = Math.abs(Formatter.timestamp() - Number(part.timestamp)) <= 300;
  const ours = part.mchid === mchid && part.serial_no.toUpperCase() === merchantSerial;
  if (!fresh || !ours || !Rsa.verify(message, part.signature, known.merchant_certificate_pem)) refuse(401, 'SIGN_ERROR');
}

const signer = (named) => (named === publicKey.name ? publicKey : platform[listed - 1]);

function signed(key, body) {
  const [timestamp, nonce] = [String(Formatter.timestamp()), Formatter.nonce()];
  return {
    'wechatpay-timestamp': timestamp,
    'wechatpay-nonce': nonce,
    'wechatpay-serial': key.name,
    'wechatpay-signature': Rsa.sign(Formatter.response(timestamp, nonce, body), key.key),
    'wechatpay-signature-type': 'WECHATPAY2-SHA256-RSA2048',
  };
}

function sealed(plaintext, associated_data) {
  const nonce = Formatter.nonce(12);
  const ciphertext = Aes.AesGcm.encrypt(plaintext, known.apiv3_key, nonce, associated_data);
  return { algorithm: 'AEAD_AES_256_GCM', nonce, associated_data, ciphertext };
}

/** Places an order, or finds the one that the same call placed. */
function place(kind, body) {
  must(body.appid === appid && body.mchid === mchid, 'appid');
  must(/^[\w|*-]{6,32}$/.test(body.out_trade_no) && body.description?.length <= 127, 'out_trade_no');
  must(Number.isInteger(body.amount?.total) && body.amount.total > 0, 'amount');
  must(/^https?:\/\/[^?]+$/.test(body.notify_url) && !Number.isNaN(Date.parse(body.time_expire)), 'time_expire');
  must(kind !== 'h5' || (body.scene_info?.payer_client_ip && body.scene_info.h5_info?.type), 'scene_info');
  must(kind !== 'jsapi' || body.payer?.openid, 'openid');
  const content = JSON.stringify([kind, { ...body, time_expire: undefined }]);
  const old = orders.get(body.out_trade_no);
  if (old?.shown.trade_state === 'SUCCESS') refuse(400, 'INVALID_REQUEST');
  if (old?.shown.trade_state === 'CLOSED') refuse(400, 'ORDER_CLOSED');
  if (old && old.content !== content) refuse(403, 'OUT_TRADE_NO_USED');
  const shown = {
    appid, mchid, out_trade_no: body.out_trade_no, trade_state: 'NOTPAY', trade_state_desc: '订单未支付',
    attach: body.attach, amount: { total: body.amount.total, currency: 'CNY' }, payer: {},
  };
  const order = old ?? { content, shown, token: Formatter.nonce() };
  orders.set(body.out_trade_no, order);
  return {
    native: { code_url: `weixin://wxpay/bizpayurl?pr=${order.token}` },
    h5: { h5_url: `https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=${order.token}` },
    jsapi: { prepay_id: `wx${order.token}` },
  }[kind];
}

function refund(body) {
  const order = orders.get(body.out_trade_no);
  if (!order || !order.shown.transaction_id) refuse(404, 'RESOURCE_NOT_EXISTS');
  must(body.amount.total === order.shown.amount.total && body.amount.currency === 'CNY', 'total');
  const old = refunds.get(body.out_refund_no);
  if (old && old.amount.refund !== body.amount.refund) refuse(400, 'INVALID_REQUEST');
  const { refund: given, total } = body.amount;
  refunds.set(body.out_refund_no, old ?? {
    refund_id: `50${Date.now()}${refunds.size}`, out_refund_no: body.out_refund_no, out_trade_no: body.out_trade_no,
    transaction_id: order.shown.transaction_id, channel: 'ORIGINAL', user_received_account: '支付用户零钱',
    create_time: now(), status: 'PROCESSING', funds_account: 'AVAILABLE',
    amount: { total, refund: given, payer_total: total, payer_refund: given, currency: 'CNY' },
  });
  return refunds.get(body.out_refund_no);
}

function transfer(body) {
  must(body.appid === appid && /^[A-Za-z0-9]{1,32}$/.test(body.out_bill_no) && body.openid, 'out_bill_no');
  must(body.transfer_amount >= 10 && body.transfer_remark && body.transfer_scene_report_infos.length > 0, 'report');
  const old = transfers.get(body.out_bill_no);
  if (old && old.transfer_amount !== body.transfer_amount) refuse(400, 'INVALID_REQUEST');
  const bill = old ?? {
    mch_id: mchid, appid, out_bill_no: body.out_bill_no, transfer_bill_no: `1330${Date.now()}${transfers.size}`,
    state: 'WAIT_USER_CONFIRM', transfer_amount: body.transfer_amount, transfer_remark: body.transfer_remark,
    openid: body.openid, create_time: now(), update_time: now(),
  };
  transfers.set(body.out_bill_no, bill);
  const { out_bill_no, transfer_bill_no, create_time, state } = bill;
  const waits = state === 'WAIT_USER_CONFIRM' && { package_info: `package-of-${out_bill_no}` };
  return { out_bill_no, transfer_bill_no, create_time, state, ...waits };
}

const there = (map, number, code) => map.get(number) ?? refuse(404, code);

function answer(method, path, body) {
  const [, , ...parts] = path.split('/');
  const at = `${method} ${parts.join('/')}`;
  const placed = /^POST pay\/transactions\/(native|h5|jsapi)$/.exec(at);
  if (placed) return place(placed[1], body);
  const [, order, close] = /^(?:GET|POST) pay\/transactions\/out-trade-no\/(\d+)(\/close)?$/.exec(at) ?? [];
  if (order && close) {
    const { shown } = there(orders, order, 'ORDER_NOT_EXIST');
    if (shown.trade_state === 'SUCCESS') refuse(400, 'ORDER_PAID');
    shown.trade_state = 'CLOSED';
    return null;
  }
  if (order) return there(orders, order, 'ORDER_NOT_EXIST').shown;
  if (at === 'POST refund/domestic/refunds') return refund(body);
  const [, refunded] = /^GET refund\/domestic\/refunds\/(\d+)$/.exec(at) ?? [];
  if (refunded) return there(refunds, refunded, 'RESOURCE_NOT_EXISTS');
  if (at === 'POST fund-app/mch-transfer/transfer-bills') return transfer(body);
  const [, bill, cancel] =
    /^(?:GET|POST) fund-app\/mch-transfer\/transfer-bills\/out-bill-no\/(\w+)(\/cancel)?$/.exec(at) ?? [];
  if (bill && cancel) {
    const found = there(transfers, bill, 'NOT_FOUND');
    if (!['WAIT_USER_CONFIRM', 'CANCELLED'].includes(found.state)) refuse(400, 'INVALID_REQUEST');
    found.state = 'CANCELLED';
    const { out_bill_no, transfer_bill_no, state, update_time } = found;
    return { out_bill_no, transfer_bill_no, state, update_time };
  }
  if (bill) return there(transfers, bill, 'NOT_FOUND');
  if (at === 'GET certificates') {
    return {
      data: platform.slice(0, listed).map(({ name, certificate }) => ({
        serial_no: name, effective_time: now(), expire_time: now(),
        encrypt_certificate: sealed(certificate, 'certificate'),
      })),
    };
  }
  return refuse(404, 'NOT_FOUND');
}

const control = {
  /** Changes what is shown of an order, a refund or a transfer. */
  '/control/order': ({ number, ...values }) => Object.assign(orders.get(number).shown, values),
  '/control/refund': ({ number, ...values }) => Object.assign(refunds.get(number), values),
  '/control/transfer': ({ number, ...values }) => Object.assign(transfers.get(number), values),
  /** The next certificate is listed, and signs. */
  '/control/rotate': () => ({ serial: platform[(listed += 1) - 1].name }),
  '/control/seen': () => seen,
  /** Whether the app would take a call-up. */
  '/control/call-up': (p) => ({
    taken: p.appId === appid && p.signType === 'RSA' && Rsa.verify(
      Formatter.joinedByLineFeed(p.appId, p.timeStamp, p.nonceStr, p.package), p.paySign, known.merchant_certificate_pem),
  }),
  /** A notice, as it would be posted. */
  '/control/notice': ({ event_type, original_type, content, named }) => {
    const resource = { original_type, ...sealed(JSON.stringify(content), original_type) };
    const body = JSON.stringify({
      id: Formatter.nonce(32), create_time: now(), event_type, resource_type: 'encrypt-resource', summary: '通知', resource,
    });
    return { headers: signed(signer(named), body), body };
  },
};

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString('utf8');
  const send = (status, body, headers = {}) =>
    response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers }).end(body);
  const [path] = request.url.split('?');
  try {
    if (control[path]) {
      send(200, JSON.stringify(control[path](text ? JSON.parse(text) : {})));
      return;
    }
    authenticate(request, text);
    seen.push(`${request.method} ${path}`);
    const reply = answer(request.method, path, text ? JSON.parse(text) : undefined);
    const body = reply === null ? '' : JSON.stringify(reply);
    send(reply === null ? 204 : 200, body, signed(signer(request.headers['wechatpay-serial']), body));
  } catch (error) {
    const [code, ...why] = (error.code ?? 'SYSTEM_ERROR').split(' ');
    send(error.status ?? 500, JSON.stringify({ code, message: why.join(' ') || String(error.message) }));
  }
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
