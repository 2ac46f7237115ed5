"""The vectors kept in the repository: one table that serves both directions."""

from __future__ import annotations

import json
import zlib
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from hub import exi

from .helpers import HERE, canonical, grammars

VECTORS = json.loads((HERE / "vectors.json").read_text(encoding="utf-8"))


def known_grammars(vector: dict[str, Any]) -> exi.Grammars | None:
    return None if vector["schema"] is None else grammars(vector["schema"])


def name(vector: dict[str, Any]) -> str:
    return f"{vector['name']}-{vector['schema']}-{json.dumps(vector['options'])}"


def inflated(data: bytes) -> list[bytes]:
    """A compressed body as its inflated streams: DEFLATE output may differ between versions of zlib."""
    streams = []
    while data:
        inflater = zlib.decompressobj(-15)
        streams.append(inflater.decompress(data))
        data = inflater.unused_data
    return streams


@pytest.mark.parametrize("vector", VECTORS, ids=name)
def test_encoding(vector: dict[str, Any]) -> None:
    options = exi.Options(**vector["options"])
    found = exi.from_xml(vector["xml"].encode(), known_grammars(vector), options)
    expected = bytes.fromhex(vector["exi"])
    if options.alignment == "compression" and not options.header_options:
        assert inflated(found[1:]) == inflated(expected[1:])
    elif options.alignment == "compression":
        assert exi.to_xml(found, known_grammars(vector), options) == exi.to_xml(
            expected, known_grammars(vector), options
        )
    else:
        assert found.hex() == vector["exi"]


@pytest.mark.parametrize("vector", VECTORS, ids=name)
def test_decoding_and_encoding_again(vector: dict[str, Any]) -> None:
    options, known = exi.Options(**vector["options"]), known_grammars(vector)
    data = bytes.fromhex(vector["exi"])
    text = exi.to_xml(data, known, options)
    again = exi.from_xml(text, known, options)
    assert exi.to_xml(again, known, options) == text
    if options.header_options:
        assert exi.to_xml(data, known) == text, "with options in the header none need to be given"


@pytest.mark.parametrize(
    "vector", [each for each in VECTORS if not each["options"].get("fragment")], ids=name
)
def test_elements_come_back(vector: dict[str, Any]) -> None:
    options, known = exi.Options(**vector["options"]), known_grammars(vector)
    if "prefixes" in options.preserve and "lexical" in options.preserve and "xsi:type" in vector["xml"]:
        return  # a lexical xsi:type needs prefixes, which elements do not have
    element = exi.decode(bytes.fromhex(vector["exi"]), known, options)
    again = exi.decode(exi.encode(element, known, options), known, options)
    assert canonical(again) == canonical(element)
    assert isinstance(element, ET.Element)


def test_decimals_of_numbers_stay() -> None:
    known = grammars("sensor.xsd")
    text = next(each["xml"] for each in VECTORS if each["name"] == "fields")
    element = exi.decode(exi.from_xml(text.encode(), known), known)
    values = [numeric.get("value") for numeric in element.iter("{urn:test:sensor}numeric")]
    assert values == ["21.50", "-0.5"]
