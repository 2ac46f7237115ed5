"""Values and their texts: exact both ways, strict on the way in."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.base import Value, ValueType
from hub.things.values import MAX_TEXT, parse_datetime, parse_text, to_text
from tests.stanzas import strategies as some

UTC = dt.UTC


@pytest.mark.parametrize("type_", ValueType)
@some.thorough
@given(data=st.data())
def test_every_value_is_read_as_it_was_written(type_: ValueType, data: st.DataObject) -> None:
    value = data.draw(some.VALUES[type_])
    again = parse_text(type_, to_text(value))
    assert again == value
    assert to_text(again) == to_text(value)  # digits after the point and zones are kept too


@some.thorough
@given(st.sampled_from(list(ValueType)), st.text() | st.from_regex(r"[-+]?[0-9.]{0,30}([eE][-+]?[0-9]{1,12})?"))
def test_any_text_is_a_value_that_survives_or_a_value_error(type_: ValueType, text: str) -> None:
    try:
        value = parse_text(type_, text)
    except ValueError as error:
        assert len(str(error)) < 200
        return
    written = to_text(value)
    assert len(written) <= MAX_TEXT
    assert parse_text(type_, written) == value


GOOD: list[tuple[ValueType, str, Value, str]] = [
    (ValueType.BOOLEAN, "true", True, "true"),
    (ValueType.BOOLEAN, "1", True, "true"),
    (ValueType.BOOLEAN, " false\n", False, "false"),
    (ValueType.NUMERIC, "21.50", Decimal("21.50"), "21.50"),
    (ValueType.NUMERIC, "+.5", Decimal("0.5"), "0.5"),
    (ValueType.NUMERIC, "5.", Decimal("5"), "5"),
    (ValueType.NUMERIC, "1.5E3", Decimal("1500"), "1500"),
    (ValueType.NUMERIC, "5E-324", Decimal("5E-324"), "0." + "0" * 323 + "5"),
    (ValueType.NUMERIC, "-0.0", Decimal("0.0"), "-0.0"),
    (ValueType.INT, "-2147483648", -(2**31), "-2147483648"),
    (ValueType.INT, "+007", 7, "7"),
    (ValueType.LONG, "9223372036854775807", 2**63 - 1, "9223372036854775807"),
    (ValueType.DATE, "2026-02-28", dt.date(2026, 2, 28), "2026-02-28"),
    (ValueType.DATE, "2026-02-28+01:00", dt.date(2026, 2, 28), "2026-02-28"),
    (ValueType.TIME, "08:00:00", dt.time(8), "08:00:00"),
    (ValueType.TIME, "08:00:00.25Z", dt.time(8, 0, 0, 250000, UTC), "08:00:00.25Z"),
    (ValueType.DATETIME, "2026-11-21T08:00:00Z", dt.datetime(2026, 11, 21, 8, tzinfo=UTC), "2026-11-21T08:00:00Z"),
    (ValueType.DATETIME, "2026-11-21T08:00:00.1234567Z",
     dt.datetime(2026, 11, 21, 8, 0, 0, 123456, UTC), "2026-11-21T08:00:00.123456Z"),
    (ValueType.DATETIME, "2026-11-21T08:00:00+14:00",
     dt.datetime(2026, 11, 21, 8, tzinfo=dt.timezone(dt.timedelta(hours=14))), "2026-11-21T08:00:00+14:00"),
    (ValueType.DURATION, "PT3M30S", dt.timedelta(seconds=210), "PT3M30S"),
    (ValueType.DURATION, "-P1DT0.5S", -dt.timedelta(days=1, milliseconds=500), "-P1DT0.5S"),
    (ValueType.DURATION, "PT90S", dt.timedelta(seconds=90), "PT1M30S"),
    (ValueType.DURATION, "P0D", dt.timedelta(0), "PT0S"),
    (ValueType.STRING, "  as it is\n", "  as it is\n", "  as it is\n"),
    (ValueType.COLOR, "3399FFaa", "3399FFaa", "3399FFaa"),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "text", "value", "written"), GOOD)
def test_a_lexical_form_has_this_value_and_is_written_so(
    type_: ValueType, text: str, value: Value, written: str
) -> None:
    assert parse_text(type_, text) == value
    assert to_text(parse_text(type_, text)) == written


@pytest.mark.parametrize("exponent", [*range(-402, -318), *range(300, 403)])
@pytest.mark.parametrize("mantissa", ["1", "-9.99", "0", "1.7976931348623157"])
def test_a_number_at_the_edge_is_refused_or_can_be_written_and_read_again(mantissa: str, exponent: int) -> None:
    try:
        value = parse_text(ValueType.NUMERIC, f"{mantissa}E{exponent}")
    except ValueError:
        assert not -345 < exponent < 309  # every xs:double can be had
        return
    assert parse_text(ValueType.NUMERIC, to_text(value)) == value


BAD: list[tuple[ValueType, str]] = [
    *((type_, "") for type_ in ValueType if type_ not in (ValueType.STRING, ValueType.ENUM)),
    (ValueType.BOOLEAN, "True"), (ValueType.BOOLEAN, "yes"), (ValueType.BOOLEAN, "2"),
    (ValueType.NUMERIC, "NaN"), (ValueType.NUMERIC, "INF"), (ValueType.NUMERIC, "1,5"), (ValueType.NUMERIC, "0x10"),
    (ValueType.NUMERIC, "1_0"), (ValueType.NUMERIC, "."), (ValueType.NUMERIC, "1e"), (ValueType.NUMERIC, "1 2"),
    (ValueType.NUMERIC, "1e400"), (ValueType.NUMERIC, "1e-400"), (ValueType.NUMERIC, "1" * 401),
    (ValueType.NUMERIC, "1E999999999999999999999"),
    (ValueType.NUMERIC, "0E-999999999"), (ValueType.NUMERIC, "0E-1000"), (ValueType.NUMERIC, "0E+1000"),
    (ValueType.NUMERIC, "١٢"), (ValueType.NUMERIC, "１.５"),
    (ValueType.INT, "2147483648"), (ValueType.INT, "-2147483649"), (ValueType.INT, "1.0"), (ValueType.INT, "1e3"),
    (ValueType.INT, "١٢"), (ValueType.INT, "9" * 5000), (ValueType.INT, "--1"),
    (ValueType.LONG, "9223372036854775808"), (ValueType.LONG, "-9223372036854775809"),
    (ValueType.DATE, "2026-02-29"), (ValueType.DATE, "2026-13-01"), (ValueType.DATE, "26-01-01"),
    (ValueType.DATE, "0000-01-01"), (ValueType.DATE, "12026-01-01"), (ValueType.DATE, "-2026-01-01"),
    (ValueType.DATE, "20260101"), (ValueType.DATE, "2026-01-01T00:00:00"), (ValueType.DATE, "٢٠٢٦-٠١-٠١"),
    (ValueType.DATE, "2026-01-01+99:99"), (ValueType.DATE, "2026-01-01+14:01"),
    (ValueType.TIME, "24:00:00"), (ValueType.TIME, "08:60:00"), (ValueType.TIME, "08:00:60"),
    (ValueType.TIME, "8:00:00"), (ValueType.TIME, "08:00"), (ValueType.TIME, "08:00:00.Z"),
    (ValueType.TIME, "08:00:00+15:00"),
    (ValueType.DATETIME, "2026-11-21"), (ValueType.DATETIME, "2026-11-21 08:00:00"),
    (ValueType.DATETIME, "2026-11-21T24:00:00Z"), (ValueType.DATETIME, "2026-11-21T08:00:00z"),
    (ValueType.DATETIME, "2026-11-21T08:00:00+0100"), (ValueType.DATETIME, "2026-11-21T08:00:00+14:30"),
    (ValueType.DATETIME, "2026-11-21T08:00Z"), (ValueType.DATETIME, "2026-W47-6T08:00:00Z"),
    (ValueType.DATETIME, "٢٠٢٦-11-21T08:00:00Z"),
    (ValueType.DURATION, "P"), (ValueType.DURATION, "PT"), (ValueType.DURATION, "P1DT"), (ValueType.DURATION, "-P"),
    (ValueType.DURATION, "P1Y"), (ValueType.DURATION, "P1M"), (ValueType.DURATION, "PT1.5M"),
    (ValueType.DURATION, "1H"), (ValueType.DURATION, "PT1S1M"), (ValueType.DURATION, "P1W"),
    (ValueType.DURATION, "PT" + "9" * 5000 + "S"), (ValueType.DURATION, "P9999999999D"), (ValueType.DURATION, "PT١S"),
    (ValueType.COLOR, "red"), (ValueType.COLOR, "#3399FF"), (ValueType.COLOR, "3399F"), (ValueType.COLOR, "3399FF0"),
    (ValueType.STRING, "x" * (MAX_TEXT + 1)),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "text"), BAD, ids=lambda x: str(x)[:30])
def test_what_xml_schema_does_not_allow_is_refused_in_few_words(type_: ValueType, text: str) -> None:
    with pytest.raises(ValueError, match=r"is not|longer than") as caught:
        parse_text(type_, text)
    assert len(str(caught.value)) < 150


def test_a_moment_without_a_zone_stays_without_one() -> None:
    assert parse_datetime("2026-11-21T08:00:00").tzinfo is None
    assert to_text(parse_datetime("2026-11-21T08:00:00")) == "2026-11-21T08:00:00"
