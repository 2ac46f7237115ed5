"""Texas Instruments INA219: voltage, current and power of a direct-current load, over I²C.

Datasheet: "INA219 Zerø-Drift, Bidirectional Current/Power Monitor With I²C Interface", Texas Instruments SBOS448G
(August 2008, revised December 2015).

Wiring: VS to 3V3, GND, SCL to GPIO 3 (pin 5), SDA to GPIO 2 (pin 3). VIN+ to the supply (26 V at the most), VIN- to the
load: the current that flows from + to - counts positive. A0 and A1 select 0x40 to 0x4f.

The usual board has a shunt of 0.1 Ω, good for 3.2 A. With another one, set `shunt_ohms` and `max_amperes`: their
product is the voltage over the shunt, 0.32 V at the most.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

from devices import base
from devices.base import BadData, Driver, FieldSpec, NotResponding, Within
from devices.fake import SimulatedBuses, WordChip

# Registers, section 8.6.1
CONFIGURATION = 0x00
SHUNT = 0x01  # 10 µV each, two's complement
BUS = 0x02  # bits 15 to 3: 4 mV each; CNVR, OVF
POWER = 0x03
CURRENT = 0x04
CALIBRATION = 0x05

# CONFIGURATION, section 8.6.2.1
RESET = 0x8000
AFTER_RESET = 0x399F
RANGE_32_V = 0x2000
PGA = ((0.04, 0x0000), (0.08, 0x0800), (0.16, 0x1000), (0.32, 0x1800))  # ± volts over the shunt
TRIGGERED = 0x0003  # shunt and bus, once
SAMPLE_BITS = {1: 0x8, 2: 0x9, 4: 0xA, 8: 0xB, 16: 0xC, 32: 0xD, 64: 0xE, 128: 0xF}  # 12 bits; table 5

CONVERSION_READY = 0x0002  # in BUS, section 8.6.3.2
OVERFLOW = 0x0001
SAMPLE_S = 0.000_586  # section 7.5: one 12-bit conversion, longest
ATTEMPTS = 10  # looks at CONVERSION_READY after the time of both conversions, a tenth of that time apart


def calibration(shunt_ohms: float, max_amperes: float) -> int:
    """The calibration word, equations 1 and 2 of section 8.5.1: the finest one that still holds `max_amperes`.

    Its last bit cannot be set (section 8.6.4.1).
    """
    return min(0xFFFE, int(0.04096 / (max_amperes / 32768 * shunt_ohms)) & 0xFFFE)


def amperes_per_bit(word: int, shunt_ohms: float) -> float:
    """What one bit of the current register stands for with this calibration word: equation 1, turned round."""
    return 0.04096 / (word * shunt_ohms)


def decode(shunt: int, bus: int, current: int, current_lsb: float, range_volts: float) -> dict[str, float]:
    """The three 16-bit registers to V, mV, A and W.

    Raises BadData when the chip reports an overflow, or when the shunt voltage is at the end of its range (±40 to
    ±320 mV, as set): the output clips there, and the current may be any amount more.

    Power is the product of current and bus voltage. The chip's own power register holds the same number in steps
    twenty times as coarse, and its description (section 8.6.3.3) gives it no sign for a current that flows back.
    """
    if bus & OVERFLOW or abs(_signed(shunt)) >= round(range_volts * 100_000):
        raise BadData("the current is beyond what max_amperes allows: raise it, or take a shunt of less resistance")
    volts, amperes = (bus >> 3) * 0.004, _signed(current) * current_lsb
    return {
        "voltage": volts,
        "shunt_voltage": _signed(shunt) * 0.01,
        "current": amperes,
        "power": volts * amperes,
    }


def _signed(word: int) -> int:
    return word - 0x10000 if word & 0x8000 else word


class INA219(Driver):
    """One triggered conversion per reading. The calibration is written each time: a chip that lost power meanwhile
    has forgotten it, and would report a current of 0 A without a sign of trouble."""

    NAMES = ("ina219",)
    TITLE = "Texas Instruments INA219: voltage, current, power"
    DATASHEET = "Texas Instruments SBOS448G, December 2015"
    FIELDS: ClassVar[tuple[FieldSpec, ...]] = (
        FieldSpec("voltage", unit="V", decimals=3, minimum=0, maximum=32.764, description="at the load"),
        FieldSpec("shunt_voltage", unit="mV", decimals=2, minimum=-320, maximum=320, category="status"),
        FieldSpec("current", unit="A", decimals=4, description="into the load; negative: out of it"),
        FieldSpec("power", unit="W", decimals=3, category="computed", description="current times voltage"),
    )

    @dataclass(frozen=True, kw_only=True)
    class Config(base.Config):
        address: Literal[
            0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x4B, 0x4C, 0x4D, 0x4E, 0x4F
        ] = 0x40  # fmt: skip
        bus: Annotated[int, Within(0, 31)] = 1
        shunt_ohms: Annotated[float, Within(0.0001, 100, "Ω")] = 0.1
        max_amperes: Annotated[float, Within(0.001, 1000, "A")] = 3.2
        samples: Literal[1, 2, 4, 8, 16, 32, 64, 128] = 1  # averaged by the chip

        def problems(self) -> Mapping[str, str]:
            largest = PGA[-1][0] / self.shunt_ohms
            if self.max_amperes <= largest * (1 + 1e-9):
                return {}
            return {"max_amperes": f"at most {largest:g} A with shunt_ohms = {self.shunt_ohms:g}: that drops 0.32 V"}

        def claims(self) -> frozenset[str]:
            return frozenset({f"i2c {self.bus} 0x{self.address:02x}"})

    def __init__(self, config: Config, buses: Any) -> None:
        super().__init__(config, buses)
        self._calibration = calibration(config.shunt_ohms, config.max_amperes)
        volts = config.shunt_ohms * config.max_amperes / (1 + 1e-9)
        self._range, pga = next((step for step in PGA if volts <= step[0]), PGA[-1])
        average = SAMPLE_BITS[config.samples]
        self._trigger = RANGE_32_V | pga | average << 7 | average << 3 | TRIGGERED

    @property
    def lane(self) -> str:
        return f"i2c-{self.config.bus}"

    @property
    def fields(self) -> tuple[FieldSpec, ...]:
        amperes = 0.32 / self.config.shunt_ohms
        limits = {"current": amperes, "power": amperes * 32.764}
        return tuple(
            replace(spec, minimum=-limits[spec.name], maximum=limits[spec.name]) if spec.name in limits else spec
            for spec in self.FIELDS
        )

    def open(self) -> None:
        self._write(CONFIGURATION, RESET)
        configuration = self._read(CONFIGURATION)
        if configuration != AFTER_RESET:  # there is no chip id: the configuration after a reset is the proof
            raise NotResponding(
                f"0x{self.config.address:02x} answers a reset with the configuration 0x{configuration:04x}, "
                f"an INA219 with 0x{AFTER_RESET:04x}"
            )

    def read(self) -> Mapping[str, float]:
        self._write(CALIBRATION, self._calibration)
        self._write(CONFIGURATION, self._trigger)
        conversions = 2 * SAMPLE_S * self.config.samples  # the shunt, then the bus
        time.sleep(conversions)
        for _ in range(ATTEMPTS):
            bus = self._read(BUS)
            if bus & CONVERSION_READY:
                lsb = amperes_per_bit(self._calibration, self.config.shunt_ohms)
                return decode(self._read(SHUNT), bus, self._read(CURRENT), lsb, self._range)
            time.sleep(conversions / 10)
        raise NotResponding(f"the conversion did not end within {conversions * 2000:.0f} ms")

    def _read(self, register: int) -> int:
        data = self.buses.i2c(self.config.bus).write_read(self.config.address, bytes([register]), 2)
        return int.from_bytes(data, "big")

    def _write(self, register: int, value: int) -> None:
        self.buses.i2c(self.config.bus).write(self.config.address, bytes([register, *value.to_bytes(2, "big")]))

    @staticmethod
    def fake(config: Config, buses: SimulatedBuses) -> FakeINA219:
        chip = FakeINA219(config.shunt_ohms)
        buses.fake_i2c(config.bus).attach(config.address, chip)
        return chip


class FakeINA219(WordChip):
    """The registers and their arithmetic (section 8.5.2), around a load: set `volts` and `amperes`."""

    def __init__(self, shunt_ohms: float) -> None:
        super().__init__()
        self.shunt_ohms = shunt_ohms
        self.volts, self.amperes = 5.0, 0.01 / shunt_ohms
        self.busy_reads = 1
        self._busy = 0
        self._power_up()

    def on_write(self, register: int, value: int) -> None:
        if register == CONFIGURATION and value & RESET:
            self._power_up()
        elif register == CONFIGURATION:
            self.words[CONFIGURATION] = value
            if value & 0x7 == TRIGGERED:
                self._convert()
        elif register == CALIBRATION:
            self.words[CALIBRATION] = value & 0xFFFE

    def on_read(self, register: int) -> None:
        if register == BUS and self._busy:
            self._busy -= 1
            if not self._busy:
                self.words[BUS] |= CONVERSION_READY
        elif register == POWER:
            self.words[BUS] &= ~CONVERSION_READY

    def _power_up(self) -> None:
        self.words = {CONFIGURATION: AFTER_RESET, SHUNT: 0, BUS: 0, POWER: 0, CURRENT: 0, CALIBRATION: 0}

    def _convert(self) -> None:
        limit = round(next(volts for volts, bits in PGA if bits == self.words[CONFIGURATION] & 0x1800) * 100_000)
        shunt = max(-limit, min(limit, round(self.amperes * self.shunt_ohms * 100_000)))
        bus = min(8191, round(self.volts / 0.004))
        current = int(shunt * self.words[CALIBRATION] / 4096)
        overflow = not -32768 <= current <= 32767
        self.words[SHUNT], self.words[CURRENT] = shunt & 0xFFFF, current & 0xFFFF
        self.words[POWER] = abs(current) * bus // 5000 & 0xFFFF
        self.words[BUS] = bus << 3 | (OVERFLOW if overflow else 0)
        self._busy = self.busy_reads


DRIVERS = (INA219,)
