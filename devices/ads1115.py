"""Texas Instruments ADS1115: four analogue inputs, 16 bits, over I²C.

Datasheet: "ADS111x Ultra-Small, Low-Power, I²C-Compatible, 860-SPS, 16-Bit ADCs With Internal Reference,
Oscillator, and Programmable Comparator", Texas Instruments SBAS444D (May 2009, revised January 2018).

Wiring: VDD to 3V3, GND, SCL to GPIO 3 (pin 5), SDA to GPIO 2 (pin 3). ADDR to GND selects 0x48, to VDD 0x49, to SDA
0x4a, to SCL 0x4b. No input may be below GND - 0.3 V or above VDD + 0.3 V, whatever the gain: 6.144 and 4.096 widen
the scale, not what the part bears. Divide higher voltages with two resistors.

`channels` are measured one after the other; each becomes a field. `a0` is against GND, `a0-a1` a difference.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from devices import base
from devices.base import BadData, Driver, FieldSpec, NotResponding, Within
from devices.fake import SimulatedBuses, WordChip

# Registers, section 9.6.1
CONVERSION = 0x00
CONFIG = 0x01

# CONFIG, section 9.6.3
START = 0x8000  # written: begin one conversion; read: 0 while converting
SINGLE_SHOT = 0x0100  # convert once, then power down
NO_COMPARATOR = 0x0003
AFTER_POWER_UP = 0x8583
MUX = {"a0-a1": 0, "a0-a3": 1, "a1-a3": 2, "a2-a3": 3, "a0": 4, "a1": 5, "a2": 6, "a3": 7}  # bits 14 to 12
PGA = {"6.144": 0, "4.096": 1, "2.048": 2, "1.024": 3, "0.512": 4, "0.256": 5}  # bits 11 to 9
DATA_RATE = {8: 0, 16: 1, 32: 2, 64: 3, 128: 4, 250: 5, 475: 6, 860: 7}  # bits 7 to 5, samples per second

DECIMALS = {"6.144": 4, "4.096": 4, "2.048": 5, "1.024": 5, "0.512": 5, "0.256": 6}  # one step is 187.5 to 7.8 µV
RATE_TOLERANCE = 1.1  # section 7.5: the data rate varies by 10 %
POWER_UP_S = 0.000_03  # section 9.4.2.1: about 25 µs before a single shot begins
ATTEMPTS = 5  # looks at START after the time of a conversion, a tenth of that time apart


def decode(data: bytes, full_scale: float) -> dict[str, float]:
    """The conversion register to volts, section 9.5.4: two's complement, 32768 steps to ±`full_scale`."""
    return {"voltage": int.from_bytes(data, "big", signed=True) * full_scale / 32768}


def clipped(data: bytes) -> bool:
    """Whether the signal may be any amount beyond full scale (section 9.5.4: the output clips at these codes)."""
    return data in (b"\x7f\xff", b"\x80\x00")


class ADS1115(Driver):
    """One single shot per channel and reading. A channel beyond full scale is left out of the reading."""

    NAMES = ("ads1115",)
    TITLE = "Texas Instruments ADS1115: four analogue inputs, 16 bits"
    DATASHEET = "Texas Instruments SBAS444D, January 2018"
    FIELDS: ClassVar[tuple[FieldSpec, ...]] = tuple(FieldSpec(name, unit="V", decimals=4) for name in MUX)

    @dataclass(frozen=True, kw_only=True)
    class Config(base.Config):
        address: Literal[0x48, 0x49, 0x4A, 0x4B] = 0x48
        bus: Annotated[int, Within(0, 31)] = 1
        channels: tuple[Literal["a0", "a1", "a2", "a3", "a0-a1", "a0-a3", "a1-a3", "a2-a3"], ...] = (
            "a0", "a1", "a2", "a3",
        )  # fmt: skip
        gain: Literal["6.144", "4.096", "2.048", "1.024", "0.512", "0.256"] = "4.096"  # ± full scale, in volts
        data_rate: Literal[8, 16, 32, 64, 128, 250, 475, 860] = 128  # samples per second; slower is quieter

        def problems(self) -> Mapping[str, str]:
            if not self.channels or len(set(self.channels)) != len(self.channels):
                return {"channels": "at least one channel, and each once"}
            return {}

        def claims(self) -> frozenset[str]:
            return frozenset({f"i2c {self.bus} 0x{self.address:02x}"})

    @property
    def lane(self) -> str:
        return f"i2c-{self.config.bus}"

    @property
    def fields(self) -> tuple[FieldSpec, ...]:
        gain = self.config.gain
        return tuple(
            FieldSpec(
                name,
                unit="V",
                decimals=DECIMALS[gain],
                minimum=-float(gain),
                maximum=float(gain),
                description=name.replace("-", " against ") if "-" in name else f"{name} against GND",
            )
            for name in self.config.channels
        )

    def open(self) -> None:
        settings = self._settings(self.config.channels[0])
        self._write(settings)
        back = int.from_bytes(self._read(CONFIG), "big")
        if back & ~START != settings:  # there is no chip id: that it keeps its settings is all that can be known
            raise NotResponding(
                f"0x{self.config.address:02x} keeps 0x{back:04x} where 0x{settings:04x} was written: it is no ADS1115"
            )

    def read(self) -> Mapping[str, float]:
        answers = {name: self._convert(name) for name in self.config.channels}
        scale = float(self.config.gain)
        values = {name: decode(data, scale)["voltage"] for name, data in answers.items() if not clipped(data)}
        if not values:
            raise BadData(f"every channel is beyond ±{self.config.gain} V: choose a larger gain, or check the wiring")
        return values

    def _convert(self, channel: str) -> bytes:
        self._write(START | self._settings(channel))
        conversion = RATE_TOLERANCE / self.config.data_rate
        time.sleep(POWER_UP_S + conversion)
        for _ in range(ATTEMPTS):
            if int.from_bytes(self._read(CONFIG), "big") & START:
                return self._read(CONVERSION)
            time.sleep(conversion / 10)
        raise NotResponding(f"{channel}: the conversion did not end within {conversion * 1500:.0f} ms")

    def _settings(self, channel: str) -> int:
        pga, rate = PGA[self.config.gain], DATA_RATE[self.config.data_rate]
        return MUX[channel] << 12 | pga << 9 | SINGLE_SHOT | rate << 5 | NO_COMPARATOR

    def _read(self, register: int) -> bytes:
        return self.buses.i2c(self.config.bus).write_read(self.config.address, bytes([register]), 2)

    def _write(self, settings: int) -> None:
        self.buses.i2c(self.config.bus).write(self.config.address, bytes([CONFIG, *settings.to_bytes(2, "big")]))

    @staticmethod
    def fake(config: Config, buses: SimulatedBuses) -> FakeADS1115:
        chip = FakeADS1115()
        buses.fake_i2c(config.bus).attach(config.address, chip)
        return chip


class FakeADS1115(WordChip):
    """The registers, and `volts` at the four inputs; a conversion lasts `busy_reads` looks at CONFIG."""

    def __init__(self) -> None:
        super().__init__()
        self.volts = [0.25, 0.5, 1.0, 2.0]
        self.busy_reads = 1
        self._busy = 0
        self.words = {CONVERSION: 0, CONFIG: AFTER_POWER_UP}

    def on_write(self, register: int, value: int) -> None:
        if register != CONFIG:
            return
        self.words[CONFIG] = value | START
        if value & START and value & SINGLE_SHOT:
            self._busy = self.busy_reads
            self.words[CONVERSION] = self._code(value >> 12 & 7, value >> 9 & 7) & 0xFFFF

    def on_read(self, register: int) -> None:
        if register == CONFIG:
            self.words[CONFIG] = self.words[CONFIG] & ~START | (0 if self._busy else START)
            self._busy = max(0, self._busy - 1)

    def _code(self, mux: int, pga: int) -> int:
        name = next(channel for channel, bits in MUX.items() if bits == mux)
        inputs = [self.volts[int(pin[1])] for pin in name.split("-")]
        scale = next(float(gain) for gain, bits in PGA.items() if bits == min(pga, 5))
        signal = inputs[0] - sum(inputs[1:])
        return max(-32768, min(32767, round(signal * 32768 / scale)))


DRIVERS = (ADS1115,)
