"""Whether the clock can be believed."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from hub.telemetry import clock as module
from hub.telemetry.clock import SETTLED_S, Clock, KernelClock, Mend

WRONG = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
RIGHT = dt.datetime(2026, 11, 21, 8, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


def test_a_clock_that_is_told_the_time_mends_what_was_before() -> None:
    clock = Clock(WRONG, 100, doubtful=True)
    assert clock.look(WRONG + SECOND, 101, synchronised=False) is None and clock.doubtful
    assert clock.look(RIGHT, 102, synchronised=True) == Mend(WRONG, RIGHT - WRONG - 2 * SECOND)
    assert not clock.doubtful
    assert clock.look(RIGHT + SECOND, 103, synchronised=True) is None


def test_a_jump_ends_the_doubt_before_the_kernel_says_so() -> None:
    clock = Clock(WRONG, 100, doubtful=True)
    assert clock.look(RIGHT, 101, synchronised=False) is not None and not clock.doubtful


def test_a_clock_that_was_right_all_the_time_only_loses_its_doubt() -> None:
    clock = Clock(RIGHT, 100, doubtful=True)
    assert clock.look(RIGHT + SECOND, 101, synchronised=True) == Mend(RIGHT, 0 * SECOND)


def test_small_steps_and_time_itself_are_no_jumps() -> None:
    clock = Clock(RIGHT, 0, doubtful=False)
    for n in range(1, 100):
        assert clock.look(RIGHT + n * 1.001 * SECOND, n, synchronised=True) is None
        assert clock.settled(n)


def test_ages_are_not_counted_by_a_clock_that_has_just_jumped() -> None:
    clock = Clock(RIGHT, 0, doubtful=False)
    clock.look(RIGHT + dt.timedelta(days=20_000), 10, synchronised=True)
    assert not clock.settled(11) and not clock.settled(10 + SETTLED_S - 1)
    assert clock.settled(10 + SETTLED_S)


def test_a_doubtful_clock_counts_no_ages() -> None:
    assert not Clock(WRONG, 0, doubtful=True).settled(10**9)


@pytest.mark.parametrize(("board", "rtc", "told", "doubtful"), [
    (True, False, False, True), (True, True, False, False), (False, False, False, False), (True, False, True, False),
])  # fmt: skip
def test_only_a_board_without_a_clock_of_its_own_that_nobody_told_the_time_is_in_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, board: bool, rtc: bool, told: bool, doubtful: bool
) -> None:
    monkeypatch.setattr(module, "BOARD", tmp_path / "model")
    monkeypatch.setattr(module, "RTC", tmp_path / "rtc")
    monkeypatch.setattr(module, "synchronised", lambda: told)
    if board:
        (tmp_path / "model").write_text("Raspberry Pi 4 Model B")
    if rtc:
        (tmp_path / "rtc/rtc0").mkdir(parents=True)
    clock = KernelClock()
    assert clock.doubtful is doubtful and (clock.now() is None) is doubtful
    monkeypatch.setattr(module, "synchronised", lambda: True)
    assert not clock.doubtful and clock.now() is not None
    assert (clock.mend() is not None) is doubtful and clock.mend() is None


def test_the_kernel_can_be_asked_whether_its_clock_is_kept() -> None:
    assert module.synchronised() in (True, False)
