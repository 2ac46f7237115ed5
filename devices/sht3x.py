"""Sensirion SHT3x (SHT30, SHT31, SHT35): temperature and relative humidity over I²C.

Datasheet: "Datasheet SHT3x-DIS, Humidity and Temperature Sensor", Sensirion, version 5 (May 2018).

Wiring: VIN to 3V3, GND, SCL to GPIO 3 (pin 5), SDA to GPIO 2 (pin 3). ADDR to GND selects 0x44, to VIN 0x45.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from devices import base
from devices.base import BadData, Driver, FieldSpec, NotResponding, Within
from devices.fake import SimulatedBuses

# Commands, section 4 (16 bits, most significant byte first)
MEASURE = {"low": 0x2416, "medium": 0x240B, "high": 0x2400}  # table 9: single shot, clock stretching off
BREAK = 0x3093  # section 4.8: ends the periodic mode that another program may have left running
SOFT_RESET = 0x30A2  # section 4.9
STATUS = 0xF32D  # table 17

# Longest measurement at the lowest supply voltage, section 2.2: the chip does not acknowledge before it has ended
MEASURE_S = {"low": 0.0045, "medium": 0.0065, "high": 0.0155}
BREAK_S = 0.001  # section 4.8: the chip needs 1 ms to become idle
RESET_S = 0.002  # section 2.2: soft reset time, at most 1.5 ms


def crc8(data: bytes) -> int:
    """Sensirion's checksum of one word, table 20: polynomial 0x31, initialised with 0xFF, nothing reflected."""
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x31 if crc & 0x80 else crc << 1) & 0xFF
    return crc


def words(data: bytes) -> list[int]:
    """The 16-bit words of an answer in which a checksum follows each. Raises BadData when one is wrong."""
    result = []
    for at in range(0, len(data), 3):
        word, check = data[at : at + 2], data[at + 2]
        if crc8(word) != check:
            raise BadData(
                f"checksum 0x{check:02x} does not fit the word 0x{word.hex()}: "
                "long or badly shielded wires, or another chip at the address"
            )
        result.append(int.from_bytes(word, "big"))
    return result


def with_checksums(*values: int) -> bytes:
    """What a chip sends for these words: the reverse of `words`."""
    pairs = [value.to_bytes(2, "big") for value in values]
    return b"".join(pair + bytes([crc8(pair)]) for pair in pairs)


def decode(data: bytes) -> dict[str, float]:
    """Six bytes (temperature, checksum, humidity, checksum) to °C and %RH by the formulas of section 4.13."""
    temperature, humidity = words(data)
    return {"temperature": -45.0 + 175.0 * temperature / 65535, "humidity": 100.0 * humidity / 65535}


class SHT3x(Driver):
    """One single shot per reading; between readings the chip sleeps."""

    NAMES = ("sht3x", "sht30", "sht31", "sht35")
    TITLE = "Sensirion SHT30, SHT31 or SHT35: temperature and humidity"
    DATASHEET = "Datasheet SHT3x-DIS, version 5, May 2018"
    FIELDS: ClassVar[tuple[FieldSpec, ...]] = (
        FieldSpec("temperature", unit="°C", decimals=2, minimum=-40, maximum=125, description="air temperature"),
        FieldSpec("humidity", unit="%RH", decimals=1, minimum=0, maximum=100, description="relative humidity"),
    )

    @dataclass(frozen=True, kw_only=True)
    class Config(base.Config):
        address: Literal[0x44, 0x45] = 0x44
        bus: Annotated[int, Within(0, 31)] = 1
        repeatability: Literal["low", "medium", "high"] = "high"

        def claims(self) -> frozenset[str]:
            return frozenset({f"i2c {self.bus} 0x{self.address:02x}"})

    @property
    def lane(self) -> str:
        return f"i2c-{self.config.bus}"

    def open(self) -> None:
        self._command(BREAK)
        time.sleep(BREAK_S)
        self._command(SOFT_RESET)
        time.sleep(RESET_S)
        bus = self.buses.i2c(self.config.bus)
        try:
            words(bus.write_read(self.config.address, STATUS.to_bytes(2, "big"), 3))
        except BadData as error:  # there is no chip id: a status word with its checksum is the proof
            raise NotResponding(
                f"what answers at 0x{self.config.address:02x} is no SHT3x ({error}); "
                'for an SHT4x write driver = "sht4x"'
            ) from error

    def read(self) -> Mapping[str, float]:
        self._command(MEASURE[self.config.repeatability])
        time.sleep(MEASURE_S[self.config.repeatability])
        return decode(self.buses.i2c(self.config.bus).read(self.config.address, 6))

    def _command(self, command: int) -> None:
        self.buses.i2c(self.config.bus).write(self.config.address, command.to_bytes(2, "big"))

    @staticmethod
    def fake(config: Config, buses: SimulatedBuses) -> FakeSHT3x:
        chip = FakeSHT3x()
        buses.fake_i2c(config.bus).attach(config.address, chip)
        return chip


class FakeSHT3x:
    """The commands above, and a world to measure: set `temperature` (°C) and `humidity` (%RH).

    Like the chip it does not acknowledge while it measures, nor a read when there is nothing to fetch. With
    `flipped_bit` one bit of every answer is wrong, counted from the first bit sent.
    """

    def __init__(self) -> None:
        self.temperature, self.humidity = 21.5, 45.0
        self.flipped_bit: int | None = None
        self.periodic = False
        self.commands: list[int] = []
        self._answer: bytes | None = None
        self._ready_at = 0.0

    def write(self, data: bytes) -> None:
        self._refuse_while_measuring()
        command = int.from_bytes(data, "big")
        self.commands.append(command)
        self._answer = None
        if command == BREAK:
            self.periodic = False
        elif command == STATUS:
            self._answer = with_checksums(0x8010)  # table 18: alert pending and reset detected
        elif command in MEASURE.values() and not self.periodic:
            level = next(name for name, code in MEASURE.items() if code == command)
            self._ready_at = time.monotonic() + MEASURE_S[level]
            self._answer = with_checksums(
                round((self.temperature + 45) / 175 * 65535), round(self.humidity / 100 * 65535)
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


DRIVERS = (SHT3x,)
