"""Topics and payloads: what a state says, and what becomes of a command that anybody may have written."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.base import FieldSpec, NotResponding, ParameterSpec, ValueType
from hub.bridges import topics
from hub.bridges.topics import Topics, default_base
from hub.errors import BadRequest, Forbidden
from hub.things.model import Assignment
from hub.things.thing import Description, Thing

NOW = dt.datetime(2026, 1, 1, 8, 0, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(seconds=5)
FIELDS = (FieldSpec("temperature", unit="°C", decimals=2), FieldSpec("on", ValueType.BOOLEAN),
          FieldSpec("mode", ValueType.STRING))  # fmt: skip
PARAMETERS = (ParameterSpec("on"), ParameterSpec("mode", ValueType.STRING), ParameterSpec("level", ValueType.NUMERIC))
TOPICS = Topics("hub/node@example.org")


@pytest.fixture
def thing() -> Thing:
    return Thing(Description("lamp", fields=FIELDS, parameters=PARAMETERS))


def test_a_state_has_its_moment_and_keeps_decimals(thing: Thing) -> None:
    thing.measured_at({"temperature": Decimal("21.50"), "on": True, "mode": 'a "b" ü'}, NOW)
    text = topics.state(thing).decode()
    assert '"temperature":21.50' in text
    assert json.loads(text) == {"measured": "2026-01-01T08:00:00Z",
                                "fields": {"temperature": 21.5, "on": True, "mode": 'a "b" ü'}}  # fmt: skip
    assert topics.is_well(thing)


def test_a_failing_part_is_not_well_and_its_values_keep_their_moment(thing: Thing) -> None:
    assert not topics.is_well(thing)
    thing.measured_at({"temperature": 21}, NOW)
    thing.failed(NotResponding("gone"), LATER)
    assert not topics.is_well(thing)
    state = json.loads(topics.state(thing))
    assert state == {"measured": "2026-01-01T08:00:00Z", "fields": {"temperature": 21.0}, "trouble": "gone"}


def test_one_bad_value_does_not_take_the_good_ones_with_it(thing: Thing) -> None:
    thing.measured_at({"temperature": "warm", "on": True}, NOW)
    assert topics.is_well(thing)
    assert json.loads(topics.state(thing))["fields"] == {"on": True}
    thing.measured_at({"temperature": "warm"}, LATER)
    assert not topics.is_well(thing)


@pytest.mark.parametrize(("topic", "addressed"), [
    ("hub/node@example.org/lamp/on/set", ("lamp", "on")),
    ("hub/node@example.org/lamp/set", ("lamp", None)),
    ("hub/node@example.org/lamp/set/set", ("lamp", "set")),
    ("hub/node@example.org/lamp/on/state", None),
    ("hub/node@example.org/set", None),
    ("hub/node@example.org/a/b/c/set", None),
    ("hub/other/lamp/on/set", None),
    ("hub/node@example.orgs/lamp/on/set", None),
])  # fmt: skip
def test_commands_are_told_by_their_topic(topic: str, addressed: tuple[str, str | None] | None) -> None:
    assert TOPICS.addressed(topic) == addressed


def test_no_account_has_the_topics_of_another() -> None:
    assert default_base("node@example.org") == "hub/node@example.org"
    bases = {default_base(jid) for jid in ("a/b@x", "a+b@x", "a#b@x", "a=2bb@x", "ä@x")}
    assert len(bases) == 5 and not any(set(base) & set("+#$") for base in bases)
    assert TOPICS.command("lamp", "a/b") is None


# --------------------------------------------------------------------------- commands


@pytest.mark.parametrize(("payload", "text"), [
    (b"ON", "true"), (b"off", "false"), (b"True", "true"), (b"0", "false"), (b"maybe", "maybe"),
])  # fmt: skip
def test_a_switch_has_the_words_of_mqtt(thing: Thing, payload: bytes, text: str) -> None:
    assert topics.command(thing, "on", payload).assignments == (Assignment("on", text, None),)


def test_other_values_stay_as_they_are(thing: Thing) -> None:
    assert topics.command(thing, "mode", b"ON").assignments == (Assignment("mode", "ON", None),)
    command = topics.command(thing, None, b'{"level": 21.50, "on": false, "mode": "ON"}')
    assert [(a.name, a.value) for a in command.assignments] == [("level", "21.50"), ("on", "false"), ("mode", "ON")]
    assert [node.node_id for node in command.nodes or ()] == ["lamp"]


@pytest.mark.parametrize("payload", [
    b"\xff", b"", b"on", b"[1]", b"12", b'{"on": null}', b'{"on": [true]}', b'{"on": {}}', b'{"on": NaN}',
    b'{"level": Infinity}', b'{"on": true, "on": false}', b'{"on": true', b"[" * 4096, b'{"a":' * 500,
    b'{"on": true}' + b" " * 4096, b'{"on\\n": true}', b'{"\\ud800": true}',
], ids=range(17))  # fmt: skip
def test_what_is_no_command_is_refused(thing: Thing, payload: bytes) -> None:
    with pytest.raises(BadRequest):
        topics.command(thing, None, payload)


@given(st.binary(max_size=100), st.booleans())
def test_any_payload_is_a_command_or_refused(payload: bytes, named: bool) -> None:
    thing = Thing(Description("lamp", fields=FIELDS, parameters=PARAMETERS))
    try:
        command = topics.command(thing, "on" if named else None, payload)
    except BadRequest:
        return
    assert all(isinstance(assignment.value, str) for assignment in command.assignments)


def test_results_say_what_became_of_it() -> None:
    assert json.loads(topics.done(["on"])) == {"parameters": ["on"], "done": True}
    assert json.loads(topics.refused([], Forbidden("no"))) == {
        "parameters": [], "done": False, "error": "Forbidden", "text": "no",
    }  # fmt: skip
