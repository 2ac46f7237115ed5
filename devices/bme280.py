"""Bosch BME280: temperature, relative humidity and pressure over I²C. Also the BMP280, which lacks humidity.

Datasheet: "BME280 Combined humidity and pressure sensor", BST-BME280-DS002-15, rev 1.6 (September 2018).
The worked numbers in the tests are those of the BMP280 datasheet (BST-BMP280-DS001-11, section 3.12), whose
temperature and pressure formulas are the same.

Wiring: VIN to 3V3, GND, SCL to GPIO 3 (pin 5), SDA to GPIO 2 (pin 3). SDO to GND selects 0x76, to VIN 0x77.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from devices import base
from devices.base import BadData, Driver, FieldSpec, NotResponding, Within
from devices.fake import RegisterChip, SimulatedBuses

# Registers, section 5.3 (table 18)
CALIBRATION_1 = 0x88  # dig_T1 … dig_P9 (24 bytes), a gap, dig_H1 at 0xA1
CALIBRATION_2 = 0xE1  # dig_H2 … dig_H6
CHIP_ID = 0xD0
RESET = 0xE0
CTRL_HUM = 0xF2
STATUS = 0xF3
CTRL_MEAS = 0xF4
CONFIG = 0xF5
DATA = 0xF7  # pressure, temperature (20 bits each), humidity (16 bits)

ID_BME280 = 0x60
IDS_BMP280 = (0x56, 0x57, 0x58)
RESET_WORD = 0xB6
MEASURING = 0x08  # in STATUS
FORCED = 0x01  # in CTRL_MEAS: one measurement, then sleep: no self-heating between readings
OVERSAMPLING_BITS = {1: 1, 2: 2, 4: 3, 8: 4, 16: 5}

START_UP_S = 0.002  # table 1
STEP_S = 0.002  # waiting for a conversion
ATTEMPTS = 60  # × STEP_S; the longest conversion (×16, all three) takes 112.8 ms (section 9.1)


@dataclass(frozen=True)
class Calibration:
    """Trimming words of one chip, table 16."""

    t: tuple[int, int, int]
    p: tuple[int, ...]  # nine words
    h: tuple[int, ...] | None  # six words; None on a BMP280

    @classmethod
    def decode(cls, block1: bytes, block2: bytes | None) -> Calibration:
        """`block1` is 0x88…0xA1 (26 bytes), `block2` 0xE1…0xE7 (7 bytes; None without humidity)."""
        u16 = [int.from_bytes(block1[i : i + 2], "little") for i in range(0, 24, 2)]
        words = [u16[0], *(_signed(w, 16) for w in u16[1:3]), u16[3], *(_signed(w, 16) for w in u16[4:])]
        if block2 is None:
            return cls((words[0], words[1], words[2]), tuple(words[3:]), None)
        h4 = _signed(block2[3] << 4 | block2[4] & 0x0F, 12)
        h5 = _signed(block2[5] << 4 | block2[4] >> 4, 12)
        humidity = (
            block1[25],
            _signed(int.from_bytes(block2[0:2], "little"), 16),
            block2[2],
            h4,
            h5,
            _signed(block2[6], 8),
        )
        return cls((words[0], words[1], words[2]), tuple(words[3:]), humidity)


def decode(data: bytes, calibration: Calibration) -> dict[str, float]:
    """Registers 0xF7… (8 bytes; 6 without humidity) to °C, hPa and %RH by the double formulas of section 8.1.

    A channel that reads its reset value was skipped or not measured: it is left out.
    Raises BadData when not even the temperature is there.
    """
    raw_p = data[0] << 12 | data[1] << 4 | data[2] >> 4
    raw_t = data[3] << 12 | data[4] << 4 | data[5] >> 4
    if raw_t == 0x80000:
        raise BadData("no measurement has been made (the data registers hold their reset value)")
    t_fine = _t_fine(raw_t, calibration.t)
    result = {"temperature": t_fine / 5120.0}
    if raw_p != 0x80000:
        result["pressure"] = _pascal(raw_p, t_fine, calibration.p) / 100.0
    if calibration.h is not None and len(data) >= 8:
        raw_h = data[6] << 8 | data[7]
        if raw_h != 0x8000:
            result["humidity"] = _percent(raw_h, t_fine, calibration.h)
    return result


def _t_fine(raw: int, t: tuple[int, int, int]) -> float:
    first = (raw / 16384.0 - t[0] / 1024.0) * t[1]
    return first + (raw / 131072.0 - t[0] / 8192.0) ** 2 * t[2]


def _pascal(raw: int, t_fine: float, p: tuple[int, ...]) -> float:
    var1 = t_fine / 2.0 - 64000.0
    var2 = var1 * var1 * p[5] / 32768.0 + var1 * p[4] * 2.0
    var2 = var2 / 4.0 + p[3] * 65536.0
    var1 = (p[2] * var1 * var1 / 524288.0 + p[1] * var1) / 524288.0
    var1 = (1.0 + var1 / 32768.0) * p[0]
    if var1 == 0:
        raise BadData("the calibration words make the pressure undefined: the chip answers nonsense")
    pressure = (1048576.0 - raw - var2 / 4096.0) * 6250.0 / var1
    return pressure + (p[8] * pressure * pressure / 2147483648.0 + pressure * p[7] / 32768.0 + p[6]) / 16.0


def _percent(raw: int, t_fine: float, h: tuple[int, ...]) -> float:
    x = t_fine - 76800.0
    x = (raw - (h[3] * 64.0 + h[4] / 16384.0 * x)) * (
        h[1] / 65536.0 * (1.0 + h[5] / 67108864.0 * x * (1.0 + h[2] / 67108864.0 * x))
    )
    return min(100.0, max(0.0, x * (1.0 - h[0] * x / 524288.0)))


def _signed(word: int, bits: int) -> int:
    return word - (1 << bits) if word >> (bits - 1) else word


class BME280(Driver):
    """One measurement is forced per reading; between readings the chip sleeps (section 5.5: weather monitoring)."""

    NAMES = ("bme280", "bmp280")
    TITLE = "Bosch BME280 (or BMP280): temperature, humidity, pressure"
    DATASHEET = "BST-BME280-DS002-15, rev 1.6, September 2018"
    FIELDS: ClassVar[tuple[FieldSpec, ...]] = (
        FieldSpec("temperature", unit="°C", decimals=2, minimum=-40, maximum=85, description="air temperature"),
        FieldSpec("humidity", unit="%RH", decimals=1, minimum=0, maximum=100, description="relative humidity"),
        FieldSpec("pressure", unit="hPa", decimals=2, minimum=300, maximum=1100, description="air pressure"),
    )

    @dataclass(frozen=True, kw_only=True)
    class Config(base.Config):
        address: Literal[0x76, 0x77] = 0x76
        bus: Annotated[int, Within(0, 31)] = 1
        oversampling: Literal[1, 2, 4, 8, 16] = 1

        def claims(self) -> frozenset[str]:
            return frozenset({f"i2c {self.bus} 0x{self.address:02x}"})

    def __init__(self, config: Config, buses: Any) -> None:
        super().__init__(config, buses)
        self._calibration: Calibration | None = None

    @property
    def lane(self) -> str:
        return f"i2c-{self.config.bus}"

    def open(self) -> None:
        chip_id = self._read(CHIP_ID, 1)[0]
        if chip_id != ID_BME280 and chip_id not in IDS_BMP280:
            raise NotResponding(
                f"0x{self.config.address:02x} answers with chip id 0x{chip_id:02x}, which is no BME280 or BMP280"
            )
        self._write(RESET, RESET_WORD)
        time.sleep(START_UP_S)  # table 1: start-up time, during which the chip does not acknowledge
        humid = chip_id == ID_BME280
        self._calibration = Calibration.decode(
            self._read(CALIBRATION_1, 26), self._read(CALIBRATION_2, 7) if humid else None
        )

    def read(self) -> Mapping[str, float]:
        assert self._calibration is not None, "read before open"
        humid = self._calibration.h is not None
        bits = OVERSAMPLING_BITS[self.config.oversampling]
        if humid:
            self._write(CTRL_HUM, bits)  # takes effect with the next write of CTRL_MEAS (section 5.4.3)
        self._write(CTRL_MEAS, bits << 5 | bits << 2 | FORCED)
        for _ in range(ATTEMPTS):
            time.sleep(STEP_S)
            if not self._read(STATUS, 1)[0] & MEASURING:
                return decode(self._read(DATA, 8 if humid else 6), self._calibration)
        raise NotResponding(f"the conversion did not end within {ATTEMPTS * STEP_S * 1000:.0f} ms")

    def _read(self, register: int, count: int) -> bytes:
        return self.buses.i2c(self.config.bus).write_read(self.config.address, bytes([register]), count)

    def _write(self, register: int, value: int) -> None:
        self.buses.i2c(self.config.bus).write(self.config.address, bytes([register, value]))

    @staticmethod
    def fake(config: Config, buses: SimulatedBuses) -> FakeBME280:
        chip = FakeBME280()
        buses.fake_i2c(config.bus).attach(config.address, chip)
        return chip


class FakeBME280(RegisterChip):
    """The register map, with the trimming words of the datasheet's example and a world to measure.

    Set `temperature` (°C), `humidity` (%RH) and `pressure` (hPa); the raw words are found by bisection through
    `decode`, so that the fake needs no second set of formulas.
    """

    TRIM_T = (27504, 26435, -1000)
    TRIM_P = (36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000)
    TRIM_H = (75, 363, 0, 313, 50, 30)

    def __init__(self) -> None:
        super().__init__()
        self.temperature, self.humidity, self.pressure = 21.5, 45.0, 1013.25
        self.busy_reads = 1
        self._reset()

    def on_write(self, register: int, value: int) -> None:
        if register == RESET:
            if value == RESET_WORD:
                self._reset()
            return
        if register in (CTRL_HUM, CTRL_MEAS, CONFIG):
            self.registers[register] = value
        if register == CTRL_MEAS and value & 0x03 == FORCED:
            self._measure()
            self.registers[CTRL_MEAS] &= ~0x03  # back to sleep by itself
            self._busy = self.busy_reads

    def on_read(self, register: int, count: int) -> None:
        if register == STATUS:
            self.registers[STATUS] = MEASURING if self._busy else 0
            self._busy = max(0, self._busy - 1)

    def _reset(self) -> None:
        self._busy = 0
        self.registers[:] = bytes(256)
        self.registers[CHIP_ID] = ID_BME280
        self.registers[DATA : DATA + 8] = bytes([0x80, 0, 0, 0x80, 0, 0, 0x80, 0])
        words = [*self.TRIM_T, *self.TRIM_P]
        self.registers[CALIBRATION_1 : CALIBRATION_1 + 24] = b"".join(
            (w & 0xFFFF).to_bytes(2, "little") for w in words
        )
        h1, h2, h3, h4, h5, h6 = self.TRIM_H
        self.registers[0xA1] = h1
        self.registers[CALIBRATION_2 : CALIBRATION_2 + 7] = bytes(
            [h2 & 0xFF, h2 >> 8, h3, h4 >> 4, h4 & 0x0F | (h5 & 0x0F) << 4, h5 >> 4, h6]
        )

    def _measure(self) -> None:
        trim = Calibration(self.TRIM_T, self.TRIM_P, self.TRIM_H)
        raw_t = _search(lambda raw: _t_fine(raw, trim.t) / 5120.0, self.temperature, 1 << 20)
        t_fine = _t_fine(raw_t, trim.t)
        raw_p = _search(lambda raw: -_pascal(raw, t_fine, trim.p) / 100.0, -self.pressure, 1 << 20)
        assert trim.h is not None
        humidity = trim.h
        raw_h = _search(lambda raw: _percent(raw, t_fine, humidity), self.humidity, 1 << 16)
        if not self.registers[CTRL_HUM] & 0x07:
            raw_h = 0x8000  # skipped
        self.registers[DATA : DATA + 8] = (raw_p << 28 | raw_t << 4).to_bytes(6, "big") + raw_h.to_bytes(2, "big")


def _search(rising: Any, target: float, size: int) -> int:
    """The smallest raw word at which the rising function reaches `target`."""
    low, high = 0, size - 1
    while low < high:
        middle = (low + high) // 2
        if rising(middle) < target:
            low = middle + 1
        else:
            high = middle
    return low


DRIVERS = (BME280,)
