"""What is wrong with a readout is said with the right stanza error, and the node goes on as before."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.programs.node import Node
from hub.services.sensor_data import MAX_SESSIONS_PER_CALLER
from hub.things.readout import MAX_NODES

from . import readings
from .raw import RawClient, condition, error_text
from .readings import NEW, OLD, nodes, read, request, wanted
from .world import HUB, World, running

THINGS = """
[things.air]
driver = "simulated"
field = "temperature"
[things.lamp]
driver = "simulated"
kind = "lamp"
"""
DIALECTS = (OLD, NEW[0])


@pytest.fixture
async def node(server: World, state: Path) -> AsyncIterator[Node]:
    async with running(server.config(THINGS, state)) as node:
        yield node


@pytest.fixture
async def owner(server: World) -> AsyncIterator[RawClient]:
    async with server.client("owner") as client:
        yield client


async def still_answers(client: RawClient) -> bool:
    return (await read(client, OLD, 999, "momentary='true'", nodes(OLD, "air"))).names() == ["temperature"]


def nothing_followed(client: RawClient) -> bool:
    return not any(stanza.tag.endswith("}message") for stanza in client.pending)


@pytest.mark.parametrize("namespace", DIALECTS)
async def test_an_unknown_node_is_not_found_and_nothing_of_the_others_is_sent(
    node: Node, owner: RawClient, namespace: str
) -> None:
    iq = await owner.ask(HUB, "get", request(namespace, 1, "all='true'", nodes(namespace, "air", "cellar")))
    assert condition(iq) == "item-not-found"
    assert "cellar" in error_text(iq)
    assert nothing_followed(owner)
    assert await still_answers(owner)


@pytest.mark.parametrize("namespace", DIALECTS)
async def test_an_unknown_field_is_not_found(node: Node, owner: RawClient, namespace: str) -> None:
    inner = nodes(namespace, "air", "lamp") + wanted(namespace, "temperature", "temprature")
    iq = await owner.ask(HUB, "get", request(namespace, 1, "all='true'", inner))
    assert condition(iq) == "item-not-found"
    assert "temprature" in error_text(iq)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(f"<req xmlns='{OLD}' momentary='true'/>", id="no seqnr"),
        pytest.param(request(OLD, "one", "momentary='true'"), id="seqnr in words"),
        pytest.param(request(OLD, "", "momentary='true'"), id="empty seqnr"),
        pytest.param(request(OLD, "1.5", "momentary='true'"), id="broken seqnr"),
        pytest.param(request(OLD, "99999999999", "momentary='true'"), id="seqnr beyond 32 bits"),
        pytest.param(request(OLD, 1, "momentary='yes'"), id="a boolean that is none"),
        pytest.param(request(OLD, 1, "all='true' from='yesterday'"), id="a date in words"),
        pytest.param(request(OLD, 1, "all='true' from='2026-13-01T00:00:00Z'"), id="a thirteenth month"),
        pytest.param(request(OLD, 1, "all='true' to='2026-01-01'"), id="a date without a time"),
        pytest.param(request(OLD, 1, "all='true' when='0001-01-01T00:00:00+14:00x'"), id="a zone that is none"),
        pytest.param(request(OLD, 1, "all='true' when='9999-12-31T23:59:59Z'"), id="when in 8000 years"),
        pytest.param(
            request(OLD, 1, "all='true' from='2026-02-01T00:00:00Z' to='2026-01-01T00:00:00Z'"), id="from after to"
        ),
        pytest.param(request(OLD, 1, "all='true'", "<node sourceId='x'/>"), id="a node without nodeId"),
        pytest.param(request(OLD, 1, "all='true'", "<field/>"), id="a field without a name"),
        pytest.param(f"<cancel xmlns='{OLD}' seqnr='x'/>", id="cancel with a bad seqnr"),
        pytest.param(f"<cancel xmlns='{OLD}'/>", id="cancel without seqnr"),
        pytest.param(f"<req xmlns='{NEW[0]}' m='true'/>", id="new: no id"),
        pytest.param(request(NEW[0], "i" * 201, "m='true'"), id="new: an id without end"),
        pytest.param(request(NEW[0], 1, "m='TRUE'"), id="new: a boolean that is none"),
        pytest.param(request(NEW[0], 1, "all='true' from='12:00'"), id="new: a bad date"),
        pytest.param(request(NEW[0], 1, "all='true'", "<nd/>"), id="new: a node without id"),
        pytest.param(request(NEW[0], 1, "all='true'", "<f/>"), id="new: a field without a name"),
    ],
)
async def test_what_is_malformed_is_a_bad_request(node: Node, owner: RawClient, payload: str) -> None:
    iq = await owner.ask(HUB, "get", payload)
    assert condition(iq) == "bad-request"
    assert error_text(iq), "it says what is wrong"
    assert nothing_followed(owner)
    assert await still_answers(owner)


@pytest.mark.parametrize("namespace", DIALECTS)
async def test_a_stranger_is_forbidden_whatever_it_asks(
    node: Node, server: World, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with server.client("stranger") as stranger:
        for inner in (nodes(namespace, "air"), nodes(namespace, "cellar"), nodes(namespace, "air", "cellar")):
            iq = await stranger.ask(HUB, "get", request(namespace, 1, "all='true'", inner))
            assert condition(iq) == "forbidden", "whether a node exists is not told either"
            assert "air" not in error_text(iq)
        assert nothing_followed(stranger)
    assert "req from stranger@localhost/raw refused" in caplog.text


async def test_a_caller_cannot_borrow_an_address_from_its_payload(node: Node, server: World) -> None:
    async with server.client("stranger", resource="owner@localhost") as stranger:
        inner = "<node nodeId='air' sourceId='owner@localhost'/>"
        iq = await stranger.ask(HUB, "get", request(OLD, 1, "all='true' serviceToken='owner@localhost'", inner))
        assert condition(iq) == "forbidden"


async def test_a_huge_request_is_refused(node: Node, owner: RawClient) -> None:
    for namespace in DIALECTS:
        many = nodes(namespace, *("air" for _ in range(MAX_NODES + 1)))
        iq = await owner.ask(HUB, "get", request(namespace, 1, "all='true'", many))
        assert condition(iq) == "bad-request"
        assert str(MAX_NODES) in error_text(iq)
    exactly = nodes(OLD, *("air" for _ in range(MAX_NODES)))
    readout = await read(owner, OLD, 2, "momentary='true'", exactly)
    assert readout.names() == ["temperature"], "named a thousand times, answered once"


async def test_one_caller_cannot_take_all_the_places_in_the_queue(
    node: Node, owner: RawClient, server: World
) -> None:
    when = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).isoformat()
    answers = [
        await owner.ask(HUB, "get", request(OLD, number, f"all='true' when='{when}'"))
        for number in range(MAX_SESSIONS_PER_CALLER + 1)
    ]
    assert [iq.get("type") for iq in answers] == ["result"] * MAX_SESSIONS_PER_CALLER + ["error"]
    assert condition(answers[-1]) == "resource-constraint"
    async with server.client("reader") as reader:
        assert await still_answers(reader)


async def test_an_unknown_element_in_a_known_namespace_is_answered_by_an_error(
    node: Node, owner: RawClient
) -> None:
    for payload in (f"<reqq xmlns='{OLD}' seqnr='1'/>", "<req xmlns='urn:example:none' seqnr='1'/>"):
        assert condition(await owner.ask(HUB, "get", payload)) in ("feature-not-implemented", "service-unavailable")
    assert await still_answers(owner)


async def test_answers_and_messages_that_nobody_asked_for_change_nothing(node: Node, owner: RawClient) -> None:
    owner.write(f"<iq type='result' id='x' to='{HUB}'><accepted xmlns='{OLD}' seqnr='1'/></iq>")
    owner.write(f"<iq type='error' id='y' to='{HUB}'>{request(OLD, 1, '')}</iq>")
    owner.write(f"<message to='{HUB}'>{request(OLD, 1, '')}</message>")
    owner.write(f"<message to='{HUB}'><fields xmlns='{OLD}' seqnr='1' done='true'/></message>")
    assert await still_answers(owner)
    assert not any(readings.is_part(stanza, OLD, 1) for stanza in owner.pending)
