"""Interlocks: an output leaves its safe state only while what it requires holds, and goes back when it does not."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import devices
from devices.base import FieldSpec, NotResponding, OutputDriver, ValueType
from devices.fake import SimulatedBuses, drive
from hub.config.file import parse
from hub.config.things import interval_of
from hub.errors import ConfigError, Conflict
from hub.things.actuation import Guard, Policy
from hub.things.interlock import Condition, unmet
from hub.things.memory import OutputMemory
from hub.things.sampler import Sampler, Station
from hub.things.thing import Description, Thing
from tests.helpers import until

NOW = dt.datetime(2026, 11, 21, 8, 0, tzinfo=dt.UTC)
OFF, ON = {"output": False}, {"output": True}


def valve(is_open: bool | None, age_s: float = 0) -> dict[str, Thing]:
    thing = Thing(Description("valve", fields=(FieldSpec("output", ValueType.BOOLEAN),)))
    if is_open is not None:
        thing.measured_at({"output": is_open}, NOW - dt.timedelta(seconds=age_s))
    return {"valve": thing}


@pytest.mark.parametrize(
    ("text", "things", "reason"),
    [
        ("valve.output", valve(True), None),
        ("valve.output", valve(False), "does not hold"),
        ("not valve.output", valve(False), None),
        ("not valve.output", valve(True), "does not hold"),
        ("valve.output", valve(None), "is not known"),
        ("valve.output", {}, "is not known"),
        ("valve.output", valve(True, age_s=31), "not been measured lately"),
    ],
)
def test_what_is_not_known_or_too_old_does_not_hold(text: str, things: dict[str, Thing], reason: str | None) -> None:
    condition = Condition.parse(text)
    found = unmet((Condition(condition.thing, condition.field, condition.wanted, max_age=30),), things, NOW)
    assert (found is None) == (reason is None)
    assert reason is None or reason in str(found)


def test_a_part_that_fails_no_longer_holds() -> None:
    things = valve(True)
    things["valve"].failed(NotResponding("gone"), NOW)
    assert unmet((Condition.parse("valve.output"),), things, NOW) == "valve.output is not known: gone"


def test_a_guard_refuses_to_leave_the_safe_state_but_not_to_return_to_it() -> None:
    guard = Guard(Policy(OFF, OFF, OFF, requires=(Condition.parse("valve.output"),)), now=0)
    assert guard.opening_state({}, 0) == OFF
    guard.interlock("valve.output does not hold")
    assert guard.refuses(ON) == "valve.output does not hold"
    assert guard.refuses(OFF) is None
    guard.interlock(None)
    assert guard.refuses(ON) is None


def test_an_open_interlock_at_boot_means_the_safe_state_whatever_is_remembered() -> None:
    guard = Guard(Policy(None, OFF, OFF, requires=(Condition.parse("valve.output"),)), now=0)
    guard.interlock("valve.output is not known")
    assert guard.opening_state(ON, 0) == OFF


@asynccontextmanager
async def pump_and_valve(folder: Path, listener: list[str]) -> AsyncIterator[tuple[Sampler, SimulatedBuses]]:
    """A pump on GPIO 17 that needs the valve on GPIO 27 open and no high water on GPIO 22."""
    file = parse(
        """
        [xmpp]
        jid = "a@b"
        password_file = "/x"
        [things.valve]
        driver = "relay"
        pin = 27
        interval = "50ms"
        [things.full]
        driver = "digital-input"
        pin = 22
        interval = "50ms"
        debounce = "1ms"
        [things.pump]
        driver = "relay"
        pin = 17
        requires = ["valve.output", "not full.input"]
        """
    )
    buses = SimulatedBuses()
    sampler = Sampler(OutputMemory(folder / "outputs.json"), lambda thing: listener.append(thing.name))
    for thing in file.things.values():
        driver = devices.build(thing.driver, thing.settings, buses)
        parameters = driver.parameters if isinstance(driver, OutputDriver) else ()
        policy = Policy(thing.boot, thing.safe, OFF, requires=thing.requires) if thing.output else None
        station = Station(Thing(Description(thing.name, fields=driver.fields, parameters=parameters)), driver,
                          interval_of(thing), policy)  # fmt: skip
        sampler.add(station)
    try:
        await until(lambda: all(station.thing.measured for station in sampler.stations.values()))
        yield sampler, buses
    finally:
        await sampler.stop()
        buses.close()


async def test_the_pump_runs_only_while_the_valve_is_open(tmp_path: Path) -> None:
    async with pump_and_valve(tmp_path, []) as (sampler, buses):
        with pytest.raises(Conflict, match=r"valve\.output does not hold"):
            await sampler.write("pump", ON)
        assert not buses.pin(17).state
        await sampler.write("valve", ON)
        await sampler.write("pump", ON)
        assert buses.pin(17).state
        await sampler.write("valve", OFF)
        await until(lambda: not buses.pin(17).state)


async def test_a_sensor_can_stop_an_output(tmp_path: Path) -> None:
    async with pump_and_valve(tmp_path, []) as (sampler, buses):
        await sampler.write("valve", ON)
        await sampler.write("pump", ON)
        await asyncio.to_thread(drive, buses.pin(22), True)
        await until(lambda: not buses.pin(17).state)
        with pytest.raises(Conflict, match=r"not full\.input does not hold"):
            await sampler.write("pump", ON)


@pytest.mark.parametrize(
    ("requires", "right"),
    [
        ('["valv.output"]', "another thing of this file"),
        ('["pump.output"]', "another thing of this file"),
        ('["valve.level"]', "a true-or-false field of valve: output"),
        ('["valve"]', "a condition like"),
    ],
)
def test_a_condition_must_name_a_switch_that_exists(requires: str, right: str) -> None:
    with pytest.raises(ConfigError, match=right):
        parse(
            f"""
            [xmpp]
            jid = "a@b"
            password_file = "/x"
            [things.valve]
            driver = "relay"
            pin = 27
            [things.pump]
            driver = "relay"
            pin = 17
            requires = {requires}
            """
        )
