"""`xml.etree.ElementTree` elements → events of a `BodyEncoder`, without XML text in between.

ElementTree keeps no prefixes, so the value of an xsi:type attribute is taken as {uri}local, as `ElementSink`
gives it; `xs:` and `xsd:` are understood too, and a name without prefix belongs to no namespace.
"""

from __future__ import annotations

from typing import Any, Final
from xml.etree import ElementTree as ET

from .encoder import BodyEncoder
from .errors import EncodeError
from .names import XML_URI, XSD_URI, XSI_TYPE, split_clark

XML_SPACE: Final = f"{{{XML_URI}}}space"


def encode_document(encoder: BodyEncoder, roots: list[ET.Element]) -> None:
    """SD … ED."""
    for root in roots:
        encode_element(encoder, root)
    encoder.end_document()


def encode_element(encoder: BodyEncoder, element: ET.Element) -> None:
    """SE … EE of one element and all below it."""
    tag: Any = element.tag
    if type(tag) is not str:
        raise EncodeError(f"an element's tag must be a string, not {tag!r}")
    encoder.start_element(tag)
    if encoder.self_contained:
        encoder.self_contain(tag, "")
    attrib = element.attrib
    if attrib:
        encode_attributes(encoder, attrib)
    count = len(element)
    text = element.text
    if count == 0:
        if text:
            encoder.text(text, True)
        encoder.end_element()
        return
    pending = text or ""
    for child in element:
        child_tag: Any = child.tag
        if type(child_tag) is str:
            if pending:
                encoder.text(pending, False)
            encode_element(encoder, child)
            pending = child.tail or ""
        else:
            pending = encode_extra(encoder, child, child_tag, pending)
    if pending:
        encoder.text(pending, True)
    encoder.end_element()


def encode_extra(encoder: BodyEncoder, child: ET.Element, kind: object, pending: str) -> str:
    """A comment or processing instruction among the children; returns the text not yet written."""
    preserve = encoder.options.preserve
    tail = child.tail or ""
    text = child.text or ""
    if kind is ET.Comment and "comments" in preserve:
        encoder.text(pending, True)
        encoder.comment(text)
        return tail
    if kind is ET.ProcessingInstruction and "pis" in preserve:
        encoder.text(pending, True)
        target, _, data = text.partition(" ")
        encoder.instruction(target, data)
        return tail
    return pending + tail


def encode_attributes(encoder: BodyEncoder, attrib: dict[str, str]) -> None:
    """All attributes of an element, xsi:type first."""
    if XSI_TYPE in attrib:
        encode_type(encoder, attrib[XSI_TYPE])
    encoder.attributes(attrib)
    if XML_SPACE in attrib:
        encoder.space_matters(attrib[XML_SPACE] == "preserve" or encoder.view.lexical)


def encode_type(encoder: BodyEncoder, value: str) -> None:
    """xsi:type, whose value names a type."""
    name = value.strip()
    uri, local = split_clark(name)
    if not uri:
        prefix, _, rest = name.rpartition(":")
        if prefix in ("xs", "xsd"):
            uri, local = XSD_URI, rest
        elif prefix:
            raise EncodeError(f"the prefix of xsi:type {value!r} is not known; write {{uri}}local")
    encoder.xsi_type(uri, local, "", "", value)
