"""ADS1115: codes to volts, every input and pair, every gain, clipping, and a chip that misbehaves."""

from __future__ import annotations

import pytest

import devices
from devices.ads1115 import ADS1115, CONFIG, CONVERSION, FakeADS1115, decode
from devices.base import BadData, NotResponding
from devices.fake import SimulatedBuses
from devices.lm75 import FakeTMP102
from tests.devices.vector import Vector

TABLE = "SBAS444D section 9.5.4, table \"Input Signal Versus Ideal Output Code\""
LSB = "SBAS444D section 9.3.3, table \"Full-Scale Range and Corresponding LSB Size\""
VECTORS = [
    Vector((b"\x7f\xff", 2.048), {"voltage": 2.048 * 32767 / 32768}, TABLE + ": +FS (2^15 - 1) / 2^15"),
    Vector((b"\x00\x01", 2.048), {"voltage": 2.048 / 32768}, TABLE + ": +FS / 2^15"),
    Vector((b"\x00\x00", 2.048), {"voltage": 0.0}, TABLE + ": 0"),
    Vector((b"\xff\xff", 2.048), {"voltage": -2.048 / 32768}, TABLE + ": -FS / 2^15"),
    Vector((b"\x80\x00", 2.048), {"voltage": -2.048}, TABLE + ": -FS"),
    Vector((b"\x00\x01", 6.144), {"voltage": 187.5e-6}, LSB, 1e-12),
    Vector((b"\x00\x01", 4.096), {"voltage": 125e-6}, LSB, 1e-12),
    Vector((b"\x00\x01", 1.024), {"voltage": 31.25e-6}, LSB, 1e-12),
    Vector((b"\x00\x01", 0.512), {"voltage": 15.625e-6}, LSB, 1e-12),
    Vector((b"\x00\x01", 0.256), {"voltage": 7.8125e-6}, LSB, 1e-12),
    Vector((b"\x67\x20", 4.096), {"voltage": 3.3}, "computed: 26400 × 125 µV", 1e-9),
]
ALL = ("a0", "a1", "a2", "a3", "a0-a1", "a0-a3", "a1-a3", "a2-a3")


def make(**settings: object) -> tuple[devices.Driver, FakeADS1115, SimulatedBuses]:
    buses = SimulatedBuses()
    config = ADS1115.Config(**{"data_rate": 860, **settings})  # type: ignore[arg-type]
    driver = devices.build(ADS1115, config, buses)
    return driver, buses.parts[config], buses


def test_reads_every_input_and_every_pair() -> None:
    driver, chip, _ = make(channels=ALL)
    chip.volts = [0.5, 3.25, 1.0, 2.0]
    driver.open()
    assert driver.read() == pytest.approx(
        {"a0": 0.5, "a1": 3.25, "a2": 1.0, "a3": 2.0, "a0-a1": -2.75, "a0-a3": -1.5, "a1-a3": 1.25, "a2-a3": -1.0},
        abs=125e-6 / 2,
    )


@pytest.mark.parametrize(
    ("gain", "bits", "volts"),
    [("6.144", 0, 4.5), ("4.096", 1, 3.3), ("2.048", 2, 2.0), ("1.024", 3, 1.0), ("0.512", 4, 0.5), ("0.256", 5, 0.25)],
)
def test_every_gain_has_its_scale(gain: str, bits: int, volts: float) -> None:
    driver, chip, _ = make(channels=("a2",), gain=gain)
    chip.volts[2] = volts
    driver.open()
    reading = driver.read()
    assert reading == pytest.approx({"a2": volts}, abs=float(gain) / 65536)
    assert chip.words[CONFIG] >> 9 & 7 == bits
    assert str(driver.fields[0].value(reading["a2"])) == f"{volts:.{driver.fields[0].decimals}f}"


@pytest.mark.parametrize(("rate", "bits"), [(8, 0), (128, 4), (475, 6), (860, 7)])
def test_the_data_rate_is_set(rate: int, bits: int) -> None:
    driver, chip, _ = make(channels=("a0",), data_rate=rate)
    driver.open()
    driver.read()
    assert chip.words[CONFIG] >> 5 & 7 == bits
    assert chip.words[CONFIG] & 0x0103 == 0x0103  # single shot, comparator off


def test_fields_are_those_of_the_channels_within_their_scale() -> None:
    driver, _, _ = make(channels=("a3", "a0-a1"), gain="0.256")
    assert [(f.name, f.unit, f.minimum, f.maximum, f.decimals) for f in driver.fields] == [
        ("a3", "V", -0.256, 0.256, 6),
        ("a0-a1", "V", -0.256, 0.256, 6),
    ]


@pytest.mark.parametrize("beyond", [0.3, -0.3])
def test_a_channel_beyond_full_scale_is_left_out(beyond: float) -> None:
    driver, chip, _ = make(channels=("a0", "a1"), gain="0.256")
    chip.volts = [beyond, 0.125, 0, 0]
    driver.open()
    assert driver.read() == {"a1": 0.125}


def test_a_part_that_is_beyond_full_scale_altogether_says_what_to_do() -> None:
    driver, chip, _ = make(channels=("a0-a1",), gain="1.024")
    chip.volts = [0, 3.3, 0, 0]
    driver.open()
    with pytest.raises(BadData, match=r"beyond ±1\.024 V: choose a larger gain"):
        driver.read()


def test_contradictory_channels_are_reported() -> None:
    assert ADS1115.Config().problems() == {}
    assert ADS1115.Config(channels=ALL).problems() == {}
    for wrong in ((), ("a1", "a0", "a1")):
        assert ADS1115.Config(channels=wrong).problems() == {"channels": "at least one channel, and each once"}


def test_a_conversion_that_never_ends_is_given_up() -> None:
    driver, chip, _ = make(channels=("a0",))
    driver.open()
    chip.busy_reads = 10_000
    with pytest.raises(NotResponding, match="a0: the conversion did not end"):
        driver.read()


def test_another_chip_at_the_address_is_refused() -> None:
    driver, _, buses = make()
    buses.fake_i2c(1).attach(0x48, FakeTMP102())
    with pytest.raises(NotResponding, match=r"0x48 keeps .* it is no ADS1115"):
        driver.open()


def test_a_chip_that_lost_its_power_unnoticed_measures_on_with_its_settings() -> None:
    driver, _, buses = make(channels=("a1",), gain="6.144")
    driver.open()
    after_the_cut = FakeADS1115()
    after_the_cut.volts[1] = 4.5
    buses.fake_i2c(1).attach(0x48, after_the_cut)
    assert driver.read() == pytest.approx({"a1": 4.5}, abs=1e-4)


def test_pulling_the_plug_and_putting_it_back() -> None:
    driver, chip, buses = make(channels=("a0",))
    driver.open()
    buses.fake_i2c(1).detach(0x48)
    with pytest.raises(NotResponding, match="nothing answers at 0x48"):
        driver.read()
    driver.close()
    with pytest.raises(NotResponding, match="nothing answers at 0x48"):
        driver.open()
    buses.fake_i2c(1).attach(0x48, chip)
    chip.words[CONVERSION] = 0
    driver.open()
    assert driver.read() == {"a0": 0.25}


def test_lane_and_claim() -> None:
    config = ADS1115.Config(address=0x4B, bus=4)
    assert ADS1115(config, SimulatedBuses()).lane == "i2c-4"
    assert config.claims() == {"i2c 4 0x4b"}


def test_decode_is_symmetric_about_zero() -> None:
    assert decode(b"\xc0\x00", 1.024)["voltage"] == -decode(b"\x40\x00", 1.024)["voltage"] == -0.512
