"""Many points as few, and history joined with what has come since.

Rules of this file
* Sans-IO; moments are seconds since 1970.
* Merging keeps what a person would look for: minimum and maximum of every bucket beside its mean. Points of a bucket
  count alike, so what is merged should be of one kind: readings, or minutes, or hours.
* A line is broken where nothing was heard for longer than three times what is usual in it, or than its points are
  apart by their kind.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from statistics import median_low
from typing import Final, NamedTuple

from hub.dashboard.view import Series

GAP: Final = 3.0
MAX_POINTS: Final = 5_000
"""Of one chart."""


class Point(NamedTuple):
    """A value, or what is left of several."""

    at: float
    mean: float
    low: float
    high: float


def single(at: float, value: float) -> Point:
    return Point(at, value, value, value)


def joined(history: Sequence[Point], until: float, live: Iterable[tuple[float, float]]) -> list[Point]:
    """History, which knows everything before `until`, and behind it what has come live. Both in order of time."""
    return [*history, *(single(at, value) for at, value in live if at >= until)]


def thinned(points: Sequence[Point], start: float, end: float, most: int) -> list[Point]:
    """`points`, in order of time, within [start, end] as at most `most`: buckets of equal length, each at the middle of
    what is in it."""
    most = max(2, min(most, MAX_POINTS))
    inside = [point for point in points if start <= point.at <= end]
    if len(inside) <= most:
        return inside
    width = (end - start) / most
    return list(_buckets(inside, start, width, most))


def _buckets(points: Sequence[Point], start: float, width: float, most: int) -> Iterator[Point]:
    first, last = 0, len(points)
    while first < last:
        bucket = min(int((points[first].at - start) / width), most - 1)
        edge = start + (bucket + 1) * width
        after = first + 1
        while after < last and (points[after].at < edge or bucket == most - 1):
            after += 1
        inside = points[first:after]
        yield Point(
            (inside[0].at + inside[-1].at) / 2,
            math.fsum([point.mean for point in inside]) / len(inside),
            min([point.low for point in inside]),
            max([point.high for point in inside]),
        )
        first = after


def series(
    points: Sequence[Point], start: float, end: float, most: int, apart: float, unit: str, note: str = ""
) -> Series:
    """A chart of `points`, which are in order of time and by their kind `apart` seconds from each other. Breaks take
    points too: there are at most `most` in all, of which there may be 3 and more."""
    thin = thinned(points, start, end, most)
    breaks = _breaks(thin, apart)
    if len(thin) + len(breaks) > most:
        thin = thinned(points, start, end, (most + 1) // 2)
        breaks = _breaks(thin, apart)
    rows: list[tuple[float, float | None, float | None, float | None]] = []
    for number, point in enumerate(thin):
        if number in breaks:
            rows.append(((thin[number - 1].at + point.at) / 2, None, None, None))
        rows.append(point)
    columns = tuple(zip(*rows, strict=True)) or ((), (), (), ())
    return Series(columns[0], columns[1], columns[2], columns[3], unit, note)


def _breaks(points: Sequence[Point], apart: float) -> set[int]:
    """The numbers of points before which the line is broken."""
    steps = [after.at - before.at for before, after in itertools.pairwise(points)]
    usual = max(median_low(steps), apart) if steps else apart
    return {number for number, step in enumerate(steps, 1) if step > GAP * usual}
