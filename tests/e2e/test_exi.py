"""What `[xmpp] exi` does: with a server that speaks EXI, with one that does not, and with one that has forgotten what
it agreed to.

That everything else works over EXI too is shown by the other files here, which run over every transport.
"""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.config.file import parse
from hub.programs.node import Node
from tests.helpers import until

from .raw import RawClient
from .readings import OLD, read
from .world import World, online, running

THINGS = '[things.air]\ndriver = "simulated"\nfield = "temperature"\n'
_numbers = itertools.count(1)


@pytest.fixture
def exi_server(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "server", exi=True) as world:
        yield world.populate("greenhouse", "owner")


def agreement(state: Path) -> dict[str, str]:
    known = json.loads((state / "exi.json").read_text())
    found: dict[str, str] = known["localhost"]
    return found


def speaks_exi(node: Node) -> bool:
    return node.link is not None and node.link.client.exi.stream is not None


async def is_read(owner: RawClient) -> bool:
    return "temperature" in (await read(owner, OLD, next(_numbers), "momentary='true'")).names()


async def test_where_it_is_offered_it_is_spoken_unless_it_is_switched_off(exi_server: World, state: Path) -> None:
    text = exi_server.text(THINGS, state)
    for policy, spoken in (("prefer", True), ("require", True), ("off", False)):
        parsed = parse(text.replace('exi = "require"', f'exi = "{policy}"'))
        async with running(parsed) as node, exi_server.client("owner") as owner:
            assert speaks_exi(node) is spoken, policy
            assert await is_read(owner)


async def test_without_it_a_node_that_insists_stays_away_and_says_what_to_do(
    hasty: None, server: World, state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if server.gateway is not None:
        text = server.text(THINGS, state, port=server.address.port)  # past the gateway
    else:
        text = server.text(THINGS, state, xmpp='exi = "require"')
    caplog.set_level(logging.DEBUG)
    async with running(parse(text), wait=False) as node:
        await until(lambda: caplog.text.count("no link: ") >= 2, "it tries again")
        assert node.link is not None and not node.link.up
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert sum('xmpp.exi is "require"' in each and "hub gateway" in each for each in said) == 1, said


async def test_the_next_start_names_the_agreement_and_nothing_else(
    exi_server: World, state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parsed = exi_server.config(THINGS, state)
    async with running(parsed) as node:
        first = node.link.client.exi._negotiation
        assert first._remembered is None
    known = agreement(state)
    assert exi_server.gateway is not None
    exi_server.gateway.stop()  # it remembers too
    exi_server.gateway.start()
    async with running(parsed) as node:
        second = node.link.client.exi._negotiation
        assert second._remembered.configuration_id == known["id"]
        assert not second.forgotten
    assert agreement(state) == known


async def test_a_server_that_has_forgotten_is_told_again(exi_server: World, state: Path) -> None:
    parsed = exi_server.config(THINGS, state)
    async with running(parsed):
        pass
    known = agreement(state)
    (state / "exi.json").write_text(json.dumps({"localhost": {**known, "id": "of another server"}}))
    async with running(parsed) as node, exi_server.client("owner") as owner:
        assert node.link.client.exi._negotiation.forgotten
        assert await is_read(owner)
    assert agreement(state) == known


async def test_a_gateway_that_loses_its_server_and_one_that_is_lost_are_found_again(
    hasty: None, exi_server: World, state: Path
) -> None:
    async with running(exi_server.config(THINGS, state)) as node:
        assert node.link is not None and exi_server.gateway is not None
        exi_server.kill()
        await until(lambda: not node.link.up, "the node notices")
        exi_server.start()
        await online(node)
        exi_server.gateway.process.kill()
        await until(lambda: not node.link.up, "the node notices")
        exi_server.gateway.stop()
        exi_server.gateway.start()
        await online(node)
        async with exi_server.client("owner") as owner:
            assert await is_read(owner)


async def test_no_stanza_becomes_text(exi_server: World, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the set-up and the end nothing goes through slixmpp's writer or parser, whoever sends it."""
    async with running(exi_server.config(THINGS, state)) as node, exi_server.client("owner") as owner:
        made: list[str] = []
        client = type(node.link.client)
        monkeypatch.setattr(client.__mro__[1], "send_raw", lambda *_: made.append("sent"))
        monkeypatch.setattr(client.__mro__[1], "data_received", lambda *_: made.append("received"))
        assert await is_read(owner)
        await node.link._ping()
        assert made == []
        assert node.link.client.exi.stream.sent.elements > 1
