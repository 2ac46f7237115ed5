"""A switch, door contact, motion detector or any signal that is on or off, on one GPIO pin.

Reference: Raspberry Pi documentation "GPIO and the 40-pin header"; no chip of its own.

Wiring: a contact between the pin and GND with `pull = "up"` and `active_high = false`, or between the pin and 3V3 with
`pull = "down"`. Never more than 3.3 V on a pin: divide a 5 V signal, and use an optocoupler for anything beyond.

A level counts when it has held for `debounce`: shorter spikes and the chatter of a contact are not seen at all.
"""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from devices import base
from devices.base import Driver, Duration, FieldSpec, NotResponding, ValueType, Within
from devices.bus import Pin, gpio_errors
from devices.fake import SimulatedBuses

DEBOUNCE = Duration(0.02)  # contacts of switches chatter for 1 ms to 10 ms; twice that is not noticed by a hand
STOP_S = 1.0  # for the watching thread to see that it should end; it holds nothing for longer than a read


def decode(high: bool, active_high: bool) -> dict[str, bool]:
    """The electrical level to whether the signal is on."""
    return {"input": high == active_high}


class Debounce:
    """The level that has held for `settle` seconds. Knows no clock: every method is told the time.

    raw == level              quiet
    raw != level              settling until `due`; an edge back ends it, `tick` at or after `due` accepts it
    """

    def __init__(self, level: bool, settle: float) -> None:
        self.level = level
        self._settle = settle
        self._raw = level
        self._since = 0.0

    def edge(self, level: bool, now: float) -> None:
        """The pin is at `level`; repeating what is known changes nothing."""
        if level != self._raw:
            self._raw, self._since = level, now

    def tick(self, now: float) -> bool:
        """Whether `level` has just changed."""
        due = self.due
        if due is None or now < due:
            return False
        self.level = self._raw
        return True

    @property
    def due(self) -> float | None:
        """When `tick` should be called; None while nothing is settling."""
        return None if self._raw == self.level else self._since + self._settle


class EdgeInput(Driver):
    """An input whose settled changes are events. Subclasses say what an event means; all of it under one lock."""

    def __init__(self, config: Any, buses: Any, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(config, buses)
        self._clock = clock
        self._wake = threading.Condition()
        self._pin: Pin | None = None
        self._debounce = Debounce(False, 0.0)
        self._thread: threading.Thread | None = None

    @property
    def lane(self) -> str:
        return f"gpio-{self.config.pin}"

    @abstractmethod
    def _on_level(self, high: bool, now: float) -> None:
        """The settled level has changed."""

    def _on_time(self, now: float) -> bool:
        """Whether the time alone has made an event."""
        return False

    def _next_time(self) -> float | None:
        """When `_on_time` should be called."""
        return None

    def _on_open(self, high: bool) -> None:
        """The level at the start, which is no event."""

    @abstractmethod
    def _values(self) -> Mapping[str, Any]:
        """The fields as they are now."""

    def open(self) -> None:
        self.close()
        pin = self.buses.input_pin(self.config.pin, self.config.pull)
        with gpio_errors(self.config.pin):
            high = bool(pin.state)
            with self._wake:
                self._debounce = Debounce(high, self.config.debounce)
                self._on_open(high)
                self._pin = pin
            pin.when_changed = self._edge
        self._thread = threading.Thread(target=self._watch, name=self.lane, daemon=True)
        self._thread.start()

    def read(self) -> Mapping[str, Any]:
        with self._wake:
            if self._pin is None:
                raise NotResponding("the pin is not open")
            # The level itself is asked too: an edge that got lost is made good here.
            with gpio_errors(self.config.pin):
                self._debounce.edge(bool(self._pin.state), self._clock())
            self._advance()
            self._wake.notify_all()
            return self._values()

    def close(self) -> None:
        with self._wake:
            pin, self._pin = self._pin, None
            self._wake.notify_all()
        if pin is not None:
            self.buses.silence(pin)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(STOP_S)
        self._thread = None

    def _edge(self, ticks: float, state: int) -> None:
        # Ticks are the kernel's and opaque; settling is counted by our own clock, a callback's delay does not matter.
        with self._wake:
            self._debounce.edge(bool(state), self._clock())
            happened = self._pin is not None and self._advance()
            self._wake.notify_all()
        if happened:
            self.notify()

    def _watch(self) -> None:
        while True:
            with self._wake:
                if self._pin is None:
                    return
                happened = self._advance()
                if not happened:
                    due = [t for t in (self._debounce.due, self._next_time()) if t is not None]
                    self._wake.wait(max(0.0, min(due) - self._clock()) if due else None)
            if happened:
                self.notify()

    def _advance(self) -> bool:
        now = self._clock()
        changed = self._debounce.tick(now)
        if changed:
            self._on_level(self._debounce.level, now)
        return self._on_time(now) or changed


class DigitalInput(EdgeInput):
    """See the top of the file."""

    NAMES = ("digital-input",)
    TITLE = "Contact, detector or any on/off signal on a GPIO pin"
    DATASHEET = "Raspberry Pi documentation, GPIO and the 40-pin header"
    FIELDS: ClassVar[tuple[FieldSpec, ...]] = (
        FieldSpec("input", ValueType.BOOLEAN, description="true when the signal is on"),
        FieldSpec("changes", ValueType.LONG, category="status", description="changes of the input since the start"),
    )

    @dataclass(frozen=True, kw_only=True)
    class Config(base.Config):
        pin: Annotated[int, Within(0, 27)]
        pull: Literal["up", "down", "none"] = "none"
        active_high: bool = True
        debounce: Annotated[Duration, Within(0, 10, "s")] = DEBOUNCE

        def claims(self) -> frozenset[str]:
            return frozenset({f"gpio {self.pin}"})

    def __init__(self, config: Config, buses: Any, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(config, buses, clock)
        self._changes = 0

    def _on_level(self, high: bool, now: float) -> None:
        self._changes += 1

    def _values(self) -> Mapping[str, Any]:
        return {**decode(self._debounce.level, self.config.active_high), "changes": self._changes}

    @staticmethod
    def fake(config: Config, buses: SimulatedBuses) -> Pin:
        return buses.pin(config.pin)  # turn it with devices.fake.drive


DRIVERS = (DigitalInput,)
