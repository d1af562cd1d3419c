// The two sides that messages go to: a short message centre and a mail relay, each the real protocol by a package of its own.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { simpleParser } from "mailparser";
import smpp from "smpp";
import { SMTPServer } from "smtp-server";
import { until } from "./lib.mjs";

const digits = (text) => /(?<!\d)\d{6}(?!\d)/.exec(text)?.[0];

/** What has arrived, and the next that does. */
class Inbox {
  #kept = [];

  take(to, message) {
    this.#kept.push({ to, code: digits(message.text), ...message });
  }

  #of(to, withCode) {
    return this.#kept.filter((message) => message.to === to && Boolean(message.code) === withCode);
  }

  count(to) {
    return this.#of(to, true).length;
  }

  /** The next message with a code to somebody, after the `seen` there were. */
  next(to, seen) {
    return until(`a code to ${to}`, async () => this.#of(to, true)[seen]);
  }

  newsCount(to) {
    return this.#of(to, false).length;
  }

  /** The next message that tells somebody of a change, after the `seen` there were. */
  news(to, seen) {
    return until(`news to ${to}`, async () => this.#of(to, false)[seen]);
  }
}

/** A demo of its own whose messages go to a centre and a relay, under these rules of signing in. */
export async function ownWallet(rules) {
  const password = "cent-re9";
  const folder = mkdtempSync(join(tmpdir(), "koudai-messages-"));
  const [centre, relay] = await Promise.all([messageCentre("koudai", password), mailRelay()]);
  writeFileSync(join(folder, "centre-password"), password, { mode: 0o600 });
  const demo = spawn(process.env.KOUDAI_BIN, [
    "--log", "debug", "demo", "--json", "--data", join(folder, "data"),
    "--sms-url", `smpp://koudai@127.0.0.1:${centre.port}`, "--sms-token-file", join(folder, "centre-password"),
    "--sms-sender", "10690000", "--mail-url", `smtp://127.0.0.1:${relay.port}`, "--mail-from", "Koudai <wallet@koudai.example>",
    "--sign-in-rules", rules,
  ], { stdio: ["ignore", "pipe", "pipe"] });
  const own = { centre, relay, password, log: "" };
  demo.stderr.on("data", (bytes) => { own.log += bytes; });
  const [addresses] = await once(demo.stdout, "data");
  own.at = JSON.parse(addresses);
  own.close = async () => {
    demo.kill();
    if (demo.exitCode === null) await once(demo, "exit");
    centre.close();
    relay.close();
    rmSync(folder, { recursive: true, force: true });
  };
  return own;
}

/** A short message centre for one who shows this name and password. */
export async function messageCentre(systemId, password) {
  const inbox = new Inbox();
  const server = smpp.createServer({}, (session) => {
    const whole = new Map();
    const bind = (pdu) => {
      const known = pdu.system_id === systemId && pdu.password === password && pdu.interface_version === 0x34;
      session.send(pdu.response({ command_status: known ? smpp.ESME_ROK : smpp.ESME_RBINDFAIL }));
    };
    session.on("bind_transmitter", bind);
    session.on("bind_transceiver", bind);
    session.on("enquire_link", (pdu) => session.send(pdu.response()));
    session.on("unbind", (pdu) => session.send(pdu.response()));
    session.on("submit_sm", (pdu) => {
      const { message, udh } = pdu.short_message;
      // A text of several messages: each begins with the number of all of them, how many there are, and its place.
      const [, , number, count, place] = udh?.[0] ?? [0, 0, 0, 1, 1];
      const parts = whole.get(number) ?? [];
      parts[place - 1] = message;
      whole.set(number, parts);
      if (parts.filter(() => true).length === count) {
        whole.delete(number);
        inbox.take(pdu.destination_addr, { text: parts.join("") });
      }
      session.send(pdu.response({ message_id: "1" }));
    });
    session.on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { inbox, port: server.address().port, close: () => server.close() };
}

/** A mail relay for everybody on this machine. */
export async function mailRelay() {
  const inbox = new Inbox();
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["AUTH", "STARTTLS"],
    async onData(stream, session, done) {
      const mail = await simpleParser(stream);
      for (const { address } of session.envelope.rcptTo) {
        inbox.take(address, { text: mail.text, subject: mail.subject, html: mail.html });
      }
      done();
    },
  });
  server.listen(0, "127.0.0.1");
  await once(server.server, "listening");
  return { inbox, port: server.server.address().port, close: () => server.close() };
}
