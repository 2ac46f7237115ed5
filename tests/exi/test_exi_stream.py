"""Sessions: bodies cut anywhere, tables kept or not, failures that leave no trace."""

from __future__ import annotations

import random
from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest

from hub import exi

from .helpers import ALIGNMENTS, canonical, grammars
from .make_vectors import DEVIATING, INFORMED, SCHEMA_LESS

DOCUMENTS = [
    ET.fromstring(text) for name, text in {**INFORMED, **DEVIATING, **SCHEMA_LESS}.items() if name != "type"
]
CASES = [(schema, alignment, session) for schema in (None, "sensor.xsd") for alignment in ALIGNMENTS
         for session in (True, False)]  # fmt: skip


def coders(schema: str | None, alignment: str, session: bool) -> tuple[exi.Encoder, exi.Decoder]:
    known = None if schema is None else grammars(schema)
    options = exi.Options(alignment=alignment)
    return exi.Encoder(known, options, session), exi.Decoder(known, options, session)


def feed_in_pieces(decoder: exi.Decoder, data: bytes, size: int) -> list[ET.Element]:
    found = []
    for start in range(0, len(data), size):
        found += decoder.feed(data[start : start + size])
    return found


@pytest.mark.parametrize(("schema", "alignment", "session"), CASES)
def test_any_cut_gives_the_same(schema: str | None, alignment: str, session: bool) -> None:
    encoder, decoder = coders(schema, alignment, session)
    bodies = [encoder.encode(document) for document in DOCUMENTS]
    one_by_one = []
    for body in bodies:
        found = decoder.feed(body)
        assert len(found) == 1
        assert not decoder.pending
        one_by_one += found
    expected = [canonical(element) for element in one_by_one]
    data = b"".join(bodies)
    for size in (1, 2, 3, 7, 64, len(data)):
        decoder = coders(schema, alignment, session)[1]
        assert [canonical(each) for each in feed_in_pieces(decoder, data, size)] == expected
        assert not decoder.pending


@pytest.mark.parametrize(("schema", "alignment", "session"), CASES)
def test_encoding_is_stable(schema: str | None, alignment: str, session: bool) -> None:
    encoder, decoder = coders(schema, alignment, session)
    bodies = [encoder.encode(document) for document in DOCUMENTS * 2]
    elements = decoder.feed(b"".join(bodies))
    again = coders(schema, alignment, session)[0]
    assert [again.encode(element) for element in elements] == bodies


def test_session_tables_make_repeated_stanzas_small() -> None:
    encoder, _ = coders("sensor.xsd", "bit-packed", True)
    document = ET.fromstring(INFORMED["fields"])
    first, second = encoder.encode(document), encoder.encode(document)
    assert len(second) < len(first) * 0.7


def test_elements_come_as_soon_as_they_are_complete() -> None:
    encoder, decoder = coders(None, "bit-packed", True)
    body = encoder.encode(ET.fromstring("<a>text</a>"))
    assert decoder.feed(body[:-1]) == []
    assert decoder.pending
    assert len(decoder.feed(body[-1:])) == 1


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_a_failed_encode_leaves_the_tables_as_they_were(alignment: str) -> None:
    known = grammars("sensor.xsd")
    options = exi.Options(alignment=alignment, strict=True, value_partition_capacity=3)
    encoder, twin, decoder = (
        exi.Encoder(known, options),
        exi.Encoder(known, options),
        exi.Decoder(known, options),
    )
    good = ET.fromstring(INFORMED["fields"])
    bad = ET.fromstring(
        INFORMED["fields"].replace('unit="K"', 'unit="new string, no unit"').replace("Temp", "Other")
    )
    for _ in range(3):
        with pytest.raises(exi.EncodeError):
            encoder.encode(bad)
        body = encoder.encode(good)
        assert body == twin.encode(good)
        assert canonical(decoder.feed(body)[0])[0] == good.tag


def test_a_failure_inside_learned_grammars_is_forgotten_too() -> None:
    options = exi.Options(limits=exi.Limits(depth=4))
    encoder, twin = exi.Encoder(None, options), exi.Encoder(None, options)
    with pytest.raises(exi.EncodeError):
        encoder.encode(ET.fromstring("<a x='1'><b y='2'>t<c><d><e/></d></c></b></a>"))
    good = ET.fromstring("<a y='2'><b x='1'/>t</a>")
    assert encoder.encode(good) == twin.encode(good)


def test_what_xml_has_not_never_reaches_the_peer() -> None:
    encoder, twin = exi.Encoder(), exi.Encoder()
    control = ET.Element("a")
    control.text = "\u0001"
    for element in (control, ET.Element("a", {"b": "\ufffe"}), ET.Element("a b"), ET.Element("{urn:\0}a")):
        with pytest.raises(exi.EncodeError):
            encoder.encode(element)
    good = ET.fromstring("<a>t</a>")
    assert encoder.encode(good) == twin.encode(good)


def test_a_failed_stream_stays_failed() -> None:
    _, decoder = coders(None, "byte-packed", True)
    with pytest.raises(exi.DecodeError):
        decoder.feed(b"\xff" * 20)
    with pytest.raises(exi.DecodeError, match="failed before"):
        decoder.feed(b"")


GROWING: dict[str, Callable[[int], str]] = {
    "values": lambda number: f"<a>{number}</a>",
    "names": lambda number: f"<n{number}/>",
    "attributes": lambda number: f"<a n{number}=''/>",
    "namespaces": lambda number: f"<a xmlns='urn:{number}'/>",
    "long values": lambda number: f"<a>{number:0500}</a>",
    "long names": lambda number: f"<n{number:0500}/>",
}
TIGHT = [exi.Limits(table_entries=50), exi.Limits(table_size=1_000)]


@pytest.mark.parametrize("growing", GROWING)
@pytest.mark.parametrize("limits", TIGHT, ids=["entries", "size"])
def test_a_session_ends_when_its_tables_grow_too_large(growing: str, limits: exi.Limits) -> None:
    encoder, decoder = exi.Encoder(), exi.Decoder(None, exi.Options(limits=limits))
    with pytest.raises(exi.LimitError):
        for number in range(1000):
            decoder.feed(encoder.encode(ET.fromstring(GROWING[growing](number))))


@pytest.mark.parametrize("growing", GROWING)
@pytest.mark.parametrize("limits", TIGHT, ids=["entries", "size"])
def test_an_encoder_stops_before_its_peer_would_refuse(growing: str, limits: exi.Limits) -> None:
    options = exi.Options(limits=limits)
    encoder, decoder = exi.Encoder(None, options), exi.Decoder(None, options)
    small = encoder.encode(ET.Element("a"))
    assert len(decoder.feed(small)) == 1
    sizes = []
    with pytest.raises(exi.TablesFullError, match="begin a new session"):
        for number in range(1000):
            assert len(decoder.feed(encoder.encode(ET.fromstring(GROWING[growing](number))))) == 1
            assert (encoder.table_entries, encoder.table_size) == (decoder.table_entries, decoder.table_size)
            sizes.append((encoder.table_entries, encoder.table_size))
    assert sizes[-1] == (encoder.table_entries, encoder.table_size)
    assert sizes[-1][0] <= limits.table_entries
    assert sizes[-1][1] <= limits.table_size
    assert len(decoder.feed(encoder.encode(ET.Element("a")))) == 1  # what needs no more room still goes


def test_a_bounded_table_counts_what_it_holds() -> None:
    options = exi.Options(value_partition_capacity=4, limits=exi.Limits(table_size=1_000))
    encoder, decoder = exi.Encoder(None, options), exi.Decoder(None, options)
    for number in range(500):
        decoder.feed(encoder.encode(ET.fromstring(f"<a>{number:0100}</a>")))
    with pytest.raises(exi.TablesFullError):
        encoder.encode(ET.fromstring("<a>" + "x" * 900 + "</a>"))
    assert encoder.table_size == decoder.table_size == 401


def test_productions_that_a_peer_teaches_are_counted() -> None:
    encoder, decoder = exi.Encoder(), exi.Decoder()
    decoder.feed(encoder.encode(ET.fromstring("<a><b/></a>")))
    before = decoder.table_entries
    decoder.feed(encoder.encode(ET.fromstring("<b><a/></b>")))  # no new name, but SE(a) is new in b, as is its end
    assert decoder.table_entries == encoder.table_entries == before + 2


class Interrupting(str):
    """A string that is no string: whoever asks for its hash is interrupted."""

    def __hash__(self) -> int:
        raise KeyboardInterrupt


@pytest.mark.parametrize("session", [True, False])
def test_an_interrupted_encoder_says_so(session: bool) -> None:
    encoder = exi.Encoder(None, exi.Options(), session)
    element = ET.fromstring("<a b='c'>t</a>")
    element.text = Interrupting("text")
    with pytest.raises(KeyboardInterrupt):
        encoder.encode(element)
    good = ET.fromstring("<a b='c'>t</a>")
    if session:
        with pytest.raises(exi.EncodeError, match="begin a new session"):
            encoder.encode(good)
    else:
        assert encoder.encode(good) == exi.Encoder().encode(good)


def test_elements_before_an_error_are_not_lost() -> None:
    options = exi.Options(alignment="byte-packed")
    encoder, decoder = exi.Encoder(None, options), exi.Decoder(None, options)
    good = encoder.encode(ET.fromstring("<a>one</a>")) + encoder.encode(ET.fromstring("<a>two</a>"))
    with pytest.raises(exi.DecodeError) as caught:
        decoder.feed(good + b"\xff" * 20)
    assert [element.text for element in caught.value.elements] == ["one", "two"]
    assert caught.value.bit_offset >= len(good) * 8


def test_a_bounded_table_keeps_memory_bounded() -> None:
    options = exi.Options(value_partition_capacity=4)
    encoder, decoder = exi.Encoder(None, options), exi.Decoder(None, options)
    for number in range(500):
        assert decoder.feed(encoder.encode(ET.fromstring(f"<a>{number}</a>")))[0].text == str(number)
    for values in (encoder.tables.values, decoder.tables.values):
        assert len(values.texts) == 4
        assert len(values.numbers) <= 4
        assert sum(len(each.texts) for each in values.partitions.values()) < 100


def test_retries_inside_an_attribute_count_it_once() -> None:
    options = exi.Options(limits=exi.Limits(attributes=2))
    body = exi.Encoder(None, options).encode(ET.fromstring("<a first='1' second='" + "é" * 40 + "'/>"))
    assert len(feed_in_pieces(exi.Decoder(None, options), body, 1)) == 1


def test_random_cuts_of_a_long_session() -> None:
    chance = random.Random(7)
    encoder, decoder = coders("sensor.xsd", "bit-packed", True)
    elements = [chance.choice(DOCUMENTS) for _ in range(200)]
    data = b"".join(encoder.encode(element) for element in elements)
    found = []
    while data:
        size = chance.randint(1, 40)
        found += decoder.feed(data[:size])
        data = data[size:]
    assert [element.tag for element in found] == [element.tag for element in elements]
