"""BH1750: lux in every mode and sensitivity, too much light, and a chip that forgets or is unplugged."""

from __future__ import annotations

import pytest

import devices
from devices.base import BadData, NotResponding
from devices.bh1750 import BH1750, FakeBH1750, decode
from devices.fake import SimulatedBuses
from tests.devices.vector import Vector

VECTORS = [
    Vector((bytes([0b1000_0011, 0b1001_0000]), "high", 69), {"illuminance": 28067},
           "Rev. B, page 10, 4, \"Read Format\", example", 0.5),
    Vector((b"\x00\x01", "high2", 254), {"illuminance": 0.11}, "Rev. B, feature list: 0.11 lx at the least", 0.005),
    Vector((b"\x00\x00", "low", 69), {"illuminance": 0.0}, "Rev. B, page 2, \"Dark Sensor out\": 0 counts"),
    Vector((b"\x00\x78", "high", 138), {"illuminance": 50.0}, "computed: 120 counts / 1.2, twice the usual time", 1e-9),
    Vector((b"\xff\xfe", "high", 31), {"illuminance": 121555.0}, "computed: 65534 / 1.2 × 69 / 31", 0.01),
]  # fmt: skip


def make(**settings: object) -> tuple[devices.Driver, FakeBH1750, SimulatedBuses]:
    buses = SimulatedBuses()
    config = BH1750.Config(**settings)  # type: ignore[arg-type]
    driver = devices.build(BH1750, config, buses)
    return driver, buses.parts[config], buses


@pytest.mark.parametrize(
    ("mode", "sensitivity", "lux", "step"),
    [
        ("low", 69, 500.0, 0.84),
        ("high", 69, 28067.0, 0.84),
        ("high2", 31, 7.5, 0.93),
        ("high", 31, 100_000.0, 1.86),
        ("low", 254, 3.2, 0.23),
        ("low", 138, 0.0, 0.42),
    ],
)
def test_reads_what_the_chip_measures(mode: str, sensitivity: int, lux: float, step: float) -> None:
    driver, chip, _ = make(mode=mode, sensitivity=sensitivity)
    chip.illuminance = lux
    driver.open()
    # Also the proof that the driver waits long enough: earlier, the stand-in still holds the former result.
    assert driver.read() == pytest.approx({"illuminance": lux}, abs=step / 2)
    assert chip.time_register == sensitivity


def test_the_brightest_light_of_all_settings_is_within_the_limits_of_the_field() -> None:
    assert BH1750.FIELDS[0].value(decode(b"\xff\xfe", "high", 31)["illuminance"])


@pytest.mark.parametrize("mode", ["low", "high", "high2"])
def test_a_full_counter_is_no_measurement(mode: str) -> None:
    with pytest.raises(BadData, match="sensitivity = 69"):
        decode(b"\xff\xff", mode, 69)


def test_the_sun_on_a_sensitive_setting() -> None:
    driver, chip, _ = make(mode="low", sensitivity=254)
    chip.illuminance = 60_000
    driver.open()
    with pytest.raises(BadData, match="too bright"):
        driver.read()


def test_a_chip_that_lost_its_power_unnoticed_is_told_its_sensitivity_again() -> None:
    driver, _, buses = make(mode="low", sensitivity=138)
    driver.open()
    after_the_cut = FakeBH1750()
    after_the_cut.illuminance = 200.0
    buses.fake_i2c(1).attach(0x23, after_the_cut)
    assert driver.read()["illuminance"] == pytest.approx(200, abs=0.5)


def test_nothing_at_the_address() -> None:
    driver, _, buses = make()
    buses.fake_i2c(1).detach(0x23)
    with pytest.raises(NotResponding, match="nothing answers at 0x23"):
        driver.open()


def test_pulling_the_plug_and_putting_it_back() -> None:
    driver, chip, buses = make(mode="low")
    driver.open()
    buses.fake_i2c(1).detach(0x23)
    with pytest.raises(NotResponding, match="0x23"):
        driver.read()
    driver.close()
    buses.fake_i2c(1).attach(0x23, chip)
    driver.open()
    assert "illuminance" in driver.read()


def test_lane_and_claim() -> None:
    config = BH1750.Config(address=0x5C, bus=2)
    assert BH1750(config, SimulatedBuses()).lane == "i2c-2"
    assert config.claims() == {"i2c 2 0x5c"}
