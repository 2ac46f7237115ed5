"""A push button on one GPIO pin: presses, long presses, and when it was last pressed.

Reference: Raspberry Pi documentation "GPIO and the 40-pin header"; no chip of its own.

Wiring: the button between the pin and GND with `pull = "up"` (the Pi's own resistor, about 50 kΩ; on GPIO 2 and 3 a
soldered 1.8 kΩ), or between the pin and 3V3 with `pull = "down"`. On long wires add 1 kΩ in series and 100 nF.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from devices import base
from devices.base import Duration, FieldSpec, ValueType, Within
from devices.bus import Pin
from devices.digital_input import DEBOUNCE, EdgeInput
from devices.fake import SimulatedBuses

HOLD = Duration(1)  # what most people mean by a long press


def decode(high: bool, pull: str) -> dict[str, bool]:
    """The electrical level to whether the button is pressed: it connects the pin to the other side of its pull."""
    return {"pressed": high == (pull == "down")}


class Presses:
    """Counts presses and holds. Knows no clock: every method is told the time.

    released --press--> pressed --hold_time--> held (counted once) --release--> released
                        pressed --release----> released
    """

    def __init__(self, hold_time: float) -> None:
        self.pressed = False
        self.presses = 0
        self.holds = 0
        self.last_press: dt.datetime | None = None
        self.hold_due: float | None = None
        self._hold_time = hold_time

    def begin(self, pressed: bool) -> None:
        """The state at the start: a button found pressed was not pressed now."""
        self.pressed, self.hold_due = pressed, None

    def change(self, pressed: bool, now: float, wall: dt.datetime) -> None:
        """The button went down or up at `now`, which is `wall` on the calendar."""
        self.tick(now)
        self.pressed = pressed
        self.hold_due = now + self._hold_time if pressed else None
        if pressed:
            self.presses += 1
            self.last_press = wall

    def tick(self, now: float) -> bool:
        """Whether the press has just become a long one."""
        if self.hold_due is None or now < self.hold_due:
            return False
        self.hold_due = None
        self.holds += 1
        return True


def _wall_clock() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Button(EdgeInput):
    """See the top of the file. Counters go on over a close and open of the same object."""

    NAMES = ("button",)
    TITLE = "Push button on a GPIO pin, with long presses"
    DATASHEET = "Raspberry Pi documentation, GPIO and the 40-pin header"
    FIELDS: ClassVar[tuple[FieldSpec, ...]] = (
        FieldSpec("pressed", ValueType.BOOLEAN, description="true while the button is down"),
        FieldSpec("presses", ValueType.LONG, category="status", description="presses since the start"),
        FieldSpec("holds", ValueType.LONG, category="status", description="long presses since the start"),
        FieldSpec("last_press", ValueType.DATETIME, category="status", description="when it last went down"),
    )

    @dataclass(frozen=True, kw_only=True)
    class Config(base.Config):
        pin: Annotated[int, Within(0, 27)]
        pull: Literal["up", "down"] = "up"
        hold_time: Annotated[Duration, Within(0.1, 60, "s")] = HOLD
        debounce: Annotated[Duration, Within(0, 1, "s")] = DEBOUNCE

        def claims(self) -> frozenset[str]:
            return frozenset({f"gpio {self.pin}"})

    def __init__(
        self,
        config: Config,
        buses: Any,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], dt.datetime] = _wall_clock,
    ) -> None:
        super().__init__(config, buses, clock)
        self._wall = wall
        self._presses = Presses(config.hold_time)

    def _on_open(self, high: bool) -> None:
        self._presses.begin(decode(high, self.config.pull)["pressed"])

    def _on_level(self, high: bool, now: float) -> None:
        self._presses.change(decode(high, self.config.pull)["pressed"], now, self._wall())

    def _on_time(self, now: float) -> bool:
        return self._presses.tick(now)

    def _next_time(self) -> float | None:
        return self._presses.hold_due

    def _values(self) -> Mapping[str, Any]:
        p = self._presses
        values: dict[str, Any] = {"pressed": p.pressed, "presses": p.presses, "holds": p.holds}
        if p.last_press is not None:
            values["last_press"] = p.last_press
        return values

    @staticmethod
    def fake(config: Config, buses: SimulatedBuses) -> Pin:
        return buses.pin(config.pin)  # press it with devices.fake.drive


DRIVERS = (Button,)
