"""A node among others, on servers that stop, freeze and forget, over networks that cut."""

from __future__ import annotations

import datetime as dt
import logging
from pathlib import Path

import pytest

from hub.programs.node import Node
from tests.helpers import until

from . import readings
from .commands import OLD, command
from .proxy import Proxy
from .raw import condition
from .readings import nodes, read, request
from .world import HUB, ON_EJABBERD, SAMPLED, World, online, running

SENSORDATA = readings.OLD

THINGS = """
[things.ticks]
driver = "simulated"
kind = "counter"
field = "ticks"
interval = "50ms"
[things.pump]
driver = "relay"
pin = 17
link_timeout = "1s"
[things.valve]
driver = "relay"
pin = 27
"""


def under_way(node: Node) -> int:
    """Readouts that have been accepted and not been answered to the end."""
    return len(node._sensor_data._tasks)  # type: ignore[union-attr]


@ON_EJABBERD
async def test_two_nodes_and_a_stranger_share_a_server(own_server: World, tmp_path: Path) -> None:
    own_server.populate("cellar")
    greenhouse = own_server.config(THINGS, tmp_path / "one")
    cellar = own_server.config(THINGS, tmp_path / "two", user="cellar", read='"greenhouse@localhost"', control="")
    async with (
        running(greenhouse) as one,
        running(cellar) as two,
        own_server.client("owner") as owner,
        own_server.client("greenhouse", "panel") as panel,
        own_server.client("stranger") as stranger,
    ):
        there = "cellar@localhost/hub"
        iq = await owner.ask(HUB, "set", command(OLD, ("pump",), ("boolean", "output", "1")))
        assert iq.get("type") == "result"
        assert one.things["pump"].values["output"] is True
        assert two.things["pump"].values["output"] is False, "the other node was not meant"
        for client, hub, expected in (
            (owner, HUB, None), (owner, there, "forbidden"), (panel, there, None), (panel, HUB, "forbidden"),
            (stranger, HUB, "forbidden"), (stranger, there, "forbidden"),
        ):  # fmt: skip
            if expected is None:
                readout = await read(client, SENSORDATA, 1, "momentary='1'", nodes(SENSORDATA, "valve"), to=hub)
                assert readout.value("output") == "false"
            else:
                assert condition(await client.ask(hub, "get", request(SENSORDATA, 1, "momentary='1'"))) == expected
        for client, hub in ((owner, there), (panel, HUB), (panel, there), (stranger, HUB), (stranger, there)):
            iq = await client.ask(hub, "set", command(OLD, ("valve",), ("boolean", "output", "1")))
            assert condition(iq) == "forbidden"
        assert (one.things["valve"].values["output"], two.things["valve"].values["output"]) == (False, False)


@ON_EJABBERD
async def test_a_node_outlives_its_server_and_its_outputs_become_safe(
    own_server: World, state: Path, hasty: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    both = command(OLD, ("pump", "valve"), ("boolean", "output", "true"))
    async with running(own_server.config(THINGS, state)) as node:
        async with own_server.client("owner") as owner:
            assert (await owner.ask(HUB, "set", both)).get("type") == "result"
        own_server.stop()
        await until(lambda: node.link is not None and not node.link.up, "the node notices")
        assert node.things["pump"].values["output"] is True, "a short absence changes nothing"
        ticks = node.things["ticks"].values["ticks"]
        await until(lambda: node.things["pump"].values["output"] is False, "the safe state after link_timeout")
        await until(lambda: node.things["ticks"].values["ticks"] > ticks, "sampling goes on")  # type: ignore[operator]
        assert node.things["valve"].values["output"] is True, "it has no link_timeout"
        own_server.start()
        await online(node)
        async with own_server.client("owner") as owner:
            readout = await read(owner, SENSORDATA, 1, "momentary='1'", nodes(SENSORDATA, "pump", "valve"))
            assert [field.get("value") for field in readout.fields()] == ["false", "true"], "and it stays"
            assert (await owner.ask(HUB, "set", both)).get("type") == "result"
            assert node.things["pump"].values["output"] is True, "only a command leaves the safe state"
    assert "pump: driven to its safe state: the link has been away too long" in caplog.text
    unreachable = [r for r in caplog.records if r.levelno >= logging.WARNING and "no link" in r.message]
    assert len(unreachable) <= 2, "a log is no metronome"


async def test_a_node_starts_without_a_server_and_finds_it_later(
    own_server: World, state: Path, hasty: None
) -> None:
    own_server.stop()
    async with running(own_server.config(THINGS, state), wait=False) as node:
        await until(lambda: len(SAMPLED.get("ticks", [])) > 2, "it samples")
        own_server.start()
        await online(node)


@ON_EJABBERD
async def test_what_is_asked_during_a_cut_is_answered_after_the_resumption(
    own_server: World, state: Path, hasty: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with Proxy(own_server.entrance) as proxy:
        config = own_server.config(THINGS, state, port=proxy.port)
        async with running(config) as node, own_server.client("owner") as owner:
            proxy.refusing = True
            proxy.cut()
            await until(lambda: node.link is not None and not node.link.up, "the node notices")
            asked = request(SENSORDATA, 7, "momentary='true'", nodes(SENSORDATA, "valve"))
            owner.write(f"<iq type='get' id='gap' to='{HUB}'>{asked}</iq>")
            owner.write(f"<message to='{HUB}'>{command(OLD, ('valve',), ('boolean', 'output', 'true'))}</message>")
            proxy.refusing = False
            accepted = await owner.take(lambda s: s.get("id") == "gap", "the answer")
            assert accepted.get("type") == "result"
            (part,) = await readings.parts(owner, SENSORDATA, 7)
            assert readings.Readout(SENSORDATA, accepted[0], [part]).names() == ["output"]
            await until(lambda: node.things["valve"].values["output"] is True, "the command is carried out")
            assert "online as greenhouse@localhost/hub (resumed)" in caplog.text
            assert proxy.accepted == 2


@ON_EJABBERD
async def test_what_a_node_says_into_a_cut_arrives_after_the_resumption_and_once(
    own_server: World, state: Path, hasty: None, caplog: pytest.LogCaptureFixture
) -> None:
    """Once while the node does not know of the cut yet, and once while it does."""
    caplog.set_level(logging.INFO)
    async with Proxy(own_server.entrance) as proxy:
        config = own_server.config(THINGS, state, port=proxy.port)
        async with running(config) as node, own_server.client("owner") as owner:
            for number, knows in ((1, False), (2, True)):
                when = (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1)).isoformat()
                asked = request(SENSORDATA, number, f"momentary='true' when='{when}'", nodes(SENSORDATA, "valve"))
                assert (await owner.ask(HUB, "get", asked))[0].get("queued") == "true"
                assert under_way(node) == 1
                proxy.refusing = True
                if knows:
                    proxy.cut()
                    await until(lambda: node.link is not None and not node.link.up, "the node notices")
                else:
                    proxy.swallow()
                await until(lambda: under_way(node) == 0, "it has answered")
                assert not any(readings.is_part(stanza, SENSORDATA, number) for stanza in owner.pending)
                proxy.cut()
                proxy.refusing = False
                started = await readings.next_part(owner, SENSORDATA, number)
                assert started.tag == f"{{{SENSORDATA}}}started"
                await readings.parts(owner, SENSORDATA, number)
                await online(node)
                await read(owner, SENSORDATA, 99, "momentary='true'", nodes(SENSORDATA, "valve"))
                assert not any(readings.is_part(stanza, SENSORDATA, number) for stanza in owner.pending), "twice"
            assert caplog.text.count("(resumed)") == 2


async def test_a_server_that_freezes_is_noticed_and_resumed_when_it_thaws(
    own_server: World, state: Path, hasty: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("hub.session.link.PING_EVERY_S", 0.2)
    monkeypatch.setattr("hub.session.link.PING_TIMEOUT_S", 0.3)
    monkeypatch.setattr("hub.session.link.ATTEMPT_TIMEOUT_S", 1.0)
    async with running(own_server.config(THINGS, state)) as node:
        own_server.freeze()
        try:
            await until(lambda: node.link is not None and not node.link.up, "the node notices")
            await until(lambda: node.things["pump"].trouble is None, "and goes on")
        finally:
            own_server.thaw()
        await online(node)
        async with own_server.client("owner") as owner:
            readout = await read(owner, SENSORDATA, 1, "momentary='1'", nodes(SENSORDATA, "valve"))
            assert readout.value("output") == "false"
    assert "the server does not answer pings" in caplog.text


async def test_a_network_that_swallows_everything_is_noticed(
    own_server: World, state: Path, hasty: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.session.link.PING_EVERY_S", 0.2)
    monkeypatch.setattr("hub.session.link.PING_TIMEOUT_S", 0.3)
    monkeypatch.setattr("hub.session.link.ATTEMPT_TIMEOUT_S", 1.0)
    async with (
        Proxy(own_server.entrance) as proxy,
        running(own_server.config(THINGS, state, port=proxy.port)) as node,
    ):
        proxy.swallow()
        await until(lambda: node.link is not None and not node.link.up, "the node notices")
        proxy.cut()  # the network works again
        await online(node)


async def test_a_second_program_with_the_same_address_is_said(
    own_server: World, state: Path, hasty: None, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(own_server.config(THINGS, state)) as node:
        async with own_server.client("greenhouse", "hub"):
            await until(lambda: node.link is not None and not node.link.up, "the server throws the older one out")
        await until(lambda: "conflict" in caplog.text, "the log says why")
        await online(node)
