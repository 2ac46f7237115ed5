"""Bits and bytes: the only file that knows how a number becomes bits (sections 5 and 7.1.9).

One reader and one writer serve both layouts. `aligned` False is bit-packed: n bits are n bits. `aligned` True
is the layout of byte-packed and (pre-)compressed streams: an n-bit unsigned integer takes the fewest whole
bytes, least significant first. Unsigned integers of any size and characters are groups of seven bits in both.

The reader never runs past its end: it raises `TruncatedError` and leaves `pos` where the item began or inside
it; whoever wants to try again later remembers `pos` first.
"""

from __future__ import annotations

from typing import Final

from .errors import DecodeError, EncodeError, LimitError, TruncatedError
from .native import i64

LONG_TEXT: Final = 24
"""From this length on, in characters, shifting a string as one big integer beats a loop over its bytes."""

PLAIN: Final = [chr(point) for point in range(0x7F)]


def bits_for(count: i64) -> i64:
    """Width in bits of a code that distinguishes `count` values: ceil(log2 count)."""
    if count < 2:
        return 0
    width: i64 = 0
    count -= 1
    while count > 0:
        width += 1
        count >>= 1
    return width


class BitWriter:
    """Appends numbers and characters to a growing list of byte values."""

    def __init__(self, aligned: bool) -> None:
        self.aligned = aligned
        self.buffer: list[int] = []
        self.partial: i64 = 0  # bits not yet in the buffer, fewer than 8
        self.pending: i64 = 0  # how many

    def bits(self, value: i64, width: i64) -> None:
        """An n-bit unsigned integer, at most 56 bits wide."""
        if self.aligned:
            while width > 0:
                self.buffer.append(value & 0xFF)
                value >>= 8
                width -= 8
            return
        left = self.pending + width
        gathered = (self.partial << width) | value
        while left >= 8:
            left -= 8
            self.buffer.append((gathered >> left) & 0xFF)
        self.partial = gathered & ((1 << left) - 1)
        self.pending = left

    def octet(self, value: i64) -> None:
        """Eight bits, in either layout."""
        left = self.pending
        if left == 0:
            self.buffer.append(value)
            return
        gathered = (self.partial << 8) | value
        self.buffer.append((gathered >> left) & 0xFF)
        self.partial = gathered & ((1 << left) - 1)

    def unsigned(self, value: i64) -> None:
        """An Unsigned Integer that fits 63 bits (7.1.6)."""
        if value < 0x80:
            left = self.pending
            gathered = (self.partial << 8) | value
            self.buffer.append((gathered >> left) & 0xFF)
            self.partial = gathered & ((1 << left) - 1)
            return
        while value >= 0x80:
            self.octet((value & 0x7F) | 0x80)
            value >>= 7
        self.octet(value)

    def big_unsigned(self, value: int) -> None:
        """An Unsigned Integer of any size (7.1.6)."""
        while value >= 0x80:
            self.octet((value & 0x7F) | 0x80)
            value >>= 7
        self.octet(value)

    def octets(self, data: bytes) -> None:
        """Whole bytes, shifted to wherever the stream stands."""
        left = self.pending
        if left == 0:
            self.buffer.extend(data)
            return
        size: i64 = len(data)
        if size < LONG_TEXT:
            gathered = self.partial
            buffer = self.buffer
            index: i64 = 0
            while index < size:
                gathered = (gathered << 8) | i64(data[index])
                buffer.append((gathered >> left) & 0xFF)
                gathered &= 0xFF
                index += 1
            self.partial = gathered & ((1 << left) - 1)
            return
        shifted: int = int.from_bytes(data, "big") | (int(self.partial) << int(8 * size))
        shifted >>= int(left)
        self.buffer.extend(shifted.to_bytes(int(size), "big"))
        self.partial = i64(data[size - 1]) & ((1 << left) - 1)

    def characters(self, text: str) -> bool:
        """The characters of a string, without its length (7.1.10); whether all of them are plain.

        Plain are those of ASCII that print, so that nobody has to look whether XML allows them.
        """
        size: i64 = len(text)
        if size >= LONG_TEXT and text.isascii():
            self.octets(text.encode("ascii"))
            return False
        index: i64 = 0
        left = self.pending
        gathered = self.partial
        buffer = self.buffer
        while index < size:
            point: i64 = ord(text[index])
            if not 0x20 <= point < 0x7F:
                break
            index += 1
            gathered = (gathered << 8) | point
            buffer.append((gathered >> left) & 0xFF)
            gathered &= 0xFF
        self.partial = gathered & ((1 << left) - 1)
        if index < size:
            self.any_characters(text, index)
            return False
        return True

    def any_characters(self, text: str, index: i64) -> None:
        """The characters of a string from one that is not plain."""
        size: i64 = len(text)
        while index < size:
            point: i64 = ord(text[index])
            index += 1
            if 0xD800 <= point <= 0xDFFF:
                raise EncodeError(f"the surrogate {point:#x} is no character")
            self.unsigned(point)

    def string(self, text: str) -> None:
        """A String: its length in characters, then the characters."""
        self.unsigned(len(text))
        self.characters(text)

    def align(self) -> None:
        """Fill up to the next byte with zero bits."""
        if self.pending:
            self.buffer.append((self.partial << (8 - self.pending)) & 0xFF)
            self.partial = 0
            self.pending = 0

    def mark(self) -> i64:
        """A place to `rewind` to, as the number of bits written so far."""
        return len(self.buffer) * 8 + self.pending

    def rewind(self, mark: i64) -> None:
        """Forget everything written after `mark`."""
        here: i64 = len(self.buffer) * 8 + self.pending
        if here == mark:
            return
        whole = mark >> 3
        left = mark & 7
        if left:
            kept = i64(self.buffer[whole]) if whole < len(self.buffer) else self.partial << (8 - self.pending)
            self.partial = kept >> (8 - left)
        else:
            self.partial = 0
        self.pending = left
        del self.buffer[whole:]

    def take(self) -> bytes:
        """Everything written, filled up to a byte; the writer starts anew."""
        self.align()
        data = bytes(self.buffer)
        self.buffer = []
        return data

    def clear(self) -> None:
        """Start anew."""
        self.buffer = []
        self.partial = 0
        self.pending = 0


def character_of(point: i64, bit_offset: i64) -> str:
    """The character with this code point; `DecodeError` if there is none."""
    if point > 0x10FFFF or 0xD800 <= point <= 0xDFFF:
        raise DecodeError(f"expected a character, found the code point {point:#x}", bit_offset)
    return chr(point)


class BitReader:
    """Reads numbers and characters from bytes; `pos` and `end` count bits."""

    def __init__(self, data: bytes, aligned: bool, integer_bits: i64, string_length: i64) -> None:
        self.aligned = aligned
        self.data = data
        self.pos: i64 = 0
        self.end: i64 = len(data) * 8
        self.integer_bits = integer_bits
        self.string_length = string_length
        self.plain = False  # the characters read last are printing ones of ASCII

    def truncated(self, expected: str, missing: i64 = 1) -> TruncatedError:
        """The error for input that ends inside the item `expected`."""
        return TruncatedError(f"input ends inside {expected}", self.pos, missing)

    def bits(self, width: i64) -> i64:
        """An n-bit unsigned integer, at most 56 bits wide."""
        if self.aligned:
            return self.little_endian(width)
        position = self.pos
        stop = position + width
        if stop > self.end:
            raise self.truncated(f"a {width}-bit integer", (stop - self.end + 7) >> 3)
        data = self.data
        index = position >> 3
        last = (stop + 7) >> 3
        gathered: i64 = 0
        while index < last:
            gathered = (gathered << 8) | i64(data[index])
            index += 1
        self.pos = stop
        return (gathered >> (-stop & 7)) & ((1 << width) - 1)

    def little_endian(self, width: i64) -> i64:
        """An n-bit unsigned integer of the byte-aligned layouts."""
        index = self.pos >> 3
        count = (width + 7) >> 3
        stop = self.pos + count * 8
        if stop > self.end:
            raise self.truncated(f"a {width}-bit integer", (stop - self.end + 7) >> 3)
        value: i64 = 0
        shift: i64 = 0
        while shift < width:
            value |= i64(self.data[index]) << shift
            index += 1
            shift += 8
        if value >> width:
            raise DecodeError(f"the value {value} does not fit {width} bits", self.pos)
        self.pos = stop
        return value

    def octet(self) -> i64:
        """Eight bits, in either layout."""
        position = self.pos
        stop = position + 8
        if stop > self.end:
            raise self.truncated("a byte")
        index = position >> 3
        shift = position & 7
        self.pos = stop
        if shift == 0:
            return i64(self.data[index])
        return (((i64(self.data[index]) << 8) | i64(self.data[index + 1])) >> (8 - shift)) & 0xFF

    def unsigned(self) -> i64:
        """An Unsigned Integer that must fit 62 bits: lengths, code points, identifiers."""
        octet = self.octet()
        if octet < 0x80:
            return octet
        value = octet & 0x7F
        shift: i64 = 7
        while octet >= 0x80:
            octet = self.octet()
            if shift > 49:
                raise LimitError("a length or code point wider than 56 bits", self.pos)
            value |= (octet & 0x7F) << shift
            shift += 7
        return value

    def big_unsigned(self) -> int:
        """An Unsigned Integer of any size up to the limit (7.1.6)."""
        start = self.pos
        octet = self.octet()
        small = octet & 0x7F
        shift: i64 = 7
        while octet >= 0x80 and shift < 56:
            octet = self.octet()
            small |= (octet & 0x7F) << shift
            shift += 7
        value = int(small)
        while octet >= 0x80:
            if shift >= self.integer_bits:
                raise LimitError(f"an integer of more than {self.integer_bits} bits", start)
            octet = self.octet()
            value |= int(octet & 0x7F) << int(shift)
            shift += 7
        return value

    def octets(self, count: i64) -> bytes:
        """Whole bytes from wherever the stream stands."""
        position = self.pos
        stop = position + count * 8
        if stop > self.end:
            raise self.truncated(f"{count} bytes", (stop - self.end + 7) >> 3)
        self.pos = stop
        first = position >> 3
        shift = position & 7
        if shift == 0:
            return self.data[first : first + count]
        if count < LONG_TEXT:
            data = self.data
            gathered: i64 = i64(data[first])
            shifted: list[int] = []
            while len(shifted) < count:
                first += 1
                gathered = ((gathered & 0xFF) << 8) | i64(data[first])
                shifted.append((gathered >> (8 - shift)) & 0xFF)
            return bytes(shifted)
        window: int = int.from_bytes(self.data[first : first + count + 1], "big") >> int(8 - shift)
        window &= (1 << int(count * 8)) - 1
        return window.to_bytes(int(count), "big")

    def short_text(self, count: i64) -> str:
        """`count` plain characters of a byte each; the empty string, and nothing read, if they are not."""
        position = self.pos
        index = position >> 3
        shift = -position & 7
        data = self.data
        gathered: i64 = 0
        if shift:
            gathered = i64(data[index])
            index += 1
        parts: list[str] = []
        last = index + count
        while index < last:
            gathered = ((gathered & 0xFF) << 8) | i64(data[index])
            index += 1
            point = (gathered >> shift) & 0xFF
            if not 0x20 <= point < 0x7F:
                return ""
            parts.append(PLAIN[point])
        self.pos = position + count * 8
        self.plain = True
        return "".join(parts)

    def characters(self, count: i64) -> str:
        """`count` characters of a String (7.1.10)."""
        self.plain = False
        if count == 0:
            return ""
        if count < LONG_TEXT and self.pos + count * 8 <= self.end:
            text = self.short_text(count)
            if text:
                return text
        if count > self.string_length:
            raise LimitError(f"a string of {count} characters, more than {self.string_length}", self.pos)
        position = self.pos
        # Each character takes at least one byte, so this also bounds the memory by the input.
        data = self.octets(count)
        if data.isascii():
            return data.decode("ascii")
        self.pos = position
        parts: list[str] = []
        try:
            while len(parts) < count:
                start = self.pos
                point = self.unsigned()
                if point < 0x7F:
                    parts.append(PLAIN[point])
                else:
                    parts.append(character_of(point, start))
        except TruncatedError:
            # All that must still come, so that a string in small pieces is not tried again for each of them.
            raise self.truncated("a string", count - len(parts)) from None
        return "".join(parts)

    def character(self) -> str:
        """One character as the Unsigned Integer of its code point."""
        start = self.pos
        return character_of(self.unsigned(), start)

    def string(self) -> str:
        """A String: its length in characters, then the characters."""
        return self.characters(self.unsigned())

    def align(self) -> None:
        """Skip to the next byte."""
        self.pos = (self.pos + 7) & ~7
