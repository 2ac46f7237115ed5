"""LM75 and TMP102: the tables of their datasheets, shut-down chips, and each taken for the other."""

from __future__ import annotations

import pytest

import devices
from devices.base import NotResponding
from devices.fake import SimulatedBuses
from devices.lm75 import CONFIGURATION, LM75, TEMPERATURE, TMP102, FakeLM75, FakeTMP102, decode
from tests.devices.vector import Vector

LM75_TABLE = "SNIS153B page 9, \"Temperature Data Format\""
TMP102_TABLE = "SBOS397C table 5, \"12-Bit Temperature Data Format\""
VECTORS = [
    *(
        Vector(((code << 7).to_bytes(2, "big"), 9), {"temperature": celsius}, LM75_TABLE)
        for code, celsius in [
            (0x0FA, 125), (0x032, 25), (0x001, 0.5), (0x000, 0), (0x1FF, -0.5), (0x1CE, -25), (0x192, -55)
        ]
    ),
    *(
        Vector(((code << 4).to_bytes(2, "big"), 12), {"temperature": celsius}, TMP102_TABLE)
        for code, celsius in [
            (0x7FF, 127.9375), (0x640, 100), (0x500, 80), (0x4B0, 75), (0x320, 50), (0x190, 25), (0x004, 0.25),
            (0x000, 0), (0xFFC, -0.25), (0xE70, -25), (0xC90, -55),
        ]
    ),
    Vector((b"\x19\x7f", 9), {"temperature": 25}, "SNIS153B page 11: bits 0 to 6 are undefined"),
    Vector((b"\x2b\xc0", 12), {"temperature": 43.75}, "computed: 0x2bc × 0.0625 °C"),
]  # fmt: skip


def make_lm75() -> tuple[devices.Driver, FakeLM75, SimulatedBuses]:
    buses = SimulatedBuses()
    config = LM75.Config()
    return devices.build(LM75, config, buses), buses.parts[config], buses


def make_tmp102() -> tuple[devices.Driver, FakeTMP102, SimulatedBuses]:
    buses = SimulatedBuses()
    config = TMP102.Config()
    return devices.build(TMP102, config, buses), buses.parts[config], buses


def test_an_lm75_reads_what_it_measures() -> None:
    driver, chip, _ = make_lm75()
    driver.open()
    for celsius in (21.5, 125.0, 0.0, -0.5, -12.5, -55.0):
        chip.temperature = celsius
        assert driver.read() == {"temperature": celsius}


def test_a_tmp102_reads_what_it_measures() -> None:
    driver, chip, _ = make_tmp102()
    driver.open()
    for celsius in (21.4375, 127.9375, 0.0, -0.0625, -12.5, -55.0):
        chip.temperature = celsius
        assert driver.read() == {"temperature": celsius}


def test_both_ends_of_the_tables_are_within_the_limits_of_the_fields() -> None:
    for driver, ends in ((LM75, (-55, 125)), (TMP102, (-55, 127.9375))):
        for celsius in ends:
            driver.FIELDS[0].value(celsius)


def test_an_lm75_that_was_shut_down_is_woken_and_keeps_its_thermostat() -> None:
    driver, chip, _ = make_lm75()
    chip.words[CONFIGURATION] = 0b0001_0111 << 8  # four faults, active high, interrupt mode, shut down
    chip.words[TEMPERATURE] = 0
    driver.open()
    assert chip.words[CONFIGURATION] >> 8 == 0b0001_0110
    assert driver.read() == {"temperature": 21.5}


def test_a_tmp102_that_lost_its_power_unnoticed_is_never_read_as_0_degrees() -> None:
    driver, _, buses = make_tmp102()
    driver.open()
    buses.fake_i2c(1).attach(0x48, FakeTMP102())  # converts continuously, register still at 0 °C
    assert driver.read() == {"temperature": 21.5}


def test_a_conversion_that_never_ends_is_given_up() -> None:
    driver, chip, _ = make_tmp102()
    driver.open()
    chip.busy_reads = 10_000
    with pytest.raises(NotResponding, match="did not end within 60 ms"):
        driver.read()


def test_a_tmp102_is_not_taken_for_an_lm75() -> None:
    driver, _, buses = make_lm75()
    buses.fake_i2c(1).attach(0x48, FakeTMP102())
    with pytest.raises(NotResponding, match='write driver = "tmp102"'):
        driver.open()


def test_an_lm75_is_not_taken_for_a_tmp102() -> None:
    driver, _, buses = make_tmp102()
    buses.fake_i2c(1).attach(0x48, FakeLM75())
    with pytest.raises(NotResponding, match='write driver = "lm75"'):
        driver.open()


def test_another_chip_at_the_address_is_no_lm75() -> None:
    driver, chip, _ = make_lm75()
    chip.words[CONFIGURATION] = 0x8583
    with pytest.raises(NotResponding, match=r"0x85, which no LM75 has$"):
        driver.open()


@pytest.mark.parametrize("driver_class", [LM75, TMP102])
def test_pulling_the_plug_and_putting_it_back(driver_class: type[devices.Driver]) -> None:
    buses = SimulatedBuses()
    config = driver_class.Config()
    driver = devices.build(driver_class, config, buses)
    buses.fake_i2c(1).detach(0x48)
    with pytest.raises(NotResponding, match="nothing answers at 0x48"):
        driver.open()
    buses.fake_i2c(1).attach(0x48, buses.parts[config])
    driver.open()
    buses.fake_i2c(1).detach(0x48)
    with pytest.raises(NotResponding, match="0x48"):
        driver.read()
    driver.close()
    buses.fake_i2c(1).attach(0x48, buses.parts[config])
    driver.open()
    assert driver.read() == {"temperature": 21.5}


def test_lane_and_claim() -> None:
    assert LM75(LM75.Config(address=0x4F, bus=2), SimulatedBuses()).lane == "i2c-2"
    assert LM75.Config(address=0x4F, bus=2).claims() == {"i2c 2 0x4f"}
    assert TMP102(TMP102.Config(address=0x4B), SimulatedBuses()).lane == "i2c-1"
    assert TMP102.Config(address=0x4B).claims() == {"i2c 1 0x4b"}


def test_decode_tells_negative_from_positive_by_the_first_bit() -> None:
    assert decode(b"\x80\x00", 12) == {"temperature": -128}
    assert decode(b"\x7f\xf0", 12) == {"temperature": 127.9375}
