"""ROHM BH1750FVI: illuminance over I²C.

Datasheet: "BH1750FVI Digital 16bit Serial Output Type Ambient Light Sensor IC, Technical Note", 2009.04, Rev. B.

Wiring: VCC to 3V3, GND, SCL to GPIO 3 (pin 5), SDA to GPIO 2 (pin 3). ADDR to GND or open selects 0x23, to VCC 0x5c.

`sensitivity` is the measurement time register (31 to 254, usual 69): behind a window that lets half of the light
through, 138 gives true lux again; 31 reaches 120 000 lx in the sun, 254 resolves 0.1 lx in the dark.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from devices import base
from devices.base import BadData, Driver, FieldSpec, Within
from devices.fake import SimulatedBuses

# Opecodes, "Instruction Set Architecture"; each needs a stop condition of its own (page 10, 3)
POWER_DOWN = 0x00
POWER_ON = 0x01
ONE_TIME = {"low": 0x23, "high": 0x20, "high2": 0x21}  # the chip powers down by itself afterwards
TIME_HIGH = 0b01000_000  # and bits 7 to 5 of the measurement time register
TIME_LOW = 0b011_00000  # and bits 4 to 0

COUNTS_PER_LX = 1.2  # page 2, "Measurement Accuracy", typical, in the usual measurement time
USUAL_TIME = 69  # the measurement time register after power on, "Measurement result adjustment function"
TYPICAL_S = {"low": 0.016, "high": 0.120, "high2": 0.120}  # page 2, for the usual measurement time
LONGEST_S = {"low": 0.024, "high": 0.180, "high2": 0.180}  # page 2, likewise; it grows with the register
FULL = 0xFFFF


def decode(data: bytes, mode: str, sensitivity: int) -> dict[str, float]:
    """The two bytes of a result to lux (page 10, 4). Raises BadData when the counter is full: it may be any more."""
    count = int.from_bytes(data, "big")
    if count == FULL:
        raise BadData(f"too bright for sensitivity = {sensitivity}: choose a smaller one (31 to 254) or another mode")
    halves = 2 if mode == "high2" else 1  # in this mode the last bit counts half
    return {"illuminance": count / COUNTS_PER_LX * USUAL_TIME / sensitivity / halves}


class BH1750(Driver):
    """One measurement per reading. The sensitivity is told anew each time: a chip that lost power has forgotten it."""

    NAMES = ("bh1750", "bh1750fvi")
    TITLE = "ROHM BH1750FVI: illuminance"
    DATASHEET = "BH1750FVI Technical Note, 2009.04, Rev. B"
    FIELDS: ClassVar[tuple[FieldSpec, ...]] = (
        FieldSpec("illuminance", unit="lx", decimals=1, minimum=0, maximum=121556, description="ambient light"),
    )

    @dataclass(frozen=True, kw_only=True)
    class Config(base.Config):
        address: Literal[0x23, 0x5C] = 0x23
        bus: Annotated[int, Within(0, 31)] = 1
        mode: Literal["low", "high", "high2"] = "high"
        sensitivity: Annotated[int, Within(31, 254)] = USUAL_TIME

        def claims(self) -> frozenset[str]:
            return frozenset({f"i2c {self.bus} 0x{self.address:02x}"})

    @property
    def lane(self) -> str:
        return f"i2c-{self.config.bus}"

    def open(self) -> None:
        self._send(POWER_DOWN)  # there is no chip id: that it acknowledges is all that can be known

    def read(self) -> Mapping[str, float]:
        sensitivity = self.config.sensitivity
        self._send(POWER_ON)
        self._send(TIME_HIGH | sensitivity >> 5)
        self._send(TIME_LOW | sensitivity & 0x1F)
        self._send(ONE_TIME[self.config.mode])
        time.sleep(LONGEST_S[self.config.mode] * sensitivity / USUAL_TIME)
        data = self.buses.i2c(self.config.bus).read(self.config.address, 2)
        return decode(data, self.config.mode, sensitivity)

    def _send(self, opecode: int) -> None:
        self.buses.i2c(self.config.bus).write(self.config.address, bytes([opecode]))

    @staticmethod
    def fake(config: Config, buses: SimulatedBuses) -> FakeBH1750:
        chip = FakeBH1750()
        buses.fake_i2c(config.bus).attach(config.address, chip)
        return chip


class FakeBH1750:
    """The opecodes, and `illuminance` (lx) to measure. A result fetched before its time is the former one."""

    def __init__(self) -> None:
        self.illuminance = 320.0
        self.time_register = USUAL_TIME
        self.powered = False
        self._result = 0
        self._next = 0
        self._ready_at: float | None = None

    def write(self, data: bytes) -> None:
        opecode = data[0]  # a second one in the same transfer is not accepted (page 10)
        if opecode in (POWER_DOWN, POWER_ON):
            self.powered = opecode == POWER_ON
        elif opecode & 0b11111_000 == TIME_HIGH:
            self.time_register = self.time_register & 0x1F | (opecode & 0x07) << 5
        elif opecode & 0b111_00000 == TIME_LOW:
            self.time_register = self.time_register & 0xE0 | opecode & 0x1F
        elif self.powered and opecode in ONE_TIME.values():
            mode = next(name for name, code in ONE_TIME.items() if code == opecode)
            halves = 2 if mode == "high2" else 1
            count = self.illuminance * COUNTS_PER_LX * self.time_register / USUAL_TIME * halves
            self._next = min(FULL, round(count))
            self._ready_at = time.monotonic() + TYPICAL_S[mode] * self.time_register / USUAL_TIME
            self.powered = False

    def read(self, count: int) -> bytes:
        if self._ready_at is not None and time.monotonic() >= self._ready_at:
            self._result, self._ready_at = self._next, None
        return self._result.to_bytes(2, "big")[:count]


DRIVERS = (BH1750,)
