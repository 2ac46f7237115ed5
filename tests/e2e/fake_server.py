"""An XMPP server that only begins: it offers what it is told to offer and writes down every byte that it is sent.

Used for servers that no honest configuration gives: without encryption, with PLAIN alone, with a forged proof.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from pathlib import Path
from types import TracebackType

SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
TLS = "urn:ietf:params:xml:ns:xmpp-tls"
HEADER = (
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
    "id='1' from='localhost' version='1.0'>"
)


class FakeServer:
    """`folder` holds `cert.pem` and `key.pem`; None: it offers no encryption."""

    def __init__(self, folder: Path | None, mechanisms: tuple[str, ...]) -> None:
        self._mechanisms = "".join(f"<mechanism>{name}</mechanism>" for name in mechanisms)
        self._context: ssl.SSLContext | None = None
        if folder is not None:
            self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self._context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        self.port = 0
        self.connections = 0
        self.heard = b""
        """All that clients have said, decrypted."""

    async def __aenter__(self) -> FakeServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.close()
        await self._server.wait_closed()

    def heard_secret(self, secret: str) -> bool:
        """Whether `secret` came in the clear or in base64, at whatever offset."""
        found = secret.encode() in self.heard
        for word in self.heard.replace(b">", b" ").replace(b"<", b" ").split():
            try:
                found = found or secret.encode() in base64.b64decode(word + b"=" * (-len(word) % 4))
            except ValueError:
                continue
        return found

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._until(reader, b"<stream:stream", b">")
            if self._context is not None:
                features = f"<starttls xmlns='{TLS}'><required/></starttls>"
                writer.write(f"{HEADER}<stream:features>{features}</stream:features>".encode())
                await self._until(reader, b"<starttls", b">")
                writer.write(f"<proceed xmlns='{TLS}'/>".encode())
                await writer.start_tls(self._context)
                await self._until(reader, b"<stream:stream", b">")
            features = f"<mechanisms xmlns='{SASL}'>{self._mechanisms}</mechanisms>"
            writer.write(f"{HEADER}<stream:features>{features}</stream:features>".encode())
            while data := await reader.read(4096):
                self.heard += data
                if b"</stream:stream>" in data:
                    return
                if b"</auth>" in data or b"<auth" in data:
                    writer.write(self._challenge(data))
                elif b"<response" in data:
                    forged = base64.b64encode(b"v=" + base64.b64encode(bytes(32))).decode()
                    writer.write(f"<success xmlns='{SASL}'>{forged}</success>".encode())
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _until(self, reader: asyncio.StreamReader, start: bytes, end: bytes) -> None:
        for mark in (start, end):
            self.heard += await reader.readuntil(mark)

    @staticmethod
    def _challenge(auth: bytes) -> bytes:
        """A SCRAM challenge that continues the client's nonce."""
        first = base64.b64decode(auth.partition(b"</auth>")[0].rpartition(b">")[2])
        nonce = first.rpartition(b"r=")[2]
        challenge = b"r=" + nonce + b"server,s=c2FsdHNhbHQ=,i=4096"
        return b"<challenge xmlns='" + SASL.encode() + b"'>" + base64.b64encode(challenge) + b"</challenge>"
