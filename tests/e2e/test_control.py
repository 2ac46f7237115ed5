"""XEP-0325 and its successors: commands as a client sends them, and what the outputs then really do."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from devices.base import NotResponding
from hub.programs.node import Node
from tests.helpers import until

from . import readings
from .commands import NEW, OLD, TYPES, command, parameter_errors
from .raw import RawClient, condition
from .world import HUB, World, running

DIALECTS = (OLD, *NEW)

THINGS = """
[things.air]
driver = "simulated"
[things.everything]
driver = "simulated"
kind = "types"
[things.lamp]
driver = "simulated"
kind = "lamp"
[things.light]
driver = "simulated"
kind = "lamp"
[things.pump]
driver = "relay"
pin = 17
"""

# parameter → (type, value sent, value read back)
VALUES = {
    "boolean": ("boolean", "true", "true"),
    "color": ("color", "00ff80", "00ff80"),
    "date": ("date", "2027-02-03", "2027-02-03"),
    "dateTime": ("dateTime", "2027-02-03T04:05:06.5+01:00", "2027-02-03T04:05:06.5+01:00"),
    "double": ("double", "-12.50", "-12.50"),
    "duration": ("duration", "PT1H0.5S", "PT1H0.5S"),
    "enum": ("string", "on", "on"),
    "int": ("int", "-100", "-100"),
    "long": ("long", "-9000000000", "-9000000000"),
    "string": ("string", "a <b> & 'c' \"d\" é", "a <b> & 'c' \"d\" é"),
    "time": ("time", "23:59:58", "23:59:58"),
}


@pytest.fixture
async def node(server: World, state: Path) -> AsyncIterator[Node]:
    async with running(server.config(THINGS, state)) as node:
        yield node


@pytest.fixture
async def owner(server: World) -> AsyncIterator[RawClient]:
    async with server.client("owner") as client:
        yield client


async def values_of(client: RawClient, thing: str) -> dict[str, str]:
    """What the thing says of itself in a readout."""
    readout = await readings.read(client, readings.OLD, 1, "all='true'", readings.nodes(readings.OLD, thing))
    present = [f for f in readout.fields() if not any(name.startswith("historical") for name in f.attrib)]
    return {field.get("name", ""): field.get("value", "") for field in present}


@pytest.mark.parametrize("namespace", DIALECTS)
@pytest.mark.parametrize("parameter", VALUES)
async def test_every_type_of_parameter_can_be_set_and_reads_back(
    node: Node, owner: RawClient, namespace: str, parameter: str
) -> None:
    kind, sent, expected = VALUES[parameter]
    iq = await owner.ask(HUB, "set", command(namespace, ("everything",), (kind, parameter, sent)))
    assert iq.get("type") == "result", condition(iq)
    assert iq[0].tag == f"{{{namespace}}}{'setResponse' if namespace == OLD else 'resp'}"
    assert (await values_of(owner, "everything"))[parameter] == expected


def test_the_types_above_are_all_ten_there_are() -> None:
    assert {kind for kind, _, _ in VALUES.values()} == set(TYPES)


@pytest.mark.parametrize("namespace", NEW)
async def test_the_new_dialect_has_an_enumeration_type_and_lists_what_was_set(
    node: Node, owner: RawClient, namespace: str
) -> None:
    iq = await owner.ask(HUB, "set", command(namespace, ("everything",), ("e", "enum", "off"), ("int", "int", "3")))
    assert [(child.tag, child.attrib) for child in iq[0]] == [
        (f"{{{namespace}}}nd", {"id": "everything"}),
        (f"{{{namespace}}}p", {"n": "enum"}),
        (f"{{{namespace}}}p", {"n": "int"}),
    ]
    iq = await owner.ask(HUB, "set", command(namespace, ("everything",), ("e", "enum", "sometimes")))
    assert set(parameter_errors(iq, namespace)) == {"enum"}


async def test_the_old_dialect_answers_with_an_empty_response(node: Node, owner: RawClient) -> None:
    iq = await owner.ask(HUB, "set", command(OLD, ("pump",), ("boolean", "output", "1")))
    assert (iq.get("type"), len(iq), len(iq[0]), iq[0].attrib) == ("result", 1, 0, {})
    assert (await values_of(owner, "pump"))["output"] == "true"


async def test_several_parameters_are_set_in_the_order_in_which_they_were_sent(
    node: Node, owner: RawClient
) -> None:
    station = node.sampler.stations["lamp"]
    written: list[list[str]] = []
    write = station.driver.write  # type: ignore[attr-defined]
    station.driver.write = lambda values: (written.append(list(values)), write(values))  # type: ignore[attr-defined]
    for order in (("on", "fade_time", "brightness"), ("brightness", "on", "fade_time")):
        sent = {"on": ("boolean", "on", "true"), "fade_time": ("int", "fade_time", "9"),
                "brightness": ("int", "brightness", "40")}  # fmt: skip
        iq = await owner.ask(HUB, "set", command(OLD, ("lamp",), *(sent[name] for name in order)))
        assert iq.get("type") == "result"
        assert written[-1] == list(order)
    values = await values_of(owner, "lamp")
    assert (values["on"], values["fade_time"], values["brightness"], values["power"]) == ("true", "9", "40", "3.60")


@pytest.mark.parametrize("namespace", DIALECTS)
async def test_several_nodes_are_set_by_one_command(node: Node, owner: RawClient, namespace: str) -> None:
    iq = await owner.ask(HUB, "set", command(namespace, ("lamp", "light"), ("int", "brightness", "7")))
    assert iq.get("type") == "result"
    assert [(await values_of(owner, name))["brightness"] for name in ("lamp", "light")] == ["7", "7"]


@pytest.mark.parametrize("namespace", (OLD, NEW[0]))
@pytest.mark.parametrize(
    ("names", "parameters", "expected", "faulty"),
    [
        pytest.param(("lamp", "cellar"), [("int", "brightness", "7")], "item-not-found", set(), id="unknown node"),
        pytest.param(("lamp", "pump"), [("int", "brightness", "7")], "item-not-found", {"brightness"},
                     id="one node lacks it"),
        pytest.param(("lamp", "air"), [("int", "brightness", "7")], "item-not-found", {"brightness"},
                     id="one node cannot be controlled"),
        pytest.param(("lamp",), [("int", "brightness", "7"), ("int", "hue", "1")], "item-not-found", {"hue"},
                     id="unknown parameter"),
        pytest.param(("lamp",), [("int", "brightness", "101")], "bad-request", {"brightness"}, id="too large"),
        pytest.param(("lamp",), [("int", "brightness", "-1")], "bad-request", {"brightness"}, id="too small"),
        pytest.param(("lamp",), [("boolean", "on", "true"), ("int", "brightness", "bright")], "bad-request",
                     {"brightness"}, id="no number"),
        pytest.param(("lamp",), [("boolean", "brightness", "true")], "bad-request", {"brightness"}, id="wrong type"),
        pytest.param(("lamp",), [("long", "brightness", "7")], "bad-request", {"brightness"}, id="too wide a type"),
        pytest.param(("lamp",), [("double", "brightness", "7")], "bad-request", {"brightness"}, id="not whole"),
        pytest.param(("lamp",), [("int", "on", "1")], "bad-request", {"on"}, id="a one is not a true"),
        pytest.param(("lamp",), [("boolean", "on", "on")], "bad-request", {"on"}, id="on is not true"),
        pytest.param(("lamp",), [("int", "brightness", "7"), ("int", "brightness", "8")], "bad-request",
                     {"brightness"}, id="twice"),
        pytest.param(("lamp",), [("int", "brightness", "999"), ("int", "hue", "1")], "bad-request",
                     {"brightness", "hue"}, id="two mistakes"),
        pytest.param(("everything",), [("string", "enum", "maybe")], "bad-request", {"enum"}, id="not an option"),
        pytest.param(("everything",), [("int", "int", "9999999999")], "bad-request", {"int"}, id="beyond 32 bits"),
        pytest.param(("everything",), [("double", "double", "NaN")], "bad-request", {"double"}, id="not a number"),
        pytest.param(("everything",), [("double", "double", "85.01")], "bad-request", {"double"}, id="too warm"),
        pytest.param(("everything",), [("color", "color", "red")], "bad-request", {"color"}, id="no colour"),
        pytest.param(("everything",), [("date", "date", "2026-02-30")], "bad-request", {"date"}, id="no such day"),
        pytest.param(("lamp",), [], "bad-request", set(), id="nothing to set"),
        pytest.param((), [("int", "brightness", "7")], "bad-request", set(), id="ambiguous node"),
        pytest.param(("lamp",), [("kelvin", "brightness", "7")], "bad-request", set(), id="unknown type"),
    ],
)  # fmt: skip
async def test_a_command_that_is_wrong_in_one_point_moves_nothing(
    node: Node, owner: RawClient, namespace: str, names: tuple[str, ...], parameters: list[tuple[str, str, str]],
    expected: str, faulty: set[str],
) -> None:  # fmt: skip
    things = ("everything", "lamp", "light", "pump")
    before = {name: await values_of(owner, name) for name in things}
    iq = await owner.ask(HUB, "set", command(namespace, names, *parameters))
    assert condition(iq) == expected
    errors = parameter_errors(iq, namespace)
    assert set(errors) == faulty
    assert all(errors.values()), "each says what is wrong"
    assert {name: await values_of(owner, name) for name in things} == before


async def test_a_stranger_and_a_mere_reader_may_set_nothing(
    node: Node, owner: RawClient, server: World, caplog: pytest.LogCaptureFixture
) -> None:
    before = await values_of(owner, "pump")
    for user in ("stranger", "reader"):
        async with server.client(user) as client:
            for namespace in DIALECTS:
                sent = command(namespace, ("pump",), ("boolean", "output", "true"))
                assert condition(await client.ask(HUB, "set", sent)) == "forbidden"
                unknown = command(namespace, ("cellar",), ("boolean", "output", "true"))
                assert condition(await client.ask(HUB, "set", unknown)) == "forbidden"
            client.write(f"<message to='{HUB}'>{command(OLD, ('pump',), ('boolean', 'output', 'true'))}</message>")
            await client.ask(HUB, "get", "<query xmlns='http://jabber.org/protocol/disco#info'/>")  # it was handled
    assert await values_of(owner, "pump") == before
    refusals = [record.message for record in caplog.records if record.name == "hub.commands"]
    assert sum("stranger@localhost/raw: pump: output=true → Forbidden" in line for line in refusals) == 4


@pytest.mark.parametrize("kind", ["", "type='normal'", "type='chat'", "type='headline'"])
async def test_a_command_in_a_message_is_carried_out_without_an_answer(
    node: Node, owner: RawClient, kind: str
) -> None:
    owner.write(f"<message {kind} to='{HUB}'>{command(OLD, ('pump',), ('boolean', 'output', 'true'))}</message>")
    await until(lambda: node.things["pump"].values.get("output") is True, "the pump runs")
    owner.write(f"<message {kind} to='{HUB}'>{command(OLD, ('pump',), ('int', 'output', '0'))}</message>")  # wrong
    assert (await values_of(owner, "pump"))["output"] == "true"
    assert owner.pending == [], "a command in a message is not answered, not even by an error"


async def test_a_command_in_a_message_does_not_exist_in_the_new_dialect(node: Node, owner: RawClient) -> None:
    owner.write(f"<message to='{HUB}'>{command(NEW[0], ('pump',), ('boolean', 'output', 'true'))}</message>")
    assert (await values_of(owner, "pump"))["output"] == "false"


async def test_a_command_is_not_carried_out_again_by_the_next_session(server: World, state: Path) -> None:
    config = server.config(THINGS, state)
    async with server.client("owner") as owner:
        async with running(config) as node:
            owner.write(f"<message to='{HUB}'>{command(OLD, ('pump',), ('boolean', 'output', 'true'))}</message>")
            await until(lambda: node.things["pump"].values.get("output") is True, "the pump runs")
        async with running(config):
            assert (await values_of(owner, "pump"))["output"] == "false"


@pytest.mark.parametrize("stamp", ["stamp='2026-01-02T03:04:05Z'", "stamp='2999-01-02T03:04:05Z'", "stamp='soon'", ""])
async def test_a_command_that_a_server_has_kept_too_long_is_not_carried_out(
    node: Node, owner: RawClient, stamp: str
) -> None:
    payload = command(OLD, ("pump",), ("boolean", "output", "true"))
    owner.write(f"<message to='{HUB}'>{payload}<delay xmlns='urn:xmpp:delay' {stamp}/></message>")
    assert (await values_of(owner, "pump"))["output"] == "false"


async def test_a_command_that_was_kept_for_a_moment_is_carried_out(node: Node, owner: RawClient) -> None:
    now = dt.datetime.now(dt.UTC).isoformat()
    payload = command(OLD, ("pump",), ("boolean", "output", "true"))
    owner.write(f"<message to='{HUB}'>{payload}<delay xmlns='urn:xmpp:delay' stamp='{now}'/></message>")
    await until(lambda: node.things["pump"].values.get("output") is True, "the pump runs")


async def test_a_command_without_a_node_means_the_only_one_that_can_be_controlled(
    server: World, state: Path
) -> None:
    things = '[things.air]\ndriver = "simulated"\n[things.pump]\ndriver = "relay"\npin = 17\n'
    async with running(server.config(things, state)), server.client("owner") as owner:
        iq = await owner.ask(HUB, "set", command(OLD, (), ("boolean", "output", "true")))
        assert iq.get("type") == "result"
        assert (await values_of(owner, "pump"))["output"] == "true"


async def test_the_value_reported_is_the_one_read_back_and_not_the_one_sent(node: Node, owner: RawClient) -> None:
    driver = node.sampler.stations["lamp"].driver
    read = driver.read
    driver.read = lambda: {**read(), "brightness": 33}  # type: ignore[method-assign]  # a lamp that is stuck
    iq = await owner.ask(HUB, "set", command(OLD, ("lamp",), ("int", "brightness", "80")))
    assert condition(iq) == "internal-server-error"
    assert (await values_of(owner, "lamp"))["brightness"] == "33"


async def test_an_output_that_fails_says_so_and_stops_no_other(node: Node, owner: RawClient) -> None:
    driver = node.sampler.stations["lamp"].driver

    def broken(_: object) -> None:
        raise NotResponding("the dimmer does not acknowledge")

    driver.write = broken  # type: ignore[attr-defined]
    iq = await owner.ask(HUB, "set", command(OLD, ("lamp",), ("boolean", "on", "true")))
    assert condition(iq) == "internal-server-error"
    iq = await owner.ask(HUB, "set", command(OLD, ("light",), ("boolean", "on", "true")))
    assert iq.get("type") == "result"


async def test_every_command_is_logged_with_who_what_and_the_answer(
    node: Node, owner: RawClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await owner.ask(HUB, "set", command(OLD, ("lamp", "light"), ("int", "brightness", "7"), ("boolean", "on", "1")))
    await owner.ask(HUB, "set", command(OLD, ("lamp",), ("int", "brightness", "700")))
    lines = [record.message for record in caplog.records if record.name == "hub.commands"]
    assert lines[0] == "owner@localhost/raw: lamp, light: brightness=7, on=true → done"
    assert lines[1].startswith("owner@localhost/raw: lamp: brightness=700 → BadRequest")
