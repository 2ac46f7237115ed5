"""SHT4x: the formulas with their cropping, and a chip that is read too soon, is another one, or is unplugged."""

from __future__ import annotations

import pytest

import devices
from devices.base import BadData, NotResponding
from devices.fake import SimulatedBuses
from devices.sht3x import FakeSHT3x, with_checksums
from devices.sht4x import MEASURE, FakeSHT4x, SHT4x, decode
from tests.devices.vector import Vector

FORMULA = 'computed by the formulas of "Conversion of Signal Output"'
VECTORS = [
    Vector((bytes.fromhex("beef92 beef92"),), {"temperature": 85.523, "humidity": 87.2307},
           'word and checksum of "Checksum Calculation" (0xbeef, 0x92), values ' + FORMULA, 0.001),
    Vector((bytes.fromhex("000081 000081"),), {"temperature": -45.0, "humidity": 0.0}, FORMULA + ": -6 %RH"),
    Vector((bytes.fromhex("ffffac ffffac"),), {"temperature": 130.0, "humidity": 100.0}, FORMULA + ": 119 %RH"),
    Vector((bytes.fromhex("61a865 5c28ed"),), {"temperature": 21.7588, "humidity": 38.9989}, FORMULA, 0.001),
]  # fmt: skip


def make(precision: str = "high") -> tuple[devices.Driver, FakeSHT4x, SimulatedBuses]:
    buses = SimulatedBuses()
    config = SHT4x.Config(precision=precision)  # type: ignore[arg-type]
    driver = devices.build(SHT4x, config, buses)
    return driver, buses.parts[config], buses


@pytest.mark.parametrize("precision", ["low", "medium", "high"])
@pytest.mark.parametrize(("celsius", "percent"), [(21.5, 45), (-39.9, 99.9), (124.9, 0.1), (0, 50)])
def test_reads_what_the_chip_measures(precision: str, celsius: float, percent: float) -> None:
    driver, chip, _ = make(precision)
    chip.temperature, chip.humidity = celsius, percent
    driver.open()
    # Also the proof that the driver waits long enough: the stand-in acknowledges no earlier.
    assert driver.read() == pytest.approx({"temperature": celsius, "humidity": percent}, abs=0.002)
    assert chip.commands[-1] == MEASURE[precision]


@pytest.mark.parametrize(("measured", "reported"), [(-5.9, 0), (118.9, 100)])
def test_humidity_beyond_the_scale_is_cropped(measured: float, reported: float) -> None:
    driver, chip, _ = make("low")
    chip.humidity = measured
    driver.open()
    assert driver.read()["humidity"] == reported


@pytest.mark.parametrize("bit", range(48))
def test_every_flipped_bit_is_noticed(bit: int) -> None:
    data = bytearray(with_checksums(0x6666, 0x8000))
    data[bit // 8] ^= 0x80 >> bit % 8
    with pytest.raises(BadData, match="checksum"):
        decode(bytes(data))


def test_a_disturbed_reading_does_not_spoil_the_next() -> None:
    driver, chip, _ = make("low")
    driver.open()
    chip.flipped_bit = 40
    with pytest.raises(BadData):
        driver.read()
    chip.flipped_bit = None
    assert driver.read()["humidity"] == pytest.approx(45, abs=0.002)


def test_the_serial_number_is_known_once_open() -> None:
    driver, chip, _ = make()
    assert isinstance(driver, SHT4x)
    assert driver.serial_number is None
    chip.serial_number = 0xFEDC_0123
    driver.open()
    assert driver.serial_number == 0xFEDC_0123


def test_another_chip_at_the_address_is_refused_by_name() -> None:
    driver, chip, _ = make()
    chip.flipped_bit = 47
    with pytest.raises(NotResponding, match=r"0x44 is no SHT4x.*sht3x"):
        driver.open()


def test_the_predecessor_at_the_address_is_refused() -> None:
    driver, _, buses = make()
    buses.fake_i2c(1).attach(0x44, FakeSHT3x())
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
    config = SHT4x.Config(address=0x46, bus=0)
    assert SHT4x(config, SimulatedBuses()).lane == "i2c-0"
    assert config.claims() == {"i2c 0 0x46"}
