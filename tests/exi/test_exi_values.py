"""Values of each datatype, by table: what the text becomes and what comes back."""

from __future__ import annotations

import itertools
import random
import re

import pytest

from hub import exi
from hub.exi import lexical
from hub.exi.bits import BitReader, BitWriter, bits_for
from hub.exi.charset import restricted_set
from hub.exi.datatypes import read_integer, write_integer


@pytest.mark.parametrize(
    ("text", "mantissa", "exponent", "back"),
    [
        ("21.50", 2150, -2, "21.50"),
        ("-0.5", -5, -1, "-0.5"),
        ("0", 0, 0, "0"),
        ("5.", 5, 0, "5"),
        (".5", 5, -1, "0.5"),
        ("1E5", 1, 5, "1E5"),
        ("1.5e-9", 15, -10, "0.0000000015"),
        ("INF", 1, -16384, "INF"),
        ("-INF", -1, -16384, "-INF"),
        ("NaN", 0, -16384, "NaN"),
        ("9223372036854775807", 2**63 - 1, 0, "9223372036854775807"),
        ("-9223372036854775808", -(2**63), 0, "-9223372036854775808"),
        (" 7 ", 7, 0, "7"),
    ],
)
def test_floats(text: str, mantissa: int, exponent: int, back: str) -> None:
    assert lexical.parse_float(text) == (mantissa, exponent)
    assert lexical.format_float(mantissa, exponent) == back


@pytest.mark.parametrize(
    "text", ["", "-", ".", "+", "1.2.3", "1e", "0x1", "١", "9223372036854775808", "1E99999"]
)
def test_what_is_no_float(text: str) -> None:
    assert lexical.parse_float(text) is None


@pytest.mark.parametrize(
    ("kind", "text", "back"),
    [
        (lexical.DATE_TIME, "2026-11-20T23:59:00Z", None),
        (lexical.DATE_TIME, "2026-11-20T23:59:00.25+05:30", None),
        (lexical.DATE_TIME, "2026-11-20T23:59:00.000-14:00", "2026-11-20T23:59:00-14:00"),
        (lexical.DATE_TIME, "-0044-03-15T12:00:00", None),
        (lexical.DATE_TIME, "12026-01-01T24:00:00Z", None),
        (lexical.DATE_TIME, "2016-12-31T23:59:60Z", None),
        (lexical.TIME, "07:08:09.5", None),
        (lexical.DATE, "2026-02-28+00:00", "2026-02-28Z"),
        (lexical.YEAR_MONTH, "2026-02", None),
        (lexical.YEAR, "0999Z", None),
        (lexical.MONTH_DAY, "--12-31", None),
        (lexical.DAY, "---07", None),
        (lexical.MONTH, "--05-11:00", None),
    ],
)
def test_dates_come_back_as_xsd_writes_them(kind: int, text: str, back: str | None) -> None:
    value = lexical.parse_date_time(text, kind)
    assert value is not None
    assert lexical.format_date_time(value, kind) == (back or text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-13-01T00:00:00",
        "2026-00-01T00:00:00",
        "2026-01-32T00:00:00",
        "2026-01-01T25:00:00",
        "2026-01-01T24:00:01",
        "26-01-01T00:00:00",
        "2026-01-01",
        "2026-01-01T00:00:00+15:00",
        "2026-01-01T00:00:00z",
    ],
)
def test_what_is_no_date_time(text: str) -> None:
    assert lexical.parse_date_time(text, lexical.DATE_TIME) is None


def test_decimals() -> None:
    assert lexical.parse_decimal("-23.40") == (True, 23, 4)
    assert lexical.format_decimal(True, 23, 4) == "-23.4"
    assert lexical.parse_decimal(".05") == (False, 0, 50)
    assert lexical.format_decimal(False, 0, 50) == "0.05"
    assert lexical.parse_decimal("1e5") is None


@pytest.mark.parametrize("aligned", [False, True])
def test_integers_of_any_size(aligned: bool) -> None:
    values = [0, 1, -1, 127, 128, -128, 2**31, -(2**31), 2**32, 2**56, 2**62, 2**63, -(2**64), 10**50]
    writer = BitWriter(aligned)
    writer.bits(1, 3)
    for value in values:
        write_integer(writer, value)
    reader = BitReader(writer.take(), aligned, 4096, 1000)
    assert reader.bits(3) == 1
    assert [read_integer(reader) for _ in values] == values


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("shift", range(8))
def test_strings_at_any_bit(aligned: bool, shift: int) -> None:
    texts = ["", "a", "hello, world", "x" * 100, "Ω", "🌡️ 23.4°C", "a" * 30 + "é"]
    writer = BitWriter(aligned)
    writer.bits(0, shift)
    for text in texts:
        writer.string(text)
    reader = BitReader(writer.take(), aligned, 4096, 1000)
    reader.bits(shift)
    assert [reader.string() for _ in texts] == texts


def test_n_bit_integers_are_little_endian_when_aligned() -> None:
    writer = BitWriter(True)
    writer.bits(0x1234, 13)
    assert writer.take() == b"\x34\x12"
    writer = BitWriter(False)
    writer.bits(0x1234, 13)
    assert writer.take() == b"\x91\xa0"


def test_rewinding_forgets() -> None:
    for shift in range(8):
        writer = BitWriter(False)
        writer.bits(1, shift + 1)
        mark = writer.mark()
        writer.string("forgotten")
        writer.rewind(mark)
        writer.bits(5, 3)
        twin = BitWriter(False)
        twin.bits(1, shift + 1)
        twin.bits(5, 3)
        assert writer.take() == twin.take()


def test_widths_of_codes() -> None:
    assert [bits_for(count) for count in (0, 1, 2, 3, 4, 5, 256, 257)] == [0, 0, 1, 2, 2, 3, 8, 9]


@pytest.mark.parametrize(
    ("pattern", "characters"),
    [
        ("[a-c]*", "abc"),
        ("[0-9]{3}", "0123456789"),
        ("true|false", "aeflrstu"),
        ("[a-z-[aeiou]]+", "bcdfghjklmnpqrstvwxyz"),
        (r"[\-+\\.\s]+", "\t\n\r +-.\\"),
        ("^a$", "$^a"),
        ("a{2,3}b", "ab"),
    ],
)
def test_restricted_character_sets(pattern: str, characters: str) -> None:
    assert restricted_set([pattern]) == sorted(characters)


@pytest.mark.parametrize(
    "pattern", [".*", r"\d+", r"\p{Lu}", "[^a]", "[\u0100-\uffff]", "[\U0001f300]", r"\i\c*", "[a"]
)
def test_patterns_without_a_set(pattern: str) -> None:
    assert restricted_set([pattern]) is None


def test_surrogates_are_no_characters() -> None:
    with pytest.raises(exi.EncodeError):
        BitWriter(False).string("\ud800")


def test_the_short_way_of_reading_a_value_agrees_with_the_long_one() -> None:
    chance = random.Random(3)
    starts = ["2026-11-20T23:59:59", "2026-11-20T24:00:00", "2026-13-20T23:59:59"]
    fractions = ["", ".25", ".000", ".", ".1234567890123456789"]
    zones = ["", "Z", "+01:00", "-14:00", "+14:01", "-00:30", "z", "+1:00", "+01:0", "ZZ", " "]
    for parts in itertools.product(starts, fractions, zones):
        for _ in range(10):
            characters = list("".join(parts))
            text = "".join(characters)
            short, long = lexical.parse_plain_date_time(text), lexical.parse_any_date_time(text, lexical.DATE_TIME)
            if short is not None:
                assert long is not None, text
                assert vars_of(short) == vars_of(long), text
            characters[chance.randrange(len(characters))] = chance.choice("0123456789-:TZ.+ \u00b2\u0663")
            parts = ("".join(characters), "", "")
    numbers = ["0", "-0", "+5", "-5", "007", "", "-", "1a", "\u00b2", "\u0663", " 5 ", "9" * 18, "9" * 19, "--5", "5-"]
    for text in numbers:
        expected = int(text) if re.fullmatch(r"\s*[+-]?[0-9]+\s*", text) else None
        assert lexical.parse_integer(text) == expected


def vars_of(date: lexical.DateTime) -> tuple[int, ...]:
    return date.year, int(date.month_day), int(date.time), date.fraction, int(date.zone)


@pytest.mark.parametrize("shift", range(8))
def test_texts_of_any_length_and_kind_at_any_bit(shift: int) -> None:
    texts = ["a" * size for size in (1, 2, 7, 23, 24, 25, 60)]
    texts += ["\u00b0C", "x\ty", "\x7f", "a\u2600b", "\U0001f600", "\t"]
    writer = BitWriter(False)
    writer.bits(0, shift)
    for text in texts:
        writer.string(text)
    reader = BitReader(writer.take(), False, 64, 1000)
    reader.bits(shift)
    assert [reader.string() for _ in texts] == texts
