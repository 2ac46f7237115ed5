"""`xml.etree.ElementTree` elements → events of a `BodyEncoder`, without XML text in between.

ElementTree keeps no prefixes, so the value of an xsi:type attribute is taken as {uri}local, as `ElementSink`
gives it; `xs:` and `xsd:` are understood too, and a name without prefix belongs to no namespace.

An element can hold anything in its fields: they are read as `Any` and looked at before use, and whatever is not
a string where one must be is an `EncodeError`. The walk is a recursion; `Limits.depth` bounds it.
"""

from __future__ import annotations

from typing import Any, Final
from xml.etree import ElementTree as ET

from .encoder import BodyEncoder
from .errors import EncodeError
from .names import XML_URI, XSD_URI, XSI_TYPE, split_clark

XML_SPACE: Final = f"{{{XML_URI}}}space"

_comment: Final[Any] = ET.Comment
_instruction: Final[Any] = ET.ProcessingInstruction


def encode_document(encoder: BodyEncoder, roots: list[Any]) -> None:
    """SD … ED."""
    for root in roots:
        tag: Any = getattr(root, "tag", None)
        if not isinstance(tag, str):
            raise EncodeError(f"expected an element whose tag is a string, found {str(root)[:80]}")
        encode_element(encoder, root, tag)
    encoder.end_document()


def encode_element(encoder: BodyEncoder, element: Any, tag: str) -> None:
    """SE … EE of one element and all below it."""
    encoder.start_element(tag)
    if encoder.self_contained:
        encoder.self_contain(tag, "")
    attrib: Any = element.attrib
    if attrib:
        encode_attributes(encoder, attrib if isinstance(attrib, dict) else dict(attrib))
    pending = string(encoder, element.text)
    for child in element:
        child_tag: Any = child.tag
        if isinstance(child_tag, str):
            if pending:
                encoder.text(pending, False)
            encode_element(encoder, child, child_tag)
            pending = string(encoder, child.tail)
        else:
            pending = encode_extra(encoder, child, child_tag, pending)
    if pending:
        encoder.text(pending, True)
    encoder.end_element()


def string(encoder: BodyEncoder, text: Any) -> str:
    """A text or tail; None is the empty string."""
    if text is None:
        return ""
    if isinstance(text, str):
        return text
    raise EncodeError(f"expected a string or None as text, found {text!r}{encoder.where()}"[:400])


def encode_extra(encoder: BodyEncoder, child: Any, kind: Any, pending: str) -> str:
    """A comment or processing instruction among the children; returns the text not yet written.

    Those that the options do not preserve are left out; the text on both sides then counts as one.
    """
    preserve = encoder.options.preserve
    text = string(encoder, child.text)
    tail = string(encoder, child.tail)
    if kind is _comment:
        if "comments" in preserve:
            encoder.text(pending, True)
            encoder.comment(text)
            return tail
    elif kind is _instruction:
        if "pis" in preserve:
            encoder.text(pending, True)
            target, _, data = text.partition(" ")
            encoder.instruction(target, data)
            return tail
    else:
        raise EncodeError(f"an element's tag must be a string, not {kind!r}{encoder.where()}"[:400])
    return pending + tail


def encode_attributes(encoder: BodyEncoder, attrib: dict[Any, Any]) -> None:
    """All attributes of an element, xsi:type first."""
    if XSI_TYPE in attrib:
        encode_type(encoder, attrib[XSI_TYPE])
    encoder.attributes(attrib)
    if XML_SPACE in attrib:
        encoder.space_matters(attrib[XML_SPACE] == "preserve" or encoder.view.lexical)


def encode_type(encoder: BodyEncoder, value: Any) -> None:
    """xsi:type, whose value names a type."""
    if not isinstance(value, str):
        raise EncodeError(f"expected a string as xsi:type, found {value!r}{encoder.where()}"[:400])
    name = value.strip()
    uri, local = split_clark(name)
    if encoder.view.lexical:
        if uri:
            raise EncodeError(f"xsi:type {value!r} has no prefix, and preserve lexical carries nothing else")
        encoder.xsi_type("", name, "", "", value)  # no declarations go with it, so a prefix means nothing
        return
    if not uri:
        prefix, _, rest = name.rpartition(":")
        if prefix in ("xs", "xsd"):
            uri, local = XSD_URI, rest
        elif prefix:
            raise EncodeError(f"the prefix of xsi:type {value!r} is not known; write {{uri}}local")
    encoder.xsi_type(uri, local, "", "", value)
