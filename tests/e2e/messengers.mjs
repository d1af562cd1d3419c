// The two sides that messages go to: a short message centre and a mail relay, each the real protocol by a package of its own.
import { once } from "node:events";
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

  count(to) {
    return this.#kept.filter((message) => message.to === to).length;
  }

  /** The next message to somebody, after the `seen` there were. */
  next(to, seen) {
    return until(`a message to ${to}`, async () => this.#kept.filter((message) => message.to === to)[seen]);
  }
}

/** A short message centre for one who shows this name and password. */
export async function messageCentre(systemId, password) {
  const inbox = new Inbox();
  const server = smpp.createServer({}, (session) => {
    const bind = (pdu) => {
      const known = pdu.system_id === systemId && pdu.password === password && pdu.interface_version === 0x34;
      session.send(pdu.response({ command_status: known ? smpp.ESME_ROK : smpp.ESME_RBINDFAIL }));
    };
    session.on("bind_transmitter", bind);
    session.on("bind_transceiver", bind);
    session.on("enquire_link", (pdu) => session.send(pdu.response()));
    session.on("unbind", (pdu) => session.send(pdu.response()));
    session.on("submit_sm", (pdu) => {
      inbox.take(pdu.destination_addr, { text: pdu.short_message.message });
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
