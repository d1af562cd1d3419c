// What is signed: npm's SDK makes the very text of `alipay-signed.json`, and so does the wallet's client
// (`crates/koudai-networks/tests/alipay/wire.rs`).

import assert from 'node:assert/strict';
import { createVerify } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { mock, test } from 'node:test';

import { app, sandbox, skip } from './alipay.mjs';

const vector = JSON.parse(readFileSync(new URL('alipay-signed.json', import.meta.url), 'utf8'));

for (const mode of ['keys', 'certificates']) {
  test(`a request is signed over the same text, in ${mode}`, { skip }, async (t) => {
    const house = await sandbox(t);
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const sent = new Promise((resolve) => {
      server.on('request', async (request, reply) => {
        let body = '';
        for await (const part of request) body += part;
        reply.end('{}');
        resolve([...new URL(request.url, 'http://localhost').searchParams, ...new URLSearchParams(body)]);
      });
    });
    const sdk = app({ ...house, url: `http://127.0.0.1:${server.address().port}` }, mode);
    const zone = process.env.TZ;
    process.env.TZ = 'Asia/Shanghai';
    mock.timers.enable({ apis: ['Date'], now: vector.at_ms });
    t.after(() => {
      mock.timers.reset();
      if (zone === undefined) delete process.env.TZ; else process.env.TZ = zone;
    });
    const params = { format: 'JSON', notify_url: vector.notify_url, biz_content: vector.biz_content };
    await sdk.exec('alipay.trade.precreate', params).catch(() => {});
    const fields = Object.fromEntries(await sent);
    const text = Object.keys(fields).filter((name) => name !== 'sign').sort()
      .map((name) => `${name}=${fields[name]}`).join('&');
    const expected = vector[mode].replace('{app}', sdk.config.appCertSn).replace('{root}', sdk.config.alipayRootCertSn);
    assert.equal(text, expected);
    assert.ok(createVerify('RSA-SHA256').update(text).verify(house.paper('app.pem'), fields.sign, 'base64'));
  });
}
