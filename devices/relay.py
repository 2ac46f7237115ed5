"""A relay, lamp, valve or any load that is on or off, on one GPIO pin.

Reference: Raspberry Pi documentation "GPIO and the 40-pin header" (BCM2711 ARM Peripherals, section 5, for levels);
no chip of its own.

Wiring: a relay *board* (transistor and flyback diode on it) between the pin and GND. Boards that switch on a low
level want `active_high = false`. A pin gives 16 mA at the most: never connect a coil or a mains load to it directly.
When the program has ended, or during boot, the pin floats: choose a board, or add a resistor (10 kΩ to the inactive
level), so that floating means off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from devices import base
from devices.base import FieldSpec, NotResponding, OutputDriver, ParameterSpec, Value, ValueType, Within
from devices.bus import Pin, gpio_errors


def decode(high: bool, active_high: bool) -> dict[str, bool]:
    """The electrical level to whether the load is on."""
    return {"output": high == active_high}


class Relay(OutputDriver):
    """Uses the pin itself, not a gpiozero device: those reset the pin to an input when they are collected."""

    NAMES = ("relay", "digital-output")
    TITLE = "Relay or any on/off load on a GPIO pin"
    DATASHEET = "Raspberry Pi documentation, GPIO and the 40-pin header"
    FIELDS = (FieldSpec("output", ValueType.BOOLEAN, description="true when the load is on"),)
    PARAMETERS = (ParameterSpec("output", label="Output", description="Switches the load on or off."),)
    STATES: ClassVar[Mapping[str, Mapping[str, Value]]] = {"off": {"output": False}, "on": {"output": True}}

    @dataclass(frozen=True, kw_only=True)
    class Config(base.Config):
        pin: Annotated[int, Within(0, 27)]
        active_high: bool = True

        def claims(self) -> frozenset[str]:
            return frozenset({f"gpio {self.pin}"})

    def __init__(self, config: Config, buses: Any) -> None:
        super().__init__(config, buses)
        self._pin: Pin | None = None

    @property
    def lane(self) -> str:
        return f"gpio-{self.config.pin}"

    def open_with(self, initial: Mapping[str, Value]) -> None:
        # One step in which the pin becomes an output *at* its level: no flip while starting.
        level = bool(initial["output"]) == self.config.active_high
        self._pin = self.buses.output_pin(self.config.pin, level)

    def write(self, values: Mapping[str, Value]) -> None:
        if self._pin is None:
            raise NotResponding("the pin is not open")
        with gpio_errors(self.config.pin):
            for value in values.values():
                self._pin.state = int(bool(value) == self.config.active_high)

    def read(self) -> Mapping[str, bool]:
        if self._pin is None:
            raise NotResponding("the pin is not open")
        with gpio_errors(self.config.pin):
            return decode(bool(self._pin.state), self.config.active_high)

    def close(self) -> None:
        # The pin is let go of but not reset: its safe level has to hold after us.
        self._pin = None


DRIVERS = (Relay,)
