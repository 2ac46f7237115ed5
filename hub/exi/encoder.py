"""Events in, bits out: `BodyEncoder` writes one EXI body (section 6) under any grammar and any alignment.

The caller tells the events of one document in order; the encoder picks, for each, the production with the
shortest event code that can carry it: a declared one, a wildcard, then what second and third parts offer
(8.5.4.4). What no production carries raises `EncodeError`.

A typed value is written speculatively: code first, then the value; if the text turns out to be no value of
the type, the writer rewinds and the untyped production is taken. In the reordered alignments the structure
goes straight to the writer and values wait in `channels` until their block is full.
"""

from __future__ import annotations

from .bits import BitWriter, bits_for
from .channels import BlockWriter
from .codewriter import CodeWriter
from .datatypes import COLLAPSE, PRESERVE, Datatype, write_string, write_value
from .errors import EncodeError
from .events import (
    AT_ANY,
    AT_NIL,
    AT_TYPE,
    AT_UNTYPED,
    CH,
    CH_ANY,
    CM_PI,
    DT,
    EE,
    ER,
    NS,
    SC,
    SE,
    SE_ANY,  # fmt: skip
)
from .grammars import View
from .lexical import WHITESPACE
from .names import XSD_URI, XSI_NIL, XSI_TYPE, XSI_URI, QName, attribute_order, split_clark
from .native import i64
from .options import Options
from .states import FRAGMENT_CONTENT, LEARNED_END, LEARNED_TEXT, Production, State
from .tables import Tables

XSI_SCHEMA_HINTS = (f"{{{XSI_URI}}}schemaLocation", f"{{{XSI_URI}}}noNamespaceSchemaLocation")


class BodyEncoder(CodeWriter):
    """Writes the events of one body."""

    def __init__(self, view: View, options: Options, tables: Tables, writer: BitWriter) -> None:
        super().__init__(view, options, tables, writer)
        self.sorted = view.grammars.schema_informed
        self.local_hits = options.local_value_partitions
        self.block: BlockWriter | None = None
        if options.is_reordered:
            self.block = BlockWriter(options, writer)
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
                return self.write_local(space, local), self.view.next_state(production)
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
        """ED, and the values of the last block."""
        production = self.state.end
        if production is None:
            raise EncodeError("the document has no root element")
        self.first(production)
        if self.block is not None:
            self.block.finish(self)

    # --- attributes -----------------------------------------------------------------------------------------

    def attributes(self, items: list[tuple[str, str]], prefixes: dict[str, str] | None = None) -> None:
        """All AT events of one element as (name, value); they are put in the order the grammar wants."""
        if len(items) > 1:
            items = self.in_order(items)
        for tag, value in items:
            self.attribute(tag, value, "" if prefixes is None else prefixes.get(tag, ""))

    def in_order(self, items: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Attributes as the grammar wants them; without a schema only xsi:nil goes first (table 4-2)."""
        keys: list[str] = []
        ordered: list[tuple[str, str]] = []
        shared = self.tables.names.shared_by_tag
        for item in items:
            qname = shared.get(item[0])
            if not self.sorted:
                key = "" if item[0] == XSI_NIL else "-"
            elif qname is not None:
                key = qname.order
            else:
                uri, local = split_clark(item[0])
                key = attribute_order(uri, local)
            place = len(keys)
            while place > 0 and keys[place - 1] > key:
                place -= 1
            keys.insert(place, key)
            ordered.insert(place, item)
        return ordered

    def attribute(self, tag: str, value: str, prefix: str = "") -> None:
        """One AT event; xsi:type goes through `xsi_type` instead."""
        state = self.state
        if self.profile:
            self.attribute_restrained(tag)
            state = self.state
            self.tag_only = False
        production = state.attributes.get(tag)
        if production is None:
            if tag == XSI_NIL and not state.builtin and self.xsi_nil(value, prefix):
                return
            self.attribute_undeclared(tag, value, prefix)
            return
        qname = production.qname
        assert qname is not None
        datatype = production.datatype if production.datatype is not None else self.view.untyped
        if datatype.kind <= 1 and not self.prefixes:
            self.first(production)
            self.write(datatype, value, qname)
        elif not self.typed_attribute(production, datatype, qname, value, prefix):
            if state.second_code[AT_UNTYPED] < 0:
                raise EncodeError(f"the attribute {tag} cannot have the value {value!r}{self.where()}")
            self.second(AT_UNTYPED, f"the attribute {tag}")
            self.writer.bits(production.code, state.attribute_width)
            if self.prefixes:
                self.write_prefix(qname.uri, prefix)
            self.write(self.view.untyped, value, qname)
        if production.next is not None:
            self.state = production.next
        else:
            self.state = self.view.next_state(production)

    def restrain(self) -> None:
        """Before a built-in grammar would evolve: leave it, or use nothing new, if the EXI Profile says so.

        The decoder needs to know nothing of this. It learns as ever; the encoder makes sure that not more
        than the agreed grammars and productions are ever used again.
        """
        state = self.state
        if not self.profile or not state.builtin or state.kind == FRAGMENT_CONTENT:
            return
        productions = self.options.max_builtin_productions
        if self.must_leave():
            self.write_xsi_type(XSD_URI, "anyType", "", "", "xsd:anyType", True)
        elif productions is not None and self.tables.learned >= productions:
            self.stop(state)

    def attribute_restrained(self, tag: str) -> None:
        """The EXI Profile wants a say before an attribute is learned."""
        if tag not in self.state.attributes:
            self.restrain()

    def typed_attribute(self, production: Production, datatype: Datatype, qname: QName, value: str,
                        prefix: str) -> bool:  # fmt: skip
        """AT(qname) with a value of its type; False, and nothing written, if the value is none."""
        mark = self.writer.mark()
        self.first(production)
        if self.prefixes:
            self.write_prefix(qname.uri, prefix)
        if self.write(datatype, value, qname):
            return True
        self.writer.rewind(mark)
        return False

    def attribute_undeclared(self, tag: str, value: str, prefix: str) -> None:
        """AT(uri:*), AT(*) or an undeclared AT(*); a global declaration gives the type (8.5.4.4.1)."""
        if self.strict and tag in XSI_SCHEMA_HINTS and self.state.any_attribute is None:
            return  # hints for a validator; strict grammars have no place for them
        state = self.state
        uri, local = split_clark(tag)
        production = state.attribute_spaces.get(uri)
        if production is None:
            production = state.any_attribute
        datatype = self.view.untyped
        known = self.tables.names.find(tag)
        if known is not None and known.attribute_type >= 0 and not state.builtin:
            datatype = self.view.datatype(int(known.attribute_type))
        if not self.try_undeclared(production, tag, uri, local, datatype, value, prefix):
            if state.second_code[AT_UNTYPED] < 0:
                raise EncodeError(f"the attribute {tag} cannot have the value {value!r}{self.where()}")
            self.second(AT_UNTYPED, f"the attribute {tag}")
            self.writer.bits(state.attribute_count, state.attribute_width)
            self.finish_undeclared(self.write_qname(tag), self.view.untyped, value, prefix)
        if production is not None:
            self.state = self.view.next_state(production)

    def try_undeclared(self, production: Production | None, tag: str, uri: str, local: str, datatype:
    Datatype,
                       value: str, prefix: str) -> bool:  # fmt: skip
        """Write the attribute with this type; False, and nothing written, if the value is none of it."""
        mark = self.writer.mark()
        notes = len(self.journal.notes)
        state = self.state
        if production is None:
            self.second(AT_ANY, f"the attribute {tag}")
            qname = self.write_qname(tag)
        else:
            self.first(production)
            if production.space is not None:
                space = self.tables.names.space(uri)
                assert space is not None
                qname = self.write_local(space, local)
            else:
                qname = self.write_qname(tag)
        if not self.finish_undeclared(qname, datatype, value, prefix):
            self.writer.rewind(mark)
            self.journal.rollback(notes)
            return False
        if production is None and state.builtin:
            self.learn_attribute(state, qname)
        return True

    def finish_undeclared(self, qname: QName, datatype: Datatype, value: str, prefix: str) -> bool:
        """The rest of an attribute whose name has just been written."""
        if self.prefixes:
            self.write_prefix(qname.uri, prefix)
        return self.write(datatype, value, qname)

    def xsi_type(
        self, uri: str, local: str, prefix: str = "", value_prefix: str = "", text: str = ""
    ) -> None:
        """AT(xsi:type) with the name it stands for; must come before all other attributes."""
        if self.view.lexical and not self.prefixes and uri:
            raise EncodeError(
                "xsi:type needs preserve prefixes beside lexical: its prefix would mean nothing"
            )
        self.write_xsi_type(uri, local, prefix, value_prefix, text, self.profile and self.must_leave())

    def write_xsi_type(
        self, uri: str, local: str, prefix: str, value_prefix: str, text: str, forced: bool
    ) -> None:
        """The event, its value and the switch to the type's grammar (8.5.4.4)."""
        state = self.state
        writer = self.writer
        if state.second_code[AT_TYPE] >= 0:
            self.second(AT_TYPE, "xsi:type")
        else:
            production = None if forced else state.attributes.get(XSI_TYPE)
            if production is not None:
                self.first(production)
            else:
                production = state.any_attribute
                if production is not None:
                    self.first(production)
                else:
                    self.second(AT_ANY, "xsi:type")
                qname = self.write_qname(XSI_TYPE)
                if production is None and state.builtin:
                    if self.profile and state.count == 0:
                        self.stop(state)
                    self.learn_attribute(state, qname)
        self.tag_only = False
        if self.prefixes:
            self.write_prefix(XSI_URI, prefix)
        names = self.tables.names
        if self.view.lexical:
            found = names.find(XSI_TYPE)
            assert found is not None
            values = self.tables.values
            partition = values.partition(found)
            write_string(writer, values, self.view.untyped, text, partition, self.local_hits, self.journal)
            named = names.find(f"{{{uri}}}{local}" if uri else local)
        else:
            named = self.write_local(self.write_uri(uri), local)
            if self.prefixes:
                self.write_prefix(uri, value_prefix)
        if named is not None and named.type_state >= 0:
            self.state = self.view.state(int(named.type_state))

    def xsi_nil(self, value: str, prefix: str) -> bool:
        """AT(xsi:nil) in a schema-informed state; False if it has to go as an ordinary attribute."""
        state = self.state
        nil = value.strip(WHITESPACE)
        if nil not in ("true", "1", "false", "0"):
            return self.untyped_nil(value, prefix)
        if state.second_code[AT_NIL] >= 0:
            self.second(AT_NIL, "xsi:nil")
        elif state.any_attribute is not None:
            self.first(state.any_attribute)
            self.write_qname(XSI_NIL)
        elif self.strict and nil in ("false", "0"):
            return (
                True  # says nothing; strict grammars of elements that are not nillable have no place for it
            )
        else:
            raise EncodeError(f"xsi:nil cannot be carried here{self.where()}")
        if self.prefixes:
            self.write_prefix(XSI_URI, prefix)
        qname = self.tables.names.find(XSI_NIL)
        assert qname is not None
        write_value(
            self.writer, self.tables.values, self.view.boolean, value, qname, self.local_hits, self.journal
        )
        if nil in ("true", "1") and state.empty_id >= 0:
            self.state = self.view.state(int(state.empty_id))
        return True

    def untyped_nil(self, value: str, prefix: str) -> bool:
        """AT(*)[untyped], the only place for an xsi:nil that is no boolean."""
        state = self.state
        self.second(AT_UNTYPED, f"xsi:nil {value!r}")
        self.writer.bits(state.attribute_count, state.attribute_width)
        return self.finish_undeclared(self.write_qname(XSI_NIL), self.view.untyped, value, prefix)

    def namespace(self, prefix: str, uri: str, of_element: bool) -> None:
        """NS; only written if prefixes are preserved (7.1.7, 8.5.4.4)."""
        if not self.prefixes:
            return
        self.second(NS, f"the namespace declaration of {prefix!r}")
        space = self.write_uri(uri)
        index = space.prefixes.index(prefix) if prefix in space.prefixes else -1
        self.writer.bits(index + 1, bits_for(len(space.prefixes) + 1))
        if index < 0:
            self.writer.string(prefix)
            self.tables.names.add_prefix(space, prefix, self.journal)
        self.writer.bits(1 if of_element else 0, 1)

    # --- values ---------------------------------------------------------------------------------------------

    def write(self, datatype: Datatype, text: str, qname: QName) -> bool:
        """One value, now or with its channel; False if the text is no value of the type."""
        if self.block is not None:
            return self.block.add(self, datatype, text, qname)
        return write_value(
            self.writer, self.tables.values, datatype, text, qname, self.local_hits, self.journal
        )

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
            if declared is not None and declared.event == CH:
                datatype = declared.datatype
                if datatype is not None and datatype.whitespace != PRESERVE:
                    text = (
                        " ".join(text.split())
                        if datatype.whitespace == COLLAPSE
                        else text.translate(_REPLACE)
                    )
                    if not text and self.state.second_code[EE] >= 0:
                        return
            elif (
                not (self.open_tag and before_end)
                and not text.strip(WHITESPACE)
                and (declared is None or self.state.builtin)
            ):
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
        if datatype is None or datatype.kind <= 1:
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
        for part in (name, public, system, text):
            self.writer.string(part)

    def entity(self, name: str) -> None:
        """ER."""
        self.before_extra()
        self.second(ER, f"the entity reference {name}")
        self.writer.string(name)
        self.after_extra()

    def comment(self, text: str) -> None:
        """CM."""
        self.before_extra()
        self.second(CM_PI, "a comment")
        self.writer.bits(0, 1 if "pis" in self.options.preserve else 0)
        self.writer.string(text)
        self.after_extra()

    def instruction(self, target: str, data: str) -> None:
        """PI."""
        self.before_extra()
        self.second(CM_PI, "a processing instruction")
        both = "comments" in self.options.preserve
        self.writer.bits(1 if both else 0, 1 if both else 0)
        self.writer.string(target)
        self.writer.string(data)
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

    # --- self-contained elements (8.5.4.4, 6.?) -------------------------------------------------------------

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


_REPLACE = str.maketrans("\t\r\n", "   ")
