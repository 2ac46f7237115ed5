"""PWM: the fade on its own, the driver on a pin, and the pin class that real pins get."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from devices.base import BusUnavailable, Duration, NotResponding
from devices.bus import Buses, steady_pin_class
from devices.digital_input import DigitalInput
from devices.fake import SimulatedBuses
from devices.pwm import PWM, fade
from tests.devices.vector import Vector

VECTORS = [
    Vector((0.0,), {"level": 0.0}, "duty cycle = time high / period: never high"),
    Vector((0.25,), {"level": 25.0}, "duty cycle = time high / period: 0.5 ms of 2 ms"),
    Vector((1.0,), {"level": 100.0}, "duty cycle = time high / period: always high"),
]
SOON_S = 5.0
SHORT_MS = 60


@pytest.fixture
def buses() -> Iterator[SimulatedBuses]:
    buses = SimulatedBuses()
    yield buses
    buses.close()


def make(buses: SimulatedBuses) -> tuple[PWM, threading.Event]:
    pwm = PWM(PWM.Config(pin=18), buses)
    arrived = threading.Event()
    pwm.notify = arrived.set
    return pwm, arrived


def test_a_fade_is_a_straight_line_that_ends_at_its_target() -> None:
    assert [fade(0.2, 1.0, 2.0, t) for t in (-1.0, 0.0, 1.0, 2.0, 9.0)] == pytest.approx([0.2, 0.2, 0.6, 1.0, 1.0])
    assert fade(1.0, 0.3, 0.0, 0.0) == 0.3


@pytest.mark.parametrize("percent", [0, 100])
def test_starts_at_its_first_level_without_passing_through_another(buses: SimulatedBuses, percent: int) -> None:
    pwm, _ = make(buses)
    pin: Any = buses.pin(18)
    before = float(pin.state)
    pin.clear_states()
    pwm.open_with({"duty": percent})
    assert [float(s.state) for s in pin.states] == ([before] if before == percent / 100 else [before, percent / 100])
    assert pin.frequency is None  # a plain level needs no pulses


def test_a_first_level_in_between_never_exceeds_itself(buses: SimulatedBuses) -> None:
    pwm, _ = make(buses)
    pin: Any = buses.pin(18)
    pin.clear_states()
    pwm.open_with({"duty": Decimal("40")})
    assert pin.frequency == 800
    assert max(s.state for s in pin.states) == pytest.approx(0.4)
    assert pwm.read() == {"duty": Decimal(40), "fade_time": 0, "level": pytest.approx(40.0)}


def test_without_fade_time_a_change_is_at_once(buses: SimulatedBuses) -> None:
    pwm, _ = make(buses)
    pwm.open_with({"duty": 0})
    pwm.write({"duty": Decimal("12.5")})
    assert pwm.read()["level"] == pytest.approx(12.5)


def test_a_fade_rises_step_by_step_and_says_when_it_has_arrived(buses: SimulatedBuses) -> None:
    pwm, arrived = make(buses)
    pwm.open_with({"duty": 0})
    pin: Any = buses.pin(18)
    pin.clear_states()
    pwm.write({"fade_time": SHORT_MS, "duty": 80})
    assert pwm.read()["duty"] == 80  # the set point is there at once
    assert arrived.wait(SOON_S)
    levels = [float(s.state) for s in pin.states]
    assert levels == sorted(levels) and levels[-1] == pytest.approx(0.8)
    assert pwm.read() == {"duty": 80, "fade_time": SHORT_MS, "level": pytest.approx(80.0)}
    pwm.close()


def test_a_new_write_ends_a_running_fade(buses: SimulatedBuses) -> None:
    pwm, _ = make(buses)
    pwm.open_with({"duty": 0})
    pwm.write({"fade_time": 60_000, "duty": 100})
    pwm.write({"fade_time": 0, "duty": 10})
    assert pwm.read()["level"] == pytest.approx(10.0)
    assert not [t for t in threading.enumerate() if t.name.startswith("fade")]


def test_close_ends_a_fade_and_leaves_the_pin_as_it_is(buses: SimulatedBuses) -> None:
    pwm, _ = make(buses)
    pwm.open_with({"duty": 50})
    pwm.write({"fade_time": 60_000, "duty": 100})
    pwm.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("fade")]
    pin = buses.pin(18)
    assert pin.function == "output" and 0.5 <= float(pin.state) < 0.6
    with pytest.raises(NotResponding):
        pwm.read()
    with pytest.raises(NotResponding):
        pwm.write({"duty": 0})


def test_opening_again_goes_on_without_a_gap(buses: SimulatedBuses) -> None:
    pwm, _ = make(buses)
    pwm.open_with({"duty": 50})
    pwm.close()
    pin: Any = buses.pin(18)
    pin.clear_states()
    pwm.open_with({"duty": 60})
    assert [float(s.state) for s in pin.states] == pytest.approx([0.5, 0.6])


def test_a_pin_that_refuses_during_a_fade_is_told_by_the_next_reading(
    buses: SimulatedBuses, monkeypatch: pytest.MonkeyPatch
) -> None:
    pwm, _ = make(buses)
    pwm.open_with({"duty": 50})
    refused = threading.Event()

    def refuse(value: float) -> None:
        refused.set()
        raise RuntimeError("queue full")

    monkeypatch.setattr(buses.pin(18), "_set_state", refuse)
    pwm.write({"fade_time": SHORT_MS, "duty": 100})
    assert refused.wait(SOON_S)
    for thread in [t for t in threading.enumerate() if t.name.startswith("fade")]:
        thread.join(SOON_S)
    with pytest.raises(BusUnavailable, match="queue full"):
        pwm.read()


class RecordingLgpio(ModuleType):
    """The calls that a gpiozero lgpio pin makes, and what the chip would answer; also where lgpio is not installed."""

    RISING_EDGE, FALLING_EDGE, BOTH_EDGES = 1, 2, 3
    SET_PULL_UP, SET_PULL_DOWN, SET_PULL_NONE = 1 << 5, 1 << 6, 1 << 7
    error = RuntimeError
    busy = False

    def __init__(self) -> None:
        super().__init__("lgpio")
        self.calls: list[tuple[Any, ...]] = []
        self._mode = 0

    def gpio_claim_output(self, handle: int, number: int, level: int = 0) -> None:
        if self.busy:
            raise self.error("'GPIO busy'")
        self._mode = 1 << 1
        self.calls.append(("output", number, level))

    def gpio_claim_input(self, handle: int, number: int, flags: int = 0) -> None:
        self._mode = flags
        self.calls.append(("input", number, flags))

    def gpio_free(self, handle: int, number: int) -> None:
        self.calls.append(("free", number))

    def gpio_claim_alert(self, handle: int, number: int, edges: int, flags: int) -> None:
        self.calls.append(("alert", number, edges, flags))

    def callback(self, handle: int, number: int, edges: int, function: Any) -> Any:
        self.edge = function
        return SimpleNamespace(cancel=lambda: self.calls.append(("cancel", number)))

    def tx_pwm(self, handle: int, number: int, frequency: float, duty: float) -> None:
        self.calls.append(("pwm", number, frequency, duty))

    def gpio_get_mode(self, handle: int, number: int) -> int:
        return self._mode

    def gpio_read(self, handle: int, number: int) -> int:
        return 1


@pytest.fixture
def real_pin(buses: SimulatedBuses, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, RecordingLgpio]]:
    _, info = next(iter(buses.pin_factory().board_info.find_pin(18)))
    lgpio, backend = RecordingLgpio(), "gpiozero.pins.lgpio"
    before = sys.modules.pop(backend, None)
    monkeypatch.setitem(sys.modules, "lgpio", lgpio)
    # Both ways to the module: `from gpiozero.pins import lgpio` asks the package first.
    monkeypatch.setattr("gpiozero.pins.lgpio", importlib.import_module(backend), raising=False)
    yield steady_pin_class()(SimpleNamespace(_handle=0), info), lgpio
    del sys.modules[backend]
    if before is not None:
        sys.modules[backend] = before


def test_a_real_pin_becomes_an_output_in_one_step(real_pin: tuple[Any, RecordingLgpio]) -> None:
    pin, lgpio = real_pin
    pin.output_with_state(True)
    assert lgpio.calls == [("output", 18, 1)]  # no input before it, no low level before the high one


def test_a_real_pin_keeps_fractions_of_a_percent(real_pin: tuple[Any, RecordingLgpio]) -> None:
    pin, lgpio = real_pin
    pin.output_with_state(False)
    pin.frequency = 50
    pin.state = 0.075  # 1.5 ms of 20 ms: the middle of a servo
    assert lgpio.calls[-1] == ("pwm", 18, 50, pytest.approx(7.5))
    assert pin.state == pytest.approx(0.075)
    pin.output_with_state(True)
    assert lgpio.calls[-2:] == [("pwm", 18, 0, 0), ("output", 18, 1)]


def test_a_real_pin_as_an_input_reports_its_edges_and_can_be_silenced(real_pin: tuple[Any, RecordingLgpio]) -> None:
    pin, lgpio = real_pin
    buses = Buses()
    buses._pin_factory = SimpleNamespace(pin=lambda number: pin)
    driver = DigitalInput(DigitalInput.Config(pin=18, pull="up", debounce=Duration(0)), buses)
    told = threading.Event()
    driver.notify = told.set
    driver.open()
    up, both = lgpio.SET_PULL_UP, lgpio.BOTH_EDGES
    assert lgpio.calls == [("input", 18, 0), ("free", 18), ("input", 18, up), ("alert", 18, both, up)]
    lgpio.edge(0, 18, 0, 123_456_789)
    assert told.is_set()
    driver.close()
    assert lgpio.calls[-2:] == [("cancel", 18), ("input", 18, up)]


def test_a_pin_that_another_program_holds_is_told_in_words(real_pin: tuple[Any, RecordingLgpio]) -> None:
    pin, lgpio = real_pin
    lgpio.busy = True
    buses = Buses()
    buses._pin_factory = SimpleNamespace(pin=lambda number: pin)
    with pytest.raises(BusUnavailable, match="GPIO 18 cannot be used: 'GPIO busy'"):
        PWM(PWM.Config(pin=18), buses).open()
    with pytest.raises(BusUnavailable, match="GPIO 18 cannot be used"):
        buses.output_pin(18, True)
