"""Parts that hang, outputs with conditions and leases, callers that vanish, many questions at once."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.programs.node import Node
from tests.helpers import until

from .commands import OLD as CONTROL
from .commands import command
from .raw import RawClient, condition, error_text
from .readings import NEW, OLD, nodes, read, request
from .world import HUB, World, online, running

THINGS = """
[things.air]
driver = "simulated"
field = "temperature"
[things.valve]
driver = "relay"
pin = 27
[things.pump]
driver = "relay"
pin = 17
requires = ["valve.output"]
[things.horn]
driver = "relay"
pin = 22
lease = "300ms"
"""
SICK = """
[things.stuck]
driver = "simulated"
fault = "hang"
[things.slow]
driver = "simulated"
fault = "slow"
"""


@pytest.fixture
async def node(server: World, state: Path) -> AsyncIterator[Node]:
    async with running(server.config(THINGS, state)) as node:
        yield node


@pytest.fixture
async def sick(server: World, state: Path) -> AsyncIterator[Node]:
    """The same with a part that hangs from the start, and one that takes its time."""
    async with running(server.config(THINGS + SICK, state), wait=False) as node:
        await online(node)
        await until(lambda: node.things["air"].measured, "what can be read was read")
        yield node


@pytest.fixture
async def owner(server: World) -> AsyncIterator[RawClient]:
    async with server.client("owner") as client:
        yield client


def switch(name: str, value: str) -> str:
    return command(CONTROL, (name,), ("boolean", "output", value))


@pytest.mark.parametrize("namespace", (OLD, NEW[0]))
async def test_a_part_that_has_never_answered_is_reported_and_holds_up_no_other_readout(
    sick: Node, owner: RawClient, server: World, namespace: str
) -> None:
    async with server.client("reader") as reader:
        asking = asyncio.create_task(read(owner, namespace, 1, "all='true'", nodes(namespace, "stuck", "air")))
        quick = await read(reader, namespace, 1, "all='true'", nodes(namespace, "air"))
        assert "temperature" in quick.names()
        assert not asking.done(), "the other readout waits for its own part only"
        patient = await asking
    assert "temperature" in patient.names()
    assert set(patient.errors()) == {"stuck"}
    assert all(patient.errors().values())


async def test_a_slow_part_is_waited_for(sick: Node, owner: RawClient) -> None:
    readout = await read(owner, OLD, 2, "momentary='true'", nodes(OLD, "slow"))
    assert (readout.names(), readout.errors()) == (["value"], {})


async def test_an_output_leaves_its_safe_state_only_while_what_it_requires_holds(
    node: Node, owner: RawClient
) -> None:
    iq = await owner.ask(HUB, "set", switch("pump", "true"))
    assert condition(iq) == "conflict"
    assert "valve.output" in error_text(iq) + "".join(iq.itertext())
    assert node.things["pump"].values["output"] is False
    for name in ("valve", "pump"):
        assert (await owner.ask(HUB, "set", switch(name, "true"))).get("type") == "result"
    assert (await owner.ask(HUB, "set", switch("valve", "false"))).get("type") == "result"
    await until(lambda: node.things["pump"].values["output"] is False, "the pump follows the valve")


async def test_an_output_with_a_lease_goes_back_by_itself(
    node: Node, owner: RawClient, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await owner.ask(HUB, "set", switch("horn", "true"))).get("type") == "result"
    await until(lambda: node.things["horn"].values["output"] is False, "the lease ends")
    assert "horn: driven to its safe state: its lease has ended" in caplog.text


async def test_a_caller_that_vanishes_before_its_answer_harms_nobody(
    node: Node, owner: RawClient, server: World
) -> None:
    when = (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=0.5)).isoformat()
    async with server.client("reader", "gone") as reader:
        iq = await reader.ask(HUB, "get", request(OLD, 3, f"all='true' when='{when}'", nodes(OLD, "air")))
        assert iq.get("type") == "result"
    await until(lambda: dt.datetime.now(dt.UTC).isoformat() > when and not under_way(node), "it has been answered")
    assert (await read(owner, OLD, 4, "momentary='true'", nodes(OLD, "air"))).names() == ["temperature"]


def under_way(node: Node) -> int:
    return len(node._sensor_data._tasks)  # type: ignore[union-attr]


async def test_many_questions_at_once_are_each_answered_once(node: Node, owner: RawClient, server: World) -> None:
    async def asks(client: RawClient, first: int) -> list[list[str]]:
        return [
            (await read(client, NEW[0], number, "m='true'", nodes(NEW[0], "air", "valve"))).names()
            for number in range(first, first + 25)
        ]

    async with server.client("reader") as reader, server.client("owner", "second") as second:
        lists = await asyncio.gather(*(asks(c, n) for n, c in enumerate((owner, owner, reader, second))))
    assert all(names == ["temperature", "output"] for names in (found for asked in lists for found in asked))


async def test_more_than_can_be_in_hand_are_told_to_wait_and_the_others_answered(
    sick: Node, owner: RawClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("hub.services.router.MAX_BUSY", 5)
    for number in range(8):
        asked = request(NEW[0], number, "m='true'", nodes(NEW[0], "stuck"))  # each takes its time
        owner.write(f"<iq type='get' id='busy-{number}' to='{HUB}'>{asked}</iq>")
    answers = [await owner.take(lambda s, n=n: s.get("id") == f"busy-{n}") for n in range(8)]  # type: ignore[misc]
    assert [iq.get("type") for iq in answers] == ["result"] * 5 + ["error"] * 3
    assert {condition(iq) for iq in answers[5:]} == {"resource-constraint"}
    assert "Overload" in caplog.text
