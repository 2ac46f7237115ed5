"""Which writes answer a command: all of it or nothing."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from devices.base import FieldSpec, ParameterSpec, Value, ValueType
from hub.errors import BadRequest, NotFound, RequestError
from hub.things.control import MAX_ASSIGNMENTS, MAX_NODES, common_parameters, controllable, plan
from hub.things.model import Assignment, Command, NodeRef
from hub.things.thing import Description, Thing
from hub.things.values import parse_text

B, INT, L, N, S, E = (ValueType.BOOLEAN, ValueType.INT, ValueType.LONG, ValueType.NUMERIC, ValueType.STRING,
                    ValueType.ENUM)  # fmt: skip


def thing(name: str, *parameters: ParameterSpec) -> Thing:
    return Thing(Description(name, fields=(FieldSpec("value"),), parameters=parameters))


LEVEL = ParameterSpec("level", INT, "%", 0, 100)
SWITCH = ParameterSpec("on")
DIMMER = thing("dimmer", ParameterSpec("fade", INT, "ms", 0, 4095), LEVEL, SWITCH)
LAMP = thing("lamp", SWITCH)
HEATER = thing("heater", ParameterSpec("on"), ParameterSpec("level", INT, "%", 10, 50),
               ParameterSpec("set", N, "°C", 5, 30), ParameterSpec("mode", S, options=("eco", "full")))  # fmt: skip
SENSOR = thing("sensor")
ALL = {t.name: t for t in (SENSOR, DIMMER, LAMP, HEATER)}
ONE = {t.name: t for t in (SENSOR, DIMMER)}


def command(*assignments: tuple[str, Any, ValueType | None], nodes: tuple[str, ...] = ()) -> Command:
    refs = tuple(NodeRef(node) for node in nodes)
    return Command(refs or None, tuple(Assignment(*assignment) for assignment in assignments))


def planned(wanted: Command, things: dict[str, Thing]) -> dict[str, list[tuple[str, Value]]]:
    return {write.thing.name: list(write.values.items()) for write in plan(wanted, things, parse_text)}


GOOD: list[tuple[str, Command, dict[str, Thing], dict[str, list[tuple[str, Value]]]]] = [
    ("the only controllable thing need not be named", command(("on", True, B)), ONE, {"dimmer": [("on", True)]}),
    ("the order of the caller is kept", command(("on", True, B), ("level", 5, INT), ("fade", 1, INT)), ONE,
     {"dimmer": [("on", True), ("level", 5), ("fade", 1)]}),
    ("the limits are allowed", command(("level", 0, INT), ("fade", 4095, INT)), ONE,
     {"dimmer": [("level", 0), ("fade", 4095)]}),
    ("several nodes, in the order named", command(("on", False, B), nodes=("lamp", "dimmer")), ALL,
     {"lamp": [("on", False)], "dimmer": [("on", False)]}),
    ("a node named twice is written once", command(("on", True, B), nodes=("lamp", "lamp")), ALL,
     {"lamp": [("on", True)]}),
    ("a form takes the types of the parameters",
     command(("on", "1", None), ("level", "20", None), ("set", "21.50", None), ("mode", "eco", None),
             nodes=("heater",)),
     ALL, {"heater": [("on", True), ("level", 20), ("set", Decimal("21.50")), ("mode", "eco")]}),
    ("a list can be set by a string", command(("mode", "full", S), nodes=("heater",)), ALL,
     {"heater": [("mode", "full")]}),
    ("a list can be set by an enumeration", command(("mode", "full", E), nodes=("heater",)), ALL,
     {"heater": [("mode", "full")]}),
    ("decimals are kept", command(("set", Decimal("21.50"), N), nodes=("heater",)), ALL,
     {"heater": [("set", Decimal("21.50"))]}),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "things", "writes"), [row[1:] for row in GOOD], ids=[row[0] for row in GOOD])
def test_a_good_command_is_these_writes(
    wanted: Command, things: dict[str, Thing], writes: dict[str, list[tuple[str, Value]]]
) -> None:
    found = planned(wanted, things)
    assert found == writes and list(found) == list(writes)


BAD: list[tuple[str, Command, dict[str, Thing], type[RequestError], set[str]]] = [
    ("it sets nothing", command(), ONE, BadRequest, set()),
    ("nothing is controllable", command(("on", True, B)), {"sensor": SENSOR}, NotFound, set()),
    ("there is nothing at all", command(("on", True, B)), {}, NotFound, set()),
    ("it is not clear which thing is meant", command(("on", True, B)), ALL, BadRequest, set()),
    ("a node is unknown", command(("on", True, B), nodes=("lamp", "ghost")), ALL, NotFound, set()),
    ("a parameter is unknown", command(("on", True, B), ("volume", 1, INT), nodes=("lamp",)), ALL, NotFound,
     {"volume"}),
    ("a sensor has no parameter", command(("value", Decimal(1), N), nodes=("sensor",)), ALL, NotFound, {"value"}),
    ("one of the nodes lacks it", command(("level", 20, INT), nodes=("dimmer", "lamp")), ALL, NotFound, {"level"}),
    ("below the range", command(("level", -1, INT)), ONE, BadRequest, {"level"}),
    ("above the range", command(("level", 101, INT)), ONE, BadRequest, {"level"}),
    ("out of the range of one node only", command(("level", 60, INT), nodes=("dimmer", "heater")), ALL, BadRequest,
     {"level"}),
    ("a boolean for a whole number", command(("level", True, B)), ONE, BadRequest, {"level"}),
    ("a whole number for a boolean", command(("on", 1, INT)), ONE, BadRequest, {"on"}),
    ("a long for an int", command(("level", 5, L)), ONE, BadRequest, {"level"}),
    ("a string for a number", command(("level", "5", S)), ONE, BadRequest, {"level"}),
    ("an enumeration for a number", command(("level", "5", E)), ONE, BadRequest, {"level"}),
    ("a date for a boolean", command(("on", dt.date(2026, 1, 1), ValueType.DATE)), ONE, BadRequest, {"on"}),
    ("not on the list", command(("mode", "turbo", S), nodes=("heater",)), ALL, BadRequest, {"mode"}),
    ("a form with a text that is no number", command(("level", "lots", None)), ONE, BadRequest, {"level"}),
    ("a form with an empty text", command(("on", "", None)), ONE, BadRequest, {"on"}),
    ("a form beyond the range", command(("level", "101", None)), ONE, BadRequest, {"level"}),
    ("a form with a foreign field", command(("level", "1", None), ("captcha", "x", None)), ONE, NotFound, {"captcha"}),
    ("set twice", command(("on", True, B), ("on", False, B)), ONE, BadRequest, {"on"}),
    ("every parameter that is wrong is named", command(("on", 1, INT), ("level", 500, INT), ("volume", 1, INT)), ONE,
     BadRequest, {"on", "level", "volume"}),
    ("too many parameters", command(*((f"p{n}", 1, INT) for n in range(MAX_ASSIGNMENTS + 1))), ONE, BadRequest, set()),
    ("too many nodes", command(("on", True, B), nodes=("lamp",) * (MAX_NODES + 1)), ALL, BadRequest, set()),
]  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "things", "error", "named"), [row[1:] for row in BAD], ids=[row[0] for row in BAD]
)
def test_a_command_that_is_wrong_in_one_point_is_refused_as_a_whole(
    wanted: Command, things: dict[str, Thing], error: type[RequestError], named: set[str]
) -> None:
    with pytest.raises(RequestError) as caught:
        plan(wanted, things, parse_text)
    assert type(caught.value) is error
    assert set(caught.value.parameters) == named
    assert str(caught.value) and all(caught.value.parameters.values())


def test_ambiguity_names_the_choices() -> None:
    with pytest.raises(BadRequest, match="dimmer, lamp, heater"):
        controllable(None, ALL)


def test_an_enumeration_parameter_takes_the_string_of_the_dialect_without_enumerations() -> None:
    fan = {"fan": thing("fan", ParameterSpec("speed", E, options=("slow", "fast")))}
    assert planned(command(("speed", "slow", S)), fan) == {"fan": [("speed", "slow")]}
    with pytest.raises(BadRequest):
        planned(command(("speed", "warp", S)), fan)


def test_a_free_text_is_no_enumeration() -> None:
    display = {"display": thing("display", ParameterSpec("row", S))}
    with pytest.raises(BadRequest):
        planned(command(("row", "x", E)), display)


def test_several_nodes_share_what_all_of_them_have_within_the_narrowest_range() -> None:
    shared = common_parameters([DIMMER, HEATER])
    assert [spec.name for spec in shared] == ["level", "on"]  # in the first one's order
    assert (shared[0].minimum, shared[0].maximum, shared[0].unit) == (10, 50, "%")


def test_a_parameter_of_another_type_or_with_other_options_is_not_shared() -> None:
    other = thing("other", ParameterSpec("level", N), ParameterSpec("mode", S, options=("eco",)), SWITCH)
    assert [spec.name for spec in common_parameters([HEATER, other])] == ["on"]
    assert common_parameters([LAMP, SENSOR]) == []
    assert common_parameters([LAMP]) == [SWITCH]
