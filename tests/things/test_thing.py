"""A thing: newest values, trouble, quality and what its fields carry."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from devices.base import BadData, FieldSpec, NotResponding, ParameterSpec, ValueType
from hub.things.model import FieldTypes, NodeRef, Quality, historical_types
from hub.things.thing import Description, Thing

NOW = dt.datetime(2026, 11, 21, 8, 0, 0, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)
FIELDS = (
    FieldSpec("temperature", unit="°C", decimals=2, minimum=-40, maximum=85),
    FieldSpec("humidity", unit="%", decimals=1, minimum=0, maximum=100),
    FieldSpec("on", ValueType.BOOLEAN),
    FieldSpec("serial", ValueType.STRING, category="identity"),
    FieldSpec("mode", ValueType.ENUM, category="status", data_type="Mode"),
)


def make(**more: Any) -> Thing:
    return Thing(Description("air", fields=FIELDS, **more))


def test_nothing_is_known_before_the_first_reading() -> None:
    thing = make()
    assert thing.reading() is None
    assert thing.trouble is None and thing.measured is None


def test_a_reading_keeps_moment_decimals_units_and_categories() -> None:
    thing = make()
    thing.measured_at({"temperature": 21.5, "serial": "A1", "mode": "auto"}, NOW)
    reading = thing.reading(types=FieldTypes.ALL)
    assert reading is not None and (reading.node, reading.timestamp) == (NodeRef("air"), NOW)
    temperature, serial, mode = reading.fields
    assert str(temperature.value) == "21.50" and temperature.unit == "°C"
    assert temperature.types is FieldTypes.MOMENTARY and temperature.quality is Quality.AUTOMATIC_READOUT
    assert (serial.value, serial.types) == ("A1", FieldTypes.IDENTITY)
    assert (mode.types, mode.data_type) == (FieldTypes.STATUS, "Mode")


@pytest.mark.parametrize(("names", "types", "found"), [
    ((), FieldTypes.ALL, ["temperature", "serial", "mode"]),
    ((), FieldTypes.MOMENTARY, ["temperature"]),
    ((), FieldTypes.IDENTITY | FieldTypes.STATUS, ["serial", "mode"]),
    (("mode", "temperature"), FieldTypes.ALL, ["temperature", "mode"]),
    (("mode",), FieldTypes.MOMENTARY, None),
    (("humidity",), FieldTypes.ALL, None),
    ((), FieldTypes.HISTORICAL, None),
])  # fmt: skip
def test_a_reading_has_the_fields_asked_for(names: tuple[str, ...], types: FieldTypes, found: list[str] | None) -> None:
    thing = make()
    thing.measured_at({"temperature": 21, "serial": "A1", "mode": "auto"}, NOW)
    reading = thing.reading(names, types)
    assert (None if reading is None else [field.name for field in reading.fields]) == found


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 200.0, -41, True, "21", None, b"x", Decimal("NaN"), []])
def test_a_value_the_field_cannot_have_is_trouble_and_the_others_are_good(bad: Any) -> None:
    thing = make()
    thing.measured_at({"temperature": bad, "humidity": 40}, NOW)
    assert thing.values == {"humidity": Decimal("40.0")}
    assert thing.trouble is not None and thing.trouble.timestamp == NOW and "temperature" in thing.trouble.text
    thing.measured_at({"temperature": 20, "humidity": 40}, NOW + SECOND)
    assert thing.trouble is None and len(thing.values) == 2


def test_every_bad_value_is_named_in_the_trouble() -> None:
    thing = make()
    thing.measured_at({"temperature": 999, "humidity": -1}, NOW)
    assert thing.trouble is not None and thing.values == {}
    assert "temperature" in thing.trouble.text and "humidity" in thing.trouble.text


@pytest.mark.parametrize("raw", [{"pressure": 1}, {"temperature": 20, "pressure": 1}, None, 5, ["temperature"]])
def test_what_the_driver_did_not_declare_is_its_bug_and_changes_nothing(raw: Any) -> None:
    thing = make()
    thing.measured_at({"temperature": 20}, NOW)
    with pytest.raises(BadData):
        thing.measured_at(raw, NOW + SECOND)
    assert thing.measured == NOW and thing.values == {"temperature": Decimal("20.00")}


@pytest.mark.parametrize(("error", "quality"), [
    (NotResponding("nothing answers"), Quality.MISSING), (BadData("the checksum is wrong"), Quality.ERROR),
])  # fmt: skip
def test_values_of_a_part_that_fails_are_marked_and_keep_their_moment(
    error: NotResponding | BadData, quality: Quality
) -> None:
    thing = make()
    thing.measured_at({"temperature": 20}, NOW)
    assert thing.failed(error, NOW + SECOND)
    reading = thing.reading()
    assert reading is not None and reading.timestamp == NOW
    assert reading.fields[0].quality is quality
    assert thing.trouble is not None and thing.trouble.text == str(error)
    assert thing.trouble.timestamp == NOW + SECOND
    thing.measured_at({"temperature": 20}, NOW + 2 * SECOND)
    after = thing.reading()
    assert thing.trouble is None and after is not None and after.fields[0].quality is Quality.AUTOMATIC_READOUT


def test_a_failure_is_news_once() -> None:
    thing = make()
    assert thing.failed(NotResponding("away"), NOW)
    assert not thing.failed(NotResponding("away"), NOW + SECOND)
    assert thing.failed(BadData("wrong"), NOW + 2 * SECOND)
    thing.measured_at({"temperature": 20}, NOW + 3 * SECOND)
    assert thing.failed(BadData("wrong"), NOW + 4 * SECOND)


def test_a_reading_whose_clock_is_in_doubt_says_so() -> None:
    thing = make()
    thing.measured_at({"temperature": 20}, NOW, doubtful=True)
    reading = thing.reading()
    assert reading is not None and reading.fields[0].quality is Quality.AUTOMATIC_READOUT | Quality.TIME_OFFSET
    thing.measured_at({"temperature": 20}, NOW + SECOND)
    reading = thing.reading()
    assert reading is not None and reading.fields[0].quality is Quality.AUTOMATIC_READOUT


HOUR = (FieldTypes.HISTORICAL_SECOND | FieldTypes.HISTORICAL_MINUTE | FieldTypes.HISTORICAL_HOUR)
DAY = HOUR | FieldTypes.HISTORICAL_DAY


@pytest.mark.parametrize(("moment", "types"), [
    ("2026-11-21T08:00:00.000001", FieldTypes.HISTORICAL_OTHER),
    ("2026-11-21T08:00:01", FieldTypes.HISTORICAL_SECOND),
    ("2026-11-21T08:01:00", FieldTypes.HISTORICAL_SECOND | FieldTypes.HISTORICAL_MINUTE),
    ("2026-11-21T08:00:00", HOUR),
    ("2026-11-21T00:00:00", DAY),
    ("2026-11-23T00:00:00", DAY | FieldTypes.HISTORICAL_WEEK),  # a Monday
    ("2026-11-01T00:00:00", DAY | FieldTypes.HISTORICAL_MONTH),
    ("2026-10-01T00:00:00", DAY | FieldTypes.HISTORICAL_MONTH | FieldTypes.HISTORICAL_QUARTER),
    ("2026-01-01T00:00:00", DAY | FieldTypes.HISTORICAL_MONTH | FieldTypes.HISTORICAL_QUARTER
     | FieldTypes.HISTORICAL_YEAR),
    ("2024-01-01T00:00:00", FieldTypes.HISTORICAL & ~FieldTypes.HISTORICAL_OTHER),  # a Monday too
])  # fmt: skip
def test_the_historical_categories_of_a_moment(moment: str, types: FieldTypes) -> None:
    assert historical_types(dt.datetime.fromisoformat(moment)) == types


def test_a_module_is_named_where_a_field_has_string_ids() -> None:
    thing = make(module="Words", string_ids={"temperature": "1,2"})
    thing.measured_at({"temperature": 1, "humidity": 2}, NOW)
    reading = thing.reading()
    assert reading is not None
    assert [(f.module, f.string_ids) for f in reading.fields] == [("Words", "1,2"), ("", "")]


def test_writable_says_whether_there_is_a_parameter_of_the_name() -> None:
    thing = make(parameters=(ParameterSpec("on"), ParameterSpec("fade", ValueType.INT)))
    thing.measured_at({"temperature": 1, "on": True}, NOW)
    reading = thing.reading()
    assert reading is not None and {f.name: f.writable for f in reading.fields} == {"temperature": False, "on": True}
    sensor = make()
    sensor.measured_at({"temperature": 1}, NOW)
    said = sensor.reading()
    assert said is not None and said.fields[0].writable is None  # nothing here is controlled: nothing is said


def test_a_new_description_keeps_values() -> None:
    thing = make()
    thing.measured_at({"temperature": 1}, NOW)
    thing.describe(Description("air", "Air", FIELDS, module="Words", string_ids={"temperature": "1"}))
    reading = thing.reading()
    assert reading is not None and reading.fields[0].module == "Words"
