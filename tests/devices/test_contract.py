"""What every driver must keep, whoever wrote it: on its stand-in here, on real parts with `--hardware FILE`."""

from __future__ import annotations

import importlib
import re
from dataclasses import MISSING, fields, is_dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import devices
from devices.base import Config, Driver, FieldSpec, OutputDriver, Value
from devices.fake import SimulatedBuses
from devices.mqtt_payloads import Field
from tests.devices.vector import Vector

DRIVERS = list(devices.drivers())
MODULES = devices.modules()


EXAMPLES: dict[str, Any] = {
    "pin": 17, "trigger": 23, "echo": 24, "address": 0x48, "serial": "28-0316a4be59ff",
    "fields": {"temperature": Field(topic="zigbee2mqtt/air", unit="°C")},
}  # fmt: skip


def config_of(driver: type[Driver]) -> Config:
    """Settings with an example value for each that has no default."""
    needed = [f.name for f in fields(driver.Config) if f.default is MISSING and f.default_factory is MISSING]
    return driver.Config(**{name: EXAMPLES[name] for name in needed})


def open_driver(driver: Driver) -> None:
    if isinstance(driver, OutputDriver):
        driver.open_with(driver.states["off"])
    else:
        driver.open()


@pytest.fixture(params=DRIVERS, ids=lambda d: d.NAMES[0])
def part(request: pytest.FixtureRequest) -> Any:
    buses = SimulatedBuses()
    driver = devices.build(request.param, config_of(request.param), buses)
    yield driver
    driver.close()
    buses.close()


@pytest.mark.parametrize("driver", DRIVERS, ids=lambda d: d.NAMES[0])
def test_is_declared_in_full(driver: type[Driver]) -> None:
    assert driver.NAMES and all(re.fullmatch(r"[a-z0-9-]+", name) for name in driver.NAMES)
    assert len(driver.TITLE) > 10 and driver.DATASHEET
    assert is_dataclass(driver.Config) and issubclass(driver.Config, Config)
    assert devices.find(driver.NAMES[0]) is driver


def test_names_are_unique() -> None:
    names = [name for driver in DRIVERS for name in driver.NAMES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("module", MODULES)
def test_decodes_the_worked_examples_of_its_datasheet(module: str) -> None:
    if module == "simulated":
        return  # it has no wire format to decode; tests/devices/test_simulated.py holds its behaviour
    decode = importlib.import_module(f"devices.{module}").decode
    vectors: list[Vector] = importlib.import_module(f"tests.devices.test_{module}").VECTORS
    assert vectors
    for vector in vectors:
        result = decode(*vector.arguments)
        if vector.tolerance:
            assert result == pytest.approx(vector.expected, abs=vector.tolerance), vector.source
        else:
            assert result == vector.expected, vector.source


def test_reads_its_declared_fields_within_their_limits(part: Driver) -> None:
    open_driver(part)
    specs: dict[str, FieldSpec] = {spec.name: spec for spec in part.fields}
    assert len(specs) == len(part.fields)
    raw = part.read()
    assert raw and set(raw) <= set(specs)
    for name, value in raw.items():
        checked: Value = specs[name].value(value)
        if isinstance(checked, Decimal):
            assert -checked.as_tuple().exponent == specs[name].decimals  # type: ignore[operator]


def test_opens_again_after_a_close_and_closes_twice(part: Driver) -> None:
    open_driver(part)
    part.close()
    part.close()
    open_driver(part)
    assert part.read()


def test_every_parameter_is_written_and_read_back(part: Driver) -> None:
    if not isinstance(part, OutputDriver):
        assert not hasattr(part, "PARAMETERS")
        return
    assert set(part.states) >= {"off", "on"}
    specs = {p.name: p for p in part.parameters}
    for state in part.states.values():
        for name, value in state.items():
            specs[name].check(value)
    if not specs:
        return
    for name in ("on", "off"):
        part.open_with(part.states["off"])
        part.write(part.states[name])
        back = part.read()
        for parameter, value in part.states[name].items():
            assert back[specs[parameter].read_back] == value


def test_only_the_bus_room_knows_hardware_libraries() -> None:
    room = Path(devices.__file__).parent
    for file in room.glob("*.py"):
        if file.name in ("bus.py", "fake.py"):
            continue
        assert not re.search(r"^\s*(?:import|from)\s+(gpiozero|smbus2|spidev|lgpio)", file.read_text(), re.M), file
