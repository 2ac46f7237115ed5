"""What a connection is given: the ports there are, and what all connections have in common."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol
from xml.etree.ElementTree import Element

from hub import exi
from hub.gateway.domains import Domains
from hub.gateway.figures import Figures
from hub.gateway.limits import Limits
from hub.session.exi_setup import Settings


class Agreed(Protocol):
    @property
    def settings(self) -> Settings: ...
    @property
    def grammars(self) -> exi.Grammars: ...


class Negotiates(Protocol):
    """The set-up of one connection; `agreed` is what it has come to, `agreement` the same once compression begins."""

    @property
    def agreed(self) -> Agreed | None: ...
    @property
    def agreement(self) -> Agreed | None: ...
    async def answer(self, element: Element) -> Element | None: ...


@dataclass
class Shared:
    """What all connections have in common. `exi_port`: the binary one, where there is one; `default_grammars` are what
    it begins with, `recall` finds what an earlier connection agreed on. `watch` looks on at each stanza that was
    translated, and changes nothing of it: the element, and the bytes it took in EXI and in XML."""

    domains: Domains
    limits: Limits
    figures: Figures
    negotiator: Callable[[], Negotiates]
    exi_port: int | None = None
    default_grammars: exi.Grammars | None = None
    recall: Callable[[str], Awaitable[Agreed | None]] | None = None
    watch: Callable[[Element, int, int], None] | None = None


class Port(enum.Enum):
    """Where a client comes in, and what it begins with."""

    ORDINARY = "XML, then STARTTLS"
    BINARY = "TLS, then EXI"
    BINARY_IN_THE_CLEAR = "EXI"
