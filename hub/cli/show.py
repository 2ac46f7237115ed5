"""Tables, live views and JSON of readings. rich is imported when something is drawn."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections import deque
from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hub.cli.text import printable
from hub.things import words
from hub.things.model import Answer, Field, Quality, Reading
from hub.things.values import to_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

TREND_POINTS = 24
BARS = "▁▂▃▄▅▆▇█"
STALE_S = 90.0  # three times the default telemetry interval: older values are shown as old


def as_json(reading: Reading, field: Field, jid: str = "") -> dict[str, Any]:
    """One value for a program. Numbers keep their decimals as text in `value`, and are numbers in `number`."""
    made: dict[str, Any] = {
        "thing": reading.node.node_id,
        "field": field.name,
        "value": to_text(field.value),
        "type": field.type.value,
        "unit": field.unit,
        "time": to_text(reading.timestamp),
        "quality": words.quality_words(field.quality),
    }
    if isinstance(field.value, int | Decimal) and not isinstance(field.value, bool):
        made["number"] = float(field.value)
    if field.writable is not None:
        made["writable"] = field.writable
    return {"hub": jid, **made} if jid else made


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def quality_text(quality: Quality) -> str:
    return words.quality_text(quality) or "ok"


def age_text(then: dt.datetime, now: dt.datetime) -> str:
    seconds = (now - (then if then.tzinfo else then.astimezone())).total_seconds()
    if seconds < 90:
        return f"{max(0, seconds):.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} d"


def table(*columns: str, title: str | None = None) -> Table:
    """An empty table in our style; a column named `value` is aligned to the right."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="dim", title=title, title_justify="left")
    for name in columns:
        made.add_column(name, justify="right" if name == "value" else "left")
    return made


def readings_table(readings: Iterable[Reading], history: bool) -> Table:
    made = table("thing", "field", "value", "unit", "time" if history else "age", "quality")
    now = dt.datetime.now(dt.UTC)
    for reading in readings:
        when = f"{reading.timestamp.astimezone():%Y-%m-%d %H:%M:%S}" if history else age_text(reading.timestamp, now)
        for field in reading.fields:
            made.add_row(
                *map(printable, (reading.node.node_id, field.name, to_text(field.value), field.unit)), when,
                quality_text(field.quality),
                style=None if quality_text(field.quality) == "ok" else "yellow",
            )  # fmt: skip
    return made


def console(stderr: bool = False) -> Console:
    from rich.console import Console

    made = Console(stderr=stderr, highlight=False, markup=False, emoji=False)  # a value is never formatting
    if not made.is_terminal:
        made.width = 200  # nobody to fold lines for
    return made


class LiveView:
    """The newest value of every field that was heard of, with its age, quality and trend. After `stale` seconds it is
    shown as old."""

    def __init__(self, stale: float = STALE_S) -> None:
        self._stale = stale
        self._rows: dict[tuple[str, str, str], tuple[Reading, Field]] = {}
        self._trends: dict[tuple[str, str, str], deque[float]] = {}
        self._troubles: dict[tuple[str, str], str] = {}

    def take(self, answer: Answer, jid: str = "") -> None:
        for trouble in answer.troubles:
            self._troubles[jid, trouble.node.node_id] = trouble.text
        for reading in answer.readings:
            self._troubles.pop((jid, reading.node.node_id), None)
            for field in reading.fields:
                key = (jid, reading.node.node_id, field.name)
                self._rows[key] = (reading, field)
                if isinstance(field.value, int | Decimal):
                    self._trends.setdefault(key, deque(maxlen=TREND_POINTS)).append(float(field.value))

    @property
    def values(self) -> int:
        return len(self._rows)

    def table(self, now: dt.datetime, many: bool = False) -> Table:
        made = table(*(["hub"] if many else []), "thing", "field", "value", "unit", "age", "quality", "trend")
        for (jid, thing, name), (reading, field) in sorted(self._rows.items()):
            trouble = self._troubles.get((jid, thing))
            old = (now - reading.timestamp.astimezone()).total_seconds() > self._stale
            quality = trouble or ("stale" if old else quality_text(field.quality))
            row = [*map(printable, (thing, name, to_text(field.value), field.unit)),
                   age_text(reading.timestamp, now), printable(quality),
                   trend(self._trends.get((jid, thing, name), ()))]  # fmt: skip
            style = "red" if trouble else "yellow" if quality != "ok" else None
            made.add_row(*([jid, *row] if many else row), style=style)
        return made


def trend(points: Iterable[float]) -> str:
    """A line of bars between the lowest and the highest point; flat when nothing moves."""
    values = list(points)
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    if high == low:
        return BARS[0] * len(values)
    return "".join(BARS[round((value - low) / (high - low) * (len(BARS) - 1))] for value in values)
