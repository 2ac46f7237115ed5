"""Sessions that begin with a header: its bits stand right in front of the first body (EXI 1.0 section 5, XEP-0322
"Alternative Transport Binding"), where the two of them share a byte unless the alignment is one of bytes.

The header says `header`; how bodies are coded is the coder's own business, for both ends may know more than it says.
"""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree as ET

from .channels import BlockWriter
from .elements import encode_document
from .errors import TruncatedError
from .header import COOKIE, read_header, write_header
from .options import BIT_PACKED, Limits, Options
from .stream import Decoder, Encoder
from .tables import Tables


@dataclass(frozen=True)
class Opening:
    """`options`: what the options document said, None without one. `rest`: what follows, of which the first `skip` bits
    (0 to 7) belong to the header, for an alignment by bits; `aligned_rest` for the others."""

    options: Options | None
    rest: bytes
    skip: int
    aligned_rest: bytes


def encode_opening(encoder: Encoder, element: ET.Element, header: Options) -> bytes:
    """The header, and the first body of a session. Raises EncodeError; then the encoder is as it was."""
    if not encoder.session_tables:
        encoder.tables = Tables(encoder.view, encoder.options)
    journal = encoder.tables.journal
    journal.notes.clear()
    encoder.body.restart(encoder.tables)
    writer = encoder.body.writer
    aligned = encoder.options.alignment != BIT_PACKED
    writer.aligned = False
    write_header(writer, header, False)
    if aligned:
        writer.align()
    writer.aligned = aligned
    if encoder.body.block is not None:
        encoder.body.block = BlockWriter(encoder.options, writer)  # the header is no part of the block
    try:
        encode_document(encoder.body, [element])
    except BaseException:
        journal.rollback()
        raise
    return encoder.body.writer.take()


def read_opening(data: bytes, limits: Limits) -> Opening | None:
    """None when it is not complete yet. Raises DecodeError."""
    if len(data) < len(COOKIE) and COOKIE.startswith(data):
        return None
    try:
        header = read_header(data, Options(limits=limits))
    except TruncatedError:
        return None
    whole, skip = divmod(header.size, 8)
    return Opening(header.options, data[whole:], skip, data[whole + (skip > 0) :])


def begin(decoder: Decoder, opening: Opening) -> list[ET.Element]:
    """Feed a new decoder what follows a header; the elements that this completes. Raises DecodeError."""
    if decoder.options.alignment != BIT_PACKED:
        return decoder.feed(opening.aligned_rest)
    decoder.body.reader.pos = opening.skip
    return decoder.feed(opening.rest)
