"""Datatype representations: how one value of a given type is written and read (section 7.1, table 7-1).

`Datatype` is a record; its `kind` selects the code in `write_value` and `read_value`, the two functions at
the heart of the codec. `write_value` returns False and may leave bits behind when the text is no value of the
type: the caller marks the writer first and rewinds. Values of string kinds never fail and are the only ones
that touch the tables.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from . import lexical
from .bits import BitReader, BitWriter, bits_for
from .errors import DecodeError, EncodeError, LimitError, TruncatedError
from .lexical import ABSENT, DATE, DATE_TIME, DAY, MONTH, TIME, YEAR, YEAR_MONTH, DateTime
from .names import Journal, QName
from .native import i64
from .strings import ValueTable

STRING: Final = 0
CHARSET: Final = 1  # string with a restricted character set (7.1.10.1)
BOOLEAN: Final = 2
BOOLEAN_LEXICAL: Final = 3  # boolean with a pattern facet: all four spellings
N_BIT: Final = 4  # integer of a small range, as offset from `low`
UNSIGNED: Final = 5
INTEGER: Final = 6
DECIMAL: Final = 7
FLOAT: Final = 8
DATES: Final = 9  # any of the eight date-time types, `date_kind` says which
BASE64: Final = 10
HEX: Final = 11
ENUM: Final = 12
LIST: Final = 13

PRESERVE: Final = 0  # whiteSpace facets
REPLACE: Final = 1
COLLAPSE: Final = 2

NO_XML_CHARACTER: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

BOOLEAN_SPELLINGS: Final = ("false", "0", "true", "1")


class Datatype:
    """One datatype representation with its parameters.

    `names` is the chain of type names, {uri}local, from the type itself up to its built-in ancestor: the keys
    that datatypeRepresentationMap is searched for (7.4).
    """

    def __init__(self, kind: int, names: tuple[str, ...] = ()) -> None:
        self.kind: i64 = kind
        self.names = names
        self.whitespace: i64 = COLLAPSE
        self.low = 0
        self.width: i64 = 0  # bits of an n-bit offset, an enumeration index or a restricted character
        self.count: i64 = 0  # values that exist in that width
        self.date_kind: i64 = 0
        self.union = False  # string because the type is a union
        self.characters: list[str] = []
        self.character_index: dict[str, int] = {}
        self.values: list[str] = []
        self.value_index: dict[object, int] = {}
        self.item: Datatype | None = None  # item type of a list, value type of an enumeration

    def set_range(self, low: int, high: int) -> None:
        """Parameters of an n-bit integer."""
        self.low = low
        self.count = high - low + 1
        self.width = bits_for(self.count)

    def set_characters(self, characters: list[str]) -> None:
        """Parameters of a restricted character set, in code point order; the extra code is the escape."""
        self.characters = characters
        self.character_index = {character: index for index, character in enumerate(characters)}
        self.count = len(characters)
        self.width = bits_for(self.count + 1)

    def set_values(self, values: list[str], item: Datatype) -> None:
        """Parameters of an enumeration, in schema order."""
        self.values = values
        self.item = item
        self.count = len(values)
        self.width = bits_for(self.count)
        for index, value in enumerate(values):
            self.value_index.setdefault(enumeration_key(item, value), index)


def enumeration_key(item: Datatype, text: str) -> object:
    """What two spellings of one value have in common."""
    kind = item.kind
    key: object = None
    if kind in (N_BIT, UNSIGNED, INTEGER):
        key = lexical.parse_integer(text)
    elif kind == DECIMAL:
        key = lexical.parse_decimal(text)
    elif kind == FLOAT:
        pair = lexical.parse_float(text)
        if pair is not None:
            mantissa, exponent = pair
            while mantissa and mantissa % 10 == 0:
                mantissa, exponent = mantissa // 10, exponent + 1
            key = (mantissa, exponent if mantissa or exponent == lexical.FLOAT_SPECIAL else 0)
    elif kind == DATES:
        date = lexical.parse_date_time(text, int(item.date_kind))
        if date is not None:
            key = (date.year, int(date.month_day), int(date.time), date.fraction, int(date.zone))
    elif kind in (BOOLEAN, BOOLEAN_LEXICAL):
        key = {"true": True, "1": True, "false": False, "0": False}.get(text.strip(lexical.WHITESPACE))
    elif kind == HEX:
        key = text.strip(lexical.WHITESPACE).upper()
    elif kind == BASE64:
        key = "".join(text.split())
    elif item.whitespace == COLLAPSE:
        key = " ".join(text.split())
    return text if key is None else key


# --- strings ------------------------------------------------------------------------------------------------


def write_string(
    writer: BitWriter,
    table: ValueTable,
    kind: Datatype,
    text: str,
    qname: QName,
    local_hits: bool,
    journal: Journal,
) -> None:
    """A String as a value: a local hit, a global hit, or the string itself (7.3.3)."""
    number = table.numbers.get(text)
    partition = table.partition(qname)
    if number is not None:
        if local_hits and table.owners[number] is partition:
            writer.unsigned(0)
            writer.bits(table.local_numbers[number], bits_for(partition.count))
        else:
            writer.unsigned(1)
            writer.bits(number, bits_for(len(table.texts)))
        return
    writer.unsigned(len(text) + 2)
    plain = False
    if kind.kind == CHARSET:
        index = kind.character_index
        width = kind.width
        for character in text:
            code = index.get(character, -1)
            if code >= 0:
                writer.bits(code, width)
            else:
                writer.bits(kind.count, width)
                writer.unsigned(ord(character))
    else:
        plain = writer.characters(text)
    if not plain and not text.isprintable() and NO_XML_CHARACTER.search(text):
        raise EncodeError("a value has characters that XML does not allow")
    table.add(text, partition, False, journal)


def read_string(reader: BitReader, table: ValueTable, kind: Datatype, qname: QName, journal: Journal) -> str:
    """The counterpart of `write_string`."""
    start = reader.pos
    length = reader.unsigned()
    partition = table.partition(qname)
    if length == 0:
        index = reader.bits(bits_for(partition.count))
        found = partition.text(index)
        if found is None:
            raise DecodeError(f"expected a local value identifier, {index} is not assigned", start)
        return found
    if length == 1:
        index = reader.bits(bits_for(len(table.texts)))
        if index >= len(table.texts):
            raise DecodeError(f"expected a global value identifier, {index} is not assigned", start)
        return table.texts[index]
    length -= 2
    if kind.kind == CHARSET:
        text = read_restricted(reader, kind, length)
    else:
        text = reader.characters(length)
        if not reader.plain and not text.isprintable() and NO_XML_CHARACTER.search(text):
            raise DecodeError("expected characters that XML allows", start)
    table.add(text, partition, True, journal)
    return text


def least_bits(kind: Datatype, aligned: bool) -> i64:
    """The fewest bits that one value of a kind, or one character of a restricted set, can take."""
    if kind.kind == BOOLEAN:
        width: i64 = 1
    elif kind.kind in (CHARSET, N_BIT, ENUM):
        width = kind.width
    else:
        return 8
    return (width + 7) & ~7 if aligned else width


def read_restricted(reader: BitReader, kind: Datatype, length: i64) -> str:
    """The characters of a string with a restricted character set."""
    if length > reader.string_length:
        raise LimitError(f"a string of {length} characters, more than {reader.string_length}", reader.pos)
    if length == 0:
        return ""
    least = length * least_bits(kind, reader.aligned)
    if reader.end - reader.pos < least:
        raise reader.truncated("a string", (least - (reader.end - reader.pos) + 7) >> 3)
    parts: list[str] = []
    count = kind.count
    width = kind.width
    characters = kind.characters
    try:
        while len(parts) < length:
            code = reader.bits(width)
            if code < count:
                parts.append(characters[code])
            elif code == count:
                parts.append(reader.character())
            else:
                raise DecodeError(f"the character code {code} is not assigned", reader.pos)
    except TruncatedError:
        raise reader.truncated("a string", ((length - len(parts)) * (least // length) >> 3) + 1) from None
    return "".join(parts)


# --- all other kinds ----------------------------------------------------------------------------------------


def write_integer(writer: BitWriter, value: int) -> None:
    """An Integer: sign, then magnitude, that of a negative one less (7.1.5)."""
    if value < 0:
        writer.bits(1, 1)
        writer.big_unsigned(-value - 1)
    else:
        writer.bits(0, 1)
        writer.big_unsigned(value)


def read_integer(reader: BitReader) -> int:
    """The counterpart of `write_integer`."""
    if reader.bits(1):
        return -reader.big_unsigned() - 1
    return reader.big_unsigned()


def write_date_time(writer: BitWriter, value: DateTime, kind: i64) -> None:
    """The components that a date-time type has, in the order of table 7-4."""
    if kind in (DATE_TIME, DATE, YEAR_MONTH, YEAR):
        write_integer(writer, value.year - 2000)
    if kind != TIME and kind != YEAR:
        writer.bits(value.month_day, 9)
    if kind in (DATE_TIME, TIME):
        writer.bits(value.time, 17)
        if value.fraction == ABSENT:
            writer.bits(0, 1)
        else:
            writer.bits(1, 1)
            writer.big_unsigned(value.fraction)
    if value.zone == ABSENT:
        writer.bits(0, 1)
    else:
        writer.bits(1, 1)
        writer.bits(value.zone + 896, 11)


def read_date_time(reader: BitReader, kind: i64) -> DateTime:
    """The counterpart of `write_date_time`; components that no clock or calendar knows are refused."""
    start = reader.pos
    value = DateTime(2000, 0, 0, ABSENT, ABSENT)
    if kind in (DATE_TIME, DATE, YEAR_MONTH, YEAR):
        value.year = read_integer(reader) + 2000
    if kind != TIME and kind != YEAR:
        value.month_day = reader.bits(9)
        month = value.month_day >> 5
        day = value.month_day & 31
        if (month == 0) != (kind == DAY) or month > 12 or (day == 0) != (kind in (YEAR_MONTH, MONTH)):
            raise DecodeError(f"expected a month and day, found {month} and {day}", start)
    if kind in (DATE_TIME, TIME):
        value.time = reader.bits(17)
        if value.time >> 12 > 24 or (value.time >> 6) & 63 > 59 or value.time & 63 > 60:
            raise DecodeError("expected a time of day", start)
        if reader.bits(1):
            value.fraction = reader.big_unsigned()
    if reader.bits(1):
        value.zone = reader.bits(11) - 896
        if value.zone < -896 or value.zone > 896:
            raise DecodeError("expected a time zone within 14 hours", start)
    return value


def parse_base64(text: str) -> bytes | None:
    """The bytes of an xs:base64Binary, or None."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def parse_hex(text: str) -> bytes | None:
    """The bytes of an xs:hexBinary, or None."""
    try:
        return binascii.unhexlify(text.strip(lexical.WHITESPACE))
    except (binascii.Error, ValueError):
        return None


def write_number(writer: BitWriter, kind: Datatype, text: str) -> bool:
    """The integer kinds; False if the text is no integer or out of range."""
    value = lexical.parse_integer(text)
    if value is None:
        return False
    if kind.kind == N_BIT:
        if value < kind.low or value - kind.low >= int(kind.count):
            return False
        writer.bits(value - kind.low, kind.width)
    elif kind.kind == UNSIGNED:
        if value < 0:
            return False
        writer.big_unsigned(value)
    else:
        write_integer(writer, value)
    return True


def write_enumerated(writer: BitWriter, kind: Datatype, text: str) -> bool:
    """An enumeration's index; False if the text is none of its values."""
    item = kind.item
    assert item is not None
    index = kind.value_index.get(text if item.kind == STRING and item.whitespace != COLLAPSE
                                 else enumeration_key(item, text), -1)  # fmt: skip
    if index < 0:
        return False
    writer.bits(index, kind.width)
    return True


def write_octets(writer: BitWriter, data: bytes | None) -> bool:
    """A Binary: its length in bytes, then the bytes; False if there is none."""
    if data is None:
        return False
    writer.unsigned(len(data))
    if data:
        writer.octets(data)
    return True


def write_other(writer: BitWriter, kind: Datatype, text: str) -> bool:
    """A value of a kind that needs no table; False if the text is none of the type's."""
    code = kind.kind
    if code == ENUM:
        return write_enumerated(writer, kind, text)
    if code == BOOLEAN:
        text = text.strip(lexical.WHITESPACE)
        if text == "true" or text == "1":
            writer.bits(1, 1)
        elif text == "false" or text == "0":
            writer.bits(0, 1)
        else:
            return False
        return True
    if code in (N_BIT, UNSIGNED, INTEGER):
        return write_number(writer, kind, text)
    if code == FLOAT:
        pair = lexical.parse_float(text)
        if pair is None:
            return False
        write_integer(writer, pair[0])
        write_integer(writer, pair[1])
        return True
    if code == DATES:
        date = lexical.parse_date_time(text, int(kind.date_kind))
        if date is None:
            return False
        write_date_time(writer, date, kind.date_kind)
        return True
    if code == DECIMAL:
        decimal = lexical.parse_decimal(text)
        if decimal is None:
            return False
        writer.bits(1 if decimal[0] else 0, 1)
        writer.big_unsigned(decimal[1])
        writer.big_unsigned(decimal[2])
        return True
    if code == BOOLEAN_LEXICAL:
        text = text.strip(lexical.WHITESPACE)
        if text not in BOOLEAN_SPELLINGS:
            return False
        writer.bits(BOOLEAN_SPELLINGS.index(text), 2)
        return True
    return write_octets(writer, parse_base64(text) if code == BASE64 else parse_hex(text))


def write_value(writer: BitWriter, table: ValueTable, kind: Datatype, text: str, qname: QName, local_hits:
bool,
                journal: Journal) -> bool:  # fmt: skip
    """Write one value; False if the text is no value of the type."""
    code = kind.kind
    if code <= CHARSET:
        write_string(writer, table, kind, text, qname, local_hits, journal)
        return True
    if code != LIST:
        return write_other(writer, kind, text)
    item = kind.item
    assert item is not None
    items = text.split()
    writer.unsigned(len(items))
    return all([write_value(writer, table, item, part, qname, local_hits, journal) for part in items])


def read_other(reader: BitReader, kind: Datatype) -> str:
    """A value of a kind that needs no table."""
    code = kind.kind
    if code == ENUM:
        index = reader.bits(kind.width)
        if index >= kind.count:
            raise DecodeError(f"expected one of {kind.count} enumerated values, found {index}", reader.pos)
        return kind.values[index]
    if code == BOOLEAN:
        return "true" if reader.bits(1) else "false"
    if code == N_BIT:
        offset = reader.bits(kind.width)
        if offset >= kind.count:
            raise DecodeError(f"expected an integer of {kind.count} values, found {offset}", reader.pos)
        return str(kind.low + int(offset))
    if code == UNSIGNED:
        return str(reader.big_unsigned())
    if code == INTEGER:
        return str(read_integer(reader))
    if code == FLOAT:
        return read_float(reader)
    if code == DATES:
        return lexical.format_date_time(read_date_time(reader, kind.date_kind), int(kind.date_kind))
    if code == DECIMAL:
        negative = reader.bits(1) == 1
        integral = reader.big_unsigned()
        return lexical.format_decimal(negative, integral, reader.big_unsigned())
    if code == BOOLEAN_LEXICAL:
        return BOOLEAN_SPELLINGS[reader.bits(2)]
    length = reader.unsigned()
    if length > reader.string_length:
        raise LimitError(f"a binary value of {length} bytes, more than {reader.string_length}", reader.pos)
    data = reader.octets(length)
    return base64.b64encode(data).decode("ascii") if code == BASE64 else data.hex().upper()


def read_float(reader: BitReader) -> str:
    """A Float: mantissa and exponent (7.1.4)."""
    start = reader.pos
    mantissa = read_integer(reader)
    exponent = read_integer(reader)
    if (
        not -(1 << 63) <= mantissa < (1 << 63)
        or not lexical.FLOAT_SPECIAL <= exponent <= lexical.FLOAT_EXPONENT
    ):
        raise DecodeError("expected a float with a mantissa of 63 bits and an exponent of 14", start)
    return lexical.format_float(mantissa, exponent)


def read_value(reader: BitReader, table: ValueTable, kind: Datatype, qname: QName, journal: Journal,
               list_items: i64) -> str:  # fmt: skip
    """Read one value as the text of its lexical form."""
    code = kind.kind
    if code <= CHARSET:
        return read_string(reader, table, kind, qname, journal)
    if code != LIST:
        return read_other(reader, kind)
    item = kind.item
    assert item is not None
    count = reader.unsigned()
    if count > list_items:
        raise LimitError(f"a list of {count} items, more than {list_items}", reader.pos)
    parts: list[str] = []
    size: i64 = 0
    try:
        while len(parts) < count:
            part = read_value(reader, table, item, qname, journal, list_items)
            parts.append(part)
            size += len(part)
            if size > reader.string_length:
                raise LimitError(f"a list longer than {reader.string_length} characters", reader.pos)
    except TruncatedError as error:
        # As with strings: a list in small pieces must not be tried again for each of them.
        rest = (count - len(parts) - 1) * least_bits(item, reader.aligned) >> 3
        raise reader.truncated("a list", rest + error.missing) from None
    return " ".join(parts)
