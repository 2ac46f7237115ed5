"""From XSD to grammars, and the file that holds them."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from hub import exi

from .helpers import SCHEMAS, canonical, grammars

HEAD = '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:t" xmlns="urn:t">'


def load(tmp_path: Path, body: str) -> exi.Grammars:
    path = tmp_path / "t.xsd"
    path.write_text(f"{HEAD}{body}</xs:schema>", encoding="utf-8")
    return exi.load_schemas([path])


def round_trip(known: exi.Grammars, text: str, **settings: object) -> int:
    """Bytes of the body; the document must come back."""
    options = exi.Options(**settings)  # type: ignore[arg-type]
    element = ET.fromstring(text)
    body = exi.Encoder(known, options).encode(element)
    assert canonical(exi.Decoder(known, options).feed(body)[0]) == canonical(element)
    return len(body)


def sequence(particles: str, attributes: str = "") -> str:
    content = f"<xs:sequence>{particles}</xs:sequence>{attributes}"
    return f'<xs:element name="r"><xs:complexType>{content}</xs:complexType></xs:element>'


def test_occurrences_are_counted(tmp_path: Path) -> None:
    known = load(tmp_path, sequence('<xs:element name="a" type="xs:int" minOccurs="2" maxOccurs="4"/>'))
    for count in (2, 3, 4):
        round_trip(known, "<x:r xmlns:x='urn:t'>" + "<a>1</a>" * count + "</x:r>", strict=True)
    for count in (0, 1, 5):
        text = "<x:r xmlns:x='urn:t'>" + "<a>1</a>" * count + "</x:r>"
        with pytest.raises(exi.EncodeError):
            round_trip(known, text, strict=True)
        round_trip(known, text)


def test_an_ambiguous_content_model_is_accepted(tmp_path: Path) -> None:
    optional = '<xs:element name="a" minOccurs="0"/>'
    anything = '<xs:any namespace="##any" minOccurs="0" processContents="lax"/>'
    known = load(tmp_path, sequence(optional + anything + optional))
    for inner in ("", "<a/>", "<a/><a/>", "<b/>", "<a/><b/><a/>"):
        round_trip(known, f"<x:r xmlns:x='urn:t'>{inner}</x:r>", strict=True)


def test_all_groups_take_any_order(tmp_path: Path) -> None:
    members = '<xs:element name="a" type="xs:int"/><xs:element name="b" type="xs:string" minOccurs="0"/>'
    content = f"<xs:complexType><xs:all>{members}</xs:all></xs:complexType>"
    known = load(tmp_path, f'<xs:element name="r">{content}</xs:element>')
    for inner in ("<a>1</a>", "<b>x</b><a>1</a>", "<a>1</a><b>x</b>"):
        round_trip(known, f"<x:r xmlns:x='urn:t'>{inner}</x:r>", strict=True)


def test_large_bounds_end_in_a_schema_error(tmp_path: Path) -> None:
    with pytest.raises(exi.SchemaError, match="unrolls"):
        load(tmp_path, sequence('<xs:element name="a" minOccurs="0" maxOccurs="1000000000"/>'))
    with pytest.raises(exi.SchemaError):
        nested = '<xs:element name="a"/>'
        for _ in range(12):
            nested = f'<xs:sequence minOccurs="0" maxOccurs="9">{nested}</xs:sequence>'
        load(tmp_path, sequence(nested))


@pytest.mark.parametrize(
    "text",
    [
        "no schema at all",
        "<a/>",
        HEAD + '<xs:element name="a" type="Missing"/></xs:schema>',
        HEAD + '<xs:include schemaLocation="missing.xsd"/><xs:element name="a" type="Missing"/></xs:schema>',
        '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/hostname">]>' + HEAD + "<!-- &e; --></xs:schema>",
    ],
)
def test_what_is_no_schema_is_said_clearly(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.xsd"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(exi.SchemaError):
        exi.load_schemas([path])
    with pytest.raises(exi.SchemaError):
        exi.load_schemas([tmp_path / "absent.xsd"])


def test_several_schemas_make_one_set(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.xsd").write_text(
            HEAD.replace("urn:t", f"urn:{name}") + f'<xs:element name="{name}" type="xs:int"/></xs:schema>'
        )
    known = exi.load_schemas([tmp_path / "one.xsd", tmp_path / "two.xsd"])
    assert round_trip(known, "<one xmlns='urn:one'>5</one>") == round_trip(
        known, "<two xmlns='urn:two'>5</two>"
    )


def test_enumerated_and_bounded_values_take_few_bits(tmp_path: Path) -> None:
    facets = '<xs:minInclusive value="3"/><xs:maxInclusive value="10"/>'
    type_ = f'<xs:simpleType><xs:restriction base="xs:int">{facets}</xs:restriction></xs:simpleType>'
    known = load(tmp_path, f'<xs:element name="r">{type_}</xs:element>')
    assert round_trip(known, "<x:r xmlns:x='urn:t'>7</x:r>", strict=True) == 1
    with pytest.raises(exi.EncodeError):
        round_trip(known, "<x:r xmlns:x='urn:t'>11</x:r>", strict=True)
    round_trip(known, "<x:r xmlns:x='urn:t'>11</x:r>")


def test_unsupported_options_are_refused() -> None:
    for settings in (
        {"alignment": "sideways"},
        {"strict": True, "preserve": {"comments"}},
        {"strict": True, "self_contained": ("a",)},
        {"alignment": "compression", "self_contained": ("a",)},
        {"preserve": {"everything"}},
        {"block_size": 0},
        {"value_max_length": -1},
    ):
        with pytest.raises(exi.SchemaError):
            exi.Options(**settings)  # type: ignore[arg-type]
    options = exi.Options(datatype_representations={"{urn:t}x": "{urn:t}unknown"})
    with pytest.raises(exi.SchemaError, match="not known"):
        exi.encode(ET.Element("a"), grammars("sensor.xsd"), options)


def test_schema_id_in_its_meanings() -> None:
    known = grammars("sensor.xsd")
    text = b'<extra xmlns="urn:test:sensor">5</extra>'
    named = exi.from_xml(text, known, exi.Options(header_options=True, schema_id="sensor"))
    assert exi.to_xml(named, known) == text
    with pytest.raises(exi.DecodeError, match="'sensor'"):
        exi.decode(named)
    nil = exi.from_xml(text, None, exi.Options(header_options=True, schema_id="sensor"))
    assert exi.to_xml(nil, known) == text, "a nil schemaId means no schema, whatever grammars are at hand"
    typed = (
        b'<a xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        b'xmlns:xs="http://www.w3.org/2001/XMLSchema" xsi:type="xs:int">12345</a>'
    )
    types_only = exi.from_xml(typed, None, exi.Options(header_options=True, schema_id=""))
    assert exi.decode(types_only).text == "12345"
    assert len(types_only) < len(exi.from_xml(typed))
    absent = exi.from_xml(text, known, exi.Options(header_options=True))
    assert exi.to_xml(absent, known) == text


# --- grammar files ------------------------------------------------------------------------------------------


def test_a_grammar_file_says_the_same(tmp_path: Path) -> None:
    known = grammars("sensor.xsd")
    known.write(tmp_path / "g.exig")
    again = exi.Grammars.read(tmp_path / "g.exig")
    assert (again.words, again.offsets, again.elements, again.types) == (
        known.words, known.offsets, known.elements, known.types)  # fmt: skip
    again.write(tmp_path / "h.exig")
    assert (tmp_path / "g.exig").read_bytes() == (tmp_path / "h.exig").read_bytes()


def test_a_grammar_file_loads_without_the_schema_library(tmp_path: Path) -> None:
    grammars("sensor.xsd").write(tmp_path / "g.exig")
    code = (
        "import sys; sys.modules['xmlschema'] = None\n"
        "from hub import exi\n"
        f"known = exi.Grammars.read({str(tmp_path / 'g.exig')!r})\n"
        "data = exi.from_xml(b'<extra xmlns=\"urn:test:sensor\">5</extra>', known)\n"
        "print(exi.to_xml(data, known).decode())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          cwd=Path(__file__).parents[2])  # fmt: skip
    assert done.stdout.strip() == '<extra xmlns="urn:test:sensor">5</extra>'


def test_a_damaged_grammar_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.exig"
    grammars("sensor.xsd").write(path)
    data = path.read_bytes()
    for broken in (
        b"",
        b"EXIG",
        b"XXXX" + data[4:],
        data[:4] + b"\x63" + data[5:],
        data[:-1],
        data[:50] + b"\0" + data[51:],
    ):
        path.write_bytes(broken)
        with pytest.raises(exi.SchemaError):
            exi.Grammars.read(path)


def test_the_test_schema_compiles_quickly_and_its_file_loads_quickly(tmp_path: Path) -> None:
    known = exi.load_schemas([SCHEMAS / "sensor.xsd"])
    known.write(tmp_path / "g.exig")
    start = time.perf_counter()
    exi.Grammars.read(tmp_path / "g.exig")
    assert time.perf_counter() - start < 0.05


# --- hostile and broken sets --------------------------------------------------------------------------------

XS = 'xmlns:xs="http://www.w3.org/2001/XMLSchema"'
IMPORT = f'<xs:schema {XS} targetNamespace="a"><xs:import namespace="o" schemaLocation="LOCATION"/></xs:schema>'


@pytest.mark.parametrize("location", ["http://127.0.0.1:9/o.xsd", "https://example.org/o.xsd", "ftp://h/o", "absent"])
@pytest.mark.parametrize("kind", ["import", "include", "redefine"])
def test_parts_that_are_absent_or_elsewhere_are_not_fetched(tmp_path: Path, location: str, kind: str) -> None:
    text = IMPORT.replace("LOCATION", location)
    if kind != "import":
        text = text.replace('import namespace="o"', kind)
    path = tmp_path / "t.xsd"
    path.write_text(text, encoding="utf-8")
    start = time.perf_counter()
    with pytest.raises(exi.SchemaError, match=r"cannot be read|not valid"):
        exi.load_schemas([path])
    assert time.perf_counter() - start < 5


def test_files_that_include_each_other(tmp_path: Path) -> None:
    for name, other in (("one", "two"), ("two", "one")):
        text = f'<xs:include schemaLocation="{other}.xsd"/><xs:element name="{name}"/>'
        (tmp_path / f"{name}.xsd").write_text(f"{HEAD}{text}</xs:schema>", encoding="utf-8")
    known = exi.load_schemas([tmp_path / "one.xsd"])
    assert len(known.elements) == 2


@pytest.mark.parametrize("path", ["/absent.xsd", "/", "http://127.0.0.1:9/x.xsd", ""])
def test_paths_that_lead_nowhere(path: str) -> None:
    with pytest.raises(exi.SchemaError, match="cannot be read"):
        exi.load_schemas([path])


def test_entities_of_a_schema_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret", encoding="utf-8")
    for entity in ('"x"', f'SYSTEM "{(tmp_path / "secret").as_uri()}"'):
        path = tmp_path / "t.xsd"
        documentation = "<xs:annotation><xs:documentation>&e;</xs:documentation></xs:annotation>"
        path.write_text(f"<!DOCTYPE s [<!ENTITY e {entity}>]>{HEAD}{documentation}</xs:schema>", encoding="utf-8")
        with pytest.raises(exi.SchemaError, match="forbidden"):
            exi.load_schemas([path])


def test_content_models_that_explode(tmp_path: Path) -> None:
    start = time.perf_counter()
    known = load(tmp_path, sequence('<xs:element name="a" minOccurs="0" maxOccurs="5000"/>'))
    assert len(known.offsets) > 5000
    either = '<xs:choice><xs:element name="a"/><xs:element name="b"/></xs:choice>'
    many = either.replace("choice>", 'choice minOccurs="0" maxOccurs="unbounded">', 1)
    nested = '<xs:sequence minOccurs="0" maxOccurs="200">' * 3 + either + "</xs:sequence>" * 3
    for particles in (many + '<xs:element name="a"/>' + either * 30, nested, "<xs:sequence>" * 300 + either
                      + "</xs:sequence>" * 300):  # fmt: skip
        with pytest.raises(exi.SchemaError):
            load(tmp_path, sequence(particles))
    assert time.perf_counter() - start < 30


# --- clauses that no vector covers --------------------------------------------------------------------------

ENUMERATED = """
<xs:simpleType name="wide"><xs:restriction base="xs:string"><xs:enumeration value="a"/><xs:enumeration value="b"/>
<xs:enumeration value="c"/></xs:restriction></xs:simpleType>
<xs:simpleType name="narrow"><xs:restriction base="wide"><xs:enumeration value="a"/><xs:enumeration value="b"/>
</xs:restriction></xs:simpleType>
<xs:simpleType name="list"><xs:list itemType="xs:int"/></xs:simpleType>
<xs:simpleType name="short"><xs:restriction base="list"><xs:maxLength value="3"/></xs:restriction></xs:simpleType>
<xs:element name="n" type="narrow"/><xs:element name="s" type="short"/>
"""


def test_a_map_finds_the_closest_type_that_counts(tmp_path: Path) -> None:
    known = load(tmp_path, ENUMERATED)
    exi_string = "{http://www.w3.org/2009/exi}string"
    sizes = {
        name: (
            round_trip(known, "<x:n xmlns:x='urn:t'>b</x:n>", datatype_representations={name: exi_string}),
            round_trip(known, "<x:s xmlns:x='urn:t'>1 2</x:s>", datatype_representations={name: exi_string}),
        )
        for name in ("{urn:t}wide", "{urn:t}list", "{http://www.w3.org/2001/XMLSchema}string")
    }
    # 7.4: an enumeration stays one unless the closest mapped ancestor has enumerated values itself.
    assert sizes["{urn:t}wide"][0] > sizes["{http://www.w3.org/2001/XMLSchema}string"][0]
    assert sizes["{urn:t}list"][1] > sizes["{urn:t}wide"][1]


TYPES = """
<xs:complexType name="B"><xs:sequence/><xs:anyAttribute namespace="##any" processContents="lax"/></xs:complexType>
<xs:complexType name="D"><xs:complexContent><xs:extension base="B"><xs:sequence><xs:element name="i" type="xs:int"/>
</xs:sequence></xs:extension></xs:complexContent></xs:complexType>
<xs:element name="b" type="B"/><xs:element name="d" type="D"/>
"""
XSI = "http://www.w3.org/2001/XMLSchema-instance"


def test_a_wildcard_stands_for_no_xsi_attribute_where_a_schema_is_in_effect(tmp_path: Path) -> None:
    known = load(tmp_path, TYPES)
    for attribute in ("xsi:type='x:D'", "xsi:nil='true'"):
        text = f"<x:d xmlns:x='urn:t' xmlns:xsi='{XSI}' {attribute}><i>1</i></x:d>".encode()
        with pytest.raises(exi.EncodeError):
            exi.from_xml(text, known, exi.Options(strict=True))


@pytest.mark.parametrize("kept", [("lexical",), ("lexical", "prefixes")], ids=" ".join)
def test_a_lexical_type_means_what_the_decoder_can_know(tmp_path: Path, kept: tuple[str, ...]) -> None:
    known = load(tmp_path, TYPES)
    options = exi.Options(preserve=frozenset(kept))
    for name in ("x:D", "D", "y:D", "x:none"):
        text = f"<x:b xmlns:x='urn:t' xmlns:xsi='{XSI}' xsi:type='{name}'><i>12</i></x:b>".encode()
        found = exi.decode(exi.from_xml(text, known, options), known, options)
        assert canonical(found) == canonical(ET.fromstring(text))
        if name != "x:D":
            element = ET.fromstring(text)
            assert canonical(exi.decode(exi.encode(element, known, options), known, options)) == canonical(element)
    with pytest.raises(exi.EncodeError, match="prefix"):
        exi.encode(ET.Element("{urn:t}b", {f"{{{XSI}}}type": "{urn:t}D"}), known, options)
