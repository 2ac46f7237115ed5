"""MCP9808: the bytes of the temperature register, ids, resolution, and the Alert bits that are no part of a number."""

from __future__ import annotations

import pytest

import devices
from devices.base import NotResponding
from devices.fake import SimulatedBuses
from devices.mcp9808 import (
    CONFIGURATION,
    CRITICAL,
    DEVICE,
    LOWER,
    MANUFACTURER,
    MCP9808,
    RESOLUTION,
    TEMPERATURE,
    UPPER,
    FakeMCP9808,
    decode,
)
from tests.devices.vector import Vector

WEIGHTS = "computed by the bit weights of register 5-4 (DS25095A page 24)"
VECTORS = [
    Vector((b"\x00\x00",), {"temperature": 0.0}, WEIGHTS),
    Vector((b"\x00\x01",), {"temperature": 0.0625}, WEIGHTS + ": the last bit"),
    Vector((b"\x01\x94",), {"temperature": 25.25}, "computed by equation 5-1: 0x01 × 16 + 0x94 / 16"),
    Vector((b"\x07\xd0",), {"temperature": 125.0}, "computed by equation 5-1: 0x07 × 16 + 0xd0 / 16"),
    Vector((b"\x1f\xff",), {"temperature": -0.0625}, WEIGHTS + ", two's complement"),
    Vector((b"\x1e\x6c",), {"temperature": -25.25}, WEIGHTS + ", two's complement"),
    Vector((b"\x1d\x80",), {"temperature": -40.0}, WEIGHTS + ", two's complement"),
    Vector((b"\xc1\x94",), {"temperature": 25.25}, "section 5.1.3.1: bits 15 to 13 are masked out"),
    Vector((b"\x3e\x6c",), {"temperature": -25.25}, "section 5.1.3.1: bits 15 to 13 are masked out"),
]


def make(resolution: str = "0.5") -> tuple[devices.Driver, FakeMCP9808, SimulatedBuses]:
    buses = SimulatedBuses()
    config = MCP9808.Config(resolution=resolution)  # type: ignore[arg-type]
    driver = devices.build(MCP9808, config, buses)
    return driver, buses.parts[config], buses


@pytest.mark.parametrize(
    ("resolution", "celsius", "reported"),
    [
        ("0.5", 21.9375, 21.5),
        ("0.25", 21.9375, 21.75),
        ("0.125", 21.9375, 21.875),
        ("0.0625", 21.9375, 21.9375),
        ("0.0625", -39.9375, -39.9375),
        ("0.5", -12.5, -12.5),
        ("0.5", 125, 125),
        ("0.5", -40, -40),
    ],
)
def test_reads_what_the_chip_measures(resolution: str, celsius: float, reported: float) -> None:
    driver, chip, _ = make(resolution)
    chip.temperature = celsius
    driver.open()
    assert driver.read() == {"temperature": reported}
    MCP9808.FIELDS[0].value(reported)


@pytest.mark.parametrize(("celsius", "bits"), [(10.0, 0b001), (20.0, 0b000), (30.0, 0b010), (50.0, 0b110)])
def test_the_alert_bits_do_not_touch_the_temperature(celsius: float, bits: int) -> None:
    driver, chip, _ = make()
    for register, limit in ((LOWER, 15), (UPPER, 25), (CRITICAL, 45)):
        chip.words[register] = limit << 4
    chip.temperature = celsius
    driver.open()
    assert driver.read() == {"temperature": celsius}
    assert chip.words[TEMPERATURE] >> 13 == bits


def test_a_chip_that_was_shut_down_is_woken_and_keeps_its_alert_settings() -> None:
    driver, chip, _ = make()
    chip.words[CONFIGURATION] = 0x010B
    driver.open()
    assert chip.words[CONFIGURATION] == 0x000B
    assert driver.read() == {"temperature": 21.5}


def test_the_resolution_is_written_as_one_byte() -> None:
    driver, chip, _ = make("0.25")
    driver.open()
    assert chip.words[RESOLUTION] >> 8 == 1


@pytest.mark.parametrize(("register", "value"), [(MANUFACTURER, 0x1131), (DEVICE, 0x0200)])
def test_another_chip_at_the_address_is_refused_by_name(register: int, value: int) -> None:
    driver, chip, _ = make()
    chip.words[register] = value
    with pytest.raises(NotResponding, match=f"0x{value:04x}.*no MCP9808"):
        driver.open()


def test_a_later_revision_of_the_chip_is_welcome() -> None:
    driver, chip, _ = make()
    chip.words[DEVICE] = 0x0401
    driver.open()
    assert driver.read() == {"temperature": 21.5}


def test_pulling_the_plug_and_putting_it_back() -> None:
    driver, chip, buses = make()
    driver.open()
    buses.fake_i2c(1).detach(0x18)
    with pytest.raises(NotResponding, match="nothing answers at 0x18"):
        driver.read()
    driver.close()
    with pytest.raises(NotResponding, match="nothing answers at 0x18"):
        driver.open()
    buses.fake_i2c(1).attach(0x18, chip)
    driver.open()
    assert driver.read() == {"temperature": 21.5}


def test_lane_and_claim() -> None:
    config = MCP9808.Config(address=0x1F, bus=5)
    assert MCP9808(config, SimulatedBuses()).lane == "i2c-5"
    assert config.claims() == {"i2c 5 0x1f"}


def test_decode_reaches_both_ends() -> None:
    assert decode(b"\x0f\xff") == {"temperature": 255.9375}
    assert decode(b"\x10\x00") == {"temperature": -256.0}
