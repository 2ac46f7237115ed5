"""Medians, ratios and bars; and how they are shown."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank: the smallest value that `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the straight line that fits best."""
    x, y = zip(*points, strict=True)
    return statistics.linear_regression(x, y).slope


def cell(values: Sequence[float], digits: int) -> str:
    """The median, with the lowest and highest where there are several."""
    if not values:
        return "–"
    middle = f"{statistics.median(values):.{digits}f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.{digits}f}…{max(values):.{digits}f})"


@dataclass(frozen=True)
class Bar:
    """What the number of the hub, or the ratio, must not exceed."""

    limit: float
    of_ratio: bool = False


@dataclass
class Row:
    """One measured quantity: a number per round for whoever was measured; paired rounds give the ratio."""

    name: str
    unit: str
    hub: list[float]
    plain: list[float] = field(default_factory=list)
    mqtt_io: list[float] = field(default_factory=list)
    bar: Bar | None = None
    digits: int = 1
    paired: bool = True
    """Whether hub ÷ plain means something."""

    @property
    def ratios(self) -> list[float]:
        """Hub to plain, per round."""
        if not self.paired or not self.plain or len(self.plain) != len(self.hub) or min(self.plain) <= 0:
            return []
        return [a / b for a, b in zip(self.hub, self.plain, strict=True)]

    @property
    def met(self) -> bool | None:
        if self.bar is None:
            return None
        judged = self.ratios if self.bar.of_ratio else self.hub
        return statistics.median(judged) <= self.bar.limit

    def cells(self) -> list[str]:
        bar = ""
        if self.bar is not None:
            unit = "×" if self.bar.of_ratio else f" {self.unit}"
            bar = f"≤ {self.bar.limit:g}{unit}: {'met' if self.met else 'NOT MET'}"
        measured = (cell(values, self.digits) for values in (self.hub, self.plain, self.mqtt_io))
        return [self.name, self.unit, *measured, cell(self.ratios, 2), bar]

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "ratios": self.ratios, "met": self.met}


HEAD = ["measured", "unit", "hub", "plain slixmpp", "mqtt-io", "hub ÷ plain", "bar"]


def show(rows: Sequence[Row]) -> str:
    return columns([HEAD, *(row.cells() for row in rows)])


def columns(lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells below each other; the first is the head."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    texts = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([texts[0], "─" * len(texts[0]), *texts[1:]])
