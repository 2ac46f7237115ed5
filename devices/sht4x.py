"""Sensirion SHT4x (SHT40, SHT41, SHT45): temperature and relative humidity over I²C.

Datasheet: "SHT4x, 4th Generation, High-Accuracy, Ultra-Low-Power, 16-bit Relative Humidity and Temperature Sensor
Platform", Sensirion, version 7.1. Sections are cited by their headings.

Wiring: VIN to 3V3, GND, SCL to GPIO 3 (pin 5), SDA to GPIO 2 (pin 3). The address is part of the order number:
SHT4x-A is 0x44, SHT4x-B 0x45, SHT4x-C 0x46; it cannot be changed by wiring.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from devices import base
from devices.base import BadData, Driver, FieldSpec, NotResponding, Within
from devices.fake import SimulatedBuses
from devices.sht3x import with_checksums, words  # the family shares one checksum ("Checksum Calculation")

# Commands, "Command Overview" (8 bits)
MEASURE = {"low": 0xE0, "medium": 0xF6, "high": 0xFD}
SERIAL_NUMBER = 0x89
SOFT_RESET = 0x94

# Longest measurement, "Timings" (the longest of all versions): the chip does not acknowledge before it has ended
MEASURE_S = {"low": 0.0017, "medium": 0.0045, "high": 0.0083}
RESET_S = 0.001  # "Timings": soft reset time, at most 1 ms
SERIAL_NUMBER_S = 0.01  # no figure is given for this command: ten times the reset's


def decode(data: bytes) -> dict[str, float]:
    """Six bytes (temperature, checksum, humidity, checksum) to °C and %RH by "Conversion of Signal Output".

    The humidity word reaches from -6 to 119 %RH; as that section advises, what is beyond 0 and 100 is cropped.
    """
    temperature, humidity = words(data)
    return {
        "temperature": -45.0 + 175.0 * temperature / 65535,
        "humidity": min(100.0, max(0.0, -6.0 + 125.0 * humidity / 65535)),
    }


class SHT4x(Driver):
    """One measurement per reading, without the heater; between readings the chip sleeps."""

    NAMES = ("sht4x", "sht40", "sht41", "sht45")
    TITLE = "Sensirion SHT40, SHT41 or SHT45: temperature and humidity"
    DATASHEET = "SHT4x, 4th Generation Relative Humidity and Temperature Sensor Platform, version 7.1"
    FIELDS: ClassVar[tuple[FieldSpec, ...]] = (
        FieldSpec("temperature", unit="°C", decimals=2, minimum=-40, maximum=125, description="air temperature"),
        FieldSpec("humidity", unit="%RH", decimals=1, minimum=0, maximum=100, description="relative humidity"),
    )

    @dataclass(frozen=True, kw_only=True)
    class Config(base.Config):
        address: Literal[0x44, 0x45, 0x46] = 0x44
        bus: Annotated[int, Within(0, 31)] = 1
        precision: Literal["low", "medium", "high"] = "high"

        def claims(self) -> frozenset[str]:
            return frozenset({f"i2c {self.bus} 0x{self.address:02x}"})

    def __init__(self, config: Config, buses: Any) -> None:
        super().__init__(config, buses)
        self.serial_number: int | None = None
        """32 bits, unique to the chip; known once it is open."""

    @property
    def lane(self) -> str:
        return f"i2c-{self.config.bus}"

    def open(self) -> None:
        self._command(SOFT_RESET)
        time.sleep(RESET_S)
        self._command(SERIAL_NUMBER)
        time.sleep(SERIAL_NUMBER_S)
        try:
            high, low = words(self._fetch())
        except BadData as error:  # there is no chip id: a serial number with its checksums is the proof
            raise NotResponding(
                f"what answers at 0x{self.config.address:02x} is no SHT4x ({error}); "
                'for an SHT3x write driver = "sht3x"'
            ) from error
        self.serial_number = high << 16 | low

    def read(self) -> Mapping[str, float]:
        self._command(MEASURE[self.config.precision])
        time.sleep(MEASURE_S[self.config.precision])
        return decode(self._fetch())

    def _command(self, command: int) -> None:
        self.buses.i2c(self.config.bus).write(self.config.address, bytes([command]))

    def _fetch(self) -> bytes:
        return self.buses.i2c(self.config.bus).read(self.config.address, 6)

    @staticmethod
    def fake(config: Config, buses: SimulatedBuses) -> FakeSHT4x:
        chip = FakeSHT4x()
        buses.fake_i2c(config.bus).attach(config.address, chip)
        return chip


class FakeSHT4x:
    """The commands above, and a world to measure: set `temperature` (°C) and `humidity` (%RH, from -6 to 119).

    Like the chip it does not acknowledge while it measures, nor a read when there is nothing to fetch. With
    `flipped_bit` one bit of every answer is wrong, counted from the first bit sent.
    """

    def __init__(self) -> None:
        self.temperature, self.humidity = 21.5, 45.0
        self.serial_number = 0x0F11_BEEF
        self.flipped_bit: int | None = None
        self.commands: list[int] = []
        self._answer: bytes | None = None
        self._ready_at = 0.0

    def write(self, data: bytes) -> None:
        self._refuse_while_measuring()
        command = data[0]
        self.commands.append(command)
        self._answer = None
        if command == SERIAL_NUMBER:
            self._answer = with_checksums(self.serial_number >> 16, self.serial_number & 0xFFFF)
        elif command in MEASURE.values():
            level = next(name for name, code in MEASURE.items() if code == command)
            self._ready_at = time.monotonic() + MEASURE_S[level]
            self._answer = with_checksums(
                round((self.temperature + 45) / 175 * 65535), round((self.humidity + 6) / 125 * 65535)
            )

    def read(self, count: int) -> bytes:
        self._refuse_while_measuring()
        if self._answer is None:
            raise OSError(errno.EREMOTEIO, os.strerror(errno.EREMOTEIO))
        answer, self._answer = bytearray(self._answer.ljust(count, b"\xff")[:count]), None
        if self.flipped_bit is not None and self.flipped_bit < 8 * count:
            answer[self.flipped_bit // 8] ^= 0x80 >> self.flipped_bit % 8
        return bytes(answer)

    def _refuse_while_measuring(self) -> None:
        if time.monotonic() < self._ready_at:
            raise OSError(errno.EREMOTEIO, os.strerror(errno.EREMOTEIO))


DRIVERS = (SHT4x,)
