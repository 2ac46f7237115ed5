"""INA219: the worked example of its datasheet, both directions of current, overflow, and a chip that forgets."""

from __future__ import annotations

import pytest

import devices
from devices.base import BadData, NotResponding
from devices.fake import SimulatedBuses
from devices.ina219 import (
    CALIBRATION,
    CONFIGURATION,
    CURRENT,
    INA219,
    POWER,
    SHUNT,
    FakeINA219,
    amperes_per_bit,
    calibration,
    decode,
)
from tests.devices.vector import Vector

EXAMPLE = "SBOS448F page 24, table 3 (the same example is in SBOS448G)"
VECTORS = [
    Vector((0x07D0, 0x5D98, 0x2710, 0.001, 0.04),
           {"voltage": 11.98, "shunt_voltage": 20.0, "current": 10.0, "power": 119.8}, EXAMPLE, 1e-9),
    Vector((0xF830, 0x5D98, 0xD8F0, 0.001, 0.04),
           {"voltage": 11.98, "shunt_voltage": -20.0, "current": -10.0, "power": -119.8},
           "computed: the same example with the current reversed (two's complement)", 1e-9),
    Vector((0, 0x0002, 0, 0.001, 0.32), {"voltage": 0, "shunt_voltage": 0, "current": 0, "power": 0},
           "computed: nothing connected, conversion ready"),
    Vector((0x7CFF, 8000 << 3 | 2, 0, 0.001, 0.32),
           {"voltage": 32.0, "shunt_voltage": 319.99, "current": 0, "power": 0},
           "SBOS448F page 30: bus full scale is 8000 × 4 mV; shunt one step below its own", 1e-9),
]  # fmt: skip


def make(**settings: object) -> tuple[devices.Driver, FakeINA219, SimulatedBuses]:
    buses = SimulatedBuses()
    config = INA219.Config(**settings)  # type: ignore[arg-type]
    driver = devices.build(INA219, config, buses)
    return driver, buses.parts[config], buses


def test_the_calibration_of_the_worked_example() -> None:
    # SBOS448F page 24: 1 mA per bit over 2 mΩ wants 20480 (0x5000); 1 mA × 2^15 is the largest current.
    assert calibration(0.002, 32.768) == 0x5000
    assert amperes_per_bit(0x5000, 0.002) == pytest.approx(0.001)


@pytest.mark.parametrize(("ohms", "amperes"), [(0.1, 3.2), (0.1, 1.0), (0.1, 0.4), (0.0005, 500), (1, 0.32), (0.01, 1)])
def test_every_calibration_holds_its_largest_current(ohms: float, amperes: float) -> None:
    word = calibration(ohms, amperes)
    assert 0 < word <= 0xFFFE and word % 2 == 0
    assert amperes_per_bit(word, ohms) * 32767 >= amperes * 0.9999


def test_the_stand_in_calculates_the_worked_example() -> None:
    chip = FakeINA219(0.002)
    chip.volts, chip.amperes = 11.98, 10.0
    chip.write(bytes([CALIBRATION, 0x50, 0x00]))
    chip.write(bytes([CONFIGURATION, 0x01, 0x9B]))  # the example's 0x019f, triggered instead of continuous
    assert (chip.words[SHUNT], chip.words[CURRENT], chip.words[POWER]) == (0x07D0, 0x2710, 0x1766)


@pytest.mark.parametrize(
    ("ohms", "largest", "volts", "amperes"),
    [
        (0.1, 3.2, 5.0, 0.5),
        (0.1, 3.2, 12.0, -3.19),
        (0.1, 0.4, 3.3, 0.0123),
        (0.002, 20.0, 11.98, 10.0),
        (0.00075, 100.0, 24.0, -99.0),
        (0.1, 3.2, 0.0, 0.0),
    ],
)
def test_reads_what_flows(ohms: float, largest: float, volts: float, amperes: float) -> None:
    driver, chip, _ = make(shunt_ohms=ohms, max_amperes=largest)
    chip.volts, chip.amperes = volts, amperes
    driver.open()
    reading = driver.read()
    step = 10e-6 / ohms + largest / 32768  # of the shunt voltage and of the current
    assert reading["voltage"] == pytest.approx(volts, abs=0.002)
    assert reading["shunt_voltage"] == pytest.approx(amperes * ohms * 1000, abs=0.0051)
    assert reading["current"] == pytest.approx(amperes, abs=step)
    assert reading["power"] == pytest.approx(volts * amperes, abs=step * volts + 0.002 * abs(amperes))
    for field in driver.fields:
        field.value(reading[field.name])


@pytest.mark.parametrize(
    ("largest", "bits"), [(0.4, 0b00), (0.41, 0b01), (0.8, 0b01), (1.6, 0b10), (1.7, 0b11), (3.2, 0b11)]
)
def test_the_smallest_shunt_range_that_fits_is_chosen(largest: float, bits: int) -> None:
    driver, chip, _ = make(max_amperes=largest)
    driver.open()
    driver.read()
    assert chip.words[CONFIGURATION] >> 11 & 3 == bits
    assert chip.words[CONFIGURATION] & 0x2000  # 32 V


@pytest.mark.parametrize(("samples", "bits"), [(1, 0x8), (4, 0xA), (16, 0xC)])
def test_averaging_is_set_for_both_measurements(samples: int, bits: int) -> None:
    driver, chip, _ = make(samples=samples)
    driver.open()
    driver.read()
    assert chip.words[CONFIGURATION] >> 3 & 0xFF == bits << 4 | bits


def test_the_overflow_flag_is_bad_data() -> None:
    with pytest.raises(BadData, match="raise it"):
        decode(0x07D0, 0x5D99, 0x2710, 0.001, 0.04)


@pytest.mark.parametrize(("largest", "amperes"), [(1.0, 1.2), (1.0, -1.2), (3.2, 3.5), (3.2, -3.5)])
def test_more_current_than_was_expected_is_bad_data(largest: float, amperes: float) -> None:
    driver, chip, _ = make(max_amperes=largest)
    chip.amperes = amperes
    driver.open()
    with pytest.raises(BadData, match="max_amperes"):
        driver.read()


def test_a_chip_that_lost_its_power_unnoticed_is_calibrated_again() -> None:
    driver, _, buses = make()
    driver.open()
    after_the_cut = FakeINA219(0.1)
    after_the_cut.amperes = 1.5
    buses.fake_i2c(1).attach(0x40, after_the_cut)
    assert driver.read()["current"] == pytest.approx(1.5, abs=2e-4)


def test_a_shunt_that_would_drop_too_much_is_reported() -> None:
    assert INA219.Config().problems() == {}
    assert INA219.Config(shunt_ohms=0.01, max_amperes=32).problems() == {}
    assert "at most 3.2 A" in INA219.Config(max_amperes=5).problems()["max_amperes"]
    assert "at most 16 A" in INA219.Config(shunt_ohms=0.02, max_amperes=16.1).problems()["max_amperes"]


def test_limits_of_current_and_power_follow_the_shunt() -> None:
    driver, _, _ = make(shunt_ohms=0.01, max_amperes=10.0)
    limits = {field.name: (field.minimum, field.maximum) for field in driver.fields}
    assert limits["current"] == (-32.0, 32.0)
    assert limits["voltage"] == (0, 32.764)


def test_a_conversion_that_never_ends_is_given_up() -> None:
    driver, chip, _ = make()
    driver.open()
    chip.busy_reads = 10_000
    with pytest.raises(NotResponding, match="did not end"):
        driver.read()


def test_another_chip_at_the_address_is_refused() -> None:
    class Other(FakeINA219):
        def on_write(self, register: int, value: int) -> None:
            self.words[register] = value

    driver, _, buses = make()
    buses.fake_i2c(1).attach(0x40, Other(0.1))
    with pytest.raises(NotResponding, match="0x8000, an INA219 with 0x399f"):
        driver.open()


def test_pulling_the_plug_and_putting_it_back() -> None:
    driver, chip, buses = make()
    driver.open()
    buses.fake_i2c(1).detach(0x40)
    with pytest.raises(NotResponding, match="nothing answers at 0x40"):
        driver.read()
    driver.close()
    with pytest.raises(NotResponding, match="nothing answers at 0x40"):
        driver.open()
    buses.fake_i2c(1).attach(0x40, chip)
    driver.open()
    assert driver.read()["voltage"] == pytest.approx(5.0)


def test_lane_and_claim() -> None:
    config = INA219.Config(address=0x4F, bus=6)
    assert INA219(config, SimulatedBuses()).lane == "i2c-6"
    assert config.claims() == {"i2c 6 0x4f"}
