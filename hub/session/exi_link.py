"""EXI on one account's connection: when it is tried, what is proposed, and what became of it.

Rules of this file
* It is tried after TLS and SASL, before a resource is bound or a session resumed (XEP-0170), once per connection.
* "prefer" goes on in plain XML when there is no agreement and says so once; "require" does not go on at all.
* A server that never answers may begin to speak EXI at any moment: the connection is lost, and the next one of this
  process does not try.
* Nothing here writes to a socket: `Client` does, with what `start` and `take` hand it.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from xml.etree.ElementTree import Element

from hub import exi
from hub.errors import LinkError
from hub.exi import schemas
from hub.session import exi_setup as setup
from hub.session.exi_client import Negotiation, State
from hub.session.exi_memory import Agreements
from hub.session.exi_setup import SchemaFile, Setup
from hub.session.exi_stream import ExiStream

log = logging.getLogger(__name__)

SETUP_TIMEOUT_S = 15.0
ANSWERS = frozenset({setup.SETUP_RESPONSE, setup.COMPRESSED, setup.COMPRESS_FAILURE})

LIMITS = exi.Limits(decoded_size=8_000_000, string_length=1_000_000, table_entries=10_000, table_size=1_048_576)
"""What a server may send: far more than any stanza a node meets, far less than a small board has. The tables are as
large as those of `hub gateway` (`hub.gateway.limits`), so that neither end fills the other's beyond its bounds."""

PROPOSED = setup.Settings(exi.Options(value_max_length=64, value_partition_capacity=1024), session_wide=True)


class ExiPolicy(enum.StrEnum):
    OFF = "off"
    PREFER = "prefer"
    REQUIRE = "require"


@dataclass(frozen=True)
class Vocabulary:
    """What we propose, the grammars that go with all of its schemas, and the files behind them. `file_of` None: nothing
    is uploaded."""

    proposal: Setup
    grammars: Callable[[], exi.Grammars]
    file_of: Callable[[SchemaFile], bytes] | None = None


@dataclass
class ExiLink:
    """`stream` is there as long as the connection speaks EXI. `why_not` says why it does not."""

    policy: ExiPolicy
    domain: str
    vocabulary: Callable[[], Vocabulary]
    agreements: Agreements = field(default_factory=lambda: Agreements(None))
    stream: ExiStream | None = None
    why_not: str = ""
    _negotiation: Negotiation | None = None
    _settled: asyncio.Event = field(default_factory=asyncio.Event)
    _said: str = ""
    _silent: bool = False

    def reset(self) -> None:
        """A new connection begins as XML."""
        self.stream, self._negotiation, self.why_not = None, None, ""
        self._settled = asyncio.Event()

    def start(self, features: Element) -> list[Element]:
        """What to send upon the features of an authenticated stream: nothing where EXI is not wanted, not offered, or
        has been tried on this connection."""
        if self.policy is ExiPolicy.OFF or self.stream is not None or self._negotiation is not None:
            return []
        if self._silent or setup.METHOD not in setup.offered_methods(features):
            self._give_up("the server did not answer before" if self._silent else "the server does not offer it")
            return []
        vocabulary = self.vocabulary()
        remembered = self.agreements.recall(self.domain, vocabulary.proposal)
        self._negotiation = Negotiation(vocabulary.proposal, remembered, vocabulary.file_of)
        return self._negotiation.start()

    def take(self, element: Element) -> list[Element] | None:
        """What to send upon an answer to the set-up; None if the element is none. With the answer that ends the set-up
        `stream` is there."""
        negotiation = self._negotiation
        if negotiation is None or self._settled.is_set() or element.tag not in ANSWERS:
            return None
        answers = negotiation.receive(element)
        if negotiation.forgotten:
            self.agreements.forget(self.domain)
        if negotiation.state is State.DONE:
            agreement = negotiation.agreement
            assert agreement is not None
            vocabulary = self.vocabulary()
            self.agreements.remember(self.domain, vocabulary.proposal, agreement)
            settings = setup.Settings(agreement.settings.options.with_(limits=LIMITS), agreement.settings.session_wide)
            self.stream = ExiStream(vocabulary.grammars(), settings)
            self._settled.set()
        elif negotiation.state is State.FAILED:
            self._give_up(negotiation.failure)
        return answers

    async def settled(self) -> bool:
        """Wait for the end of the set-up: whether EXI is spoken from now on. Raises LinkError when the server is
        silent."""
        try:
            async with asyncio.timeout(SETUP_TIMEOUT_S):
                await self._settled.wait()
        except TimeoutError:
            self._silent = True
            raise LinkError(f"the server did not answer the EXI set-up within {SETUP_TIMEOUT_S:g} s") from None
        return self.stream is not None

    def _give_up(self, why: str) -> None:
        self.why_not = why
        self._settled.set()
        if self.policy is ExiPolicy.PREFER and why != self._said:
            log.info("no EXI: %s; plain XML it is", why)
            self._said = why


@cache
def product_vocabulary() -> Vocabulary:
    """Our own schemas, all of them. Read when a server offers EXI, and not before."""
    files = {SchemaFile(*file.identity): file for file in schemas.files()}
    return Vocabulary(Setup(PROPOSED, tuple(files)), schemas.grammars, lambda named: files[named].data)
