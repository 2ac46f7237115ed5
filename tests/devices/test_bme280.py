"""BME280: worked numbers, the register map, and a chip that misbehaves."""

from __future__ import annotations

import pytest

import devices
from devices.base import BadData, NotResponding
from devices.bme280 import BME280, CHIP_ID, Calibration, FakeBME280, decode
from devices.fake import SimulatedBuses
from tests.devices.vector import Vector

TRIM = Calibration(FakeBME280.TRIM_T, FakeBME280.TRIM_P, None)
RAW = (415148 << 28 | 519888 << 4).to_bytes(6, "big")

VECTORS = [
    Vector((RAW, TRIM), {"temperature": 25.08, "pressure": 1006.5327}, "BST-BMP280-DS001-11, section 3.12", 0.005),
]


def make() -> tuple[devices.Driver, FakeBME280, SimulatedBuses]:
    buses = SimulatedBuses()
    config = BME280.Config()
    driver = devices.build(BME280, config, buses)
    return driver, buses.parts[config], buses


@pytest.mark.parametrize(("celsius", "percent", "hectopascal"), [(21.5, 45, 1013.25), (-12.3, 91, 870), (60, 3, 1090)])
def test_reads_what_the_chip_measures(celsius: float, percent: float, hectopascal: float) -> None:
    driver, chip, _ = make()
    chip.temperature, chip.humidity, chip.pressure = celsius, percent, hectopascal
    driver.open()
    assert driver.read() == pytest.approx(
        {"temperature": celsius, "humidity": percent, "pressure": hectopascal}, abs=0.02
    )


def test_trimming_words_survive_the_register_layout() -> None:
    _, chip, buses = make()
    bus = buses.i2c(1)
    read = Calibration.decode(bus.write_read(0x76, b"\x88", 26), bus.write_read(0x76, b"\xe1", 7))
    assert read == Calibration(chip.TRIM_T, chip.TRIM_P, chip.TRIM_H)


def test_a_bmp280_has_no_humidity() -> None:
    driver, chip, _ = make()
    chip.registers[CHIP_ID] = 0x58
    driver.open()
    assert set(driver.read()) == {"temperature", "pressure"}


def test_another_chip_at_the_address_is_refused_by_name() -> None:
    driver, chip, _ = make()
    chip.registers[CHIP_ID] = 0x61
    with pytest.raises(NotResponding, match="chip id 0x61"):
        driver.open()


def test_a_conversion_that_never_ends_is_given_up() -> None:
    driver, chip, _ = make()
    chip.busy_reads = 10_000
    driver.open()
    with pytest.raises(NotResponding, match="did not end"):
        driver.read()


def test_reset_values_are_no_measurement() -> None:
    with pytest.raises(BadData, match="reset value"):
        decode(bytes([0x80, 0, 0, 0x80, 0, 0]), TRIM)


def test_pulling_the_plug_and_putting_it_back() -> None:
    driver, chip, buses = make()
    driver.open()
    buses.fake_i2c(1).detach(0x76)
    with pytest.raises(NotResponding, match="0x76"):
        driver.read()
    driver.close()
    buses.fake_i2c(1).attach(0x76, chip)
    driver.open()
    assert "temperature" in driver.read()
