"""Where decoded events go. `Sink` is the interface; `ElementSink` builds `xml.etree.ElementTree` elements.

A decoder calls a sink only with events that were read completely, in document order.
"""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree as ET

from .errors import DecodeError
from .names import XSD_URI, XSI_TYPE, QName
from .native import mypyc_attr

GHOST_TYPE = f"{{{XSD_URI}}}anyType"


_sub_element: Final = ET.SubElement


@mypyc_attr(allow_interpreted_subclasses=True)
class Sink:
    """Receives the events of one document.

    `strip_ghosts` drops the xsi:type="xsd:anyType" that the EXI Profile adds to elements no schema knows.
    """

    def __init__(self, strip_ghosts: bool = False) -> None:
        self.strip_ghosts = strip_ghosts

    def start(self, qname: QName, prefix: str) -> None:
        """SE."""

    def namespace(self, prefix: str, uri: str, of_element: bool) -> None:
        """NS."""

    def attribute(self, qname: QName, value: str, prefix: str) -> None:
        """AT."""

    def type_attribute(self, value: QName, prefix: str, value_prefix: str) -> None:
        """AT(xsi:type) whose value came as a qualified name."""

    def text(self, value: str) -> None:
        """CH."""

    def end(self) -> None:
        """EE."""

    def comment(self, text: str) -> None:
        """CM."""

    def instruction(self, target: str, data: str) -> None:
        """PI."""

    def doctype(self, name: str, public: str, system: str, text: str) -> None:
        """DT."""

    def entity(self, name: str) -> None:
        """ER."""


class ElementSink(Sink):
    """Builds elements; comments, processing instructions, document types and prefixes have no place in them.

    An xsi:type value is kept as {uri}local, the only spelling that needs no prefix.
    """

    def __init__(self, strip_ghosts: bool = False) -> None:
        super().__init__(strip_ghosts)
        self.roots: list[ET.Element] = []
        self.open: list[ET.Element] = []
        self.current: ET.Element | None = None
        self.last: ET.Element | None = None  # the child that text would follow
        self.attrib: dict[str, str] | None = None
        self.pieces: list[str] = []  # text since the last tag

    def take(self) -> list[ET.Element]:
        """The finished root elements; the sink starts anew."""
        roots = self.roots
        self.roots = []
        self.last = None
        return roots

    def start(self, qname: QName, prefix: str) -> None:
        if self.pieces:
            self.place_text()
        current = self.current
        if current is None:
            element = ET.Element(qname.tag)
            self.roots.append(element)
        else:
            element = _sub_element(current, qname.tag)
            self.open.append(current)
        self.current = element
        self.last = None
        self.attrib = None

    def attribute(self, qname: QName, value: str, prefix: str) -> None:
        self.set(qname.tag, value)

    def set(self, tag: str, value: str) -> None:
        """Add an attribute; a second one of the same name is no XML."""
        attrib = self.attrib
        if attrib is None:
            current = self.current
            assert current is not None
            attrib = current.attrib
            self.attrib = attrib
        elif tag in attrib:
            raise DecodeError(f"the attribute {tag} comes twice")
        attrib[tag] = value

    def type_attribute(self, value: QName, prefix: str, value_prefix: str) -> None:
        if not self.strip_ghosts or value.tag != GHOST_TYPE:
            self.set(XSI_TYPE, value.tag)

    def text(self, value: str) -> None:
        self.pieces.append(value)

    def end(self) -> None:
        if self.pieces:
            self.place_text()
        self.last = self.current
        self.current = self.open.pop() if self.open else None
        self.attrib = None

    def place_text(self) -> None:
        """Put the text gathered since the last tag where ElementTree wants it."""
        pieces = self.pieces
        text = pieces[0] if len(pieces) == 1 else "".join(pieces)
        self.pieces = []
        last = self.last
        if last is not None:
            last.tail = text
        elif self.current is not None:
            self.current.text = text
