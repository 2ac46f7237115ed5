"""Values and their texts: the lexical forms of XML Schema, which every dialect, form and file here shares.

Rules of this file
* Exact both ways: `parse_text(type, to_text(value)) == value`, and decimals are kept (21.50 stays 21.50).
* Strict in: what XML Schema part 2 does not allow raises ValueError with what would be right.
* Python limits that XSD does not have (years 1 to 9999, no 24:00:00, no leap second) are refused, not rounded; only
  what lies beyond a microsecond is cut off, because peers write ticks of 100 ns.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation

from devices.base import Value, ValueType

MAX_TEXT = 65_536  # characters in one value
MAX_DIGITS = 400  # of a number written out: every xs:double fits

# re.ASCII: the digits of XML Schema are those of ASCII, not every digit of Unicode.
_DOUBLE = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([Ee][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_TIME = r"(\d\d:\d\d:\d\d)(?:\.(\d+))?"
_ZONE = r"(Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00))?"
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)" + _ZONE, re.ASCII)
_TIME_ZONE = re.compile(_TIME + _ZONE, re.ASCII)
_DATETIME = re.compile(r"(\d{4}-\d\d-\d\d)T" + _TIME + _ZONE, re.ASCII)
_DURATION = re.compile(
    r"(-)?P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d+))?S)?)?", re.ASCII
)
_COLOR = re.compile(r"[0-9a-fA-F]{6}(?:[0-9a-fA-F]{2})?")


# Char of XML 1.0, section 2.2: what is outside cannot be written in XML at all, and a server ends the stream for it.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def is_legal(text: str) -> bool:
    """Whether `text` can be written in XML."""
    return _ILLEGAL.search(text) is None


def mended(text: str) -> str:
    """`text` with U+FFFD for what cannot be written in XML: for words that matter less than that they arrive."""
    return _ILLEGAL.sub("\ufffd", text)


def to_text(value: Value) -> str:
    """The XSD lexical form of any value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dt.datetime | dt.time):
        return _TRAILING_ZEROS.sub(r"\1", value.isoformat()).replace("+00:00", "Z")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return _duration_text(value)
    return str(value)


def parse_text(type_: ValueType, text: str) -> Value:
    """`text` as a value of `type_`; white space around it does not count, but in strings. Raises ValueError."""
    if len(text) > MAX_TEXT:
        raise ValueError(f"longer than {MAX_TEXT} characters")
    if not is_legal(text):
        raise ValueError("it has control characters, which no XML can carry")
    if type_ in (ValueType.STRING, ValueType.ENUM):
        return text
    try:
        return _PARSERS[type_](text.strip(" \t\r\n"))
    except (ValueError, InvalidOperation, OverflowError):
        shown = repr(text)  # before it is cut: what is escaped is longer than the text
        raise ValueError(f"{shown if len(shown) <= 60 else shown[:60] + '…'} is not {_MEANING[type_]}") from None


def parse_datetime(text: str) -> dt.datetime:
    """An xs:dateTime; naive when it names no zone. Raises ValueError."""
    value = parse_text(ValueType.DATETIME, text)
    assert isinstance(value, dt.datetime)
    return value


_TRAILING_ZEROS = re.compile(r"(\.\d*[1-9])0+(?!\d)")
"""Of the fraction of a second, which is left out where it is nothing. EXI does not carry them, XML need not."""

_BOOLEANS: Mapping[str, bool] = {"true": True, "1": True, "false": False, "0": False}


def _boolean(text: str) -> bool:
    if text not in _BOOLEANS:
        raise ValueError
    return _BOOLEANS[text]


def _integer(bits: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not _INTEGER.fullmatch(text) or not -(1 << bits) <= int(text) < 1 << bits:
            raise ValueError
        return int(text)

    return parse


def _numeric(text: str) -> Decimal:
    if not _DOUBLE.fullmatch(text) or len(text) > MAX_DIGITS:
        raise ValueError
    value = Decimal(text)
    # Beyond xs:double, and a trap for whoever writes it out: also zeros have exponents (0E-999999999).
    if not -MAX_DIGITS < value.adjusted() < MAX_DIGITS or len(to_text(value)) > MAX_DIGITS:
        raise ValueError
    return value


def _date(text: str) -> dt.date:
    match = _DATE.fullmatch(text)
    if not match:
        raise ValueError
    return dt.date(int(match[1]), int(match[2]), int(match[3]))


def _time(text: str) -> dt.time:
    match = _TIME_ZONE.fullmatch(text)
    if not match:
        raise ValueError
    return dt.time.fromisoformat(f"{match[1]}.{_micro(match[2])}{match[3] or ''}")


def _datetime(text: str) -> dt.datetime:
    match = _DATETIME.fullmatch(text)
    if not match:
        raise ValueError
    return dt.datetime.fromisoformat(f"{match[1]}T{match[2]}.{_micro(match[3])}{match[4] or ''}")


def _micro(fraction: str | None) -> str:
    return ((fraction or "") + "000000")[:6]


def _duration(text: str) -> dt.timedelta:
    match = _DURATION.fullmatch(text)
    if not match or text.endswith(("P", "T")):
        raise ValueError
    if match[2] or match[3]:
        raise ValueError  # years and months have no fixed length
    days, hours, minutes, seconds = (int(match[i] or 0) for i in (4, 5, 6, 7))
    value = dt.timedelta(days, seconds, int(_micro(match[8])), 0, minutes, hours)
    return -value if match[1] else value


def _duration_text(value: dt.timedelta) -> str:
    sign = "-" if value < dt.timedelta(0) else ""
    value = abs(value)
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{value.microseconds:06d}".rstrip("0") if value.microseconds else ""
    date = f"{value.days}D" if value.days else ""
    clock = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M")) if n)
    if seconds or fraction or not (date or clock):
        clock += f"{seconds}{fraction}S"
    return f"{sign}P{date}{'T' + clock if clock else ''}"


def _color(text: str) -> str:
    if not _COLOR.fullmatch(text):
        raise ValueError
    return text


_PARSERS: Mapping[ValueType, Callable[[str], Value]] = {
    ValueType.BOOLEAN: _boolean,
    ValueType.COLOR: _color,
    ValueType.DATE: _date,
    ValueType.DATETIME: _datetime,
    ValueType.DURATION: _duration,
    ValueType.INT: _integer(31),
    ValueType.LONG: _integer(63),
    ValueType.NUMERIC: _numeric,
    ValueType.TIME: _time,
}

_MEANING: Mapping[ValueType, str] = {
    ValueType.BOOLEAN: "true or false",
    ValueType.COLOR: "a colour (RRGGBB or RRGGBBAA)",
    ValueType.DATE: "a date (2026-11-21)",
    ValueType.DATETIME: "a date and time (2026-11-21T08:00:00Z)",
    ValueType.DURATION: "a duration (PT3M30S; without years and months)",
    ValueType.INT: "a whole number of 32 bits",
    ValueType.LONG: "a whole number of 64 bits",
    ValueType.NUMERIC: "a number",
    ValueType.TIME: "a time (08:00:00)",
}
