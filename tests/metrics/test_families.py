"""Things as families: what is shown, under which names and labels, and what is not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest

from devices.base import FieldSpec, NotResponding, ValueType
from hub.metrics import families
from hub.metrics.families import MAX_TEXT, MAX_TEXTS, OTHERS, Texts
from hub.things.thing import Description, Thing
from tests.metrics.scrape import Samples, samples

NOW = dt.datetime(2026, 11, 21, 8, 0, tzinfo=dt.UTC)
SPECS = (
    FieldSpec("temperature", unit="°C", decimals=2),
    FieldSpec("full", ValueType.BOOLEAN),
    FieldSpec("count", ValueType.LONG),
    FieldSpec("took", ValueType.DURATION),
    FieldSpec("since", ValueType.DATETIME),
    FieldSpec("alarm", ValueType.TIME),
    FieldSpec("day", ValueType.DATE),
    FieldSpec("mode", ValueType.ENUM, data_type="Mode"),
    FieldSpec("note", ValueType.STRING),
)
VALUES: dict[str, Any] = {
    "temperature": Decimal("21.50"), "full": True, "count": 5_000_000_000, "took": dt.timedelta(minutes=2),
    "since": NOW, "alarm": dt.time(8), "day": NOW.date(), "mode": "auto", "note": 'a "b"\\c\nd',
}  # fmt: skip


def thing(values: Mapping[str, Any] = VALUES, name: str = "air") -> Thing:
    made = Thing(Description(name, "", SPECS))
    made.measured_at(values, NOW)
    return made


def shown(made: Thing, texts: Texts | None = None) -> Samples:
    class Collector:
        def collect(self) -> Any:
            yield from families.readings({made.name: made}, texts or Texts())
            yield from families.stations({made.name: made}, [])

    registry = CollectorRegistry()
    registry.register(Collector())  # type: ignore[arg-type]  # a collector is whatever collects
    return samples(generate_latest(registry).decode())


def test_values_of_every_type() -> None:
    found = shown(thing())
    assert {key: value for key, value in found.items() if key[0] == "hub_reading"} == {
        ("hub_reading", ("temperature", "air", "°C")): 21.5,
        ("hub_reading", ("full", "air", "")): 1,
        ("hub_reading", ("count", "air", "")): 5e9,
        ("hub_reading", ("took", "air", "s")): 120,
        ("hub_reading", ("since", "air", "s")): NOW.timestamp(),
    }
    texts = [key[1] for key in found if key[0] == "hub_text_reading_info"]
    assert texts == [("mode", "air", "auto"), ("note", "air", 'a "b"\\c\nd')], "texts come back as they were"
    assert found["hub_thing_up", ("air",)] == 1
    assert found["hub_thing_last_reading_timestamp_seconds", ("air",)] == NOW.timestamp()


def test_a_value_that_is_not_good_any_more_is_not_shown_but_when_it_was() -> None:
    made = thing()
    made.failed(NotResponding("away"), NOW + dt.timedelta(minutes=1))
    found = shown(made)
    assert not [key for key in found if "reading" in key[0] and key[0] != "hub_thing_last_reading_timestamp_seconds"]
    assert found["hub_thing_up", ("air",)] == 0
    assert found["hub_thing_last_reading_timestamp_seconds", ("air",)] == NOW.timestamp()
    made.measured_at(VALUES, NOW + dt.timedelta(minutes=2))
    assert shown(made)["hub_thing_up", ("air",)] == 1


def test_good_values_beside_a_bad_one_are_shown() -> None:
    found = shown(thing({"temperature": float("nan"), "count": 3}))
    assert [key[1][0] for key in found if key[0] == "hub_reading"] == ["count"]
    assert found["hub_thing_up", ("air",)] == 1


def test_a_thing_that_was_never_read_has_no_values_and_no_moment() -> None:
    made = Thing(Description("air", "", SPECS))
    found = shown(made)
    assert {key: value for key, value in found.items() if value or "reading" in key[0]} == {}
    assert found["hub_thing_up", ("air",)] == 0


def test_texts_are_bounded_in_length_and_number() -> None:
    texts = Texts()
    assert texts.label("air", "note", "x" * 1000) == "x" * MAX_TEXT
    for number in range(1, MAX_TEXTS):
        assert texts.label("air", "note", str(number)) == str(number)
    assert texts.label("air", "note", "one more") == OTHERS == texts.label("air", "note", "and one")
    assert texts.label("air", "note", "7") == "7", "known ones stay"
    assert texts.label("air", "mode", "7") == "7" and texts.label("b", "note", "new") == "new"
    found = shown(thing({"note": "yet another"}), texts)
    assert ("hub_text_reading_info", ("note", "air", OTHERS)) in found
