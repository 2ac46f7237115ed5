"""What is left of many values: minimum, maximum, mean, last and count of a minute, an hour, a day.

Rules of this file
* Sans-IO; moments are whole milliseconds since 1970 in UTC, and so are the edges of minutes, hours and days.
* Exact: sums are decimal, so a roll-up of roll-ups is the roll-up of the values. Booleans count as 0 and 1: their mean
  is the share of time points at which they were true.
* Order does not matter: `last` is the value with the latest moment, and a bucket that was written can be opened again
  when a clock has jumped back.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from devices.base import Value

EXTRA_DECIMALS = 2  # of a mean, beyond those of the values


class Level(enum.IntEnum):
    """The value is the length in milliseconds."""

    MINUTE = 60_000
    HOUR = 3_600_000
    DAY = 86_400_000

    def start(self, at: int) -> int:
        """Where the bucket of the moment `at` begins."""
        return at - at % self


Key = tuple[Level, int, int]
"""Level, start of the bucket, number of the series."""


@dataclass(slots=True)
class Rollup:
    """Of at least one value."""

    count: int
    total: Decimal
    low: Decimal
    high: Decimal
    last: Decimal
    last_at: int

    @classmethod
    def of(cls, value: Decimal, at: int) -> Rollup:
        return cls(1, value, value, value, value, at)

    def merge(self, other: Rollup) -> None:
        self.count += other.count
        self.total += other.total
        self.low = min(self.low, other.low)
        self.high = max(self.high, other.high)
        if other.last_at >= self.last_at:
            self.last, self.last_at = other.last, other.last_at

    @property
    def mean(self) -> Decimal:
        exponent = self.last.as_tuple().exponent
        assert isinstance(exponent, int)  # values are finite
        return (self.total / self.count).quantize(Decimal(1).scaleb(min(exponent, 0) - EXTRA_DECIMALS)) + 0


def number(value: Value) -> Decimal | None:
    """The value as it is rolled up; None for what has no order or no mean."""
    if isinstance(value, bool | int):
        return Decimal(int(value))
    return value if isinstance(value, Decimal) else None


class Buckets:
    """The buckets that may still grow. `load` fetches one that was written before, None when there is none."""

    def __init__(self, load: Callable[[Key], Rollup | None]) -> None:
        self._load = load
        self._open: dict[Key, Rollup] = {}
        self.newest = -1
        """The latest moment seen."""

    def put(self, key: Key, rollup: Rollup) -> None:
        """Know a bucket as it stands."""
        self._open[key] = rollup

    def add(self, series: int, value: Decimal, at: int) -> None:
        self.newest = max(self.newest, at)
        for level in Level:
            self.merge((level, level.start(at), series), Rollup.of(value, at))

    def merge(self, key: Key, rollup: Rollup) -> None:
        found = self._open.get(key) or self._load(key)
        if found is None:
            self._open[key] = rollup
        else:
            found.merge(rollup)
            self._open[key] = found

    def closed(self) -> list[tuple[Key, Rollup]]:
        """Those that time has passed: they are to be written, and `forget` drops them then."""
        return [(key, rollup) for key, rollup in self._open.items() if key[1] + key[0] <= self.newest]

    def all(self) -> list[tuple[Key, Rollup]]:
        return list(self._open.items())

    def forget(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._open.pop(key, None)


@dataclass(frozen=True, slots=True)
class Point:
    """A roll-up with where it stands."""

    start: int
    rollup: Rollup


def regroup(points: Iterable[Point], width: int) -> Iterator[Point]:
    """Points in order of time as points of `width` milliseconds, which is a multiple of theirs."""
    group: Point | None = None
    for point in points:
        start = point.start - point.start % width
        if group is not None and group.start == start:
            group.rollup.merge(point.rollup)
            continue
        if group is not None:
            yield group
        rolled = point.rollup
        group = Point(start, Rollup(rolled.count, rolled.total, rolled.low, rolled.high, rolled.last, rolled.last_at))
    if group is not None:
        yield group
