"""slixmpp, told what we insist on.

Rules of this file
* No stanza and no credential leaves before TLS is up and the certificate is verified for the account's domain.
* PLAIN is never used unless the configuration says so; slixmpp would fall back to it after a failed SCRAM.
* Nothing here reconnects: one call, one attempt. `link.py` decides when there is another.
"""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from slixmpp import ClientXMPP

from hub.errors import LinkError

log = logging.getLogger(__name__)

MANAGEMENT = "urn:xmpp:sm:3"
ACK_REQUEST = f"{{{MANAGEMENT}}}r"
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
        self.failure = ""
        self.ssl_context = tls_context(account)
        self.enable_plaintext = False
        self.enable_direct_tls = account.server is None  # a named port speaks STARTTLS; SRV says which port does not
        self.use_ipv6 = True
        mechanisms: Any = self.plugin["feature_mechanisms"]
        mechanisms.use_mechs = account.mechanisms()
        mechanisms.config["unencrypted_plain"] = False
        self.whitespace_keepalive = False  # XEP-0199 and XEP-0198 tell more
        self.add_event_handler("ssl_invalid_chain", self._bad_certificate)
        self.add_event_handler("failed_all_auth", self._refused)
        self.add_event_handler("connection_failed", self._unreachable)
        self.add_event_handler("stream_error", self._stream_error)

    def _spawn_event(self, xml: Element) -> None:
        """Answer a request for an acknowledgement at once: servers ask after every stanza (XEP-0198 section 4), and
        the long way through stanza objects and matchers would be the dearest part of every exchange."""
        management: Any = self.plugin.get("xep_0198", None)
        if xml.tag == ACK_REQUEST and management is not None and management.enabled_in:
            self.send_raw(f'<a xmlns="{MANAGEMENT}" h="{management.handled}"/>')
        else:
            super()._spawn_event(xml)

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
        return await super()._handle_stream_features(features)

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
