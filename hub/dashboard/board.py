"""Tiles out of what hubs say: what is fresh, what is old, what is not known.

Rules of this file
* Sans-IO: answers, troubles and the comings and goings of hubs come in with the moment at which they did (seconds since
  1970); tiles come out.
* A value is as old as its own moment says. One that claims to be from the future is as old as its arrival.
* A field's newest value stands; what arrives late goes into its past. A trouble of a thing holds until a newer reading.
* Everything that a hub can make large is bounded.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from statistics import median_low
from typing import Final

from devices.base import Value, ValueType
from hub.dashboard.alarms import Alarms
from hub.dashboard.points import LIVE_POINTS, Points, Trend
from hub.dashboard.view import TREND_POINTS, Freshness, HubLife, HubState, Key, Tile
from hub.things.model import Answer, Field, Quality, Reading
from hub.things.words import quality_text, value_text

MAX_TILES: Final = 5_000
MAX_TILES_OF_HUB: Final = 1_000
MAX_NAME: Final = 200  # characters; a thing or field with a longer one is not shown
MAX_TEXT: Final = 1_000  # characters of a value, a unit, a label or a trouble
STALE_AFTER_S: Final = 90.0
INTERVALS: Final = 3.0
"""A value that has not come for so many of its intervals is stale."""
INTERVALS_SEEN: Final = 5
LONGEST_INTERVAL_S: Final = 86_400.0
BAD: Final = Quality.MISSING | Quality.ERROR


@dataclass
class _Entry:
    """A field as it was last heard of."""

    key: Key
    said: Field
    at: float
    writable: bool
    unit: str
    trend: Trend = field(default_factory=lambda: Trend(TREND_POINTS))
    live: Points = field(default_factory=lambda: Points(LIVE_POINTS))
    gaps: deque[float] = field(default_factory=lambda: deque(maxlen=INTERVALS_SEEN))
    alarms: tuple[int, ...] = ()
    shown: tuple[Freshness, str] = (Freshness.NEVER, "")
    """What was said last of what changes by itself."""


@dataclass
class _Thing:
    label: str = ""
    trouble: str = ""
    trouble_at: float = 0.0
    entries: dict[str, _Entry] = field(default_factory=dict)


@dataclass
class _Hub:
    jid: str
    life: HubLife = HubLife.CONNECTING
    text: str = ""
    things: dict[str, _Thing] = field(default_factory=dict)
    left_out: bool = False

    @property
    def count(self) -> int:
        return sum(len(thing.entries) for thing in self.things.values())


class Tiles:
    """`stale_after`: for every field; None: by the interval at which each comes. Who changes something finds what has
    changed in `changed`: keys, and None where hubs or things are others than before."""

    def __init__(self, alarms: Alarms, stale_after: float | None) -> None:
        self._alarms = alarms
        self._stale_after = stale_after
        self._hubs: dict[str, _Hub] = {}
        self._count = 0
        self.changed: set[Key | None] = set()

    # ------------------------------------------------------------------ what happens

    def add(self, jid: str) -> None:
        if jid not in self._hubs:
            self._hubs[jid] = _Hub(jid)
            self.changed.add(None)

    def sort(self) -> None:
        """Hubs that are found come in any order, and are shown in that of their addresses."""
        self._hubs = dict(sorted(self._hubs.items()))

    def drop(self, jid: str) -> None:
        hub = self._hubs.pop(jid, None)
        if hub is not None:
            self._count -= hub.count
            for thing in hub.things.values():
                for entry in thing.entries.values():
                    self._alarms.forget(entry.key)
            self.changed.add(None)

    def life(self, jid: str, life: HubLife, text: str, now: float) -> None:
        """A hub comes or goes; `text` says what is wrong and what is tried."""
        hub = self._hubs[jid]
        if (hub.life, hub.text) != (life, text):
            hub.life, hub.text = life, text
            self.changed.add(None)
            self.tick(now)

    def labels(self, jid: str, labels: Mapping[str, str]) -> None:
        """What people call the things of a hub."""
        hub = self._hubs[jid]
        for name, label in labels.items():
            thing = hub.things.get(name)
            if thing is not None and thing.label != label[:MAX_TEXT]:
                thing.label = label[:MAX_TEXT]
                self.changed.add(None)

    def take(self, jid: str, answer: Answer, now: float) -> None:
        hub = self._hubs[jid]
        for trouble in answer.troubles:
            thing = self._thing(hub, trouble.node.node_id)
            if thing is not None:
                thing.trouble = trouble.text[:MAX_TEXT] or "it cannot be read"
                thing.trouble_at = seconds_of(trouble.timestamp)
                self.changed.update(entry.key for entry in thing.entries.values())
                self.changed.add(None)
        for reading in answer.readings:
            thing = self._thing(hub, reading.node.node_id)
            if thing is not None:
                self._reading(hub, thing, reading, now)

    def tick(self, now: float) -> None:
        """Time has passed: what has become old has changed, and alarms may have lasted long enough."""
        for hub in self._hubs.values():
            for thing in hub.things.values():
                for entry in thing.entries.values():
                    shown = self._shown(hub, thing, entry, now)
                    if shown != entry.shown:
                        entry.shown = shown
                        self.changed.add(entry.key)

    # ------------------------------------------------------------------ what there is to see

    def hubs(self) -> tuple[HubState, ...]:
        return tuple(
            HubState(hub.jid, hub.jid.partition("@")[0], hub.life, self._text(hub), tuple(hub.things))
            for hub in self._hubs.values()
        )

    def tiles(self, now: float) -> tuple[Tile, ...]:
        return tuple(tile for hub in self._hubs.values() for name, thing in hub.things.items()
                     for tile in self._tiles(hub, name, thing, now))  # fmt: skip

    def tile(self, key: Key, now: float) -> Tile | None:
        hub = self._hubs.get(key.hub)
        thing = hub.things.get(key.thing) if hub is not None else None
        if hub is None or thing is None:
            return None
        entry = thing.entries.get(key.field)
        if entry is not None:
            return self._tile(hub, thing, entry, now)
        return _never(key, thing) if not key.field and thing.trouble and not thing.entries else None

    def unit(self, key: Key) -> str:
        """Raises KeyError."""
        return self._hubs[key.hub].things[key.thing].entries[key.field].unit

    def live(self, key: Key) -> list[tuple[float, float]]:
        """What has come live. Raises KeyError."""
        return self._hubs[key.hub].things[key.thing].entries[key.field].live.after(0)

    def stale(self, jid: str, now: float) -> bool:
        """Whether something of a hub is older than it should be, or in trouble: it may be worth asking for."""
        hub = self._hubs[jid]
        return any(
            thing.trouble or self._freshness(hub, entry, now) is Freshness.STALE
            for thing in hub.things.values() for entry in thing.entries.values()
        )  # fmt: skip

    # ------------------------------------------------------------------ a reading

    def _thing(self, hub: _Hub, name: str) -> _Thing | None:
        thing = hub.things.get(name)
        if thing is None:
            if not name or len(name) > MAX_NAME or len(hub.things) >= MAX_TILES_OF_HUB:
                hub.left_out = True
                return None
            thing = hub.things[name] = _Thing()
            self.changed.add(None)
        return thing

    def _reading(self, hub: _Hub, thing: _Thing, reading: Reading, now: float) -> None:
        at = min(seconds_of(reading.timestamp), now)
        if thing.trouble and at > thing.trouble_at:
            thing.trouble = ""
            self.changed.update(entry.key for entry in thing.entries.values())
        for each in reading.fields:
            entry = thing.entries.get(each.name) or self._new(hub, thing, Key(hub.jid, reading.node.node_id, each.name),
                                                              each)  # fmt: skip
            if entry is not None:
                self._value(hub, entry, each, at)
                self.changed.add(entry.key)
                entry.shown = self._shown(hub, thing, entry, now)

    def _new(self, hub: _Hub, thing: _Thing, key: Key, each: Field) -> _Entry | None:
        full = self._count >= MAX_TILES or hub.count >= MAX_TILES_OF_HUB
        if full or not key.field or len(key.field) > MAX_NAME:
            if not hub.left_out:
                hub.left_out = True
                self.changed.add(None)
            return None
        entry = _Entry(key, each, 0.0, bool(each.writable), each.unit[:MAX_TEXT], alarms=self._alarms.about(key))
        thing.entries[key.field] = entry
        self._count += 1
        self.changed.add(None)
        return entry

    @staticmethod
    def _value(hub: _Hub, entry: _Entry, each: Field, at: float) -> None:
        drawn = number(each.value)
        if drawn is not None and not each.quality & BAD:
            entry.live.add(at, drawn)
            entry.trend.add(at, drawn)
        if at < entry.at:
            return
        if entry.at and hub.life is HubLife.ONLINE and 0 < at - entry.at < LONGEST_INTERVAL_S:
            entry.gaps.append(at - entry.at)
        entry.at, entry.said = at, each
        entry.unit = each.unit[:MAX_TEXT] or entry.unit
        if each.writable is not None:
            entry.writable = each.writable

    # ------------------------------------------------------------------ how it looks now

    def _tiles(self, hub: _Hub, name: str, thing: _Thing, now: float) -> list[Tile]:
        if thing.trouble and not thing.entries:
            return [_never(Key(hub.jid, name, ""), thing)]
        return [self._tile(hub, thing, entry, now) for entry in thing.entries.values()]

    def _tile(self, hub: _Hub, thing: _Thing, entry: _Entry, now: float) -> Tile:
        freshness, alarm = self._shown(hub, thing, entry, now)
        value = entry.said.value
        return Tile(
            key=entry.key, label=thing.label or entry.key.thing, value=value, text=value_text(value)[:MAX_TEXT],
            unit=entry.unit, type=entry.said.type, moment=dt.datetime.fromtimestamp(entry.at, dt.UTC),
            quality=entry.said.quality, quality_text=quality_text(entry.said.quality), freshness=freshness,
            trouble=thing.trouble, alarm=alarm, trend=entry.trend.all(), writable=entry.writable,
        )  # fmt: skip

    def _shown(self, hub: _Hub, thing: _Thing, entry: _Entry, now: float) -> tuple[Freshness, str]:
        freshness = self._freshness(hub, entry, now)
        if not entry.alarms:
            return freshness, ""
        known = freshness is Freshness.LIVE and not entry.said.quality & BAD and not thing.trouble
        value = number(entry.said.value)
        return freshness, self._alarms.judge(entry.alarms, entry.key, value, now, entry.unit, known)

    def _freshness(self, hub: _Hub, entry: _Entry, now: float) -> Freshness:
        if hub.life is not HubLife.ONLINE:
            return Freshness.GONE
        patience = self._stale_after
        if patience is None:
            patience = max(STALE_AFTER_S, INTERVALS * median_low(entry.gaps) if entry.gaps else 0.0)
        return Freshness.STALE if now - entry.at > patience else Freshness.LIVE

    @staticmethod
    def _text(hub: _Hub) -> str:
        left_out = "it has more than can be shown here; some is left out" if hub.left_out else ""
        return "; ".join(text for text in (hub.text, left_out) if text)


def _never(key: Key, thing: _Thing) -> Tile:
    """Of a thing that could not be read yet: its fields are not known."""
    return Tile(key, thing.label or key.thing, None, "", "", ValueType.STRING, None, Quality.MISSING, "missing",
                Freshness.NEVER, thing.trouble, "", (), False)  # fmt: skip


def seconds_of(moment: dt.datetime) -> float:
    """Since 1970. One without a zone is taken as UTC (XEP-0082 knows no other)."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()


def number(value: Value) -> float | None:
    """The value as it is drawn and judged; None for what has no order."""
    return float(value) if isinstance(value, bool | int | Decimal) else None
