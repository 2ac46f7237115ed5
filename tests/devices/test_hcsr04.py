"""HC-SR04: times of echoes, and modules that do not answer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.base import BadData, NotResponding
from devices.fake import SimulatedBuses, drive
from devices.hcsr04 import CYCLE_S, HCSR04, FakeHCSR04, decode, speed_of_sound
from tests.devices.vector import Vector

VECTORS = [
    Vector((0.0058, 20.0), {"distance": 1.0}, "ElecFreaks: range in cm = µs / 58; 5800 µs is 100 cm", 0.005),
    Vector((0.01, 0.0), {"distance": 1.6565}, "10 ms × 331.3 m/s / 2 at 0 °C", 1e-9),
    Vector((0.01, 20.0), {"distance": 1.7161}, "10 ms × 343.2 m/s (dry air at 20 °C) / 2", 1e-3),
]
TIMEOUT_S = 0.02  # the stand-in answers at once or never


class Time:
    def __init__(self) -> None:
        self.now = 50.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def make(celsius: float = 20.0) -> tuple[HCSR04, FakeHCSR04, SimulatedBuses, Time]:
    buses, time = SimulatedBuses(), Time()
    config = HCSR04.Config(trigger=23, echo=24, temperature=celsius)
    buses.install(HCSR04, config)
    return HCSR04(config, buses, time.clock, time.sleep, TIMEOUT_S), buses.parts[config], buses, time


def test_sound_is_as_fast_as_in_the_tables() -> None:
    assert [speed_of_sound(t) for t in (-20, 0, 20, 40)] == pytest.approx([318.9, 331.3, 343.2, 354.7], abs=0.1)


@given(st.floats(0.021, 3.999), st.floats(-40, 85))
@settings(deadline=None)  # a busy machine is no failure
def test_the_distance_comes_back(distance: float, celsius: float) -> None:
    assert decode(2 * distance / speed_of_sound(celsius), celsius)["distance"] == pytest.approx(distance)


@pytest.mark.parametrize("distance", [0.02, 0.5, 4.0])
@pytest.mark.parametrize("celsius", [-10.0, 20.0])
def test_measures_what_is_in_front_of_it(distance: float, celsius: float) -> None:
    sensor, module, _, _ = make(celsius)
    module.distance = distance
    sensor.open()
    assert sensor.fields[0].value(sensor.read()["distance"]) == sensor.fields[0].value(distance)
    sensor.close()


def test_an_echo_is_left_time_to_die_away() -> None:
    sensor, module, _, time = make()
    sensor.open()
    began = time.now
    sensor.read()
    sensor.read()
    assert module.triggers == 2
    assert time.now - began >= CYCLE_S


@pytest.mark.parametrize("distance", [0.004, 5.0])
def test_out_of_range_is_no_distance(distance: float) -> None:
    sensor, module, _, _ = make()
    module.distance = distance
    sensor.open()
    with pytest.raises(BadData, match="out of range"):
        sensor.read()


def test_a_module_without_power_is_told() -> None:
    sensor, module, _, _ = make()
    sensor.open()
    module.silent = True
    with pytest.raises(NotResponding, match="did not come"):
        sensor.read()
    module.silent = False
    assert sensor.read()["distance"] == pytest.approx(1.25)


def test_an_echo_that_does_not_end_is_told_and_does_not_spoil_the_next() -> None:
    sensor, module, _, _ = make()
    sensor.open()
    module.endless = True
    with pytest.raises(NotResponding, match="does not end"):
        sensor.read()
    module.endless = False
    assert sensor.read()["distance"] == pytest.approx(1.25)


def test_an_echo_pin_stuck_high_is_told_before_the_trigger() -> None:
    sensor, module, buses, _ = make()
    sensor.open()
    drive(buses.pin(24), True)
    with pytest.raises(NotResponding, match="high before the trigger"):
        sensor.read()
    assert module.triggers == 0


def test_the_trigger_stays_low_after_close() -> None:
    sensor, _, buses, _ = make()
    sensor.open()
    sensor.close()
    assert buses.pin(23).function == "output" and not buses.pin(23).state
    with pytest.raises(NotResponding):
        sensor.read()


def test_one_pin_cannot_be_both() -> None:
    assert set(HCSR04.Config(trigger=5, echo=5).problems()) == {"echo"}
    assert HCSR04.Config(trigger=23, echo=24).claims() == {"gpio 23", "gpio 24"}
