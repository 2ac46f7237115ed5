"""slixmpp, told what we insist on.

Rules of this file
* No stanza and no credential leaves before TLS is up and the certificate is verified for the account's domain.
* PLAIN is never used unless the configuration says so; slixmpp would fall back to it after a failed SCRAM.
* Once EXI is agreed on, elements go to its encoder and come from its decoder; the text of a stanza is made only for
  what slixmpp itself hands over as text.
* Nothing here reconnects: one call, one attempt. `link.py` decides when there is another.
"""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element

from slixmpp import ClientXMPP
from slixmpp.xmlstream import StanzaBase, tostring
from slixmpp.xmlstream.xmlstream import NotConnectedError

from hub.errors import LinkError, PeerConfused
from hub.exi import EncodeError, TablesFullError
from hub.session import exi_setup as setup
from hub.session.exi_link import ExiLink, ExiPolicy, product_vocabulary
from hub.session.exi_memory import Agreements
from hub.session.exi_stream import ExiStream
from hub.session.ids import Ids

log = logging.getLogger(__name__)

MANAGEMENT = "urn:xmpp:sm:3"
ACK_REQUEST = f"{{{MANAGEMENT}}}r"
ACK = f"{{{MANAGEMENT}}}a"
IQ = "{jabber:client}iq"
STREAMS = "http://etherx.jabber.org/streams"
STREAM_ERRORS = "urn:ietf:params:xml:ns:xmpp-streams"
HEADER = "<stream:stream to='{to}' xmlns:stream='{stream}' xmlns='{default}' version='1.0'>"
SCRAM = {f"SCRAM-SHA-{size}{plus}" for size in (512, 256, 1) for plus in ("", "-PLUS")}


@dataclass(frozen=True)
class Account:
    """Who we are and where. `server` is host and port, None for DNS SRV."""

    jid: str
    password: str = ""
    certificate: Path | None = None
    key: Path | None = None
    server: tuple[str, int] | None = None
    ca_file: Path | None = None
    allow_plain: bool = False
    exi: ExiPolicy = ExiPolicy.PREFER
    exi_memory: Path | None = None
    """Where agreements about EXI are kept across restarts; None: nowhere."""

    def mechanisms(self) -> set[str]:
        if self.certificate is not None:
            return {"EXTERNAL"}
        return SCRAM | {"PLAIN"} if self.allow_plain else set(SCRAM)


class Client(ClientXMPP):
    """`resource` is asked for when the account's JID names none. `failure` holds, in words, why the last attempt did
    not come through."""

    def __init__(self, account: Account, resource: str) -> None:
        jid = account.jid if "/" in account.jid else f"{account.jid}/{resource}"
        super().__init__(jid, account.password)
        self.account = account
        self.exi = ExiLink(account.exi, self.boundjid.domain, product_vocabulary, Agreements(account.exi_memory))
        self.ids = Ids()
        self.failure = ""
        self.sent = self.received = 0
        """Bytes of the streams of this account, without TLS, since the start."""
        self.ssl_context = tls_context(account)
        self.enable_plaintext = False
        self.enable_direct_tls = account.server is None  # a named port speaks STARTTLS; SRV says which port does not
        self.use_ipv6 = True
        # An id of a message that nobody answers, and a language that servers then write into every stanza, cost bytes
        # in each and tell nothing: what we say are numbers, and words in English that carry their own language (RFC
        # 6120 section 4.7.4 recommends the language, 8.1.3 leaves the ids of messages to us).
        self.use_message_ids = self.use_presence_ids = False
        self.stream_header = HEADER.format(to=self.boundjid.domain, default=self.default_ns, stream=STREAMS)
        mechanisms: Any = self.plugin["feature_mechanisms"]
        mechanisms.use_mechs = account.mechanisms()
        mechanisms.config["unencrypted_plain"] = False
        self.whitespace_keepalive = False  # XEP-0199 and XEP-0198 tell more
        self.add_filter("out_sce", self._write_stanza)
        self.add_event_handler("ssl_invalid_chain", self._bad_certificate)
        self.add_event_handler("failed_all_auth", self._refused)
        self.add_event_handler("connection_failed", self._unreachable)
        self.add_event_handler("stream_error", self._stream_error)

    # ------------------------------------------------------------------ elements in and out

    @property
    def _exi_stream(self) -> ExiStream | None:
        return self.exi.stream

    def new_id(self) -> str:
        return self.ids.new()

    def send_element(self, element: Element) -> None:
        """Put an element on the stream at once, past slixmpp's queue and filters."""
        stream = self._exi_stream
        if stream is None:
            self.send_raw(tostring(element, xmlns=self.default_ns, stream=self, top_level=True))
        elif self.transport is None:
            raise NotConnectedError
        else:
            log.debug("SEND: %s", element.tag)
            body = stream.encode(element)
            self.sent += len(body)
            self.transport.write(body)

    def request_ack(self, _: object = None) -> None:
        """Ask how much has arrived (XEP-0198 section 4); stands in for the plugin's, which makes text of it."""
        self.send_element(Element(ACK_REQUEST))

    def send_raw(self, data: str | bytes) -> None:
        """What slixmpp has as text. Over EXI it becomes an element again, and white space, which has no form there,
        nothing: pings and acknowledgements keep the connection alive."""
        if self._exi_stream is None:
            data = data.encode() if isinstance(data, str) else data
            self.sent += len(data)
            super().send_raw(data)
            return
        text = data.decode() if isinstance(data, bytes) else data
        if text == self.stream_footer:
            self.send_element(Element(setup.STREAM_END))
        elif text.strip():
            # As it would stand in a stream: slixmpp leaves out what the stream has declared
            around = f"<stream:stream xmlns='{self.default_ns}' xmlns:stream='{STREAMS}'>{text}</stream:stream>"
            self.send_element(ET.fromstring(around)[0])

    def _write_stanza(self, stanza: StanzaBase) -> StanzaBase | None:
        """The last filter of slixmpp's sender: notes what will be answered, and writes it where it becomes no text."""
        xml = stanza.xml
        if xml.tag == IQ and xml.get("type") in ("get", "set"):
            self.ids.sent(xml.get("id", ""), xml.get("to", ""))
        if self._exi_stream is None:
            return stanza
        try:
            self.send_element(xml)
        except TablesFullError as error:
            self.failure = f"EXI cannot go on with what it has learned, so it begins anew: {error}"
            self.abort()
        except EncodeError as error:
            log.error("a stanza to %s cannot be sent: %s", xml.get("to", "the server"), error)
        return None

    def data_received(self, data: bytes | str) -> None:
        stream = self._exi_stream
        self.received += len(data)
        if stream is None:
            super().data_received(data)
            return
        assert isinstance(data, bytes | bytearray | memoryview)
        try:
            for element in stream.feed(bytes(data)):
                self._element_received(element)
        except PeerConfused as error:
            self._not_understood(error)

    def _element_received(self, element: Element) -> None:
        log.debug("RECV: %s", element.tag)
        if element.tag == setup.STREAM_START:
            super().start_stream_handler(element)  # type: ignore[no-untyped-call]  # of slixmpp
            for child in element:  # XEP-0322 lets features and errors stand in it
                if not child.tag.startswith(f"{{{setup.EXI}}}"):
                    self._spawn_event(child)
        elif element.tag == setup.STREAM_END:
            self.disconnect_reason = "End of stream"
            self.abort()
        else:
            self._spawn_event(element)

    def _not_understood(self, error: PeerConfused) -> None:
        self.failure = str(error)
        problem = Element(f"{{{STREAMS}}}error")
        ET.SubElement(problem, f"{{{STREAM_ERRORS}}}not-well-formed")
        self.send_element(problem)
        self.send_element(Element(setup.STREAM_END))
        self.abort()

    def _spawn_event(self, xml: Element) -> None:
        """Answer a request for an acknowledgement at once: servers ask after every stanza (XEP-0198 section 4), and
        the long way through stanza objects and matchers would be the dearest part of every exchange."""
        management: Any = self.plugin.get("xep_0198", None)
        if xml.tag == ACK_REQUEST and management is not None and management.enabled_in:
            self.send_element(Element(ACK, h=str(management.handled)))
            return
        answers = self.exi.take(xml)
        if answers is not None:
            for answer in answers:
                self.send_element(answer)
            if self._exi_stream is not None:
                self.send_element(self._stream_start())
            return
        super()._spawn_event(xml)
        if xml.tag == IQ and xml.get("type") in ("result", "error"):
            own = frozenset(("", self.boundjid.bare, self.boundjid.full, self.boundjid.domain))
            self.ids.answered(xml.get("id", ""), xml.get("from", ""), own)

    def _stream_start(self) -> Element:
        attributes = {"to": self.boundjid.domain, "version": "1.0"}
        return setup.stream_start(attributes, {"": self.default_ns, "stream": STREAMS})

    # ------------------------------------------------------------------ the life of a connection

    def attempt(self) -> None:
        """Begin one attempt. What becomes of it arrives as an event."""
        self.failure = ""
        self.plugin["feature_mechanisms"].attempted_mechs = set()  # slixmpp keeps what failed in an earlier attempt
        host, port = self.account.server or (None, None)
        self.connect(host, port)

    def reschedule_connection_attempt(self) -> None:
        """slixmpp would wait and try again by itself; the attempt has failed, and that is all."""
        self._current_connection_attempt = None
        self.event("attempt_failed")

    async def _handle_stream_features(self, features: Any) -> bool | None:
        encrypted = isinstance(self.socket, ssl.SSLSocket | ssl.SSLObject)
        if not encrypted and "starttls" not in features["features"]:
            self.failure = "the server offers no encryption; nothing was sent to it"
            self.abort()
            return True
        if self.authenticated:
            try:
                if await self._set_up_exi(features.xml):
                    return True
            except LinkError as error:
                self.failure = str(error)
                self.abort()
                return True
        return await super()._handle_stream_features(features)

    async def _set_up_exi(self, features: Element) -> bool:
        """Whether the stream begins anew, as EXI. Raises LinkError when it must be XML and may not."""
        if self.exi.stream is not None:
            return False
        elements = self.exi.start(features)
        for element in elements:
            self.send_element(element)
        if elements and await self.exi.settled():
            return True
        if self.exi.policy is ExiPolicy.REQUIRE:
            raise LinkError(
                f"xmpp.exi is \"require\", and there is no EXI ({self.exi.why_not}); connect to a gateway "
                "(`hub gateway`), or set xmpp.exi to \"prefer\""
            )
        return False

    def connection_made(self, transport: Any, *args: Any, **more: Any) -> None:
        self.exi.reset()
        super().connection_made(transport, *args, **more)

    def connection_lost(self, exception: BaseException | None) -> None:
        if isinstance(exception, ssl.SSLError):
            self._tls_failed(exception)  # slixmpp says so only after it has said "disconnected"
        elif self.plugin["feature_mechanisms"].attempted_mechs and not self.failure:
            # The one way in which slixmpp gives up a mechanism and says nothing: SCRAM's proof of the server was wrong.
            self.failure = "the server could not prove that it knows the password: it is not the one it claims to be"
        super().connection_lost(exception)

    def _bad_certificate(self, error: ssl.SSLError) -> None:
        self._tls_failed(error)
        self.abort()

    def _tls_failed(self, error: ssl.SSLError) -> None:
        if isinstance(error, ssl.SSLCertVerificationError):
            self.failure = (
                f"the server's certificate is not trusted for {self.boundjid.domain} ({error.verify_message}); "
                "name its CA with xmpp.ca_file"
            )
        else:
            self.failure = f"the encryption could not be set up: {error}"

    def _refused(self, _: object) -> None:
        offered = ", ".join(sorted(getattr(self.plugin["feature_mechanisms"], "mech_list", ()))) or "nothing"
        self.failure = f"the server refused the credentials of {self.boundjid.bare} (it offers {offered})"

    def _unreachable(self, error: object) -> None:
        if isinstance(error, ssl.SSLError):  # of a port that speaks TLS from the first byte
            self._tls_failed(error)
        else:
            self.failure = f"the server cannot be reached: {error}"

    def _stream_error(self, error: Any) -> None:
        self.failure = f"the server closed the stream: {error['condition']} {error['text']}".strip()


def tls_context(account: Account) -> ssl.SSLContext:
    """Verified TLS 1.2 or later. Raises LinkError when a named file cannot be used."""
    try:
        context = ssl.create_default_context(cafile=str(account.ca_file) if account.ca_file else None)
        if account.certificate is not None:
            context.load_cert_chain(account.certificate, account.key)
    except (OSError, ssl.SSLError) as error:
        named = ", ".join(str(p) for p in (account.ca_file, account.certificate, account.key) if p)
        raise LinkError(f"the certificate files ({named}) cannot be used: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
