"""Every example of XEP-0324 and XEP-0347: read to the model, and written from it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import pytest

from hub.stanzas import control_xmpp, sensor_data_xmpp
from hub.stanzas.dialects import (
    CONTROL,
    DISCOVERY,
    DISCOVERY_REQUESTS,
    PROVISIONING,
    PROVISIONING_REQUESTS,
    SENSOR_DATA,
)
from hub.stanzas.errors import decode_error, encode_error
from hub.things.questions import Right
from tests.stanzas import vectors_xep0324, vectors_xep0347
from tests.stanzas.trust_kinds import DISCOVERY_KINDS, PROVISIONING_KINDS, Kind
from tests.stanzas.vector import Vector, canonical, cases, parse

SENSORS, CONTROLS = sensor_data_xmpp.SensorData(), control_xmpp.Control()
CODECS: dict[str, Any] = {
    "0324": PROVISIONING["urn:xmpp:iot:provisioning"],
    "0347": DISCOVERY["urn:xmpp:iot:discovery"],
}
KINDS: dict[str, dict[str, Kind]] = {"0324": dict(PROVISIONING_KINDS), "0347": dict(DISCOVERY_KINDS)}

CASES: list[Any] = [
    pytest.param(name, *case.values, id=case.id)
    for name, table in (("0324", vectors_xep0324), ("0347", vectors_xep0347))
    for case in cases({f"xep-{name}": table})
]
OURS: list[Any] = [case for case in CASES if case.values[1].kind in KINDS[str(case.values[0])]]
OTHERS = [case for case in CASES if case not in OURS]

WRITTEN_ELSEWHERE: dict[str, tuple[Callable[[ET.Element], Any], Callable[[Any], ET.Element]]] = {
    "readout": (SENSORS.decode_request, SENSORS.encode_request),
    "command": (CONTROLS.decode_command, CONTROLS.encode_command),
}
"""What the examples show of XEP-0323 and XEP-0325: it has to work with tokens in it."""


def expected(vector: Vector, stanza: str) -> ET.Element:
    """The payload as we write it: as published, but for the named differences."""
    assert bool(vector.differs) == bool(vector.because)
    for published, ours in vector.differs:
        assert published in stanza, "a difference that is none any more"
        stanza = stanza.replace(published, ours)
    return parse(stanza)[0]


@pytest.mark.parametrize(("name", "vector", "stanza"), OURS)
def test_each_payload_is_read_to_exactly_its_meaning(name: str, vector: Vector, stanza: str) -> None:
    payload = parse(stanza)[0]
    kind = KINDS[name][vector.kind]
    assert kind.read(CODECS[name], payload, vector.meaning) == vector.meaning


@pytest.mark.parametrize(("name", "vector", "stanza"), OURS)
def test_each_payload_is_written_as_published_or_with_its_named_difference(
    name: str, vector: Vector, stanza: str
) -> None:
    produced = KINDS[name][vector.kind].write(CODECS[name], vector.meaning)
    assert canonical(produced) == canonical(expected(vector, stanza))


@pytest.mark.parametrize(("name", "vector", "stanza"), OURS)
def test_what_we_write_we_read_again_to_the_same_meaning(name: str, vector: Vector, stanza: str) -> None:
    kind = KINDS[name][vector.kind]
    written = ET.fromstring(ET.tostring(kind.write(CODECS[name], vector.meaning)))
    assert kind.read(CODECS[name], written, vector.meaning) == vector.meaning


@pytest.mark.parametrize(("name", "vector", "stanza"), OURS)
def test_each_payload_is_found_by_its_tag(name: str, vector: Vector, stanza: str) -> None:
    tag = parse(stanza)[0].tag
    found = (PROVISIONING_REQUESTS if name == "0324" else DISCOVERY_REQUESTS).get(tag)
    wanted = KINDS[name][vector.kind].request
    if vector.kind == "question":
        wanted = CODECS[name].requests[tag]
        assert (
            wanted.value
            == {Right.FRIEND: "isFriend", Right.READ: "canRead", Right.CONTROL: "canControl"}[vector.meaning[0].right]
        )
    elif vector.kind == "node":
        wanted = vector.meaning[0]
    assert found == (None if wanted is None else (CODECS[name], wanted))


@pytest.mark.parametrize(("name", "vector", "stanza"), OTHERS)
def test_what_stands_beside_it_is_what_it_is(name: str, vector: Vector, stanza: str) -> None:
    element = parse(stanza)
    match vector.kind:
        case "empty":
            assert element.get("type") == "result" and len(element) == 0
        case "error":
            error, type_, condition = vector.meaning
            refused = decode_error(element)
            assert (refused.condition, refused.text, element[0].get("type")) == (condition, "", type_)
            assert canonical(encode_error(error)) == canonical(element[0])
        case "discovery":
            assert element[0].tag.startswith("{http://jabber.org/protocol/disco#") and vector.because
        case "feature":
            assert [feature.get("var") for feature in element[0]] == [vector.meaning]
            assert vector.meaning in {**PROVISIONING, **DISCOVERY}
        case "accepted":
            assert canonical(SENSORS.encode_accepted(*vector.meaning)) == canonical(element[0])
        case "older":
            assert vector.because and element[0].tag.partition("}")[0][1:] in {**SENSOR_DATA, **CONTROL}
        case kind:
            read, write = WRITTEN_ELSEWHERE[kind]
            assert read(element[0]) == vector.meaning
            assert canonical(write(vector.meaning)) == canonical(expected(vector, stanza))
