"""What a node shows of its things, as families of OpenMetrics 1.0 (prometheus_client makes the text of them).

Rules of this file
* A value that is old never looks fresh. Readings carry no time stamps, which Prometheus would hold against its own and
  keep showing for minutes; instead a thing whose newest values are not good is left out of `hub_reading`, which ends
  the series at the next scrape, and `hub_thing_up` says so. How old good values are tells
  `hub_thing_last_reading_timestamp_seconds`.
* A field's unit is a label and not part of a name: units come from drivers and configurations, as people read them (°C,
  %), and no table of names for all of them could be complete. It is the same as over XMPP, so are the values: 40 % is
  40. Durations and moments are in seconds, booleans 0 and 1.
* Texts and states are labels of an info family. A label value is a series of its own for whoever stores it, so each
  text is cut at `MAX_TEXT`, and a field that has shown `MAX_TEXTS` of them shows `OTHERS` from then on.
* Everything else is bounded by the configuration: things, fields, outputs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from prometheus_client.core import CounterMetricFamily as Counted
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.core import InfoMetricFamily as Info
from prometheus_client.core import Metric
from prometheus_client.core import SummaryMetricFamily as Summary

from devices.base import Value, ValueType
from hub.things.sampler import Station
from hub.things.thing import Thing

MAX_TEXT = 128  # characters
MAX_TEXTS = 20  # of one field, in the life of the process
OTHERS = "(others)"
LABELS = ["thing", "field", "unit"]


class Texts:
    """Which texts a field has shown."""

    def __init__(self) -> None:
        self._shown: dict[tuple[str, str], set[str]] = {}

    def label(self, thing: str, field: str, text: str) -> str:
        text = text[:MAX_TEXT]
        shown = self._shown.setdefault((thing, field), set())
        if text not in shown and len(shown) >= MAX_TEXTS:
            return OTHERS
        shown.add(text)
        return text


def is_good(thing: Thing) -> bool:
    """Whether the newest values are. Some of them are, when a trouble is of the same moment as they are."""
    return thing.measured is not None and (thing.trouble is None or thing.trouble.timestamp == thing.measured)


def readings(things: Mapping[str, Thing], texts: Texts) -> Iterator[Metric]:
    numbers = Gauge("hub_reading", "Newest value of a field, while it is good.", labels=LABELS)
    words = Info("hub_text_reading", "Newest text or state of a field, while it is good.", labels=LABELS[:2])
    for name, thing in things.items():
        if not is_good(thing):
            continue
        for field, value in thing.values.items():
            spec = thing.specs.get(field)
            number = to_number(value)
            if spec is None:
                continue  # of a description that a reload has replaced
            if number is not None:
                in_seconds = spec.type in (ValueType.DURATION, ValueType.DATETIME)
                numbers.add_metric([name, field, "s" if in_seconds else spec.unit], number)
            elif isinstance(value, str):
                words.add_metric([name, field], {"value": texts.label(name, field, value)})
    yield numbers
    yield words


def to_number(value: Value) -> float | None:
    """None of what is none: texts, and dates and times of a day, of which nobody draws a line."""
    if isinstance(value, bool | int | Decimal):
        return float(value)
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    return value.timestamp() if isinstance(value, dt.datetime) else None


def stations(things: Mapping[str, Thing], found: Iterable[Station]) -> Iterator[Metric]:
    """How the parts behind the things do, and their outputs."""
    up = Gauge("hub_thing_up", "Whether the newest values of a thing are good.", labels=["thing"])
    moment = Gauge("hub_thing_last_reading_timestamp_seconds", "When a thing was last read.", labels=["thing"])
    reads = Summary("hub_thing_read_seconds", "Reading a part, waiting for its bus included.", labels=["thing"])
    failures = Counted("hub_thing_read_failures", "Reads without an answer, or with a wrong one.", labels=["thing"])
    safe = Gauge("hub_output_safe", "Whether an output is in its safe state.", labels=["thing"])
    locked = Gauge("hub_output_interlocked", "Whether an interlock holds it there.", labels=["thing"])
    for thing in things.values():
        up.add_metric([thing.name], float(is_good(thing)))
        if thing.measured is not None:
            moment.add_metric([thing.name], thing.measured.timestamp())
    for station in found:
        name, guard = station.thing.name, station.guard
        reads.add_metric([name], station.reads, station.read_s)
        failures.add_metric([name], station.failures)
        if guard is not None and guard.policy.safe:
            safe.add_metric([name], float(guard.is_safe))
            locked.add_metric([name], float(guard.is_interlocked))
    yield from (up, moment, reads, failures, safe, locked)


def gauge(name: str, help_: str, value: float | None) -> Iterator[Metric]:
    """Nothing where the value is not known."""
    if value is not None:
        yield Gauge(name, help_, float(value))


def counted(name: str, help_: str, value: float) -> Iterator[Metric]:
    yield Counted(name, help_, value)


def by(name: str, help_: str, label: str, values: Mapping[str, float], counter: bool = False) -> Iterator[Metric]:
    """One sample for each value of a label."""
    family = (Counted if counter else Gauge)(name, help_, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    yield family


def info(name: str, help_: str, labels: Mapping[str, str]) -> Iterator[Metric]:
    yield Info(name, help_, dict(labels))
