"""What a coder remembers about a stream: names, values and learned grammars (`Tables`).

One `Tables` serves one body, or a whole session when both ends agreed to keep them (XEP-0322's
sessionWideBuffers). The encoder's and the decoder's `Tables` go through the same additions in the same order.
"""

from __future__ import annotations

from .errors import LimitError
from .events import EE
from .grammars import View
from .names import Journal, NameTable, QName
from .native import i64
from .options import Options
from .states import BUILTIN_CONTENT, BUILTIN_TAG, FRAGMENT_CONTENT, Production, State
from .strings import ValueTable


class Tables:
    """The tables of one body or session, and the journal that lets a failed attempt leave no trace."""

    def __init__(self, view: View, options: Options) -> None:
        grammars = view.grammars
        self.view = view
        self.options = options
        self.journal = Journal()
        self.names = NameTable(grammars.spaces, grammars.by_uri, grammars.by_tag)
        self.values = ValueTable(options.value_max_length, options.value_partition_capacity)
        self.builtin: dict[QName, State] = {}
        self.learned: i64 = 0  # productions taught to built-in element grammars
        self.max_entries: i64 = options.limits.table_entries
        self.max_size: i64 = options.limits.table_size

    def restart(self) -> None:
        """Forget everything, for another body."""
        names = self.names
        named = bool(names.by_uri)
        if named:
            grammars = self.view.grammars
            self.names = NameTable(grammars.spaces, grammars.by_uri, grammars.by_tag)
        self.values.restart(named)
        if self.builtin:
            self.builtin = {}
        self.learned = 0

    def begin(self) -> None:
        """What comes from here on can be taken back."""
        journal = self.journal
        if journal.notes:
            journal.notes.clear()
        journal.values = len(self.values.texts)

    def rollback(self) -> None:
        """Be as at the last `begin`."""
        self.journal.rollback()
        self.values.cut(self.journal.values)

    def root(self, fragment: bool) -> State:
        """DocContent, or FragmentContent: its schema-less form learns (8.4.2), so it belongs to the body."""
        if not fragment:
            return self.view.document
        if self.view.grammars.schema_informed:
            return self.view.fragment
        root = State(FRAGMENT_CONTENT)
        root.builtin = True
        for production in reversed(self.view.fragment.productions):
            copy = Production(int(production.event), len(root.productions))
            copy.next = root
            root.add(copy)
        root.finish(self.view.offered)
        return root

    def element_state(self, qname: QName) -> State:
        """Where an element starts that its parent did not declare: its global grammar, or a built-in one."""
        if qname.element_state >= 0:
            return self.view.state(int(qname.element_state))
        found = self.builtin.get(qname)
        return self.make_builtin(qname) if found is None else found

    def make_builtin(self, qname: QName) -> State:
        """The built-in element grammar (8.4.3), before it learned anything."""
        content = State(BUILTIN_CONTENT)
        content.add(Production(EE, 0))
        content.finish(self.view.builtin_offered)
        content.content = content
        start = State(BUILTIN_TAG)
        start.finish(self.view.builtin_offered)
        start.content = content
        self.builtin[qname] = start
        self.journal.added(self.builtin, qname)
        return start

    def learn(self, state: State, production: Production) -> None:
        """Teach a built-in grammar a production (8.4.3)."""
        state.learn(production, self.journal)
        self.journal.changed(self, "learned", int(self.learned))
        self.learned += 1

    def entries(self) -> i64:
        """How many names, values, built-in grammars and productions the stream has added."""
        return self.names.size() + len(self.values.texts) + len(self.builtin) + self.learned

    def characters(self) -> i64:
        """How many characters those names and values take."""
        return self.names.characters + self.values.characters

    def full(self) -> str:
        """Which limit the tables have passed; the empty string if none."""
        if self.entries() > self.max_entries:
            return f"more than {self.max_entries} table entries"
        if self.characters() > self.max_size:
            return f"more than {self.max_size} characters in the tables"
        return ""

    def check(self, bit_offset: i64) -> None:
        """Refuse to grow beyond the limits."""
        problem = self.full()
        if problem:
            raise LimitError(problem, bit_offset)
