"""A hobby servo on one GPIO pin: an angle, held by a pulse every 20 ms.

Reference: TowerPro SG90 data sheet (period 20 ms, 1 ms to 2 ms for the two ends); any analogue servo keeps to it.

Wiring: signal (orange or white) to the pin, 5 V and GND of an own supply, grounds joined: a servo that starts takes
more than the Pi's 5 V pin can give. Ends differ from servo to servo: begin with the defaults and widen `min_pulse` and
`max_pulse` in small steps; a servo that hums is pressed against its stop. The pulses are timed by software: a servo may
fidget. `enabled = false` ends the pulses, and the servo lets go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from devices import base
from devices.base import (
    Duration,
    FieldSpec,
    NotResponding,
    OutputDriver,
    ParameterSpec,
    Value,
    ValueType,
    Within,
)
from devices.bus import Pin, gpio_errors

FREQUENCY_HZ = 50
PERIOD_S = 1.0 / FREQUENCY_HZ
ONE_MS, TWO_MS = Duration(0.001), Duration(0.002)


@dataclass(frozen=True, slots=True)
class Travel:
    """Both ends of a servo: seconds of pulse and degrees."""

    min_pulse: float = 0.001
    max_pulse: float = 0.002
    min_angle: float = 0.0
    max_angle: float = 180.0


def encode(angle: float, travel: Travel) -> float:
    """Degrees to seconds of pulse, on the straight line between both ends."""
    share = (angle - travel.min_angle) / (travel.max_angle - travel.min_angle)
    return travel.min_pulse + share * (travel.max_pulse - travel.min_pulse)


def decode(pulse: float, travel: Travel) -> dict[str, float]:
    """Seconds of pulse to degrees; the reverse of `encode`."""
    share = (pulse - travel.min_pulse) / (travel.max_pulse - travel.min_pulse)
    return {"angle": travel.min_angle + share * (travel.max_angle - travel.min_angle)}


class Servo(OutputDriver):
    """What is read back as the angle is what is asked of the servo: it does not say where it is."""

    NAMES = ("servo",)
    TITLE = "Hobby servo on a GPIO pin"
    DATASHEET = "TowerPro SG90 data sheet"
    FIELDS = (
        FieldSpec("angle", unit="°", decimals=1, description="set point"),
        FieldSpec("enabled", ValueType.BOOLEAN, category="status", description="true while the servo is held"),
    )
    PARAMETERS = (
        ParameterSpec("angle", ValueType.NUMERIC, "°", label="Angle", group="servo", description="Where to turn."),
        ParameterSpec("enabled", label="Hold", group="servo", description="Holds the angle, or lets go of it."),
    )
    STATES: ClassVar[Mapping[str, Mapping[str, Value]]] = {"off": {"enabled": False}, "on": {"enabled": True}}

    @dataclass(frozen=True, kw_only=True)
    class Config(base.Config):
        pin: Annotated[int, Within(0, 27)]
        min_pulse: Annotated[Duration, Within(0.0004, 0.0026, "s")] = ONE_MS
        max_pulse: Annotated[Duration, Within(0.0004, 0.0026, "s")] = TWO_MS
        min_angle: Annotated[float, Within(-360, 360, "°")] = 0.0
        max_angle: Annotated[float, Within(-360, 360, "°")] = 180.0

        def problems(self) -> Mapping[str, str]:
            wrong = {}
            if self.min_pulse >= self.max_pulse:
                wrong["min_pulse"] = f"a pulse shorter than max_pulse ({self.max_pulse})"
            if self.min_angle >= self.max_angle:
                wrong["min_angle"] = f"an angle below max_angle ({self.max_angle:g}°)"
            return wrong

        def claims(self) -> frozenset[str]:
            return frozenset({f"gpio {self.pin}"})

    def __init__(self, config: Config, buses: Any) -> None:
        super().__init__(config, buses)
        self._travel = Travel(config.min_pulse, config.max_pulse, config.min_angle, config.max_angle)
        self._angle = (config.min_angle + config.max_angle) / 2
        self._enabled = False
        self._pin: Pin | None = None
        low, high = config.min_angle, config.max_angle
        self._fields = (FieldSpec("angle", unit="°", decimals=1, minimum=low, maximum=high, description="set point"),
                        self.FIELDS[1])  # fmt: skip
        self._parameters = (
            ParameterSpec("angle", ValueType.NUMERIC, "°", low, high, label="Angle", group="servo",
                          description="Where to turn."),
            self.PARAMETERS[1],
        )  # fmt: skip

    @property
    def fields(self) -> tuple[FieldSpec, ...]:
        return self._fields

    @property
    def parameters(self) -> tuple[ParameterSpec, ...]:
        return self._parameters

    @property
    def lane(self) -> str:
        return f"gpio-{self.config.pin}"

    def open_with(self, initial: Mapping[str, Value]) -> None:
        pin = self.buses.pin(self.config.pin)
        with gpio_errors(self.config.pin):
            if pin.frequency is None:
                pin.output_with_state(False)  # low is what a servo takes for no pulse
        self._pin = pin
        self.write(initial)

    def write(self, values: Mapping[str, Value]) -> None:
        if self._pin is None:
            raise NotResponding("the pin is not open")
        angle, enabled = values.get("angle"), values.get("enabled")
        if isinstance(angle, int | Decimal):
            self._angle = float(angle)
        if isinstance(enabled, bool):
            self._enabled = enabled
        with gpio_errors(self.config.pin):
            if self._enabled:
                if self._pin.frequency is None:
                    self._pin.frequency = FREQUENCY_HZ
                self._pin.state = encode(self._angle, self._travel) / PERIOD_S
            else:
                self._pin.state = 0  # the period goes on without a pulse in it

    def read(self) -> Mapping[str, Any]:
        if self._pin is None:
            raise NotResponding("the pin is not open")
        with gpio_errors(self.config.pin):
            pulse = float(self._pin.state) * PERIOD_S
        angle = decode(pulse, self._travel)["angle"] if pulse else self._angle
        # Seconds to a share of the period and back lose the last bits; at an end they would leave the limits.
        return {"angle": round(angle, 6), "enabled": pulse > 0}

    def close(self) -> None:
        # The pin is let go of but not reset: what the servo holds up must not fall because a program was restarted.
        self._pin = None


DRIVERS = (Servo,)
