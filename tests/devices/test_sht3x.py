"""SHT3x: the checksum, the formulas, and a chip that is read too soon, is another one, or is unplugged."""

from __future__ import annotations

import pytest

import devices
from devices.base import BadData, NotResponding
from devices.fake import SimulatedBuses
from devices.sht3x import BREAK, MEASURE, FakeSHT3x, SHT3x, crc8, decode, with_checksums
from devices.sht4x import FakeSHT4x
from tests.devices.vector import Vector

FORMULA = "computed by the formulas of section 4.13, checksums by table 20"
VECTORS = [
    Vector((bytes.fromhex("beef92 beef92"),), {"temperature": 85.523, "humidity": 74.5846},
           "words and checksum of table 20, values computed by section 4.13", 0.001),
    Vector((bytes.fromhex("000081 000081"),), {"temperature": -45.0, "humidity": 0.0}, FORMULA + ": lower end"),
    Vector((bytes.fromhex("ffffac ffffac"),), {"temperature": 130.0, "humidity": 100.0}, FORMULA + ": upper end"),
    Vector((bytes.fromhex("61a865 5c28ed"),), {"temperature": 21.7588, "humidity": 35.9991}, FORMULA, 0.001),
]  # fmt: skip


def make(repeatability: str = "high") -> tuple[devices.Driver, FakeSHT3x, SimulatedBuses]:
    buses = SimulatedBuses()
    config = SHT3x.Config(repeatability=repeatability)  # type: ignore[arg-type]
    driver = devices.build(SHT3x, config, buses)
    return driver, buses.parts[config], buses


def test_the_checksum_of_the_datasheet() -> None:
    assert crc8(b"\xbe\xef") == 0x92


@pytest.mark.parametrize("repeatability", ["low", "medium", "high"])
@pytest.mark.parametrize(("celsius", "percent"), [(21.5, 45), (-39.9, 99.9), (124.9, 0.1), (0, 50)])
def test_reads_what_the_chip_measures(repeatability: str, celsius: float, percent: float) -> None:
    driver, chip, _ = make(repeatability)
    chip.temperature, chip.humidity = celsius, percent
    driver.open()
    # Also the proof that the driver waits long enough: the stand-in acknowledges no earlier.
    assert driver.read() == pytest.approx({"temperature": celsius, "humidity": percent}, abs=0.002)
    assert chip.commands[-1] == MEASURE[repeatability]


def test_values_the_part_cannot_report_are_bad_data() -> None:
    too_cold = decode(with_checksums(0, 0x8000))
    with pytest.raises(BadData, match="temperature"):
        SHT3x.FIELDS[0].value(too_cold["temperature"])


@pytest.mark.parametrize("bit", range(48))
def test_every_flipped_bit_is_noticed(bit: int) -> None:
    data = bytearray(with_checksums(0x6666, 0x8000))
    data[bit // 8] ^= 0x80 >> bit % 8
    with pytest.raises(BadData, match="checksum"):
        decode(bytes(data))


@pytest.mark.parametrize("stuck", [0x00, 0xFF])
def test_a_data_line_that_is_stuck_is_no_measurement(stuck: int) -> None:
    with pytest.raises(BadData, match="checksum"):
        decode(bytes([stuck]) * 6)


def test_a_disturbed_reading_does_not_spoil_the_next() -> None:
    driver, chip, _ = make("low")
    driver.open()
    chip.flipped_bit = 9
    with pytest.raises(BadData):
        driver.read()
    chip.flipped_bit = None
    assert driver.read()["temperature"] == pytest.approx(21.5, abs=0.002)


def test_a_chip_left_measuring_periodically_is_stopped_first() -> None:
    driver, chip, _ = make("low")
    chip.periodic = True
    driver.open()
    assert chip.commands[0] == BREAK
    assert "temperature" in driver.read()


def test_another_chip_at_the_address_is_refused_by_name() -> None:
    driver, chip, _ = make()
    chip.flipped_bit = 0
    with pytest.raises(NotResponding, match=r"0x44 is no SHT3x.*sht4x"):
        driver.open()


def test_the_successor_at_the_address_is_refused() -> None:
    driver, _, buses = make()
    buses.fake_i2c(1).attach(0x44, FakeSHT4x())
    with pytest.raises(NotResponding, match="0x44"):
        driver.open()


def test_nothing_at_the_address() -> None:
    driver, _, buses = make()
    buses.fake_i2c(1).detach(0x44)
    with pytest.raises(NotResponding, match="nothing answers at 0x44"):
        driver.open()


def test_pulling_the_plug_and_putting_it_back() -> None:
    driver, chip, buses = make("low")
    driver.open()
    buses.fake_i2c(1).detach(0x44)
    with pytest.raises(NotResponding, match="0x44"):
        driver.read()
    driver.close()
    buses.fake_i2c(1).attach(0x44, chip)
    driver.open()
    assert set(driver.read()) == {"temperature", "humidity"}


def test_lane_and_claim() -> None:
    config = SHT3x.Config(address=0x45, bus=3)
    assert SHT3x(config, SimulatedBuses()).lane == "i2c-3"
    assert config.claims() == {"i2c 3 0x45"}
