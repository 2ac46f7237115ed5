"""When a reading is worth publishing: on change beyond the dead band, and at least every interval.

Sans-IO: moments are seconds of a monotonic clock. What changes by itself all the time (a number without a dead band)
waits for the interval; what people act on (a switch, a text, whatever can be controlled) goes out at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from devices.base import Value
from hub.things.thing import Thing


class Pacer:
    """One thing's. `change` holds dead bands by field, in the field's unit; 0 means any change."""

    def __init__(self, interval: float, change: Mapping[str, float]) -> None:
        self.interval = interval
        self._change = {name: Decimal(str(band)) for name, band in change.items()}
        self._values: dict[str, Value] = {}
        self._trouble: str | None = None
        self._published: float | None = None

    def due(self, thing: Thing, now: float) -> bool:
        """Whether the thing as it is now should be published; the caller then does so and calls `published`."""
        trouble = thing.trouble.text if thing.trouble else None
        if trouble != self._trouble or self._published is None:
            return thing.measured is not None or trouble is not None
        if trouble is not None and not thing.values:
            return False
        return now - self._published >= self.interval or any(
            self._moved(thing, name, value) for name, value in thing.values.items()
        )

    def published(self, thing: Thing, now: float) -> None:
        self._values = dict(thing.values)
        self._trouble = thing.trouble.text if thing.trouble else None
        self._published = now

    def renew(self) -> None:
        """Have the next reading published whatever it is."""
        self._published = None

    def _moved(self, thing: Thing, name: str, value: Value) -> bool:
        before = self._values.get(name)
        if before is None or value == before:
            return before is None
        is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
        if is_number and name in self._change:
            # A field keeps its type: what was published before is a number too.
            return abs(Decimal(value) - Decimal(before)) >= self._change[name]  # type: ignore[arg-type]  # numbers
        return not is_number or name in thing.parameters
