"""What an element or an XML text may hold that EXI cannot carry: an `EncodeError`, and nothing else."""

from __future__ import annotations

import time
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from hub import exi

from .helpers import grammars

XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
PRESERVE_ALL = exi.Options(preserve=frozenset({"comments", "pis", "dtd", "prefixes"}))


def element(tag: Any = "a", text: Any = None, tail: Any = None, **attributes: Any) -> ET.Element:
    """An element with anything in its fields."""
    made = ET.Element("a")
    made.tag, made.text, made.tail = tag, text, tail
    made.attrib.update(attributes)
    return made


def around(child: ET.Element) -> ET.Element:
    parent = ET.Element("root")
    parent.append(child)
    return parent


ODD_TAGS = [None, "", 5, "{a", "}a", "{a}", "a}b", "a b", "a:b", "{u}a:b", "{\ud800}a", "a\ud800", "{\0}a", "1a",
            ET.Comment, ET.QName("u", "a")]  # fmt: skip
ODD_VALUES = ["\0", "\ud800", "\ufffe", "\x0b", 5, b"x", ["x"]]


@pytest.mark.parametrize("schema", [None, "sensor.xsd"])
def test_odd_elements(schema: str | None) -> None:
    known = None if schema is None else grammars(schema)
    odd: list[Any] = [None, "a", 5]
    odd += [element(tag) for tag in ODD_TAGS]
    odd += [around(element(tag)) for tag in ODD_TAGS if tag is not ET.Comment]
    odd += [element(text=value) for value in ODD_VALUES]
    odd += [around(element(tail=value)) for value in ODD_VALUES]
    odd += [element(b=value) for value in [*ODD_VALUES, None]]
    odd += [element(**{f"{XSI}type": value}) for value in (5, None, "", "{a}b c", "p:q")]
    for key in (5, None, "a b", "a:b"):
        odd.append(ET.Element("a"))
        odd[-1].attrib[key] = "x"
    encoder, twin = exi.Encoder(known), exi.Encoder(known)
    for each in odd:
        with pytest.raises(exi.EncodeError):
            encoder.encode(each)
        with pytest.raises(exi.EncodeError):
            exi.encode([each], known)
    assert encoder.encode(element(text="t")) == twin.encode(element(text="t"))


def test_comments_and_instructions_are_left_out_or_kept() -> None:
    root = ET.Element("a")
    root.text = "one "
    for extra in (ET.Comment("c"), ET.ProcessingInstruction("target", "data"), ET.Comment(None)):
        extra.tail = "two "
        root.append(extra)
    assert exi.decode(exi.encode(root)).text == "one two two two "
    text = exi.to_xml(exi.encode(root, None, PRESERVE_ALL), None, PRESERVE_ALL)
    assert text == b"<a>one <!--c-->two <?target data?>two <!---->two </a>"


def test_comments_and_instructions_that_xml_has_not() -> None:
    extras = [ET.Comment("\x01"), ET.ProcessingInstruction("t", "\0"), ET.ProcessingInstruction("1 t", "x"),
              ET.ProcessingInstruction("", "x"), ET.Comment(5)]  # type: ignore[arg-type] # fmt: skip
    for extra in extras:
        with pytest.raises(exi.EncodeError):
            exi.encode(around(extra), None, PRESERVE_ALL)


def test_subclasses_of_str_are_strings() -> None:
    class Name(str):
        pass

    odd = element(Name("a"), Name("text"), b=Name("value"))
    assert exi.decode(exi.encode(odd)).text == "text"


def test_trees_without_end() -> None:
    loop = ET.Element("a")
    loop.append(loop)
    deep = ET.Element("a")
    inner = deep
    for _ in range(100_000):
        inner = ET.SubElement(inner, "a")
    for tree in (loop, deep):
        for options in (exi.Options(), exi.Options(limits=exi.Limits(depth=500))):
            with pytest.raises(exi.EncodeError, match="levels"):
                exi.encode(tree, None, options)
    with pytest.raises(exi.SchemaError, match=r"limits\.depth"):
        exi.Limits(depth=501)


def test_what_is_no_bytes_is_the_callers_mistake() -> None:
    for wrong in ("text", None, 10**12):
        with pytest.raises(TypeError):
            exi.decode(wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            exi.Decoder().feed(wrong)  # type: ignore[arg-type]
    data = exi.encode(ET.Element("a"))
    body = exi.Encoder().encode(ET.Element("a"))
    for kind in (bytes, bytearray, memoryview):
        assert exi.decode(kind(data)).tag == exi.Decoder().feed(kind(body))[0].tag == "a"


# --- XML text -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [
    b'<?xml version="1.0" encoding="klingon"?><a/>', b'<?xml version="1.0" encoding="utf-7"?><a/>',
    b'<?xml version="1.0" encoding="base64"?><a/>', b"<a:b:c xmlns:a='u'/>", b"<:a/>", b"<a :b='1'/>",
    b"<a xmlns:='u'/>", b"<a xmlns:b:c='u'/>", b"<a xmlns:xmlns='u'/>", b"<a xmlns:xml='u'/>", b"<a xmlns:p=''/>",
    b"<a xmlns='http://www.w3.org/XML/1998/namespace'/>", b"<p:1 xmlns:p='u'/>", b"<a/><b/>", b"\xff\xfe<",
])  # fmt: skip
def test_text_without_namespaces_in_order_is_refused(text: bytes) -> None:
    for options in (exi.Options(), PRESERVE_ALL):
        with pytest.raises(exi.EncodeError):
            exi.from_xml(text, None, options)


def test_entity_bombs_cost_little() -> None:
    entities = b"".join(b'<!ENTITY e%d "%s">' % (each, b"&e%d;" % (each - 1) * 10) for each in range(1, 10))
    billion = b'<!DOCTYPE a [<!ENTITY e0 "xxxxxxxxxx">' + entities + b"]><a>&e9;</a>"
    quadratic = b'<!DOCTYPE a [<!ENTITY e "' + b"x" * 50_000 + b'">]><a>' + b"&e;" * 50_000 + b"</a>"
    start = time.perf_counter()
    for bomb in (billion, quadratic):
        with pytest.raises(exi.EncodeError, match="amplification"):
            exi.from_xml(bomb)
    dtd = exi.Options(preserve=frozenset({"dtd"}))
    assert exi.to_xml(exi.from_xml(billion, None, dtd), None, dtd).endswith(b"<a>&e9;</a>")
    assert time.perf_counter() - start < 10


def test_very_many_declarations() -> None:
    declared = " ".join(f"xmlns:p{number}='u{number}'" for number in range(2000))
    with pytest.raises(exi.EncodeError, match="declarations in scope"):
        exi.from_xml(f"<a {declared}/>".encode())
    siblings = "".join(f"<b xmlns:p{number}='u'/>" for number in range(2000))
    with pytest.raises(exi.EncodeError, match="prefixes of the namespace"):
        exi.from_xml(f"<a>{siblings}</a>".encode(), None, PRESERVE_ALL)


def test_attributes_of_very_many_namespaces_are_written_without_a_search_for_each() -> None:
    root = ET.Element("a", {f"{{u{number}}}b": "x" for number in range(400)})
    for _ in range(1000):
        child = ET.SubElement(root, "a")
        child.attrib.update({f"{{u{number}}}b": "x" for number in range(200, 400)})
    data = exi.encode(root)
    start = time.perf_counter()
    text = exi.to_xml(data)
    assert time.perf_counter() - start < 10
    assert ET.fromstring(text)[999].get("{u399}b") == "x"


def test_a_prefix_that_was_declared_anew_is_not_used() -> None:
    text = b"<p:a xmlns:p='u'><b xmlns:p='v' xmlns:q='u'><p:c/><q:d p:e='1' q:f='2'/></b><p:g/></p:a>"
    expected = ET.canonicalize(text.decode())
    for options in (PRESERVE_ALL, exi.Options()):
        again = exi.to_xml(exi.from_xml(text, None, options), None, options)
        assert ET.tostring(ET.fromstring(again)) == ET.tostring(ET.fromstring(text))
    assert ET.canonicalize(exi.to_xml(exi.from_xml(text, None, PRESERVE_ALL), None, PRESERVE_ALL)) == expected
