"""Elements as the text of an XML stream.

Rules of this file
* Sans-IO. The text of an element stands by itself inside a stream whose default namespace and prefixes are given: a
  subtree of another namespace declares it as its default, attributes of a namespace get a prefix where they stand.
* Whoever decoded an element may have found characters and names that XML has no form for: those are Unwritable, and
  nothing of the element is written.
* xsi:type holds a name: it comes in Clark notation and leaves with a prefix.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from xml.etree.ElementTree import Element

from hub.errors import PeerConfused
from hub.gateway.xmpp import CLIENT, STREAMS, XML

XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
XMLNS: Final = "http://www.w3.org/2000/xmlns/"
IN_STREAM: Final[Mapping[str, str]] = {STREAMS: "stream"}
"""Prefixes, by namespace, that every stream here declares."""

_START = (
    "A-Z_a-z\xc0-\xd6\xd8-\xf6\xf8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f\u2c00-\u2fef"
    "\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
_NAME: Final = re.compile(f"[{_START}][{_START}\\-.0-9\xb7\u0300-\u036f\u203f\u2040]*")
_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_IN_TEXT: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_IN_VALUE: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&apos;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)
_SPECIAL: Final = re.compile("[&<>'\t\n\r]")


class Unwritable(PeerConfused):
    """XML has no form for this."""


def write_element(element: Element, default: str = CLIENT, prefixes: Mapping[str, str] = IN_STREAM) -> bytes:
    """The text of an element inside a stream. Raises Unwritable."""
    parts: list[str] = []
    _write(element, default, prefixes, parts)
    return "".join(parts).encode()


def write_header(attributes: Mapping[str, str]) -> bytes:
    """The opening tag of a stream of jabber:client. `attributes` in Clark notation. Raises Unwritable."""
    parts = [f"<?xml version='1.0'?><stream:stream xmlns='{CLIENT}' xmlns:stream='{STREAMS}'"]
    _write_attributes(attributes, parts)
    return "".join([*parts, ">"]).encode()


def _write(element: Element, default: str, prefixes: Mapping[str, str], parts: list[str]) -> None:
    uri, local = _split(element.tag)
    prefix = prefixes.get(uri)
    if prefix is not None and uri != default:
        name = f"{prefix}:{local}"
        parts.append(f"<{name}")
    else:
        name = local
        parts.append(f"<{name}")
        if uri != default:
            parts.append(f" xmlns='{_value(uri)}'")
            default = uri
    if element.attrib:
        _write_attributes(element.attrib, parts)
    text = element.text
    if not text and not len(element):
        parts.append("/>")
        return
    parts.append(">")
    if text:
        parts.append(_text(text))
    for child in element:
        _write(child, default, prefixes, parts)
        if child.tail:
            parts.append(_text(child.tail))
    parts.append(f"</{name}>")


def _write_attributes(attributes: Mapping[str, str], parts: list[str]) -> None:
    made: dict[str, str] = {}  # by namespace; for this element only
    for key, value in attributes.items():
        uri, local = _split(key)
        if uri == XSI and local == "type" and value.startswith("{"):
            type_uri, type_local = _split(value)
            value = f"{_declare(type_uri, made, parts)}:{type_local}"
        if uri:
            local = f"{_declare(uri, made, parts)}:{local}"
        elif local == "xmlns":
            raise Unwritable("an attribute is called xmlns")
        parts.append(f" {local}='{_value(value)}'")


def _declare(uri: str, made: dict[str, str], parts: list[str]) -> str:
    """A prefix for the namespace of an attribute, declared where it was not yet."""
    if uri == XML:
        return "xml"
    prefix = made.get(uri)
    if prefix is None:
        prefix = made[uri] = "xsi" if uri == XSI else f"ns{len(made) + 1}"
        parts.append(f" xmlns:{prefix}='{_value(uri)}'")
    return prefix


@lru_cache(4096)
def _split(tag: str) -> tuple[str, str]:
    """(namespace, local name), both fit for XML."""
    if not isinstance(tag, str):
        raise Unwritable("a comment or processing instruction")
    uri, brace, local = tag[1:].rpartition("}") if tag.startswith("{") else ("", "", tag)
    if not _NAME.fullmatch(local) or (brace and not uri):
        raise Unwritable("a name that XML does not allow")
    if uri == XMLNS:
        raise Unwritable("a name of the namespace that declares namespaces")
    return uri, local


def _text(text: str) -> str:
    if _FORBIDDEN.search(text):
        raise Unwritable("a character that XML does not allow")
    return text.translate(_IN_TEXT) if _SPECIAL.search(text) else text


def _value(text: str) -> str:
    if _FORBIDDEN.search(text):
        raise Unwritable("a character that XML does not allow")
    return text.translate(_IN_VALUE) if _SPECIAL.search(text) else text
