"""The drivers' contract on real parts: `pytest --hardware my.toml tests/devices/test_hardware.py`.

Each [things.NAME] of the file is one part. Keys that are no setting of its driver are the hub's and not looked at.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

import devices
from devices.base import Config, DeviceError, Driver, OutputDriver
from devices.bus import Buses
from devices.fake import SimulatedBuses
from devices.settings import make_config, settings_of

READINGS = 20


@dataclass(frozen=True)
class Part:
    name: str
    kind: type[Driver]
    config: Config

    @property
    def acts(self) -> bool:
        return issubclass(self.kind, OutputDriver)


def parts_of(config: pytest.Config) -> list[Part]:
    file = config.getoption("--hardware")
    try:
        things = tomllib.loads(file.read_text()).get("things", {})
        parts = []
        for name, table in things.items():
            kind = devices.find(table["driver"])
            settings = {key: table[key] for key in settings_of(kind.Config) if key in table}
            parts.append(Part(name, kind, make_config(kind.Config, settings)))
    except (OSError, tomllib.TOMLDecodeError, DeviceError) as error:
        raise pytest.UsageError(f"--hardware {file}: {error}") from None
    except (KeyError, TypeError, AttributeError):
        raise pytest.UsageError(f"--hardware {file}: each [things.NAME] needs a driver") from None
    wanted = [part for part in parts if not part.acts or config.getoption("--drive-outputs")]
    if not wanted:
        raise pytest.UsageError(f"--hardware {file}: nothing to test; outputs need --drive-outputs")
    return wanted


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "part" in metafunc.fixturenames:
        metafunc.parametrize("part", parts_of(metafunc.config), ids=lambda part: part.name)


@pytest.fixture(scope="session")
def buses(pytestconfig: pytest.Config) -> Iterator[Buses]:
    buses = SimulatedBuses() if pytestconfig.getoption("--hardware-simulate") else Buses()
    yield buses
    buses.close()


@pytest.fixture
def driver(part: Part, buses: Buses) -> Iterator[Driver]:
    driver = devices.build(part.kind, part.config, buses)
    yield driver
    if isinstance(driver, OutputDriver) and driver.parameters:
        driver.open_with(driver.states["off"])
    driver.close()


def check(driver: Driver) -> None:
    specs = {spec.name: spec for spec in driver.fields}
    raw = driver.read()
    assert raw and set(raw) <= set(specs)
    for name, value in raw.items():
        specs[name].value(value)


def test_reads_its_fields_within_their_limits(driver: Driver) -> None:
    driver.open()
    check(driver)


def test_reads_again_and_again(driver: Driver) -> None:
    driver.open()
    for _ in range(READINGS):
        check(driver)


def test_opens_again_after_a_close(driver: Driver) -> None:
    driver.open()
    driver.close()
    driver.close()
    driver.open()
    check(driver)


def test_reads_back_what_is_written(driver: Driver) -> None:
    driver.open()
    if isinstance(driver, OutputDriver):
        fields = {p.name: p.read_back for p in driver.parameters}
        for state in ("on", "off"):
            driver.write(driver.states[state])
            back = driver.read()
            assert {name: back[fields[name]] for name in driver.states[state]} == driver.states[state]
    check(driver)
