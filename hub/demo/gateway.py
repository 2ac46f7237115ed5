"""The gateway of the demo: in this process, between the node and Prosody, and what it sees of the node's link.

Rules of this file
* Nobody but the node comes through it, so its figures are those of one constrained link. XML is what the gateway
  writes to the server and reads from it: both sides are counted, none is reckoned. TLS, login and set-up are left out.
* It holds nothing that outlives the process but its folder, which lies in the demo's.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element

from hub.demo.prosody import Address, Prosody
from hub.gateway.bounds import Bounds
from hub.gateway.domains import Domain, Domains
from hub.gateway.figures import Figures, size
from hub.gateway.limits import Limits
from hub.gateway.negotiation import Negotiator
from hub.gateway.server import Gateway
from hub.gateway.shared import Port, Shared
from hub.gateway.store import Store
from hub.services.pubsub import PUBSUB
from hub.stanzas.dialects import TELEMETRY

MOST_CONNECTIONS: Final = 16  # the node's, and those that it has lost; few enough to leave the limit on files alone

_READING: Final = "/".join([*(f"{{{PUBSUB}}}{name}" for name in ("pubsub", "publish", "item")),
                            f"{{{TELEMETRY.namespace}}}fields"])  # fmt: skip
"""Where a publishing stanza has its reading (XEP-0060 section 7.1)."""


@dataclass(frozen=True)
class Cost:
    """What a published reading took; sizes in bytes."""

    thing: str
    values: int
    exi: int
    xml: int

    def __str__(self) -> str:
        values = f"{self.values} value{'s' * (self.values != 1)}"
        return f"{self.thing}, {values}: {self.exi} bytes; as XML {self.xml}"


@dataclass
class Savings:
    """What the node's link has carried in EXI, beside what it would have carried in XML. `newest` and `readings` are
    of what the node has published."""

    figures: Figures = field(default_factory=Figures)
    readings: int = 0
    newest: Cost | None = None

    def watch(self, element: Element, exi: int, xml: int) -> None:
        """Look at a stanza that was translated."""
        fields = element.find(_READING)
        answer = TELEMETRY.decode_answer(fields) if fields is not None else None
        for reading in answer.readings if answer is not None else ():
            self.readings += 1
            self.newest = Cost(reading.node.node_id, len(reading.fields), exi, xml)

    @property
    def spoken(self) -> bool:
        """Whether readings have left the node in EXI, and every stanza of its link had a form there."""
        return self.readings > 0 and not self.figures.dropped

    @property
    def exi(self) -> int:
        return self.figures.up.exi + self.figures.down.exi

    @property
    def xml(self) -> int:
        return self.figures.up.xml + self.figures.down.xml

    @property
    def stanzas(self) -> int:
        return self.figures.up.stanzas + self.figures.down.stanzas

    def lines(self) -> str:
        """For the live view: two lines, short enough for 80 columns."""
        if not self.xml:
            return "the node's link: nothing has gone over it in EXI yet"
        total = f"{self.stanzas:,} stanzas, {size(self.exi)} in EXI; as XML {size(self.xml)}"
        newest = f"newest reading:  {self.newest}" if self.newest is not None else ""
        return f"the node's link: {total} ({self._share})\n{newest}"

    def sentence(self) -> str:
        """For the end."""
        if not self.readings:
            return "EXI was not spoken: no reading has left the node in it"
        said = (
            f"EXI on the node's link: {self.stanzas:,} stanzas in {self.exi:,} bytes; as XML {self.xml:,} "
            f"({self._share}); newest reading: {self.newest}"
        )
        return said + (f"; {self.figures.dropped} had no form in EXI" if self.figures.dropped else "")

    @property
    def _share(self) -> str:
        return f"{self.exi / self.xml:.0%}"


class DemoGateway:
    """In front of `server`; `start` it once that listens. `folder`: for its schemas and agreements."""

    def __init__(self, server: Prosody, folder: Path) -> None:
        self.savings = Savings()
        self.address = Address("127.0.0.1", 0)
        """Where it listens, once it does."""
        self._server, self._folder = server, folder
        self._store: Store | None = None
        self._gateway: Gateway | None = None

    async def start(self) -> None:
        """Raises LinkError."""
        limits = Limits(connections=MOST_CONNECTIONS, connections_per_address=MOST_CONNECTIONS)
        bounds = dataclasses.replace(Bounds(), limits=limits.exi(limits.stanza_size))
        self._store = store = Store(self._folder, bounds)
        shared = Shared(Domains([self._domain()]), limits, self.savings.figures, lambda: Negotiator(store, bounds),
                        watch=self.savings.watch)  # fmt: skip
        self._gateway = Gateway(shared, {Port.ORDINARY: [(self.address.host, 0)]})
        await self._gateway.start()
        self.address = Address(*self._gateway.addresses[Port.ORDINARY][0])

    async def stop(self) -> None:
        """Nobody is connected when this returns."""
        if self._gateway is not None:
            await self._gateway.drain()
        if self._store is not None:
            await self._store.close()

    def _domain(self) -> Domain:
        server = self._server
        return Domain(name=server.domain, certificate=server.folder / "cert.pem", key=server.folder / "key.pem",
                      server=(server.address.host, server.address.port), ca_file=server.ca_file)  # fmt: skip
