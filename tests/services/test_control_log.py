"""Commands while the log of commands cannot be written: into a safe state always, anything else never."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import devices
from devices.base import ValueType
from devices.fake import SimulatedBuses
from hub.errors import StoreError
from hub.services.control import Control
from hub.things.actuation import Policy
from hub.things.memory import OutputMemory
from hub.things.model import Assignment, Command, NodeRef
from hub.things.sampler import Sampler, Station
from hub.things.thing import Description, Thing
from hub.trust.access import AccessLists
from tests.helpers import until

WHO = "owner@localhost/phone"
OFF, ON = {"output": False}, {"output": True}


@dataclass
class Log:
    """A recorder whose disk takes nothing from who waits for it."""

    lines: list[tuple[str, str]] = field(default_factory=list)

    def record(self, who: str, what: str, rule: str, answer: str) -> None:
        self.lines.append((what, answer))

    async def record_now(self, who: str, what: str, rule: str, answer: str) -> None:
        raise StoreError("the disk is full")


@dataclass
class Plant:
    control: Control
    things: dict[str, Thing]
    log: Log

    async def set(self, value: bool, *names: str) -> None:
        assignment = Assignment("output", value, ValueType.BOOLEAN)
        await self.control.carry_out(WHO, Command(tuple(map(NodeRef, names)), (assignment,)))


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[Plant]:
    """A pump and a valve that are safe when they are off, a lamp that stays as it is; all of them are on."""
    sampler = Sampler(OutputMemory(tmp_path / "outputs.json"), lambda _: None)
    buses, things = SimulatedBuses(), {}
    driver_type = devices.find("relay")
    for pin, (name, safe) in enumerate({"pump": OFF, "valve": OFF, "lamp": None}.items(), 17):
        driver = driver_type(driver_type.Config(pin=pin), buses)
        things[name] = Thing(Description(name, "", driver.fields, driver.parameters))
        sampler.add(Station(things[name], driver, 60, Policy(ON, safe, OFF)))
    log = Log()
    judge = AccessLists(control=("owner@localhost",))
    await until(lambda: all(thing.values == ON for thing in things.values()), "everything is on")
    yield Plant(Control(things, sampler, lambda: judge, log), things, log)
    await sampler.stop()


async def test_a_command_into_the_safe_state_is_carried_out_and_recorded(plant: Plant) -> None:
    await plant.set(False, "pump", "valve")
    assert plant.things["pump"].values == OFF == plant.things["valve"].values
    assert plant.log.lines == [("set pump, valve: output=false", "allowed"), ("set pump, valve: output=false", "done")]


async def test_any_other_command_is_refused_and_moves_nothing(plant: Plant) -> None:
    for value, names in ((True, ["pump"]), (False, ["lamp"]), (False, ["pump", "lamp"])):
        with pytest.raises(StoreError, match="full"):
            await plant.set(value, *names)
    assert all(thing.values == ON for thing in plant.things.values())
    assert [answer for _, answer in plant.log.lines] == ["StoreError: the disk is full"] * 3
    await plant.set(False, "pump")
    with pytest.raises(StoreError):
        await plant.set(True, "pump")
    assert plant.things["pump"].values == OFF
