"""The byte examples that XEP-0322 prints: bare bodies, strict, bit-packed.

Their first seven bits are the root's code among all global elements of the authors' schema set, which the text does
not give; everything after them depends on the root's own declarations. Four of the eight examples are the bytes of
the XML printed with them. The others contradict it, each for the reason told in the file: what they do hold is held
here, too, as far as `schemas/xep0322.xsd` knows its elements.
"""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from hub import exi

from .helpers import HERE, canonical, grammars

EXAMPLES = json.loads((HERE / "xep0322.json").read_text(encoding="utf-8"))
RIGHT = [each for each in EXAMPLES if "differs" not in each]
STRICT = exi.Options(strict=True)
ROOT_BITS = 7  # of the root's code in the authors' set
NS = "{http://jabber.org/protocol/compress/exi}"


def bits(data: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in data)


def after_root(body: bytes) -> str:
    """The bits of one of our bodies after the code of its root, without padding."""
    known = grammars("xep0322.xsd")
    return bits(body)[int(known.view(STRICT).document.width) :].rstrip("0")


def decoded(example: dict[str, Any], root: str) -> ET.Element:
    """What their bytes say if the root is an element of this name."""
    known = grammars("xep0322.xsd")
    tags = [known.qnames[qname].tag for qname, _ in known.elements]
    width = int(known.view(STRICT).document.width)
    joined = f"{tags.index(root):0{width}b}" + bits(bytes.fromhex(example["hex"]))[ROOT_BITS:]
    joined += "0" * (-len(joined) % 8)
    data = int(joined, 2).to_bytes(len(joined) // 8, "big")
    return exi.Decoder(known, STRICT).feed(data)[0]


def test_there_are_as_many_as_the_text_prints() -> None:
    assert (len(EXAMPLES), len(RIGHT)) == (8, 4)


@pytest.mark.parametrize("example", RIGHT, ids=lambda each: each["caption"])
def test_both_directions(example: dict[str, Any]) -> None:
    element = ET.fromstring(example["xml"])
    body = exi.Encoder(grammars("xep0322.xsd"), STRICT).encode(element)
    assert after_root(body) == bits(bytes.fromhex(example["hex"]))[ROOT_BITS:].rstrip("0")
    assert canonical(decoded(example, element.tag)) == canonical(element)


def test_what_the_others_hold() -> None:
    printed = ET.fromstring(EXAMPLES[3]["xml"])
    found = decoded(EXAMPLES[3], f"{NS}setupResponse")
    assert found.get("configurationId") == "761aabc0-a255-4b9b-89a1-4cb859559691"
    found.set("configurationId", printed.get("configurationId", ""))
    assert canonical(found) == canonical(printed)
    assert canonical(decoded(EXAMPLES[5], f"{NS}streamStart")) == canonical(ET.fromstring(EXAMPLES[1]["xml"]))
    assert ET.fromstring(EXAMPLES[5]["xml"]).get("to") == ET.fromstring(EXAMPLES[1]["xml"]).get("from")
    # An iq: the address and the id of the sender stand in it as plain characters.
    assert b"sensor" in bytes.fromhex(EXAMPLES[6]["hex"])
    assert b"ab26a" in bytes.fromhex(EXAMPLES[6]["hex"])
    assert decoded(EXAMPLES[7], f"{NS}streamEnd").tag == f"{NS}streamEnd"
