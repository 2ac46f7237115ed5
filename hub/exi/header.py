"""The EXI header: cookie, distinguishing bits, version and the options document (section 5).

The options document is itself EXI: strict, bit-packed, under the grammar of its own schema (appendix C),
which is written down here in the schema model and compiled like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final
from xml.etree import ElementTree as ET

from .bits import BitReader, BitWriter
from .compiler import Compiler
from .decoder import BodyDecoder
from .elements import encode_document
from .encoder import BodyEncoder
from .errors import DecodeError, SchemaError
from .grammars import REPRESENTATIONS, Grammars, View
from .model import CHOICE, SEQUENCE, Element, Group, Particle, Schema, Type, Wildcard
from .names import EXI_URI, XSD_URI, XSI_NIL, XSI_TYPE, clark
from .options import BIT_PACKED, BYTE_PACKED, COMPRESSION, PRE_COMPRESSION, Limits, Options
from .sinks import ElementSink
from .tables import Tables

COOKIE: Final = b"$EXI"
VERSION: Final = 1  # final version 1; the only one there is (5.3)

_PRESERVE: Final = (
    ("dtd", "dtd"), ("prefixes", "prefixes"), ("lexicalValues", "lexical"), ("comments", "comments"), ("pis",
    "pis"),
)  # fmt: skip
_DECIMAL: Final = clark(XSD_URI, "decimal")
HEADER_OPTIONS: Final = Options(strict=True)


@dataclass(frozen=True)
class Header:
    """What a header said: the options document, if there was one, and whether its schemaId was nil."""

    cookie: bool
    options: Options | None
    schema_less: bool  # schemaId is nil: no schema at all
    size: int  # bits before the body


def exi(local: str) -> str:
    """A name of the options document."""
    return clark(EXI_URI, local)


# --- the schema of the options document (appendix C) --------------------------------------------------------


def _sequence(*particles: Particle) -> Type:
    return Type(particle=Particle(Group(SEQUENCE, list(particles))))


def _optional(local: str, type_: Type | None = None, nillable: bool = False) -> Particle:
    return Particle(Element(exi(local), type_ or Type(), nillable), 0, 1)


@cache
def options_grammars() -> Grammars:
    """The grammars of the options document."""
    from .builtins import builtin_types

    types = builtin_types()
    string, base = types[clark(XSD_URI, "string")], types[clark(XSD_URI, "unsignedInt")]
    # The numbers have anonymous types, so that no xsi:type can be offered in front of them.
    unsigned = Type(None, base, base.datatype, simple=True)
    # Named types of the schema: the datatype representations (7.4). They matter as names in the string table.
    named = [Type(exi(local), types[clark(XSD_URI, local)], types[clark(XSD_URI, local)].datatype,
    simple=True)
             for local in REPRESENTATIONS]  # fmt: skip
    anything = Particle(Wildcard())
    alignment = Type(particle=Particle(Group(CHOICE, [
        Particle(Element(exi("byte"), Type())), Particle(Element(exi("pre-compress"), Type())),
    ])))  # fmt: skip
    representation = Element(exi("datatypeRepresentationMap"), _sequence(anything, anything))
    uncommon = _sequence(
        Particle(Wildcard(), 0, None),
        _optional("alignment", alignment),
        _optional("selfContained"),
        _optional("valueMaxLength", unsigned),
        _optional("valuePartitionCapacity", unsigned),
        Particle(representation, 0, None),
    )
    less_common = _sequence(
        _optional("uncommon", uncommon),
        _optional("preserve", _sequence(*(_optional(local) for local, _ in _PRESERVE))),
        _optional("blockSize", unsigned),
    )
    common = _sequence(
        _optional("compression"), _optional("fragment"), _optional("schemaId", string, nillable=True)
    )
    root = _sequence(_optional("lesscommon", less_common), _optional("common", common), _optional("strict"))
    schema = Schema([Element(exi("header"), root)], [], [*types.values(), *named], {EXI_URI})
    return Compiler(schema).compile()


@cache
def _options_view() -> View:
    return options_grammars().view(HEADER_OPTIONS)


# --- writing ------------------------------------------------------------------------------------------------


def write_header(writer: BitWriter, options: Options, schema_less: bool) -> None:
    """The header; `writer` is bit-packed and stands at its start."""
    if options.cookie:
        writer.octets(COOKIE)
    writer.bits(0b10, 2)  # distinguishing bits (5.2)
    writer.bits(1 if options.header_options else 0, 1)
    writer.bits(0, 1)  # no preview version
    writer.bits(VERSION - 1, 4)
    if options.header_options:
        view = _options_view()
        encoder = BodyEncoder(view, HEADER_OPTIONS, Tables(view, HEADER_OPTIONS), writer)
        encode_document(encoder, [options_document(options, schema_less)])
    if options.alignment != BIT_PACKED:
        writer.align()


def options_document(options: Options, schema_less: bool) -> ET.Element:
    """The options document: only what differs from the defaults (5.4)."""
    root = ET.Element(exi("header"))
    less_common = ET.Element(exi("lesscommon"))
    uncommon = _uncommon(options)
    if len(uncommon):
        less_common.append(uncommon)
    if options.preserve:
        preserve = ET.SubElement(less_common, exi("preserve"))
        for local, name in _PRESERVE:
            if name in options.preserve:
                ET.SubElement(preserve, exi(local))
    if options.block_size != 1_000_000:
        ET.SubElement(less_common, exi("blockSize")).text = str(options.block_size)
    if len(less_common):
        root.append(less_common)
    common = ET.Element(exi("common"))
    if options.alignment == COMPRESSION:
        ET.SubElement(common, exi("compression"))
    if options.fragment:
        ET.SubElement(common, exi("fragment"))
    if options.schema_id is not None:
        schema_id = ET.SubElement(common, exi("schemaId"))
        if schema_less:
            schema_id.set(XSI_NIL, "true")
        else:
            schema_id.text = options.schema_id
    if len(common):
        root.append(common)
    if options.strict:
        ET.SubElement(root, exi("strict"))
    return root


def _uncommon(options: Options) -> ET.Element:
    """The rarely used options."""
    uncommon = ET.Element(exi("uncommon"))
    if options.has_profile:
        profile = ET.SubElement(uncommon, exi("p"))
        profile.set(XSI_TYPE, _DECIMAL)
        profile.text = profile_value(options)
    if options.alignment in (BYTE_PACKED, PRE_COMPRESSION):
        alignment = ET.SubElement(uncommon, exi("alignment"))
        ET.SubElement(alignment, exi("byte" if options.alignment == BYTE_PACKED else "pre-compress"))
    if options.self_contained:
        ET.SubElement(uncommon, exi("selfContained"))
    for local, value in (
        ("valueMaxLength", options.value_max_length),
        ("valuePartitionCapacity", options.value_partition_capacity),
    ):
        if value is not None:
            ET.SubElement(uncommon, exi(local)).text = str(value)
    # Section 5.4: the map has no effect, and is not sent, when lexical values are preserved.
    for type_, representation in (
        () if "lexical" in options.preserve else options.datatype_representations.items()
    ):
        entry = ET.SubElement(uncommon, exi("datatypeRepresentationMap"))
        ET.SubElement(entry, type_)
        ET.SubElement(entry, representation)
    return uncommon


def profile_value(options: Options) -> str:
    """The EXI Profile's p element: three parameters in one decimal (EXI Profile 3).

    The sign is localValuePartitions, the integral part one more than maximumNumberOfBuiltInElementGrammars,
    the fraction, reversed, one more than maximumNumberOfBuiltInProductions; 0 is unbounded.
    """
    grammars, productions = options.max_builtin_element_grammars, options.max_builtin_productions
    integral = 0 if grammars is None else grammars + 1
    fraction = 0 if productions is None else productions + 1
    return f"{'-' if options.local_value_partitions else ''}{integral}.{str(fraction)[::-1]}"


# --- reading ------------------------------------------------------------------------------------------------


def read_header(data: bytes, given: Options) -> Header:
    """Read the header of a stream; `given` says what the options document leaves open, and the limits."""
    cookie = data[:4] == COOKIE
    limits = given.limits
    reader = BitReader(data, False, limits.integer_bits, limits.string_length)
    if cookie:
        reader.pos = 32
    if reader.bits(2) != 0b10:
        raise DecodeError("expected the distinguishing bits 10 of an EXI header", int(reader.pos) - 2)
    present = reader.bits(1) == 1
    if reader.bits(1):
        raise DecodeError("expected a final version of the format, found a preview", int(reader.pos) - 1)
    version = 1
    while True:
        part = int(reader.bits(4))
        version += part
        if part != 15 or version > 64:
            break
    if version != VERSION:
        raise DecodeError(f"expected version {VERSION} of the format, found {version}", int(reader.pos))
    options: Options | None = None
    nil = False
    alignment = given.alignment
    if present:
        root = _read_document(reader, limits)
        try:
            options, nil = parse_document(root, given)
        except (SchemaError, ValueError) as error:
            raise DecodeError(f"expected a usable options document: {error}", int(reader.pos)) from None
        alignment = options.alignment
    if alignment != BIT_PACKED:
        reader.align()
    return Header(cookie, options, nil, int(reader.pos))


def _read_document(reader: BitReader, limits: Limits) -> ET.Element:
    view = _options_view()
    sink = ElementSink()
    options = Options(strict=True, limits=limits)
    BodyDecoder(view, options, Tables(view, options), reader, sink).run()
    return sink.roots[0]


def parse_document(root: ET.Element, given: Options) -> tuple[Options, bool]:
    """(options, schemaId is nil) of an options document; what it does not say has its default (5.4)."""
    if root.tag != exi("header"):
        raise DecodeError(f"expected the element header, found {root.tag}")
    changes: dict[str, object] = {"cookie": given.cookie, "header_options": True, "limits": given.limits}
    changes["strict"] = root.find(exi("strict")) is not None
    common = root.find(exi("common"))
    nil = False
    if common is not None:
        changes["fragment"] = common.find(exi("fragment")) is not None
        if common.find(exi("compression")) is not None:
            changes["alignment"] = COMPRESSION
        schema_id = common.find(exi("schemaId"))
        if schema_id is not None:
            nil = schema_id.get(XSI_NIL) in ("true", "1")
            changes["schema_id"] = None if nil else schema_id.text or ""
    less_common = root.find(exi("lesscommon"))
    if less_common is not None:
        _parse_less_common(less_common, changes, given)
    return Options(**changes), nil  # type: ignore[arg-type]  # each was read as the type of its field


def _parse_less_common(less_common: ET.Element, changes: dict[str, object], given: Options) -> None:
    preserve = less_common.find(exi("preserve"))
    if preserve is not None:
        kept = {name for local, name in _PRESERVE if preserve.find(exi(local)) is not None}
        changes["preserve"] = frozenset(kept)
    block_size = less_common.findtext(exi("blockSize"))
    if block_size is not None:
        changes["block_size"] = int(block_size)
    uncommon = less_common.find(exi("uncommon"))
    if uncommon is None:
        return
    alignment = uncommon.find(exi("alignment"))
    if alignment is not None:
        if "alignment" in changes:
            raise DecodeError("expected either an alignment or compression, found both")
        changes["alignment"] = BYTE_PACKED if alignment.find(exi("byte")) is not None else PRE_COMPRESSION
    if uncommon.find(exi("selfContained")) is not None:
        # A decoder need not know which elements are self-contained, only that some may be.
        changes["self_contained"] = given.self_contained or ("*",)
    for local, name in (
        ("valueMaxLength", "value_max_length"),
        ("valuePartitionCapacity", "value_partition_capacity"),
    ):
        text = uncommon.findtext(exi(local))
        if text is not None:
            changes[name] = int(text)
    entries = [list(entry) for entry in uncommon.findall(exi("datatypeRepresentationMap"))]
    if entries:
        changes["datatype_representations"] = {entry[0].tag: entry[1].tag for entry in entries}
    profile = uncommon.findtext(exi("p"))
    if profile is not None:
        _parse_profile(profile, changes)


def _parse_profile(text: str, changes: dict[str, object]) -> None:
    """The EXI Profile's parameters; a value that is no decimal is somebody else's metadata."""
    from .lexical import parse_decimal

    parsed = parse_decimal(text)
    if parsed is None:
        return
    negative, integral, fraction = parsed
    changes["local_value_partitions"] = negative
    changes["max_builtin_element_grammars"] = integral - 1 if integral else None
    changes["max_builtin_productions"] = fraction - 1 if fraction else None
