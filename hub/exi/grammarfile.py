"""The grammar file: `Grammars` as a compact, versioned sequence of bytes that loads without a schema library.

    magic "EXIG", version (1 byte), CRC-32 of all that follows (4 bytes, big-endian)
    counted text list of URIs; per URI a counted text list of local names
    counted list of datatypes; elements, attributes, types, fragment: counted lists of pairs
    counted list of the states' sizes in words, then the words of all states as `Grammars` lays them out

Numbers are unsigned LEB128, strings UTF-8 with their length in bytes, signed numbers zigzag. Everything is
written in one pass and can be read in place by a device without a heap.
"""

from __future__ import annotations

import zlib
from itertools import accumulate
from pathlib import Path
from typing import Final

from .builtins import N_BIT_VALUES
from .charset import LARGEST_SET
from .datatypes import CHARSET, COLLAPSE, DATES, ENUM, LIST, N_BIT, Datatype
from .errors import SchemaError
from .grammars import Grammars
from .lexical import MONTH
from .names import INITIAL_LOCAL_NAMES, XSD_URI
from .options import LARGEST_INTEGER_BITS
from .states import BUILTIN_TAG

MAGIC: Final = b"EXIG"
VERSION: Final = 1
LARGEST_FILE: Final = 4_000_000  # bytes; every schema of XMPP and the IoT together takes 130,000
_LAST_KIND: Final = 13
_WORD_BITS: Final = 35  # of a word, in groups of seven


class _Writer:
    def __init__(self) -> None:
        self.data = bytearray()

    def number(self, value: int) -> None:
        while value >= 0x80:
            self.data.append((value & 0x7F) | 0x80)
            value >>= 7
        self.data.append(value)

    def signed(self, value: int) -> None:
        self.number(value * 2 if value >= 0 else -value * 2 - 1)

    def text(self, value: str) -> None:
        data = value.encode("utf-8")
        self.number(len(data))
        self.data += data

    def pairs(self, pairs: list[tuple[int, int]]) -> None:
        self.number(len(pairs))
        for left, right in pairs:
            self.number(left)
            self.number(right)


def dumps(grammars: Grammars) -> bytes:
    """The bytes of a grammar file."""
    writer = _Writer()
    writer.number(len(grammars.spaces))
    for space in grammars.spaces:
        writer.text(space.uri)
        writer.number(len(space.names))
        for qname in space.names:
            writer.text(qname.local)
    numbers = {id(datatype): number for number, datatype in enumerate(grammars.datatypes)}
    writer.number(len(grammars.datatypes))
    for datatype in grammars.datatypes:
        _dump_datatype(writer, datatype, numbers)
    for pairs in (grammars.elements, grammars.attributes, grammars.types, grammars.fragment):
        writer.pairs(pairs)
    ends = [*grammars.offsets[1:], len(grammars.words)]
    writer.number(len(ends))
    for start, end in zip(grammars.offsets, ends, strict=True):
        writer.number(end - start)
    for word in grammars.words:
        writer.number(word)
    body = bytes(writer.data)
    return MAGIC + bytes([VERSION]) + zlib.crc32(body).to_bytes(4, "big") + body


def _dump_datatype(writer: _Writer, datatype: Datatype, numbers: dict[int, int]) -> None:
    kind = int(datatype.kind)
    writer.number(kind)
    writer.number(int(datatype.whitespace) * 2 + (1 if datatype.union else 0))
    writer.number(len(datatype.names))
    for name in datatype.names:
        writer.text(name)
    if kind == N_BIT:
        writer.signed(datatype.low)
        writer.number(int(datatype.count))
    elif kind == CHARSET:
        writer.text("".join(datatype.characters))
    elif kind == DATES:
        writer.number(int(datatype.date_kind))
    elif kind in (ENUM, LIST):
        assert datatype.item is not None
        writer.number(numbers[id(datatype.item)])
        if kind == ENUM:
            writer.number(len(datatype.values))
            for value in datatype.values:
                writer.text(value)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def number(self, most_bits: int = _WORD_BITS) -> int:
        value = self.data[self.at]
        self.at += 1
        if value < 0x80:
            return value
        value &= 0x7F
        shift = 7
        while True:
            part = self.data[self.at]
            self.at += 1
            value |= (part & 0x7F) << shift
            if part < 0x80:
                return value
            shift += 7
            if shift >= most_bits:
                raise ValueError("number")

    def signed(self) -> int:
        value = self.number(LARGEST_INTEGER_BITS)
        return value >> 1 if value % 2 == 0 else -(value >> 1) - 1

    def text(self) -> str:
        size = self.number()
        self.at += size
        if self.at > len(self.data):
            raise IndexError
        return self.data[self.at - size : self.at].decode("utf-8")

    def texts(self) -> list[str]:
        return [self.text() for _ in range(self.number())]

    def rest(self) -> list[int]:
        """All numbers up to the end, in one go: they are nearly all of the file."""
        numbers: list[int] = []
        append = numbers.append
        value = shift = 0
        for part in self.data[self.at :]:
            if part >= 0x80:
                value |= (part & 0x7F) << shift
                shift += 7
                if shift >= _WORD_BITS:
                    raise ValueError("number")
            elif shift:
                append(value | (part << shift))
                value = shift = 0
            else:
                append(part)
        return numbers

    def pairs(self) -> list[tuple[int, int]]:
        return [(self.number(), self.number()) for _ in range(self.number())]


def read(path: Path) -> Grammars:
    """The grammars of the file at this path; everything that is wrong with it is a `SchemaError`."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise SchemaError(f"the grammar file cannot be read: {error}") from error
    return loads(data)


def loads(data: bytes) -> Grammars:
    """The grammars of a grammar file."""
    if len(data) > LARGEST_FILE:
        raise SchemaError(f"the grammar file is larger than {LARGEST_FILE} bytes")
    if data[:4] != MAGIC:
        raise SchemaError("this is no grammar file: it does not begin with EXIG")
    if data[4:5] != bytes([VERSION]):
        raise SchemaError(
            f"expected version {VERSION} of the grammar file, found {data[4:5].hex() or 'nothing'}"
        )
    body = data[9:]
    if zlib.crc32(body) != int.from_bytes(data[5:9], "big"):
        raise SchemaError("the grammar file is damaged: its checksum does not fit")
    try:
        return _load(_Reader(body))
    except (IndexError, UnicodeDecodeError, KeyError, ValueError, OverflowError) as error:
        raise SchemaError("the grammar file is damaged") from error


def _load(reader: _Reader) -> Grammars:
    names = [(reader.text(), reader.texts()) for _ in range(reader.number())]
    datatypes: list[Datatype] = []
    for _ in range(reader.number()):
        datatypes.append(_load_datatype(reader, datatypes))
    elements, attributes, types, fragment = (reader.pairs() for _ in range(4))
    count = reader.number()
    numbers = reader.rest()
    sizes, words = numbers[:count], numbers[count:]
    offsets = list(accumulate(sizes[:-1], initial=0)) if sizes else []
    if len(sizes) != count or sum(sizes) != len(words):
        raise ValueError("sizes")
    grammars = Grammars(names, datatypes, words, offsets, elements, attributes, types, fragment)
    _check(grammars)
    return grammars


def _load_datatype(reader: _Reader, known: list[Datatype]) -> Datatype:
    kind = reader.number()
    if kind > _LAST_KIND:
        raise ValueError(kind)
    flags = reader.number()
    datatype = Datatype(kind, tuple(reader.texts()))
    if flags // 2 > COLLAPSE:
        raise ValueError(flags)
    datatype.whitespace = flags // 2
    datatype.union = flags % 2 == 1
    if kind == N_BIT:
        low, count = reader.signed(), reader.number()
        if not 1 <= count <= N_BIT_VALUES:
            raise ValueError(count)
        datatype.set_range(low, low + count - 1)
    elif kind == CHARSET:
        characters = list(reader.text())
        if len(characters) > LARGEST_SET:
            raise ValueError(len(characters))
        datatype.set_characters(characters)
    elif kind == DATES:
        datatype.date_kind = reader.number()
        if datatype.date_kind > MONTH:
            raise ValueError(datatype.date_kind)
    elif kind in (ENUM, LIST):
        item = known[reader.number()]
        if item.kind == LIST or (item.kind == ENUM and kind == ENUM):
            raise ValueError("item")  # values would be nested, which XML Schema has not
        datatype.item = item
        if kind == ENUM:
            datatype.set_values(reader.texts(), item)
    return datatype


def _check(grammars: Grammars) -> None:
    """The names that every stream begins with must be there, and what is referred to must exist.

    What the productions refer to is checked when their state is first used (`View.lower`).
    """
    for space, (uri, locals_) in zip(grammars.spaces, INITIAL_LOCAL_NAMES.items(), strict=False):
        if space.uri != uri or not space.by_local.keys() >= set(locals_):
            raise ValueError("names")
    if not grammars.schema_informed or grammars.spaces[len(INITIAL_LOCAL_NAMES)].uri != XSD_URI:
        raise ValueError("names")
    states, names = len(grammars.offsets), len(grammars.qnames)
    for pairs, size in (
        (grammars.elements, states), (grammars.types, states), (grammars.fragment, states),
        (grammars.attributes, len(grammars.datatypes)),
    ):  # fmt: skip
        if any(left >= names or right >= size for left, right in pairs):
            raise ValueError("reference")
    for at in grammars.offsets:
        kind, _, content, empty, _ = grammars.words[at : at + 5]
        if kind >= BUILTIN_TAG or content >= states or empty > states:
            raise ValueError("state")
