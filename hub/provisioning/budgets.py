"""How often somebody may do what costs others something: guess at a claim, register new things, make us talk.

Rules of this file
* Two bounds on guesses: one per bare JID, which grows with every wrong guess, and one on all together, so that many
  JIDs get no further than one. Who has to wait is told so before his guess is looked at: waiting tells nothing.
* They live in memory. A restart forgives; nobody but the operator can bring one about, and a wrong guess that had to be
  written to disk would be a way to wear the disk out. Instances side by side count each for itself.
* What is remembered is bounded; who is forgotten first is who has been quiet for longest.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

MAX_REMEMBERED: Final = 10_000  # JIDs


class Budget:
    """A bucket of `burst` tokens that fills up with `rate` tokens per second. `now` is in seconds and only grows."""

    def __init__(self, burst: float, rate: float) -> None:
        self._burst, self._rate = burst, rate
        self._left = burst
        self._then: float | None = None

    def left(self, now: float) -> float:
        if self._then is not None:
            self._left = min(self._burst, self._left + (now - self._then) * self._rate)
        self._then = now
        return self._left

    def spend(self, now: float) -> bool:
        """Whether there was one to take."""
        if self.left(now) < 1:
            return False
        self._left -= 1
        return True


class Budgets:
    """A budget for each of many."""

    def __init__(self, burst: float, rate: float) -> None:
        self._burst, self._rate = burst, rate
        self._each: OrderedDict[str, Budget] = OrderedDict()

    def spend(self, who: str, now: float) -> bool:
        budget = self._each.pop(who, None) or Budget(self._burst, self._rate)
        self._each[who] = budget
        if len(self._each) > MAX_REMEMBERED:
            self._each.popitem(last=False)
        return budget.spend(now)


@dataclass(frozen=True, slots=True)
class GuessLimits:
    free: int = 3
    """Wrong claims before there is a wait."""
    first_wait: float = 2.0  # seconds; it doubles
    last_wait: float = 3600.0  # seconds
    burst: int = 100
    """Wrong claims of all together before everybody waits."""
    rate: float = 1.0  # wrong claims per second of all together after that


class Guesses:
    """Wrong claims, by bare JID."""

    def __init__(self, limits: GuessLimits | None = None) -> None:
        self._limits = limits or GuessLimits()
        self._all = Budget(self._limits.burst, self._limits.rate)
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, who: str, now: float) -> float:
        """Seconds until `who` may guess; 0: now."""
        _, until = self._wrong.get(who, (0, now))
        missing = 1 - self._all.left(now)
        return max(until - now, missing / self._limits.rate if missing > 0 else 0.0)

    def wrong(self, who: str, now: float) -> None:
        self._all.spend(now)
        count = self._wrong.pop(who, (0, 0.0))[0] + 1
        over = count - self._limits.free
        wait = min(self._limits.first_wait * 2.0 ** min(over - 1, 60), self._limits.last_wait) if over > 0 else 0.0
        self._wrong[who] = (count, now + wait)
        if len(self._wrong) > MAX_REMEMBERED:
            self._wrong.popitem(last=False)

    def right(self, who: str) -> None:
        self._wrong.pop(who, None)
