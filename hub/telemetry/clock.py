"""Whether the wall clock can be believed, and by how much it was wrong before.

A Raspberry Pi has no clock that runs while it is off: until the network has told it the time, it believes that it is
still the moment at which it was switched off. What is measured until then is marked `timeOffset` (XEP-0323 section
4.5), and mended when the time comes.

Rules of this file
* `Clock` is told what time it is, by both clocks; `KernelClock` looks. Only the monotonic clock decides how much time
  has passed: what the wall clock gains on it is a jump.
* A jump forward makes nothing old before it has stood for `SETTLED_S`: a clock that is wrong for a minute must not
  cost the history of a month.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

JUMP_S = 0.5  # less is how time is kept: a daemon slews
SETTLED_S = 3600.0
LOOK_EVERY_S = 1.0

STA_UNSYNC = 0x0040  # of adjtimex(2)
RTC = Path("/sys/class/rtc")
BOARD = Path("/proc/device-tree/model")  # what a Pi has and a PC or a container on one has not


@dataclass(frozen=True)
class Mend:
    """Readings in doubt from `since` on, in the time of the clock as it was, were measured `by` later."""

    since: dt.datetime
    by: dt.timedelta


class Clock:
    """`doubtful`: whether the clock may be as wrong as can be when this begins. `monotonic` in seconds."""

    def __init__(self, wall: dt.datetime, monotonic: float, doubtful: bool) -> None:
        self.doubtful = doubtful
        self._began = wall
        self._offset = wall - dt.timedelta(seconds=monotonic)
        self._jumped: float | None = None

    def look(self, wall: dt.datetime, monotonic: float, synchronised: bool) -> Mend | None:
        """What is to be mended now that the doubt has ended: a clock that jumps has been told the time."""
        offset = wall - dt.timedelta(seconds=monotonic)
        gained = offset - self._offset
        jumped = abs(gained.total_seconds()) > JUMP_S
        if jumped:
            self._offset = offset
            self._jumped = monotonic
            log.warning("the clock has jumped by %s s", round(gained.total_seconds(), 1))
        if not self.doubtful or not (jumped or synchronised):
            return None
        self.doubtful = False
        return Mend(self._began, gained if jumped else dt.timedelta(0))

    def settled(self, monotonic: float) -> bool:
        """Whether ages may be counted by the wall clock."""
        return not self.doubtful and (self._jumped is None or monotonic - self._jumped >= SETTLED_S)


class KernelClock:
    """The clocks of this machine. Only a board without a clock of its own (RTC) can be in doubt."""

    def __init__(self) -> None:
        self._clock = Clock(_wall(), time.monotonic(), doubtful=_is_board_without_rtc() and not synchronised())
        if self._clock.doubtful:
            log.warning("nobody has told this machine the time yet: readings are marked until then")

        self._mend: Mend | None = None

    @property
    def doubtful(self) -> bool:
        """Asked with every reading: the first one after a jump must not pass for one before it."""
        if self._clock.doubtful:
            self.look()
        return self._clock.doubtful

    def look(self) -> None:
        mend = self._clock.look(_wall(), time.monotonic(), not self._clock.doubtful or synchronised())
        self._mend = mend or self._mend

    def mend(self) -> Mend | None:
        """What is to be mended, once."""
        mend, self._mend = self._mend, None
        return mend

    def now(self) -> dt.datetime | None:
        """The moment from which ages are counted; None while it is not to be trusted with that."""
        return _wall() if self._clock.settled(time.monotonic()) else None


def _wall() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _is_board_without_rtc() -> bool:
    try:
        return BOARD.exists() and not any(RTC.iterdir())
    except OSError:
        return BOARD.exists()


def synchronised() -> bool:
    """Whether something keeps the kernel's time (ntpd, chrony, systemd-timesyncd); true where it cannot be asked."""
    import ctypes  # here: machines with a clock of their own never need it

    timex = ctypes.create_string_buffer(512)  # larger than struct timex of any machine; modes = 0: only ask
    try:
        if ctypes.CDLL(None, use_errno=True).adjtimex(timex) < 0:
            return True
    except (OSError, AttributeError):
        return True
    word = ctypes.sizeof(ctypes.c_long)
    status = ctypes.c_int.from_buffer(timex, word * 5)  # modes (padded), offset, freq, maxerror, esterror, status
    return not status.value & STA_UNSYNC
