"""LM75 (and the many parts that copy its registers) and TMP102: temperature over I²C.

Datasheets: "LM75B, LM75C Digital Temperature Sensor and Thermal Watchdog With Two-Wire Interface", Texas Instruments
SNIS153B (July 2009, revised March 2013); "TMP102 Low-Power Digital Temperature Sensor", Texas Instruments SBOS397C
(August 2007, revised October 2012).

Wiring: +VS to 3V3, GND, SCL to GPIO 3 (pin 5), SDA to GPIO 2 (pin 3). LM75: A2, A1, A0 count up from 0x48.
TMP102: ADD0 to GND selects 0x48, to V+ 0x49, to SDA 0x4a, to SCL 0x4b.

An LM75 starts its conversion anew whenever it is read (SNIS153B page 4, note 5): read it no more than three times a
second, or it reports the same value for ever. Both share their first two registers, so they stand in one file.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from devices import base
from devices.base import Driver, FieldSpec, NotResponding, Within
from devices.fake import SimulatedBuses, WordChip

# Registers: SNIS153B page 11; SBOS397C has the same at 0 and 1, the latter with 16 bits
TEMPERATURE = 0x00
CONFIGURATION = 0x01

# LM75 configuration, SNIS153B page 11 (8 bits)
LM75_ZEROS = 0b1110_0000  # always read 0: there is no chip id
LM75_SHUTDOWN = 0b0000_0001
LM75_CONVERSION_S = 0.3  # page 4: at most 300 ms

# TMP102 configuration, SBOS397C table 7 (16 bits)
ONE_SHOT = 0x8000  # written: start; read: 0 while converting
RESOLUTION = 0x6000  # read-only, always 11: there is no chip id
SHUTDOWN = 0x0100
RATE_4_HZ = 0x0080
ALERT = 0x0020
TMP102_CONVERSION_S = 0.035  # the longest; one that runs when the chip is shut down is first brought to its end
TMP102_STEP_S = 0.005  # waiting for a conversion
TMP102_ATTEMPTS = 12  # × TMP102_STEP_S; a conversion typically takes 26 ms (SBOS397C page 9)


def decode(data: bytes, bits: int) -> dict[str, float]:
    """The temperature register to °C: two's complement, left-justified, 9 bits of 0.5 °C or 12 of 0.0625 °C.

    The bits below are undefined in an LM75 and 0 in a TMP102, whose extended mode (13 bits) is not used.
    """
    word = int.from_bytes(data, "big", signed=True)
    return {"temperature": (word >> (16 - bits)) * 128 / (1 << (bits - 1))}


class LM75(Driver):
    """It converts by itself, ten times a second. Its thermostat output and limits are left as they are."""

    NAMES = ("lm75",)
    TITLE = "LM75: temperature in steps of 0.5 °C"
    DATASHEET = "Texas Instruments SNIS153B, March 2013"
    FIELDS: ClassVar[tuple[FieldSpec, ...]] = (
        FieldSpec("temperature", unit="°C", decimals=1, minimum=-55, maximum=125, description="of the part"),
    )

    @dataclass(frozen=True, kw_only=True)
    class Config(base.Config):
        address: Literal[0x48, 0x49, 0x4A, 0x4B, 0x4C, 0x4D, 0x4E, 0x4F] = 0x48
        bus: Annotated[int, Within(0, 31)] = 1

        def claims(self) -> frozenset[str]:
            return frozenset({f"i2c {self.bus} 0x{self.address:02x}"})

    @property
    def lane(self) -> str:
        return f"i2c-{self.config.bus}"

    def open(self) -> None:
        bus = self.buses.i2c(self.config.bus)
        (configuration,) = bus.write_read(self.config.address, bytes([CONFIGURATION]), 1)
        if configuration & LM75_ZEROS:
            raise NotResponding(
                f"0x{self.config.address:02x} answers with the configuration 0x{configuration:02x}, which no LM75 has"
                + ('; for a TMP102 write driver = "tmp102"' if configuration & 0x60 == 0x60 else "")
            )
        if configuration & LM75_SHUTDOWN:
            bus.write(self.config.address, bytes([CONFIGURATION, configuration & ~LM75_SHUTDOWN]))
        time.sleep(LM75_CONVERSION_S)  # the register holds no measurement before the first conversion has ended

    def read(self) -> Mapping[str, float]:
        bus = self.buses.i2c(self.config.bus)
        return decode(bus.write_read(self.config.address, bytes([TEMPERATURE]), 2), 9)

    @staticmethod
    def fake(config: Config, buses: SimulatedBuses) -> FakeLM75:
        chip = FakeLM75()
        buses.fake_i2c(config.bus).attach(config.address, chip)
        return chip


class TMP102(Driver):
    """One conversion is started per reading; between readings the chip is shut down. ALERT is not used."""

    NAMES = ("tmp102",)
    TITLE = "Texas Instruments TMP102: temperature in steps of 0.0625 °C"
    DATASHEET = "Texas Instruments SBOS397C, October 2012"
    FIELDS: ClassVar[tuple[FieldSpec, ...]] = (
        FieldSpec("temperature", unit="°C", decimals=2, minimum=-55, maximum=128, description="of the part"),
    )

    @dataclass(frozen=True, kw_only=True)
    class Config(base.Config):
        address: Literal[0x48, 0x49, 0x4A, 0x4B] = 0x48
        bus: Annotated[int, Within(0, 31)] = 1

        def claims(self) -> frozenset[str]:
            return frozenset({f"i2c {self.bus} 0x{self.address:02x}"})

    @property
    def lane(self) -> str:
        return f"i2c-{self.config.bus}"

    def open(self) -> None:
        configuration = self._configuration()
        if configuration & RESOLUTION != RESOLUTION:
            raise NotResponding(
                f"0x{self.config.address:02x} answers with the configuration 0x{configuration:04x}, "
                'which no TMP102 has; for an LM75 write driver = "lm75"'
            )
        self._shut_down()

    def read(self) -> Mapping[str, float]:
        if not self._configuration() & SHUTDOWN:  # it lost its power meanwhile
            self._shut_down()
        self._configure(ONE_SHOT | RESOLUTION | SHUTDOWN | RATE_4_HZ)
        for _ in range(TMP102_ATTEMPTS):
            time.sleep(TMP102_STEP_S)
            if self._configuration() & ONE_SHOT:
                return decode(self._read(TEMPERATURE), 12)
        raise NotResponding(f"the conversion did not end within {TMP102_ATTEMPTS * TMP102_STEP_S * 1000:.0f} ms")

    def _read(self, register: int) -> bytes:
        return self.buses.i2c(self.config.bus).write_read(self.config.address, bytes([register]), 2)

    def _shut_down(self) -> None:
        self._configure(RESOLUTION | SHUTDOWN | RATE_4_HZ)  # a single conversion can only be started from here
        time.sleep(TMP102_CONVERSION_S)

    def _configuration(self) -> int:
        return int.from_bytes(self._read(CONFIGURATION), "big")

    def _configure(self, word: int) -> None:
        self.buses.i2c(self.config.bus).write(self.config.address, bytes([CONFIGURATION, *word.to_bytes(2, "big")]))

    @staticmethod
    def fake(config: Config, buses: SimulatedBuses) -> FakeTMP102:
        chip = FakeTMP102()
        buses.fake_i2c(config.bus).attach(config.address, chip)
        return chip


class FakeLM75(WordChip):
    """The registers, and `temperature` (°C) to measure. The undefined low bits of a result are set."""

    def __init__(self) -> None:
        super().__init__()
        self.temperature = 21.5

    def on_read(self, register: int) -> None:
        if register == TEMPERATURE and not self.words.get(CONFIGURATION, 0) >> 8 & LM75_SHUTDOWN:
            self.words[TEMPERATURE] = (round(self.temperature / 0.5) << 7 | 0x7F) & 0xFFFF


class FakeTMP102(WordChip):
    """The registers, and `temperature` (°C) to measure; a conversion lasts `busy_reads` looks at the configuration."""

    def __init__(self) -> None:
        super().__init__()
        self.temperature = 21.5
        self.busy_reads = 1
        self._busy = 0
        self.words[CONFIGURATION] = RESOLUTION | RATE_4_HZ | ALERT  # table 7: after power-up

    def on_write(self, register: int, value: int) -> None:
        if register != CONFIGURATION:
            return
        if self.words[CONFIGURATION] & SHUTDOWN and value & ONE_SHOT:
            self._busy = self.busy_reads
            steps = round(self.temperature / 0.0625)
            self.words[TEMPERATURE] = max(-0x800, min(0x7FF, steps)) << 4 & 0xFFFF
        self.words[CONFIGURATION] = value & ~ONE_SHOT | RESOLUTION | ALERT

    def on_read(self, register: int) -> None:
        if register == CONFIGURATION:
            idle = self.words[CONFIGURATION] & SHUTDOWN and not self._busy
            self.words[CONFIGURATION] = self.words[CONFIGURATION] & ~ONE_SHOT | (ONE_SHOT if idle else 0)
            self._busy = max(0, self._busy - 1)


DRIVERS = (LM75, TMP102)
