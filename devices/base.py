"""What a driver is: its declared fields and parameters, its life, and the ways it can fail.

Rules of this file
* Standard library only; nothing here touches hardware, XMPP, threads or clocks.
* A driver blocks. It is always called from one thread at a time, off the event loop, by `hub.things.sampler`
  or by `python -m devices`. A driver that raises anything but `DeviceError` has a bug.
* What a driver measures is declared (`FieldSpec`), what it can be told is declared (`ParameterSpec`); both are
  plain data so that forms, tables and schemas are made from them without asking the chip.
"""

from __future__ import annotations

import datetime as dt
import enum
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from devices.bus import Buses

# --------------------------------------------------------------------------- errors


class DeviceError(Exception):
    """Root of everything a driver may raise. The text is shown to people: it says what happened and what to do.

    DeviceError
    ├── BusUnavailable   the bus, pin or file does not exist or is switched off
    ├── NotResponding    the chip did not acknowledge or answer in time
    │   └── NotHeard     a part that speaks by itself has not for too long; it stays open, to hear it when it does
    ├── BadData          an answer came, but its checksum or content is wrong
    └── InvalidValue     the caller asked for a value outside the declared limits
    """


class BusUnavailable(DeviceError):
    """The bus, pin or file does not exist, is switched off, or is not ours to open."""


class NotResponding(DeviceError):
    """The chip did not acknowledge its address, or did not answer in time."""


class NotHeard(NotResponding):
    """A part that speaks by itself has not done so for too long. Closing it would make us deaf: it stays open."""


class BadData(DeviceError):
    """An answer came, but its checksum is wrong or it cannot be true."""


class InvalidValue(DeviceError, ValueError):
    """A value for a parameter or setting is of the wrong type or outside its limits."""


# --------------------------------------------------------------------------- values and what describes them

Value = bool | int | Decimal | str | dt.datetime | dt.date | dt.time | dt.timedelta
"""A value as the hub handles it. Numbers with decimals are `Decimal`, so that 21.50 stays 21.50."""


class ValueType(enum.Enum):
    """The types a field or parameter can have; the names are those of XML Schema where one exists."""

    BOOLEAN = "boolean"
    COLOR = "color"  # parameters only: RRGGBB or RRGGBBAA
    DATE = "date"
    DATETIME = "dateTime"
    DURATION = "duration"
    ENUM = "enum"
    INT = "int"  # signed, 32 bits
    LONG = "long"  # signed, 64 bits
    NUMERIC = "numeric"  # decimal number, with unit
    STRING = "string"
    TIME = "time"


PYTHON_TYPES: Mapping[ValueType, type[Any]] = {
    ValueType.BOOLEAN: bool,
    ValueType.COLOR: str,
    ValueType.DATE: dt.date,
    ValueType.DATETIME: dt.datetime,
    ValueType.DURATION: dt.timedelta,
    ValueType.ENUM: str,
    ValueType.INT: int,
    ValueType.LONG: int,
    ValueType.NUMERIC: Decimal,
    ValueType.STRING: str,
    ValueType.TIME: dt.time,
}

_BITS = {ValueType.INT: 31, ValueType.LONG: 63}
_COLOR = re.compile(r"[0-9a-fA-F]{6}(?:[0-9a-fA-F]{2})?")


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One thing a driver measures.

    `decimals` is the resolution that is meaningful (digits after the point), `minimum` and `maximum` what the
    part can report, in `unit`. `category` is one of momentary, status, identity, computed, peak.
    `data_type` names the value set of an ENUM field.
    """

    name: str
    type: ValueType = ValueType.NUMERIC
    unit: str = ""
    decimals: int = 0
    minimum: float | None = None
    maximum: float | None = None
    category: str = "momentary"
    data_type: str = ""
    description: str = ""

    def value(self, raw: Any) -> Value:
        """The measured `raw` as a `Value` of this field's type, rounded half-even to `decimals`.

        Raises BadData when it is not of the type, not a number, or outside what the part can report.
        """
        if self.type is ValueType.NUMERIC:
            if isinstance(raw, bool) or not isinstance(raw, int | float | Decimal):
                raise BadData(f"{self.name}: expected a number, got {raw!r}")
            try:
                value = Decimal(raw).quantize(Decimal(1).scaleb(-self.decimals))
            except InvalidOperation:
                raise BadData(f"{self.name}: {raw!r} is not a measurable number") from None
            if not self._reportable(value):
                raise BadData(
                    f"{self.name}: {value} {self.unit} is outside what the part can report "
                    f"({self.minimum} to {self.maximum} {self.unit})"
                )
            return value + 0  # turns -0.0 into 0.0
        return coerce(self.name, self.type, raw, BadData)

    def _reportable(self, value: Decimal) -> bool:
        return value.is_finite() and not (
            (self.minimum is not None and value < Decimal(str(self.minimum)))
            or (self.maximum is not None and value > Decimal(str(self.maximum)))
        )


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """One thing a driver can be told. A tuple of these is in the order in which they should be sent.

    `minimum`, `maximum` are inclusive and in `unit`; `options` closes a STRING to a list; `group` names
    parameters that belong together; `field` is the field that reads the value back (default: the same name).
    """

    name: str
    type: ValueType = ValueType.BOOLEAN
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    options: tuple[str, ...] = ()
    label: str = ""
    description: str = ""
    group: str = ""
    field: str = ""

    @property
    def read_back(self) -> str:
        return self.field or self.name

    def check(self, value: Any) -> Value:
        """`value` as this parameter's type, if it is allowed. Raises InvalidValue, saying what would be right."""
        checked = coerce(self.name, self.type, value, InvalidValue)
        if isinstance(checked, int | Decimal) and not isinstance(checked, bool):
            self._check_range(checked)
        if self.options and checked not in self.options:
            raise InvalidValue(f"{self.name}: {checked!r} is not one of {', '.join(self.options)}")
        return checked

    def _check_range(self, value: int | Decimal) -> None:
        low, high = self.minimum, self.maximum
        if (low is not None and value < Decimal(str(low))) or (high is not None and value > Decimal(str(high))):
            raise InvalidValue(f"{self.name}: {value} is outside {self.limits()}")

    def limits(self) -> str:
        """The allowed values in words: `0 to 100 %`, `one of a, b`, `true or false`."""
        if self.options:
            return "one of " + ", ".join(self.options)
        if self.type is ValueType.BOOLEAN:
            return "true or false"
        unit = f" {self.unit}" if self.unit else ""
        if self.minimum is not None and self.maximum is not None:
            return f"{self.minimum:g} to {self.maximum:g}{unit}"
        if self.minimum is not None:
            return f"at least {self.minimum:g}{unit}"
        if self.maximum is not None:
            return f"at most {self.maximum:g}{unit}"
        return f"a {self.type.value}{unit and ' in' + unit}"


def coerce(name: str, type_: ValueType, raw: Any, error: type[DeviceError]) -> Value:
    """`raw` as a value of `type_` where nothing is lost by it; raises `error` otherwise.

    An int is a valid number with decimals; nothing else changes its type: a true is not a 1.
    """
    wanted: type[Any] = PYTHON_TYPES[type_]
    if wanted is Decimal and isinstance(raw, int | float) and not isinstance(raw, bool):
        raw = Decimal(str(raw))
    if type(raw) is not wanted:
        raise error(f"{name}: expected {type_.value}, got {raw!r}")
    if type_ in _BITS and not -(1 << _BITS[type_]) <= raw < (1 << _BITS[type_]):
        raise error(f"{name}: {raw} does not fit {type_.value} ({_BITS[type_] + 1} bits, signed)")
    if wanted is Decimal and not raw.is_finite():
        raise error(f"{name}: {raw} is not a number")
    if type_ is ValueType.COLOR and not _COLOR.fullmatch(raw):
        raise error(f"{name}: {raw!r} is not a colour; write RRGGBB or RRGGBBAA in hexadecimal")
    value: Value = raw
    return value


# --------------------------------------------------------------------------- settings


class Duration(float):
    """Seconds, written in configuration with units: `200ms`, `30s`, `5m`, `1h30m`, `7d`."""

    _UNITS: ClassVar[Mapping[str, float]] = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    PATTERN: ClassVar[str] = r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d))+"
    LONGEST_S: ClassVar[float] = 10 * 365 * 86400.0

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Raises ValueError when `text` is no duration with units."""
        if not re.fullmatch(cls.PATTERN, text):
            raise ValueError('a duration with its unit, like "200ms", "30s", "5m" or "1h30m"')
        parts = re.findall(r"([0-9.]+)(ms|s|m|h|d)", text)
        seconds = sum(float(number) * cls._UNITS[unit] for number, unit in parts)
        if seconds > cls.LONGEST_S:
            raise ValueError("a duration of at most ten years")
        return cls(seconds)

    def __str__(self) -> str:
        if self < 1:
            return f"{self * 1000:g}ms"
        for unit in ("d", "h", "m"):
            if self >= self._UNITS[unit] and self % self._UNITS[unit] == 0:
                return f"{self / self._UNITS[unit]:g}{unit}"
        return f"{float(self):g}s"


@dataclass(frozen=True, slots=True)
class Within:
    """Limits of a number in a driver's Config: `duty: Annotated[float, Within(0, 100, "%")] = 0`. Inclusive."""

    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Matches:
    """The form of a text in a driver's Config: a regular expression and how to say it to a person."""

    pattern: str
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Config:
    """Base of every driver's settings: a frozen dataclass whose fields are the keys of `[things.NAME]`.

    `problems` names settings that contradict each other: by the key to mend, what would be right.
    """

    def problems(self) -> Mapping[str, str]:
        return {}

    def claims(self) -> frozenset[str]:
        """What only one thing may hold: `gpio 17`, `i2c 1 0x76`. Two things with a common claim are refused."""
        return frozenset()


# --------------------------------------------------------------------------- drivers


class Driver(ABC):
    """One chip or pin role. Subclasses stand in one file with their registers, decode and fake.

    Life: construct (touches nothing), `open` (claims, probes, configures), `read` as often as asked, `close`.
    After a DeviceError from `open` or `read`, but for NotHeard, the hub calls `close` and, later, `open` again on the
    same object.
    """

    NAMES: ClassVar[tuple[str, ...]]
    """Names in the configuration, the preferred first."""
    TITLE: ClassVar[str]
    """The part in words: maker, number, what it is."""
    DATASHEET: ClassVar[str]
    """Title and revision of the document the driver was written from."""
    Config: ClassVar[type[Config]]
    FIELDS: ClassVar[tuple[FieldSpec, ...]] = ()
    INTERVAL: ClassVar[float] = 10.0
    """Seconds between readings when the configuration names none."""
    def __init__(self, config: Any, buses: Buses) -> None:
        self.config = config
        self.buses = buses
        self.notify: Callable[[], None] = _nobody
        """Called, from any thread, when something changed and `read` should be called soon."""
        self.measured: dt.datetime | None = None
        """When what `read` returns was measured, in UTC, for a part that measures when it wants; None: just now."""

    @staticmethod
    def fake(config: Any, buses: Any) -> Any:
        """Put the part's stand-in on `SimulatedBuses` and return it; None where the simulated bus is enough."""
        return None

    @property
    def fields(self) -> tuple[FieldSpec, ...]:
        return self.FIELDS

    @property
    @abstractmethod
    def lane(self) -> str:
        """What the driver occupies while it works (`i2c-1`): calls in one lane are made one after the other."""

    @abstractmethod
    def open(self) -> None:
        """Claim and configure the part. Raises DeviceError."""

    @abstractmethod
    def read(self) -> Mapping[str, Any]:
        """Raw values by field name; a field left out is reported missing. Raises DeviceError."""

    def close(self) -> None:  # noqa: B027  # optional: most chips hold nothing that must be given back
        """Give back what `open` claimed. Never raises; may be called twice."""


class OutputDriver(Driver):
    """A driver that acts on the world. It never decides a state by itself: boot and safe states come from the hub.

    `open_with` claims the output *in* the given state, without passing through another one on the way.
    """

    PARAMETERS: ClassVar[tuple[ParameterSpec, ...]]
    STATES: ClassVar[Mapping[str, Mapping[str, Value]]]
    """What `on` and `off` mean, as parameter values."""

    @property
    def parameters(self) -> tuple[ParameterSpec, ...]:
        return self.PARAMETERS

    @property
    def states(self) -> Mapping[str, Mapping[str, Value]]:
        return self.STATES

    @abstractmethod
    def open_with(self, initial: Mapping[str, Value]) -> None:
        """Claim the output so that its first state is `initial`. Raises DeviceError."""

    @abstractmethod
    def write(self, values: Mapping[str, Value]) -> None:
        """Apply checked values in their order. Raises DeviceError when the part did not take them."""

    def open(self) -> None:
        self.open_with(self.states["off"])


def _nobody() -> None:
    return None
