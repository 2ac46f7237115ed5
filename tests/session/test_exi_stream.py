"""Both ways to speak EXI on a stream, fed in pieces of any length: what was said is what is heard, or PeerConfused."""

from __future__ import annotations

from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import exi
from hub.errors import PeerConfused
from hub.exi import schemas
from hub.session import exi_setup as setup
from hub.session.exi_binding import DEFAULT_SCHEMA_ID, BindingStream
from hub.session.exi_link import LIMITS, PROPOSED
from hub.session.exi_setup import Settings
from hub.session.exi_stream import ExiStream
from tests.exi.product import canonical, stanzas

STANZAS = stanzas("captured.xml")
PLAIN = Settings(exi.Options())

pieces = st.lists(st.integers(1, 400), max_size=60)
"""Lengths of the first pieces; the rest comes at once."""
conversations = st.lists(st.sampled_from(STANZAS), min_size=1, max_size=12)


def streams(settings: Settings) -> tuple[ExiStream, ExiStream]:
    return ExiStream(schemas.grammars(), settings), ExiStream(schemas.grammars(), settings)


def cut(data: bytes, lengths: list[int]) -> list[bytes]:
    found, start = [], 0
    for length in lengths:
        found.append(data[start : start + length])
        start += length
    return [*found, data[start:]]


def same(heard: list[Element], said: list[Element]) -> bool:
    return [canonical(each) for each in heard] == [canonical(each) for each in said]


@pytest.mark.parametrize("settings", [PROPOSED, PLAIN], ids=["tables of the session", "tables of a stanza"])
@given(said=conversations, lengths=pieces)
def test_a_stream_may_be_cut_anywhere(settings: Settings, said: list[Element], lengths: list[int]) -> None:
    here, there = streams(settings)
    data = b"".join(here.encode(element) for element in said)
    heard = [element for piece in cut(data, lengths) for element in there.feed(piece)]
    assert same(heard, said)
    assert (here.sent, there.received) == (there.received, here.sent)
    assert here.sent.size == len(data)


@pytest.mark.parametrize("alignment", ["bit-packed", "byte-packed", "pre-compression", "compression"])
@pytest.mark.parametrize("session_wide", [False, True], ids=["tables of a stanza", "tables of the session"])
def test_what_has_begun_is_pending_until_its_last_byte(alignment: str, session_wide: bool) -> None:
    here, there = streams(Settings(exi.Options(alignment=alignment), session_wide))
    for element in STANZAS[:20]:
        data = here.encode(element)
        assert not there.pending
        for index in range(len(data) - 1):
            assert not there.feed(data[index : index + 1]) and there.pending
        (heard,) = there.feed(data[-1:])
        assert same([heard], [element]) and not there.pending


def test_an_opening_of_the_binary_port_is_pending_until_its_last_byte() -> None:
    here, there = BindingStream(schemas.grammars(schemas.DEFAULT)), BindingStream(schemas.grammars(schemas.DEFAULT))
    data = here.encode(setup.stream_start({"to": "localhost", "version": "1.0"}))
    assert not there.pending
    for index in range(len(data) - 1):
        assert not there.feed(data[index : index + 1]) and there.pending
    assert there.feed(data[-1:]) and not there.pending


@given(said=conversations, lengths=pieces, quick=st.booleans())
def test_the_binary_port_may_be_cut_anywhere(said: list[Element], lengths: list[int], quick: bool) -> None:
    """Openings included: it opens twice, the second time by the name of an agreement or with nothing new."""
    start = setup.stream_start({"to": "localhost", "version": "1.0"})
    grammars = schemas.grammars(schemas.DEFAULT)
    client, server = BindingStream(grammars), BindingStream(grammars)
    data = client.encode(start) + client.encode(Element(setup.STREAM_END))
    heard = [element for piece in cut(data, lengths) for element in server.feed(piece)]
    assert same(heard, [start, Element(setup.STREAM_END)])
    for end in (client, server):
        end.restart()
    client.use(schemas.grammars(), PROPOSED, "known" if quick else "")
    if not quick:
        server.use(schemas.grammars(), PROPOSED)
    data = b"".join(client.encode(element) for element in (start, *said))
    heard = []
    for piece in cut(data, lengths):
        heard += server.feed(piece)
        if server.wanted:
            assert server.wanted == "known"
            heard += server.configure(schemas.grammars(), PROPOSED)
    assert same(heard, [start, *said])


@given(said=conversations, noise=st.binary(min_size=1, max_size=40), at=st.floats(0, 1))
def test_noise_is_elements_or_the_peers_fault(said: list[Element], noise: bytes, at: float) -> None:
    here, there = streams(PROPOSED)
    data = b"".join(here.encode(element) for element in said)
    place = int(at * len(data))
    try:
        heard = there.feed(data[:place] + noise + data[place:])
    except PeerConfused as error:
        assert "no EXI of this stream" in str(error)
    else:
        assert all(isinstance(element, Element) for element in heard)


def test_what_cannot_be_said_leaves_the_stream_as_it_was() -> None:
    here, there = streams(PROPOSED)
    first, second = STANZAS[:2]
    data = here.encode(first)
    wrong = ET.fromstring(ET.tostring(second))
    ET.SubElement(wrong, "not a name")
    with pytest.raises(exi.EncodeError):
        here.encode(wrong)
    data += here.encode(second)
    assert same(there.feed(data), [first, second])


def test_what_is_longer_than_we_have_room_for_is_the_peers_fault() -> None:
    small = Settings(PROPOSED.options.with_(limits=exi.Limits(string_length=1000)), session_wide=True)
    here, _ = streams(PROPOSED)
    _, there = streams(small)
    message = Element("{jabber:client}message")
    ET.SubElement(message, "{jabber:client}body").text = "x" * 1001
    with pytest.raises(PeerConfused):
        there.feed(here.encode(message))


def test_a_repeated_stanza_costs_a_tenth_of_its_first_time() -> None:
    """What the tables of a session are for. A reading whose values alone change, as a node sends it."""
    here, _ = streams(Settings(PROPOSED.options.with_(limits=LIMITS), session_wide=True))
    reading = next(each for each in STANZAS if each.tag.endswith("}message") and len(each))
    first, *others = [len(here.encode(reading)) for _ in range(10)]
    assert max(others) * 3 < first, (first, others)


def test_the_default_schema_has_a_name() -> None:
    """A header may name it, and no other."""
    grammars = schemas.grammars(schemas.DEFAULT)
    for name, right in ((DEFAULT_SCHEMA_ID, True), ("urn:other", False)):
        client, server = BindingStream(grammars), BindingStream(grammars)
        client._schema_id = name
        data = client.encode(setup.stream_start({"to": "localhost"}))
        if right:
            assert [each.tag for each in server.feed(data)] == [setup.STREAM_START]
        else:
            with pytest.raises(PeerConfused, match="names nothing here"):
                server.feed(data)
