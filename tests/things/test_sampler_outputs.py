"""Outputs under the sampler, on simulated pins that keep their level when the process is gone."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from devices.base import NotResponding, Value
from devices.relay import Relay
from devices.simulated import Simulated
from hub.errors import ActuatorError
from hub.things import memory as memory_module
from hub.things.actuation import Policy
from hub.things.thing import Thing
from tests.helpers import turns, until
from tests.things.conftest import NEVER, OFF, ON, Bench, policy

LOW, HIGH = ("output", 0.0), ("output", 1.0)


async def switch(bench: Bench, state: Mapping[str, Value], name: str = "relay") -> None:
    await bench.sampler.write(name, state)


def remembered(bench: Bench) -> Any:
    return json.loads(bench.memory.read_text()) if bench.memory.exists() else None


# --------------------------------------------------------------------------- start


@pytest.mark.parametrize(("boot", "active_high", "first"), [
    (OFF, True, LOW), (ON, True, HIGH), (OFF, False, HIGH), (ON, False, LOW),
])  # fmt: skip
async def test_the_pin_becomes_an_output_at_its_boot_level_and_nothing_flips(
    bench: Bench, boot: Mapping[str, Value], active_high: bool, first: tuple[str, float]
) -> None:
    thing = await bench.relay(policy(boot), active_high=active_high)
    assert thing.values == boot
    assert bench.changes() == [first]


async def test_a_restart_with_the_output_on_does_not_flip_it(bench: Bench) -> None:
    thing = await bench.relay(policy(boot=None))
    await switch(bench, ON)
    assert bench.changes() == [LOW, HIGH]
    old = bench.sampler
    for station in old.stations.values():  # killed: nobody drives anything any more
        assert station.task is not None
        station.task.cancel()
        await asyncio.gather(station.task, return_exceptions=True)
    old.stations.clear()
    bench.restart()
    thing = await bench.relay(policy(boot=None))
    assert thing.values == ON
    assert bench.changes() == [LOW, HIGH]


async def test_restore_after_a_clean_stop_brings_back_the_last_command(bench: Bench) -> None:
    await bench.relay(policy(boot=None))
    await switch(bench, ON)
    await bench.sampler.stop()
    assert bench.level() == 0.0  # safe while nobody is here
    bench.restart()
    thing = await bench.relay(policy(boot=None))
    assert thing.values == ON and bench.changes() == [LOW, HIGH, LOW, HIGH]


async def test_restore_without_a_memory_starts_in_the_fallback(bench: Bench) -> None:
    bench.memory.write_bytes(b"\0\0\0")
    bench.restart()
    assert (await bench.relay(policy(boot=None))).values == OFF


# --------------------------------------------------------------------------- commands


async def test_what_is_reported_is_what_was_read_back(bench: Bench) -> None:
    thing = await bench.relay(policy(), interval=NEVER)
    await switch(bench, ON)
    assert thing.values == ON and bench.level() == 1.0
    assert bench.told[-1] == ("relay", ON, "") or bench.told[-2] == ("relay", ON, "")


async def test_only_restore_writes_to_the_disk(bench: Bench) -> None:
    await bench.relay(policy(boot=OFF))
    await switch(bench, ON)
    assert remembered(bench) is None


async def test_a_command_is_on_the_disk_before_it_is_answered(bench: Bench) -> None:
    await bench.relay(policy(boot=None))
    await switch(bench, ON)
    assert remembered(bench) == {"relay": {"output": "true"}}


async def test_a_command_that_cannot_be_remembered_is_not_confirmed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.relay(policy(boot=None))

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(memory_module, "write_durably", full)
    with pytest.raises(ActuatorError, match="cannot be remembered"):
        await switch(bench, ON)


class Stubborn(Relay):
    """A relay whose contacts are welded, or whose wires fail."""

    welded = False
    write_fails = read_fails = False

    def write(self, values: Mapping[str, Value]) -> None:
        if self.write_fails:
            raise NotResponding("the write failed")
        if not self.welded:
            super().write(values)

    def read(self) -> Mapping[str, bool]:
        if self.read_fails:
            raise NotResponding("the read failed")
        return super().read()


async def stubborn(bench: Bench, rules: Policy) -> tuple[Stubborn, Thing]:
    driver = Stubborn(Relay.Config(pin=17), bench.buses)
    thing = bench.add(driver, "relay", 0.01, rules)
    await until(lambda: thing.measured)
    return driver, thing


async def test_an_output_that_does_not_follow_is_an_actuator_error_and_is_not_remembered(bench: Bench) -> None:
    driver, thing = await stubborn(bench, policy(boot=None))
    driver.welded = True
    with pytest.raises(ActuatorError, match="output reads False"):
        await switch(bench, ON)
    assert thing.values == OFF and remembered(bench) is None


async def test_a_write_that_fails_is_an_actuator_error_with_its_reason(bench: Bench) -> None:
    driver, thing = await stubborn(bench, policy())
    driver.write_fails = True
    with pytest.raises(ActuatorError, match="the write failed"):
        await switch(bench, ON)
    driver.write_fails = False
    await until(lambda: thing.trouble is None)
    await switch(bench, ON)
    assert thing.values == ON


async def test_a_command_that_was_refused_does_not_leave_the_output_switched(bench: Bench) -> None:
    """The write reached the pin, its reading back did not reach us: nobody answers for that state."""
    driver, thing = await stubborn(bench, policy(lease=NEVER))
    driver.read_fails = True
    with pytest.raises(ActuatorError, match="the read failed"):
        await switch(bench, ON)
    driver.read_fails = False
    await until(lambda: thing.trouble is None)
    assert thing.values == OFF and bench.level() == 0.0


async def test_a_part_that_is_out_of_order_takes_no_commands(bench: Bench) -> None:
    driver = bench.simulated(kind="lamp", fault="missing")
    lamp = bench.add(driver, "lamp", policy=Policy({"on": False}, {"on": False}, {"on": False}))
    await until(lambda: lamp.trouble)
    with pytest.raises(ActuatorError, match=r"out of order: .*does not answer"):
        await switch(bench, {"on": True}, "lamp")


async def test_a_part_claimed_again_after_a_fault_is_as_it_was_commanded(bench: Bench) -> None:
    driver = bench.simulated(kind="lamp")
    lamp = bench.add(driver, "lamp", policy=Policy({"on": False}, {"on": False}, {"on": False}))
    await until(lambda: lamp.measured)
    await switch(bench, {"on": True, "brightness": 30}, "lamp")
    driver.fault = "missing"
    await until(lambda: lamp.trouble)
    driver._state = {}  # it has lost its power
    driver.fault = "none"
    await until(lambda: lamp.trouble is None)
    assert lamp.values["on"] is True and lamp.values["brightness"] == 30


# --------------------------------------------------------------------------- by itself


async def test_when_the_lease_ends_the_output_is_safe_and_it_is_said(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    thing = await bench.relay(policy(boot=None, lease=0.05), interval=NEVER)
    bench.sampler.link_changed(True)
    await switch(bench, ON)
    await until(lambda: thing.values == OFF)
    assert bench.changes() == [LOW, HIGH, LOW]
    assert "driven to its safe state: its lease has ended" in caplog.text
    await until(lambda: remembered(bench) == {"relay": {"output": "false"}})  # it is over, also after a restart


async def test_what_the_safe_state_does_not_name_is_remembered_as_it_was(bench: Bench) -> None:
    safe: Mapping[str, Value] = {"on": False}
    driver = bench.simulated(kind="lamp")
    lamp = bench.add(driver, "lamp", NEVER, Policy(None, safe, safe, lease=0.05))
    await until(lambda: lamp.measured)
    await switch(bench, {"on": True, "brightness": 30}, "lamp")
    await until(lambda: lamp.values["on"] is False)
    await until(lambda: remembered(bench)["lamp"]["on"] == "false")
    assert remembered(bench)["lamp"]["brightness"] == "30"


async def test_when_the_link_is_away_too_long_the_output_is_safe_and_stays_so(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    thing = await bench.relay(policy(link_timeout=0.05))
    bench.sampler.link_changed(True)
    await switch(bench, ON)
    bench.sampler.link_changed(False)
    await until(lambda: thing.values == OFF)
    assert "the link has been away too long" in caplog.text
    bench.sampler.link_changed(True)
    seen = len(bench.told)
    await until(lambda: len(bench.told) > seen + 3)
    assert bench.changes() == [LOW, HIGH, LOW]


async def test_a_node_that_never_gets_a_link_makes_its_outputs_safe(bench: Bench) -> None:
    thing = await bench.relay(policy(boot=ON, link_timeout=0.05), interval=NEVER)
    await until(lambda: thing.values == OFF)
    assert bench.changes() == [HIGH, LOW]


async def test_a_thing_added_while_there_is_a_link_knows_of_it(bench: Bench) -> None:
    bench.sampler.link_changed(True)
    await bench.relay(policy(boot=ON, link_timeout=0.01))
    guard = bench.sampler.stations["relay"].guard
    assert guard is not None and guard.due() is None


async def test_an_output_that_does_not_take_its_safe_state_is_said_loudly_and_tried_again(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    driver, thing = await stubborn(bench, policy(lease=0.05))
    bench.sampler.link_changed(True)
    await switch(bench, ON)
    driver.write_fails = True
    await until(lambda: any(r.levelno == logging.CRITICAL for r in caplog.records))
    assert "could NOT be driven to its safe state" in caplog.text
    await until(lambda: thing.values == OFF)  # claimed again, in the safe state
    assert bench.level() == 0.0


async def test_an_output_that_stays_on_is_not_reported_as_safe(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    driver, thing = await stubborn(bench, policy(lease=0.05))
    bench.sampler.link_changed(True)
    await switch(bench, ON)
    driver.welded = True
    await until(lambda: any(r.levelno == logging.CRITICAL for r in caplog.records))
    assert "output reads True" in caplog.text and "driven to its safe state: " not in caplog.text
    assert thing is bench.sampler.stations["relay"].thing


# --------------------------------------------------------------------------- end


async def test_a_thing_that_is_removed_is_left_safe(bench: Bench) -> None:
    await bench.relay(policy())
    await switch(bench, ON)
    await bench.sampler.remove("relay")
    assert bench.changes() == [LOW, HIGH, LOW]


async def test_a_stop_leaves_every_output_safe_and_keeps_what_shall_be_kept(bench: Bench) -> None:
    await bench.relay(policy(safe=None))
    await switch(bench, ON)
    await bench.sampler.stop()
    assert bench.level() == 1.0


async def test_a_safe_state_that_is_on_is_driven_too(bench: Bench) -> None:
    await bench.relay(policy(boot=OFF, safe=ON))
    await bench.sampler.stop()
    assert bench.changes() == [LOW, HIGH]


async def test_a_stop_while_the_output_is_being_claimed_leaves_it_safe(bench: Bench) -> None:
    begun, go = threading.Event(), threading.Event()

    class Slow(Relay):
        def open_with(self, initial: Mapping[str, Value]) -> None:
            begun.set()
            go.wait()
            super().open_with(initial)

    bench.add(Slow(Relay.Config(pin=17), bench.buses), "relay", policy=policy(boot=ON))
    await until(begun.is_set)
    stopping = asyncio.create_task(bench.sampler.stop())
    await turns()
    go.set()
    await stopping
    assert bench.changes() == [HIGH, LOW]


async def test_one_output_that_hangs_does_not_keep_the_others_from_their_safe_state(bench: Bench) -> None:
    await bench.relay(policy())
    await switch(bench, ON)
    driver = Simulated(Simulated.Config(kind="lamp"), bench.buses)
    lamp = bench.add(driver, "lamp", policy=Policy({"on": True}, {"on": False}, {"on": False}))
    await until(lambda: lamp.measured)
    driver.fault = "hang"
    await bench.sampler.stop()
    assert bench.level() == 0.0
    driver.released.set()


async def test_a_new_policy_takes_hold_without_touching_the_output(bench: Bench) -> None:
    thing = await bench.relay(policy(boot=ON))
    bench.sampler.retune("relay", 0.01, policy(boot=OFF, safe=OFF))
    seen = len(bench.told)
    await until(lambda: len(bench.told) > seen + 3)
    assert thing.values == ON and bench.changes() == [HIGH]
    await bench.sampler.stop()
    assert bench.changes() == [HIGH, LOW]
