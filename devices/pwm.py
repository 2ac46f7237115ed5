"""Pulse-width modulation on one GPIO pin: dims an LED strip, sets a fan's or heater's power. Fades by itself.

Reference: lgpio library documentation, `tx_pwm` (software timed, 0.1 Hz to 10 kHz); no chip of its own.

Wiring: the pin to the gate of a logic-level MOSFET or to a driver board, 100 kΩ from the gate to GND so that a pin
that floats means off. A pin gives 16 mA at the most. Timing is the kernel's: fine for light and heat, too coarse for
audio. The pulses are made by this program: when it ends they end, and the pin stays at the level it had.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from devices import base
from devices.base import DeviceError, FieldSpec, NotResponding, OutputDriver, ParameterSpec, Value, ValueType, Within
from devices.bus import Pin, gpio_errors

STEP_S = 0.02  # of a fade: 50 steps a second look smooth
MAX_FADE_MS = 60_000
STOP_S = 1.0  # for a fade to end once it is cancelled: cancelling wakes it, it only has to get to run


def decode(state: float) -> dict[str, float]:
    """The share of a period for which the pin is high, to percent."""
    return {"level": state * 100.0}


def fade(start: float, target: float, duration: float, elapsed: float) -> float:
    """The level of a linear fade that takes `duration` seconds, `elapsed` seconds after it began."""
    if elapsed >= duration:
        return target
    return start + (target - start) * max(0.0, elapsed) / duration


class PWM(OutputDriver):
    """Holds the pin itself, not a gpiozero device: those reset the pin to an input when they are collected."""

    NAMES = ("pwm",)
    TITLE = "Dimmer, fan or heater by PWM on a GPIO pin"
    DATASHEET = "lgpio library documentation, tx_pwm"
    FIELDS = (
        FieldSpec("duty", unit="%", decimals=1, minimum=0, maximum=100, description="set point"),
        FieldSpec("level", unit="%", decimals=1, minimum=0, maximum=100, description="where a fade has got to"),
        FieldSpec("fade_time", ValueType.INT, "ms", minimum=0, maximum=MAX_FADE_MS, category="status",
                  description="time a change takes"),
    )  # fmt: skip
    PARAMETERS = (
        ParameterSpec("fade_time", ValueType.INT, "ms", 0, MAX_FADE_MS, label="Fade time", group="power",
                      description="Time a change of the duty cycle takes."),
        ParameterSpec("duty", ValueType.NUMERIC, "%", 0, 100, label="Duty cycle", group="power",
                      description="Share of the time for which the output is on."),
    )  # fmt: skip
    STATES: ClassVar[Mapping[str, Mapping[str, Value]]] = {"off": {"duty": 0}, "on": {"duty": 100}}

    @dataclass(frozen=True, kw_only=True)
    class Config(base.Config):
        pin: Annotated[int, Within(0, 27)]
        frequency: Annotated[int, Within(1, 10_000, "Hz")] = 800

        def claims(self) -> frozenset[str]:
            return frozenset({f"gpio {self.pin}"})

    def __init__(self, config: Config, buses: Any, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(config, buses)
        self._clock = clock
        self._lock = threading.Lock()
        self._pin: Pin | None = None
        self._duty: Value = 0
        self._fade_time = 0
        self._failure: DeviceError | None = None
        self._cancel = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def lane(self) -> str:
        return f"gpio-{self.config.pin}"

    def open_with(self, initial: Mapping[str, Value]) -> None:
        self._stop()
        self._fade_time = _milliseconds(initial.get("fade_time", 0))
        self._duty = initial.get("duty", 0)
        first = _share(self._duty)
        pin = self.buses.pin(self.config.pin)
        with gpio_errors(self.config.pin):
            if pin.frequency is None:
                # Both ends are plain levels: the pin becomes an output *at* its level and no pulse is made.
                pin.output_with_state(first == 1.0)
            else:
                pin.frequency = self.config.frequency  # still pulsing from before a close: goes on, no gap
        with self._lock:
            self._pin, self._failure = pin, None
            self._apply(first)

    def write(self, values: Mapping[str, Value]) -> None:
        if self._pin is None:
            raise NotResponding("the pin is not open")
        # The time comes first whatever the order: it is that of the change beside it.
        self._fade_time = _milliseconds(values.get("fade_time", self._fade_time))
        if "duty" not in values:
            return
        self._stop()
        self._duty = values["duty"]
        self._failure = None
        target, duration = _share(self._duty), self._fade_time / 1000.0
        with self._lock, gpio_errors(self.config.pin):
            start = float(self._pin.state)
            if duration == 0 or start == target:
                self._apply(target)
                return
        self._cancel = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(self._cancel, start, target, duration), name=f"fade {self.lane}", daemon=True
        )
        self._thread.start()

    def read(self) -> Mapping[str, Any]:
        with self._lock:
            if self._pin is None:
                raise NotResponding("the pin is not open")
            if self._failure is not None:
                raise self._failure
            with gpio_errors(self.config.pin):
                return {"duty": self._duty, "fade_time": self._fade_time, **decode(float(self._pin.state))}

    def close(self) -> None:
        # A fade ends where it is; the pin is let go of but not reset: its level has to hold after us.
        self._stop()
        self._pin = None

    def _run(self, cancel: threading.Event, start: float, target: float, duration: float) -> None:
        # A level cannot change within a period, and what is written faster piles up in the pulse queue.
        step = max(STEP_S, 1.0 / self.config.frequency)
        began = self._clock()
        level = start
        while level != target and not cancel.wait(step):
            level = fade(start, target, duration, self._clock() - began)
            try:
                with self._lock:
                    if not cancel.is_set():
                        self._apply(level)
            except DeviceError as error:
                self._failure = error  # told by the next read
                return
        if level == target:
            self.notify()

    def _apply(self, level: float) -> None:
        assert self._pin is not None
        with gpio_errors(self.config.pin):
            if self._pin.frequency is None:
                if level in (0.0, 1.0):
                    self._pin.state = int(level)
                    return
                self._pin.frequency = self.config.frequency
            self._pin.state = level

    def _stop(self) -> None:
        self._cancel.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(STOP_S)
        self._thread = None


def _share(percent: Value) -> float:
    return float(percent) / 100.0  # type: ignore[arg-type]  # checked by the parameter: a number


def _milliseconds(value: Value) -> int:
    return int(value)  # type: ignore[arg-type]  # checked by the parameter: an int


DRIVERS = (PWM,)
