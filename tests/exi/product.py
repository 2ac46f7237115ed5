"""Stanzas of the product, and how a stanza is compared with what came back: by meaning, as typed values are carried."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from pathlib import Path
from xml.etree import ElementTree as ET

STANZAS = Path(__file__).parent / "schemas_product"
SHARED_CORPUS = Path(__file__).parents[2].parent / "shared" / "exi" / "corpus"
CLIENT = "jabber:client"
_FRACTION = re.compile(r"(T?\d\d:\d\d:\d\d\.\d*?)\.?0+(?=Z|[+-]\d\d:\d\d|$)")


def stanzas(name: str) -> list[ET.Element]:
    """The stanzas of one file of schemas_product."""
    return list(ET.parse(STANZAS / name).getroot())


def in_client(element: ET.Element) -> ET.Element:
    """An example of a text, where stanzas stand without their namespace, and with the layout of print."""
    if not element.tag.startswith("{"):
        element.tag = f"{{{CLIENT}}}{element.tag}"
    for child in element:
        in_client(child)
    return element


def meaning(text: str) -> object:
    """A value as it counts: 1.50 is 1.5, true is 1, and 0.120 s are 0.12 s."""
    try:
        number = Decimal({"true": "1", "false": "0"}.get(text, text))
        return number.normalize() if number.is_finite() else text
    except InvalidOperation:
        return _FRACTION.sub(r"\1", text)


def canonical(element: ET.Element) -> tuple[object, ...]:
    """An element as a comparable value; white space between tags is layout."""
    text = (element.text or "") if not len(element) else (element.text or "").strip()
    attributes = tuple(sorted((name, meaning(value)) for name, value in element.attrib.items()))
    return element.tag, attributes, meaning(text), tuple(canonical(child) for child in element)
