"""HC-SR04: distance by ultrasound, with a trigger and an echo pin.

Reference: ElecFreaks, "Ultrasonic Ranging Module HC - SR04" (2 cm to 400 cm; a trigger of 10 µs; the echo pin is high
for as long as the sound was under way; at least 60 ms from measurement to measurement).

Wiring: VCC to 5 V, GND, Trig to a pin, Echo through a divider (1 kΩ to the pin, 2 kΩ from the pin to GND): Echo gives
5 V, and a pin must not get more than 3.3 V. Modules marked 3.3 V (HC-SR04P, RCWL-1601) need no divider.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from devices import base
from devices.base import BadData, Driver, FieldSpec, NotResponding, Within
from devices.bus import Pin, gpio_errors
from devices.fake import SimulatedBuses

MINIMUM_M, MAXIMUM_M = 0.02, 4.0
TRIGGER_S = 0.00001  # the least the module takes; the system's timer makes it longer, which does no harm
CYCLE_S = 0.06  # between triggers: an old echo must have died away before the next one is listened for
ECHO_TIMEOUT_S = 0.25  # without an obstacle the echo ends after 38 ms; some modules hold it for 200 ms


def speed_of_sound(celsius: float) -> float:
    """m/s in dry air, an ideal gas: 331.3 m/s at 0 °C, growing with the root of the absolute temperature."""
    return 331.3 * math.sqrt(1 + celsius / 273.15)


def decode(echo: float, celsius: float) -> dict[str, float]:
    """Seconds for which the echo pin was high to metres: there and back again. Raises BadData out of range."""
    distance = echo * speed_of_sound(celsius) / 2
    if not MINIMUM_M <= round(distance, 3) <= MAXIMUM_M:
        raise BadData(
            f"an echo of {echo * 1000:.2f} ms means {distance:.3f} m, out of range "
            f"({MINIMUM_M:g} to {MAXIMUM_M:g} m): nothing is there, too near, or it reflects badly"
        )
    return {"distance": distance}


class HCSR04(Driver):
    """Times the echo by the stamps of its edges, not by when this program gets to run."""

    NAMES = ("hcsr04",)
    TITLE = "HC-SR04 ultrasonic distance sensor"
    DATASHEET = "ElecFreaks, Ultrasonic Ranging Module HC - SR04"
    FIELDS: ClassVar[tuple[FieldSpec, ...]] = (
        FieldSpec("distance", unit="m", decimals=3, minimum=MINIMUM_M, maximum=MAXIMUM_M,
                  description="to the nearest obstacle"),
    )  # fmt: skip
    INTERVAL = 1.0

    @dataclass(frozen=True, kw_only=True)
    class Config(base.Config):
        trigger: Annotated[int, Within(0, 27)]
        echo: Annotated[int, Within(0, 27)]
        temperature: Annotated[float, Within(-40, 85, "°C")] = 20.0
        """Of the air: 10 °C change a distance by 1.7 %."""

        def problems(self) -> Mapping[str, str]:
            return {"echo": f"another pin than trigger ({self.trigger})"} if self.trigger == self.echo else {}

        def claims(self) -> frozenset[str]:
            return frozenset({f"gpio {self.trigger}", f"gpio {self.echo}"})

    def __init__(
        self,
        config: Config,
        buses: Any,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        timeout: float = ECHO_TIMEOUT_S,
    ) -> None:
        super().__init__(config, buses)
        self._clock, self._sleep, self._timeout = clock, sleep, timeout
        self._trigger: Pin | None = None
        self._echo: Pin | None = None
        self._ready_at = -math.inf
        self._began: float | None = None
        self._length: float | None = None
        self._ended = threading.Event()

    @property
    def lane(self) -> str:
        return f"gpio-{self.config.trigger}"

    def open(self) -> None:
        self.close()
        echo = self.buses.input_pin(self.config.echo, "down")  # a wire that came off reads as no echo
        self._trigger = self.buses.output_pin(self.config.trigger, False)
        self._echo = echo
        with gpio_errors(self.config.echo):
            echo.when_changed = self._edge

    def read(self) -> Mapping[str, float]:
        if self._trigger is None or self._echo is None:
            raise NotResponding("the pins are not open")
        self._sleep(max(0.0, self._ready_at - self._clock()))
        with gpio_errors(self.config.echo):
            if self._echo.state:
                raise NotResponding(f"GPIO {self.config.echo} is high before the trigger: stuck or wired wrong")
        self._began = self._length = None
        self._ended.clear()
        with gpio_errors(self.config.trigger):
            self._trigger.state = 1
            self._sleep(TRIGGER_S)
            self._trigger.state = 0
        ended = self._ended.wait(self._timeout)
        self._ready_at = self._clock() + CYCLE_S
        if self._length is None or not ended:
            what = "does not end" if self._began is not None else "did not come: check wiring and the 5 V supply"
            raise NotResponding(f"the echo on GPIO {self.config.echo} {what} ({self._timeout * 1000:.0f} ms waited)")
        return decode(self._length, self.config.temperature)

    def close(self) -> None:
        # The trigger stays a low output: as an input it would float, and the module measure by itself.
        echo, self._echo, self._trigger = self._echo, None, None
        if echo is not None:
            self.buses.silence(echo)

    def _edge(self, ticks: float, state: int) -> None:
        if state:
            self._began = ticks
        elif self._began is not None and self._length is None:
            self._length = ticks - self._began
            self._ended.set()

    @staticmethod
    def fake(config: Config, buses: SimulatedBuses) -> FakeHCSR04:
        return FakeHCSR04(buses.pin(config.trigger), buses.pin(config.echo), config.temperature)


class FakeHCSR04:
    """Answers the end of a trigger pulse with an echo, told to the echo pin's listener with exact stamps.

    Set `distance` (m); `silent` for a module without power, `endless` for one whose echo does not end.
    """

    def __init__(self, trigger: Any, echo: Any, celsius: float) -> None:
        self.distance, self.celsius = 1.25, celsius
        self.silent = self.endless = False
        self.triggers = 0
        self._echo = echo
        self._level = False
        self._set_trigger: Callable[[float], None] = trigger._set_state
        trigger._set_state = self._on_trigger  # the wire from the pin to the module

    def _on_trigger(self, value: float) -> None:
        self._set_trigger(value)
        fell, self._level = self._level and not value, bool(value)
        if fell:
            self.triggers += 1
            self._answer(self.triggers * CYCLE_S)

    def _answer(self, ticks: float) -> None:
        listener = self._echo.when_changed
        if listener is None or self.silent:
            return
        listener(ticks, 1)
        if not self.endless:
            listener(ticks + 2 * self.distance / speed_of_sound(self.celsius), 0)


DRIVERS = (HCSR04,)
