"""A sampler on parts that exist only in software, with waits short enough for tests."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import devices
from devices.base import Driver, OutputDriver, Value
from devices.fake import SimulatedBuses
from devices.relay import Relay
from devices.simulated import Simulated
from hub.things import sampler as module
from hub.things.actuation import Policy
from hub.things.memory import OutputMemory
from hub.things.sampler import Sampler, Station
from hub.things.thing import Description, Thing
from tests.helpers import until

PIN = 17
OFF: Mapping[str, Value] = {"output": False}
ON: Mapping[str, Value] = {"output": True}
NEVER = 3600.0  # an interval or time-out that no test waits for


class Bench:
    """Builds things and remembers what the sampler told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trace = folder / "pins"
        self.memory = folder / "outputs.json"
        self.buses = SimulatedBuses(self.trace)
        self.told: list[tuple[str, dict[str, Value], str]] = []
        self.sampler = self.new_sampler()

    def new_sampler(self) -> Sampler:
        def told(thing: Thing) -> None:
            self.told.append((thing.name, dict(thing.values), thing.trouble.text if thing.trouble else ""))

        return Sampler(OutputMemory(self.memory), told, lambda: dt.datetime.now(dt.UTC))

    def restart(self) -> None:
        """As after a power cut: nobody was stopped, and pins and files are as they were left."""
        self.buses = SimulatedBuses(self.trace)
        self.sampler = self.new_sampler()

    def add(self, driver: Driver, name: str = "thing", interval: float = 0.01, policy: Policy | None = None) -> Thing:
        parameters = driver.parameters if isinstance(driver, OutputDriver) else ()
        thing = Thing(Description(name, fields=driver.fields, parameters=parameters))
        if policy is None and isinstance(driver, OutputDriver):
            policy = Policy({}, None, {})
        self.sampler.add(Station(thing, driver, interval, policy))
        return thing

    def simulated(self, **settings: Any) -> Simulated:
        driver = devices.build(Simulated, Simulated.Config(**settings), self.buses)
        assert isinstance(driver, Simulated)
        return driver

    async def relay(self, policy: Policy, interval: float = 0.01, **settings: Any) -> Thing:
        """A relay that has been claimed and read."""
        driver = devices.build(Relay, Relay.Config(pin=PIN, **settings), self.buses)
        thing = self.add(driver, "relay", interval, policy)
        await until(lambda: thing.measured)
        return thing

    def changes(self) -> list[tuple[str, float]]:
        """Every change of the pin since the beginning: its function and level."""
        lines = self.trace.read_text().splitlines() if self.trace.exists() else []
        return [(function, float(level)) for _, pin, function, level in map(str.split, lines) if int(pin) == PIN]

    def level(self) -> float | None:
        changes = self.changes()
        return changes[-1][1] if changes else None


def policy(
    boot: Mapping[str, Value] | None = OFF, safe: Mapping[str, Value] | None = OFF, **times: float
) -> Policy:
    return Policy(boot, safe, OFF, **times)


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr(module, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(module, "LAST_RETRY_S", 0.05)
    monkeypatch.setattr(module, "CALL_TIMEOUT_S", 0.2)
    monkeypatch.setattr(module, "STOP_TIMEOUT_S", 0.2)
    monkeypatch.setattr(Sampler._call, "__defaults__", (0.2,))  # CALL_TIMEOUT_S as it was when the class was made
    made = Bench(tmp_path)
    yield made
    for station in made.sampler.stations.values():
        if isinstance(station.driver, Simulated):
            station.driver.fault = "none"
            station.driver.released.set()
    await made.sampler.stop()
    made.buses.close()
