"""MCP3008 and MCP3208: frames, and a socket without a chip."""

from __future__ import annotations

import pytest

import devices
from devices.base import BadData, BusUnavailable, Driver
from devices.fake import SimulatedBuses
from devices.mcp3008 import MCP3008, MCP3208, FakeMCP3xxx, encode
from tests.devices.vector import Vector

VECTORS = [
    Vector((bytes([0xFF, 0xF8 | 0b010, 0x00]), 10, 5.0), 2.5, "DS21295D section 4.2: code 512 of 1024 is half of VREF"),
    Vector((bytes([0xFF, 0xF8 | 0b011, 0xFF]), 10, 3.3), 3.3 * 1023 / 1024, "DS21295D section 4.2: full scale", 1e-9),
    Vector((bytes([0x00, 0x00, 0x01]), 10, 1.024), 0.001, "DS21295D section 4.2: LSB size = VREF / 1024", 1e-9),
    Vector((bytes([0xFF, 0xE8, 0x00]), 12, 5.0), 2.5, "DS21298E section 4.2: code 2048 of 4096 is half of VREF"),
    Vector((bytes([0x00, 0x00, 0x01]), 12, 4.096), 0.001, "DS21298E section 4.2: LSB size = VREF / 4096", 1e-9),
]


def make(kind: type[MCP3008], **settings: object) -> tuple[Driver, FakeMCP3xxx]:
    buses = SimulatedBuses()
    config = kind.Config(**settings)  # type: ignore[arg-type]
    return devices.build(kind, config, buses), buses.parts[config]


@pytest.mark.parametrize(
    ("channel", "bits", "differential", "frame"),
    [  # figures 6-1: start bit last in the first byte (10 bits), or with SGL/DIFF and D2 behind it (12 bits)
        (0, 10, False, "00000001 10000000 00000000"),
        (5, 10, False, "00000001 11010000 00000000"),
        (7, 10, False, "00000001 11110000 00000000"),
        (3, 10, True, "00000001 00110000 00000000"),
        (0, 12, False, "00000110 00000000 00000000"),
        (5, 12, False, "00000111 01000000 00000000"),
        (6, 12, True, "00000101 10000000 00000000"),
    ],
)
def test_asks_as_the_datasheet_draws_it(channel: int, bits: int, differential: bool, frame: str) -> None:
    sent = encode(channel, bits, differential)
    assert " ".join(f"{byte:08b}" for byte in sent) == frame


@pytest.mark.parametrize("kind", [MCP3008, MCP3208])
def test_every_channel_is_its_own(kind: type[MCP3008]) -> None:
    driver, chip = make(kind)
    driver.open()
    step = chip.vref / (1 << kind.BITS)
    assert driver.read() == pytest.approx({f"a{n}": volts for n, volts in chip.volts.items()}, abs=step)
    chip.volts[4] = 3.3
    assert driver.read()["a4"] == pytest.approx(3.3, abs=2 * step)


def test_only_the_channels_asked_for_are_read() -> None:
    driver, _ = make(MCP3008, channels=(6, 1))
    driver.open()
    assert [spec.name for spec in driver.fields] == list(driver.read()) == ["a6", "a1"]


def test_differential_is_against_the_neighbour_and_never_negative() -> None:
    driver, chip = make(MCP3208, channels=(2, 3), differential=True)
    chip.volts[2], chip.volts[3] = 1.0, 2.5
    driver.open()
    assert driver.read() == pytest.approx({"a2": 0.0, "a3": 1.5}, abs=0.001)


def test_the_stand_in_goes_on_backwards_after_the_result() -> None:
    chip = FakeMCP3xxx(10, 1.024)
    chip.volts[0] = 0.7234  # code 723
    code = f"{723:010b}"
    answer = chip.transfer(bytes([0b11000000, 0, 0, 0]))  # start bit first: the result is over after 17 clocks
    bits = f"{int.from_bytes(answer, 'big'):032b}"
    assert bits[6:] == "0" + code + code[-2::-1] + "000000"


def test_an_empty_socket_is_told_not_measured() -> None:
    driver, chip = make(MCP3008)
    driver.open()
    chip.present = False
    with pytest.raises(BadData, match="no converter answers"):
        driver.read()
    driver.close()
    with pytest.raises(BadData):
        driver.open()
    chip.present = True
    driver.open()


def test_another_select_has_another_chip() -> None:
    buses = SimulatedBuses()
    devices.build(MCP3008, MCP3008.Config(select=1), buses)
    with pytest.raises(BusUnavailable):
        MCP3008(MCP3008.Config(select=0), buses).open()
    assert MCP3008.Config(select=1).claims() == {"spi 0.1"}


def test_channels_must_be_there_once() -> None:
    assert set(MCP3008.Config(channels=(1, 1)).problems()) == {"channels"}
    assert set(MCP3008.Config(channels=()).problems()) == {"channels"}
    assert not MCP3008.Config().problems()
