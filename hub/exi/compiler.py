"""Schema model → `Grammars`: type grammars, element grammars, document and fragment grammars (section 8.5).

For each type two grammars are made, Type and TypeEmpty (8.5.4.1.3); each starts with a chain of states in
which attributes may come, in order of their names, and goes on with the content. States of a start tag are
copies of the content's start, because undeclared content leads them elsewhere (8.5.4.4.1).
"""

from __future__ import annotations

from functools import cache

from .builtins import builtin_types
from .content import Automaton, Node, name_order, substitutes
from .datatypes import STRING, Datatype
from .errors import SchemaError
from .events import AT, AT_ANY, AT_NS, CH, CH_ANY, EE, SE, SE_ANY, SE_NS
from .grammars import NILLABLE, OPERANDS, TYPE_CASTABLE, Grammars
from .model import Attribute, Element, Group, Particle, Schema, Type, Wildcard
from .names import INITIAL_LOCAL_NAMES, XML_URI, XSD_URI, XSI_URI, split_clark
from .states import CONTENT, FIRST_TAG, START_TAG

Production = tuple[int, int, int, int]  # event, first operand, second operand, next state
SELF = -2  # as next state: the state that holds the production
MAX_STATES = 500_000


class Row:
    """One state being made."""

    def __init__(self, kind: int, productions: list[Production]) -> None:
        self.kind = kind
        self.flags = 0
        self.content = 0
        self.empty = -1
        self.productions = productions


class Compiler:
    """Makes the tables of one schema set."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.rows: list[Row] = []
        self.datatypes: list[Datatype] = []
        self.datatype_numbers: dict[int, int] = {}
        self.first_states: dict[tuple[int, int], int] = {}
        self.pending: list[tuple[Type, int, int]] = []
        self.castable = castable_types(schema)
        self.declared_elements, self.declared_attributes, self.names = collect(schema)
        self.names_in_order = sorted_names(self.names)
        self.uri_numbers = {uri: number for number, (uri, _) in enumerate(self.names_in_order)}
        self.qname_numbers: dict[str, int] = {}
        for uri, locals_ in self.names_in_order:
            for local in locals_:
                self.qname_numbers[f"{{{uri}}}{local}" if uri else local] = len(self.qname_numbers)
        self.end_state = self.row(Row(CONTENT, [(EE, 0, 0, 0)]))
        self.rows[self.end_state].content = self.end_state

    def compile(self) -> Grammars:
        """All tables."""
        schema = self.schema
        elements = sorted(schema.elements, key=lambda element: name_order(element.name))
        global_elements = [(self.qname(element.name), self.element_state(element)) for element in elements]
        types = [(self.qname(type_.name or ""), self.type_state(type_, 0)) for type_ in schema.types]
        attributes = [(self.qname(each.name), self.datatype(each.type)) for each in schema.attributes]
        fragment = self.fragment()
        while self.pending:
            type_, flags, number = self.pending.pop()
            self.fill_type(type_, flags, number)
        words, offsets = self.lower()
        return Grammars(
            self.names_in_order,
            self.datatypes,
            words,
            offsets,
            global_elements,
            attributes,
            sorted(types),
            fragment,
        )

    def lower(self) -> tuple[list[int], list[int]]:
        """The rows as words."""
        words: list[int] = []
        offsets: list[int] = []
        for number, row in enumerate(self.rows):
            offsets.append(len(words))
            words += (row.kind, row.flags, row.content, row.empty + 1, len(row.productions))
            for event, first, second, following in row.productions:
                words.append(event)
                if event != EE:
                    words += (first, second)[: len(OPERANDS[event]) - 1]
                    words.append(number if following == SELF else following)
        return words, offsets

    # --- numbers --------------------------------------------------------------------------------------------

    def row(self, row: Row) -> int:
        """Number a state."""
        if len(self.rows) >= MAX_STATES:
            raise SchemaError(f"the schemas need more than {MAX_STATES} grammar states")
        self.rows.append(row)
        return len(self.rows) - 1

    def qname(self, name: str) -> int:
        return self.qname_numbers[name]

    def datatype(self, type_: Type) -> int:
        """Number the datatype of a simple type or of simple content."""
        datatype = type_.datatype
        assert datatype is not None
        return self.datatype_number(datatype)

    def datatype_number(self, datatype: Datatype) -> int:
        """Number a datatype; items come before what is made of them."""
        known = self.datatype_numbers.get(id(datatype))
        if known is None:
            if datatype.item is not None:
                self.datatype_number(datatype.item)
            known = self.datatype_numbers[id(datatype)] = len(self.datatypes)
            self.datatypes.append(datatype)
        return known

    # --- elements and types ---------------------------------------------------------------------------------

    def element_state(self, element: Element) -> int:
        """The first state of an element's grammar (8.5.4.1.2)."""
        flags = (TYPE_CASTABLE if id(element.type) in self.castable else 0) | (
            NILLABLE if element.nillable else 0
        )
        return self.type_state(element.type, flags)

    def type_state(self, type_: Type, flags: int) -> int:
        """The first state of a type's grammar; its productions come later, as types refer to each other."""
        key = (id(type_), flags)
        number = self.first_states.get(key)
        if number is None:
            number = self.first_states[key] = self.row(Row(FIRST_TAG, []))
            self.pending.append((type_, flags, number))
        return number

    def fill_type(self, type_: Type, flags: int, number: int) -> None:
        """Type i and TypeEmpty i (8.5.4.1.3)."""
        content = self.content(type_)
        row = self.rows[number]
        row.flags = flags
        row.content = content
        row.productions = self.start_tag(type_, content)
        empty = Row(FIRST_TAG, self.start_tag(type_, self.end_state))
        empty.content = self.end_state
        row.empty = self.row(empty)
        empty.empty = row.empty

    def content(self, type_: Type) -> int:
        """The first state of a type's content."""
        if type_.datatype is not None:
            number = self.row(Row(CONTENT, [(CH, self.datatype(type_), 0, self.end_state)]))
            self.rows[number].content = number
            return number
        if type_.particle is None:
            if not type_.mixed:
                return self.end_state
            return self.automaton([Node(True)], True)
        return self.automaton(Automaton().build(type_.particle), type_.mixed)

    def automaton(self, nodes: list[Node], mixed: bool) -> int:
        """The states of a content model; the number of the first."""
        base = len(self.rows)
        for _ in nodes:
            self.row(Row(CONTENT, []))
        for number, node in enumerate(nodes, base):
            row = self.rows[number]
            row.content = number
            for edge in node.edges:
                following = base + edge.target
                if edge.event == SE:
                    assert edge.element is not None
                    child = self.element_state(edge.element)
                    row.productions.append((SE, self.qname(edge.element.name), child, following))
                elif edge.event == SE_NS:
                    row.productions.append((SE_NS, self.uri_numbers[edge.uri], 0, following))
                else:
                    row.productions.append((SE_ANY, 0, 0, following))
            if node.final:
                row.productions.append((EE, 0, 0, 0))
            if mixed:
                row.productions.append((CH_ANY, 0, 0, SELF))
        return base

    def start_tag(self, type_: Type, content: int) -> list[Production]:
        """The productions of the first state of a chain for attributes (8.5.4.1.4); it makes the others."""
        wildcards = self.attribute_wildcard(type_.wildcard)
        # A loop of mixed content must not lead back into the start tag.
        after = [
            (event, first, second, content if following == SELF else following)
            for event, first, second, following in self.rows[content].productions
        ]
        productions = [*wildcards, *after]
        following = -1
        for attribute in sorted(type_.attributes, key=lambda use: name_order(use.name), reverse=True):
            row = Row(START_TAG, productions)
            row.content = content
            following = self.row(row)
            productions = [(AT, self.qname(attribute.name), self.datatype(attribute.type), following)]
            if attribute.required:
                productions += wildcards
            else:
                productions += [each for each in row.productions if each[0] == AT]
                productions += wildcards
                productions += [each for each in row.productions if each[0] not in (AT, AT_NS, AT_ANY)]
        return productions

    def attribute_wildcard(self, wildcard: Wildcard | None) -> list[Production]:
        """AT(*) or AT(uri:*), which stay where they are."""
        if wildcard is None:
            return []
        if wildcard.uris is None:
            return [(AT_ANY, 0, 0, SELF)]
        return [(AT_NS, self.uri_numbers[uri], 0, SELF) for uri in sorted(wildcard.uris)]

    # --- fragments ------------------------------------------------------------------------------------------

    def fragment(self) -> list[tuple[int, int]]:
        """(name, first state) of every declared element name (8.5.2); clashes get the relaxed grammar."""
        by_name: dict[str, list[Element]] = {}
        for element in self.declared_elements:
            by_name.setdefault(element.name, []).append(element)
        relaxed: int | None = None
        names = sorted(by_name, key=name_order)
        if any(not same_grammar(by_name[name]) for name in names):
            relaxed = self.row(Row(FIRST_TAG, []))
        result = []
        for name in names:
            declared = by_name[name]
            if same_grammar(declared):
                result.append((self.qname(name), self.element_state(declared[0])))
            else:
                assert relaxed is not None
                result.append((self.qname(name), relaxed))
        if relaxed is not None:
            self.fill_relaxed(relaxed, result)
        return result

    def fill_relaxed(self, number: int, elements: list[tuple[int, int]]) -> None:
        """The schema-informed element fragment grammar (8.5.3)."""
        content = self.row(Row(CONTENT, []))
        starts: list[Production] = [(SE, name, first, content) for name, first in elements]
        inside: list[Production] = [*starts, (SE_ANY, 0, 0, content), (EE, 0, 0, 0), (CH_ANY, 0, 0, content)]
        self.rows[content].productions = inside
        self.rows[content].content = content
        by_name: dict[str, list[Attribute]] = {}
        for attribute in self.declared_attributes:
            by_name.setdefault(attribute.name, []).append(attribute)
        untyped = self.datatype_number(Datatype(STRING))
        attributes: list[Production] = []
        for name in sorted(by_name, key=name_order):
            types = {id(attribute.type) for attribute in by_name[name]}
            datatype = self.datatype(by_name[name][0].type) if len(types) == 1 else untyped
            attributes.append((AT, self.qname(name), datatype, SELF))
        attributes.append((AT_ANY, 0, 0, SELF))
        row = self.rows[number]
        row.flags = TYPE_CASTABLE | NILLABLE
        row.content = content
        row.productions = [*attributes, *inside]
        empty = Row(FIRST_TAG, [*attributes, (EE, 0, 0, 0)])
        empty.content = self.end_state
        row.empty = self.row(empty)
        empty.empty = row.empty


@cache
def xsd_types() -> Grammars:
    """The grammars of a stream that uses the built-in XSD types and no schema (schemaId empty)."""
    return Compiler(Schema(types=list(builtin_types().values()))).compile()


def same_grammar(elements: list[Element]) -> bool:
    """Whether declarations of one name share a named type and their nillability (8.5.3)."""
    first = elements[0]
    return len(elements) == 1 or all(
        each.type is first.type and each.type.name is not None and each.nillable == first.nillable
        for each in elements[1:]
    )


def castable_types(schema: Schema) -> set[int]:
    """Types with named sub-types, and unions (8.5.4.4.2)."""
    found: set[int] = set()
    for type_ in schema.types:
        base = type_.base
        while base is not None and id(base) not in found:
            found.add(id(base))
            base = base.base
    return found | {id(union) for union in all_types(schema) if union.union and union.simple}


def all_types(schema: Schema) -> list[Type]:
    """Named types and the types of all reachable declarations."""
    elements, attributes, _ = collect(schema)
    return [*schema.types, *(element.type for element in elements), *(each.type for each in attributes)]


def collect(schema: Schema) -> tuple[list[Element], list[Attribute], dict[str, set[str]]]:
    """All element and attribute declarations that can be reached, and all names by URI (appendix D)."""
    found = Collector(schema)
    return list(found.elements.values()), list(found.attributes.values()), found.names


class Collector:
    """Walks from the global declarations to all others."""

    def __init__(self, schema: Schema) -> None:
        self.names: dict[str, set[str]] = {uri: set() for uri in (*schema.uris, XSD_URI)}
        for uri, locals_ in INITIAL_LOCAL_NAMES.items():
            self.names.setdefault(uri, set()).update(locals_)
        self.elements: dict[int, Element] = {}
        self.attributes: dict[int, Attribute] = {}
        self.types: set[int] = set()
        self.queue: list[Element | Type] = [*schema.elements, *schema.types]
        for attribute in schema.attributes:
            self.attribute(attribute)
        while self.queue:
            item = self.queue.pop()
            if isinstance(item, Element):
                self.element(item)
            elif id(item) not in self.types:
                self.types.add(id(item))
                self.type(item)

    def name(self, name: str) -> None:
        """A name of the string table."""
        uri, local = split_clark(name)
        self.names.setdefault(uri, set()).add(local)

    def element(self, element: Element) -> None:
        """An element declaration, its type and its substitutes."""
        if id(element) not in self.elements:
            self.elements[id(element)] = element
            self.name(element.name)
            self.queue += [element.type, *element.members]

    def attribute(self, attribute: Attribute) -> None:
        """An attribute declaration."""
        self.attributes[id(attribute)] = attribute
        self.name(attribute.name)

    def wildcard(self, wildcard: Wildcard | None) -> None:
        """The namespaces that a wildcard names."""
        for uri in (wildcard.uris if wildcard else None) or ():
            self.names.setdefault(uri, set())

    def type(self, type_: Type) -> None:
        """A type with everything in it."""
        if type_.name is not None:
            self.name(type_.name)
        for attribute in type_.attributes:
            self.attribute(attribute)
        self.wildcard(type_.wildcard)
        if type_.particle is not None:
            self.particle(type_.particle)

    def particle(self, particle: Particle) -> None:
        """A particle and all below it."""
        term = particle.term
        if particle.most == 0:
            return
        if isinstance(term, Group):
            for each in term.particles:
                self.particle(each)
        elif isinstance(term, Element):
            self.queue += substitutes(term)
        else:
            self.wildcard(term)


def sorted_names(names: dict[str, set[str]]) -> list[tuple[str, list[str]]]:
    """URIs and local names in the order of their numbers: four fixed URIs, then all sorted (appendix D)."""
    fixed = ["", XML_URI, XSI_URI, XSD_URI]
    return [(uri, sorted(names[uri])) for uri in [*fixed, *sorted(set(names) - set(fixed))]]
