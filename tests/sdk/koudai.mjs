// What both tests share: where the server is, the merchant's keys, a shop's notification address, and a person who
// registers through the wallet's own routes, tops up and pays.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

const need = (name) => {
  const value = process.env[name];
  if (!value) throw new Error(`set ${name}; README.md says to what`);
  return value;
};

const origin = (name) => need(name).replace(/\/+$/, '');

export const gateway = origin('KOUDAI_GATEWAY');
export const merchant = JSON.parse(readFileSync(need('KOUDAI_MERCHANT'), 'utf8'));
const wallet = origin('KOUDAI_WALLET');
const inbox = origin('KOUDAI_INBOX');

const PASSWORD = '852016';
/** How long anything that happens in the background may take. */
const PATIENCE_MS = 20_000;

/** A number no other run has used. */
export const fresh = (prefix) => `${prefix}-${Date.now().toString(36)}-${randomInt(1e9).toString(36)}`;

/** Asks `look` until it gives something. */
export async function eventually(what, look) {
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > until) throw new Error(`waited in vain for ${what}`);
    await sleep(100);
  }
}

/** A shop's server that takes notifications and keeps them as they came. */
export class Shop {
  #server;
  #received = [];

  static async open() {
    const shop = new Shop();
    shop.#server = createServer(async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      shop.#received.push({ headers: request.headers, body: Buffer.concat(chunks).toString('utf8') });
      response.writeHead(204).end();
    });
    shop.#server.listen(0, '127.0.0.1');
    await once(shop.#server, 'listening');
    return shop;
  }

  get notifyUrl() {
    return `http://127.0.0.1:${this.#server.address().port}/notify`;
  }

  /** The first notification of this kind whose content, opened by `open`, fits. */
  notification(eventType, open, fits) {
    return eventually(eventType, () => {
      for (const notice of this.#received) {
        const envelope = JSON.parse(notice.body);
        if (envelope.event_type !== eventType) continue;
        const content = open(envelope.resource);
        if (fits(content)) return { ...notice, envelope, content };
      }
      return undefined;
    });
  }

  close() {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** Somebody with a wallet, a bound card and some balance. */
export class Person {
  #token;
  card;
  /** As the bank has confirmed it. */
  name;

  /** Registers, binds a test card of the sandbox bank and tops up `yuan`, such as '50.00'. */
  static async withBalance(yuan) {
    const person = new Person();
    await person.#signIn(`138${String(randomInt(1e8)).padStart(8, '0')}`);
    await person.#post('/payment-password', { payment_password: PASSWORD, payment_password_again: PASSWORD });
    await person.#bind();
    await person.#topUp(yuan);
    return person;
  }

  async #signIn(phone) {
    const since = await lastMessage(phone);
    const { request } = await this.#post('/login/code', { phone });
    const { token } = await this.#post('/login', { phone, code: await codeAfter(phone, since), request, agree: 'on' });
    this.#token = token;
  }

  /** Binds one of the bank's ordinary cards that nobody holds yet. */
  async #bind() {
    const first = randomInt(FIRST_ORDINARY, LAST_ORDINARY + 1);
    for (let step = 0; ; step += 1) {
      const span = LAST_ORDINARY - FIRST_ORDINARY + 1;
      const card = testCard(FIRST_ORDINARY + ((first - FIRST_ORDINARY + step) % span));
      const since = await lastMessage(card.phone);
      const id = fresh('bind');
      const begun = await this.#ask('POST', '/cards', {
        binding_id: id, kind: 'debit', ...card, payment_password: PASSWORD,
      });
      if (begun.body.code === 'CARD_BOUND_ELSEWHERE' && step < span) continue;
      done('POST /cards', begun);
      const code = await codeAfter(card.phone, since);
      const bound = await this.#post(`/cards/bindings/${id}/confirm`, { code });
      this.card = bound.card_id;
      this.name = card.name;
      return;
    }
  }

  async #topUp(amount) {
    const id = fresh('topup');
    await this.#post('/top-up', { attempt_id: id, card_id: this.card, amount, payment_password: PASSWORD });
    await eventually('the top-up', async () => (await this.#get(`/top-up/${id}`)).state === 'succeeded');
  }

  /** Scans a code's text and pays what it stands for, by 'balance' or by a card's id. */
  async pay(codeUrl, method = 'balance') {
    const { pay } = await this.#post('/scan', { text: codeUrl });
    return this.#payAt(pay, method);
  }

  /** Comes to the payment page with a call-up's parameters, or by the address of an `h5_url`, and pays. */
  async payCalled(path, parameters = {}) {
    const { pay } = await this.#get(`${path.replace(wallet, '')}${query(path, parameters)}`);
    return this.#payAt(pay, 'balance');
  }

  /** What the wallet says to a call-up it does not take. */
  async calledInVain(path, parameters) {
    const { status, body } = await this.#ask('GET', path + query(path, parameters));
    return { status, code: body.code };
  }

  /** A code that tells this merchant's server who this is, as the wallet hands it out. */
  async loginCode() {
    const asked = { appid: merchant.appid, response_type: 'code', scope: 'snsapi_base' };
    return (await this.#get(`/connect/oauth2/authorize${query('', asked)}`)).code;
  }

  /** What this merchant's app knows this person as, by the two calls a server makes. */
  async openid() {
    const own = { appid: merchant.appid, secret: need('KOUDAI_APP_SECRET'), grant_type: 'authorization_code' };
    const ask = async (path, parameters) => (await fetch(gateway + path + query('', { ...own, ...parameters }))).json();
    const { openid, scope } = await ask('/sns/oauth2/access_token', { code: await this.loginCode() });
    const js_code = await this.loginCode();
    const session = await ask('/sns/jscode2session', { js_code });
    const again = await ask('/sns/jscode2session', { js_code });
    if (scope !== 'snsapi_base' || session.openid !== openid || again.errcode !== 40163) {
      throw new Error(JSON.stringify({ scope, session, again }));
    }
    return openid;
  }

  async #payAt(pay, method) {
    const before = await this.#get(pay);
    await this.#post(pay, { method, payment_password: PASSWORD });
    const after = await eventually('the payment', async () => {
      const state = await this.#get(pay);
      return state.state === 'paid' && state;
    });
    return { before, after };
  }

  /** Receives what a merchant sent, by its `package_info`; how it stood before and after. */
  async receive(packageInfo) {
    const { pathname } = new URL(packageInfo);
    const before = await this.#get(pathname);
    return { before, after: await this.#post(pathname) };
  }

  /** What waits to be received. */
  async waiting() {
    return (await this.#get('/transfers')).transfers;
  }

  /** Switches payment codes on, if they are off, and shows one. */
  async code() {
    await this.#post('/code/on', { payment_password: PASSWORD });
    return (await this.#get('/code')).code;
  }

  /** Confirms what a cashier's scan asks for, once it does. */
  async confirm(method = 'balance') {
    const { asked } = await eventually('the question', async () => {
      const shown = await this.#get('/code');
      return shown.asked && shown;
    });
    await this.#post(`/code/${asked}`, { method, payment_password: PASSWORD });
  }

  async balance() {
    return (await this.#get('/')).balance.minor;
  }

  /** Takes the card out of the wallet, so that the next run may use it. */
  async leave() {
    if (this.card) await this.#post(`/cards/${this.card}/remove`, { payment_password: PASSWORD });
  }

  #get = async (path) => done(`GET ${path}`, await this.#ask('GET', path));
  #post = async (path, fields) => done(`POST ${path}`, await this.#ask('POST', path, fields));

  async #ask(method, path, fields) {
    // Before there is a token a request has to come from the wallet's own origin, as a page's would.
    const headers = { accept: 'application/json', origin: wallet };
    if (fields) headers['content-type'] = 'application/json';
    if (this.#token) headers.authorization = `Bearer ${this.#token}`;
    const reply = await fetch(wallet + path, { method, headers, body: fields && JSON.stringify(fields) });
    const text = await reply.text();
    return { status: reply.status, body: text ? JSON.parse(text) : {} };
  }
}

const query = (path, parameters) => {
  const text = new URLSearchParams(parameters).toString();
  return text && (path.includes('?') ? '&' : '?') + text;
};

function done(what, { status, body }) {
  if (status !== 200) throw new Error(`${what} gave ${status} ${JSON.stringify(body)}`);
  return body;
}

async function messages(phone) {
  const reply = await fetch(`${inbox}/inbox?to=${phone}`, { headers: { accept: 'application/json' } });
  return reply.json();
}

async function lastMessage(phone) {
  return (await messages(phone)).length;
}

/** The code of the first message that came after the first `since`. */
async function codeAfter(phone, since) {
  const message = await eventually('a message', async () => (await messages(phone))[since]);
  return message.code;
}

// The sandbox bank's ordinary customers hold one debit card each: its numbers are made up and follow from the card's.
const FIRST_ORDINARY = 9;
const LAST_ORDINARY = 46;
const FAMILY = [...'赵钱孙周吴郑冯陈褚卫蒋沈韩杨朱秦许何吕'];
const GIVEN = ['雨桐', '浩然'];

function testCard(no) {
  const customer = no - 6;
  const at = customer - 3;
  const id = `11019919900101${String(customer).padStart(3, '0')}`;
  const number = `629999${String(no).padStart(12, '0')}`;
  return {
    number: number + luhnDigit(number),
    name: FAMILY[at % FAMILY.length] + GIVEN[Math.floor(at / FAMILY.length) % GIVEN.length],
    id_number: id + idCheck(id),
    phone: `139${String(customer).padStart(8, '0')}`,
  };
}

/** The check digit of a card number (ISO/IEC 7812-1, annex B). */
function luhnDigit(body) {
  const sum = [...body].reverse().reduce((total, digit, at) => {
    const doubled = at % 2 === 0 ? digit * 2 : Number(digit);
    return total + (doubled > 9 ? doubled - 9 : doubled);
  }, 0);
  return (10 - (sum % 10)) % 10;
}

/** The check character of a resident ID number (GB 11643-1999). */
function idCheck(body) {
  const weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
  const sum = weights.reduce((total, weight, at) => total + weight * body[at], 0);
  return '10X98765432'[sum % 11];
}
