"""How long to wait before the next attempt. Pure: the random number comes in."""

from __future__ import annotations

from collections.abc import Callable


class Backoff:
    """Waits grow from `first` to `last` seconds, doubling, each cut by up to half at random: after a power cut a
    building full of nodes must not call the server in step. `rand` gives numbers in [0, 1)."""

    def __init__(self, first: float, last: float, rand: Callable[[], float]) -> None:
        self._first, self._last, self._rand = first, last, rand
        self._next = first

    def wait(self) -> float:
        """Seconds to wait now; the next wait will be longer."""
        wait = self._next * (1 - self._rand() / 2)
        self._next = min(self._next * 2, self._last)
        return wait

    def reset(self) -> None:
        """It worked: the next failure starts again with a short wait."""
        self._next = self._first
