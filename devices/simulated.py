"""A part that exists only in software. The demo and most tests run on it, and it is a way to try a configuration.

    kind = "sine" | "random-walk" | "square" | "counter"    one number, named by `field`
    kind = "lamp"                                           a dimmable lamp: fade_time, brightness, on
    kind = "types"                                          one field and one parameter of every type there is

Faults on demand: `fault = "missing" | "error" | "slow" | "hang"`, in the configuration (a reload switches it on and off
while the hub runs) or by setting the driver's `fault` from a test.
"""

from __future__ import annotations

import datetime as dt
import math
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from devices import base
from devices.base import (
    BadData,
    Duration,
    FieldSpec,
    NotResponding,
    OutputDriver,
    ParameterSpec,
    Value,
    ValueType,
    Within,
)

SLOW_S = 1.0
LAMP_POWER_W = 9.0
MINUTE = Duration(60)

LAMP_FIELDS = (
    FieldSpec("brightness", ValueType.INT, minimum=0, maximum=100, description="set point in percent"),
    FieldSpec("on", ValueType.BOOLEAN, description="whether the lamp is switched on"),
    FieldSpec("fade_time", ValueType.INT, category="status", description="milliseconds a change takes"),
    FieldSpec("power", unit="W", decimals=2, minimum=0, maximum=LAMP_POWER_W, category="computed"),
)
LAMP_PARAMETERS = (
    ParameterSpec("fade_time", ValueType.INT, "ms", 0, 4095, label="Fade time", group="light",
                  description="Time a change of brightness takes."),
    ParameterSpec("brightness", ValueType.INT, "%", 0, 100, label="Brightness", group="light",
                  description="Light level."),
    ParameterSpec("on", ValueType.BOOLEAN, label="Switch", description="Switches the lamp on or off."),
)  # fmt: skip

_EPOCH = dt.datetime(2026, 1, 1, 8, 0, tzinfo=dt.UTC)
TYPES_INITIAL: Mapping[str, Value] = {
    "boolean": True,
    "color": "3399FF",
    "date": _EPOCH.date(),
    "dateTime": _EPOCH,
    "double": Decimal("21.50"),
    "duration": dt.timedelta(minutes=3, seconds=30),
    "enum": "auto",
    "int": 7,
    "long": 5_000_000_000,
    "string": "hello",
    "time": dt.time(8, 0),
}
TYPES_FIELDS = (
    FieldSpec("boolean", ValueType.BOOLEAN),
    FieldSpec("color", ValueType.STRING, description="RRGGBB: there is no field type for colours"),
    FieldSpec("date", ValueType.DATE),
    FieldSpec("dateTime", ValueType.DATETIME),
    FieldSpec("double", ValueType.NUMERIC, unit="°C", decimals=2),
    FieldSpec("duration", ValueType.DURATION),
    FieldSpec("enum", ValueType.ENUM, data_type="Mode"),
    FieldSpec("int", ValueType.INT),
    FieldSpec("long", ValueType.LONG),
    FieldSpec("string", ValueType.STRING, category="identity"),
    FieldSpec("time", ValueType.TIME),
    FieldSpec("changes", ValueType.LONG, category="status", description="writes since the start"),
    FieldSpec("peak", ValueType.NUMERIC, unit="°C", decimals=2, category="peak"),
)
TYPES_PARAMETERS = (
    ParameterSpec("boolean", ValueType.BOOLEAN),
    ParameterSpec("color", ValueType.COLOR),
    ParameterSpec("date", ValueType.DATE),
    ParameterSpec("dateTime", ValueType.DATETIME),
    ParameterSpec("double", ValueType.NUMERIC, "°C", -40, 85),
    ParameterSpec("duration", ValueType.DURATION),
    ParameterSpec("enum", ValueType.STRING, options=("off", "auto", "on")),
    ParameterSpec("int", ValueType.INT, minimum=-100, maximum=100),
    ParameterSpec("long", ValueType.LONG),
    ParameterSpec("string", ValueType.STRING),
    ParameterSpec("time", ValueType.TIME),
)


class Simulated(OutputDriver):
    """See the top of the file. A kind without parameters has none to control."""

    NAMES = ("simulated",)
    TITLE = "Simulated part: sine, random walk, square, counter, dimmable lamp, every type"
    DATASHEET = "this file"
    INTERVAL = 1.0
    PARAMETERS = ()
    STATES: ClassVar[Mapping[str, Mapping[str, Value]]] = {"off": {}, "on": {}}

    @dataclass(frozen=True, kw_only=True)
    class Config(base.Config):
        kind: Literal["sine", "random-walk", "square", "counter", "lamp", "types"] = "sine"
        field: str = "value"
        unit: str = ""
        minimum: float = 0.0
        maximum: float = 100.0
        decimals: Annotated[int, Within(0, 9)] = 2
        period: Duration = MINUTE
        seed: int = 0
        fault: Literal["none", "missing", "error", "slow", "hang"] = "none"

        def problems(self) -> Mapping[str, str]:
            if self.minimum >= self.maximum:
                return {"minimum": f"a number below maximum ({self.maximum:g})"}
            if self.period <= 0:
                return {"period": "longer than nothing"}
            return {}

    def __init__(self, config: Config, buses: Any) -> None:
        super().__init__(config, buses)
        self.fault: str = config.fault
        self.released = threading.Event()
        """Set it to let a hanging read go on."""
        self._random = random.Random(config.seed)
        self._count = 0
        self._position = 0.5
        self._state: dict[str, Value] = {}
        self._began = time.monotonic()
        if config.kind not in ("lamp", "types"):
            self._fields: tuple[FieldSpec, ...] = (
                FieldSpec(config.field, ValueType.LONG)
                if config.kind == "counter"
                else FieldSpec(config.field, unit=config.unit, decimals=config.decimals,
                               minimum=config.minimum, maximum=config.maximum),
            )  # fmt: skip
        else:
            self._fields = LAMP_FIELDS if config.kind == "lamp" else TYPES_FIELDS

    @property
    def fields(self) -> tuple[FieldSpec, ...]:
        return self._fields

    @property
    def parameters(self) -> tuple[ParameterSpec, ...]:
        return {"lamp": LAMP_PARAMETERS, "types": TYPES_PARAMETERS}.get(self.config.kind, ())

    @property
    def states(self) -> Mapping[str, Mapping[str, Value]]:
        if self.config.kind == "lamp":
            return {"off": {"on": False}, "on": {"brightness": 100, "on": True}}
        if self.config.kind == "types":
            return {"off": {"boolean": False}, "on": {"boolean": True}}
        return self.STATES

    @property
    def lane(self) -> str:
        return f"simulated-{id(self)}"

    def open_with(self, initial: Mapping[str, Value]) -> None:
        self._fail()
        defaults: Mapping[str, Value] = {
            "lamp": {"fade_time": 300, "brightness": 100, "on": False},
            "types": TYPES_INITIAL,
        }.get(self.config.kind, {})
        self._state = {**defaults, **initial}

    def write(self, values: Mapping[str, Value]) -> None:
        self._fail()
        self._state.update(values)
        self._count += 1

    def read(self) -> Mapping[str, Any]:
        self._fail()
        if self.config.kind == "lamp":
            level = int(self._state["brightness"]) if self._state["on"] else 0  # type: ignore[arg-type]  # an INT parameter
            return {**self._state, "power": LAMP_POWER_W * level / 100}
        if self.config.kind == "types":
            return {**self._state, "changes": self._count, "peak": Decimal("25.90")}
        return {self.config.field: self._wave(time.monotonic() - self._began)}

    def _wave(self, seconds: float) -> float | int:
        if self.config.kind == "counter":
            self._count += 1
            return self._count
        phase = seconds / self.config.period
        if self.config.kind == "sine":
            height = 0.5 + 0.5 * math.sin(2 * math.pi * phase)
        elif self.config.kind == "square":
            height = float(phase % 1 < 0.5)
        else:
            self._position = min(1.0, max(0.0, self._position + self._random.uniform(-0.02, 0.02)))
            height = self._position
        low, high = self.config.minimum, self.config.maximum
        return float(low + height * (high - low))

    def _fail(self) -> None:
        if self.fault == "missing":
            raise NotResponding("simulated fault: the part does not answer")
        if self.fault == "error":
            raise BadData("simulated fault: the checksum is wrong")
        if self.fault == "slow":
            self.released.wait(SLOW_S)
        if self.fault == "hang":
            self.released.wait()


DRIVERS = (Simulated,)
