"""What each part of a body costs: the events of EXI bodies with the bits of their codes, names and values.

    explainer = Explainer(grammars)
    for data in bodies:                       # of one session: tables go from body to body
        explanation = explainer.explain(data)
    for part in explanation.parts: ...

`Explainer` drives a `BodyDecoder` event by event. Before each it looks at what the event code and the name will
take, from the state and the tables as they are then; what is left of the bits of the event is its value. A sink notes
what the event was. Only the two alignments that keep values where they belong can be told apart so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from .bits import BitReader, bits_for
from .decoder import BodyDecoder
from .errors import SchemaError
from .events import AT_ANY, AT_NS, AT_UNTYPED, SE_ANY, SE_NS
from .grammars import Grammars
from .names import QName
from .options import BIT_PACKED, Options
from .sinks import ElementSink, Sink
from .states import State
from .stream import DEFAULTS, no_grammars
from .tables import Tables

START: Final = "start"
ATTRIBUTE: Final = "attribute"
TEXT: Final = "text"
END: Final = "end"
DOCUMENT: Final = "document"
PADDING: Final = "padding"
OTHER: Final = "other"

DECLARED: Final = "declared"
WILDCARD: Final = "wildcard"
UNDECLARED: Final = "undeclared"
LEARNED: Final = "learned"


@dataclass(frozen=True)
class Part:
    """One event. `depth` counts from 0 at the root; sizes in bits. `how`: which production carried it: a declared one,
    a wildcard, one with a code of two or three parts (undeclared), or one that the stream has taught (learned)."""

    kind: str
    depth: int
    name: str  # {uri}local of an element or attribute, of an element that ends or holds the text
    value: str
    how: str
    code_bits: int = 0
    name_bits: int = 0
    value_bits: int = 0

    @property
    def bits(self) -> int:
        return self.code_bits + self.name_bits + self.value_bits


@dataclass(frozen=True)
class Explanation:
    """One body: its events, the element they make, and its size in bytes, padding included."""

    parts: tuple[Part, ...]
    element: ET.Element
    size: int

    def total(self, kind: str = "") -> tuple[int, int, int]:
        """Bits of codes, names and values of all parts, or those of one kind."""
        chosen = [part for part in self.parts if kind in ("", part.kind)]
        return (
            sum(part.code_bits for part in chosen),
            sum(part.name_bits for part in chosen),
            sum(part.value_bits for part in chosen),
        )


class NotingSink(Sink):
    """Hands everything to an `ElementSink`, and remembers what the latest event was."""

    def __init__(self, strip_ghosts: bool = False) -> None:
        super().__init__(strip_ghosts)
        self.elements = ElementSink(strip_ghosts)
        self.names: list[str] = []
        self.kind, self.name, self.value, self.depth = OTHER, "", "", 0

    def note(self, kind: str, name: str, value: str = "") -> None:
        self.kind, self.name, self.value = kind, name, value
        self.depth = len(self.names) - 1

    def start(self, qname: QName, prefix: str) -> None:
        self.elements.start(qname, prefix)
        self.names.append(qname.tag)
        self.note(START, qname.tag)

    def attribute(self, qname: QName, value: str, prefix: str) -> None:
        self.elements.attribute(qname, value, prefix)
        self.note(ATTRIBUTE, qname.tag, value)

    def type_attribute(self, value: QName, prefix: str, value_prefix: str) -> None:
        self.elements.type_attribute(value, prefix, value_prefix)
        self.note(ATTRIBUTE, "xsi:type", value.tag)

    def text(self, value: str) -> None:
        self.elements.text(value)
        self.note(TEXT, self.names[-1], value)

    def end(self) -> None:
        self.elements.end()
        self.note(END, self.names[-1])
        self.names.pop()


class Explainer:
    """Explains the bodies of one session, or with `session_tables` False each by itself."""

    def __init__(
        self, grammars: Grammars | None = None, options: Options = DEFAULTS, session_tables: bool = True
    ) -> None:
        """Raises SchemaError for alignments that reorder values, and for fragments."""
        if options.is_reordered or options.fragment:
            raise SchemaError("only documents whose values stand where they belong, bit- or byte-packed, are explained")
        self.options = options
        self.session_tables = session_tables
        self.view = (grammars or no_grammars()).view(options)
        self.tables = Tables(self.view, options)

    def explain(self, data: bytes) -> Explanation:
        """The first body in `data`. Raises DecodeError; the session is lost then."""
        if not self.session_tables:
            self.tables = Tables(self.view, self.options)
        reader, ahead = self._reader(data), self._reader(data)
        sink = NotingSink(self.options.limits_builtin_grammars)
        decoder = BodyDecoder(self.view, self.options, self.tables, reader, sink)
        parts = []
        while not decoder.ended:
            start = int(reader.pos)
            ahead.pos = start
            code, name, how = self._ahead(decoder, ahead)
            sink.note(DOCUMENT, "")
            decoder.event()
            value = int(reader.pos) - start - code - name
            parts.append(Part(sink.kind, max(sink.depth, 0), sink.name, sink.value, how, code, name, value))
        spare = -int(reader.pos) % 8
        if spare:
            parts.append(Part(PADDING, 0, "", "", DECLARED, spare))
        [element] = sink.elements.take()
        return Explanation(tuple(parts), element, (int(reader.pos) + spare) // 8)

    def _reader(self, data: bytes) -> BitReader:
        limits = self.options.limits
        return BitReader(data, self.options.alignment != BIT_PACKED, limits.integer_bits, limits.string_length)

    def _ahead(self, decoder: BodyDecoder, reader: BitReader) -> tuple[int, int, str]:
        """Bits of the code and of the name of the event to come, and how it is carried."""
        start = int(reader.pos)
        event, space, how, named = self._code(decoder.state, reader)
        code = int(reader.pos) - start
        if named:
            names = decoder.tables.names
            index = int(space) if event in (SE_NS, AT_NS) else self._uri(reader, len(names.spaces))
            locals_ = len(names.spaces[index].names) if 0 <= index < len(names.spaces) else 0
            length = int(reader.unsigned())
            if length:
                reader.characters(length - 1)
            else:
                reader.bits(bits_for(locals_))
        return code, int(reader.pos) - start - code, how

    @staticmethod
    def _code(state: State, reader: BitReader) -> tuple[int, int, str, bool]:
        """Read an event code: the event, the namespace of a wildcard, how it is carried, whether a name follows."""
        code = int(reader.bits(state.width)) if state.width else 0
        if code < state.count:
            production = state.productions[int(state.count) - 1 - code if state.builtin else code]
            event = int(production.event)
            space = int(production.space.uri_id) if production.space is not None else -1
            wildcard = event in (SE_ANY, SE_NS, AT_ANY, AT_NS)
            how = WILDCARD if wildcard else LEARNED if state.builtin else DECLARED
            return event, space, how, wildcard
        second = int(reader.bits(state.second_width)) if state.second else 0
        event = state.second[second] if second < len(state.second) else -1
        named = event in (SE_ANY, AT_ANY)
        if event == AT_UNTYPED:
            named = int(reader.bits(state.attribute_width)) >= state.attribute_count
        return event, -1, UNDECLARED, named

    @staticmethod
    def _uri(reader: BitReader, known: int) -> int:
        """The index of a URI; -1 for one that is not known."""
        index = int(reader.bits(bits_for(known + 1)))
        if index == 0:
            reader.string()
        return index - 1


__all__ = ["Explainer", "Explanation", "Part"]
