"""Whatever the model holds, it is read again as it was written: in every dialect, through real XML."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.base import ParameterSpec, ValueType
from hub.stanzas import forms
from hub.stanzas.dialects import CONTROL, SENSOR_DATA
from hub.things.model import Answer, Assignment, Command, FieldTypes, Reading, ReadoutRequest
from hub.things.values import to_text
from tests.stanzas import strategies as some
from tests.stanzas.vectors_new_dialect import CONTROL as NEW_CONTROL
from tests.stanzas.vectors_new_dialect import SENSOR_DATA as NEW_SENSOR_DATA

OLD = SENSOR_DATA["urn:xmpp:iot:sensordata"]
OLD_CONTROL = CONTROL["urn:xmpp:iot:control"]


def through_xml(element: ET.Element) -> ET.Element:
    return ET.fromstring(ET.tostring(element, encoding="unicode"))


def collapsed(types: FieldTypes) -> FieldTypes:
    """All historical categories are one in the new dialect."""
    return types & FieldTypes.PRESENT | (FieldTypes.HISTORICAL if types & FieldTypes.HISTORICAL else FieldTypes(0))


@some.quick
@given(some.answers)
def test_an_answer_in_the_old_dialect(answer: Answer) -> None:
    elements = OLD.encode_answer(answer)
    parts = [OLD.decode_answer(through_xml(element)) for element in elements]
    assert all(part is not None for part in parts)
    found = [part for part in parts if part is not None]
    assert all(part.id == answer.id for part in found)
    assert tuple(r for part in found for r in part.readings) == answer.readings
    assert tuple(t for part in found for t in part.troubles) == answer.troubles
    assert [part.done for part in found] == [False] * (len(found) - 1) + [answer.done] if found else not answer.done


def as_new(reading: Reading) -> Reading:
    """What is left of a reading in the new dialect."""
    fields = []
    for field in reading.fields:
        types = field.types & FieldTypes.PRESENT
        if field.types & FieldTypes.HISTORICAL:
            types |= FieldTypes.HISTORICAL_OTHER
        fields.append(replace(field, types=types))
    return replace(reading, fields=tuple(fields))


@pytest.mark.parametrize("namespace", NEW_SENSOR_DATA)
@some.quick
@given(answer=some.answers)
def test_an_answer_in_the_new_dialect(namespace: str, answer: Answer) -> None:
    (element,) = SENSOR_DATA[namespace].encode_answer(answer)
    found = SENSOR_DATA[namespace].decode_answer(through_xml(element))
    assert found is not None and (found.id, found.done) == (answer.id, answer.done)
    # What belongs to a node stands together, the nodes in the order in which they first came.
    places = list(dict.fromkeys(item.node for item in (*answer.troubles, *answer.readings)))
    assert list(found.readings) == sorted(map(as_new, answer.readings), key=lambda item: places.index(item.node))
    assert list(found.troubles) == sorted(answer.troubles, key=lambda item: places.index(item.node))


@some.quick
@given(some.requests(zero_nodes=False))
def test_a_request_in_the_old_dialect(request: ReadoutRequest) -> None:
    assert OLD.decode_request(through_xml(OLD.encode_request(request))) == request


@pytest.mark.parametrize("namespace", NEW_SENSOR_DATA)
@some.quick
@given(request=some.requests(zero_nodes=True))
def test_a_request_in_the_new_dialect(namespace: str, request: ReadoutRequest) -> None:
    codec = SENSOR_DATA[namespace]
    expected = replace(request, types=collapsed(request.types))
    assert codec.decode_request(through_xml(codec.encode_request(request))) == expected


@some.quick
@given(some.commands([type_ for type_ in ValueType if type_ is not ValueType.ENUM]))
def test_a_command_in_the_old_dialect(command: Command) -> None:
    assert OLD_CONTROL.decode_command(through_xml(OLD_CONTROL.encode_command(command))) == command


def test_an_enumeration_is_a_string_in_the_old_dialect() -> None:
    command = Command(None, (Assignment("mode", "auto", ValueType.ENUM),))
    expected = Command(None, (Assignment("mode", "auto", ValueType.STRING),))
    assert OLD_CONTROL.decode_command(through_xml(OLD_CONTROL.encode_command(command))) == expected


@pytest.mark.parametrize("namespace", NEW_CONTROL)
@some.quick
@given(command=some.commands(list(ValueType)))
def test_a_command_in_the_new_dialect(namespace: str, command: Command) -> None:
    codec = CONTROL[namespace]
    assert codec.decode_command(through_xml(codec.encode_command(command))) == command


# --------------------------------------------------------------------------- forms

limits = st.none() | st.floats(-1e15, 1e15).map(lambda f: float(f"{f:.6g}"))


@st.composite
def parameters(draw: st.DrawFn) -> list[ParameterSpec]:
    specs = []
    for name in draw(st.lists(some.names.filter(lambda n: n not in forms.HIDDEN), unique=True, min_size=1, max_size=4)):
        type_ = draw(st.sampled_from(list(ValueType)))
        options = tuple(draw(st.lists(some.texts, max_size=3))) if type_ is ValueType.STRING else ()
        number = type_ in (ValueType.INT, ValueType.LONG, ValueType.NUMERIC)
        specs.append(ParameterSpec(
            name, type_, draw(some.texts) if number else "", draw(limits) if number else None,
            draw(limits) if number else None, options, draw(some.texts), draw(some.texts), draw(some.texts),
        ))  # fmt: skip
    return specs


@some.quick
@given(specs=parameters(), data=st.data())
def test_a_form_is_read_as_it_was_made(specs: list[ParameterSpec], data: st.DataObject) -> None:
    current = {spec.name: data.draw(some.VALUES[spec.type]) for spec in specs if data.draw(st.booleans())}
    form = forms.encode_form("Title", "session", specs, current, OLD_CONTROL.namespace, OLD_CONTROL.group_element)
    title, fields = forms.decode_form(through_xml(form))
    assert title == "Title"
    assert [field.name for field in fields] == [spec.name for spec in specs]
    for spec, field in zip(specs, fields, strict=True):
        assert field.type is (ValueType.STRING if spec.type is ValueType.ENUM else spec.type)
        assert field.text == (to_text(current[spec.name]) if spec.name in current else "")
        assert field.options == spec.options
        for text, limit in ((field.minimum, spec.minimum), (field.maximum, spec.maximum)):
            assert text == "" if limit is None else float(text) == pytest.approx(limit)


@pytest.mark.parametrize(("limit", "text"), [
    (0, "0"), (-180, "-180"), (4095.0, "4095"), (0.5, "0.5"), (1e15, "1000000000000000"),
    (-(2.0**62), "-4611686018427388000"), (0.00001, "0.00001"),
])  # fmt: skip
def test_a_limit_is_written_as_a_plain_number(limit: float, text: str) -> None:
    """Whole numbers of XML Schema know no exponent."""
    form = forms.encode_form("T", "s", [ParameterSpec("p", ValueType.LONG, minimum=limit)], {}, "urn:x", "g")
    _, (field,) = forms.decode_form(form)
    assert field.minimum == text


@some.quick
@given(st.lists(st.tuples(some.names.filter(lambda n: n not in forms.HIDDEN), some.texts), max_size=5))
def test_a_submitted_form_is_read_as_it_was_made(values: list[tuple[str, str]]) -> None:
    assignments = [Assignment(name, text, None) for name, text in values]
    assert forms.decode_submit(through_xml(forms.encode_submit(assignments))) == assignments
