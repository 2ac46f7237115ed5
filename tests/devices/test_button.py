"""Button: presses and holds on their own, then the driver on a pin that is turned."""

from __future__ import annotations

import datetime as dt
import threading

from devices.base import Duration
from devices.button import Button, Presses
from devices.fake import SimulatedBuses, drive
from tests.devices.vector import Vector

VECTORS = [
    Vector((False, "up"), {"pressed": True}, "a button to GND pulls the pin low"),
    Vector((True, "up"), {"pressed": False}, "released: the pull-up holds the pin high"),
    Vector((True, "down"), {"pressed": True}, "a button to 3V3 pulls the pin high"),
    Vector((False, "down"), {"pressed": False}, "released: the pull-down holds the pin low"),
]
NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
SOON_S = 5.0


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_short_press_is_no_hold() -> None:
    presses = Presses(1.0)
    presses.change(True, 10.0, NOON)
    assert presses.hold_due == 11.0 and not presses.tick(10.9)
    presses.change(False, 10.95, NOON)
    assert presses.hold_due is None and not presses.tick(99.0)
    assert (presses.presses, presses.holds, presses.last_press) == (1, 0, NOON)


def test_a_long_press_is_counted_once() -> None:
    presses = Presses(1.0)
    presses.change(True, 10.0, NOON)
    assert presses.tick(11.0)
    assert not presses.tick(15.0)
    presses.change(False, 16.0, NOON)
    assert (presses.presses, presses.holds) == (1, 1)


def test_a_hold_that_was_noticed_only_at_the_release_counts() -> None:
    presses = Presses(1.0)
    presses.change(True, 10.0, NOON)
    presses.change(False, 11.5, NOON)
    assert presses.holds == 1


def test_a_button_found_down_was_not_pressed_now() -> None:
    presses = Presses(1.0)
    presses.begin(True)
    assert presses.pressed and presses.presses == 0 and presses.hold_due is None


def test_last_press_is_left_out_before_the_first_and_has_a_zone_after() -> None:
    clock = Clock()
    buses = SimulatedBuses()
    button = Button(Button.Config(pin=17, debounce=Duration(0)), buses, clock, lambda: NOON)
    told = threading.Event()
    button.notify = told.set
    button.open()
    assert button.read() == {"pressed": False, "presses": 0, "holds": 0}
    drive(buses.pin(17), False)
    assert told.is_set()
    assert button.read() == {"pressed": True, "presses": 1, "holds": 0, "last_press": NOON}
    clock.now += 1.5
    assert button.read()["holds"] == 1
    drive(buses.pin(17), True)
    assert button.read() == {"pressed": False, "presses": 1, "holds": 1, "last_press": NOON}
    button.close()


def test_a_hold_is_told_by_itself() -> None:
    buses = SimulatedBuses()
    button = Button(Button.Config(pin=17, debounce=Duration(0), hold_time=Duration(0.1)), buses)
    held = threading.Event()

    def changed() -> None:
        if button.read()["holds"]:
            held.set()

    button.notify = changed
    button.open()
    drive(buses.pin(17), False)
    assert held.wait(SOON_S)
    last = button.read()["last_press"]
    assert last.tzinfo is not None
    button.close()
