"""The errors of the codec, drawn once.

    EXIError
    ├── EncodeError      the caller's document cannot be carried with these options (you erred)
    │   └── TablesFullError  it could be, but the session's tables would outgrow `Limits`: begin a new session
    ├── DecodeError      the bytes are not a valid EXI stream (the peer erred); knows the bit offset
    │   ├── LimitError       valid so far, but it would cost more than `Limits` allows
    │   └── TruncatedError   valid so far, but the bytes end too early; a stream decoder waits for more
    └── SchemaError      a schema, a grammar file or a combination of options is not usable

Nothing else leaves the public functions of the package because of what a peer sent.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element


class EXIError(Exception):
    """Base of all errors of this package."""


class EncodeError(EXIError):
    """The document cannot be represented under the options and grammars given."""


class TablesFullError(EncodeError):
    """The tables of the session would outgrow what the peer's decoder tolerates; nothing was added to them."""


class DecodeError(EXIError):
    """The bytes are no EXI stream that these options and grammars describe.

    `elements` are those that a `Decoder.feed` had completed from the same bytes before it met the error.
    """

    def __init__(self, message: str, bit_offset: int = -1) -> None:
        self.elements: list[Element] = []
        self.bit_offset = bit_offset
        self.reason = message
        super().__init__(f"bit {bit_offset}: {message}" if bit_offset >= 0 else message)


class LimitError(DecodeError):
    """Decoding stopped because a limit of `Limits` would be passed."""


class TruncatedError(DecodeError):
    """The input ended inside an item.

    `missing` is a lower bound, in bytes, of what must still arrive before another try can succeed.
    """

    def __init__(self, message: str, bit_offset: int = -1, missing: int = 1) -> None:
        self.missing = missing
        super().__init__(message, bit_offset)


class SchemaError(EXIError):
    """A schema, a grammar file or a set of options cannot be used."""
