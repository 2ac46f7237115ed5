"""XEP-0323 and its successors as a client sees them on the wire, through a real server."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.programs.node import Node
from tests.helpers import until

from . import readings
from .raw import RawClient, condition
from .readings import NEW, OLD, nodes, read, request, wanted
from .world import HUB, SAMPLED, World, running

DIALECTS = (OLD, *NEW)

THINGS = """
[things.air]
driver = "simulated"
field = "temperature"
unit = "°C"
label = "Air in the greenhouse"
module = "greenhouse"
string_ids = { temperature = "1,2" }
[things.everything]
driver = "simulated"
kind = "types"
interval = "50ms"
[things.lamp]
driver = "simulated"
kind = "lamp"
[things.gone]
driver = "simulated"
fault = "missing"
[things.mad]
driver = "simulated"
fault = "error"
[things.ticks]
driver = "simulated"
kind = "counter"
field = "ticks"
interval = "50ms"
"""


@pytest.fixture
async def node(server: World, state: Path) -> AsyncIterator[Node]:
    async with running(server.config(THINGS, state)) as node:
        yield node


@pytest.fixture
async def owner(server: World) -> AsyncIterator[RawClient]:
    async with server.client("owner") as client:
        yield client


@pytest.mark.parametrize("namespace", (*DIALECTS, "urn:nfi:iot:sd:1.0"))
async def test_momentary_values_are_answered_in_the_callers_own_dialect(
    node: Node, owner: RawClient, namespace: str
) -> None:
    momentary = "momentary='true'" if namespace == OLD else "m='true'"
    readout = await read(owner, namespace, 1, momentary, nodes(namespace, "air", "lamp"))
    assert readout.nodes() == ["air", "lamp"]
    assert set(readout.names()) == {"temperature", "brightness", "on"}, "status and computed values were not asked for"
    field = readout.field("temperature")
    assert field.tag == f"{{{namespace}}}{'numeric' if namespace == OLD else 'q'}"
    assert field.get("unit" if namespace == OLD else "u") == "°C"
    assert field.get("momentary" if namespace == OLD else "m") == "true"
    assert field.get("automaticReadout" if namespace == OLD else "ar") == "true"


@pytest.mark.parametrize("namespace", DIALECTS)
async def test_every_type_of_value_arrives_with_its_lexical_form(
    node: Node, owner: RawClient, namespace: str
) -> None:
    readout = await read(owner, namespace, 2, "all='true'", nodes(namespace, "everything"))
    expected = {
        "boolean": ("boolean", "b", "false"),  # the boot state is off
        "date": ("date", "d", "2026-01-01"),
        "dateTime": ("dateTime", "dt", "2026-01-01T08:00:00Z"),
        "double": ("numeric", "q", "21.50"),
        "duration": ("duration", "dr", "PT3M30S"),
        "enum": ("enum", "e", "auto"),
        "int": ("int", "i", "7"),
        "long": ("long", "l", "5000000000"),
        "string": ("string", "s", "hello"),
        "time": ("time", "t", "08:00:00"),
    }
    for name, (old, new, value) in expected.items():
        field = readout.field(name)
        assert field.tag == f"{{{namespace}}}{old if namespace == OLD else new}"
        assert readout.value(name) == value
    assert readout.field("enum").get("dataType" if namespace == OLD else "t") == "Mode"


async def test_decimals_keep_their_precision(node: Node, owner: RawClient) -> None:
    readout = await read(owner, OLD, 3, "momentary='true'", nodes(OLD, "everything") + wanted(OLD, "double"))
    assert readout.value("double") == "21.50", "not 21.5"
    readout = await read(owner, OLD, 4, "peak='true'", nodes(OLD, "everything"))
    assert {name: readout.value(name) for name in readout.names()} == {"peak": "25.90"}


async def test_the_types_of_field_choose_what_is_read(node: Node, owner: RawClient) -> None:
    by_type = {}
    for number, attribute in enumerate(("momentary", "status", "computed", "peak", "identity", "identification")):
        readout = await read(owner, OLD, number, f"{attribute}='1'", nodes(OLD, "lamp", "everything"))
        by_type[attribute] = {name for name in readout.names() if name in (
            "brightness", "fade_time", "power", "changes", "peak", "string")}  # fmt: skip
    assert by_type == {
        "momentary": {"brightness"},
        "status": {"fade_time", "changes"},
        "computed": {"power"},
        "peak": {"peak"},
        "identity": {"string"},
        "identification": {"string"},
    }


@pytest.mark.parametrize("namespace", DIALECTS)
async def test_a_field_filter_leaves_out_everything_else(node: Node, owner: RawClient, namespace: str) -> None:
    inner = nodes(namespace, "lamp") + wanted(namespace, "power", "on")
    readout = await read(owner, namespace, 5, "all='true'", inner)
    assert set(readout.names()) == {"power", "on"}


async def test_a_request_without_nodes_means_all_in_the_old_dialect_and_none_in_the_new(
    node: Node, owner: RawClient
) -> None:
    readout = await read(owner, OLD, 6, "momentary='true'")
    assert [name for name in readout.nodes() if name not in ("gone", "mad")] == ["air", "everything", "lamp", "ticks"]
    for namespace in NEW:
        readout = await read(owner, namespace, "6", "m='true'")
        assert readout.nodes() == []


async def test_names_are_localised_and_say_whether_they_can_be_set(node: Node, owner: RawClient) -> None:
    readout = await read(owner, OLD, 7, "all='true'", nodes(OLD, "air", "lamp"))
    assert (readout.field("temperature").get("module"), readout.field("temperature").get("stringIds")) == (
        "greenhouse", "1,2")  # fmt: skip
    assert readout.field("brightness").get("writable") == "true"
    assert readout.field("power").get("writable") == "false"
    readout = await read(owner, NEW[0], "7", "all='true'", nodes(NEW[0], "air", "lamp"))
    assert (readout.field("temperature").get("lns"), readout.field("temperature").get("loc")) == ("greenhouse", "1,2")
    assert readout.field("brightness").get("ctr") == "true"


@pytest.mark.parametrize("namespace", DIALECTS)
async def test_every_moment_carries_a_zone_and_is_when_it_was_measured(
    node: Node, owner: RawClient, namespace: str
) -> None:
    before = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=2)
    readout = await read(owner, namespace, 8, "all='true'", nodes(namespace, "air", "ticks", "gone"))
    assert readout.times()
    for text in readout.times():
        moment = dt.datetime.fromisoformat(text)
        assert moment.tzinfo is not None
        assert before < moment <= dt.datetime.now(dt.UTC)


@pytest.mark.parametrize("namespace", DIALECTS)
async def test_a_long_history_comes_in_parts_and_only_the_last_one_says_so(
    node: Node, owner: RawClient, namespace: str
) -> None:
    await until(lambda: len(SAMPLED.get("everything", [])) >= 6, "more fields than fit in one part")
    historical = "historical='true'" if namespace == OLD else "h='true'"
    readout = await read(owner, namespace, 9, historical, nodes(namespace, "everything", "ticks"))
    assert len(readout.parts) > 1
    if namespace == OLD:
        assert [part.get("done") for part in readout.parts] == [None] * (len(readout.parts) - 1) + ["true"]
    else:
        assert [part.get("more") for part in readout.parts] == ["true"] * (len(readout.parts) - 1) + [None]
    counts = [int(f.get("value") or f.get("v") or "") for f, n in zip(readout.fields(), readout.names(), strict=True)
              if n == "ticks"]  # fmt: skip
    assert len(counts) > 1
    assert counts == list(range(counts[0], counts[0] - len(counts), -1)), "newest first, none lost, none twice"
    assert not any(field.get("momentary") or field.get("m") for field in readout.fields())


async def test_from_and_to_bound_the_history(node: Node, owner: RawClient) -> None:
    await until(lambda: len(SAMPLED.get("ticks", [])) >= 9, "some history")
    past = [moment for moment, _ in SAMPLED["ticks"]][::-1]
    first, last = past[7], past[3]
    elsewhere = dt.timezone(dt.timedelta(hours=5, minutes=30))
    bounds = f"from='{first.isoformat()}' to='{last.astimezone(elsewhere).isoformat()}'"
    readout = await read(owner, OLD, 10, f"historical='true' {bounds}", nodes(OLD, "ticks"))
    assert [dt.datetime.fromisoformat(text) for text in readout.times()] == past[3:8]


async def test_history_without_anything_in_its_bounds_ends_at_once(node: Node, owner: RawClient) -> None:
    bounds = "from='1999-01-01T00:00:00Z' to='1999-12-31T00:00:00Z'"
    readout = await read(owner, OLD, 11, f"historical='true' {bounds}", nodes(OLD, "ticks"))
    assert [part.tag for part in readout.parts] == [f"{{{OLD}}}done"]
    readout = await read(owner, NEW[0], "11", f"h='true' {bounds}", nodes(NEW[0], "ticks"))
    assert readout.fields() == []


@pytest.mark.parametrize("namespace", DIALECTS)
async def test_a_part_with_a_fault_gives_a_failure_and_the_others_their_values(
    node: Node, owner: RawClient, namespace: str
) -> None:
    momentary = "momentary='true'" if namespace == OLD else "m='true'"
    readout = await read(owner, namespace, 12, momentary, nodes(namespace, "gone", "air", "mad"))
    assert readout.errors() == {
        "gone": "simulated fault: the part does not answer",
        "mad": "simulated fault: the checksum is wrong",
    }
    assert "temperature" in readout.names()


async def test_values_from_before_a_fault_are_marked_and_keep_their_moment(node: Node, owner: RawClient) -> None:
    driver = node.sampler.stations["air"].driver
    for number, (fault, mark) in enumerate((("missing", "missing"), ("error", "error")), 13):
        driver.fault = fault  # type: ignore[attr-defined]
        await node.sampler.refresh("air", 5)
        measured = node.things["air"].measured
        readout = await read(owner, OLD, number, "momentary='true'", nodes(OLD, "air"))
        assert set(readout.errors()) == {"air"}
        assert readout.field("temperature").get(mark) == "true"
        assert readout.field("temperature").get("automaticReadout") is None
        assert [dt.datetime.fromisoformat(text) for text in readout.times()] == [measured]
        driver.fault = "none"  # type: ignore[attr-defined]
        await until(lambda: node.things["air"].trouble is None, "it is retried and comes back")


@pytest.mark.parametrize("namespace", DIALECTS)
async def test_a_delayed_readout_is_queued_then_started_then_answered(
    node: Node, owner: RawClient, namespace: str
) -> None:
    when = (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=0.5)).isoformat()
    momentary = "momentary='true'" if namespace == OLD else "m='true'"
    asked = request(namespace, 14, f"{momentary} when='{when}'", nodes(namespace, "air"))
    accepted = (await owner.ask(HUB, "get", asked))[0]
    assert (accepted.tag, accepted.get("queued")) == (f"{{{namespace}}}accepted", "true")
    started = await readings.next_part(owner, namespace, 14)
    assert started.tag == f"{{{namespace}}}started"
    assert dt.datetime.now(dt.UTC) >= dt.datetime.fromisoformat(when)
    (part,) = await readings.parts(owner, namespace, 14)
    readout = readings.Readout(namespace, accepted, [part])
    assert readout.names() == ["temperature"]
    assert dt.datetime.fromisoformat(readout.times()[0]) > dt.datetime.fromisoformat(when) - dt.timedelta(seconds=3)


async def test_when_in_the_past_is_read_at_once(node: Node, owner: RawClient) -> None:
    readout = await read(owner, OLD, 15, "momentary='true' when='2001-01-01T00:00:00'", nodes(OLD, "air"))
    assert readout.accepted.get("queued") is None
    assert readout.names() == ["temperature"]


def cancel(namespace: str, id_: str | int) -> str:
    return f"<cancel xmlns='{namespace}' {'seqnr' if namespace == OLD else 'id'}='{id_}'/>"


def later(namespace: str, id_: str | int) -> str:
    when = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).isoformat()
    return request(namespace, id_, f"all='true' when='{when}'", nodes(namespace, "air"))


@pytest.mark.parametrize("namespace", DIALECTS)
async def test_the_caller_can_cancel_a_queued_readout_and_use_its_number_again(
    node: Node, owner: RawClient, namespace: str
) -> None:
    assert (await owner.ask(HUB, "get", later(namespace, 16)))[0].get("queued") == "true"
    assert condition(await owner.ask(HUB, "get", later(namespace, 16))) == "conflict"
    answer = await owner.ask(HUB, "get" if namespace == OLD else "set", cancel(namespace, 16))
    assert answer.get("type") == "result"
    assert [child.tag for child in answer] == ([f"{{{OLD}}}cancelled"] if namespace == OLD else [])
    assert condition(await owner.ask(HUB, "get", cancel(namespace, 16))) == "item-not-found", "it is cancelled already"
    await read(owner, namespace, 16, "all='true'", nodes(namespace, "air"))


async def test_nobody_cancels_or_hears_the_readout_of_another(
    node: Node, owner: RawClient, server: World
) -> None:
    async with server.client("reader") as reader, server.client("owner", "second") as second:
        assert (await owner.ask(HUB, "get", later(OLD, 17)))[0].get("queued") == "true"
        for other in (reader, second):  # also not the same account from another resource
            assert condition(await other.ask(HUB, "get", cancel(OLD, 17))) == "item-not-found"
            await read(other, OLD, 17, "momentary='true'", nodes(OLD, "air"))  # the number is free for others
        assert not any(readings.is_part(stanza, OLD, 17) for stanza in owner.pending)
        assert (await owner.ask(HUB, "get", cancel(OLD, 17))).get("type") == "result", "it was still queued"


async def test_cancelling_what_was_never_asked_is_not_found(node: Node, owner: RawClient) -> None:
    for namespace in DIALECTS:
        assert condition(await owner.ask(HUB, "get", cancel(namespace, 404))) == "item-not-found"


async def test_two_callers_may_use_the_same_number_at_the_same_time(
    node: Node, owner: RawClient, server: World
) -> None:
    async with server.client("reader") as reader:
        for client, id_, node_name in ((owner, "a", "air"), (reader, "b", "lamp")):
            asked = request(OLD, 18, "all='true'", nodes(OLD, node_name))
            client.write(f"<iq type='get' id='{id_}' to='{HUB}'>{asked}</iq>")
        for client, id_, node_name in ((owner, "a", "air"), (reader, "b", "lamp")):
            iq = await client.take(lambda s, id_=id_: s.get("id") == id_)  # type: ignore[misc]
            assert iq.get("type") == "result"
            readout = readings.Readout(OLD, iq[0], await readings.parts(client, OLD, 18))
            assert readout.nodes() == [node_name]
