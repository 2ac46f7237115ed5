"""Generated documents and schemas: what is encoded comes back, and encoding it again changes nothing."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from hub import exi
from hub.exi.builtins import builtin_types
from hub.exi.compiler import Compiler
from hub.exi.model import CHOICE, SEQUENCE, Attribute, Element, Group, Particle, Schema, Type

from .helpers import ALIGNMENTS, canonical, grammars

NAMES = st.sampled_from(
    ["a", "b", "c", "{urn:x}a", "{urn:x}d", "{urn:test:sensor}fields", "{urn:test:sensor}node"]
)
TEXTS = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=12).map(
    lambda text: text.strip() or "t"
)


@st.composite
def elements(draw: Any, depth: int = 3) -> ET.Element:
    element = ET.Element(draw(NAMES))
    for name in draw(st.lists(NAMES, max_size=3, unique=True)):
        element.set(name, draw(TEXTS))
    children = draw(st.lists(elements(depth - 1), max_size=3)) if depth else []
    if draw(st.booleans()):
        element.text = draw(TEXTS)
    for child in children:
        element.append(child)
        if draw(st.booleans()):
            child.tail = draw(TEXTS)
    return element


@st.composite
def all_options(draw: Any) -> exi.Options:
    return exi.Options(
        alignment=draw(st.sampled_from(ALIGNMENTS)),
        block_size=draw(st.sampled_from([1, 2, 5, 1_000_000])),
        value_max_length=draw(st.sampled_from([None, 0, 3, 50])),
        value_partition_capacity=draw(st.sampled_from([None, 0, 1, 3])),
        local_value_partitions=draw(st.booleans()),
        max_builtin_element_grammars=draw(st.sampled_from([None, 0, 2])),
        max_builtin_productions=draw(st.sampled_from([None, 0, 3])),
        cookie=draw(st.booleans()),
        header_options=draw(st.booleans()),
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(elements(), min_size=1, max_size=3), all_options(), st.sampled_from([None, "", "sensor.xsd"]))
def test_any_document_under_any_options(
    documents: list[ET.Element], options: exi.Options, schema: str | None
) -> None:
    known = None if schema is None else grammars(schema)
    encoder, decoder = exi.Encoder(known, options), exi.Decoder(known, options)
    for document in documents:
        data = exi.encode(document, known, options)
        assert canonical(exi.decode(data, known, options)) == canonical(document)
        body = encoder.encode(document)
        found = decoder.feed(body)
        assert [canonical(each) for each in found] == [canonical(document)]


@settings(max_examples=80, deadline=None)
@given(
    elements(), st.sampled_from([frozenset({"prefixes"}), frozenset({"comments", "pis", "dtd", "prefixes"})])
)
def test_xml_text_comes_back(document: ET.Element, preserve: frozenset[str]) -> None:
    options = exi.Options(preserve=preserve)
    text = exi.to_xml(exi.from_xml(ET.tostring(document), None, options), None, options)
    assert canonical(ET.fromstring(text)) == canonical(document)


# --- generated schemas --------------------------------------------------------------------------------------

BUILTIN = builtin_types()
SAMPLES = {
    "boolean": st.sampled_from(["true", "false"]),
    "int": st.integers(-(2**31), 2**31 - 1).map(str),
    "unsignedByte": st.integers(0, 255).map(str),
    "integer": st.integers().map(str),
    "string": TEXTS,
    "double": st.integers(-(10**6), 10**6).map(lambda number: f"{number / 100:.2f}"),
    "dateTime": st.datetimes().map(lambda time: time.replace(microsecond=0).isoformat() + "Z"),
    "hexBinary": st.binary(max_size=6).map(lambda data: data.hex().upper() or "00"),
}


def simple(local: str) -> Type:
    return BUILTIN[f"{{http://www.w3.org/2001/XMLSchema}}{local}"]


@st.composite
def particles(draw: Any, depth: int, counter: list[int]) -> Particle:
    least = draw(st.integers(0, 2))
    most = draw(st.sampled_from([None, least, least + 1, least + 2]))
    if depth == 0 or draw(st.booleans()):
        counter[0] += 1
        return Particle(Element(f"e{counter[0]}", draw(types(max(depth - 1, 0), counter))), least, most)
    inner = draw(st.lists(particles(depth - 1, counter), min_size=1, max_size=3))
    return Particle(Group(draw(st.sampled_from([SEQUENCE, CHOICE])), inner), least, most)


@st.composite
def types(draw: Any, depth: int, counter: list[int]) -> Type:
    if depth == 0:
        return simple(draw(st.sampled_from(sorted(SAMPLES))))
    found = Type(particle=draw(particles(depth, counter)))
    for index in range(draw(st.integers(0, 3))):
        found.attributes.append(
            Attribute(f"a{index}", simple(draw(st.sampled_from(sorted(SAMPLES)))), draw(st.booleans()))
        )
    return found


@st.composite
def schemas_with_documents(draw: Any) -> tuple[Schema, ET.Element]:
    counter = [0]
    root = Element("{urn:g}root", draw(types(2, counter)))
    schema = Schema([root], [], list(BUILTIN.values()), {"urn:g"})
    return schema, draw_element(draw, root)


def draw_element(draw: Any, declared: Element) -> ET.Element:
    """A valid element."""
    element = ET.Element(declared.name)
    type_ = declared.type
    for attribute in type_.attributes:
        if attribute.required or draw(st.booleans()):
            element.set(attribute.name, draw(sample(attribute.type)))
    if type_.datatype is not None:
        element.text = draw(sample(type_))
    elif type_.particle is not None:
        fill(draw, element, type_.particle)
    return element


def sample(type_: Type) -> st.SearchStrategy[str]:
    return SAMPLES[(type_.name or "").rpartition("}")[2]]


def fill(draw: Any, parent: ET.Element, particle: Particle) -> None:
    """Valid content of one particle."""
    most = particle.least + 2 if particle.most is None else particle.most
    for _ in range(draw(st.integers(particle.least, most))):
        term = particle.term
        if isinstance(term, Element):
            parent.append(draw_element(draw, term))
        elif isinstance(term, Group):
            chosen = [draw(st.sampled_from(term.particles))] if term.kind == CHOICE else term.particles
            for each in chosen:
                fill(draw, parent, each)


@settings(max_examples=60, deadline=None)
@given(schemas_with_documents(), st.sampled_from(ALIGNMENTS), st.booleans())
def test_valid_documents_of_generated_schemas(
    drawn: tuple[Schema, ET.Element], alignment: str, strict: bool
) -> None:
    schema, document = drawn
    known = Compiler(schema).compile()
    options = exi.Options(alignment=alignment, strict=strict)
    data = exi.encode(document, known, options)
    assert canonical(exi.decode(data, known, options)) == canonical(document)
    assert exi.encode(exi.decode(data, known, options), known, options) == data
