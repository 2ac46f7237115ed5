"""SIGHUP: the file as it is now, and only what changed in it."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from . import readings
from .commands import OLD, command
from .node_process import NodeProcess, levels, node_process
from .raw import RawClient, condition
from .world import HUB, World

PUMP = '[things.pump]\ndriver = "relay"\npin = 17\n'
VALVE = '[things.valve]\ndriver = "relay"\npin = 27\n'
FAN = '[things.fan]\ndriver = "relay"\npin = 22\nboot = "on"\n'
AIR = '[things.air]\ndriver = "simulated"\nfield = "temperature"\n'


@dataclass
class Site:
    """One running node, its file and a client."""

    server: World
    node: NodeProcess
    config: Path
    pins: Path
    state: Path
    owner: RawClient
    reloads: int = 0

    def write(self, things: str, **more: str) -> None:
        self.config.write_text(self.server.text(things, self.state, **more))

    async def reload(self, things: str, **more: str) -> None:
        self.write(things, **more)
        self.node.signal(signal.SIGHUP)
        self.reloads += 1
        await self.node.says("configuration reloaded", self.reloads)

    async def names(self) -> list[str]:
        """The things there are, in order."""
        items = "http://jabber.org/protocol/disco#items"
        iq = await self.owner.ask(HUB, "get", f"<query xmlns='{items}'/>")
        return [item.get("node", "").removeprefix("hub/") for item in iq.iter(f"{{{items}}}item")]

    async def switch(self, value: str, name: str) -> None:
        iq = await self.owner.ask(HUB, "set", command(OLD, (name,), ("boolean", "output", value)))
        assert iq.get("type") == "result", condition(iq)


@pytest.fixture
async def site(server: World, state: Path, tmp_path: Path) -> AsyncIterator[Site]:
    config, pins = tmp_path / "hub.toml", tmp_path / "pins"
    config.write_text(server.text(AIR + PUMP + VALVE, state))
    async with server.client("owner") as owner, node_process(config, pins) as node:
        site = Site(server, node, config, pins, state, owner)
        await site.switch("true", "pump")
        await site.switch("true", "valve")
        yield site


async def test_a_reload_changes_what_changed_and_touches_no_other_output(site: Site) -> None:
    before = levels(site.pins, 17)
    assert before[-1] == "output 1"
    await site.reload(AIR + PUMP + VALVE.replace("27", "26") + FAN)
    assert await site.names() == ["air", "pump", "valve", "fan"]
    assert levels(site.pins, 17) == before, "no flip of the pump"
    assert levels(site.pins, 27)[-2:] == ["output 1", "output 0"], "the valve left its old pin safe"
    readout = await readings.read(site.owner, readings.OLD, 1, "momentary='1'", readings.nodes(
        readings.OLD, "pump", "valve", "fan"))  # fmt: skip
    assert [field.get("value") for field in readout.fields()] == ["true", "false", "true"]
    assert (levels(site.pins, 26), levels(site.pins, 22)) == (["output 0"], ["output 1"])
    assert site.node.said.count("online as") == 1, "the stream was not touched either"


async def test_a_reload_with_the_same_file_changes_nothing(site: Site) -> None:
    before = site.pins.read_text()
    await site.reload(AIR + PUMP + VALVE)
    assert site.pins.read_text() == before


async def test_a_thing_that_is_taken_out_is_made_safe_and_not_known_any_more(site: Site) -> None:
    await site.reload(AIR + VALVE)
    assert await site.names() == ["air", "valve"]
    assert levels(site.pins, 17)[-1] == "output 0"
    iq = await site.owner.ask(HUB, "set", command(OLD, ("pump",), ("boolean", "output", "true")))
    assert condition(iq) == "item-not-found"
    await site.reload(AIR + VALVE + PUMP)
    assert await site.names() == ["air", "valve", "pump"]
    await site.switch("true", "pump")


async def test_new_timing_and_labels_leave_an_output_as_it_is(site: Site) -> None:
    before = levels(site.pins, 17)
    await site.reload(AIR + PUMP + 'label = "Well pump"\ninterval = "2s"\nlease = "1h"\n' + VALVE)
    assert levels(site.pins, 17) == before
    form = await site.owner.ask(HUB, "get", f"<getForm xmlns='{OLD}'><node nodeId='pump'/></getForm>")
    assert form.findtext(".//{jabber:x:data}title") == "Well pump"


async def test_a_broken_file_is_refused_and_the_old_one_goes_on(site: Site) -> None:
    before = site.pins.read_text()
    for number, things in enumerate((AIR + PUMP + VALVE.replace("27", "99"), "[things", AIR + PUMP + PUMP), 1):
        site.write(things)
        site.node.signal(signal.SIGHUP)
        await site.node.says("NOT reloaded", number)
        assert await site.names() == ["air", "pump", "valve"]
    assert "things.valve.pin" in site.node.said, "the log says what would be right"
    site.config.unlink()
    site.node.signal(signal.SIGHUP)
    await site.node.says("NOT reloaded", 4)
    assert site.pins.read_text() == before
    await site.switch("false", "pump")


async def test_new_rules_hold_from_the_reload_on(site: Site) -> None:
    asked = command(OLD, ("pump",), ("boolean", "output", "false"))
    async with site.server.client("reader") as reader:
        assert condition(await reader.ask(HUB, "set", asked)) == "forbidden"
        await site.reload(AIR + PUMP + VALVE, control='"reader@localhost"')
        assert (await reader.ask(HUB, "set", asked)).get("type") == "result"
        assert condition(await site.owner.ask(HUB, "set", asked)) == "forbidden"


async def test_a_new_account_is_taken_without_touching_the_outputs(site: Site) -> None:
    before = levels(site.pins, 17)
    await site.reload(AIR + PUMP + VALVE, user="reader", read='"owner@localhost"')
    await site.node.says("online as reader@localhost/hub")
    readout = await readings.read(
        site.owner, readings.OLD, 1, "momentary='1'", readings.nodes(readings.OLD, "pump"), to="reader@localhost/hub"
    )
    assert readout.value("output") == "true"
    assert levels(site.pins, 17) == before
