"""The functions of the package: whole streams with a header, from and to XML text and elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree as ET

from .bits import BitReader, BitWriter
from .compiler import xsd_types
from .decoder import BodyDecoder
from .elements import encode_document
from .encoder import BodyEncoder
from .errors import DecodeError, EncodeError, SchemaError
from .grammars import Grammars
from .header import read_header, write_header
from .options import BIT_PACKED, COMPRESSION, XSD_TYPES_ONLY, Options
from .sinks import ElementSink, Sink
from .stream import DEFAULTS, no_grammars
from .tables import Tables
from .xmlin import encode_xml
from .xmlout import XmlSink

Buffer = bytes | bytearray | memoryview


def _grammars(given: Grammars | None, schema_id: str | None) -> Grammars:
    """The grammars that a stream is to use: those given, or the ones that need not be given."""
    if schema_id == XSD_TYPES_ONLY:
        return xsd_types()
    return given or no_grammars()


def _encoder(grammars: Grammars | None, options: Options) -> BodyEncoder:
    """A body encoder whose writer already holds the header."""
    grammars = _grammars(grammars, options.schema_id)
    writer = BitWriter(False)
    write_header(writer, options, not grammars.schema_informed)
    writer.aligned = options.alignment != BIT_PACKED
    view = grammars.view(options)
    return BodyEncoder(view, options, Tables(view, options), writer)


def from_xml(data: bytes, grammars: Grammars | None = None, options: Options = DEFAULTS) -> bytes:
    """XML text → EXI stream. A fragment's text is its roots one after the other."""
    encoder = _encoder(grammars, options)
    encode_xml(encoder, data, options.fragment)
    return encoder.writer.take()


def encode(
    element: ET.Element | Sequence[ET.Element], grammars: Grammars | None = None, options: Options = DEFAULTS
) -> bytes:
    """Element → EXI stream; a sequence of elements with a fragment."""
    several = isinstance(element, Sequence) and not hasattr(element, "tag")
    roots: list[Any] = list(element) if several else [element]
    if len(roots) != 1 and not options.fragment:
        raise EncodeError(f"a document has one root element, not {len(roots)}")
    encoder = _encoder(grammars, options)
    encode_document(encoder, roots)
    return encoder.writer.take()


def to_xml(data: Buffer, grammars: Grammars | None = None, options: Options = DEFAULTS) -> bytes:
    """EXI stream → XML text, with what `preserve` kept."""
    sink = XmlSink(options.limits.prefixes)
    _decode(data, grammars, options, sink)
    return sink.result()


def decode(data: Buffer, grammars: Grammars | None = None, options: Options = DEFAULTS) -> ET.Element:
    """EXI stream → element; of a fragment with several roots use `decode_all`."""
    roots = decode_all(data, grammars, options)
    if len(roots) != 1:
        raise DecodeError(f"expected one root element, found {len(roots)}")
    return roots[0]


def decode_all(
    data: Buffer, grammars: Grammars | None = None, options: Options = DEFAULTS
) -> list[ET.Element]:
    """EXI stream → all its root elements."""
    sink = ElementSink()
    _decode(data, grammars, options, sink)
    return sink.roots


def _decode(given: Buffer, grammars: Grammars | None, options: Options, sink: Sink) -> None:
    """Read the header, then the body into a sink; an options document overrules `options`."""
    data = bytes(memoryview(given))
    header = read_header(data, options)
    if header.options is not None:
        options = header.options
        if header.schema_less:
            grammars = None
        elif options.schema_id and grammars is None:
            raise DecodeError(f"the stream needs the grammars of the schema {options.schema_id!r}", 0)
    sink.strip_ghosts = options.limits_builtin_grammars
    try:
        view = _grammars(grammars, options.schema_id).view(options)
    except SchemaError as error:
        if header.options is None:
            raise
        raise DecodeError(f"expected usable options in the header: {error}", header.size) from None
    limits = options.limits
    reader = BitReader(data, options.alignment != BIT_PACKED, limits.integer_bits, limits.string_length)
    reader.pos = header.size
    decoder = BodyDecoder(view, options, Tables(view, options), reader, sink)
    if options.alignment == COMPRESSION and decoder.block is not None:
        decoder.block.feed(data[header.size // 8 :])
    decoder.run()
