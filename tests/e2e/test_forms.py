"""Control forms (XEP-0325 section 3.3): asked for, filled in and sent back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.programs.node import Node

from .commands import (
    DATA,
    DYNAMIC,
    LAYOUT,
    NEW,
    OLD,
    VALIDATE,
    form_fields,
    form_of,
    get_form,
    parameter_errors,
    submit,
)
from .raw import RawClient, condition, error_text
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
label = "Reading lamp"
[things.light]
driver = "simulated"
kind = "lamp"
[things.pump]
driver = "relay"
pin = 17
"""


@pytest.fixture
async def node(server: World, state: Path) -> AsyncIterator[Node]:
    async with running(server.config(THINGS, state)) as node:
        yield node


@pytest.fixture
async def owner(server: World) -> AsyncIterator[RawClient]:
    async with server.client("owner") as client:
        yield client


@pytest.mark.parametrize("namespace", DIALECTS)
async def test_the_form_of_one_node_shows_its_parameters_in_order_with_their_values(
    node: Node, owner: RawClient, namespace: str
) -> None:
    form = form_of(await owner.ask(HUB, "get", get_form(namespace, "lamp")))
    assert (form.get("type"), form.findtext(f"{DATA}title")) == ("form", "Reading lamp")
    fields = form_fields(form)
    assert list(fields) == ["xdd session", "fade_time", "brightness", "on"]
    assert fields["xdd session"].get("type") == "hidden"
    assert [fields[name].findtext(f"{DATA}value") for name in ("fade_time", "brightness", "on")] == [
        "300", "100", "false"]  # fmt: skip
    assert (fields["on"].get("type"), fields["brightness"].get("type")) == ("boolean", "text-single")
    assert fields["brightness"].get("label") == "Brightness (%)"
    assert fields["brightness"].findtext(f"{DATA}desc") == "Light level."


async def test_every_form_is_a_session_of_its_own(node: Node, owner: RawClient) -> None:
    sessions = {
        form_fields(form_of(await owner.ask(HUB, "get", get_form(OLD, "lamp"))))["xdd session"].findtext(f"{DATA}value")
        for _ in range(3)
    }
    assert len(sessions) == 3


async def test_a_form_can_be_checked_before_it_is_sent_back(node: Node, owner: RawClient) -> None:
    fields = form_fields(form_of(await owner.ask(HUB, "get", get_form(OLD, "everything"))))
    datatypes = {
        name: validate.get("datatype")
        for name, field in fields.items()
        if (validate := field.find(f"{VALIDATE}validate")) is not None
    }
    assert datatypes == {
        "boolean": "xs:boolean", "color": "xdc:Color", "date": "xs:date", "dateTime": "xs:dateTime",
        "double": "xs:double", "duration": "xs:duration", "enum": "xs:string", "int": "xs:int", "long": "xs:long",
        "string": "xs:string", "time": "xs:time",
    }  # fmt: skip
    limits = fields["double"].find(f"{VALIDATE}validate/{VALIDATE}range")
    assert limits is not None and limits.attrib == {"min": "-40", "max": "85"}
    assert fields["enum"].get("type") == "list-single"
    assert [option.findtext(f"{DATA}value") for option in fields["enum"].findall(f"{DATA}option")] == [
        "off", "auto", "on"]  # fmt: skip


@pytest.mark.parametrize(("namespace", "name"), [(OLD, "name"), (NEW[0], "n")])
async def test_a_form_has_pages_groups_and_not_same_marks(
    node: Node, owner: RawClient, namespace: str, name: str
) -> None:
    form = form_of(await owner.ask(HUB, "get", get_form(namespace, "lamp")))
    pages = {
        page.get("label"): [ref.get("var") for ref in page.findall(f"{LAYOUT}fieldref")]
        for page in form.findall(f"{LAYOUT}page")
    }
    assert pages == {"Light": ["fade_time", "brightness"], "Output": ["on"]}
    fields = form_fields(form)
    for parameter in ("fade_time", "brightness", "on"):
        assert fields[parameter].find(f"{DYNAMIC}notSame") is not None
    group = "parameterGroup" if namespace == OLD else "pGroup"
    assert [g.get(name) for g in fields["brightness"].findall(f"{{{namespace}}}{group}")] == ["light"]


@pytest.mark.parametrize("namespace", DIALECTS)
async def test_the_form_of_several_nodes_shows_what_they_have_in_common(
    node: Node, owner: RawClient, namespace: str
) -> None:
    await owner.ask(HUB, "set", submit(namespace, ("light",), {"brightness": "5"}))
    form = form_of(await owner.ask(HUB, "get", get_form(namespace, "lamp", "light")))
    assert form.findtext(f"{DATA}title") == "Reading lamp, light"
    fields = form_fields(form)
    assert list(fields) == ["xdd session", "fade_time", "brightness", "on"]
    assert fields["fade_time"].findtext(f"{DATA}value") == "300"
    assert fields["brightness"].find(f"{DATA}value") is None, "they differ: neither value is shown"


@pytest.mark.parametrize("namespace", DIALECTS)
async def test_a_submitted_form_sets_what_was_edited_and_nothing_else(
    node: Node, owner: RawClient, namespace: str
) -> None:
    session = form_fields(form_of(await owner.ask(HUB, "get", get_form(namespace, "lamp", "light"))))["xdd session"]
    values = {"xdd session": session.findtext(f"{DATA}value") or "", "brightness": "64"}
    iq = await owner.ask(HUB, "set", submit(namespace, ("lamp", "light"), values))
    assert iq.get("type") == "result", condition(iq)
    for name in ("lamp", "light"):
        assert node.things[name].values["brightness"] == 64
        assert (node.things[name].values["fade_time"], node.things[name].values["on"]) == (300, False)


async def test_a_form_takes_every_type(node: Node, owner: RawClient) -> None:
    values = {"boolean": "1", "color": "ffffff80", "date": "2028-02-29", "dateTime": "2028-02-29T00:00:00Z",
              "double": "1.250", "duration": "-PT1S", "enum": "off", "int": " 5 ", "long": "6", "string": "",
              "time": "00:00:00"}  # fmt: skip
    iq = await owner.ask(HUB, "set", submit(OLD, ("everything",), values))
    assert iq.get("type") == "result", condition(iq)
    form = form_of(await owner.ask(HUB, "get", get_form(OLD, "everything")))
    shown = {name: field.findtext(f"{DATA}value") or "" for name, field in form_fields(form).items()}
    del shown["xdd session"]
    assert shown == {**values, "boolean": "true", "int": "5", "double": "1.25"}, "two decimals are meaningful"


@pytest.mark.parametrize("namespace", (OLD, NEW[0]))
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param({"brightness": "1", "hue": "7"}, "item-not-found", id="a foreign field"),
        pytest.param({"brightness": "101"}, "bad-request", id="out of range"),
        pytest.param({"brightness": "bright"}, "bad-request", id="no number"),
        pytest.param({"brightness": ""}, "bad-request", id="empty"),
        pytest.param({"brightness": "1", "on": "maybe"}, "bad-request", id="one of two is wrong"),
        pytest.param({}, "bad-request", id="nothing"),
        pytest.param({"xdd session": "x"}, "bad-request", id="only the session"),
    ],
)
async def test_a_form_that_is_wrong_in_one_point_sets_nothing(
    node: Node, owner: RawClient, namespace: str, values: dict[str, str], expected: str
) -> None:
    before = dict(node.things["lamp"].values)
    iq = await owner.ask(HUB, "set", submit(namespace, ("lamp",), values))
    assert condition(iq) == expected
    wrong = parameter_errors(iq, namespace)
    assert bool(wrong) == bool(values.keys() - {"xdd session"})
    assert all(wrong.values())
    assert node.things["lamp"].values == before


async def test_forms_that_are_no_submission_or_too_large_are_refused(node: Node, owner: RawClient) -> None:
    iq = await owner.ask(HUB, "set", submit(OLD, ("lamp",), {"brightness": "1"}, kind="result"))
    assert condition(iq) == "bad-request"
    huge = {f"field{number}": "1" for number in range(300)}
    iq = await owner.ask(HUB, "set", submit(OLD, ("lamp",), huge))
    assert condition(iq) == "bad-request"
    twice = submit(OLD, ("lamp",), {"brightness": "1"}).replace("<value>1</value>", "<value>1</value><value>2</value>")
    assert condition(await owner.ask(HUB, "set", twice)) == "bad-request"
    assert node.things["lamp"].values["brightness"] == 100


@pytest.mark.parametrize("namespace", DIALECTS)
@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(("cellar",), "item-not-found", id="unknown node"),
        pytest.param(("air",), "item-not-found", id="nothing to control"),
        pytest.param(("lamp", "pump"), "item-not-found", id="nothing in common"),
        pytest.param((), "bad-request", id="ambiguous"),
    ],
)
async def test_a_form_that_cannot_be_made_is_refused_with_the_reason(
    node: Node, owner: RawClient, namespace: str, names: tuple[str, ...], expected: str
) -> None:
    iq = await owner.ask(HUB, "get", get_form(namespace, *names))
    assert condition(iq) == expected
    assert error_text(iq)


async def test_who_may_not_control_sees_no_form(node: Node, server: World) -> None:
    for user in ("stranger", "reader"):
        async with server.client(user) as client:
            for name in ("lamp", "cellar"):
                assert condition(await client.ask(HUB, "get", get_form(OLD, name))) == "forbidden"
