"""Lexical forms ↔ the numbers that EXI codes: decimal, float, date-time and binary values (section 7.1).

Pure functions of text and integers; nothing here knows bits or tables. A `parse_…` function returns None
where the text is no value of the type; the caller then falls back to an untyped value or refuses. A
`format_…` function returns the lexical form that keeps the most: decimals stay (2150E-2 becomes 21.50), times
stay as they were sent (24:00:00 is not turned into the next day).
"""

from __future__ import annotations

import re
from typing import Final

from .native import i64

WHITESPACE: Final = " \t\r\n"

# Date-time components (7.1.8); the order of a tuple is year, month and day, time, fraction, zone.
DATE_TIME: Final = 0
TIME: Final = 1
DATE: Final = 2
YEAR_MONTH: Final = 3
YEAR: Final = 4
MONTH_DAY: Final = 5
DAY: Final = 6
MONTH: Final = 7

ABSENT: Final = -1_000_000  # no zone, no fraction
NO_ZONE: Final = -2_000_000  # not a zone

FLOAT_SPECIAL: Final = -16384  # exponent of INF, -INF and NaN (7.1.4)
FLOAT_EXPONENT: Final = 16383  # largest exponent
PLUS: Final = 43  # code points in dates
MINUS: Final = 45
POINT: Final = 46
COLON: Final = 58
LETTER_T: Final = 84
LETTER_Z: Final = 90

SHORT_NUMBER: Final = 18  # characters of a number whose digits surely fit 63 bits
LONGEST_PLAIN_DATE: Final = 37  # characters; the digits of its fraction surely fit 63 bits
LONGEST_NUMBER: Final = 4300  # digits that Python converts to an integer
TWO_DIGITS: Final = [f"{number:02d}" for number in range(64)]
PLAIN_DECIMALS: Final = 40  # decimals up to which a float is written without an exponent

_ZONE = r"(?P<zone>Z|[+-]\d\d:\d\d)?"
_YEAR = r"(?P<year>-?\d{4,})"
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:\.(?P<fraction>\d+))?"
_DATE_PATTERNS: Final = [
    re.compile(pattern, re.ASCII)
    for pattern in (
        f"{_YEAR}-(?P<month>\\d\\d)-(?P<day>\\d\\d)T{_TIME}{_ZONE}",
        f"{_TIME}{_ZONE}",
        f"{_YEAR}-(?P<month>\\d\\d)-(?P<day>\\d\\d){_ZONE}",
        f"{_YEAR}-(?P<month>\\d\\d){_ZONE}",
        f"{_YEAR}{_ZONE}",
        f"--(?P<month>\\d\\d)-(?P<day>\\d\\d){_ZONE}",
        f"---(?P<day>\\d\\d){_ZONE}",
        f"--(?P<month>\\d\\d)(?:--)?{_ZONE}",
    )
]
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_DECIMAL: Final = re.compile(r"([+-]?)(?:([0-9]+)(?:\.([0-9]*))?|\.([0-9]+))")
_FLOAT: Final = re.compile(r"([+-]?)(?:([0-9]+)(?:\.([0-9]*))?|\.([0-9]+))(?:[eE]([+-]?[0-9]+))?")
_MANTISSA_LIMIT: Final = 1 << 63


class DateTime:
    """The components of a date-time value; the fraction is kept reversed, as it is coded."""

    def __init__(self, year: int, month_day: i64, time: i64, fraction: int, zone: i64) -> None:
        self.year = year
        self.month_day: i64 = month_day
        self.time: i64 = time
        self.fraction = fraction
        self.zone: i64 = zone


def parse_integer(text: str) -> int | None:
    """An xs:integer, or None."""
    size: i64 = len(text)
    if 0 < size <= SHORT_NUMBER:
        value: i64 = 0
        index: i64 = 1 if text[0] == "-" and size > 1 else 0
        while index < size:
            code: i64 = ord(text[index])
            if not 48 <= code <= 57:
                break
            value = value * 10 + (code - 48)
            index += 1
        if index == size:
            return int(-value if text[0] == "-" else value)
    text = text.strip(WHITESPACE)
    # Python refuses to convert very long digit strings; such an integer is not carried as a number.
    if len(text) > LONGEST_NUMBER or not _INTEGER.fullmatch(text):
        return None
    return int(text)


def parse_decimal(text: str) -> tuple[bool, int, int] | None:
    """(negative, integral part, reversed fraction) of an xs:decimal (7.1.3), or None."""
    match = _DECIMAL.fullmatch(text.strip(WHITESPACE))
    if match is None or len(text) > LONGEST_NUMBER:
        return None
    sign, integral, fraction, bare_fraction = match.groups()
    digits = fraction or bare_fraction or ""
    return sign == "-", int(integral or "0"), int(digits[::-1] or "0")


def format_decimal(negative: bool, integral: int, reversed_fraction: int) -> str:
    """The lexical form of a decimal; its trailing zeros are not carried by the format."""
    fraction = str(reversed_fraction)[::-1]
    return f"{'-' if negative else ''}{integral}.{fraction}"


def parse_float(text: str) -> tuple[int, int] | None:
    """(mantissa, exponent) of an xs:float or xs:double (7.1.4), or None.

    The decimals of the text are kept; a text whose digits do not fit a mantissa of 63 bits is no value.
    """
    size: i64 = len(text)
    mantissa: i64 = 0
    exponent: i64 = 0
    point: i64 = -1
    start: i64 = 1 if size > 1 and text[0] == "-" else 0
    index = start
    while index < size and index < SHORT_NUMBER:
        code: i64 = ord(text[index])
        if 48 <= code <= 57:
            mantissa = mantissa * 10 + (code - 48)
        elif code == 46 and point < 0:
            point = index
        else:
            return parse_any_float(text)
        index += 1
    if index < size or size - start - (1 if point >= 0 else 0) == 0:
        return parse_any_float(text)
    if point >= 0:
        exponent = point + 1 - size
    return (-mantissa if start else mantissa), exponent


def parse_any_float(text: str) -> tuple[int, int] | None:
    """The same for long numbers, those with an exponent, INF, -INF and NaN."""
    text = text.strip(WHITESPACE)
    match = _FLOAT.fullmatch(text)
    if match is None:
        special = {"INF": 1, "-INF": -1, "NaN": 0}.get(text)
        return None if special is None else (special, FLOAT_SPECIAL)
    if len(text) > LONGEST_NUMBER:
        return None
    sign, integral, fraction, bare_fraction, power = match.groups()
    decimals = fraction or bare_fraction or ""
    mantissa = int((integral or "") + decimals)
    exponent = int(power or "0") - len(decimals)
    if sign == "-":
        mantissa = -mantissa
    if not -_MANTISSA_LIMIT <= mantissa < _MANTISSA_LIMIT:
        return None
    if mantissa == 0 and abs(exponent) > FLOAT_EXPONENT:
        exponent = 0
    if not -FLOAT_EXPONENT <= exponent <= FLOAT_EXPONENT:
        return None
    return mantissa, exponent


def format_float(mantissa: int, exponent: int) -> str:
    """The lexical form of a float: plain decimals where they stay short, otherwise with an exponent."""
    if exponent == 0:
        return str(mantissa)
    if exponent > 0 or exponent < -PLAIN_DECIMALS:
        if exponent == FLOAT_SPECIAL:
            return {1: "INF", -1: "-INF"}.get(mantissa, "NaN")
        return f"{mantissa}E{exponent}"
    digits = str(mantissa if mantissa >= 0 else -mantissa)
    if len(digits) <= -exponent:
        digits = digits.rjust(1 - exponent, "0")
    cut = len(digits) + exponent
    return f"{'' if mantissa >= 0 else '-'}{digits[:cut]}.{digits[cut:]}"


def two_digits(text: str, at: i64) -> i64:
    """The number that two digits spell, -1 if they are none."""
    if at + 2 > len(text):
        return -1
    high: i64 = ord(text[at])
    low: i64 = ord(text[at + 1])
    if 48 <= high <= 57 and 48 <= low <= 57:
        return (high - 48) * 10 + (low - 48)
    return -1


def parse_date_time(text: str, kind: int) -> DateTime | None:
    """The components of a date-time of one of the eight kinds, or None."""
    if kind == DATE_TIME:
        value = parse_plain_date_time(text)
        if value is not None:
            return value
    return parse_any_date_time(text, kind)


def parse_plain_date_time(text: str) -> DateTime | None:
    """The spelling that nearly all have, 2026-11-20T23:59:59.25+01:00, fraction and zone optional; None for others."""
    size: i64 = len(text)
    if size < 19 or size > LONGEST_PLAIN_DATE:
        return None
    if ord(text[4]) != MINUS or ord(text[7]) != MINUS or ord(text[10]) != LETTER_T:
        return None
    if ord(text[13]) != COLON or ord(text[16]) != COLON:
        return None
    century, year = two_digits(text, 0), two_digits(text, 2)
    month, day = two_digits(text, 5), two_digits(text, 8)
    hour, minute, second = two_digits(text, 11), two_digits(text, 14), two_digits(text, 17)
    if century < 0 or year < 0 or not 1 <= month <= 12 or not 1 <= day <= 31:
        return None
    if not 0 <= hour <= 23 or not 0 <= minute <= 59 or not 0 <= second <= 60:
        return None
    time = (hour * 64 + minute) * 64 + second
    index: i64 = 19
    reversed_fraction: i64 = 0
    if index < size and ord(text[index]) == POINT:
        unit: i64 = 1
        index += 1
        while index < size and 48 <= ord(text[index]) <= 57:
            reversed_fraction += (ord(text[index]) - 48) * unit
            unit *= 10
            index += 1
        if index == 20:
            return None
    zone: i64 = ABSENT
    if index < size:
        zone = plain_zone(text, index, size)
        if zone == NO_ZONE:
            return None
    # A fraction of zeros is not told apart from none: reversed, it would be the number 0.
    fraction = int(reversed_fraction) if reversed_fraction else ABSENT
    return DateTime(century * 100 + year, month * 32 + day, time, fraction, zone)


def plain_zone(text: str, index: i64, size: i64) -> i64:
    """The zone that a date ends with, as it is coded; NO_ZONE if that is none."""
    sign = ord(text[index])
    if sign == LETTER_Z and index + 1 == size:
        return 0
    if (sign != MINUS and sign != PLUS) or index + 6 != size or ord(text[index + 3]) != COLON:
        return NO_ZONE
    hours, minutes = two_digits(text, index + 1), two_digits(text, index + 4)
    if hours < 0 or minutes < 0 or hours > 14 or minutes > 59 or (hours == 14 and minutes):
        return NO_ZONE
    zone = hours * 64 + minutes
    return -zone if sign == MINUS else zone


def parse_any_date_time(text: str, kind: int) -> DateTime | None:
    """Any spelling of any kind."""
    match = _DATE_PATTERNS[kind].fullmatch(text.strip(WHITESPACE))
    if match is None or len(text) > LONGEST_NUMBER:
        return None
    found = match.groupdict()
    year = int(found.get("year") or "2000")
    month = int(found.get("month") or "0")
    day = int(found.get("day") or "0")
    if "month" in found and not 1 <= month <= 12:
        return None
    if "day" in found and not 1 <= day <= 31:
        return None
    hour = int(found.get("hour") or "0")
    minute = int(found.get("minute") or "0")
    second = int(found.get("second") or "0")
    fraction = found.get("fraction")
    midnight = hour == 24 and minute == 0 and second == 0
    # 24:00:00 is a lexical form (XSD part 2, 3.2.7.1) and stays one; a leap second fits the format's six
    # bits.
    if (hour > 23 and not midnight) or minute > 59 or second > 60:
        return None
    if midnight and fraction and fraction.strip("0"):
        return None
    zone = ABSENT
    zone_text = found.get("zone")
    if zone_text:
        zone = 0
        if zone_text != "Z":
            hours, minutes = int(zone_text[1:3]), int(zone_text[4:6])
            if hours > 14 or minutes > 59 or (hours == 14 and minutes):
                return None
            zone = (hours * 64 + minutes) * (-1 if zone_text[0] == "-" else 1)
    # A fraction of zeros is not told apart from none: reversed, it would be the number 0.
    reversed_fraction = int(fraction[::-1]) if fraction and fraction.strip("0") else ABSENT
    return DateTime(year, month * 32 + day, (hour * 64 + minute) * 64 + second, reversed_fraction, zone)


def format_year(year: int) -> str:
    """A year with at least four digits."""
    if 1000 <= year <= 9999:
        return str(year)
    return f"-{-year:04d}" if year < 0 else f"{year:04d}"


def format_date_time(value: DateTime, kind: int) -> str:
    """The lexical form of a date-time of one of the eight kinds."""
    month = TWO_DIGITS[value.month_day >> 5]
    day = TWO_DIGITS[value.month_day & 31]
    if kind == DATE_TIME:
        text = f"{format_year(value.year)}-{month}-{day}T{format_time(value)}"
    elif kind == TIME:
        text = format_time(value)
    elif kind == DATE:
        text = f"{format_year(value.year)}-{month}-{day}"
    elif kind == YEAR_MONTH:
        text = f"{format_year(value.year)}-{month}"
    elif kind == YEAR:
        text = format_year(value.year)
    elif kind == MONTH_DAY:
        text = f"--{month}-{day}"
    elif kind == DAY:
        text = "---" + day
    else:
        text = "--" + month
    zone = value.zone
    if zone == ABSENT:
        return text
    if zone == 0:
        return text + "Z"
    if zone < 0:
        return f"{text}-{TWO_DIGITS[-zone >> 6]}:{TWO_DIGITS[-zone & 63]}"
    return f"{text}+{TWO_DIGITS[zone >> 6]}:{TWO_DIGITS[zone & 63]}"


def format_time(value: DateTime) -> str:
    """The time of day, with its fraction if there is one."""
    time = value.time
    text = f"{TWO_DIGITS[time >> 12]}:{TWO_DIGITS[(time >> 6) & 63]}:{TWO_DIGITS[time & 63]}"
    if value.fraction != ABSENT:
        text += "." + str(value.fraction)[::-1]
    return text
