"""Bits in, events out: `BodyDecoder` reads one EXI body (section 6) under any grammar and any alignment.

The decoder is a loop over single events. Before each it notes where it stands; if the input ends inside the
event, reader and tables go back there, and `run` may be called again when more input has arrived. So a body
can be cut anywhere, is read once, and needs no length in front.

In the reordered alignments a block alternates between two phases: its structure, whose events are recorded,
and its values, after which the recorded events go to the sink.
"""

from __future__ import annotations

from typing import Final

from .bits import BitReader, bits_for
from .blocks import BlockReader
from .codereader import EVENT_SIZE, CodeReader
from .datatypes import Datatype, read_string, read_value
from .errors import DecodeError, LimitError, TruncatedError
from .events import (
    AT,
    AT_ANY,
    AT_NIL,
    AT_TYPE,
    AT_UNTYPED,
    CH,
    CH_ANY,
    CM_PI,
    DT,
    ED,
    EE,
    ER,
    NS,
    SC,
    SE,  # fmt: skip
    SE_ANY,
    SE_NS,
)
from .grammars import View
from .lexical import WHITESPACE
from .names import XSI_NIL, XSI_TYPE, QName, is_name
from .native import i64
from .options import Options
from .sinks import Sink
from .states import BUILTIN_TAG, LEARNED_END, LEARNED_TEXT, Production, State
from .tables import Tables

NIL_VALUES: Final = ("true", "1", "false", "0")


class Outer:
    """What a decoder returns to after a self-contained element."""

    def __init__(self, depth: int, tables: Tables, stack: list[State], qnames: list[QName]) -> None:
        self.depth: i64 = depth
        self.tables = tables
        self.stack = stack
        self.qnames = qnames


class BodyDecoder(CodeReader):
    """Reads the events of one body."""

    def __init__(self, view: View, options: Options, tables: Tables, reader: BitReader, sink: Sink) -> None:
        super().__init__(view, options, tables, reader, sink)
        self.outer: list[Outer] = []
        # Declarations as (depth, prefix, URI), kept where a type is named by its prefix: with lexical values.
        self.scope: list[tuple[int, str, str]] = []
        self.repeated = ""  # the self-contained element whose SE the fragment must repeat first
        self.ended = False  # ED has been read
        self.block: BlockReader | None = None
        if options.is_reordered:
            self.block = BlockReader(self, sink, None)

    def restart(self, tables: Tables) -> None:
        super().restart(tables)
        self.outer.clear()
        self.scope.clear()
        self.ended = False
        if self.block is not None:
            inflater = self.block.inflater
            if inflater is not None:
                inflater.restart()
            self.block = BlockReader(self, self.block.recorder.target, inflater)

    def bytes_read(self) -> i64:
        if self.block is not None and self.block.inflater is not None:
            return self.block.inflater.total_in
        return self.dropped + (self.reader.pos >> 3)

    def run(self) -> None:
        """Read to the end of the body; `TruncatedError` if the input ends first, then call again."""
        if self.block is not None:
            self.block.run()
            return
        while not self.ended:
            self.event()
        if self.size > self.size_floor:
            self.check_size()

    def event(self) -> None:
        """One event, or none at all."""
        mark = self.reader.pos
        attributes = self.attribute_count
        tables = self.tables
        tables.begin()
        try:
            self.read_event()
        except TruncatedError:
            tables.rollback()
            self.reader.pos = mark
            self.attribute_count = attributes
            raise

    def read_event(self) -> None:
        """The event code, then what belongs to the event."""
        state = self.state
        width = state.width
        code: i64 = 0
        if width:
            code = self.reader.bits(width)
        if code < state.count:
            production = state.productions[state.count - 1 - code if state.builtin else code]
            event = production.event
            if event == AT:
                self.declared_attribute(production)
            elif event == EE:
                self.end_element()
            elif event == SE:
                self.declared_element(production)
            elif event in (CH, CH_ANY):
                self.declared_text(production)
            elif event in (SE_ANY, SE_NS):
                self.wildcard_element(production)
            elif event == ED:
                self.end_document()
            else:
                self.wildcard_attribute(production)
            return
        if code > state.count or not state.second:
            raise self.unexpected(f"the event code {code}")
        code = self.reader.bits(state.second_width)
        if code >= len(state.second):
            raise self.unexpected(f"the event code {state.count}.{code}")
        self.undeclared(state.second[code])

    # --- elements -------------------------------------------------------------------------------------------

    def declared_element(self, production: Production) -> None:
        """SE(qname)."""
        qname = production.qname
        assert qname is not None
        view = self.view
        following = production.next if production.next is not None else view.next_state(production)
        child = production.child if production.child is not None else view.child_state(production)
        self.enter(qname, following, child)

    def wildcard_element(self, production: Production) -> None:
        """SE(*) or SE(uri:*)."""
        space = production.space
        space = self.read_uri() if space is None else self.tables.names.spaces[space.uri_id]
        qname = self.read_local(space)
        self.element(qname, self.view.next_state(production))

    def element(self, qname: QName, following: State) -> None:
        """An element whose parent did not declare it."""
        state = self.state
        self.check_name(qname)
        child = self.tables.element_state(qname)
        prefix = self.read_prefix(qname)
        if state.builtin:
            production = Production(SE, 0)
            production.qname = qname
            production.next = following
            production.child = child
            self.learn(state, production)
        self.begin(qname, prefix, following, child)

    def enter(self, qname: QName, following: State, child: State) -> None:
        """Open a declared element."""
        self.begin(qname, self.read_prefix(qname) if self.prefixes else "", following, child)

    def begin(self, qname: QName, prefix: str, following: State, child: State) -> None:
        """Open an element; everything about it has been read."""
        if len(self.stack) >= self.max_depth:
            raise LimitError(f"more than {self.max_depth} levels", self.reader.pos)
        self.elements += 1
        if self.elements > self.max_elements:
            raise LimitError(f"more than {self.max_elements} elements", self.reader.pos)
        self.size += len(qname.tag) + EVENT_SIZE
        if self.size > self.size_floor:
            self.check_size()
        if self.qname is not None:
            self.qnames.append(self.qname)
        while self.scope and self.scope[len(self.scope) - 1][0] > len(self.stack):
            self.scope.pop()
        self.stack.append(following)
        self.qname = qname
        self.state = child
        self.attribute_count = 0
        if self.outer and len(self.stack) == self.outer[len(self.outer) - 1].depth + 1:
            if self.repeated != qname.tag:
                raise DecodeError(
                    f"found SE({qname.tag}), expected SE({self.repeated}) or ED", self.reader.pos
                )
            self.repeated = ""
        else:
            self.sink.start(qname, prefix)

    def end_element(self) -> None:
        """EE."""
        self.sink.end()
        self.leave()

    def leave(self) -> None:
        """Go on in the parent."""
        self.state = self.stack.pop()
        self.qname = self.qnames.pop() if self.qnames else None

    def end_document(self) -> None:
        """ED: of the body, or of a self-contained element."""
        if not self.outer:
            self.ended = True
            return
        if self.repeated:
            raise DecodeError(f"found ED, expected SE({self.repeated})", self.reader.pos)
        if (self.reader.pos + 7) & ~7 > self.reader.end:
            raise self.reader.truncated("padding")
        self.reader.align()
        saved = self.outer.pop()
        self.tables = saved.tables
        self.stack = saved.stack
        self.qnames = saved.qnames
        self.leave()

    def self_contained(self) -> None:
        """SC: a fragment with tables of its own, which repeats the element's SE."""
        if (self.reader.pos + 7) & ~7 > self.reader.end:
            raise self.reader.truncated("padding")
        self.reader.align()
        if len(self.outer) + len(self.stack) >= self.max_depth:
            raise LimitError(f"more than {self.max_depth} levels", self.reader.pos)
        qname = self.qname
        self.outer.append(Outer(len(self.stack), self.tables, self.stack, self.qnames))
        self.tables = Tables(self.view, self.options)
        self.tables.journal = self.journal
        self.state = self.tables.root(True)
        # The fragment's own elements count from here, but depth goes on.
        self.stack = self.stack.copy()
        self.qnames = []
        self.qname = None
        assert qname is not None
        self.repeated = qname.tag

    # --- attributes -----------------------------------------------------------------------------------------

    def declared_attribute(self, production: Production) -> None:
        """AT(qname) with a value of its type; in built-in grammars also a learned xsi:type."""
        qname = production.qname
        assert qname is not None
        following = production.next if production.next is not None else self.view.next_state(production)
        if self.state.kind == BUILTIN_TAG and qname.tag == XSI_TYPE:
            self.type_value()
            return
        datatype = production.datatype
        if datatype is None:
            datatype = self.view.untyped
        prefix = self.read_prefix(qname) if self.prefixes else ""
        self.attribute_value(datatype, qname, prefix)
        self.state = following

    def wildcard_attribute(self, production: Production) -> None:
        """AT(*) or AT(uri:*)."""
        space = production.space
        space = self.read_uri() if space is None else self.tables.names.spaces[space.uri_id]
        self.named_attribute(self.read_local(space))

    def named_attribute(self, qname: QName) -> None:
        """An attribute that a wildcard or an undeclared AT(*) let in; only xsi attributes change state."""
        state = self.state
        if qname.tag == XSI_TYPE:
            if state.builtin:
                self.learn_attribute(state, qname)
            self.type_value()
            return
        if qname.tag == XSI_NIL and not state.builtin:
            self.nil_value()
            return
        self.check_attribute(qname)
        datatype = self.view.untyped
        if qname.attribute_type >= 0 and not state.builtin:
            datatype = self.view.datatype(int(qname.attribute_type))
        prefix = self.read_prefix(qname)
        if self.state.builtin:
            self.learn_attribute(state, qname)
        self.attribute_value(datatype, qname, prefix)

    def attribute_value(self, datatype: Datatype, qname: QName, prefix: str) -> None:
        """The value, and the finished attribute."""
        self.count_attribute()
        if self.block is not None:
            self.block.attribute(datatype, qname, prefix)
            return
        tables = self.tables
        value = read_value(self.reader, tables.values, datatype, qname, self.journal, self.list_items)
        self.give(len(qname.tag) + len(value))
        self.sink.attribute(qname, value, prefix)

    def type_value(self) -> None:
        """The value of xsi:type, and the switch to the type's grammar (8.5.4.4)."""
        self.count_attribute()
        names = self.tables.names
        xsi = names.find(XSI_TYPE)
        assert xsi is not None
        prefix = self.read_prefix(xsi)
        if self.view.lexical:
            text = read_string(self.reader, self.tables.values, self.view.untyped, xsi, self.journal)
            self.give(len(text))
            self.sink.attribute(xsi, text, prefix)
            qname = self.resolve(text)
        else:
            qname = self.read_local(self.read_uri())
            value_prefix = self.read_prefix(qname)
            self.give(len(qname.tag))
            self.sink.type_attribute(qname, prefix, value_prefix)
        if qname is not None and qname.type_state >= 0:
            self.state = self.view.state(int(qname.type_state))

    def resolve(self, text: str) -> QName | None:
        """The type that a lexical xsi:type value names, by the prefixes in scope."""
        name = text.strip(WHITESPACE)
        prefix, _, local = name.rpartition(":")
        for _, declared, uri in reversed(self.scope):
            if declared == prefix:
                return self.tables.names.find(f"{{{uri}}}{local}" if uri else local)
        return self.tables.names.find(name)  # no namespace in scope: the value is all local name (8.5.4.4.1)

    def nil_value(self) -> None:
        """The value of xsi:nil, and the switch to the empty content (8.5.4.4)."""
        self.count_attribute()
        qname = self.tables.names.find(XSI_NIL)
        assert qname is not None
        prefix = self.read_prefix(qname)
        state = self.state
        value = read_value(
            self.reader, self.tables.values, self.view.boolean, qname, self.journal, self.list_items
        )
        nil = value.strip(WHITESPACE)
        if nil not in NIL_VALUES:
            raise DecodeError(f"expected a boolean for xsi:nil, found {value[:40]!r}", self.reader.pos)
        if nil in ("true", "1") and state.empty_id >= 0:
            self.state = self.view.state(int(state.empty_id))
        self.sink.attribute(qname, value, prefix)

    def untyped_attribute(self) -> None:
        """AT with a value that is none of its type (8.5.4.4.1): the third part says which attribute."""
        state = self.state
        code = self.reader.bits(state.attribute_width)
        if code > state.attribute_count:
            raise self.unexpected(f"an untyped attribute with code {code}")
        following = state
        if code < state.attribute_count:
            production = state.productions[code]
            qname = production.qname
            assert qname is not None
            following = production.next if production.next is not None else self.view.next_state(production)
        else:
            qname = self.read_local(self.read_uri())
            self.check_attribute(qname)
        prefix = self.read_prefix(qname)
        self.attribute_value(self.view.untyped, qname, prefix)
        self.state = following

    def namespace(self) -> None:
        """NS."""
        self.count_attribute()
        reader = self.reader
        space = self.read_uri()
        index = reader.bits(bits_for(len(space.prefixes) + 1))
        if index > len(space.prefixes):
            raise DecodeError(f"expected a prefix identifier, {index} is not assigned", reader.pos)
        prefix = space.prefixes[index - 1] if index else reader.string()
        if prefix and not index and (not is_name(prefix) or ":" in prefix):
            raise DecodeError(f"expected a prefix, found {prefix[:40]!r}", reader.pos)
        of_element = reader.bits(1) == 1
        if prefix not in space.prefixes:
            self.tables.check(reader.pos)
            if len(space.prefixes) >= self.max_prefixes:
                raise LimitError(f"more than {self.max_prefixes} prefixes of one namespace", reader.pos)
            self.tables.names.add_prefix(space, prefix, self.journal)
        self.give(len(prefix) + len(space.uri))
        if self.view.lexical:
            if len(self.scope) >= self.max_prefixes:
                raise LimitError(f"more than {self.max_prefixes} declarations in scope", reader.pos)
            self.scope.append((len(self.stack), prefix, space.uri))
        self.sink.namespace(prefix, space.uri, of_element)

    # --- content --------------------------------------------------------------------------------------------

    def declared_text(self, production: Production) -> None:
        """CH with a value of its type, or untyped where content is mixed."""
        datatype = production.datatype
        following = production.next if production.next is not None else self.view.next_state(production)
        self.text_value(self.view.untyped if datatype is None else datatype)
        self.state = following

    def text_value(self, datatype: Datatype) -> None:
        """The value, and the finished CH."""
        qname = self.qname
        assert qname is not None
        if self.block is not None:
            self.block.text(datatype, qname)
            return
        value = read_value(self.reader, self.tables.values, datatype, qname, self.journal, self.list_items)
        self.give(len(value))
        self.sink.text(value)

    def undeclared(self, event: i64) -> None:
        """An event whose code has two or three parts."""
        state = self.state
        if event == EE:
            if state.builtin and not state.knows(LEARNED_END):
                self.learn(state, Production(EE, 0))
            self.end_element()
        elif event == AT_TYPE:
            self.type_value()
        elif event == AT_NIL:
            self.nil_value()
        elif event == AT_ANY:
            self.named_attribute(self.read_local(self.read_uri()))
        elif event == AT_UNTYPED:
            self.untyped_attribute()
        elif event == NS:
            self.namespace()
        elif event == SC:
            self.self_contained()
        elif event == SE_ANY:
            qname = self.read_local(self.read_uri())
            self.element(qname, self.view.content_state(state))
        elif event == CH_ANY:
            if state.builtin and not state.knows(LEARNED_TEXT):
                production = Production(CH_ANY, 0)
                production.next = state.content
                self.learn(state, production)
            self.text_value(self.view.untyped)
            self.state = self.view.content_state(state)
        else:
            self.extra(event)

    def extra(self, event: i64) -> None:
        """What only fidelity options carry: DT, ER, CM, PI."""
        reader = self.reader
        if event == DT:
            name = self.read_plain_name("the name of a document type")
            parts = [name, self.read_text(), self.read_text(), self.read_text()]
            self.give(sum([len(part) for part in parts]))
            self.sink.doctype(parts[0], parts[1], parts[2], parts[3])
            return
        if event == ER:
            name = self.read_plain_name("the name of an entity")
            self.give(len(name))
            self.sink.entity(name)
        else:
            assert event == CM_PI
            preserve = self.options.preserve
            both = "comments" in preserve and "pis" in preserve
            instruction = reader.bits(1) == 1 if both else "pis" in preserve
            if instruction:
                target, data = self.read_plain_name("the target of an instruction"), self.read_text()
                self.give(len(target) + len(data))
                self.sink.instruction(target, data)
            else:
                text = self.read_text()
                self.give(len(text))
                self.sink.comment(text)
        if self.qname is not None:
            self.state = self.view.content_state(self.state)
