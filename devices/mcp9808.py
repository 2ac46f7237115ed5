"""Microchip MCP9808: temperature, ±0.25 °C typically, over I²C.

Datasheet: "MCP9808 ±0.5°C Maximum Accuracy Digital Temperature Sensor", Microchip DS25095A (October 2011).

Wiring: VDD to 3V3, GND, SCL to GPIO 3 (pin 5), SDA to GPIO 2 (pin 3). A2, A1, A0 count up from 0x18.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from devices import base
from devices.base import Driver, FieldSpec, NotResponding, Within
from devices.fake import SimulatedBuses, WordChip

# Registers, section 5.1
CONFIGURATION = 0x01
UPPER, LOWER, CRITICAL = 0x02, 0x03, 0x04  # limits of the Alert output
TEMPERATURE = 0x05
MANUFACTURER = 0x06
DEVICE = 0x07
RESOLUTION = 0x08  # the only one with 8 bits

MICROCHIP = 0x0054  # section 5.1.4
MCP9808_ID = 0x04  # section 5.1.5: the upper byte; the lower is the revision of the chip
SHUTDOWN = 0x0100  # in CONFIGURATION
RESOLUTION_BITS = {"0.5": 0, "0.25": 1, "0.125": 2, "0.0625": 3}
# Section 5.2.4, "Temperature Conversion Time"; the figures are typical ones, no longest is given: a third is added
CONVERSION_S = {"0.5": 0.030, "0.25": 0.065, "0.125": 0.130, "0.0625": 0.250}
MARGIN = 1.33


def decode(data: bytes) -> dict[str, float]:
    """The ambient temperature register to °C, section 5.1.3: 13 bits, two's complement, 0.0625 °C each.

    The upper three bits compare with the limits of the Alert output; they are no part of the number. (Equation 5-1
    prints 256 - T below zero where T - 256 is right; the text of the section says two's complement, and so it is.)
    """
    steps = int.from_bytes(data, "big") & 0x1FFF
    return {"temperature": (steps - 0x2000 if steps & 0x1000 else steps) * 0.0625}


class MCP9808(Driver):
    """It converts by itself, four times a second or more. The Alert output and its limits are left as they are."""

    NAMES = ("mcp9808",)
    TITLE = "Microchip MCP9808: temperature"
    DATASHEET = "Microchip DS25095A, October 2011"
    FIELDS: ClassVar[tuple[FieldSpec, ...]] = (
        FieldSpec("temperature", unit="°C", decimals=2, minimum=-40, maximum=125, description="of the part"),
    )

    @dataclass(frozen=True, kw_only=True)
    class Config(base.Config):
        address: Literal[0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F] = 0x18
        bus: Annotated[int, Within(0, 31)] = 1
        resolution: Literal["0.5", "0.25", "0.125", "0.0625"] = "0.0625"  # °C

        def claims(self) -> frozenset[str]:
            return frozenset({f"i2c {self.bus} 0x{self.address:02x}"})

    @property
    def lane(self) -> str:
        return f"i2c-{self.config.bus}"

    def open(self) -> None:
        maker, device = self._read(MANUFACTURER), self._read(DEVICE)
        if int.from_bytes(maker, "big") != MICROCHIP or device[0] != MCP9808_ID:
            raise NotResponding(
                f"0x{self.config.address:02x} answers with manufacturer id 0x{maker.hex()} and "
                f"device id 0x{device.hex()}, which is no MCP9808"
            )
        self._write(RESOLUTION, bytes([RESOLUTION_BITS[self.config.resolution]]))
        configuration = int.from_bytes(self._read(CONFIGURATION), "big")
        if configuration & SHUTDOWN:
            self._write(CONFIGURATION, (configuration & ~SHUTDOWN).to_bytes(2, "big"))
        time.sleep(CONVERSION_S[self.config.resolution] * MARGIN)  # until then the register holds 0 °C

    def read(self) -> Mapping[str, float]:
        return decode(self._read(TEMPERATURE))

    def _read(self, register: int) -> bytes:
        return self.buses.i2c(self.config.bus).write_read(self.config.address, bytes([register]), 2)

    def _write(self, register: int, value: bytes) -> None:
        self.buses.i2c(self.config.bus).write(self.config.address, bytes([register]) + value)

    @staticmethod
    def fake(config: Config, buses: SimulatedBuses) -> FakeMCP9808:
        chip = FakeMCP9808()
        buses.fake_i2c(config.bus).attach(config.address, chip)
        return chip


class FakeMCP9808(WordChip):
    """The registers, and `temperature` (°C) to measure, which is compared with the limits as the chip does it."""

    def __init__(self) -> None:
        super().__init__()
        self.temperature = 21.5
        self.words = {MANUFACTURER: MICROCHIP, DEVICE: MCP9808_ID << 8, RESOLUTION: 3 << 8}

    def on_write(self, register: int, value: int) -> None:
        if register in (CONFIGURATION, UPPER, LOWER, CRITICAL, RESOLUTION):
            self.words[register] = value

    def on_read(self, register: int) -> None:
        if register != TEMPERATURE or self.words.get(CONFIGURATION, 0) & SHUTDOWN:
            return
        coarse = 3 - (self.words[RESOLUTION] >> 8 & 3)  # how many of the last bits stay 0 (register 5-4, note 2)
        steps = round(self.temperature / 0.0625) >> coarse << coarse
        flags = (
            (steps >= self._limit(CRITICAL)) << 15
            | (steps > self._limit(UPPER)) << 14
            | (steps < self._limit(LOWER)) << 13
        )
        self.words[TEMPERATURE] = flags | steps & 0x1FFF

    def _limit(self, register: int) -> int:
        steps = self.words.get(register, 0) & 0x1FFC
        return steps - 0x2000 if steps & 0x1000 else steps


DRIVERS = (MCP9808,)
