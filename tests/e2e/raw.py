"""An XMPP client of a page, so that the tests look at the XML itself and share no line with the hub's own stack.

Asyncio streams, ElementTree's pull parser, STARTTLS, SCRAM-SHA-256 and resource binding; no stream management, no
presence unless asked for. What arrives and was not asked for by id waits in `pending` until a test takes it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import itertools
import secrets
import ssl
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from xml.etree.ElementTree import Element, XMLPullParser, tostring
from xml.sax.saxutils import quoteattr

TIMEOUT_S = 20.0  # until something that must come counts as not coming; no test waits this long when all is well

CLIENT = "{jabber:client}"
STREAM = "{http://etherx.jabber.org/streams}"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
TLS = "urn:ietf:params:xml:ns:xmpp-tls"
STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"

Wanted = Callable[[Element], bool]


class RawClient:
    """`async with RawClient(host, port, ca_file, "owner@localhost", password) as owner:`"""

    def __init__(self, host: str, port: int, ca_file: Path, bare: str, password: str, resource: str = "raw") -> None:
        self.bare, self.jid = bare, f"{bare}/{resource}"
        self.pending: list[Element] = []
        self._user, _, self._domain = bare.partition("@")
        self._where = (host, port)
        self._context = ssl.create_default_context(cafile=str(ca_file))
        self._password = password
        self._ids = itertools.count(1)
        self._news = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> RawClient:
        async with asyncio.timeout(TIMEOUT_S):
            self._reader, self._writer = await asyncio.open_connection(*self._where)
            await self._open_stream()
            self.write(f"<starttls xmlns='{TLS}'/>")
            assert (await self._element()).tag == f"{{{TLS}}}proceed"
            await self._writer.start_tls(self._context, server_hostname=self._domain)
            await self._open_stream()
            await self._authenticate()
            await self._open_stream()
            self._task = asyncio.create_task(self._read())
            bind = f"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{self.jid.partition('/')[2]}</resource>"
            answer = await self.ask(None, "set", f"{bind}</bind>")
            assert answer.get("type") == "result"
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._task is not None:
            self.write("</stream:stream>")
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)

    # ------------------------------------------------------------------ what tests do

    def write(self, xml: str) -> None:
        self._writer.write(xml.encode())

    def new_id(self) -> str:
        return f"raw-{next(self._ids)}"

    async def ask(self, to: str | None, kind: str, payload: str) -> Element:
        """The whole answer to an IQ, whether result or error."""
        id_ = self.new_id()
        address = f" to={quoteattr(to)}" if to else ""
        self.write(f"<iq type='{kind}' id='{id_}'{address}>{payload}</iq>")
        return await self.take(
            lambda s: s.tag == f"{CLIENT}iq" and s.get("id") == id_ and s.get("type") in ("result", "error"),
            f"the answer to {payload[:200]}",
        )

    async def take(self, wanted: Wanted, what: str = "a stanza") -> Element:
        """The first stanza that is `wanted`, out of those that came and those that will come."""
        async with self._news:
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    while not any(map(wanted, self.pending)):
                        await self._news.wait()
            except TimeoutError:
                raise AssertionError(f"{self.jid}: {what} did not come; there was {self._told()}") from None
        index = next(i for i, stanza in enumerate(self.pending) if wanted(stanza))
        return self.pending.pop(index)

    async def payload(self, *tags: str) -> Element:
        """The payload with one of `tags` of the next message that has one."""
        message = await self.take(lambda s: s.tag == f"{CLIENT}message" and any(c.tag in tags for c in s), str(tags))
        return next(child for child in message if child.tag in tags)

    async def befriend(self, bare: str) -> Element:
        """Online, and allowed to see the presence of `bare`; returns that presence."""
        self.write("<presence/>")
        self.write(f"<presence to='{bare}' type='subscribe'/>")
        return await self.take(
            lambda s: s.tag == f"{CLIENT}presence" and s.get("from", "").startswith(f"{bare}/") and not s.get("type"),
            f"the presence of {bare}",
        )

    def _told(self) -> str:
        return "; ".join(tostring(stanza, encoding="unicode")[:500] for stanza in self.pending) or "nothing"

    # ------------------------------------------------------------------ the stream

    async def _open_stream(self) -> Element:
        self._parser = XMLPullParser(["start", "end"])
        self._depth = 0
        self.write(f"<stream:stream to='{self._domain}' version='1.0' xmlns='jabber:client' "
                   "xmlns:stream='http://etherx.jabber.org/streams'>")  # fmt: skip
        features = await self._element()
        assert features.tag == f"{STREAM}features", features.tag
        return features

    async def _element(self) -> Element:
        """The next whole child of the stream."""
        while True:
            for event, element in self._parser.read_events():
                self._depth += 1 if event == "start" else -1
                if event == "end" and self._depth == 1:
                    return element
            data = await self._reader.read(65536)
            if not data:
                raise ConnectionError("the server closed the stream")
            self._parser.feed(data)

    async def _read(self) -> None:
        while True:
            stanza = await self._element()
            async with self._news:
                self.pending.append(stanza)
                self._news.notify_all()

    async def _authenticate(self) -> None:
        """SCRAM-SHA-256 (RFC 5802, RFC 7677) without channel binding."""
        bare_first = f"n={self._user},r={secrets.token_hex(12)}"
        first = base64.b64encode(f"n,,{bare_first}".encode()).decode()
        self.write(f"<auth xmlns='{SASL}' mechanism='SCRAM-SHA-256'>{first}</auth>")
        challenge = await self._element()
        assert challenge.tag == f"{{{SASL}}}challenge", challenge.tag
        server_first = base64.b64decode(challenge.text or "").decode()
        said = dict(part.split("=", 1) for part in server_first.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", self._password.encode(), base64.b64decode(said["s"]), int(said["i"]))
        final = f"c=biws,r={said['r']}"
        message = f"{bare_first},{server_first},{final}".encode()
        key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature, strict=True))).decode()
        answer = base64.b64encode(f"{final},p={proof}".encode()).decode()
        self.write(f"<response xmlns='{SASL}'>{answer}</response>")
        outcome = await self._element()
        assert outcome.tag == f"{{{SASL}}}success", outcome[0].tag


def condition(iq: Element) -> str:
    """The condition of a stanza error; fails when the IQ is none."""
    assert iq.get("type") == "error", f"no error but {iq.get('type')}"
    error = iq.find(f"{CLIENT}error")
    assert error is not None
    return next(c.tag.removeprefix(STANZAS) for c in error if c.tag.startswith(STANZAS) and not c.tag.endswith("}text"))


def error_text(iq: Element) -> str:
    return iq.findtext(f"{CLIENT}error/{STANZAS}text") or ""
