"""What several test files need: schemas kept beside the tests, and a canonical form of elements."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

from hub import exi

HERE = Path(__file__).parent
SCHEMAS = HERE / "schemas"

ALIGNMENTS = ("bit-packed", "byte-packed", "pre-compression", "compression")


@cache
def grammars(name: str) -> exi.Grammars:
    """The grammars of one schema of the test suite; "" for the XSD types only."""
    return exi.load_schemas([SCHEMAS / name] if name else [])


def canonical(element: ET.Element) -> tuple[object, ...]:
    """An element as a comparable value; attributes have no order."""
    children = tuple((canonical(child), child.tail or "") for child in element)
    return element.tag, tuple(sorted(element.attrib.items())), element.text or "", children
