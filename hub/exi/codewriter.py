"""Event codes and names, on their way out: what every event of a `BodyEncoder` begins with.

`CodeWriter` knows where the encoder stands (the state, the open elements) and how to write an event code of
one or two parts and a qualified name as hits or misses. Which event to write is the business of `encoder`.
"""

from __future__ import annotations

from typing import Final

from .bits import BitWriter, bits_for
from .datatypes import NO_XML_CHARACTER
from .errors import EncodeError
from .events import AT
from .grammars import View
from .names import XSI_TYPE, NameSpace, QName, is_name, split_clark
from .native import i64
from .options import Options
from .states import BUILTIN_TAG, FRAGMENT_CONTENT, Production, State
from .tables import Tables

SHOWN_LEVELS: Final = 6  # innermost elements that a message names


def plain(local: str) -> str:
    """The local name of an element or attribute: only a value of xsi:type may have a colon."""
    if ":" in local:
        raise EncodeError(f"{local[:40]!r} is no name")
    return local


def checked(text: str, what: str) -> str:
    """A text that will have to stand in XML as it is."""
    if not text.isprintable() and NO_XML_CHARACTER.search(text):
        raise EncodeError(f"{what} has characters that XML does not allow")
    return text


class CodeWriter:
    """The position in the grammar, and the writing of codes and names."""

    def __init__(self, view: View, options: Options, tables: Tables, writer: BitWriter) -> None:
        self.view = view
        self.options = options
        self.tables = tables
        self.journal = tables.journal
        self.writer = writer
        self.strict = view.strict
        self.prefixes = "prefixes" in options.preserve
        self.max_prefixes: i64 = options.limits.prefixes
        self.profile = view.grammars.schema_informed and options.limits_builtin_grammars
        self.state = tables.root(options.fragment)
        self.qname: QName | None = None
        self.stack: list[State] = []
        self.qnames: list[QName | None] = []
        self.tag_only = False  # nothing has followed the start of the element, not even an attribute

    # --- codes ----------------------------------------------------------------------------------------------

    def first(self, production: Production) -> None:
        """The event code of one part."""
        state = self.state
        code = production.code
        if state.builtin:
            code = state.count - 1 - code
        if state.width:
            self.writer.bits(code, state.width)

    def second(self, event: i64, what: str) -> None:
        """An event code of two parts; refuses if the options leave no such event here."""
        state = self.state
        code = state.second_code[event]
        if code < 0:
            raise EncodeError(f"{what} cannot be carried here{self.where()}")
        self.writer.bits(state.count, state.width)
        self.writer.bits(code, state.second_width)

    def where(self) -> str:
        """For messages: the path of open elements and the mode."""
        names = [qname.tag for qname in self.qnames if qname is not None]
        if self.qname is not None:
            names.append(self.qname.tag)
        if len(names) > SHOWN_LEVELS:
            names = [names[0], "…", *names[-SHOWN_LEVELS:]]
        mode = " (strict)" if self.strict else ""
        return f" in {'/'.join(names) or 'the document'}{mode}"

    # --- names ----------------------------------------------------------------------------------------------

    def write_uri(self, uri: str) -> NameSpace:
        """A URI as hit or miss (7.3.2)."""
        names = self.tables.names
        space = names.space(uri)
        width = bits_for(len(names.spaces) + 1)
        if space is None:
            self.writer.bits(0, width)
            self.writer.string(checked(uri, f"the URI {uri[:40]!r}"))
            return names.add_uri(uri, self.journal)
        self.writer.bits(space.uri_id + 1, width)
        return space

    def write_local(self, space: NameSpace, local: str) -> QName:
        """A local name as hit or miss (7.3.3)."""
        qname = space.by_local.get(local)
        if qname is None:
            if not is_name(local):
                raise EncodeError(f"{local[:40]!r} is no name")
            self.writer.unsigned(len(local) + 1)
            self.writer.characters(local)
            return self.tables.names.add_local(space, local, self.journal)
        self.writer.unsigned(0)
        self.writer.bits(qname.local_id, bits_for(len(space.names)))
        return qname

    def write_qname(self, tag: str) -> QName:
        """A qualified name (7.1.7), without its prefix."""
        uri, local = split_clark(tag)
        return self.write_local(self.write_uri(uri), plain(local))

    def write_prefix(self, uri: str, prefix: str) -> None:
        """The prefix of a qualified name, if prefixes are preserved and there is a choice."""
        space = self.tables.names.space(uri)
        if space is None or len(space.prefixes) < 2:
            return
        index = space.prefixes.index(prefix) if prefix in space.prefixes else 0
        self.writer.bits(index, bits_for(len(space.prefixes)))

    # --- built-in grammars ---------------------------------------------------------------------------------

    def learn(self, state: State, production: Production) -> None:
        """Teach a built-in grammar a production, as the decoder will."""
        if state.kind == FRAGMENT_CONTENT:
            state.learn(production, self.journal)  # gone with the body, and not for the EXI Profile to count
        else:
            self.tables.learn(state, production)

    def learn_attribute(self, state: State, qname: QName) -> None:
        """Remember AT(qname) in a built-in grammar (8.4.3)."""
        if state.knows(qname.tag):
            return
        production = Production(AT, 0)
        production.qname = qname
        production.datatype = self.view.untyped
        production.next = state
        self.learn(state, production)

    # --- EXI Profile ---------------------------------------------------------------------------------------

    def stop(self, state: State) -> None:
        """Use nothing that a built-in grammar learns from here on."""
        if not state.stopped:
            self.journal.changed(state, "stopped", False)
            state.stopped = True

    def must_leave(self) -> bool:
        """Whether the built-in grammar has to be left by way of xsi:type (EXI Profile 2.1 and 2.2)."""
        state = self.state
        if not state.builtin or state.kind != BUILTIN_TAG:
            return False
        grammars = self.options.max_builtin_element_grammars
        fresh = state.count == 0 or (state.count == 1 and state.knows(XSI_TYPE))
        if fresh and grammars is not None and len(self.tables.builtin) > grammars:
            return True
        productions = self.options.max_builtin_productions
        return productions is not None and self.tables.learned >= productions and self.tag_only
