"""Numbers over time, bounded: what a trend shows, and what has come since the history was asked.

Rules of this file
* Sans-IO; moments are seconds since 1970. Points stand in order of time, each moment once: a repeat overwrites.
* What lies before the oldest point that is kept is not taken in again.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import Final

TREND_SPAN_S: Final = 3_600.0
LIVE_POINTS: Final = 300
"""16 bytes each: with as many tiles as there may be, 24 MB."""


class Points:
    """The newest `most` points."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._times = array("d")
        self._values = array("d")

    def __len__(self) -> int:
        return len(self._times)

    def add(self, at: float, value: float) -> None:
        where = len(self._times) if not self._times or at > self._times[-1] else bisect_left(self._times, at)
        if where < len(self._times) and self._times[where] == at:
            self._values[where] = value
            return
        if where == 0 and len(self._times) >= self._most:
            return
        self._times.insert(where, at)
        self._values.insert(where, value)
        if len(self._times) > self._most:
            self._drop(len(self._times) - self._most)

    def after(self, moment: float) -> list[tuple[float, float]]:
        """Those later than `moment`."""
        start = bisect_left(self._times, moment)
        if start < len(self._times) and self._times[start] == moment:
            start += 1
        return list(zip(self._times[start:], self._values[start:], strict=True))

    def _drop(self, count: int) -> None:
        del self._times[:count]
        del self._values[:count]


class Trend(Points):
    """At most `most` points of the last hour: the more there are, the further apart they are kept."""

    def __init__(self, most: int) -> None:
        super().__init__(most + 1)
        self._wanted = most
        self._apart = 0.0

    def add(self, at: float, value: float) -> None:
        """What comes too soon after the point before it takes its place, so that the newest value is always there."""
        if len(self) > 1 and at > self._times[-1] and at - self._times[-2] < self._apart:
            self._times.pop()
            self._values.pop()
        super().add(at, value)
        self._drop(bisect_left(self._times, self._times[-1] - TREND_SPAN_S))
        if len(self) > self._wanted:
            newest = self._times[-1], self._values[-1]
            self._times, self._values = self._times[:-1:2], self._values[:-1:2]
            super().add(*newest)
            self._apart = (self._times[-1] - self._times[0]) / len(self)

    def all(self) -> tuple[tuple[float, float], ...]:
        return tuple(zip(self._times, self._values, strict=True))
