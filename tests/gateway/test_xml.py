"""XML streams, read and written: cut anywhere, byte for byte, within bounds, and nothing that XML has no form for."""

from __future__ import annotations

from itertools import pairwise
from xml.etree.ElementTree import Element, fromstring

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.gateway.xmlreader import Bounds, XmlReader
from hub.gateway.xmlwriter import Unwritable, write_element, write_header
from hub.gateway.xmpp import CLIENT, LANG, Closed, Item, Opened, Space, Stanza

HEADER = (
    b"<?xml version='1.0' encoding='UTF-8'?>\n"
    b"<stream:stream to='example.org' version='1.0' xml:lang='en' "
    b"xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' >"
)
STANZAS = (
    b"<presence/>",
    b"\n<message to='a@example.org' id=\"x>y'\"><body>1 &lt; 2 &amp;&#x20AC; \xe2\x82\xac &gt; ]]&gt;</body></message>",
    b"<a/><iq type='get'><query xmlns='urn:x'><b/><b></b></query></iq>",
    b"<stream:features ><c xmlns='urn:y' xmlns:p='urn:p' p:z='1'/></stream:features >",
    b"<iq><x xmlns='urn:x' xmlns:xs='http://www.w3.org/2001/XMLSchema' "
    b"xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:type='xs:int'>1</x></iq>",
    b"<message><![CDATA[<not>&a;]]></message>",
)
END = b"</stream:stream>"
WHOLE = HEADER + b"".join(STANZAS) + END

# --------------------------------------------------------------------------- reading


def read(*chunks: bytes, bounds: Bounds | None = None, whole: bool = True) -> tuple[list[Item], XmlReader]:
    reader = XmlReader(bounds or Bounds(), whole)
    return [item for chunk in chunks for item in reader.feed(chunk)], reader


def told(item: Item) -> object:
    """An item in a form that can be compared."""
    if isinstance(item, Stanza):
        return tree(item.element), item.raw
    return item


def tree(element: Element) -> object:
    children = [(tree(child), child.tail or "") for child in element]
    return (element.tag, dict(element.attrib), element.text or "", children)


def raw(items: list[Item]) -> bytes:
    return b"".join(item.raw for item in items)


def test_what_passes_is_what_came() -> None:
    items, reader = read(WHOLE)
    assert reader.fault is None and raw(items) == WHOLE
    opened, *stanzas, closed = items
    assert isinstance(opened, Opened) and isinstance(closed, Closed)
    assert opened.attributes == {"to": "example.org", "version": "1.0", LANG: "en"}
    assert opened.prefixes == {"": CLIENT, "stream": "http://etherx.jabber.org/streams"}
    assert opened.tag == "stream:stream"
    by_library = list(fromstring(WHOLE))
    found = [item.element for item in stanzas if isinstance(item, Stanza)]
    typed = found[5][0].attrib.popitem()  # the library leaves its value alone
    assert typed[1] == "{http://www.w3.org/2001/XMLSchema}int"
    by_library[5][0].attrib.clear()
    assert [tree(each) for each in found] == [tree(each) for each in by_library]


@settings(deadline=None)
@given(st.lists(st.integers(0, len(WHOLE)), max_size=12), st.booleans())
def test_wherever_it_is_cut(cuts: list[int], whole: bool) -> None:
    places = [0, *sorted(cuts), len(WHOLE)]
    items, reader = read(*(WHOLE[a:b] for a, b in pairwise(places)), whole=whole)
    assert reader.fault is None and raw(items) == WHOLE
    expected, _ = read(WHOLE, whole=whole)
    spaceless = [item for item in items if not isinstance(item, Space)]
    if len(spaceless) == len(items):
        assert list(map(told, items)) == list(map(told, expected))
    assert len(spaceless) == len(expected)


def test_byte_by_byte_each_item_comes_with_its_last_byte() -> None:
    reader = XmlReader(Bounds())
    seen = b""
    for index in range(len(WHOLE)):
        seen += raw(reader.feed(WHOLE[index : index + 1]))
        if WHOLE[: index + 1].endswith((b"</message>", b"<presence/>", b"</iq>")):
            assert seen == WHOLE[: index + 1]
    assert seen == WHOLE


def test_white_space_passes_at_once() -> None:
    items, reader = read(HEADER, b" ", b"\n", b"<a/>", b" \t")
    assert raw(items) == HEADER + b" \n<a/> \t" and not reader.pending
    assert [type(item) for item in items] == [Opened, Space, Space, Stanza, Space]


def test_a_stream_begins_anew() -> None:
    reader = XmlReader(Bounds())
    for space in (b"", b"\n "):
        assert raw(reader.feed(space + HEADER + b"<a/>")) == space + HEADER + b"<a/>"
        reader.restart()


def test_somebody_who_passes_on_needs_only_names() -> None:
    items, _ = read(HEADER, STANZAS[1], STANZAS[3], whole=False)
    message, features = items[1], items[2]
    assert isinstance(message, Stanza) and not message.whole and len(message.element) == 0
    assert message.element.get("to") == "a@example.org"
    assert isinstance(features, Stanza) and features.whole and len(features.element) == 1


FAULTS = [
    (b"<!DOCTYPE s [<!ENTITY a 'aaaa'>]>" + HEADER, "restricted-xml"),
    (HEADER + b"<!-- no -->", "restricted-xml"),
    (HEADER + b"<a><!-- no --></a>", "restricted-xml"),
    (HEADER + b"<?php no?>", "restricted-xml"),
    (HEADER + b"<a>&nbsp;</a>", "restricted-xml"),
    (HEADER + b"<a></b>", "not-well-formed"),
    (HEADER + b"<a b='1' b='2'/>", "not-well-formed"),
    (HEADER + b"<a>\x00</a>", "not-well-formed"),
    (HEADER + b"<a>\xff</a>", "not-well-formed"),
    (HEADER + b"<p:a/>", "bad-namespace-prefix"),
    (HEADER + b"text<a/>", "bad-format"),
    (HEADER + HEADER, "not-well-formed"),
    (b"<?xml version='1.0' encoding='latin1'?><a>", "unsupported-encoding"),
    (b"<stream xmlns='urn:x'>", "invalid-namespace"),
    (b"<a>", "bad-format"),
    (b"GET / HTTP/1.1\r\n\r\n>", "not-well-formed"),
]


@pytest.mark.parametrize(("data", "condition"), FAULTS, ids=lambda value: str(value)[-40:])
def test_what_ends_a_stream(data: bytes, condition: str) -> None:
    _, reader = read(data)
    assert reader.fault is not None and reader.fault.condition == condition
    _, reader = read(*(data[index : index + 1] for index in range(len(data))))
    assert reader.fault is not None and reader.fault.condition == condition


def test_a_fault_takes_nothing_back() -> None:
    items, reader = read(HEADER + b"<a/><b></c>")
    assert raw(items) == HEADER + b"<a/>" and reader.fault is not None
    assert reader.feed(b"<d/>") == []


BOUNDS = Bounds(size=300, depth=4, attributes=3)


@pytest.mark.parametrize(
    "data",
    [
        b"<a>" + b"x" * 300 + b"</a>",
        b"<a>" + b"x" * 301,
        b"<a b='" + b"x" * 301,
        b"<a><b><c><d/></c></b></a>",
        b"<a b='' c='' d='' e=''/>",
        b" " * 300 + b"<a",
    ],
)
def test_bounds(data: bytes) -> None:
    _, reader = read(HEADER, data, bounds=BOUNDS)
    assert reader.fault is not None and reader.fault.condition == "policy-violation"
    _, reader = read(HEADER, b"<a b='' c='' d=''><b><c/></b></a>", b"<a>" + b"x" * 293 + b"</a>", bounds=BOUNDS)
    assert reader.fault is None


# --------------------------------------------------------------------------- writing

names = st.from_regex(r"[A-Za-z_é][A-Za-z0-9_.\-ü]{0,8}", fullmatch=True)
uris = st.sampled_from(["", CLIENT, "urn:x", "urn:a&b'<", "http://etherx.jabber.org/streams", "urn:ü"])
characters = st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
texts = st.text(characters | st.sampled_from("\t\n\r<>&'\""), max_size=20)
keys = st.builds(lambda uri, name: f"{{{uri}}}{name}" if uri else name, uris, names).filter(lambda key: key != "xmlns")


def elements() -> st.SearchStrategy[Element]:
    leaf = st.builds(make, uris, names, st.dictionaries(keys, texts, max_size=4), texts, st.just([]))
    return st.recursive(
        leaf,
        lambda inner: st.builds(
            make,
            uris,
            names,
            st.dictionaries(keys, texts, max_size=3),
            texts,
            st.lists(st.tuples(inner, texts), max_size=3),
        ),
        max_leaves=12,
    )


def make(uri: str, name: str, attributes: dict[str, str], text: str, children: list[tuple[Element, str]]) -> Element:
    element = Element(f"{{{uri}}}{name}" if uri else name, attributes)
    element.text = text
    for child, tail in children:
        child.tail = tail
        element.append(child)
    return element


@settings(deadline=None)
@given(elements())
def test_what_is_written_is_read(element: Element) -> None:
    written = write_element(element)
    items, reader = read(write_header({"to": "a", LANG: "de"}), written)
    assert reader.fault is None
    (stanza,) = items[1:]
    assert isinstance(stanza, Stanza) and tree(stanza.element) == tree(element) and stanza.raw == written
    by_library = fromstring(write_header({}) + written + END)[0]
    assert tree(by_library) == tree(element)


def test_stanzas_are_in_the_namespace_of_the_stream() -> None:
    inside = "<body>a'</body><x xmlns='urn:x'><y/></x></message>"
    message = fromstring(f"<message xmlns='jabber:client' xml:lang='de'>{inside}")
    assert write_element(message) == f"<message xml:lang='de'>{inside}".encode()
    assert write_element(message, default="").startswith(b"<message xmlns='jabber:client'")
    error = fromstring("<e:error xmlns:e='http://etherx.jabber.org/streams'><a xmlns=''/></e:error>")
    assert write_element(error) == b"<stream:error><a xmlns=''/></stream:error>"


@pytest.mark.parametrize(
    "element",
    [
        Element("a b"),
        Element("{urn:x}a><b"),
        Element("{urn:x}a:b"),
        Element(""),
        Element("1a"),
        Element("{http://www.w3.org/2000/xmlns/}a"),
        Element("{urn:\x01}a"),
        Element("a", {"xmlns": "urn:evil"}),
        Element("a", {"b c": ""}),
        Element("a", {"b": "\x00"}),
        Element("a", {"b": "\ud800"}),
        Element("a", {"{http://www.w3.org/2000/xmlns/}b": "urn:evil"}),
        make("", "a", {}, "\x1b", []),
        make("", "a", {}, "", [(Element("b"), "\ufffe")]),
    ],
)
def test_what_xml_has_no_form_for(element: Element) -> None:
    with pytest.raises(Unwritable):
        write_element(element)


def test_a_type_gets_a_prefix() -> None:
    key = "{http://www.w3.org/2001/XMLSchema-instance}type"
    element = Element("{urn:x}a", {key: "{urn:t}T"})
    (_, stanza), _ = read(write_header({}), write_element(element))
    assert isinstance(stanza, Stanza) and stanza.element.attrib == {key: "{urn:t}T"}
