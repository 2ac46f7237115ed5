"""A board that says what it is told to, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import math
import time
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Any

from devices.base import ValueType
from hub.dashboard.charts import Point, series, single
from hub.dashboard.view import (
    UPDATES_PER_S,
    Control,
    Freshness,
    HubLife,
    HubState,
    Key,
    Series,
    Span,
    Tile,
    Visitor,
)
from hub.errors import Forbidden, HubError, Overload, PeerRefused
from hub.things.model import Quality

GUESSES = 3


def control(name: str, type_: str, text: str, **more: Any) -> Control:
    plain = {"label": name, "description": "", "minimum": "", "maximum": "", "options": (), "page": "Output"}
    return Control(name=name, type=ValueType(type_), text=text, **(plain | more))


CONTROLS = (
    control("on", "boolean", "false", label="Lamp"),
    control("level", "int", "40", label="Brightness (%)", minimum="0", maximum="100", description="How bright it is."),
    control("mode", "enum", "day", label="Mode", options=("day", "night", "party")),
    control("tint", "color", "ff8800", label="Colour"),
    control("wake", "time", "07:30:00", label="Wakes at"),
    control("until", "date", "2026-12-01", label="Until"),
    control("moment", "dateTime", "2026-11-21T08:00:00Z", label="Next time"),
    control("fade", "duration", "PT1M30S", label="Fades in"),
    control("note", "string", "hello", label="Note"),
    control("target", "numeric", "21.5", label="Target (°C)", minimum="5", maximum="30"),
    control("limit", "long", "7", label="Limit"),
)


class ScriptedBoard:
    """`users`: name → (password, control). Without users there is one visitor, who may control if `open_control`."""

    def __init__(self, title: str, users: Mapping[str, tuple[str, bool]], open_control: bool = True) -> None:
        self.title = title
        self.trouble = ""
        self.users = dict(users)
        self.anonymous = None if users else Visitor("this machine", open_control)
        self.calls: list[list[object]] = []
        self.refusal = ""
        self.held = asyncio.Event()
        self.held.set()
        self.day: list[Point] = []
        self.states = {each.name: each.text for each in CONTROLS}
        self._hubs: dict[str, HubState] = {}
        self._tiles: dict[Key, Tile] = {}
        self._wrong: dict[tuple[str, str], int] = {}
        self._waiting: set[asyncio.Queue[Key | None]] = set()

    # ------------------------------------------------------------ what a test says

    def hub(self, jid: str, things: list[str], life: str = "online", text: str = "", title: str = "") -> None:
        self._hubs[jid] = HubState(jid, title or jid.partition("@")[0], HubLife(life), text, tuple(things))
        self._tell(None)

    def say(self, text: str) -> None:
        self.trouble = text
        self._tell(None)

    def put(self, hub: str, thing: str, field: str, **said: Any) -> None:
        """`said`: what of a Tile is other than before; `value` a number or text, `age` in seconds."""
        key = Key(hub, thing, field)
        new = key not in self._tiles
        plain = Tile(key, thing, None, "", "", ValueType.NUMERIC, None, Quality.AUTOMATIC_READOUT, "", Freshness.LIVE,
                     "", "", (), False)  # fmt: skip
        old = self._tiles.get(key, plain)
        if "value" in said:
            value = said["value"]
            if isinstance(value, int | float) and not isinstance(value, bool):
                said["value"] = Decimal(str(value))
            said.setdefault("text", ("off", "on")[value] if isinstance(value, bool) else str(value))
            said.setdefault("age", 0)
        if "age" in said:
            said["moment"] = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=said.pop("age"))
        if "freshness" in said:
            said["freshness"] = Freshness(said["freshness"])
        if "type" in said:
            said["type"] = ValueType(said["type"])
        if "trend" in said:
            said["trend"] = tuple((at, value) for at, value in said["trend"])
        self._tiles[key] = dataclasses.replace(old, **said)
        self._tell(None if new else key)

    def drop(self, hub: str) -> None:
        self._hubs.pop(hub, None)
        self._tiles = {key: tile for key, tile in self._tiles.items() if key.hub != hub}
        self._tell(None)

    def refuse(self, text: str) -> None:
        self.refusal = text

    def hold(self, held: bool) -> None:
        """Answers to commands wait until it is over."""
        self.held.clear() if held else self.held.set()

    def asked(self) -> list[list[object]]:
        return self.calls

    def clear(self) -> None:
        self.calls, self.refusal, self.trouble = [], "", ""
        self.held.set()
        self.states = {each.name: each.text for each in CONTROLS}
        self._hubs, self._tiles = {}, {}
        self._tell(None)

    def remember(self, seconds: int, gap: tuple[int, int] | None = None) -> int:
        """A value each second up to now; none within `gap` (seconds ago, from and to)."""
        end = int(time.time())
        self.day = [
            single(end - ago, 20 + 4 * math.sin(ago / 9_000) + 0.3 * math.sin(ago / 37))
            for ago in range(seconds, 0, -1)
            if gap is None or not gap[1] <= ago <= gap[0]
        ]
        return len(self.day)

    def every(self, seconds: float) -> None:
        """Each tile has a new number from now on, all within so many seconds."""

        async def go_on() -> None:
            while True:
                for number, key in enumerate(list(self._tiles)):
                    self.put(key.hub, key.thing, key.field, value=round(20 + number % 7 + time.monotonic() % 10, 2))
                    if number % 25 == 24:
                        await asyncio.sleep(seconds * 25 / len(self._tiles))

        self._going = asyncio.create_task(go_on())

    def processor_time(self) -> float:
        return time.process_time()

    # ------------------------------------------------------------ what a page asks

    def hubs(self) -> tuple[HubState, ...]:
        return tuple(self._hubs.values())

    def tiles(self) -> tuple[Tile, ...]:
        return tuple(self._tiles[key] for key in sorted(self._tiles))

    def tile(self, key: Key) -> Tile | None:
        return self._tiles.get(key)

    async def changes(self) -> AsyncIterator[frozenset[Key] | None]:
        queue: asyncio.Queue[Key | None] = asyncio.Queue()
        self._waiting.add(queue)
        try:
            while True:
                found = {await queue.get()}
                await asyncio.sleep(1 / UPDATES_PER_S)
                while not queue.empty():
                    found.add(queue.get_nowait())
                yield None if None in found else frozenset(key for key in found if key is not None)
        finally:
            self._waiting.discard(queue)

    async def series(self, key: Key, span: Span, points: int) -> Series:
        self.calls.append(["series", key.field, span.name])
        tile = self._tiles[key]
        now = time.time()
        note = "" if self.day else "The hub keeps no history; this is what has come since the dashboard runs."
        return series(self.day, now - span.value, now, points, 1.0, tile.unit, note)

    async def form(self, hub: str, thing: str) -> tuple[str, tuple[Control, ...]]:
        self.calls.append(["form", hub, thing])
        if self.refusal:
            raise PeerRefused("forbidden", self.refusal)
        return thing, tuple(dataclasses.replace(each, text=self.states[each.name]) for each in CONTROLS)

    async def set(self, visitor: Visitor, hub: str, thing: str, values: Mapping[str, str]) -> Mapping[str, str]:
        self.calls.append(["set", visitor.name, visitor.control, hub, thing, dict(values)])
        if not visitor.control:
            raise Forbidden("You may look, but not control.")
        await self.held.wait()
        if self.refusal:
            raise HubError(self.refusal)
        self.states.update(values)
        return {name: self.states[name] for name in values}

    async def authenticate(self, name: str, password: str, address: str) -> Visitor | None:
        self.calls.append(["authenticate", name, address])
        if self._wrong.get((name, address), 0) >= GUESSES:
            raise Overload("Too many attempts; try again in 60 s.")
        if self.users.get(name, ("", False))[0] != password:
            self._wrong[name, address] = self._wrong.get((name, address), 0) + 1
            return None
        return self.visitor(name)

    def visitor(self, name: str) -> Visitor | None:
        return Visitor(name, self.users[name][1]) if name in self.users else None

    def _tell(self, key: Key | None) -> None:
        for queue in self._waiting:
            queue.put_nowait(key)
