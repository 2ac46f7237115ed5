"""Digital input: the debounce on its own, then the driver on a pin that is turned."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import devices
from devices.base import BusUnavailable, Duration, NotResponding
from devices.digital_input import Debounce, DigitalInput
from devices.fake import SimulatedBuses, drive
from tests.devices.vector import Vector

VECTORS = [
    Vector((True, True), {"input": True}, "active high, level high"),
    Vector((False, True), {"input": False}, "active high, level low"),
    Vector((False, False), {"input": True}, "active low, level low: a contact to GND with a pull-up"),
    Vector((True, False), {"input": False}, "active low, level high"),
]
SOON_S = 5.0


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def make(clock: Clock | None = None, **settings: object) -> tuple[DigitalInput, SimulatedBuses, threading.Event]:
    buses = SimulatedBuses()
    config = DigitalInput.Config(pin=17, **settings)  # type: ignore[arg-type]
    driver = DigitalInput(config, buses, clock) if clock else DigitalInput(config, buses)
    told = threading.Event()
    driver.notify = told.set
    return driver, buses, told


def test_a_level_counts_when_it_has_held() -> None:
    debounce = Debounce(False, 0.02)
    debounce.edge(True, 1.0)
    assert debounce.due == pytest.approx(1.02)
    assert not debounce.tick(1.0199) and debounce.level is False
    assert debounce.tick(1.021) and debounce.level is True
    assert debounce.due is None and not debounce.tick(9.0)


def test_chatter_starts_the_wait_again_and_counts_once() -> None:
    debounce = Debounce(False, 0.02)
    for step, level in enumerate([True, False, True, False, True]):
        debounce.edge(level, 1.0 + step * 0.005)
        assert not debounce.tick(1.0 + step * 0.005)
    assert not debounce.tick(1.0399)
    assert debounce.tick(1.0401) and debounce.level is True


def test_a_spike_is_not_seen() -> None:
    debounce = Debounce(False, 0.02)
    debounce.edge(True, 1.0)
    debounce.edge(False, 1.001)
    assert debounce.due is None and not debounce.tick(2.0)


def test_the_same_level_told_twice_does_not_put_the_settling_off() -> None:
    debounce = Debounce(False, 0.02)
    debounce.edge(True, 1.0)
    debounce.edge(True, 1.015)
    assert debounce.tick(1.021)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 100)), max_size=40))
@settings(deadline=None)  # a busy machine is no failure
def test_the_settled_level_is_always_one_that_held(edges: list[tuple[bool, int]]) -> None:
    debounce, now, raw, since, level = Debounce(False, 20), 0, False, 0, False  # in whole milliseconds
    for new, gap in edges:
        now += gap
        debounce.tick(now)
        if raw != level and now - since >= 20:
            level = raw
        assert debounce.level == level
        if new != raw:
            raw, since = new, now
        debounce.edge(new, now)


def test_an_edge_without_debounce_is_told_from_where_it_came() -> None:
    driver, buses, told = make(pull="down", debounce=Duration(0))
    driver.open()
    drive(buses.pin(17), True)
    assert told.is_set()
    assert driver.read() == {"input": True, "changes": 1}
    driver.close()


def test_a_settled_edge_is_told_by_itself() -> None:
    driver, buses, told = make(pull="down", debounce=Duration(0.005))
    driver.open()
    drive(buses.pin(17), True)
    assert told.wait(SOON_S)
    assert driver.read() == {"input": True, "changes": 1}
    driver.close()


def test_a_spike_is_neither_counted_nor_told() -> None:
    clock = Clock()
    driver, buses, told = make(clock, pull="up", active_high=False)
    driver.open()
    drive(buses.pin(17), False)
    clock.now += 0.001
    drive(buses.pin(17), True)
    clock.now += 1
    assert driver.read() == {"input": False, "changes": 0}
    assert not told.is_set()
    driver.close()


def test_a_lost_edge_is_made_good_by_the_next_reading() -> None:
    clock = Clock()
    driver, buses, _ = make(clock, pull="down")
    driver.open()
    buses.pin(17).when_changed = None
    drive(buses.pin(17), True)
    assert driver.read()["input"] is False  # may still be a spike
    clock.now += 0.021
    assert driver.read() == {"input": True, "changes": 1}
    driver.close()


def test_nothing_is_told_after_close_and_the_thread_has_ended() -> None:
    driver, buses, told = make(pull="down", debounce=Duration(0))
    driver.open()
    driver.close()
    drive(buses.pin(17), True)
    assert not told.is_set()
    assert not [t for t in threading.enumerate() if t.name == driver.lane]
    with pytest.raises(NotResponding):
        driver.read()


def test_reading_from_within_notify_does_not_lock_up() -> None:
    driver, buses, _ = make(pull="down", debounce=Duration(0))
    seen: list[object] = []
    driver.notify = lambda: seen.append(driver.read()["input"])
    driver.open()
    drive(buses.pin(17), True)
    assert seen == [True]
    driver.close()


def test_a_pull_that_the_board_does_not_have_is_refused_in_words() -> None:
    buses = SimulatedBuses()
    driver = devices.build(DigitalInput, DigitalInput.Config(pin=2, pull="down"), buses)
    with pytest.raises(BusUnavailable, match="GPIO 2 cannot be used"):
        driver.open()
