"""Blocks and value channels of the pre-compression and compression alignments (section 9).

A block is the structure of some events followed by their values, the values of each qualified name together,
names in order of first use. Up to 100 values, all of a block is one stream; beyond, the structure is one
stream, then all channels of at most 100 values share one, then every larger channel has its own (9.3). With
compression a stream is raw DEFLATE; without, the streams just follow each other.

`Inflater` hands out whole streams of a growing input and bounds what they may expand to.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from .bits import BitWriter
from .datatypes import CHARSET, LIST, Datatype, write_other, write_value
from .errors import DecodeError, LimitError, TruncatedError
from .names import QName
from .native import i64
from .options import COMPRESSION, Limits, Options

if TYPE_CHECKING:
    from .attributewriter import AttributeWriter

SMALL_CHANNEL: Final = 100
"""Values up to which a channel, or a whole block, shares a stream (9.3)."""

RAW_DEFLATE: Final = -15
INPUT_STEP: Final = 4_096  # bytes
OUTPUT_STEP: Final = 65_536  # bytes, so that a bomb is noticed early


def is_value(datatype: Datatype, text: str) -> bool:
    """Whether a text can be written with this type; asks no table."""
    if datatype.kind <= CHARSET:
        return True
    if datatype.kind == LIST:
        item = datatype.item
        assert item is not None
        return all(is_value(item, part) for part in text.split())
    return write_other(BitWriter(True), datatype, text)


class BlockWriter:
    """Collects the values of a block and writes it behind what the body's writer already holds."""

    def __init__(self, options: Options, writer: BitWriter) -> None:
        self.compressed = options.alignment == COMPRESSION
        self.block_size: i64 = options.block_size
        self.start: i64 = len(writer.buffer)
        self.count: i64 = 0
        self.channels: dict[QName, list[tuple[Datatype, str]]] = {}

    def add(self, encoder: AttributeWriter, datatype: Datatype, text: str, qname: QName) -> bool:
        """Keep a value for its channel; False if the text is no value of the type."""
        if not is_value(datatype, text):
            return False
        self.channels.setdefault(qname, []).append((datatype, text))
        self.count += 1
        if self.count == self.block_size:
            self.finish(encoder)
        return True

    def finish(self, encoder: AttributeWriter) -> None:
        """Write the block and start the next."""
        writer = encoder.writer
        structure = bytes(writer.buffer[self.start :])
        if structure or self.count:
            del writer.buffer[self.start :]
            self.write(encoder, structure)
        self.start = len(writer.buffer)
        self.count = 0
        self.channels = {}

    def write(self, encoder: AttributeWriter, structure: bytes) -> None:
        """The streams of one block."""
        small: list[QName] = []
        large: list[QName] = []
        for qname, values in self.channels.items():
            whole = self.count <= SMALL_CHANNEL or len(values) <= SMALL_CHANNEL
            (small if whole else large).append(qname)
        if self.count <= SMALL_CHANNEL:
            self.emit(encoder.writer, structure + self.values(encoder, small))
            return
        self.emit(encoder.writer, structure)
        if small:
            self.emit(encoder.writer, self.values(encoder, small))
        for qname in large:
            self.emit(encoder.writer, self.values(encoder, [qname]))

    def values(self, encoder: AttributeWriter, qnames: list[QName]) -> bytes:
        """The values of some channels, one after the other."""
        writer = BitWriter(True)
        tables = encoder.tables
        for qname in qnames:
            for datatype, text in self.channels[qname]:
                write_value(writer, tables.values, datatype, text, qname, encoder.local_hits, encoder.journal)
        return writer.take()

    def emit(self, writer: BitWriter, stream: bytes) -> None:
        """One stream, deflated if the alignment says so."""
        if self.compressed:
            deflate = zlib.compressobj(wbits=RAW_DEFLATE)
            stream = deflate.compress(stream) + deflate.flush()
        writer.buffer.extend(stream)


class Inflater:
    """Inflates the DEFLATE streams of a body, one whole stream at a time, and of one body after the other."""

    def __init__(self, limits: Limits) -> None:
        self.ratio = limits.expansion_ratio
        self.floor = limits.expansion_floor
        self.most = limits.decoded_size
        self.input = b""
        self.at = 0  # bytes of `input` already used
        self.restart()

    def restart(self) -> None:
        """Expect the first stream of another body."""
        self.total_in = 0
        self.total_out = 0
        self.current = zlib.decompressobj(RAW_DEFLATE)
        self.parts: list[bytes] = []

    def feed(self, data: bytes) -> None:
        """More compressed bytes."""
        self.input = self.input[self.at :] + data
        self.at = 0

    @property
    def left(self) -> int:
        """Input bytes not yet used."""
        return len(self.input) - self.at

    def next_stream(self) -> bytes:
        """The next whole stream; `TruncatedError` as long as it has not arrived."""
        while not self.current.eof:
            # Small pieces, as the library copies what it has not used.
            piece = self.input[self.at : self.at + INPUT_STEP]
            try:
                part = self.current.decompress(piece, OUTPUT_STEP)
            except zlib.error as error:
                raise DecodeError(f"expected a DEFLATE stream: {error}", self.total_in * 8) from None
            unused = self.current.unused_data if self.current.eof else self.current.unconsumed_tail
            used = len(piece) - len(unused)
            if not used and not part and not self.current.eof:
                raise TruncatedError("input ends inside a DEFLATE stream", self.total_in * 8)
            self.at += used
            self.total_in += used
            self.total_out += len(part)
            self.parts.append(part)
            self.check()
        stream = b"".join(self.parts)
        self.parts = []
        self.current = zlib.decompressobj(RAW_DEFLATE)
        return stream

    def check(self) -> None:
        """Refuse what inflates far beyond its input."""
        much = self.total_out > self.floor and self.total_out > self.total_in * self.ratio
        if much or self.total_out > self.most:
            raise LimitError(f"{self.total_in} bytes inflate to more than allowed", self.total_in * 8)
