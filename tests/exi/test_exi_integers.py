"""Integers at the edges of what a machine word, the compiler's tagged integer and an i64 hold, wherever one is coded.

Compiled, an `int` is a word with a tag (31 bits of it on 32-bit ARM, 63 elsewhere) or a Python integer beyond that, and
an `i64` has 64 bits everywhere. Nothing may be narrowed on the way, and what does not fit is refused as bad input.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hub import exi
from hub.exi import lexical
from hub.exi.bits import BitReader, BitWriter, bits_for
from hub.exi.options import LARGEST_LIMIT, LARGEST_OPTION

from .helpers import ALIGNMENTS

EDGES = (30, 31, 32, 56, 61, 62, 63, 64)
UNSIGNED = sorted({(1 << edge) + step for edge in EDGES for step in (-2, -1, 0, 1)})
SIGNED = [*UNSIGNED, *(-value for value in UNSIGNED)]
FLOATS = [value for value in SIGNED if -(1 << 63) <= value < 1 << 63]

# A range of seven values, coded in three bits, across each of these
MIDDLES = [sign << edge for edge in (30, 31, 62, 63) for sign in (1, -1)]


def schema() -> str:
    enumerated = "".join(f'<enumeration value="{value}"/>' for value in SIGNED)
    types = f"""<simpleType name="list"><list itemType="integer"/></simpleType>
        <simpleType name="enumerated"><restriction base="integer">{enumerated}</restriction></simpleType>"""
    elements = '<element name="list" type="t:list"/><element name="enumerated" type="t:enumerated"/>'
    for number, middle in enumerate(MIDDLES):
        types += f"""<simpleType name="range{number}"><restriction base="integer">
            <minInclusive value="{middle - 3}"/><maxInclusive value="{middle + 3}"/></restriction></simpleType>"""
        elements += f'<element name="range{number}" type="t:range{number}"/>'
    for name in ("integer", "nonNegativeInteger", "decimal", "double", "dateTime", "hexBinary"):
        elements += f'<element name="{name}" type="{name}"/>'
    return f"""<schema xmlns="http://www.w3.org/2001/XMLSchema" xmlns:t="urn:t" targetNamespace="urn:t">
        {types}{elements}</schema>"""


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> exi.Grammars:
    file = tmp_path_factory.mktemp("integers") / "integers.xsd"
    file.write_text(schema(), encoding="utf-8")
    return exi.load_schemas([file])


def values() -> Iterator[tuple[str, str]]:
    """(element, text) for everything that codes an integer; the text is the one that comes back."""
    yield from (("integer", str(value)) for value in SIGNED)
    yield from (("nonNegativeInteger", str(value)) for value in UNSIGNED)
    yield from (("decimal", f"{value}.0") for value in SIGNED)
    # The digits of a fraction are an integer, too, read backwards
    yield from (("decimal", f"{value}.{str(value)[::-1].rstrip('0')}1") for value in UNSIGNED)
    yield from (("double", str(value)) for value in FLOATS)
    yield from (("dateTime", f"{value}-01-02T03:04:05.{value}1Z") for value in UNSIGNED)
    yield from (("dateTime", f"-{value}-01-02T03:04:05Z") for value in UNSIGNED)
    yield from (("enumerated", str(value)) for value in SIGNED)
    yield "list", " ".join(map(str, SIGNED))
    for number, middle in enumerate(MIDDLES):
        yield from ((f"range{number}", str(middle + step)) for step in range(-3, 4))


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_values(known: exi.Grammars, alignment: str, strict: bool) -> None:
    """Strict, a value that is none of the type is refused, so all of these are coded as what they are."""
    options = exi.Options(alignment=alignment, strict=strict)
    for name, text in values():
        data = exi.from_xml(f'<t:{name} xmlns:t="urn:t">{text}</t:{name}>'.encode(), known, options)
        assert exi.decode(data, known, options).text == text, name


@pytest.mark.parametrize("strict", [False, True])
def test_values_just_outside(known: exi.Grammars, strict: bool) -> None:
    options = exi.Options(strict=strict)
    wrong = [("nonNegativeInteger", -value) for value in UNSIGNED]
    wrong += [("double", value) for value in SIGNED if value not in FLOATS]
    wrong += [(f"range{number}", middle + step) for number, middle in enumerate(MIDDLES) for step in (-4, 4)]
    wrong += [(f"range{number}", value) for number in range(len(MIDDLES)) for value in (0, 1 << 64, -(1 << 64))]
    for name, value in wrong:
        text = f'<t:{name} xmlns:t="urn:t">{value}</t:{name}>'.encode()
        if strict:
            with pytest.raises(exi.EncodeError):
                exi.from_xml(text, known, options)
        else:  # carried as a string
            assert exi.decode(exi.from_xml(text, known, options), known, options).text == str(value)


@pytest.mark.parametrize("mantissa", [*UNSIGNED, 10**18, 10**19])
def test_floats_of_many_digits(mantissa: int) -> None:
    for text in (f"{mantissa}", f"-{mantissa}", f"0.{mantissa}", f"{mantissa}E5"):
        found = lexical.parse_float(text)
        exponent = 5 if "E" in text else -len(str(mantissa)) if "." in text else 0
        expected = (-mantissa if text.startswith("-") else mantissa, exponent)
        assert found == (expected if -(1 << 63) <= expected[0] < 1 << 63 else None)


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("shift", range(8))
def test_codes_and_lengths(aligned: bool, shift: int) -> None:
    """Codes have at most 56 bits; a length of 57 or more is refused, whatever it is."""
    codes = [(value, width) for width in (30, 31, 32, 33, 55, 56) for value in (0, 1 << (width - 1), (1 << width) - 1)]
    lengths = [value for value in UNSIGNED if value < 1 << 56]
    writer = BitWriter(aligned)
    writer.bits(0, shift)
    for value, width in codes:
        writer.bits(value, width)
    for value in lengths:
        writer.unsigned(value)
    reader = BitReader(writer.take(), aligned, 4096, 1000)
    reader.bits(shift)
    assert [reader.bits(width) for _, width in codes] == [value for value, _ in codes]
    assert [reader.unsigned() for _ in lengths] == lengths
    for value in (1 << 57, 1 << 62, (1 << 63) - 1, 1 << 63, 1 << 64, 1 << 70):
        writer.big_unsigned(value)
        with pytest.raises(exi.LimitError):
            BitReader(writer.take(), aligned, 4096, 1000).unsigned()


def test_widths_of_codes() -> None:
    assert [bits_for((1 << edge) + step) for edge in (30, 31, 32, 62) for step in (0, 1)] == [
        30, 31, 31, 32, 32, 33, 62, 63,
    ]  # fmt: skip


CLAIMS = {  # a document, and where its bytes say how long something is
    "value": ("<a>~~~~~</a>", b"~~~~~"),
    "name": ('<a xmlns="~~~~~"/>', b"~~~~~"),
    "binary": ('<hexBinary xmlns="urn:t">7E7E7E7E7E</hexBinary>', b"~~~~~"),
    "list": ('<list xmlns="urn:t">1 2 3</list>', b"\0\1\0\2\0\3"),
}


@pytest.mark.parametrize("claimed", [*UNSIGNED, 1 << 55, 1 << 57, 1 << 70])
@pytest.mark.parametrize("where", CLAIMS)
def test_lengths_that_a_peer_claims(known: exi.Grammars, where: str, claimed: int) -> None:
    """What is said to be so long never comes; it is neither made room for nor waited for."""
    options = exi.Options(alignment="byte-packed")
    document, content = CLAIMS[where]
    before, found, after = exi.from_xml(document.encode(), known, options).partition(content)
    assert found and len(content) <= before[-1] * 2 < 20, "the length is the byte before"
    writer = BitWriter(True)
    writer.big_unsigned(claimed)
    with pytest.raises(exi.DecodeError):
        exi.decode(before[:-1] + writer.take() + content + after, known, options)


@pytest.mark.parametrize("size", [1 << 30, (1 << 31) - 1, 1 << 31, LARGEST_OPTION])
def test_sizes_in_options(size: int) -> None:
    """The options document carries them, and a coder works under them."""
    options = exi.Options(alignment="compression", header_options=True, block_size=size, value_max_length=size,
                          value_partition_capacity=size)  # fmt: skip
    data = exi.from_xml(b"<a b='cc'>cc</a>", None, options)
    assert exi.to_xml(data) == exi.to_xml(data, None, options)
    assert exi.decode(data).text == "cc"


def test_the_largest_limits() -> None:
    limits = exi.Limits(**{name: LARGEST_LIMIT for name in ("string_length", "table_entries", "decoded_size",
                                                            "elements", "list_items", "expansion_floor")})  # fmt: skip
    data = exi.from_xml(b"<a b='cc'>cc</a>")
    assert exi.decode(data, None, exi.Options(limits=limits)).text == "cc"
