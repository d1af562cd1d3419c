// A sandbox Alipay of the test's own, and an app of npm's `alipay-sdk` in each of the two modes.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { AlipaySdk } from 'alipay-sdk';

const { KOUDAI_BIN } = process.env;
export const skip = !KOUDAI_BIN && 'KOUDAI_BIN is not set';
export const appId = '2021000000000001';
export const seller = '2088100000000001';

/** Starts a sandbox on a free port, and ends it with the test. */
export async function sandbox(t) {
  const dir = mkdtempSync(join(tmpdir(), 'koudai-alipay-'));
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  const child = spawn(KOUDAI_BIN, [
    '--log', 'info', 'sandbox', 'alipay', '--data', dir, '--listen', `127.0.0.1:${port}`, '--while-stdin',
  ], { stdio: ['pipe', 'ignore', 'pipe'] });
  t.after(async () => {
    child.stdin.end();
    if (child.exitCode === null) await once(child, 'exit');
    rmSync(dir, { recursive: true });
  });
  await new Promise((resolve, reject) => {
    let said = '';
    child.stderr.on('data', (part) => {
      said += part;
      if (said.includes('the sandbox Alipay is open')) resolve();
    });
    child.once('exit', () => reject(new Error(said)));
  });
  const url = `http://127.0.0.1:${port}`;
  const paper = (name) => readFileSync(join(dir, name), 'utf8');
  const person = (trade, act, no = 1) => post(`${url}/person/pay`, { trade, act, person: no });
  return { dir, url, paper, person, code: async (no) => (await post(`${url}/person/code`, { person: no })).auth_code };
}

async function post(url, body) {
  const reply = await fetch(url, {
    method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' },
  });
  return { status: reply.status, ...(await reply.json()) };
}

/** The app as the SDK has it, in `keys` or `certificates` mode; nothing but its gateway is ours. */
export function app({ url, paper }, mode) {
  const own = { appId, privateKey: paper('app_key.pem'), keyType: 'PKCS8', gateway: `${url}/gateway.do` };
  return new AlipaySdk(mode === 'keys'
    ? { ...own, alipayPublicKey: paper('alipay_1_public_key.pem') }
    : {
      ...own,
      appCertContent: paper('app.pem'),
      alipayPublicCertContent: paper('alipay_1.pem'),
      alipayRootCertContent: paper('root.pem'),
    });
}

/** Hears notices, which come in any order: of what is going on at one time, none is promised before another. */
export async function ear(t) {
  const heard = [];
  let told = () => {};
  const server = createServer(async (request, reply) => {
    let body = '';
    for await (const part of request) body += part;
    heard.push(Object.fromEntries(new URLSearchParams(body)));
    told();
    reply.end('success');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    /** The first notice of that order, as soon as there is one. */
    async of(order) {
      for (;;) {
        const found = heard.find((notice) => notice.out_trade_no === order);
        if (found) return found;
        await new Promise((resolve) => { told = resolve; });
      }
    },
  };
}
