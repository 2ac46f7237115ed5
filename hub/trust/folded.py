"""What is said again and again: written the first time, and then counted. Sans-IO: time comes in as seconds that only
grow.

Rules of this file
* The first of its kind is written at once. What follows within `WINDOW_S` is counted, and the count is written when
  that is over; so it goes on until a window was empty. A reader who asks once a second costs a line a minute.
* Memory is bounded: where too much is counted at once, the count that is oldest is written before its time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

WINDOW_S: Final = 60.0
MAX_COUNTED: Final = 2_000  # kinds; as many as a cache has entries

K = TypeVar("K", bound=Hashable)


class Folded(Generic[K]):
    def __init__(self) -> None:
        self._counts: OrderedDict[K, list[float]] = OrderedDict()
        """By kind: when its window began, and how many were counted in it. The oldest window is the first."""

    def __len__(self) -> int:
        return len(self._counts)

    def first(self, kind: K, now: float) -> bool:
        """Whether it is to be written now; else it is counted. Ask for `due` first."""
        known = self._counts.get(kind)
        if known is not None:
            known[1] += 1
            return False
        self._counts[kind] = [now, 0]
        return True

    def due(self, now: float) -> list[tuple[K, int, float]]:
        """(kind, how many more, within how many seconds) of the windows that are over."""
        told = []
        while self._counts:
            kind, (begun, count) = next(iter(self._counts.items()))
            if now - begun < WINDOW_S and len(self._counts) < MAX_COUNTED:
                break
            del self._counts[kind]
            if count:
                told.append((kind, int(count), now - begun))
                if now - begun >= WINDOW_S:
                    self._counts[kind] = [now, 0]
        return told

    def rest(self, now: float) -> list[tuple[K, int, float]]:
        """All that was counted; nothing is counted any more."""
        told = [(kind, int(count), now - begun) for kind, (begun, count) in self._counts.items() if count]
        self._counts.clear()
        return told
