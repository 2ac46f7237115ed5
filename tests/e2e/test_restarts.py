"""Outputs over the end of a process and the start of the next: what a relay board sees, from the trace of its pin."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.helpers import until

from . import readings
from .commands import OLD, command
from .node_process import levels, node_process
from .raw import RawClient, condition
from .world import HUB, World

RELAYS = """
[things.pump]
driver = "relay"
pin = 17
boot = "restore"
safe = "off"
[things.valve]
driver = "relay"
pin = 27
boot = "off"
safe = "off"
[things.alarm]
driver = "relay"
pin = 22
boot = "on"
safe = "on"
active_high = false
[things.heater]
driver = "relay"
pin = 5
boot = "off"
safe = "keep"
"""
PUMP, VALVE, ALARM, HEATER = 17, 27, 22, 5


@pytest.fixture
def files(server: World, state: Path, tmp_path: Path) -> tuple[Path, Path]:
    """The configuration and the pin trace of one Pi."""
    config = tmp_path / "hub.toml"
    config.write_text(server.text(RELAYS, state))
    return config, tmp_path / "pins"


async def switch(client: RawClient, value: str, *names: str) -> None:
    iq = await client.ask(HUB, "set", command(OLD, names, ("boolean", "output", value)))
    assert iq.get("type") == "result", condition(iq)


async def outputs(client: RawClient) -> dict[str, str]:
    old = readings.OLD
    readout = await readings.read(client, old, 1, "momentary='true'")
    return dict(zip(readout.nodes(), (field.get("value", "") for field in readout.fields()), strict=True))


async def test_outputs_start_in_their_boot_states_in_one_step(files: tuple[Path, Path], server: World) -> None:
    config, pins = files
    async with node_process(config, pins), server.client("owner") as owner:
        assert await outputs(owner) == {"pump": "false", "valve": "false", "alarm": "true", "heater": "false"}
        assert [levels(pins, pin) for pin in (PUMP, VALVE, HEATER)] == [["output 0"]] * 3
        assert levels(pins, ALARM) == ["output 0"], "on, for a board that switches on a low level"


async def test_after_a_kill_restore_comes_back_on_without_a_flip_and_off_goes_off(
    files: tuple[Path, Path], server: World
) -> None:
    config, pins = files
    async with server.client("owner") as owner:
        async with node_process(config, pins) as node:
            await switch(owner, "true", "pump", "valve")
            node.signal(signal.SIGKILL)
            assert await node.ended() == -signal.SIGKILL
        before = levels(pins, PUMP)
        assert (before[-1], levels(pins, VALVE)[-1]) == ("output 1", "output 1"), "pins outlive the process"
        async with node_process(config, pins):
            assert await outputs(owner) == {"pump": "true", "valve": "false", "alarm": "true", "heater": "false"}
            assert levels(pins, PUMP) == before, "not the shortest flip"
            assert levels(pins, VALVE)[-1] == "output 0"


async def test_after_a_power_cut_restore_comes_back_on_in_one_step(files: tuple[Path, Path], server: World) -> None:
    config, pins = files
    async with server.client("owner") as owner:
        async with node_process(config, pins) as node:
            await switch(owner, "true", "pump")
            node.signal(signal.SIGKILL)
            await node.ended()
        pins.unlink()  # without power the pins have forgotten everything
        async with node_process(config, pins):
            assert (await outputs(owner))["pump"] == "true"
            assert levels(pins, PUMP) == ["output 1"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_drives_every_output_to_its_safe_state(
    files: tuple[Path, Path], server: World, number: signal.Signals
) -> None:
    config, pins = files
    async with server.client("owner") as owner:
        async with node_process(config, pins) as node:
            await switch(owner, "true", "pump", "valve", "heater")
            await switch(owner, "false", "alarm")
            node.signal(number)
            assert await node.ended() == 0
        assert levels(pins, PUMP)[-2:] == ["output 1", "output 0"]
        assert levels(pins, VALVE)[-2:] == ["output 1", "output 0"]
        assert levels(pins, ALARM) == ["output 0", "output 1", "output 0"], "safe is on here"
        assert levels(pins, HEATER)[-1] == "output 1", "safe = keep"
        async with node_process(config, pins):
            assert await outputs(owner) == {"pump": "true", "valve": "false", "alarm": "true", "heater": "false"}, (
                "a stop does not end a command: what restores comes back on")  # fmt: skip


async def test_a_node_that_cannot_reach_its_server_still_stops_safely(
    server: World, state: Path, tmp_path: Path
) -> None:
    config, pins = tmp_path / "hub.toml", tmp_path / "pins"
    config.write_text(server.text(RELAYS, state, port=1))
    async with node_process(config, pins, wait_online=False) as node:
        await node.says("no link: ")
        await until(lambda: levels(pins, ALARM), "outputs are claimed without a server")
        node.signal(signal.SIGTERM)
        assert await node.ended() == 0
    assert levels(pins, ALARM) == ["output 0"]


async def test_a_memory_that_was_cut_in_the_middle_is_put_aside(files: tuple[Path, Path], state: Path) -> None:
    config, pins = files
    state.mkdir()
    (state / "outputs.json").write_text('{"pump": {"outp')
    async with node_process(config, pins) as node:
        await node.says("put aside")
        await until(lambda: levels(pins, PUMP), "the pump is claimed")
        assert levels(pins, PUMP) == ["output 0"]
    assert (state / "outputs.broken").exists()


async def test_a_command_that_a_lost_link_has_ended_does_not_come_back_with_a_restart(
    own_server: World, state: Path, tmp_path: Path
) -> None:
    config, pins = tmp_path / "hub.toml", tmp_path / "pins"
    pump = '[things.pump]\ndriver = "relay"\npin = 17\nboot = "restore"\nlink_timeout = "300ms"\n'
    config.write_text(own_server.text(pump, state))
    async with node_process(config, pins) as node:
        async with own_server.client("owner") as owner:
            await switch(owner, "true", "pump")
        own_server.stop()
        await node.says("pump: driven to its safe state: the link has been away too long")
        await until(lambda: '"false"' in (state / "outputs.json").read_text(), "it is remembered")
        node.signal(signal.SIGKILL)
        await node.ended()
    own_server.start()
    async with node_process(config, pins), own_server.client("owner") as owner:
        assert await outputs(owner) == {"pump": "false"}
    assert levels(pins, PUMP) == ["output 0", "output 1", "output 0"]
