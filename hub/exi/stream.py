"""Streams of bodies: one `Encoder` and one `Decoder` per direction of a connection (XEP-0322).

Each element is one EXI body without header, filled up to a byte, one after the other with nothing in between.
With `session_tables` all string tables and learned grammars live as long as the object; without, each body
starts anew.

An `Encoder` is transactional: what cannot be encoded raises and leaves the tables as they were. Only what
interrupts it from outside (KeyboardInterrupt, MemoryError) may strike in the middle of an addition; then nobody
knows what the tables hold, and every further call says so. A `Decoder` takes bytes as they come, cut anywhere,
and gives back the elements that are complete; after a `DecodeError` the stream is lost, as its tables are, and
every further call says so.

Without `value_partition_capacity` the tables of a session grow with every new string. Both ends count what they
hold (`table_entries`, `table_size`) against the same `Limits`: an encoder that would pass them raises
`TablesFullError` before its peer's decoder would refuse the stream, and forgets the element; its caller ends the
session and negotiates a new one, best before that happens. A capacity bounds the values, but not the names.
"""

from __future__ import annotations

from functools import cache
from xml.etree import ElementTree as ET

from .bits import BitReader, BitWriter
from .decoder import BodyDecoder
from .elements import encode_document
from .encoder import BodyEncoder
from .errors import DecodeError, EncodeError, TruncatedError
from .grammars import Grammars, schema_less
from .options import BIT_PACKED, Options
from .sinks import ElementSink
from .tables import Tables

DEFAULTS = Options()


@cache
def no_grammars() -> Grammars:
    """The grammars of schema-less streams."""
    return schema_less()


class Encoder:
    """Elements → bare bodies."""

    def __init__(
        self, grammars: Grammars | None = None, options: Options = DEFAULTS, session_tables: bool = True
    ) -> None:
        self.options = options
        self.session_tables = session_tables
        self.view = (grammars or no_grammars()).view(options)
        self.tables = Tables(self.view, options)
        writer = BitWriter(options.alignment != BIT_PACKED)
        self.body = BodyEncoder(self.view, options, self.tables, writer)
        self.interrupted = False

    def encode(self, element: ET.Element) -> bytes:
        """One element as one body. `EncodeError`, and nothing changed, if it cannot be carried."""
        if self.interrupted:
            raise EncodeError("the encoder was interrupted before, and its tables are unknown: begin a new session")
        tables = self.tables
        if not self.session_tables:
            tables.restart()
        tables.begin()
        self.body.restart(tables)
        try:
            encode_document(self.body, [element])
            return self.body.writer.take()
        except Exception as error:
            self.interrupted = self.session_tables and isinstance(error, MemoryError)
            tables.rollback()
            raise
        except BaseException:
            self.interrupted = self.session_tables
            raise

    @property
    def table_entries(self) -> int:
        """How many strings, names and productions the tables hold; `Limits.table_entries` is the most."""
        return int(self.tables.entries())

    @property
    def table_size(self) -> int:
        """How many characters they take; `Limits.table_size` is the most."""
        return int(self.tables.characters())


class Decoder:
    """Bare bodies → elements."""

    def __init__(
        self, grammars: Grammars | None = None, options: Options = DEFAULTS, session_tables: bool = True
    ) -> None:
        self.options = options
        self.session_tables = session_tables
        self.view = (grammars or no_grammars()).view(options)
        self.tables = Tables(self.view, options)
        self.sink = ElementSink(options.limits_builtin_grammars)
        limits = options.limits
        aligned = options.alignment != BIT_PACKED
        reader = BitReader(b"", aligned, limits.integer_bits, limits.string_length)
        self.body = BodyDecoder(self.view, options, self.tables, reader, self.sink)
        self.started = False  # part of a body has arrived
        self.pieces: list[bytes] = []  # not yet looked at
        self.size = 0  # bytes in `pieces`
        self.wanted = 1  # bytes in `pieces` that make another try worth while
        self.consumed = 0  # bytes of the stream dropped from the reader's data
        self.failure = ""

    def more(self, data: bytes) -> None:
        """Give the body more of its bytes, and drop those it has read."""
        if data:
            self.started = True
        block = self.body.block
        if block is not None and block.inflater is not None:
            block.inflater.feed(data)
            return
        reader = self.body.reader
        done = int(reader.pos) >> 3
        reader.data = reader.data[done:] + data
        reader.pos -= done * 8
        reader.end = len(reader.data) * 8
        self.body.dropped += done
        self.consumed += done

    def feed(self, chunk: bytes | bytearray | memoryview) -> list[ET.Element]:
        """Take some bytes; the elements that they complete. A `DecodeError` carries those before it."""
        if self.failure:
            raise DecodeError(f"the stream has failed before: {self.failure}")
        # Unlike bytes(), a view takes no number for a size.
        self.pieces.append(chunk if isinstance(chunk, bytes) else bytes(memoryview(chunk)))
        self.size += len(chunk)
        if self.size < self.wanted:
            return []
        data = b"".join(self.pieces)
        self.pieces, self.size, self.wanted = [], 0, 1
        found: list[ET.Element] = []
        try:
            self.more(data)
            while self.started:
                self.body.run()
                found.extend(self.sink.take())
                self.next_body()
        except TruncatedError as error:
            self.wanted = error.missing
        except DecodeError as error:
            self.failure = error.reason
            offset = error.bit_offset + self.consumed * 8 if error.bit_offset >= 0 else -1
            failure = type(error)(error.reason, offset)
            failure.elements = found
            raise failure from None
        except BaseException as error:
            self.failure = f"it was interrupted by {type(error).__name__}"
            raise
        return found

    def next_body(self) -> None:
        """Put what follows the body just read in front of the next."""
        self.tables.check(self.body.reader.pos)
        if not self.session_tables:
            self.tables.restart()
        block = self.body.block
        if block is not None and block.inflater is not None:
            self.consumed += block.inflater.total_in
            self.body.restart(self.tables)
            self.started = block.inflater.left > 0
            return
        reader = self.body.reader
        done = (int(reader.pos) + 7) >> 3
        if not done + self.body.dropped:
            raise DecodeError("expected a body of at least one bit", int(reader.pos))
        # The bytes stay where they are until more arrive: moving them for each of many small bodies is dear.
        reader.pos = done * 8
        self.started = done < len(reader.data)
        self.body.restart(self.tables)
        self.body.dropped = -done

    @property
    def table_entries(self) -> int:
        """How many strings, names and productions the tables hold; `Limits.table_entries` is the most."""
        return int(self.tables.entries())

    @property
    def table_size(self) -> int:
        """How many characters they take; `Limits.table_size` is the most."""
        return int(self.tables.characters())

    @property
    def pending(self) -> bool:
        """Whether part of a body has arrived: the stream must not end here."""
        return self.started or bool(self.size)
