"""NXP PCF8574 and PCF8574A: eight lines, each an input or an output, over I²C.

Datasheet: "PCF8574; PCF8574A Remote 8-bit I/O expander for I²C-bus with interrupt", NXP, Rev. 5 (27 May 2013).

Wiring: VDD to 3V3, VSS to GND, SCL to GPIO 3 (pin 5), SDA to GPIO 2 (pin 3). A2, A1, A0 count up from 0x20 (PCF8574) or
0x38 (PCF8574A). A line sinks 25 mA to GND but sources only 0.1 mA: connect a load between VDD and the line, so that
low is on, and leave `active_high` false. After power-up every line is high: such a load begins switched off.

There is no direction register (section 8.1): a line that was written high is held up so weakly that a contact to GND
pulls it low, and may so be read as an input. Lines that are neither in `outputs` nor in `inputs` are left high.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from devices import base
from devices.base import FieldSpec, InvalidValue, NotResponding, OutputDriver, ParameterSpec, Value, ValueType, Within
from devices.fake import SimulatedBuses

ALL_HIGH = 0xFF  # the port after power-up, section 8.1
LINES = range(8)


def decode(port: int, lines: tuple[int, ...], active_high: bool) -> dict[str, bool]:
    """The byte read from the port (section 8.3; P7 is the most significant bit) to whether each line is active."""
    return {f"p{line}": bool(port >> line & 1) == active_high for line in lines}


class PCF8574(OutputDriver):
    """All outputs change in one byte. A reading is what the pins carry, not what was written: a short shows."""

    NAMES = ("pcf8574", "pcf8574a")
    TITLE = "NXP PCF8574 or PCF8574A: eight digital inputs and outputs"
    DATASHEET = "NXP PCF8574; PCF8574A, Rev. 5, 27 May 2013"
    FIELDS = tuple(FieldSpec(f"p{line}", ValueType.BOOLEAN) for line in LINES)
    PARAMETERS = tuple(ParameterSpec(f"p{line}", label=f"Line {line}", group="lines") for line in LINES)
    STATES: ClassVar[Mapping[str, Mapping[str, Value]]] = {
        "off": {f"p{line}": False for line in LINES},
        "on": {f"p{line}": True for line in LINES},
    }

    @dataclass(frozen=True, kw_only=True)
    class Config(base.Config):
        address: Literal[
            0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x38, 0x39, 0x3A, 0x3B, 0x3C, 0x3D, 0x3E, 0x3F
        ] = 0x20  # fmt: skip
        bus: Annotated[int, Within(0, 31)] = 1
        outputs: tuple[Literal[0, 1, 2, 3, 4, 5, 6, 7], ...] = (0, 1, 2, 3, 4, 5, 6, 7)
        inputs: tuple[Literal[0, 1, 2, 3, 4, 5, 6, 7], ...] = ()
        active_high: bool = False  # of outputs and inputs: whether a high level is "true"

        def problems(self) -> Mapping[str, str]:
            found = {}
            for name, lines in (("outputs", self.outputs), ("inputs", self.inputs)):
                if len(set(lines)) != len(lines):
                    found[name] = "each line once"
            both = sorted(set(self.outputs) & set(self.inputs))
            if both:
                found.setdefault("inputs", f"lines that are no outputs ({', '.join(map(str, both))} cannot be both)")
            if not self.outputs and not self.inputs:
                found["outputs"] = "at least one line, or else inputs at least one"
            return found

        def claims(self) -> frozenset[str]:
            return frozenset({f"i2c {self.bus} 0x{self.address:02x}"})

    def __init__(self, config: Config, buses: Any) -> None:
        super().__init__(config, buses)
        self._port: int | None = None
        """The byte last taken by the chip; None while closed."""

    @property
    def lane(self) -> str:
        return f"i2c-{self.config.bus}"

    @property
    def fields(self) -> tuple[FieldSpec, ...]:
        used = (*((line, "output") for line in self.config.outputs), *((line, "input") for line in self.config.inputs))
        return tuple(
            FieldSpec(f"p{line}", ValueType.BOOLEAN, description=f"true when the {role} is active")
            for line, role in sorted(used)
        )

    @property
    def parameters(self) -> tuple[ParameterSpec, ...]:
        return tuple(
            ParameterSpec(
                f"p{line}", label=f"Line {line}", description=f"Switches output {line} on or off.", group="lines"
            )
            for line in self.config.outputs
        )

    @property
    def states(self) -> Mapping[str, Mapping[str, Value]]:
        return {
            "off": {f"p{line}": False for line in self.config.outputs},
            "on": {f"p{line}": True for line in self.config.outputs},
        }

    def open_with(self, initial: Mapping[str, Value]) -> None:
        # The port is never written before its first state is complete; an output without one begins inactive.
        self._send(self._with(ALL_HIGH, {**self.states["off"], **initial}))

    def write(self, values: Mapping[str, Value]) -> None:
        if self._port is None:
            raise NotResponding("the expander is not open")
        self._send(self._with(self._port, values))

    def read(self) -> Mapping[str, bool]:
        if self._port is None:
            raise NotResponding("the expander is not open")
        (port,) = self.buses.i2c(self.config.bus).read(self.config.address, 1)
        return decode(port, (*self.config.outputs, *self.config.inputs), self.config.active_high)

    def close(self) -> None:
        # Outputs keep their level: a safe state has to hold after us.
        self._port = None

    def _with(self, port: int, values: Mapping[str, Value]) -> int:
        for name, value in values.items():
            if name not in self.states["off"]:
                raise InvalidValue(f"{name} is not an output; outputs are {', '.join(self.states['off']) or 'none'}")
            bit = 1 << int(name[1:])
            port = port | bit if bool(value) == self.config.active_high else port & ~bit
        return port

    def _send(self, port: int) -> None:
        self.buses.i2c(self.config.bus).write(self.config.address, bytes([port]))
        self._port = port  # only now: a byte that was not acknowledged has changed nothing

    @staticmethod
    def fake(config: Config, buses: SimulatedBuses) -> FakePCF8574:
        chip = FakePCF8574()
        buses.fake_i2c(config.bus).attach(config.address, chip)
        return chip


class FakePCF8574:
    """The port: a byte of latches. `pulled_low` is what contacts to GND hold down, `written` every byte so far."""

    def __init__(self) -> None:
        self.port = ALL_HIGH
        self.pulled_low = 0
        self.written: list[int] = []

    def write(self, data: bytes) -> None:
        for value in data:
            self.port = value
            self.written.append(value)

    def read(self, count: int) -> bytes:
        return bytes([self.port & ~self.pulled_low & 0xFF]) * count


DRIVERS = (PCF8574,)
