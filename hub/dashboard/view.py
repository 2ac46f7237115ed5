"""What a page sees of hubs and their things, and what it may ask: the contract between the page and the rest.

Rules of this file
* Plain frozen data and one protocol; neither a page's library nor XMPP is known here.
* What is not true any more never looks as if it were: `freshness` says it, and a page shows it by more than colour.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from devices.base import Value, ValueType
from hub.things.model import Quality

TREND_POINTS: Final = 120
UPDATES_PER_S: Final = 4
"""At most so often a page is told of changes."""


class Freshness(enum.Enum):
    LIVE = "live"
    STALE = "stale"
    """Older than it should be."""
    GONE = "gone"
    """Its hub is not online, or we are not."""
    NEVER = "never"
    """There has been no value yet."""


class Span(enum.Enum):
    """The value is the length in seconds."""

    HOUR = 3_600
    DAY = 86_400
    WEEK = 604_800


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """`hub`: its bare JID."""

    hub: str
    thing: str
    field: str


@dataclass(frozen=True, slots=True)
class Tile:
    """A field as it stands. `text`: the value as people read it, "" when there is none; `quality_text`: "" for a plain
    good value. `trouble`: why its thing cannot be read; `alarm`: words, "" when there is none; both only as long as
    they hold. `trend`: (seconds since 1970, value) of numbers and switches, oldest first, at most `TREND_POINTS`."""

    key: Key
    label: str
    value: Value | None
    text: str
    unit: str
    type: ValueType
    moment: dt.datetime | None
    quality: Quality
    quality_text: str
    freshness: Freshness
    trouble: str
    alarm: str
    trend: tuple[tuple[float, float], ...]
    writable: bool


class HubLife(enum.Enum):
    CONNECTING = "connecting"
    ONLINE = "online"
    GONE = "not there"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class HubState:
    """`text`: what is wrong and what is tried next, "" when all is well. `things`: names, in the hub's order."""

    jid: str
    title: str
    life: HubLife
    text: str
    things: tuple[str, ...]

    @property
    def up(self) -> bool:
        return self.life is HubLife.ONLINE


@dataclass(frozen=True, slots=True)
class Series:
    """`times`: seconds since 1970, ascending. `low` and `high` equal `mean` where a point is a single value; None in
    all three is a gap. `note`: what is missing and why, "" when nothing is."""

    times: tuple[float, ...]
    mean: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    unit: str
    note: str


@dataclass(frozen=True, slots=True)
class Control:
    """A parameter as the control form shows it: `text` is what the form says now; "" where nothing is said."""

    name: str
    type: ValueType
    label: str
    description: str
    text: str
    minimum: str
    maximum: str
    options: tuple[str, ...]
    page: str


@dataclass(frozen=True, slots=True)
class Visitor:
    name: str
    control: bool


class Board(Protocol):
    @property
    def title(self) -> str: ...

    @property
    def trouble(self) -> str:
        """What is wrong with our own link and what is tried next; "" when all is well."""
        ...

    @property
    def anonymous(self) -> Visitor | None:
        """Who somebody is who did not log in; None: everybody has to."""
        ...

    def hubs(self) -> tuple[HubState, ...]: ...

    def tiles(self) -> tuple[Tile, ...]:
        """In a stable order: hub, thing, field. A thing that could not be read yet has one with the field "", without
        value."""
        ...

    def tile(self, key: Key) -> Tile | None: ...

    def changes(self) -> AsyncIterator[frozenset[Key] | None]:
        """Tiles that changed, at most `UPDATES_PER_S` times a second, for as long as the page iterates; None when hubs,
        things, their order or `trouble` may have changed too: look at everything again."""
        ...

    async def series(self, key: Key, span: Span, points: int) -> Series:
        """What is remembered and what has come since, as at most `points` points. What cannot be had is said in its
        note; this raises nothing but KeyError for a key that is not there."""
        ...

    async def form(self, hub: str, thing: str) -> tuple[str, tuple[Control, ...]]:
        """Title and parameters. Raises HubError with words."""
        ...

    async def set(self, visitor: Visitor, hub: str, thing: str, values: Mapping[str, str]) -> Mapping[str, str]:
        """Each parameter of `values` with the state read back afterwards ("" where none could be read). Raises HubError
        with words for people: not allowed here, refused by the hub, out of range, silent."""
        ...

    async def authenticate(self, name: str, password: str, address: str) -> Visitor | None:
        """None for a wrong name or password, which takes as long for either. Raises HubError when there were too many
        attempts under that name or from that address. Hashing is done in a thread."""
        ...

    def visitor(self, name: str) -> Visitor | None:
        """Who `name` is now, for a session that has logged in before; None when there is no such user any more."""
        ...
