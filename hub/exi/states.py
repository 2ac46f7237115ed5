"""Grammar states as the coders walk them (sections 8.3 to 8.5).

A `State` is the left side of a group of productions; a `Production` is one event with its one-part event
code. What a state offers beyond its own productions, with codes of two and three parts, is the list `second`:
the same for every state of a kind under given options, so it is a table (`SECOND_PARTS`) and not code. In it
`CM_PI` and `AT_UNTYPED` stand for groups that go on to a third part.

States of a schema never change and are shared. Built-in states (`builtin` True) learn: a new production takes
code 0 and moves the others up, so a production's `code` is its age and its event code is counted from the
youngest.
"""

from __future__ import annotations

from typing import Final

from .bits import bits_for
from .datatypes import Datatype
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
from .names import Journal, NameSpace, QName
from .native import i64

# Kinds of states.
DOC_CONTENT: Final = 0
DOC_END: Final = 1
FRAGMENT_CONTENT: Final = 2
FIRST_TAG: Final = 3  # Element i,0: may carry xsi:type, xsi:nil, namespaces, self-contained
START_TAG: Final = 4  # the other states in which attributes may come
CONTENT: Final = 5
BUILTIN_TAG: Final = 6
BUILTIN_CONTENT: Final = 7

# Second parts by kind, before pruning (8.3, 8.4, 8.5.4.4.1). EE is left out of states that have their own.
SECOND_PARTS: Final[dict[int, tuple[int, ...]]] = {
    DOC_CONTENT: (DT, CM_PI),
    DOC_END: (CM_PI,),
    FRAGMENT_CONTENT: (CM_PI,),
    FIRST_TAG: (EE, AT_TYPE, AT_NIL, AT_ANY, AT_UNTYPED, NS, SC, SE_ANY, CH_ANY, ER, CM_PI),
    START_TAG: (EE, AT_ANY, AT_UNTYPED, SE_ANY, CH_ANY, ER, CM_PI),
    CONTENT: (EE, SE_ANY, CH_ANY, ER, CM_PI),
    BUILTIN_TAG: (EE, AT_ANY, NS, SC, SE_ANY, CH_ANY, ER, CM_PI),
    BUILTIN_CONTENT: (SE_ANY, CH_ANY, ER, CM_PI),
}
EVENT_KINDS: Final = 20

LEARNED_END: Final = "/EE"  # keys in `State.learned`; no tag begins with a slash
LEARNED_TEXT: Final = "/CH"


class Production:
    """One production: an event, its code, and the states that follow."""

    def __init__(self, event: int, code: int) -> None:
        self.event: i64 = event
        self.code: i64 = code
        self.qname: QName | None = None  # of AT(qname) and SE(qname)
        self.space: NameSpace | None = None  # of AT(uri:*) and SE(uri:*)
        self.datatype: Datatype | None = None  # of AT(qname) and CH
        self.next: State | None = None  # where this element goes on; None until first used
        self.next_id: i64 = -1
        self.child: State | None = None  # where the new element starts; None until first used
        self.child_id: i64 = -1


class State:
    """One grammar state, lowered for given options: what a coder asks is one index or one look-up away."""

    def __init__(self, kind: int) -> None:
        self.kind: i64 = kind
        self.builtin = kind in (BUILTIN_TAG, BUILTIN_CONTENT)
        self.productions: list[Production] = []
        self.count: i64 = 0
        self.width: i64 = 0  # bits of the first part
        self.second: list[int] = []
        self.second_code: list[int] = [-1] * EVENT_KINDS  # by event kind
        self.second_width: i64 = 0
        self.attribute_count: i64 = 0  # AT(qname) productions; they come first
        self.attribute_width: i64 = 0  # bits of the third part of AT_UNTYPED
        self.elements: dict[str, Production] = {}
        self.attributes: dict[str, Production] = {}
        self.element_spaces: dict[str, Production] = {}
        self.attribute_spaces: dict[str, Production] = {}
        self.any_element: Production | None = None
        self.any_attribute: Production | None = None
        self.end: Production | None = None
        self.characters: Production | None = None
        self.content: State | None = None  # where undeclared content leads; None until first used
        self.content_id: i64 = -1
        self.empty_id: i64 = -1  # first state of TypeEmpty (8.5.4.1.3)
        self.learned: set[str] = set()
        self.stopped = False

    def add(self, production: Production) -> None:
        """Append a production; `finish` must follow."""
        self.productions.append(production)
        self.index(production)

    def index(self, production: Production) -> None:
        """Make a production findable by what an encoder has in hand."""
        event = production.event
        qname = production.qname
        space = production.space
        if event == AT and qname is not None:
            self.attributes[qname.tag] = production
            self.attribute_count += 1
        elif event == SE and qname is not None:
            self.elements.setdefault(qname.tag, production)
        elif event == AT_NS and space is not None:
            self.attribute_spaces[space.uri] = production
        elif event == SE_NS and space is not None:
            self.element_spaces.setdefault(space.uri, production)
        elif event == AT_ANY:
            self.any_attribute = production
        elif event == SE_ANY:
            self.any_element = production
        elif event in (EE, ED):
            self.end = production
        elif event in (CH, CH_ANY):
            self.characters = production

    def finish(self, offered: frozenset[int]) -> None:
        """Fix widths and second parts; `offered` is what the options leave of events with longer codes."""
        for event in SECOND_PARTS[int(self.kind)]:
            if event in offered and not (event == EE and self.end is not None):
                self.second_code[event] = len(self.second)
                self.second.append(event)
        self.second_width = bits_for(len(self.second))
        self.attribute_width = bits_for(self.attribute_count + 1)
        self.resize()

    def resize(self) -> None:
        """Recompute what depends on the number of productions."""
        self.count = len(self.productions)
        self.width = bits_for(self.count + (1 if self.second else 0))

    def knows(self, key: str) -> bool:
        """Whether AT(qname), by its tag, EE or CH, by those words, has been learned already."""
        return key in self.learned

    def learn(self, production: Production, journal: Journal) -> None:
        """Add a production to a built-in state (8.4.3); it becomes code 0.

        A state that `stopped` (only an encoder stops, for the EXI Profile) goes on counting what the decoder
        learns, but its new productions cannot be found: they are ghosts, never to be used.
        """
        production.code = len(self.productions)
        journal.learnt(self)
        self.productions.append(production)
        qname = production.qname
        if production.event != SE:
            self.learned.add(learned_key(production))
        if not self.stopped:
            if production.event == AT and qname is not None:
                self.attributes[qname.tag] = production
            else:
                self.index(production)
        self.resize()

    def unlearn(self) -> None:
        """Take back the youngest production."""
        production = self.productions.pop()
        qname = production.qname
        if production.event != SE:
            self.learned.discard(learned_key(production))
        if production.event == AT and qname is not None:
            if self.attributes.get(qname.tag) is production:
                del self.attributes[qname.tag]
        elif production.event == SE and qname is not None:
            if self.elements.get(qname.tag) is production:
                del self.elements[qname.tag]
        elif self.end is production:
            self.end = None
        elif self.characters is production:
            self.characters = None
        self.resize()


def learned_key(production: Production) -> str:
    """What a production must not be learned twice by."""
    if production.qname is not None:
        return production.qname.tag
    return LEARNED_END if production.event == EE else LEARNED_TEXT
