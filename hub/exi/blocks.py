"""The reading side of blocks and value channels (section 9); `channels`, the writing side, tells the layout.

`BlockReader` drives its decoder through the two phases of each block. Events of the structure are recorded;
when the block's values have been read, they are played to the real sink. Both phases can stop at the end of
the input and go on later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .bits import BitReader
from .channels import SMALL_CHANNEL, Inflater
from .datatypes import Datatype, read_value
from .errors import DecodeError, TruncatedError
from .names import QName
from .native import i64
from .options import COMPRESSION
from .sinks import Sink

if TYPE_CHECKING:
    from .decoder import BodyDecoder

_START: Final = 0
_NAMESPACE: Final = 1
_ATTRIBUTE: Final = 2
_TYPE: Final = 3
_TEXT: Final = 4
_END: Final = 5
_COMMENT: Final = 6
_INSTRUCTION: Final = 7
_DOCTYPE: Final = 8
_ENTITY: Final = 9
_LATER_ATTRIBUTE: Final = 10
_LATER_TEXT: Final = 11


class Recorded:
    """One event waiting for the block's values."""

    def __init__(self, kind: int, qname: QName | None, texts: tuple[str, ...], index: int) -> None:
        self.kind: i64 = kind
        self.qname = qname
        self.texts = texts
        self.index: i64 = index  # of the value, or the truth of a namespace's flag


class Recorder(Sink):
    """Records events instead of passing them on."""

    def __init__(self, target: Sink) -> None:
        super().__init__()
        self.target = target
        self.events: list[Recorded] = []

    def record(self, kind: int, qname: QName | None, texts: tuple[str, ...], index: int = 0) -> None:
        """Keep one event."""
        self.events.append(Recorded(kind, qname, texts, index))

    def start(self, qname: QName, prefix: str) -> None:
        self.record(_START, qname, (prefix,))

    def namespace(self, prefix: str, uri: str, of_element: bool) -> None:
        self.record(_NAMESPACE, None, (prefix, uri), 1 if of_element else 0)

    def attribute(self, qname: QName, value: str, prefix: str) -> None:
        self.record(_ATTRIBUTE, qname, (value, prefix))

    def type_attribute(self, value: QName, prefix: str, value_prefix: str) -> None:
        self.record(_TYPE, value, (prefix, value_prefix))

    def text(self, value: str) -> None:
        self.record(_TEXT, None, (value,))

    def end(self) -> None:
        self.record(_END, None, ())

    def comment(self, text: str) -> None:
        self.record(_COMMENT, None, (text,))

    def instruction(self, target: str, data: str) -> None:
        self.record(_INSTRUCTION, None, (target, data))

    def doctype(self, name: str, public: str, system: str, text: str) -> None:
        self.record(_DOCTYPE, None, (name, public, system, text))

    def entity(self, name: str) -> None:
        self.record(_ENTITY, None, (name,))

    def play(self, values: list[str]) -> None:
        """Pass everything on, with the values in their places."""
        target = self.target
        for event in self.events:
            kind = event.kind
            texts = event.texts
            qname = event.qname
            if kind == _END:
                target.end()
            elif kind == _LATER_TEXT:
                target.text(values[event.index])
            elif kind == _TEXT:
                target.text(texts[0])
            elif kind == _NAMESPACE:
                target.namespace(texts[0], texts[1], event.index == 1)
            elif kind == _COMMENT:
                target.comment(texts[0])
            elif kind == _INSTRUCTION:
                target.instruction(texts[0], texts[1])
            elif kind == _DOCTYPE:
                target.doctype(texts[0], texts[1], texts[2], texts[3])
            elif kind == _ENTITY:
                target.entity(texts[0])
            else:
                assert qname is not None
                self.play_named(kind, qname, texts, values, event.index)
        self.events = []

    def play_named(
        self, kind: i64, qname: QName, texts: tuple[str, ...], values: list[str], index: i64
    ) -> None:
        """Pass on one event that has a name."""
        target = self.target
        if kind == _START:
            target.start(qname, texts[0])
        elif kind == _LATER_ATTRIBUTE:
            target.attribute(qname, values[index], texts[0])
        elif kind == _ATTRIBUTE:
            target.attribute(qname, texts[0], texts[1])
        else:
            target.type_attribute(qname, texts[0], texts[1])


class BlockReader:
    """The state of one body's blocks."""

    def __init__(self, decoder: BodyDecoder, sink: Sink, inflater: Inflater | None) -> None:
        self.decoder = decoder
        self.recorder = Recorder(sink)
        decoder.sink = self.recorder
        options = decoder.options
        self.block_size: i64 = options.block_size
        self.inflater = inflater
        if options.alignment == COMPRESSION:
            if self.inflater is None:
                self.inflater = Inflater(options.limits)
            decoder.reader = self.new_reader(b"")
        self.values: list[str] = []
        self.channels: dict[QName, list[tuple[Datatype, int]]] = {}
        self.order: list[tuple[QName, Datatype, int]] = []  # values in the order of the stream
        self.fresh: set[int] = set()  # places in `order` that start a stream of their own
        self.cursor: i64 = 0
        self.in_values = False
        self.unopened = True  # the block's first stream has not been asked for
        self.finished = False

    def feed(self, data: bytes) -> None:
        """More of the compressed input."""
        if self.inflater is not None:
            self.inflater.feed(data)

    def attribute(self, datatype: Datatype, qname: QName, prefix: str) -> None:
        """An attribute whose value comes with its channel."""
        self.recorder.record(_LATER_ATTRIBUTE, qname, (prefix,), self.defer(datatype, qname))

    def text(self, datatype: Datatype, qname: QName) -> None:
        """Characters that come with their channel."""
        self.recorder.record(_LATER_TEXT, None, (), self.defer(datatype, qname))

    def defer(self, datatype: Datatype, qname: QName) -> int:
        """Note a value for later; its number."""
        index = len(self.values)
        self.values.append("")
        self.channels.setdefault(qname, []).append((datatype, index))
        return index

    def run(self) -> None:
        """Read to the end of the body; `TruncatedError` if the input ends first."""
        decoder = self.decoder
        while not self.finished:
            if not self.in_values:
                while not decoder.ended and len(self.values) < self.block_size:
                    self.structure_event()
                self.arrange()
            while self.cursor < len(self.order):
                self.value()
            self.recorder.play(self.values)
            self.finished = decoder.ended
            self.values = []
            self.channels = {}
            self.order = []
            self.cursor = 0
            self.in_values = False
            if self.inflater is not None and not self.finished:
                # The next block may need no bytes at all, so its stream is opened when first read from.
                decoder.reader = self.new_reader(b"")
                self.unopened = True

    def new_reader(self, data: bytes) -> BitReader:
        """A reader over one inflated stream."""
        old = self.decoder.reader
        return BitReader(data, True, old.integer_bits, old.string_length)

    def structure_event(self) -> None:
        """One event of the structure channel."""
        if self.inflater is None:
            self.decoder.event()
            return
        try:
            self.decoder.event()
        except TruncatedError as error:
            if not self.unopened:
                raise DecodeError(
                    f"a DEFLATE stream ends too early: {error.reason}", error.bit_offset
                ) from None
            self.decoder.reader = self.new_reader(self.inflater.next_stream())
            self.unopened = False
            self.structure_event()

    def arrange(self) -> None:
        """Fix the order of the block's values and where streams change."""
        self.in_values = True
        one_stream = len(self.values) <= SMALL_CHANNEL
        large: list[tuple[QName, list[tuple[Datatype, int]]]] = []
        for qname, channel in self.channels.items():
            if one_stream or len(channel) <= SMALL_CHANNEL:
                if not one_stream and not self.order:
                    self.fresh.add(0)
                self.order.extend([(qname, datatype, index) for datatype, index in channel])
            else:
                large.append((qname, channel))
        for qname, channel in large:
            self.fresh.add(len(self.order))
            self.order.extend([(qname, datatype, index) for datatype, index in channel])

    def value(self) -> None:
        """The next value of the value channels."""
        decoder = self.decoder
        if self.inflater is not None and int(self.cursor) in self.fresh:
            decoder.reader = self.new_reader(self.inflater.next_stream())
            self.fresh.discard(int(self.cursor))
        qname, datatype, index = self.order[self.cursor]
        reader = decoder.reader
        mark = reader.pos
        decoder.tables.begin()
        try:
            text = read_value(
                reader, decoder.tables.values, datatype, qname, decoder.journal, decoder.list_items
            )
        except TruncatedError as error:
            decoder.tables.rollback()
            reader.pos = mark
            if self.inflater is not None:
                raise DecodeError(
                    f"a DEFLATE stream ends too early: {error.reason}", error.bit_offset
                ) from None
            raise
        decoder.give(len(text))
        self.values[index] = text
        self.cursor += 1
        if self.cursor == len(self.order):
            self.fresh = set()
