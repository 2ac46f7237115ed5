"""Servo: angles and pulses."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.base import Duration, InvalidValue, NotResponding
from devices.fake import SimulatedBuses
from devices.servo import FREQUENCY_HZ, PERIOD_S, Servo, Travel, decode, encode
from tests.devices.vector import Vector

STANDARD = Travel()
CENTRED = Travel(0.001, 0.002, -90, 90)

VECTORS = [
    Vector((0.0015, CENTRED), {"angle": 0.0}, "SG90 data sheet: position 0 is a pulse of 1.5 ms", 1e-9),
    Vector((0.002, CENTRED), {"angle": 90.0}, "SG90 data sheet: position 90 is a pulse of about 2 ms", 1e-9),
    Vector((0.001, CENTRED), {"angle": -90.0}, "SG90 data sheet: position -90 is a pulse of about 1 ms", 1e-9),
    Vector((0.00125, STANDARD), {"angle": 45.0}, "a quarter of the way between both ends", 1e-9),
]


def make(**settings: Any) -> tuple[Servo, Any]:
    buses = SimulatedBuses()
    return Servo(Servo.Config(pin=18, **settings), buses), buses.pin(18)


@given(st.floats(-90, 90))
@settings(deadline=None)  # a busy machine is no failure
def test_a_pulse_means_the_angle_it_was_made_for(angle: float) -> None:
    assert decode(encode(angle, CENTRED), CENTRED)["angle"] == pytest.approx(angle, abs=1e-6)


def test_opens_without_a_pulse() -> None:
    servo, pin = make()
    pin.clear_states()
    servo.open()
    assert [bool(s.state) for s in pin.states] == [False]
    assert pin.frequency is None
    assert servo.read() == {"angle": 90.0, "enabled": False}


def test_an_angle_is_remembered_while_it_is_let_go() -> None:
    servo, pin = make()
    servo.open()
    servo.write({"angle": Decimal("30")})
    assert not pin.state
    servo.write({"enabled": True})
    assert pin.frequency == FREQUENCY_HZ
    assert pin.state * PERIOD_S == pytest.approx(0.001 + 0.001 * 30 / 180)
    assert servo.read() == {"angle": 30.0, "enabled": True}


def test_letting_go_ends_the_pulses_and_keeps_the_set_point() -> None:
    servo, pin = make()
    servo.open_with({"angle": 120, "enabled": True})
    servo.write({"enabled": False})
    assert not pin.state
    assert servo.read() == {"angle": 120.0, "enabled": False}


@pytest.mark.parametrize("angle", [0, 180])
def test_both_ends_read_back_within_the_limits(angle: int) -> None:
    servo, _ = make(min_pulse=Duration(0.00052), max_pulse=Duration(0.00243))
    servo.open_with({"angle": angle, "enabled": True})
    assert servo.fields[0].value(servo.read()["angle"]) == angle


def test_limits_are_those_of_the_configuration() -> None:
    servo, _ = make(min_angle=-45.0, max_angle=45.0)
    angle = servo.parameters[0]
    assert angle.limits() == "-45 to 45 °"
    with pytest.raises(InvalidValue):
        angle.check(46)


def test_a_restart_does_not_drop_what_the_servo_holds() -> None:
    servo, pin = make()
    servo.open_with({"angle": 60, "enabled": True})
    servo.close()
    held = pin.state
    assert pin.function == "output" and held > 0
    with pytest.raises(NotResponding):
        servo.write({"enabled": False})
    pin.clear_states()
    servo.open_with({"angle": 60, "enabled": True})
    assert [s.state for s in pin.states] == [held]


def test_ends_in_the_wrong_order_are_a_problem() -> None:
    config = Servo.Config(pin=18, min_pulse=Duration(0.002), max_pulse=Duration(0.001), min_angle=9.0, max_angle=9.0)
    assert set(config.problems()) == {"min_pulse", "min_angle"}
