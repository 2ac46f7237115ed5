"""What a stanza costs: every bit belongs to one part, whatever carried it."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from hub import exi
from hub.exi import schemas
from hub.exi.explain import (
    ATTRIBUTE,
    DECLARED,
    DOCUMENT,
    END,
    LEARNED,
    PADDING,
    START,
    TEXT,
    UNDECLARED,
    WILDCARD,
    Explainer,
    Explanation,
)

from . import product
from .helpers import grammars

UNKNOWN = (
    "<message xmlns='jabber:client' n='1'><body>hi</body>"
    "<a xmlns='urn:x' xml:lang='en'><b k='1'>t</b></a></message>"
)


def both(texts: list[str], options: exi.Options, session_tables: bool = True) -> list[tuple[bytes, Explanation]]:
    known = schemas.grammars()
    encoder, explainer = exi.Encoder(known, options, session_tables), Explainer(known, options, session_tables)
    bodies = [encoder.encode(ET.fromstring(text)) for text in texts]
    return [(body, explainer.explain(body)) for body in bodies]


@pytest.mark.parametrize("alignment", ["bit-packed", "byte-packed"])
@pytest.mark.parametrize("name", ["captured.xml", "written.xml"])
def test_every_bit_of_every_stanza_belongs_to_one_part(name: str, alignment: str) -> None:
    texts = [ET.tostring(stanza, "unicode") for stanza in product.stanzas(name)]
    for text, (body, found) in zip(texts, both([UNKNOWN, *texts], exi.Options(alignment=alignment))[1:], strict=True):
        assert sum(part.bits for part in found.parts) == 8 * len(body) == 8 * found.size
        assert all(min(part.code_bits, part.name_bits, part.value_bits) >= 0 for part in found.parts)
        assert product.canonical(found.element) == product.canonical(ET.fromstring(text))


def test_an_acknowledgement_part_by_part() -> None:
    [(_, found)] = both(["<a xmlns='urn:xmpp:sm:3' h='5'/>"], exi.Options(strict=True))
    assert [(part.kind, part.value, part.code_bits, part.name_bits, part.value_bits) for part in found.parts] == [
        (START, "", 7, 0, 0), (ATTRIBUTE, "5", 0, 0, 8), (END, "", 0, 0, 0), (DOCUMENT, "", 0, 0, 0),
        (PADDING, "", 1, 0, 0),
    ]  # fmt: skip
    assert found.total() == (8, 0, 8) and found.total(ATTRIBUTE) == (0, 0, 8)


def test_how_each_part_is_carried() -> None:
    first, second = (found for _, found in both([UNKNOWN, UNKNOWN], exi.Options()))
    told = {(part.kind, part.name): part for part in first.parts}
    assert told[START, "{jabber:client}body"].how == DECLARED
    assert told[ATTRIBUTE, "n"].how == UNDECLARED and told[ATTRIBUTE, "n"].name_bits > 0
    unknown = told[START, "{urn:x}a"]
    assert (unknown.how, unknown.depth) == (WILDCARD, 1) and unknown.name_bits > 8 * len("urn:x" + "a")
    assert told[TEXT, "{urn:x}b"].value == "t"
    learned = {(part.kind, part.name): part for part in second.parts}
    assert learned[START, "{urn:x}b"].how == LEARNED and learned[START, "{urn:x}b"].name_bits == 0
    assert learned[START, "{urn:x}a"].name_bits < unknown.name_bits


def test_a_value_of_another_type_is_undeclared() -> None:
    [(_, found)] = both(["<a xmlns='urn:xmpp:sm:3' h='many'/>"], exi.Options())
    assert [part.how for part in found.parts if part.kind == ATTRIBUTE] == [UNDECLARED]


def test_without_session_tables_nothing_is_cheaper_the_second_time() -> None:
    first, second = (found for _, found in both([UNKNOWN, UNKNOWN], exi.Options(), session_tables=False))
    assert first.parts == second.parts


def test_bodies_of_one_stream_are_explained_one_after_the_other() -> None:
    encoder, explainer = exi.Encoder(schemas.grammars()), Explainer(schemas.grammars())
    stream = b"".join(encoder.encode(ET.fromstring(UNKNOWN)) for _ in range(3))
    while stream:
        stream = stream[explainer.explain(stream).size :]


def test_a_type_named_in_the_stanza_is_a_part() -> None:
    known = grammars("sensor.xsd")
    text = "<r xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:type='none' k='1'/>"
    found = Explainer(known).explain(exi.Encoder(known).encode(ET.fromstring(text)))
    assert sum(part.bits for part in found.parts) == 8 * found.size
    assert "xsi:type" in [part.name for part in found.parts]


def test_what_is_cut_or_damaged_is_an_error() -> None:
    body = exi.Encoder(schemas.grammars()).encode(ET.fromstring(UNKNOWN))
    for size in range(len(body)):
        with pytest.raises(exi.TruncatedError):
            Explainer(schemas.grammars()).explain(body[:size])
    with pytest.raises(exi.DecodeError):
        Explainer(schemas.grammars()).explain(b"\xff" * 40)


@pytest.mark.parametrize("options", [exi.Options(alignment="compression"), exi.Options(fragment=True)])
def test_what_cannot_be_told_apart_is_refused(options: exi.Options) -> None:
    with pytest.raises(exi.SchemaError, match="bit- or byte-packed"):
        Explainer(schemas.grammars(), options)
