"""Attributes on their way out: declared ones, those of wildcards, xsi:type and xsi:nil, and namespaces.

`AttributeWriter` picks the production for each attribute (8.5.4.1.4, 8.5.4.4.1). A typed value is written
speculatively: code first, then the value; if the text turns out to be no value of the type, the writer
rewinds and the untyped production is taken.
"""

from __future__ import annotations

from typing import Any, Final

from .bits import BitWriter, bits_for
from .channels import BlockWriter
from .codewriter import CodeWriter, plain
from .datatypes import CHARSET, Datatype, write_string, write_value
from .errors import EncodeError
from .events import AT_ANY, AT_NIL, AT_TYPE, AT_UNTYPED, NS
from .grammars import View
from .lexical import WHITESPACE
from .names import XMLNS_URI, XSD_URI, XSI_NIL, XSI_TYPE, XSI_URI, QName, attribute_order, clark, split_clark
from .options import Options
from .states import FRAGMENT_CONTENT, Production
from .tables import Tables

XSI_SCHEMA_HINTS: Final = (f"{{{XSI_URI}}}schemaLocation", f"{{{XSI_URI}}}noNamespaceSchemaLocation")

KEPT_ORDERS: Final = 1000  # sets of attribute names whose order is kept …
KEPT_NAMES: Final = 30  # … if they have no more names than this


class AttributeWriter(CodeWriter):
    """The writing of values, and of everything that a start tag holds beside its name."""

    def __init__(self, view: View, options: Options, tables: Tables, writer: BitWriter) -> None:
        super().__init__(view, options, tables, writer)
        self.sorted = view.grammars.schema_informed
        self.orders: dict[tuple[Any, ...], list[str]] = {}
        self.local_hits = options.local_value_partitions
        self.block: BlockWriter | None = None
        if options.is_reordered:
            self.block = BlockWriter(options, writer)

    def write(self, datatype: Datatype, text: str, qname: QName) -> bool:
        """One value, now or with its channel; False if the text is no value of the type."""
        if self.block is not None:
            return self.block.add(self, datatype, text, qname)
        return write_value(
            self.writer, self.tables.values, datatype, text, qname, self.local_hits, self.journal
        )

    def attributes(self, values: dict[Any, Any], prefixes: dict[str, str] | None = None) -> None:
        """All AT events of one element but xsi:type; they are put in the order the grammar wants.

        `values` maps names to values. What is no string in it raises `EncodeError`.
        """
        names: tuple[Any, ...] = tuple(values)
        order = self.orders.get(names)
        if order is None:
            order = self.in_order(names)
        for tag in order:
            value: Any = values[tag]
            if not isinstance(value, str):
                raise EncodeError(f"the attribute {tag} must be a string, not {value!r:.40}{self.where()}")
            self.attribute(tag, value, "" if prefixes is None else prefixes.get(tag, ""))

    def in_order(self, names: tuple[Any, ...]) -> list[str]:
        """Attributes as the grammar wants them; without a schema only xsi:nil goes first (table 4-2).

        Elements of a kind mostly have the same attributes in the same order, so the answer is kept.
        """
        keyed: list[tuple[str, int, str]] = []
        for place, tag in enumerate(names):
            if not isinstance(tag, str):
                raise EncodeError(f"an attribute's name must be a string, not {tag!r:.40}{self.where()}")
            uri, local = split_clark(tag)
            key = attribute_order(uri, local)
            keyed.append((key if self.sorted or not key else "-", place, tag))
        order = [tag for _, _, tag in sorted(keyed) if tag != XSI_TYPE]
        if len(names) <= KEPT_NAMES:
            if len(self.orders) >= KEPT_ORDERS:
                self.orders.clear()
            self.orders[names] = order
        return order

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
        if datatype.kind <= CHARSET and not self.prefixes:
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
        if tag == "xmlns" or uri == XMLNS_URI:
            raise EncodeError(f"a namespace declaration is no attribute{self.where()}")
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

    def try_undeclared(
        self, production: Production | None, tag: str, uri: str, local: str,
        datatype: Datatype, value: str, prefix: str,
    ) -> bool:  # fmt: skip
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
                qname = self.write_local(space, plain(local))
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
        self.write_xsi_type(uri, local, prefix, value_prefix, text, self.profile and self.must_leave())

    def write_xsi_type(
        self, uri: str, local: str, prefix: str, value_prefix: str, text: str, forced: bool
    ) -> None:
        """The event, its value and the switch to the type's grammar (8.5.4.4)."""
        self.xsi_type_event(forced)
        self.tag_only = False
        if self.prefixes:
            self.write_prefix(XSI_URI, prefix)
        names = self.tables.names
        if self.view.lexical:
            found = names.find(XSI_TYPE)
            assert found is not None
            values = self.tables.values
            write_string(self.writer, values, self.view.untyped, text, found, self.local_hits, self.journal)
            # Without the declarations a prefix means nothing to the decoder: the value is all local name (8.5.4.4.1).
            named = names.find(clark(uri, local) if self.prefixes else text.strip(WHITESPACE))
        else:
            named = self.write_local(self.write_uri(uri), local)
            if self.prefixes:
                self.write_prefix(uri, value_prefix)
        if named is not None and named.type_state >= 0:
            self.state = self.view.state(int(named.type_state))

    def xsi_type_event(self, forced: bool) -> None:
        """The event code, and the name where a wildcard needs it; `forced` is the EXI Profile's doing."""
        state = self.state
        if state.second_code[AT_TYPE] >= 0:
            self.second(AT_TYPE, "xsi:type")
            return
        learned = None if forced else state.attributes.get(XSI_TYPE)
        if learned is not None:
            self.first(learned)
            return
        if not state.builtin:
            # Where a schema is in effect, AT(*) must not stand for xsi:type (8.5.4.4.1, 8.5.3).
            raise EncodeError(f"xsi:type cannot be carried here{self.where()}")
        self.second(AT_ANY, "xsi:type")
        qname = self.write_qname(XSI_TYPE)
        if self.profile and state.count == 0:
            self.stop(state)
        self.learn_attribute(state, qname)

    def xsi_nil(self, value: str, prefix: str) -> bool:
        """AT(xsi:nil) in a schema-informed state; False if it has to go as an ordinary attribute."""
        state = self.state
        nil = value.strip(WHITESPACE)
        if nil not in ("true", "1", "false", "0"):
            return self.untyped_nil(value, prefix)
        if state.second_code[AT_NIL] >= 0:
            self.second(AT_NIL, "xsi:nil")
        elif self.strict and nil in ("false", "0"):
            return True  # says nothing, and strict grammars have no place for it
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
        if len(space.prefixes) >= self.max_prefixes and prefix not in space.prefixes:
            raise EncodeError(f"more than {self.max_prefixes} prefixes of the namespace {uri[:80]!r}")
        index = space.prefixes.index(prefix) if prefix in space.prefixes else -1
        self.writer.bits(index + 1, bits_for(len(space.prefixes) + 1))
        if index < 0:
            self.writer.string(prefix)
            self.tables.names.add_prefix(space, prefix, self.journal)
        self.writer.bits(1 if of_element else 0, 1)
