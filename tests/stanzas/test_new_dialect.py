"""The new dialect under each of its names: read to the model, and written from it, from one table."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest

from devices.base import ParameterSpec
from hub.errors import BadRequest
from hub.stanzas import forms
from hub.stanzas.dialects import CONTROL, SENSOR_DATA
from hub.stanzas.errors import decode_error, encode_error
from hub.things.model import FieldTypes, NodeRef, ReadoutRequest
from tests.stanzas import vectors_new_dialect as table
from tests.stanzas.vector import CLIENT, canonical
from tests.stanzas.vectors_new_dialect import Vector


def cases(vectors: tuple[Vector, ...], namespaces: tuple[str, ...]) -> list[Any]:
    return [
        pytest.param(vector, namespace, id=f"{namespace.split(':')[1]}-{vector.name}")
        for vector in vectors
        for namespace in namespaces
    ]


SENSOR_CASES = cases(table.SENSOR_DATA_VECTORS, table.SENSOR_DATA)
CONTROL_CASES = cases(table.CONTROL_VECTORS, table.CONTROL)


def element_of(xml: str, namespace: str) -> ET.Element:
    return ET.fromstring(xml.replace("NS", namespace))


@pytest.mark.parametrize(("vector", "namespace"), SENSOR_CASES)
def test_sensor_data_is_read_to_exactly_its_meaning(vector: Vector, namespace: str) -> None:
    codec = SENSOR_DATA[namespace]
    element = element_of(vector.xml, namespace)
    match vector.kind:
        case "answer":
            assert codec.decode_answer(element) == vector.meaning
        case "request":
            assert codec.decode_request(element) == vector.meaning
        case "cancel":
            assert codec.decode_cancel(element) == vector.meaning
        case _:
            assert codec.decode_answer(element) is None  # carries no data


@pytest.mark.parametrize(("vector", "namespace"), SENSOR_CASES)
def test_sensor_data_is_written_as_in_the_table(vector: Vector, namespace: str) -> None:
    codec = SENSOR_DATA[namespace]
    assert bool(vector.written) == bool(vector.because)
    match vector.kind:
        case "answer":
            (produced,) = codec.encode_answer(vector.meaning)
        case "request":
            produced = codec.encode_request(vector.meaning)
        case "cancel":
            produced = codec.encode_cancel(vector.meaning)
        case "accepted":
            produced = codec.encode_accepted(*vector.meaning)
        case _:
            produced = codec.encode_started(vector.meaning)
    assert canonical(produced) == canonical(element_of(vector.written or vector.xml, namespace))


@pytest.mark.parametrize(("vector", "namespace"), CONTROL_CASES)
def test_control_is_read_to_exactly_its_meaning(vector: Vector, namespace: str) -> None:
    codec = CONTROL[namespace]
    element = element_of(vector.xml, namespace)
    match vector.kind:
        case "command":
            assert codec.decode_command(element) == vector.meaning
        case "form request":
            assert codec.decode_form_request(element) == vector.meaning
        case "parameter errors":
            assert codec.decode_parameter_errors(element) == vector.meaning
        case _:
            assert element.tag == f"{{{namespace}}}resp"


@pytest.mark.parametrize(("vector", "namespace"), CONTROL_CASES)
def test_control_is_written_as_in_the_table(vector: Vector, namespace: str) -> None:
    codec = CONTROL[namespace]
    match vector.kind:
        case "command":
            produced = codec.encode_command(vector.meaning)
        case "form request":
            produced = codec.encode_form_request(*vector.meaning)
        case "parameter errors":
            produced = ET.Element(f"{{{CLIENT}}}error")
            produced.extend(codec.encode_parameter_errors(vector.meaning))
        case _:
            produced = codec.encode_response(*vector.meaning)
    assert canonical(produced) == canonical(element_of(vector.xml, namespace))


@pytest.mark.parametrize("namespace", table.SENSOR_DATA)
def test_a_cancellation_is_answered_by_an_empty_result(namespace: str) -> None:
    assert SENSOR_DATA[namespace].encode_cancelled("x1") is None


@pytest.mark.parametrize("namespace", table.SENSOR_DATA)
def test_only_the_new_dialect_answers_inside_the_iq(namespace: str) -> None:
    assert SENSOR_DATA[namespace].answers_in_iq
    assert not SENSOR_DATA["urn:xmpp:iot:sensordata"].answers_in_iq


def test_no_nodes_means_all_of_them_in_the_old_dialect_only() -> None:
    old = ET.fromstring("<req xmlns='urn:xmpp:iot:sensordata' seqnr='1' momentary='true'/>")
    assert SENSOR_DATA["urn:xmpp:iot:sensordata"].decode_request(old).nodes is None
    new = ET.fromstring("<req xmlns='urn:nf:iot:sd:1.0' id='1' m='true'/>")
    assert SENSOR_DATA["urn:nf:iot:sd:1.0"].decode_request(new).nodes == ()


@pytest.mark.parametrize("attribute", [f"historical{unit}" for unit in (
    "Second", "Minute", "Hour", "Day", "Week", "Month", "Quarter", "Year", "Other")])  # fmt: skip
def test_every_historical_category_of_the_old_dialect_is_one_in_the_new(attribute: str) -> None:
    old = SENSOR_DATA["urn:xmpp:iot:sensordata"]
    types = old.decode_request(
        ET.fromstring(f"<req xmlns='urn:xmpp:iot:sensordata' seqnr='1' {attribute}='true'/>")
    ).types
    assert types in FieldTypes.HISTORICAL and len(types) == 1
    new = SENSOR_DATA["urn:nf:iot:sd:1.0"].encode_request(ReadoutRequest("1", types=types))
    assert new.attrib == {"id": "1", "h": "true"}


@pytest.mark.parametrize("namespace", table.CONTROL)
def test_a_command_without_an_answer_exists_in_the_old_dialect_only(namespace: str) -> None:
    assert not CONTROL[namespace].allows_message
    assert CONTROL["urn:xmpp:iot:control"].allows_message


@pytest.mark.parametrize(("namespace", "element", "attribute"), [
    *((namespace, "pGroup", "n") for namespace in table.CONTROL),
    ("urn:xmpp:iot:control", "parameterGroup", "name"),
])  # fmt: skip
def test_a_group_of_parameters_is_named_in_the_words_of_the_dialect(
    namespace: str, element: str, attribute: str
) -> None:
    codec = CONTROL[namespace]
    form = forms.encode_form(
        "Lamp", "s", [ParameterSpec("on", group="light")], {}, codec.namespace, codec.group_element
    )
    (found,) = form.iter(f"{{{namespace}}}{element}")
    assert found.attrib == {attribute: "light"}


def test_a_narrowed_command_is_told_in_the_words_of_the_old_dialect() -> None:
    codec = CONTROL["urn:xmpp:iot:control"]
    element = codec.encode_response((NodeRef("a", "s"),), ("Output",), narrowed=True)
    expected = ET.fromstring(
        "<setResponse xmlns='urn:xmpp:iot:control'><node nodeId='a' sourceId='s'/><parameter name='Output'/>"
        "</setResponse>"
    )
    assert canonical(element) == canonical(expected)


@pytest.mark.parametrize("namespace", CONTROL)
@pytest.mark.parametrize("attribute", ["var", "n"])
def test_a_parameter_error_is_read_whichever_way_its_parameter_is_named(namespace: str, attribute: str) -> None:
    error = ET.fromstring(f"<error><paramError xmlns='{namespace}' {attribute}='P'> Too large. </paramError></error>")
    assert CONTROL[namespace].decode_parameter_errors(error) == {"P": "Too large."}


@pytest.mark.parametrize("namespace", CONTROL)
def test_errors_of_parameters_travel_inside_the_stanza_error(namespace: str) -> None:
    codec = CONTROL[namespace]
    stanza = ET.Element(f"{{{CLIENT}}}iq", type="error")
    stanza.append(encode_error(BadRequest("No.", {"P": "Too large.", "Q": "No such."}), codec))
    refused = decode_error(stanza, codec)
    assert (refused.condition, refused.text) == ("bad-request", "No.")
    assert refused.parameters == {"P": "Too large.", "Q": "No such."}


def test_an_error_stanza_without_an_error_is_an_undefined_condition() -> None:
    assert decode_error(ET.Element(f"{{{CLIENT}}}iq", type="error")).condition == "undefined-condition"


def test_the_dialects_under_their_names() -> None:
    assert set(SENSOR_DATA) == {"urn:xmpp:iot:sensordata", *table.SENSOR_DATA}
    assert set(CONTROL) == {"urn:xmpp:iot:control", *table.CONTROL}
    for namespace, codec in {**SENSOR_DATA, **CONTROL}.items():
        assert codec.namespace == namespace
