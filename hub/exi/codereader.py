"""Names and limits, on their way in: what the events of a `BodyDecoder` share.

`CodeReader` knows where the decoder stands (the state, the open elements), reads qualified names as hits or
misses, and counts what a document may cost. Which event comes next is the business of `decoder`.
"""

from __future__ import annotations

from typing import Final

from .bits import BitReader, bits_for
from .datatypes import NO_XML_CHARACTER
from .errors import DecodeError, LimitError
from .events import AT, NAMES
from .grammars import View
from .names import XMLNS_URI, NameSpace, QName, is_name
from .native import i64
from .options import Options
from .sinks import Sink
from .states import FRAGMENT_CONTENT, Production, State
from .tables import Tables

EVENT_SIZE: Final = 8
"""What an event counts beside its characters, so that many empty ones are not free."""


class CodeReader:
    """The position in the grammar, the reading of names, and the counting."""

    def __init__(self, view: View, options: Options, tables: Tables, reader: BitReader, sink: Sink) -> None:
        self.view = view
        self.options = options
        self.tables = tables
        self.journal = tables.journal
        self.reader = reader
        self.sink = sink
        self.prefixes = "prefixes" in options.preserve
        limits = options.limits
        self.max_depth: i64 = limits.depth
        self.max_attributes: i64 = limits.attributes
        self.max_elements: i64 = limits.elements
        self.max_prefixes: i64 = limits.prefixes
        self.max_size: i64 = limits.decoded_size
        self.max_ratio: i64 = limits.expansion_ratio
        self.list_items: i64 = limits.list_items
        self.size_floor: i64 = min(limits.expansion_floor, limits.decoded_size)
        self.state = tables.root(options.fragment)
        self.qname: QName | None = None
        self.stack: list[State] = []
        self.qnames: list[QName] = []
        self.attribute_count: i64 = 0
        self.elements: i64 = 0
        self.size: i64 = 0  # characters given to the sink
        self.dropped: i64 = 0  # bytes of the body that its reader no longer holds

    def restart(self, tables: Tables) -> None:
        """Expect another body where the last has ended."""
        self.tables = tables
        self.journal = tables.journal
        self.state = tables.root(self.options.fragment)
        self.qname = None
        self.stack.clear()
        self.qnames.clear()
        self.attribute_count = 0
        self.elements = 0
        self.size = 0
        self.dropped = 0

    # --- names ----------------------------------------------------------------------------------------------

    def read_uri(self) -> NameSpace:
        """A URI as hit or miss (7.3.2)."""
        reader = self.reader
        names = self.tables.names
        start = reader.pos
        index = reader.bits(bits_for(len(names.spaces) + 1))
        if index == 0:
            uri = self.read_text()
            known = names.space(uri)
            self.tables.check(start)
            return known if known is not None else names.add_uri(uri, self.journal)
        if index > len(names.spaces):
            raise DecodeError(f"expected a URI identifier, {index} is not assigned", start)
        return names.spaces[index - 1]

    def read_text(self) -> str:
        """A String that has to stand in XML text as it is."""
        start = self.reader.pos
        text = self.reader.string()
        if not text.isprintable() and NO_XML_CHARACTER.search(text):
            raise DecodeError("expected characters that XML allows", start)
        return text

    def read_plain_name(self, what: str) -> str:
        """A String that has to be a name."""
        start = self.reader.pos
        text = self.reader.string()
        if not is_name(text):
            raise DecodeError(f"expected {what}, found {text[:40]!r}", start)
        return text

    def read_local(self, space: NameSpace) -> QName:
        """A local name as hit or miss (7.3.3)."""
        reader = self.reader
        start = reader.pos
        length = reader.unsigned()
        if length == 0:
            index = reader.bits(bits_for(len(space.names)))
            if index >= len(space.names):
                raise DecodeError(f"expected a local name identifier, {index} is not assigned", start)
            return space.names[index]
        local = reader.characters(length - 1)
        if not is_name(local):
            raise DecodeError(f"expected a name, found {local[:40]!r}", start)
        self.tables.check(start)
        known = space.by_local.get(local)
        return known if known is not None else self.tables.names.add_local(space, local, self.journal)

    def check_attribute(self, qname: QName) -> None:
        """Refuse names that no attribute may have; a namespace declaration in disguise is one of them (section 4)."""
        self.check_name(qname)
        if qname.uri == XMLNS_URI or (qname.local == "xmlns" and not qname.uri):
            raise DecodeError(f"expected an attribute, found {qname.tag[:40]!r}", self.reader.pos)

    def check_name(self, qname: QName) -> None:
        """Refuse names that only a value of xsi:type may have."""
        if ":" in qname.local:
            raise DecodeError(f"expected a name, found {qname.local[:40]!r}", self.reader.pos)

    def read_prefix(self, qname: QName) -> str:
        """The prefix of a qualified name, if prefixes are preserved."""
        if not self.prefixes:
            return ""
        prefixes = self.tables.names.spaces[qname.uri_id].prefixes
        if len(prefixes) < 2:
            return prefixes[0] if prefixes else ""
        index = self.reader.bits(bits_for(len(prefixes)))
        if index >= len(prefixes):
            raise DecodeError(f"expected a prefix identifier, {index} is not assigned", self.reader.pos)
        return prefixes[index]

    def learn_attribute(self, state: State, qname: QName) -> None:
        """Remember AT(qname) in a built-in grammar (8.4.3)."""
        if state.knows(qname.tag):
            return
        production = Production(AT, 0)
        production.qname = qname
        production.datatype = self.view.untyped
        production.next = state
        self.learn(state, production)

    def learn(self, state: State, production: Production) -> None:
        """Teach a built-in grammar a production, as the encoder did."""
        if state.kind == FRAGMENT_CONTENT:
            state.learn(production, self.journal)  # gone with the body
        else:
            self.tables.learn(state, production)

    # --- errors and limits ----------------------------------------------------------------------------------

    def unexpected(self, what: str) -> DecodeError:
        """The error for something no production of the state describes."""
        state = self.state
        expected = [NAMES[production.event] for production in state.productions[:8]]
        expected += [NAMES[event] for event in state.second]
        return DecodeError(f"found {what}, expected one of {', '.join(expected)}", self.reader.pos)

    def bytes_read(self) -> i64:
        """Input bytes of the body used so far."""
        return self.dropped + (self.reader.pos >> 3)

    def check_size(self) -> None:
        """Refuse what grows far beyond its input, by table hits or otherwise."""
        read = self.bytes_read()
        if self.size > self.max_size or self.size > (read + 1) * self.max_ratio:
            raise LimitError(f"{read} bytes become more than {self.size} characters", self.reader.pos)

    def count_attribute(self) -> None:
        """Refuse more attributes than the limit."""
        self.attribute_count += 1
        if self.attribute_count > self.max_attributes:
            raise LimitError(f"more than {self.max_attributes} attributes", self.reader.pos)

    def give(self, characters: i64) -> None:
        """Count what goes to the sink."""
        self.size += characters + EVENT_SIZE
        if self.size > self.size_floor:
            self.check_size()
            self.tables.check(self.reader.pos)
