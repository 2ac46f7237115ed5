"""When a reading is worth publishing, as tables of what happens at which moment."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from devices.base import FieldSpec, NotResponding, ParameterSpec, ValueType
from hub.telemetry.pacer import Pacer
from hub.things.thing import Description, Thing

NOW = dt.datetime(2026, 11, 21, 8, 0, tzinfo=dt.UTC)
FIELDS = (
    FieldSpec("temperature", unit="°C", decimals=2),
    FieldSpec("count", ValueType.LONG),
    FieldSpec("on", ValueType.BOOLEAN),
    FieldSpec("mode", ValueType.STRING),
    FieldSpec("level", ValueType.INT),
)

Step = tuple[float, Any, bool]
"""A moment, the values (or the error) measured then, and whether that is worth publishing."""

STORIES: list[tuple[str, dict[str, float], list[Step]]] = [
    ("the first reading goes out, the next waits for the interval", {}, [
        (0, {"temperature": 20}, True), (1, {"temperature": 25}, False), (29.9, {"temperature": 30}, False),
        (30, {"temperature": 30}, True), (31, {"temperature": 30}, False), (60, {"temperature": 30}, True),
    ]),
    ("beyond the dead band at once, and the band is counted from what was published", {"temperature": 0.2}, [
        (0, {"temperature": "20.00"}, True), (1, {"temperature": "20.19"}, False), (2, {"temperature": "20.20"}, True),
        (3, {"temperature": "20.10"}, False), (4, {"temperature": "20.01"}, False), (5, {"temperature": "20.00"}, True),
    ]),
    ("a slow drift is seen", {"temperature": 0.2}, [
        (0, {"temperature": "20.00"}, True), (1, {"temperature": "20.10"}, False), (2, {"temperature": "20.15"}, False),
        (3, {"temperature": "20.20"}, True),
    ]),
    ("a band of zero means any change", {"count": 0}, [
        (0, {"count": 1}, True), (1, {"count": 1}, False), (2, {"count": 2}, True),
    ]),
    ("a counter with a band", {"count": 10}, [
        (0, {"count": 1}, True), (1, {"count": 10}, False), (2, {"count": 11}, True), (3, {"count": 1}, True),
    ]),
    ("a switch goes out at once", {}, [
        (0, {"on": False}, True), (1, {"on": False}, False), (2, {"on": True}, True), (3, {"on": False}, True),
    ]),
    ("a text goes out at once", {}, [(0, {"mode": "a"}, True), (1, {"mode": "b"}, True), (2, {"mode": "b"}, False)]),
    ("a number that can be controlled goes out at once", {}, [
        (0, {"level": 1}, True), (1, {"level": 2}, True), (2, {"level": 2}, False),
    ]),
    ("a field that appears goes out at once", {}, [
        (0, {"temperature": 1}, True), (1, {"temperature": 1, "count": 1}, True), (2, {"temperature": 1}, False),
    ]),
    ("one of many is enough", {"temperature": 1}, [
        (0, {"temperature": 1, "count": 1, "on": True}, True), (1, {"temperature": 1, "count": 9, "on": True}, False),
        (2, {"temperature": 2, "count": 9, "on": True}, True),
    ]),
    ("a trouble goes out at once, and its end", {}, [
        (0, {"temperature": 1}, True), (1, NotResponding("away"), True), (2, NotResponding("away"), False),
        (3, NotResponding("still away"), True), (4, {"temperature": 1}, True), (5, {"temperature": 1}, False),
    ]),
    ("a trouble from the start goes out once", {}, [
        (0, NotResponding("away"), True), (1, NotResponding("away"), False), (99, NotResponding("away"), False),
        (100, {"temperature": 1}, True),
    ]),
    ("a trouble is repeated at every interval while there are old values", {}, [
        (0, {"temperature": 1}, True), (1, NotResponding("away"), True), (30, NotResponding("away"), False),
        (31, NotResponding("away"), True),
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("change", "steps"), [story[1:] for story in STORIES], ids=[story[0] for story in STORIES])
def test_what_is_worth_publishing(change: dict[str, float], steps: list[Step]) -> None:
    thing = Thing(Description("air", fields=FIELDS, parameters=(ParameterSpec("level", ValueType.INT),)))
    pacer = Pacer(30, change)

    for now, measured, worth in steps:
        moment = NOW + dt.timedelta(seconds=now)
        if isinstance(measured, NotResponding):
            thing.failed(measured, moment)
        else:
            values = {n: Decimal(v) if n == "temperature" else v for n, v in measured.items()}
            thing.measured_at(values, moment)
        assert pacer.due(thing, now) == worth, now
        if worth:
            pacer.published(thing, now)


def test_nothing_is_due_before_the_first_reading() -> None:
    assert not Pacer(30, {}).due(Thing(Description("air", fields=FIELDS)), 1000.0)
