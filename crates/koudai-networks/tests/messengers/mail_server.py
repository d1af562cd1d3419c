"""A mail server, aiosmtpd, on a free port of this machine: says its port, then what it takes, a line of JSON each.

Arguments: how TLS is offered (implicit, starttls or none), and the files of certificate and key. It ends with its standard input.
"""

import asyncio
import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

USER, PASSWORD = b"wallet@example.org", b"password-of-the-test"


def say(what):
    print(json.dumps(what), flush=True)


class Desk:
    async def handle_RCPT(self, server, session, envelope, address, options):
        answers = {"full@example.com": "452 4.2.2 Mailbox full", "gone@example.com": "550 5.1.1 No such user"}
        if address in answers:
            return answers[address] + " " + address
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        say(
            {
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "hello": session.host_name,
                "user": session.auth_data.decode() if session.auth_data else None,
                "headers": [[name, str(value)] for name, value in mail.items()],
                "text": mail.get_content(),
            }
        )
        return "250 OK"


def known(server, session, envelope, mechanism, data):
    right = (data.login, data.password) == (USER, PASSWORD)
    return AuthResult(success=right, handled=right, auth_data=USER)


async def main(mode, certificate, key):
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    settings = {"authenticator": known, "auth_require_tls": mode == "starttls", "auth_required": mode != "none"}
    if mode == "starttls":
        settings |= {"tls_context": tls, "require_starttls": True}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(Desk(), **settings), "127.0.0.1", 0, ssl=tls if mode == "implicit" else None
    )
    say({"port": server.sockets[0].getsockname()[1]})
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main(*sys.argv[1:]))
