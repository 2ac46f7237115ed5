"""`Grammars`: everything a schema set says about a stream, as flat tables of integers.

The tables are what `load_schemas` computes, what the grammar file holds and what a small device would read in
place. `View` lowers them for one set of options: a `State` object is made when a coder first steps on it, so
a large schema set costs little until its elements are used.

Words of one state in `Grammars.words`, starting at `offsets[state]`:

    kind, flags, content state, first state of TypeEmpty + 1 (0: none), number of productions, then each:
    AT qname datatype next | AT_NS uri next | AT_ANY next | SE qname child next | SE_NS uri next | SE_ANY next
    EE | CH datatype next | CH_ANY next

Productions stand in the order of their event codes (8.5.4.3); references are indices into the other tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from .datatypes import (
    BASE64,
    BOOLEAN,
    BOOLEAN_LEXICAL,
    CHARSET,
    DATES,
    DECIMAL,
    ENUM,
    FLOAT,
    HEX,
    INTEGER,
    LIST,
    N_BIT,  # fmt: skip
    STRING,
    UNSIGNED,
    Datatype,
)
from .errors import SchemaError
from .events import (
    AT,
    AT_ANY,
    AT_NIL,
    AT_NS,
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
    SE,
    SE_ANY,  # fmt: skip
    SE_NS,
)
from .names import EXI_URI, XSD_URI, NameSpace, QName, initial_namespaces
from .options import Options
from .states import DOC_CONTENT, DOC_END, FIRST_TAG, FRAGMENT_CONTENT, Production, State

KEPT_VIEWS: Final = 16

TYPE_CASTABLE: Final = 1  # flags of a FIRST_TAG state: xsi:type …
NILLABLE: Final = 2  # … and xsi:nil may come in strict mode (8.5.4.4.2)

# Which operands follow the event in the words of a production.
OPERANDS: Final = {
    AT: ("qname", "datatype", "next"), AT_NS: ("uri", "next"), AT_ANY: ("next",),
    SE: ("qname", "child", "next"), SE_NS: ("uri", "next"), SE_ANY: ("next",),
    EE: (), CH: ("datatype", "next"), CH_ANY: ("next",),
}  # fmt: skip

# Section 7.1.10.1, table 7-2: character sets of values written in their lexical form
# (preserve.lexicalValues).
_DATE_SET = "\t\n\r +-.0123456789:TZ"
LEXICAL_SETS: Final = {
    BASE64: "\t\n\r +/0123456789=ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    HEX: "\t\n\r 0123456789ABCDEFabcdef",
    BOOLEAN: "\t\n\r 01aeflrstu",
    BOOLEAN_LEXICAL: "\t\n\r 01aeflrstu",
    DATES: _DATE_SET,
    DECIMAL: "\t\n\r +-.0123456789",
    FLOAT: "\t\n\r +-.0123456789EFINae",
    N_BIT: "\t\n\r +-0123456789",
    UNSIGNED: "\t\n\r +-0123456789",
    INTEGER: "\t\n\r +-0123456789",
}  # fmt: skip

# Section 7.4: representations that a datatypeRepresentationMap may name.
REPRESENTATIONS: Final = {
    "base64Binary": (BASE64, 0), "hexBinary": (HEX, 0), "boolean": (BOOLEAN, 0), "decimal": (DECIMAL, 0),
    "double": (FLOAT, 0), "integer": (INTEGER, 0), "string": (STRING, 0), "dateTime": (DATES, 0), "time":
    (DATES, 1), "date": (DATES, 2), "gYearMonth": (DATES, 3), "gYear": (DATES, 4), "gMonthDay": (DATES, 5),
    "gDay": (DATES, 6), "gMonth": (DATES, 7),
}  # fmt: skip


class Grammars:
    """The names, datatypes and grammars of one closed schema set."""

    def __init__(
        self,
        names: Sequence[tuple[str, Sequence[str]]],
        datatypes: Sequence[Datatype],
        words: Sequence[int],
        offsets: Sequence[int],
        elements: Sequence[tuple[int, int]],
        attributes: Sequence[tuple[int, int]],
        types: Sequence[tuple[int, int]],
        fragment: Sequence[tuple[int, int]],
    ) -> None:
        self.datatypes = list(datatypes)
        self.words = list(words)
        self.offsets = list(offsets)
        self.elements = list(elements)  # (qname, first state) of global elements, in order of their codes
        self.attributes = list(attributes)  # (qname, datatype) of global attributes
        self.types = list(types)  # (qname, first state) of named types
        self.fragment = list(fragment)  # (qname, first state) of all declared element names, in order
        self.spaces: list[NameSpace] = []
        self.by_uri: dict[str, NameSpace] = {}
        self.by_tag: dict[str, QName] = {}
        self.qnames: list[QName] = []
        for uri, locals_ in names:
            space = NameSpace(len(self.spaces), uri)
            for local in locals_:
                qname = space.add(local)
                self.qnames.append(qname)
                self.by_tag[qname.tag] = qname
            self.spaces.append(space)
            self.by_uri[uri] = space
        for index, state in self.elements:
            self.qnames[index].element_state = state
        for index, datatype in self.attributes:
            self.qnames[index].attribute_type = datatype
        for index, state in self.types:
            self.qnames[index].type_state = state
        self._views: dict[object, View] = {}

    @classmethod
    def read(cls, path: str | Path) -> Grammars:
        """Load a grammar file; needs no schema library. `SchemaError` if it is absent, damaged or too large."""
        from .grammarfile import read

        return read(Path(path))

    def write(self, path: str | Path) -> None:
        """Save as a grammar file."""
        from .grammarfile import dumps

        Path(path).write_bytes(dumps(self))

    @property
    def schema_informed(self) -> bool:
        """False only for the empty grammars of a schema-less stream."""
        return len(self.spaces) > 3

    def view(self, options: Options) -> View:
        """These grammars under these options; views are kept."""
        key = (
            options.strict and self.schema_informed,
            options.preserve,
            bool(options.self_contained),
            tuple(options.datatype_representations.items()),
        )
        view = self._views.get(key)
        if view is None:
            if len(self._views) >= KEPT_VIEWS:
                # Options may come from a peer, in a header; they must not pile up.
                del self._views[next(iter(self._views))]
            view = self._views[key] = View(self, options)
        return view


class View:
    """`Grammars` lowered for one set of options, state by state on demand."""

    def __init__(self, grammars: Grammars, options: Options) -> None:
        self.grammars = grammars
        self.strict = options.strict and grammars.schema_informed
        self.lexical = "lexical" in options.preserve
        self.preserve = options.preserve
        self.offered = offered_events(options, self.strict)
        # Elements that no schema knows are free even in strict streams (8.5.4.4.2 is about declared ones).
        self.builtin_offered = offered_events(options, False)
        self.representations = {
            tag: representation(tag_of) for tag, tag_of in options.datatype_representations.items()
        }
        self.untyped = Datatype(STRING)
        self.boolean = self.mapped(Datatype(BOOLEAN, (f"{{{XSD_URI}}}boolean",)))
        self.states: dict[int, State] = {}
        self.mapped_datatypes: dict[int, Datatype] = {}
        self.doc_end = State(DOC_END)
        self.doc_end.add(Production(ED, 0))
        self.doc_end.finish(self.offered)
        self.document = self.root_state(DOC_CONTENT, grammars.elements)
        self.fragment = self.root_state(FRAGMENT_CONTENT, grammars.fragment)

    def root_state(self, kind: int, elements: Sequence[tuple[int, int]]) -> State:
        """DocContent or FragmentContent (8.5.1, 8.5.2; 8.4.1 and 8.4.2 without elements)."""
        state = State(kind)
        following = self.doc_end if kind == DOC_CONTENT else state
        for index, first in elements:
            production = Production(SE, len(state.productions))
            production.qname = self.grammars.qnames[index]
            production.child_id = first
            production.next = following
            state.add(production)
        wildcard = Production(SE_ANY, len(state.productions))
        wildcard.next = following
        state.add(wildcard)
        if kind == FRAGMENT_CONTENT:
            state.add(Production(ED, len(state.productions)))
        state.finish(self.offered)
        return state

    def state(self, index: int) -> State:
        """The lowered state with this number."""
        found = self.states.get(index)
        if found is None:
            try:
                found = self.states[index] = self.lower(index)
            except (IndexError, KeyError, OverflowError, ValueError) as error:
                raise SchemaError(f"the grammars are damaged: state {index} cannot be read") from error
        return found

    def lower(self, index: int) -> State:
        """Make the `State` of one entry of the tables."""
        words = self.grammars.words
        at = self.grammars.offsets[index]
        kind, flags, content, empty, count = words[at : at + 5]
        at += 5
        state = State(kind)
        state.content_id = content
        state.empty_id = empty - 1
        for code in range(count):
            event = words[at]
            at += 1
            production = Production(event, code)
            for operand in OPERANDS[event]:
                self.operand(production, operand, words[at])
                at += 1
            if event == AT and code != state.attribute_count:
                raise ValueError("attributes come first")
            state.add(production)
        offered = self.offered
        if self.strict:
            # 8.5.4.4.2: only what the element declaration and its type allow.
            allowed = {AT_TYPE} if flags & TYPE_CASTABLE else set()
            if flags & NILLABLE:
                allowed.add(AT_NIL)
            offered = frozenset(allowed) if kind == FIRST_TAG else frozenset()
        state.finish(offered)
        return state

    def operand(self, production: Production, operand: str, value: int) -> None:
        """Set one field of a production from its word."""
        if operand == "qname":
            production.qname = self.grammars.qnames[value]
        elif operand == "uri":
            production.space = self.grammars.spaces[value]
        elif operand == "datatype":
            production.datatype = self.datatype(value)
        elif operand == "child":
            production.child_id = value
        else:
            production.next_id = value

    def next_state(self, production: Production) -> State:
        """Where the element goes on after this production."""
        state = production.next
        if state is None:
            state = production.next = self.state(int(production.next_id))
        return state

    def child_state(self, production: Production) -> State:
        """Where the element of an SE(qname) production starts."""
        state = production.child
        if state is None:
            state = production.child = self.state(int(production.child_id))
        return state

    def content_state(self, state: State) -> State:
        """Where undeclared content leads."""
        content = state.content
        if content is None:
            content = state.content = self.state(int(state.content_id))
        return content

    def datatype(self, index: int) -> Datatype:
        """A datatype of the schema, as the options have it represented."""
        found = self.mapped_datatypes.get(index)
        if found is None:
            found = self.mapped_datatypes[index] = self.mapped(self.grammars.datatypes[index])
        return found

    def mapped(self, datatype: Datatype) -> Datatype:
        """Apply datatypeRepresentationMap (7.4), then preserve.lexicalValues (7.1.10.1)."""
        mapped = self.represented(datatype)
        return lexical_form(mapped) if self.lexical else mapped

    def represented(self, datatype: Datatype) -> Datatype:
        """The representation that the closest type of the derivation chain is mapped to."""
        if not self.representations:
            return datatype
        for name in datatype.names:
            chosen = self.representations.get(name)
            if chosen is not None:
                return chosen
            if name == f"{{{XSD_URI}}}integer":
                break  # its own default association is closer than that of xs:decimal (section 7, table 7-1)
        if datatype.kind == LIST and datatype.item is not None:
            item = self.represented(datatype.item)
            if item is not datatype.item:
                copy = Datatype(LIST, datatype.names)
                copy.item = item
                return copy
        return datatype


def lexical_form(datatype: Datatype) -> Datatype:
    """The string representation of a value kept in its lexical form."""
    kind = int(datatype.kind)
    if kind in (ENUM, LIST) and datatype.item is not None:
        return lexical_form(datatype.item)
    if kind in (STRING, CHARSET):
        # Table 7-2 has no set for strings, whatever their pattern.
        plain = Datatype(STRING, datatype.names)
        plain.whitespace = datatype.whitespace
        return plain
    result = Datatype(CHARSET, datatype.names)
    result.set_characters(list(LEXICAL_SETS[kind]))
    return result


def representation(tag: str) -> Datatype:
    """The datatype representation with this name."""
    prefix = f"{{{EXI_URI}}}"
    known = REPRESENTATIONS.get(tag[len(prefix) :]) if tag.startswith(prefix) else None
    if known is None:
        raise SchemaError(f"the datatype representation {tag} is not known")
    datatype = Datatype(known[0])
    datatype.date_kind = known[1]
    return datatype


def offered_events(options: Options, strict: bool) -> frozenset[int]:
    """What is left of the events with codes of two and three parts after pruning (8.3)."""
    preserve = options.preserve
    offered = set() if strict else {EE, AT_TYPE, AT_NIL, AT_ANY, AT_UNTYPED, SE_ANY, CH_ANY}
    if "prefixes" in preserve:
        offered.add(NS)
    if options.self_contained:
        offered.add(SC)
    if "dtd" in preserve:
        offered.update((DT, ER))
    if "comments" in preserve or "pis" in preserve:
        offered.add(CM_PI)
    return frozenset(offered)


def schema_less() -> Grammars:
    """The grammars of a stream without schema: names of appendix D.3 and nothing else."""
    names = [(space.uri, [qname.local for qname in space.names]) for space in initial_namespaces()]
    return Grammars(names, [], [], [], [], [], [], [])
