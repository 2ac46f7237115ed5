"""Bad input: truncated, corrupt and hostile bytes end in `DecodeError`, within the limits."""

from __future__ import annotations

import contextlib
import json
import random
import time
import tracemalloc
import zlib
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from hub import exi
from hub.exi.bits import BitWriter
from hub.exi.header import write_header

from .helpers import HERE, grammars

VECTORS = json.loads((HERE / "vectors.json").read_text(encoding="utf-8"))


def decode(vector: dict[str, Any], data: bytes) -> None:
    known = None if vector["schema"] is None else grammars(vector["schema"])
    exi.to_xml(data, known, exi.Options(**vector["options"]))


@pytest.mark.parametrize("vector", VECTORS[::3], ids=lambda each: f"{each['name']}-{each['options']}")
def test_every_truncation_is_noticed(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["exi"])
    for size in range(len(data) - 1):
        try:
            decode(vector, data[:size])
        except exi.DecodeError as error:
            assert error.bit_offset >= 0 or "expected" in str(error)
        else:
            # Only padding may be missing without being missed.
            assert size == len(data) - 1 or vector["options"].get("alignment") == "compression"


@pytest.mark.parametrize("vector", VECTORS[::3], ids=lambda each: f"{each['name']}-{each['options']}")
def test_corrupt_bytes_raise_nothing_but_decode_errors(vector: dict[str, Any]) -> None:
    chance = random.Random(vector["exi"])
    data = bytes.fromhex(vector["exi"])
    for _ in range(150):
        broken = bytearray(data)
        for _ in range(chance.randint(1, 4)):
            broken[chance.randrange(1, len(broken))] = chance.randrange(256)
        try:
            decode(vector, bytes(broken))
        except exi.DecodeError as error:
            assert str(error)


def test_noise_raises_nothing_but_decode_errors() -> None:
    chance = random.Random(5)
    for _ in range(3000):
        data = b"\x80" + chance.randbytes(chance.randint(0, 60))
        known = chance.choice([None, grammars("sensor.xsd")])
        with contextlib.suppress(exi.DecodeError):
            exi.decode(data, known, exi.Options(alignment=chance.choice(["bit-packed", "byte-packed"])))


def test_the_error_says_where_and_what() -> None:
    data = exi.from_xml(b"<a><b>text</b></a>")
    with pytest.raises(exi.TruncatedError, match=r"bit \d+: input ends inside"):
        exi.decode(data[:6])
    with pytest.raises(exi.DecodeError, match="bit 0: expected the distinguishing bits"):
        exi.decode(b"<a/>")
    with pytest.raises(exi.DecodeError, match="preview"):
        exi.decode(b"\x90")
    with pytest.raises(exi.DecodeError, match="version"):
        exi.decode(b"\x81")


# --- limits -------------------------------------------------------------------------------------------------


def refused(data: bytes, **limits: int) -> None:
    options = exi.Options(limits=exi.Limits(**limits))
    with pytest.raises(exi.LimitError):
        exi.decode(data, None, options)


def test_depth() -> None:
    document = b"<a>" * 50 + b"</a>" * 50
    data = exi.from_xml(document)
    assert exi.decode(data).tag == "a"
    refused(data, depth=49)


def test_attributes() -> None:
    document = "<a " + " ".join(f"a{number}='x'" for number in range(30)) + "/>"
    refused(exi.from_xml(document.encode()), attributes=29)


def test_string_length() -> None:
    refused(exi.from_xml(b"<a>" + b"x" * 1000 + b"</a>"), string_length=999)


def test_elements() -> None:
    refused(exi.from_xml(b"<a>" + b"<b/>" * 20 + b"</a>"), elements=20)


def test_table_entries() -> None:
    document = "<a>" + "".join(f"<b{number}/>" for number in range(100)) + "</a>"
    refused(exi.from_xml(document.encode()), table_entries=100)


def test_events_without_content_are_not_free() -> None:
    element = ET.Element("a")
    for _ in range(2000):
        ET.SubElement(element, "b")
    refused(exi.encode(element), decoded_size=10_000)


def test_prefixes() -> None:
    kept = exi.Options(preserve=frozenset({"prefixes"}))
    options = kept.with_(limits=exi.Limits(prefixes=20))
    nested = "".join(f"<a xmlns:p{number}='urn:x'>" for number in range(30)) + "</a>" * 30
    with pytest.raises(exi.EncodeError, match="declarations"):
        exi.from_xml(nested.encode(), None, options)
    data = exi.from_xml(nested.encode(), None, kept)
    for read in (exi.decode, exi.to_xml):
        with pytest.raises(exi.LimitError):
            read(data, None, options)


def test_text_in_very_many_pieces_is_not_copied_again_and_again() -> None:
    options = exi.Options(preserve=frozenset({"comments"}))
    element = "<a>" + "x<!---->" * 60_000 + "</a>"
    data = exi.from_xml(element.encode(), None, options)
    start = time.perf_counter()
    assert len(exi.decode(data, None, options).text or "") == 60_000
    assert time.perf_counter() - start < 10


def test_values_count_as_table_entries() -> None:
    document = "<a>" + "".join(f"<b>{number}</b>" for number in range(100)) + "</a>"
    refused(exi.from_xml(document.encode()), table_entries=50, expansion_floor=0)


def test_integer_width() -> None:
    known = grammars("sensor.xsd")
    document = f'<extra xmlns="urn:test:sensor">{10**100}</extra>'.encode()
    data = exi.from_xml(document, known)
    assert exi.decode(data, known).text == str(10**100)
    with pytest.raises(exi.LimitError):
        exi.decode(data, known, exi.Options(limits=exi.Limits(integer_bits=128)))


def test_an_integer_limit_that_python_cannot_write_out_is_refused() -> None:
    with pytest.raises(exi.SchemaError):
        exi.Options(limits=exi.Limits(integer_bits=100_000))


def test_repeated_table_hits_count_against_the_expansion() -> None:
    element = ET.Element("a")
    for _ in range(3000):
        ET.SubElement(element, "b").text = "x" * 2000
    data = exi.encode(element)
    with pytest.raises(exi.LimitError):
        exi.decode(data, None, exi.Options(limits=exi.Limits(decoded_size=1_000_000)))
    with pytest.raises(exi.LimitError):
        exi.decode(data, None, exi.Options(limits=exi.Limits(expansion_ratio=100, expansion_floor=10_000)))


def test_a_deflate_bomb_costs_little() -> None:
    deflate = zlib.compressobj(9, wbits=-15)
    bomb = b"\x80" + deflate.compress(bytes(50_000_000)) + deflate.flush()
    options = exi.Options(alignment="compression")
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(exi.DecodeError):
        exi.decode(bomb, None, options.with_(limits=exi.Limits(expansion_ratio=100)))
    assert time.perf_counter() - start < 5
    assert tracemalloc.get_traced_memory()[1] < 30_000_000
    tracemalloc.stop()


def test_a_length_alone_reserves_no_memory() -> None:
    writer = BitWriter(True)
    writer.bits(0, 2)
    writer.unsigned(900_000)  # a URI of that many characters
    tracemalloc.start()
    with pytest.raises(exi.TruncatedError) as caught:
        exi.decode(b"\x80" + writer.take() + b"x", None, exi.Options(alignment="byte-packed"))
    assert tracemalloc.get_traced_memory()[1] < 200_000
    tracemalloc.stop()
    assert caught.value.missing > 800_000


@pytest.mark.parametrize("alignment", ["bit-packed", "compression"])
def test_very_many_small_bodies_at_once(alignment: str) -> None:
    options = exi.Options(alignment=alignment)
    encoder = exi.Encoder(None, options)
    first, later = encoder.encode(ET.Element("a")), encoder.encode(ET.Element("a"))
    start = time.perf_counter()
    assert len(exi.Decoder(None, options).feed(first + later * 60_000)) == 60_001
    assert time.perf_counter() - start < 20


def test_a_long_string_in_single_bytes_is_not_read_again_and_again() -> None:
    body = exi.Encoder().encode(ET.fromstring("<a>" + "Ω" * 30_000 + "</a>"))
    decoder = exi.Decoder()
    start = time.perf_counter()
    found = []
    for index in range(len(body)):
        found += decoder.feed(body[index : index + 1])
    assert len(found) == 1
    assert time.perf_counter() - start < 10


def test_hostile_options_in_a_header() -> None:
    known = grammars("sensor.xsd")
    for settings in (
        {"value_partition_capacity": 2**32 - 1},
        {"datatype_representations": {"{urn:t}a": "{urn:t}b"}},
    ):
        writer = BitWriter(False)
        options = exi.Options(header_options=True, **settings)  # type: ignore[arg-type]
        write_header(writer, options, False)
        with contextlib.suppress(exi.DecodeError):
            exi.decode(writer.take() + bytes(20), known)
    for number in range(100):
        options = exi.Options(
            datatype_representations={f"{{urn:t}}t{number}": "{http://www.w3.org/2009/exi}string"}
        )
        exi.encode(ET.Element("a"), known, options)
    assert len(known._views) <= 16
    for settings in ({"block_size": 2**32}, {"value_max_length": 2**64}, {"max_builtin_productions": 2**70}):
        with pytest.raises(exi.SchemaError):
            exi.Options(**settings)
    with pytest.raises(exi.SchemaError):
        exi.Limits(depth=2**63)


# --- what is no XML -----------------------------------------------------------------------------------------


def test_an_attribute_that_comes_twice() -> None:
    data = exi.from_xml(b"<a bb='1' cc='2'/>", None, exi.Options(alignment="byte-packed"))
    twice = data.replace(b"cc", b"bb")
    for read in (exi.decode, exi.to_xml):
        with pytest.raises(exi.DecodeError, match="twice"):
            read(twice, None, exi.Options(alignment="byte-packed"))


def test_names_and_characters_that_xml_has_not() -> None:
    options = exi.Options(alignment="byte-packed")
    data = exi.from_xml(b"<aa>bb</aa>", None, options)
    with pytest.raises(exi.DecodeError, match="expected a name"):
        exi.decode(data.replace(b"aa", b"a<"), None, options)
    with pytest.raises(exi.DecodeError, match="characters that XML allows"):
        exi.decode(data.replace(b"bb", b"b\0"), None, options)


def test_a_namespace_declaration_in_disguise() -> None:
    options = exi.Options(alignment="byte-packed")
    for name, disguised in (("xmlnt", "xmlns"), ("{http://www.w3.org/2000/xmlnt/}p", "http://www.w3.org/2000/xmlns/")):
        data = exi.encode(ET.Element("a", {name: "urn:evil"}), None, options)
        old = disguised.replace("xmlns", "xmlnt").encode()
        assert old in data
        for read in (exi.decode, exi.to_xml):
            with pytest.raises(exi.DecodeError, match="expected an attribute"):
                read(data.replace(old, disguised.encode()), None, options)
        with pytest.raises(exi.EncodeError, match="no attribute"):
            exi.encode(ET.Element("a", {name.replace("xmlnt", "xmlns"): "urn:evil"}))


def test_a_document_type_that_hides_an_element() -> None:
    options = exi.Options(alignment="byte-packed", preserve=frozenset({"dtd"}))
    data = exi.from_xml(b"<!DOCTYPE a [<!ELEMENT abcdefg ANY>]><a/>", None, options)
    text = b"<!ELEMENT abcdefg ANY>"
    with pytest.raises(exi.DecodeError, match="document type"):
        exi.to_xml(data.replace(text, b"]><evil/><!DOCTYPE x [".ljust(len(text))), None, options)


def test_text_that_is_not_well_formed_is_the_callers_error() -> None:
    for text in (b"<a>", b"", b"<a b='1' b='2'/>", b"<x:a/>"):
        with pytest.raises(exi.EncodeError):
            exi.from_xml(text)


def test_external_entities_are_not_read(tmp_path: Any) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    document = f'<!DOCTYPE a [<!ENTITY e SYSTEM "{secret.as_uri()}">]><a>&e;</a>'.encode()
    assert b"secret" not in exi.to_xml(exi.from_xml(document))
