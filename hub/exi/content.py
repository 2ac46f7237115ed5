"""Content models → deterministic automata (sections 8.5.4.1.5 to 8.5.4.2).

A particle is unrolled into positions as its occurrence bounds say, then states are sets of positions that may
come next, joined where two of them bear the same name. That is what the specification's elimination of empty
productions and of duplicate terminals computes, and it makes ambiguous content models (streams.xsd has two)
as good as any other. Equivalent states are merged; they offer the same codes.

An all-group is looser than in XSD: any member any number of times, in any order (8.5.4.1.8.3).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from .errors import SchemaError
from .events import SE, SE_ANY, SE_NS
from .model import ALL, CHOICE, Element, Group, Particle, Wildcard

MAX_POSITIONS: Final = 20_000  # of one content model, after unrolling
MAX_FOLLOWERS: Final = 2_000_000  # pairs of positions that follow each other
MAX_STATES: Final = 20_000
MERGE_EFFORT: Final = 2_000_000  # states looked at while merging; beyond, states stay as they are


@dataclass
class Edge:
    """A transition: an event with its name or namespace, and the element it declares."""

    event: int
    uri: str
    element: Element | None
    target: int


@dataclass
class Node:
    """A state of the automaton; the edges stand in the order of their event codes."""

    final: bool
    edges: list[Edge] = field(default_factory=list)


@dataclass
class Fragment:
    """Positions that may come first and last in a part of the model, and whether it may be empty."""

    nullable: bool
    first: list[int]
    last: list[int]


class Automaton:
    """The positions of one content model and the states made from them."""

    def __init__(self) -> None:
        self.terms: list[Element | Wildcard] = []
        self.follow: list[set[int]] = []
        self.followers = 0

    # --- positions ------------------------------------------------------------------------------------------

    def particle(self, particle: Particle) -> Fragment:
        """Unroll the occurrences: `least` copies, then a loop or nested optional copies."""
        term, least, most = particle.term, particle.least, particle.most
        if most == 0:
            return Fragment(True, [], [])
        copies = [self.term(term) for _ in range(least)]
        if most is None:
            loop = copies.pop() if copies else self.term(term)
            self.connect(loop.last, loop.first)
            copies.append(Fragment(loop.nullable or least == 0, loop.first, loop.last))
            return self.sequence(copies)
        result: Fragment | None = None
        for _ in range(most - least):
            copies.append(self.term(term))
        # a{0,2} is (a (a)?)?: each optional copy may only come after the one before it.
        for copy in reversed(copies[least:]):
            inner = copy if result is None else self.pair(copy, result)
            result = Fragment(True, inner.first, inner.last)
        if result is not None:
            copies = [*copies[:least], result]
        return self.sequence(copies)

    def term(self, term: Element | Wildcard | Group) -> Fragment:
        """One occurrence of a term."""
        if not isinstance(term, Group):
            if len(self.terms) >= MAX_POSITIONS:
                raise SchemaError(f"a content model unrolls to more than {MAX_POSITIONS} particles")
            self.terms.append(term)
            self.follow.append(set())
            position = len(self.terms) - 1
            return Fragment(False, [position], [position])
        parts = [self.particle(particle) for particle in term.particles]
        if term.kind == ALL:
            everything = self.choice(parts)
            self.connect(everything.last, everything.first)
            return Fragment(True, everything.first, everything.last)
        return self.choice(parts) if term.kind == CHOICE else self.sequence(parts)

    def choice(self, parts: list[Fragment]) -> Fragment:
        """Any one of the parts; an empty choice is empty (8.5.4.1.8.2)."""
        first = [position for part in parts for position in part.first]
        last = [position for part in parts for position in part.last]
        return Fragment(not parts or any(part.nullable for part in parts), first, last)

    def sequence(self, parts: list[Fragment]) -> Fragment:
        """All the parts, one after the other."""
        result = Fragment(True, [], [])
        for part in parts:
            result = self.pair(result, part)
        return result

    def pair(self, left: Fragment, right: Fragment) -> Fragment:
        """Left, then right."""
        self.connect(left.last, right.first)
        first = left.first + right.first if left.nullable else left.first
        last = left.last + right.last if right.nullable else right.last
        return Fragment(left.nullable and right.nullable, first, last)

    def connect(self, last: list[int], first: list[int]) -> None:
        """After any of `last` any of `first` may come."""
        self.followers += len(last) * len(first)
        if self.followers > MAX_FOLLOWERS:
            raise SchemaError("a content model is too ambiguous to unroll")
        for position in last:
            self.follow[position].update(first)

    # --- states ---------------------------------------------------------------------------------------------

    def build(self, particle: Particle) -> list[Node]:
        """The states; the first is where the content starts."""
        whole = self.particle(particle)
        last = set(whole.last)
        start = (frozenset(whole.first), whole.nullable)
        numbers: dict[tuple[frozenset[int], bool], int] = {start: 0}
        queue = [start]
        nodes: list[Node] = []
        while len(nodes) < len(queue):
            positions, final = queue[len(nodes)]
            node = Node(final)
            nodes.append(node)
            for event, uri, element, sources in self.symbols(positions):
                following = frozenset[int]().union(*(self.follow[position] for position in sources))
                key = (following, any(position in last for position in sources))
                if key not in numbers:
                    if len(queue) >= MAX_STATES:
                        raise SchemaError(f"a content model has more than {MAX_STATES} states")
                    numbers[key] = len(queue)
                    queue.append(key)
                node.edges.append(Edge(event, uri, element, numbers[key]))
        return merge(nodes)

    def symbols(self, positions: frozenset[int]) -> list[tuple[int, str, Element | None, list[int]]]:
        """What may come in a state, in the order of event codes (8.5.4.3): names, namespaces, anything."""
        elements: dict[str, tuple[Element, list[int]]] = {}
        spaces: dict[str, list[int]] = {}
        anything: list[int] = []
        for position in sorted(positions):
            term = self.terms[position]
            if isinstance(term, Element):
                for element in substitutes(term):
                    elements.setdefault(element.name, (element, []))[1].append(position)
            elif term.uris is None:
                anything.append(position)
            else:
                for uri in sorted(term.uris):
                    spaces.setdefault(uri, []).append(position)
        found: list[tuple[int, str, Element | None, list[int]]] = [
            (SE, "", element, sources) for element, sources in elements.values()
        ]
        found += [(SE_NS, uri, None, sources) for uri, sources in spaces.items()]
        if anything:
            found.append((SE_ANY, "", None, anything))
        return found


def substitutes(element: Element) -> list[Element]:
    """An element and its substitution group, sorted by local name, then by URI (8.5.4.1.6)."""
    if not element.members:
        return [element]
    return sorted([element, *element.members], key=lambda member: name_order(member.name))


def name_order(name: str) -> tuple[str, str]:
    """Sort key of qualified names: local name, then URI."""
    uri, _, local = name.rpartition("}")
    return local, uri[1:]


def merge(nodes: list[Node]) -> list[Node]:
    """Merge states that cannot be told apart (Moore); the start stays first.

    Merging only saves space, so a long chain (maxOccurs of many thousands) that would take as many rounds as it
    has states is left alone.
    """
    classes = [1 if node.final else 0 for node in nodes]
    count = len(set(classes))
    effort = 0
    while True:
        effort += len(nodes)
        if effort > MERGE_EFFORT:
            return nodes
        signatures: dict[object, int] = {}
        refined = []
        for number, node in enumerate(nodes):
            signature = (
                classes[number],
                tuple((edge.event, edge.uri, id(edge.element), classes[edge.target]) for edge in node.edges),
            )
            refined.append(signatures.setdefault(signature, len(signatures)))
        classes = refined
        if len(signatures) == count:
            break
        count = len(signatures)
    merged: list[Node | None] = [None] * count
    for number, node in enumerate(nodes):
        if merged[classes[number]] is None:
            edges = [Edge(edge.event, edge.uri, edge.element, classes[edge.target]) for edge in node.edges]
            merged[classes[number]] = Node(node.final, edges)
    return [node for node in merged if node is not None]
