"""DS18B20: the kernel's file, checksums, and 85 °C."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.base import BadData, NotResponding
from devices.ds18b20 import DS18B20, SERIAL, FakeDS18B20, crc8, decode
from devices.fake import SimulatedBuses
from tests.devices.vector import Vector

SERIAL_1, SERIAL_2 = "28-0316a4be59ff", "28-000005e2fdc3"


def text(word: int, millidegrees: int) -> str:
    """The kernel's two lines around a temperature register."""
    pad = bytes([word & 0xFF, word >> 8, 0x4B, 0x46, 0x7F, 0xFF, 0x0C, 0x10])
    line = f"{pad.hex(' ')} {crc8(pad):02x}"
    return f"{line} : crc={crc8(pad):02x} YES\n{line} t={millidegrees}\n"


# The datasheet's table of temperatures and register words; the kernel gives them in thousandths, cut off.
TABLE = [
    (0x07D0, 125_000, 125.0),
    (0x0550, 85_000, 85.0),
    (0x0191, 25_062, 25.0625),
    (0x00A2, 10_125, 10.125),
    (0x0008, 500, 0.5),
    (0x0000, 0, 0.0),
    (0xFFF8, -500, -0.5),
    (0xFF5E, -10_125, -10.125),
    (0xFE6F, -25_062, -25.0625),
    (0xFC90, -55_000, -55.0),
]
VECTORS = [
    Vector((text(word, milli),), {"temperature": celsius}, f"19-7487, table 1, word {word:04X}h", 0.001)
    for word, milli, celsius in TABLE
]


def make() -> tuple[DS18B20, FakeDS18B20, SimulatedBuses]:
    buses = SimulatedBuses()
    config = DS18B20.Config(serial=SERIAL_1)
    buses.install(DS18B20, config)
    return DS18B20(config, buses), buses.parts[config], buses


def after_first(sensor: FakeDS18B20, monkeypatch: pytest.MonkeyPatch, **second: object) -> None:
    """The file changes once it has been read."""
    original = Path.read_text

    def read_once(path: Path, *args: object) -> str:
        result = original(path)
        sensor.set(**second)  # type: ignore[arg-type]
        return result

    monkeypatch.setattr(Path, "read_text", read_once)


@pytest.mark.parametrize(("word", "millidegrees", "celsius"), TABLE)
def test_the_stand_in_writes_the_datasheets_words(word: int, millidegrees: int, celsius: float) -> None:
    _, sensor, buses = make()
    sensor.set(celsius)
    written = (sensor.folder / "w1_slave").read_text()
    assert written.startswith(f"{word & 0xFF:02x} {word >> 8:02x} ") and written.endswith(f"t={millidegrees}\n")
    buses.close()


def test_the_checksum_is_that_of_the_rom_in_the_application_note() -> None:
    # Maxim application note 27: ROM 02 1C B8 01 00 00 00 has the CRC A2
    assert crc8(bytes.fromhex("021cb801000000")) == 0xA2


@given(st.text(max_size=200))
@settings(deadline=None)  # a busy machine is no failure
def test_any_text_is_a_temperature_or_bad_data(noise: str) -> None:
    with pytest.raises(BadData):
        decode(noise)


def test_reads_what_the_sensor_measures() -> None:
    driver, sensor, buses = make()
    driver.open()
    sensor.set(-12.25)
    assert driver.read() == {"temperature": -12.25}
    buses.close()


def test_a_wrong_checksum_is_bad_data() -> None:
    driver, sensor, buses = make()
    driver.open()
    sensor.set(21.0, crc="NO")
    with pytest.raises(BadData, match="checksum"):
        driver.read()
    buses.close()


def test_85_degrees_that_two_readings_agree_on_are_true() -> None:
    driver, sensor, buses = make()
    sensor.set(85.0)
    driver.open()
    assert driver.read() == {"temperature": 85.0}
    buses.close()


def test_85_degrees_that_the_next_reading_does_not_know_were_the_power_on_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driver, sensor, buses = make()
    sensor.set(85.0, converted=False)
    driver.open()
    after_first(sensor, monkeypatch, celsius=21.5)
    with pytest.raises(BadData, match="supply is unsteady"):
        driver.read()
    assert driver.read() == {"temperature": 21.5}
    buses.close()


def test_85_degrees_twice_without_a_conversion_are_no_measurement() -> None:
    driver, sensor, buses = make()
    sensor.set(85.0, converted=False)
    driver.open()
    with pytest.raises(BadData, match="too little power"):
        driver.read()
    buses.close()


def test_a_missing_sensor_is_told_with_those_that_are_there() -> None:
    driver, sensor, buses = make()
    buses.install(DS18B20, DS18B20.Config(serial=SERIAL_2))
    driver.open()
    sensor.unplug()
    with pytest.raises(NotResponding, match=f"no sensor {SERIAL_1} .*; there: {SERIAL_2}$"):
        driver.read()
    sensor.plug(3.0)
    driver.open()
    assert driver.read() == {"temperature": 3.0}
    buses.close()


def test_an_empty_wire_says_what_to_check() -> None:
    driver, sensor, buses = make()
    sensor.unplug()
    with pytest.raises(NotResponding, match="none at all: check DQ"):
        driver.open()
    buses.close()


def test_an_empty_file_is_a_sensor_that_does_not_answer() -> None:
    driver, sensor, buses = make()
    driver.open()
    (sensor.folder / "w1_slave").write_text("")
    with pytest.raises(NotResponding, match="does not answer"):
        driver.read()
    buses.close()


@pytest.mark.parametrize("serial", [SERIAL_1, "10-000802b4ba0e", "3b-0000001a2b3c"])
def test_serials_of_the_family(serial: str) -> None:
    assert re.fullmatch(SERIAL, serial)


@pytest.mark.parametrize("serial", ["28-0316A4BE59FF", "29-0316a4be59ff", "28-0316a4be59f", "../28-0316a4be59ff"])
def test_serials_of_others(serial: str) -> None:
    assert not re.fullmatch(SERIAL, serial)
