"""One table for both directions: the XML of a stanza, what it means, and what we write for the same meaning.

The XML of the published examples stands in `xep0323.xml` and its like, by example; the tables beside them
(`vectors_xep0323.py` and so on) hold the meaning of each of their stanzas, in order.
"""

from __future__ import annotations

import datetime as dt
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hub.things.values import to_text

HERE = Path(__file__).parent
CLIENT = "jabber:client"


@dataclass(frozen=True)
class Mend:
    """A place where the published text is not well-formed, or cannot be meant."""

    example: int
    wrong: str
    right: str
    note: str


@dataclass(frozen=True)
class Vector:
    """One stanza. `kind` says which methods of the codec read and write it, `meaning` is the model.

    `differs`: what we write otherwise, as replacements in the XML, and `because` says why.
    """

    example: int
    kind: str
    meaning: Any
    differs: tuple[tuple[str, str], ...] = ()
    because: str = ""


def stanzas(file: str) -> dict[int, list[str]]:
    """The stanzas of each example, as XML of their own."""
    found: dict[int, list[str]] = {}
    for example in ET.fromstring((HERE / file).read_text(encoding="utf-8")):
        found[int(example.attrib["number"])] = [ET.tostring(stanza, encoding="unicode") for stanza in example]
    return found


def texts(file: str) -> dict[int, list[str]]:
    """The same as they are written: prefixes and order of attributes kept, for replacements in the text."""
    text = (HERE / file).read_text(encoding="utf-8")
    found: dict[int, list[str]] = {}
    for part in text.split("<example number='")[1:]:
        number, _, rest = part.partition("'")
        body = rest.partition(">\n")[2].partition("  </example>")[0]
        found[int(number)] = list(_top_level(body))
    return found


def cases(tables: Mapping[str, Any]) -> Iterator[Any]:
    """Each vector with the text of its stanza: the n-th vector of an example belongs to its n-th stanza."""
    for name, table in tables.items():
        written = texts(table.FILE)
        taken = dict.fromkeys(written, 0)
        for vector in table.VECTORS:
            nth = taken[vector.example]
            taken[vector.example] += 1
            stanza = written[vector.example][nth]
            yield pytest.param(vector, stanza, id=f"{name}-example-{vector.example}-{nth + 1}-{vector.kind}")


def _top_level(body: str) -> Iterator[str]:
    """Stanzas begin and end at an indentation of four; an empty one is one line."""
    lines: list[str] = []
    for line in body.splitlines():
        lines.append(line)
        if line.startswith("    </") or (line.startswith("    <") and line.endswith("/>")):
            yield "\n".join(lines)
            lines = []
    assert not lines


def parse(stanza: str) -> ET.Element:
    """A stanza as it arrives: in the namespace of the stream."""
    return ET.fromstring(f"<stream xmlns='{CLIENT}'>{stanza}</stream>")[0]


def canonical(element: ET.Element) -> Any:
    """Everything that counts: prefixes, the order of attributes and the white space between elements do not."""
    return (
        element.tag,
        tuple(sorted(element.attrib.items())),
        (element.text or "").strip(),
        tuple(canonical(child) for child in element),
    )


def local(text: str) -> dt.datetime:
    """A moment without a zone is in the zone of this machine."""
    return dt.datetime.fromisoformat(text).astimezone()


def zoned(text: str) -> tuple[str, str]:
    """The replacement of a moment without a zone by the same moment as we write it."""
    return (text, to_text(local(text)))
