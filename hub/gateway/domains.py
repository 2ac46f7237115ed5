"""The domains that the gateway stands for, each with its certificate, its server, and TLS for both sides.

Rules of this file
* A table is made whole or not at all: one bad certificate leaves the table before in use.
* TLS 1.2 or newer. The server's certificate must be valid for the domain, by the system's authorities or by `ca_file`.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hub.errors import LinkError


@dataclass(frozen=True, kw_only=True)
class Domain:
    """`server`: host and port. `direct_tls`: TLS from its first byte on, instead of STARTTLS."""

    name: str
    certificate: Path
    key: Path
    server: tuple[str, int]
    ca_file: Path | None = None
    direct_tls: bool = False


@dataclass(frozen=True)
class Served:
    domain: Domain
    accepting: ssl.SSLContext
    connecting: ssl.SSLContext


class Domains:
    """Raises LinkError where a file is missing or no certificate."""

    def __init__(self, domains: Iterable[Domain]) -> None:
        self._served: dict[str, Served] = {}
        self.load(domains)

    def load(self, domains: Iterable[Domain]) -> None:
        """Another table from now on; connections keep what they have. Raises LinkError; then nothing has changed."""
        served = {domain.name.lower(): Served(domain, self._accepting(domain), _connecting(domain))
                  for domain in domains}  # fmt: skip
        if not served:
            raise LinkError("a gateway stands for at least one domain")
        self._served = served

    def find(self, name: str) -> Served | None:
        return self._served.get(name.lower())

    @property
    def first(self) -> Served:
        """For a client that does not say for which domain it comes."""
        return next(iter(self._served.values()))

    def _accepting(self, domain: Domain) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.sni_callback = self._choose
        try:
            context.load_cert_chain(domain.certificate, domain.key, password=_no_password)
        except (OSError, ValueError) as error:
            raise LinkError(f"{domain.name}: {domain.certificate} and {domain.key} are no certificate and key for it: "
                            f"{error}") from None  # fmt: skip
        return context

    def _choose(self, tls: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
        """The name that a client asks for (RFC 6066 section 3) overrules; an unknown one keeps what there is."""
        served = self.find(name) if name else None
        if served is not None:
            tls.context = served.accepting


def _connecting(domain: Domain) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(domain.ca_file) if domain.ca_file is not None else None)
    except OSError as error:
        raise LinkError(f"{domain.name}: {domain.ca_file} holds no certificate authority: {error}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if domain.direct_tls:
        context.set_alpn_protocols(["xmpp-client"])  # XEP-0368 section 5: a port may be shared with others
    return context


def _no_password() -> str:
    raise ValueError("the key has a password; a service has nobody to ask")
