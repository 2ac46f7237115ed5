"""Events in, bits out: `BodyEncoder` writes one EXI body (section 6) under any grammar and any alignment.

The caller tells the events of one document in order; the encoder picks, for each, the production with the
shortest event code that can carry it: a declared one, a wildcard, then what second and third parts offer
(8.5.4.4). What no production carries raises `EncodeError`.

In the reordered alignments the structure
goes straight to the writer and values wait in `channels` until their block is full.
"""

from __future__ import annotations

from .attributewriter import AttributeWriter
from .bits import BitWriter
from .channels import BlockWriter
from .codewriter import checked, plain
from .datatypes import CHARSET, COLLAPSE, PRESERVE
from .errors import EncodeError, TablesFullError
from .events import (
    CH,
    CH_ANY,
    CM_PI,
    DT,
    EE,
    ER,
    SC,
    SE,
    SE_ANY,  # fmt: skip
)
from .grammars import View
from .lexical import WHITESPACE
from .names import QName, is_name, split_clark
from .native import i64
from .options import Options
from .states import LEARNED_END, LEARNED_TEXT, Production, State
from .tables import Tables


class BodyEncoder(AttributeWriter):
    """Writes the events of one body."""

    def __init__(self, view: View, options: Options, tables: Tables, writer: BitWriter) -> None:
        super().__init__(view, options, tables, writer)
        self.max_depth: i64 = options.limits.depth
        self.self_contained = frozenset(options.self_contained)
        self.open_tag = False  # nothing but the start tag's own events so far in this element
        self.keep_space: list[bool] = [view.lexical]
        self.outer: list[Saved] = []

    def restart(self, tables: Tables) -> None:
        """Begin another body, whatever became of the last."""
        self.tables = tables
        self.journal = tables.journal
        self.writer.clear()
        self.state = tables.root(self.options.fragment)
        self.qname = None
        self.stack.clear()
        self.qnames.clear()
        self.tag_only = False
        self.open_tag = False
        self.keep_space = [self.view.lexical]
        self.outer.clear()
        if self.block is not None:
            self.block = BlockWriter(self.options, self.writer)

    # --- elements -------------------------------------------------------------------------------------------

    def start_element(self, tag: str, prefix: str = "") -> None:
        """SE; the attributes must follow before anything else."""
        state = self.state
        production = state.elements.get(tag)
        view = self.view
        if production is not None:
            self.first(production)
            qname = production.qname
            assert qname is not None
            following = production.next if production.next is not None else view.next_state(production)
            child = production.child if production.child is not None else view.child_state(production)
        else:
            qname, following = self.start_undeclared(tag)
            child = self.tables.element_state(qname)
            state = self.state  # the EXI Profile may have left the built-in grammar
            if state.builtin:
                self.learn_element(state, qname, following, child)
        if self.prefixes:
            self.write_prefix(qname.uri, prefix)
        if len(self.stack) >= self.max_depth:
            raise EncodeError(f"more than {self.max_depth} levels{self.where()}")
        self.stack.append(following)
        self.qnames.append(self.qname)
        self.keep_space.append(self.keep_space[len(self.keep_space) - 1])
        self.qname = qname
        self.state = child
        self.open_tag = True
        self.tag_only = True

    def start_undeclared(self, tag: str) -> tuple[QName, State]:
        """SE(uri:*), SE(*) or an undeclared SE(*)."""
        state = self.state
        if state.element_spaces:
            uri, local = split_clark(tag)
            production = state.element_spaces.get(uri)
            if production is not None:
                self.first(production)
                space = self.tables.names.space(uri)
                assert space is not None
                return self.write_local(space, plain(local)), self.view.next_state(production)
        if state.any_element is None and self.profile:
            self.restrain()
            state = self.state
        production = state.any_element
        if production is not None:
            self.first(production)
            following = self.view.next_state(production)
        else:
            self.second(SE_ANY, f"the element {tag}")
            following = self.view.content_state(state)
        return self.write_qname(tag), following

    def learn_element(self, state: State, qname: QName, following: State, child: State) -> None:
        """Remember SE(qname) in a built-in grammar (8.4.3)."""
        production = Production(SE, 0)
        production.qname = qname
        production.next = following
        production.child = child
        self.learn(state, production)

    def end_element(self) -> None:
        """EE."""
        state = self.state
        production = state.end
        if production is not None:
            self.first(production)
        elif state.second_code[EE] >= 0:
            if self.profile:
                self.restrain()
            self.end_undeclared()
        else:
            # Strict: content that is empty although characters are due can still be carried as an empty
            # value.
            if not self.write_declared_text(""):
                raise EncodeError(f"the end of the element cannot be carried here{self.where()}")
            production = self.state.end
            assert production is not None
            self.first(production)
        self.leave()

    def end_undeclared(self) -> None:
        """EE with a code of two parts, or the code that the EXI Profile's xsi:type made room for."""
        state = self.state
        if state.end is not None:
            self.first(state.end)
            return
        self.second(EE, "the end of the element")
        if state.builtin and not state.knows(LEARNED_END):
            self.learn(state, Production(EE, 0))

    def leave(self) -> None:
        """Go on in the parent."""
        self.state = self.stack.pop()
        self.qname = self.qnames.pop()
        self.keep_space.pop()
        self.open_tag = False
        if self.outer and self.outer[len(self.outer) - 1].depth == len(self.stack):
            self.end_self_contained()

    def end_document(self) -> None:
        """ED, and the values of the last block; refuses tables that the decoder would refuse."""
        production = self.state.end
        if production is None:
            raise EncodeError("the document has no root element")
        self.first(production)
        if self.block is not None:
            self.block.finish(self)
        problem = self.tables.full()
        if problem:
            raise TablesFullError(f"{problem}: begin a new session, or bound value_partition_capacity")

    # --- text -----------------------------------------------------------------------------------------------

    def space_matters(self, spaces: bool) -> None:
        """xml:space of the open element."""
        self.keep_space[len(self.keep_space) - 1] = spaces

    def text(self, text: str, before_end: bool) -> None:
        """Character data between two other events, as one piece.

        White space alone between tags is layout and not carried, unless xml:space or preserve.lexicalValues
        keeps it, the schema declares mixed content here, or it is all that the element holds.
        """
        if not text:
            return
        if not self.keep_space[len(self.keep_space) - 1]:
            declared = self.state.characters
            if declared is not None and declared.event == CH and declared.datatype is not None:
                text = collapsed(text, declared.datatype.whitespace)
                if not text and self.state.second_code[EE] >= 0:
                    return
            elif declared is None or self.state.builtin:
                alone = self.open_tag and before_end
                if not alone and not text.strip(WHITESPACE):
                    return
        self.characters(text)

    def characters(self, text: str) -> None:
        """CH."""
        self.open_tag = False
        if self.write_declared_text(text):
            return
        if self.strict and not text.strip(WHITESPACE):
            return
        if self.profile and self.state.builtin:
            self.restrain()
            if self.write_declared_text(text):
                return
        state = self.state
        qname = self.qname
        assert qname is not None
        if state.second_code[CH_ANY] < 0:
            raise EncodeError(f"the text {text[:40]!r} cannot be carried here{self.where()}")
        self.second(CH_ANY, "text")
        if state.builtin and not state.knows(LEARNED_TEXT):
            production = Production(CH_ANY, 0)
            production.next = state.content
            self.learn(state, production)
        self.write(self.view.untyped, text, qname)
        self.state = self.view.content_state(state)

    def write_declared_text(self, text: str) -> bool:
        """CH through a production of the state; False, and nothing written, if none takes this text."""
        production = self.state.characters
        qname = self.qname
        if production is None or qname is None:
            return False
        datatype = production.datatype
        if datatype is None or datatype.kind <= CHARSET:
            self.first(production)
            self.write(self.view.untyped if datatype is None else datatype, text, qname)
        else:
            mark = self.writer.mark()
            self.first(production)
            if not self.write(datatype, text, qname):
                self.writer.rewind(mark)
                return False
        following = production.next
        self.state = following if following is not None else self.view.next_state(production)
        return True

    # --- everything that only fidelity options carry --------------------------------------------------------

    def doctype(self, name: str, public: str, system: str, text: str) -> None:
        """DT."""
        self.second(DT, "a document type")
        if not is_name(name):
            raise EncodeError(f"{name[:40]!r} is no name of a document type")
        for part in (name, public, system, text):
            self.writer.string(checked(part, "a document type"))

    def entity(self, name: str) -> None:
        """ER."""
        self.before_extra()
        self.second(ER, f"the entity reference {name}")
        if not is_name(name):
            raise EncodeError(f"{name[:40]!r} is no name of an entity")
        self.writer.string(name)
        self.after_extra()

    def comment(self, text: str) -> None:
        """CM."""
        self.before_extra()
        self.second(CM_PI, "a comment")
        self.writer.bits(0, 1 if "pis" in self.options.preserve else 0)
        self.writer.string(checked(text, "a comment"))
        self.after_extra()

    def instruction(self, target: str, data: str) -> None:
        """PI."""
        self.before_extra()
        self.second(CM_PI, "a processing instruction")
        both = "comments" in self.options.preserve
        self.writer.bits(1 if both else 0, 1 if both else 0)
        if not is_name(target):
            raise EncodeError(f"{target[:40]!r} is no target of a processing instruction")
        self.writer.string(target)
        self.writer.string(checked(data, "a processing instruction"))
        self.after_extra()

    def before_extra(self) -> None:
        """The EXI Profile keeps built-in grammars from being used here, too."""
        if self.profile and self.state.builtin:
            self.restrain()

    def after_extra(self) -> None:
        """These events end the start tag."""
        self.open_tag = False
        if self.qname is not None:
            self.state = self.view.content_state(self.state)

    # --- self-contained elements (8.5.4.4) -----------------------------------------------------------------

    def self_contain(self, tag: str, prefix: str) -> None:
        """SC for the element just started, if the options ask for it; it becomes a fragment of its own."""
        if tag not in self.self_contained:
            return
        self.second(SC, "a self-contained element")
        self.writer.align()
        self.outer.append(
            Saved(len(self.stack) - 1, tag, self.tables, self.state, self.stack, self.qnames, self.qname)
        )
        self.tables = Tables(self.view, self.options)
        self.tables.journal = self.journal
        self.state = self.tables.root(True)
        depth = len(self.stack) - 1
        self.stack = self.stack[:depth]
        self.qnames = self.qnames[:depth]
        self.qname = None
        self.keep_space.pop()
        self.start_element(tag, prefix)

    def end_self_contained(self) -> None:
        """ED of the fragment; the element's own EE is not written."""
        production = self.state.end
        assert production is not None
        self.first(production)
        self.writer.align()
        saved = self.outer.pop()
        self.tables = saved.tables
        self.stack = saved.stack
        self.qnames = saved.qnames
        self.state = self.stack.pop()
        self.qname = self.qnames.pop()


class Saved:
    """What an encoder returns to after a self-contained element."""

    def __init__(self, depth: int, tag: str, tables: Tables, state: State, stack: list[State],
                 qnames: list[QName | None], qname: QName | None) -> None:  # fmt: skip
        self.depth: i64 = depth
        self.tag = tag
        self.tables = tables
        self.state = state
        self.stack = stack
        self.qnames = qnames
        self.qname = qname


def any_space(text: str) -> bool:
    """Whether white space is in a text."""
    size: i64 = len(text)
    index: i64 = 0
    while index < size:
        if ord(text[index]) <= 0x20:
            return True
        index += 1
    return False


_REPLACE = str.maketrans("\t\r\n", "   ")


def collapsed(text: str, whitespace: i64) -> str:
    """A text as a whiteSpace facet leaves it (XML Schema part 2, 4.3.6)."""
    if whitespace == PRESERVE or not any_space(text):
        return text
    text = text.translate(_REPLACE)
    return " ".join([part for part in text.split(" ") if part]) if whitespace == COLLAPSE else text
