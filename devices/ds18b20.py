"""Maxim DS18B20 and its relatives (DS18S20, DS1822, DS1825, DS28EA00): temperature over 1-Wire.

Datasheet: "DS18B20 Programmable Resolution 1-Wire Digital Thermometer", 19-7487 Rev 6 (July 2019).
The wire itself is the kernel's: Linux, Documentation/w1/slaves/w1_therm.rst.

Wiring: VDD to 3V3, GND, DQ to GPIO 4 (pin 7), 4.7 kΩ from DQ to 3V3; `dtoverlay=w1-gpio` in config.txt. Many sensors
share the wire; `ls /sys/bus/w1/devices` shows their serial numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from devices import base
from devices.base import BadData, BusUnavailable, Driver, FieldSpec, Matches, NotResponding
from devices.fake import SimulatedBuses

FAMILIES = ("10", "22", "28", "3b", "42")  # what w1_therm reads
SERIAL = rf"(?:{'|'.join(FAMILIES)})-[0-9a-f]{{12}}"
SERIAL_MEANING = 'the serial number as the kernel writes it, like "28-0316a4be59ff"'

POWER_ON_C = 85.0  # what the register holds until the first conversion (table 1, footnote)
UNTOUCHED = 0x0C  # scratchpad byte 6 until the first conversion: reserved in the datasheet, the kernel tests it too

_BYTES = re.compile(r"^((?:[0-9a-f]{2} ){9}): crc=([0-9a-f]{2}) (YES|NO)$", re.M)
_MILLIDEGREES = re.compile(r"t=(-?\d+)\s*$")


def decode(text: str) -> dict[str, float]:
    """The kernel's file `w1_slave` to °C. Raises BadData when the checksum was wrong or the text is another."""
    head, value = _BYTES.search(text), _MILLIDEGREES.search(text)
    if head is None or value is None:
        raise BadData(f"the kernel's answer is not understood: {text[:80]!r}")
    if head[3] != "YES":
        raise BadData("the checksum of the 1-Wire answer is wrong: check the wire's length and the 4.7 kΩ resistor")
    return {"temperature": int(value[1]) / 1000.0}


def never_converted(text: str) -> bool:
    """Whether the scratchpad in the file says that no conversion has been made since power came."""
    head = _BYTES.search(text)
    return head is not None and bytes.fromhex(head[1])[6] == UNTOUCHED


class DS18B20(Driver):
    """Reading the kernel's file makes a conversion: up to 750 ms at 12 bits (table 2)."""

    NAMES = ("ds18b20", "ds18s20", "ds1822", "ds1825")
    TITLE = "Maxim DS18B20 (or DS18S20, DS1822, DS1825): temperature over 1-Wire"
    DATASHEET = "19-7487 Rev 6, July 2019"
    FIELDS: ClassVar[tuple[FieldSpec, ...]] = (
        FieldSpec("temperature", unit="°C", decimals=2, minimum=-55, maximum=125, description="at the sensor"),
    )

    @dataclass(frozen=True, kw_only=True)
    class Config(base.Config):
        serial: Annotated[str, Matches(SERIAL, SERIAL_MEANING)]

        def claims(self) -> frozenset[str]:
            return frozenset({f"1-wire {self.serial}"})

    @property
    def lane(self) -> str:
        return "1-wire"

    def open(self) -> None:
        self._file()

    def read(self) -> Mapping[str, float]:
        text = self._text()
        values = decode(text)
        if values["temperature"] != POWER_ON_C:
            return values
        # True, or the value after power came; a second reading of the same sensor decides.
        again = self._text()
        if decode(again) != values:
            raise BadData("85 °C was the value after power came, not a measurement: the sensor's supply is unsteady")
        if never_converted(again):
            raise BadData("85 °C twice without a conversion: the sensor gets too little power; check VDD and 4.7 kΩ")
        return values

    def _file(self) -> Path:
        folder: Path = self.buses.one_wire()
        file: Path = folder / self.config.serial / "w1_slave"
        if not file.exists():
            there = sorted(f.name for f in folder.iterdir() if re.fullmatch(SERIAL, f.name))
            known = ", ".join(there) if there else "none at all: check DQ and the 4.7 kΩ resistor"
            raise NotResponding(f"no sensor {self.config.serial} on the 1-Wire bus; there: {known}")
        return file

    def _text(self) -> str:
        try:
            text = self._file().read_text()
        except PermissionError as error:
            raise BusUnavailable(f"{error.filename} may not be read") from None
        except OSError as error:
            raise NotResponding(f"{self.config.serial} went away while it was read: {error.strerror}") from error
        if not text.strip():
            raise NotResponding(f"{self.config.serial} does not answer on the 1-Wire bus")
        return text

    @staticmethod
    def fake(config: Config, buses: SimulatedBuses) -> FakeDS18B20:
        return FakeDS18B20(buses.one_wire() / config.serial)


class FakeDS18B20:
    """The slave's folder, as the kernel makes it; `set` writes what the next readings find."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plug()

    def plug(self, celsius: float = 21.5) -> None:
        self.folder.mkdir(exist_ok=True)
        self.set(celsius)

    def unplug(self) -> None:
        for file in self.folder.iterdir():
            file.unlink()
        self.folder.rmdir()

    def set(self, celsius: float, crc: str = "YES", converted: bool = True) -> None:
        raw = round(celsius * 16) & 0xFFFF
        pad = bytes([raw & 0xFF, raw >> 8, 0x4B, 0x46, 0x7F, 0xFF, 0x10 - raw % 16 if converted else UNTOUCHED, 0x10])
        line = " ".join(f"{byte:02x}" for byte in [*pad, crc8(pad)])
        signed = raw - 0x10000 if raw & 0x8000 else raw
        millidegrees = int(signed * 1000 / 16)  # towards zero, as C divides
        text = f"{line} : crc={crc8(pad):02x} {crc}\n{line} t={millidegrees}\n"
        (self.folder / "w1_slave").write_text(text)


def crc8(data: bytes) -> int:
    """The checksum of the datasheet's figure "CRC generator": x^8 + x^5 + x^4 + 1, least significant bit first."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8C if crc & 1 else 0)
    return crc


DRIVERS = (DS18B20,)
