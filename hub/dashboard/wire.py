"""What goes to a browser: tiles, hubs, series and controls as small JSON, and of tiles only what changed.

Rules of this file
* Sans-IO. A browser gets text as text (the page never makes markup of it); what could disturb a reader all the same,
  control and bidirectional characters, is replaced here, once.
* `Screen` knows what one page has got. Names on the wire are short because 500 tiles may change every second.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

from devices.base import ValueType
from hub.dashboard.view import Board, Control, HubState, Key, Series, Tile

MAX_NAME: Final = 120  # characters of a name or label
MAX_VALUE: Final = 200
MAX_WORDS: Final = 600  # of a sentence
MAX_OPTION: Final = 400
MAX_TILES: Final = 2_000
TREND_EVERY_S: Final = 10.0
"""A trend moves by a pixel in minutes: it is not sent with every value."""
GAP_FACTOR: Final = 4.0
"""Points further apart than so many usual distances are not joined."""
DIGITS: Final = 6  # of a number in a chart: more than a screen has pixels
ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
"""A trend is pairs of these: x and y from 0 to 63, y upwards; a blank is a gap."""

Json = dict[str, Any]


def shown(text: str, limit: int = MAX_NAME) -> str:
    """`text` fit for a page: at most `limit` characters, U+FFFD for each that is invisible or steers the others."""
    cut = text[:limit] + "…" if len(text) > limit else text
    return cut if cut.isprintable() else "".join(char if char.isprintable() else "\ufffd" for char in cut)


def trend(points: Sequence[tuple[float, float]], step: bool = False) -> str:
    """`points` (seconds, value) as a line in a square of 64 by 64; "" for fewer than two."""
    points = [point for point in points if math.isfinite(point[1])]
    if len(points) < 2 or points[-1][0] <= points[0][0]:
        return ""
    begin, length = points[0][0], points[-1][0] - points[0][0]
    low = min(value for _, value in points)
    height = max(value for _, value in points) - low
    distances = sorted(later[0] - earlier[0] for earlier, later in itertools.pairwise(points))
    far = distances[len(distances) // 2] * GAP_FACTOR
    drawn: list[str] = []
    previous = begin
    for moment, value in points:
        if moment - previous > far and not step:
            drawn.append(" ")
        drawn.append(ALPHABET[round((moment - begin) / length * 63)])
        drawn.append(ALPHABET[round((value - low) / height * 63) if height else 32])
        previous = moment
    return "".join(drawn)


def span_words(points: Sequence[tuple[float, float]], unit: str) -> str:
    """What a trend shows, for those who do not see it."""
    values = [value for _, value in points if math.isfinite(value)]
    if len(values) < 2:
        return ""
    low, high = (f"{bound:.4g}" for bound in (min(values), max(values)))
    blank = f" {shown(unit, 20)}" if unit else ""
    return f"steady at {low}{blank}" if low == high else f"between {low} and {high}{blank}"


def number(value: object) -> float | None:
    """A value as a chart draws it; None for what has no height."""
    if isinstance(value, bool | int | Decimal):
        height = float(value)
        return height if math.isfinite(height) else None
    return None


def tile_json(tile: Tile) -> Json:
    """Everything of a tile but its trend. `m`: seconds since 1970."""
    return {
        "f": shown(tile.key.field),
        "v": shown(tile.text, MAX_VALUE),
        "u": shown(tile.unit, 20),
        "m": None if tile.moment is None else round(tile.moment.timestamp(), 1),
        "s": tile.freshness.value,
        "q": shown(tile.quality_text, MAX_WORDS),
        "t": shown(tile.trouble, MAX_WORDS),
        "a": shown(tile.alarm, MAX_WORDS),
        "n": number(tile.value),
        "b": tile.type is ValueType.BOOLEAN,
    }


def hub_json(hub: HubState) -> Json:
    return {"jid": shown(hub.jid, 300), "title": shown(hub.title), "life": hub.life.value,
            "text": shown(hub.text, MAX_WORDS)}  # fmt: skip


def control_json(control: Control) -> Json:
    """`name` goes back as it came, so it is not touched; a page never draws it."""
    return {
        "name": control.name,
        "type": control.type.value,
        "label": shown(control.label or control.name),
        "help": shown(control.description, MAX_WORDS),
        "text": shown(control.text, MAX_VALUE),
        "min": shown(control.minimum, 40),
        "max": shown(control.maximum, 40),
        "options": [[option, shown(option)] for option in control.options[:MAX_OPTION]],
        "page": shown(control.page),
    }


def series_json(series: Series) -> Json:
    """Times as steps in seconds from the first: half the bytes."""
    times = [round(moment, 1) for moment in series.times]
    return {
        "begin": times[0] if times else None,
        "steps": [round(later - earlier, 1) for earlier, later in itertools.pairwise(times)],
        "mean": _digits(series.mean),
        "low": _digits(series.low),
        "high": _digits(series.high),
        "unit": shown(series.unit, 20),
        "note": shown(series.note, MAX_WORDS),
    }


def _digits(values: Iterable[float | None]) -> list[float | None]:
    return [None if value is None or not math.isfinite(value) else float(f"{value:.{DIGITS}g}") for value in values]


class Screen:
    """What one page has got of `board`. A tile is known to it by a small number, which it keeps."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._numbers: dict[Key, int] = {}
        self._keys: list[Key] = []
        self._sent: dict[Key, Json] = {}
        self._trends: dict[Key, float] = {}
        self._layout: Json = {}

    def key(self, tile: object) -> Key | None:
        """The key behind a number that a browser names."""
        known = isinstance(tile, int) and not isinstance(tile, bool) and 0 <= tile < len(self._keys)
        return self._keys[tile] if known and isinstance(tile, int) else None

    def whole(self, now: float) -> Json:
        """Everything; what the page has from then on."""
        tiles = self._board.tiles()[:MAX_TILES]
        self._sent = {}
        self._layout = self._arranged(tiles)
        return {**self._layout, "now": now, "tiles": [[self._number(tile.key), self._changes(tile, now)]
                                                      for tile in tiles]}  # fmt: skip

    def changed(self, keys: frozenset[Key] | None, now: float) -> Json:
        """What a page that has the rest needs; `layout` is there only when hubs, things or their order are others."""
        tiles = self._board.tiles()[:MAX_TILES] if keys is None else [
            tile for key in sorted(keys & self._sent.keys()) if (tile := self._board.tile(key)) is not None
        ]  # fmt: skip
        news: Json = {"now": now}
        if keys is None and (layout := self._arranged(tiles)) != self._layout:
            self._layout = news["layout"] = layout
            for gone in self._sent.keys() - {tile.key for tile in tiles}:
                del self._sent[gone]
        news["tiles"] = [[self._number(tile.key), change] for tile in tiles if (change := self._changes(tile, now))]
        return news

    def _number(self, key: Key) -> int:
        if key not in self._numbers:
            self._numbers[key] = len(self._keys)
            self._keys.append(key)
        return self._numbers[key]

    def _changes(self, tile: Tile, now: float) -> Json:
        old = self._sent.get(tile.key, {})
        new = tile_json(tile)
        if not old.get("g") or now - self._trends[tile.key] >= TREND_EVERY_S:
            self._trends[tile.key] = now
            new["g"] = trend(tile.trend, tile.type is ValueType.BOOLEAN)
            new["r"] = span_words(tile.trend, tile.unit)
        self._sent[tile.key] = old | new
        return {name: value for name, value in new.items() if name not in old or old[name] != value}

    def _arranged(self, tiles: Iterable[Tile]) -> Json:
        things: dict[str, dict[str, Json]] = {}
        hubs = self._board.hubs()
        for hub in hubs:
            things[hub.jid] = {name: {"name": name, "label": shown(name), "tiles": [], "control": False}
                               for name in hub.things}  # fmt: skip
        for tile in tiles:
            group = things.setdefault(tile.key.hub, {})
            thing = group.setdefault(tile.key.thing, {"name": tile.key.thing, "label": "", "tiles": [],
                                                      "control": False})  # fmt: skip
            thing["label"] = shown(tile.label or tile.key.thing)
            thing["tiles"].append(self._number(tile.key))
            thing["control"] = thing["control"] or tile.writable
        return {
            "trouble": shown(self._board.trouble, MAX_WORDS),
            "hubs": [{**hub_json(hub), "id": hub.jid, "things": list(things[hub.jid].values())} for hub in hubs],
        }
