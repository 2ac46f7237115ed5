"""Every example of XEP-0323 and XEP-0325: read to the model, and written from it. No example of these texts and of
XEP-0324 and XEP-0347 is missing from the tables."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from hub.errors import PeerRefused
from hub.stanzas import control_xmpp, forms, sensor_data_xmpp
from hub.stanzas.dialects import CONTROL, SENSOR_DATA
from hub.stanzas.errors import decode_error, encode_error
from tests.stanzas import vectors_xep0323, vectors_xep0324, vectors_xep0325, vectors_xep0347
from tests.stanzas.vector import Mend, Vector, canonical, cases, parse, stanzas

SENSORS = sensor_data_xmpp.SensorData()
CONTROLS = control_xmpp.Control()
SPECS = Path(__file__).parents[3] / "shared" / "specs"
TABLES: dict[str, Any] = {"xep-0323": vectors_xep0323, "xep-0325": vectors_xep0325}
ALL_TABLES = {**TABLES, "xep-0324": vectors_xep0324, "xep-0347": vectors_xep0347}
"""What stands in the last two is read and written in `test_trust_examples.py`."""


CASES = list(cases(TABLES))


def read(vector: Vector, stanza: ET.Element) -> Any:
    """What the stanza means, in the form of the table."""
    payload = stanza[0]
    match vector.kind:
        case "request":
            return SENSORS.decode_request(payload)
        case "cancel":
            return SENSORS.decode_cancel(payload)
        case "answer":
            return SENSORS.decode_answer(payload)
        case "command":
            return CONTROLS.decode_command(payload)
        case "form request":
            return CONTROLS.decode_form_request(payload)
        case "form":
            return forms.decode_form(payload)
        case "error":
            return decode_error(stanza, CONTROLS)
        case _:
            raise AssertionError(vector.kind)


def write(vector: Vector) -> ET.Element | None:
    meaning = vector.meaning
    match vector.kind:
        case "request":
            return SENSORS.encode_request(meaning)
        case "accepted":
            return SENSORS.encode_accepted(*meaning)
        case "started":
            return SENSORS.encode_started(meaning)
        case "cancel":
            return SENSORS.encode_cancel(meaning)
        case "cancelled":
            return SENSORS.encode_cancelled(meaning)
        case "answer":
            (element,) = SENSORS.encode_answer(meaning)
            return element
        case "command":
            return CONTROLS.encode_command(meaning)
        case "response":
            return CONTROLS.encode_response(*meaning)
        case "form request":
            return CONTROLS.encode_form_request(*meaning)
        case "form":
            return forms.encode_form(
                meaning.title, meaning.session, meaning.parameters, meaning.current,
                CONTROLS.namespace, CONTROLS.group_element,
            )  # fmt: skip
        case "error":
            return encode_error(meaning[0], CONTROLS)
        case _:
            raise AssertionError(vector.kind)


@pytest.mark.parametrize(("vector", "stanza"), CASES)
def test_each_stanza_is_read_to_exactly_its_meaning(vector: Vector, stanza: str) -> None:
    element = parse(stanza)
    if vector.kind in ("accepted", "started", "cancelled"):
        assert SENSORS.decode_answer(element[0]) is None  # carries no data
    elif vector.kind == "response":
        assert element[0].tag == f"{{{CONTROLS.namespace}}}setResponse" and len(element[0]) == 0
    elif vector.kind == "discovery":
        assert element[0].tag == "{http://jabber.org/protocol/disco#info}query"
    elif vector.kind == "feature":
        assert [feature.get("var") for feature in element[0]] == [vector.meaning]
        assert vector.meaning in {**SENSOR_DATA, **CONTROL}
    elif vector.kind == "form":
        assert read(vector, element) == (vector.meaning.title, vector.meaning.fields)
    elif vector.kind == "error":
        refused = read(vector, element)
        error, type_, condition = vector.meaning
        assert isinstance(refused, PeerRefused)
        assert (refused.condition, refused.text, refused.parameters) == (condition, error.text, error.parameters)
        assert element[0].get("type") == type_
    else:
        assert read(vector, element) == vector.meaning


@pytest.mark.parametrize(("vector", "stanza"), CASES)
def test_each_stanza_is_written_as_published_or_with_its_named_difference(vector: Vector, stanza: str) -> None:
    if vector.kind in ("discovery", "feature"):
        assert vector.because
        return
    expected = stanza
    for published, ours in vector.differs:
        assert published in expected, "a difference that is none any more"
        expected = expected.replace(published, ours)
    assert bool(vector.differs) == bool(vector.because)
    produced = write(vector)
    assert produced is not None
    assert canonical(produced) == canonical(parse(expected)[0])


@pytest.mark.parametrize(("vector", "stanza"), CASES)
def test_what_we_write_we_read_again_to_the_same_meaning(vector: Vector, stanza: str) -> None:
    if vector.kind not in ("request", "cancel", "answer", "command", "form request", "form"):
        return
    produced = write(vector)
    assert produced is not None
    wrapped = ET.Element("wrapped")
    wrapped.append(ET.fromstring(ET.tostring(produced)))
    wanted = (vector.meaning.title, vector.meaning.fields) if vector.kind == "form" else vector.meaning
    assert read(vector, wrapped) == wanted


@pytest.mark.parametrize("name", ALL_TABLES)
def test_every_stanza_of_the_data_has_its_vector(name: str) -> None:
    table = ALL_TABLES[name]
    counted = {number: len(found) for number, found in stanzas(table.FILE).items()}
    assert counted == {n: sum(1 for v in table.VECTORS if v.example == n) for n in counted}
    assert sum(counted.values()) == len(table.VECTORS)
    assert [v.example for v in table.VECTORS] == sorted(v.example for v in table.VECTORS)


def published(name: str) -> list[str]:
    """The examples of a text, in order, as they are printed."""
    text = (SPECS / f"{name}.xml").read_text(encoding="utf-8")
    return re.findall(r"<example\b[^>]*>\s*<!\[CDATA\[(.*?)\]\]>\s*</example>", text, re.DOTALL)


def mended(number: int, text: str, mends: tuple[Mend, ...]) -> str:
    for mend in mends:
        if mend.example == number:
            assert mend.note and mend.wrong in text, mend
            text = text.replace(mend.wrong, mend.right)
    return text


@pytest.mark.skipif(not SPECS.is_dir(), reason="the texts of the extensions are not beside this checkout")
@pytest.mark.parametrize("name", ALL_TABLES)
def test_no_example_of_the_text_is_missing(name: str) -> None:
    table = ALL_TABLES[name]
    ours = stanzas(table.FILE)
    examples = published(name)
    other = getattr(table, "NOT_STANZAS", {})
    assert examples and sorted([*ours, *other]) == list(range(1, len(examples) + 1)) and all(other.values())
    for number, text in enumerate(examples, 1):
        if number in other:
            assert "<iq" not in text and "<message" not in text
            continue
        wanted = ET.fromstring(f"<example>{mended(number, text, table.MENDS)}</example>")
        assert [canonical(ET.fromstring(stanza)) for stanza in ours[number]] == [canonical(s) for s in wanted], number
