"""A mail server that others wrote (aiosmtpd): STARTTLS and a login, then each mail as a line of JSON."""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


class Handler:
    async def handle_DATA(self, server, session, envelope):
        mail = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": session.ssl is not None,
            "text": envelope.original_content.decode(),
        }
        print(json.dumps(mail), flush=True)
        return "250 taken"


def knows(server, session, envelope, mechanism, login):
    known = (login.login, login.password) == (b"ops", b"password-hidden")
    # Not handled: the server answers by itself.
    return AuthResult(success=known, handled=False)


async def main(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    loop = asyncio.get_running_loop()

    def connection():
        return SMTP(
            Handler(),
            tls_context=context,
            require_starttls=True,
            authenticator=knows,
            auth_required=True,
            loop=loop,
        )

    server = await loop.create_server(connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
