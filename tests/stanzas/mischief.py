"""Ways to spoil XML, for property tests: trees with something wrong in them, and texts that break things elsewhere."""

from __future__ import annotations

import random
import xml.etree.ElementTree as ET
from collections.abc import Sequence

NASTY = (
    "", " ", "true", "TRUE", "2", "-1", "NaN", "INF", "1e999999999", "0E-999999999", "9" * 5000, "٣", "１",
    "2013-02-30T00:00:00", "0000-00-00T00:00:00", "9999-12-31T23:59:59+14:00", "0001-01-01T00:00:00-14:00",
    "0001-01-01T00:00:00", "9999-12-31T23:59:59.9999999", "2026-11-21T24:00:00Z", "P1Y", "PT" + "9" * 400 + "S",
    "-P999999999D", "x" * 70_000, "{urn:x}y", "../../etc/passwd", "\ud7ff", "🦑", "<&>\"'", "%s%n",
    "urn:xmpp:iot:control",
    "submit", "form", "hidden", "xdd session", "air", "Output", "all",
)  # fmt: skip


ATTRIBUTES = (
    "name", "n", "id", "seqnr", "value", "v", "when", "all", "var", "jid", "result", "token", "nodeId", "min", "max",
)  # fmt: skip


def spoil(root: ET.Element, chance: random.Random) -> None:
    """One thing in the tree becomes wrong."""
    everyone = list(root.iter())
    victim = chance.choice(everyone)
    match chance.randrange(9):
        case 0 | 1 if victim.attrib:
            victim.set(chance.choice(list(victim.attrib)), chance.choice(NASTY))
        case 2 if victim.attrib:
            del victim.attrib[chance.choice(list(victim.attrib))]
        case 3:
            victim.set(chance.choice(ATTRIBUTES), chance.choice(NASTY))
        case 4:
            victim.tag = chance.choice(everyone).tag
        case 5:
            victim.tag = "{urn:foreign}" + victim.tag.rpartition("}")[2]
        case 6:
            victim.text = chance.choice(NASTY)
        case 7:
            copies = range(chance.choice([1, 3, 50]))
            victim.extend([ET.fromstring(ET.tostring(chance.choice(everyone))) for _ in copies])
        case _:
            victim.tag = victim.tag.rpartition("}")[2]  # no namespace at all


def words(xml: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names of elements and of attributes in some XML."""
    elements = [element for each in xml for element in ET.fromstring(each).iter()]
    return sorted({element.tag for element in elements}), sorted({name for e in elements for name in e.attrib})


def grow(chance: random.Random, tags: list[str], attributes: list[str], depth: int = 0) -> ET.Element:
    """Any tree of known words with nasty texts."""
    element = ET.Element(chance.choice(tags))
    for name in chance.sample(attributes, chance.randrange(6)):
        element.set(name, chance.choice(NASTY))
    element.text = chance.choice(NASTY)
    if depth < 4:
        element.extend([grow(chance, tags, attributes, depth + 1) for _ in range(chance.randrange(4))])
    return element


def nested(tag: str, depth: int) -> ET.Element:
    root = element = ET.Element(tag, {"seqnr": "1", "id": "1"})
    for _ in range(depth):
        element = ET.SubElement(element, tag)
    return root
