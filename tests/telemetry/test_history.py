"""What a thing measured, from the sampler into the file and out of it again as a readout asks for it."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from devices.base import FieldSpec, NotResponding, ValueType
from hub.telemetry import history as module
from hub.telemetry.history import History
from hub.telemetry.rollups import Level
from hub.telemetry.store import Bounds
from hub.things.lanes import Lanes
from hub.things.model import FieldTypes, Quality, Reading
from hub.things.thing import Description, Thing
from tests.helpers import until

NOW = dt.datetime(2026, 11, 21, 8, tzinfo=dt.UTC)
SECOND, MINUTE, HOUR = dt.timedelta(seconds=1), dt.timedelta(minutes=1), dt.timedelta(hours=1)
FIELDS = (FieldSpec("temperature", unit="°C", decimals=2), FieldSpec("on", ValueType.BOOLEAN),
          FieldSpec("count", ValueType.INT), FieldSpec("mode", ValueType.STRING, category="status"))  # fmt: skip


class Room:
    """A thing and the history that listens to it."""

    def __init__(self, path: Path, flush: float = 3600) -> None:
        self.lanes = Lanes()
        self.thing = Thing(Description("air", fields=FIELDS))
        self.history = History(path, Bounds(31 * Level.DAY, 10**9), flush, self.lanes, lambda: None)

    def measure(self, moment: dt.datetime, temperature: float = 20, doubtful: bool = False, **more: Any) -> None:
        self.thing.measured_at({"temperature": temperature, **more}, moment, doubtful)
        self.history.take(self.thing)

    async def told(
        self, types: FieldTypes = FieldTypes.HISTORICAL, *names: str, start: dt.datetime | None = None,
        end: dt.datetime | None = None,
    ) -> list[Reading]:  # fmt: skip
        return [r async for some in self.history.read(self.thing, names, types, start, end) for r in some]

    async def close(self) -> None:
        await self.history.close()
        self.lanes.close()


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    made = Room(tmp_path / "history.sqlite")
    yield made
    await made.close()


def seconds(readings: list[Reading]) -> list[float]:
    return [(reading.timestamp - NOW).total_seconds() for reading in readings]


# --------------------------------------------------------------------------- readings


@pytest.mark.parametrize("written", [False, True])
async def test_the_newest_comes_first_whether_it_is_in_memory_or_in_the_file(room: Room, written: bool) -> None:
    for n in range(2 * module.CHUNK + 10):
        room.measure(NOW + n * SECOND)
        if n == 700 or (written and n == 2 * module.CHUNK):
            await room.history.write()
    assert seconds(await room.told()) == list(range(2 * module.CHUNK + 9, -1, -1))


async def test_being_read_again_without_a_new_measurement_makes_no_history(room: Room) -> None:
    for second in (0, 60):
        for _ in range(3):
            room.measure(NOW + second * SECOND)
    assert seconds(await room.told()) == [60, 0]


async def test_what_was_measured_after_a_jump_back_stands_where_its_moment_is(room: Room) -> None:
    for at in (100, 200, 300):
        room.measure(NOW + at * SECOND)
    await room.history.write()
    for at in (150, 250):
        room.measure(NOW + at * SECOND)
    assert seconds(await room.told()) == [300, 250, 200, 150, 100]


@pytest.mark.parametrize(("start", "end", "found"), [
    (None, None, [3, 2, 1, 0]), (1, None, [3, 2, 1]), (None, 1, [1, 0]), (1, 2, [2, 1]), (2, 2, [2]), (9, None, []),
    (None, -1, []), (1.0005, None, [3, 2]), (None, 1.0005, [1, 0]),
])  # fmt: skip
async def test_history_lies_within_its_bounds_which_count(
    room: Room, start: float | None, end: float | None, found: list[int]
) -> None:
    for n in range(4):
        room.measure(NOW + n * SECOND)
        if n == 1:
            await room.history.write()
    bounds = [None if n is None else NOW + n * SECOND for n in (start, end)]
    assert seconds(await room.told(start=bounds[0], end=bounds[1])) == found


async def test_bounds_of_a_history_may_be_in_any_zone(room: Room) -> None:
    room.measure(NOW)
    there = NOW.astimezone(dt.timezone(dt.timedelta(hours=9)))
    assert len(await room.told(start=there, end=there)) == 1
    for edge in (dt.datetime.max.replace(tzinfo=dt.timezone(dt.timedelta(hours=-14))),
                 dt.datetime.min.replace(tzinfo=dt.timezone(dt.timedelta(hours=14)))):  # fmt: skip
        assert len(await room.told(start=edge)) == (edge.year == 1)
        assert len(await room.told(end=edge)) == (edge.year != 1)


async def test_history_has_the_fields_asked_for_and_none_is_momentary(room: Room) -> None:
    room.measure(NOW + dt.timedelta(milliseconds=1), on=True, mode="auto")
    await room.history.write()
    assert [[f.name for f in r.fields] for r in await room.told(FieldTypes.HISTORICAL_OTHER, "on")] == [["on"]]
    (reading,) = await room.told()
    assert [(f.name, f.types) for f in reading.fields] == [
        ("temperature", FieldTypes.HISTORICAL_OTHER), ("on", FieldTypes.HISTORICAL_OTHER),
        ("mode", FieldTypes.HISTORICAL_OTHER | FieldTypes.STATUS)]  # fmt: skip
    assert {f.quality for f in reading.fields} == {Quality.AUTOMATIC_READOUT}
    assert await room.told(FieldTypes.HISTORICAL_SECOND) == []


async def test_a_failure_is_no_reading_and_values_from_before_it_are_good(room: Room) -> None:
    room.measure(NOW)
    room.thing.failed(NotResponding("away"), NOW + SECOND)
    room.history.take(room.thing)
    (reading,) = await room.told()
    assert reading.timestamp == NOW and reading.fields[0].quality is Quality.AUTOMATIC_READOUT


async def test_history_survives_a_clean_stop_whole(tmp_path: Path) -> None:
    room = Room(tmp_path / "history.sqlite")
    for n in range(10):
        room.measure(NOW + n * SECOND)
    await room.close()
    room = Room(tmp_path / "history.sqlite")
    assert seconds(await room.told()) == list(range(9, -1, -1))
    await room.close()


# --------------------------------------------------------------------------- roll-ups


async def test_minutes_hours_and_days_are_answered_by_rollups(room: Room) -> None:
    for n in range(25 * 60):
        room.measure(NOW + n * MINUTE, n % 60, on=n % 60 < 15, count=n)
    await room.history.write()
    hours = await room.told(FieldTypes.HISTORICAL_HOUR)
    assert seconds(hours) == [n * 3600 for n in range(24, 0, -1)], "at their ends, none of an hour that is not over"
    told = {f.name: (str(f.value), f.unit, f.types) for f in hours[0].fields}
    hour = FieldTypes.HISTORICAL_HOUR
    shifts = hour | FieldTypes.HISTORICAL_MINUTE | FieldTypes.HISTORICAL_SECOND
    assert told == {
        "temperature": ("59.00", "°C", shifts),
        "temperature, min": ("0.00", "°C", FieldTypes.PEAK | hour),
        "temperature, max": ("59.00", "°C", FieldTypes.PEAK | hour),
        "temperature, mean": ("29.5000", "°C", FieldTypes.COMPUTED | hour),
        "temperature, count": ("60", "", FieldTypes.COMPUTED | hour),
        "on": ("False", "", shifts),
        "on, min": ("False", "", FieldTypes.PEAK | hour),
        "on, max": ("True", "", FieldTypes.PEAK | hour),
        "on, mean": ("0.25", "", FieldTypes.COMPUTED | hour),
        "on, count": ("60", "", FieldTypes.COMPUTED | hour),
        "count": ("1439", "", shifts),
        "count, min": ("1380", "", FieldTypes.PEAK | hour),
        "count, max": ("1439", "", FieldTypes.PEAK | hour),
        "count, mean": ("1409.50", "", FieldTypes.COMPUTED | hour),
        "count, count": ("60", "", FieldTypes.COMPUTED | hour),
    }
    assert len(await room.told(FieldTypes.HISTORICAL_MINUTE)) == 25 * 60 - 1
    assert len(await room.told(FieldTypes.HISTORICAL_MINUTE | FieldTypes.HISTORICAL_HOUR)) == 25 * 60 - 1
    (midnight,) = await room.told(FieldTypes.HISTORICAL_DAY, "count", "count, count")
    assert midnight.timestamp == NOW.replace(hour=0) + dt.timedelta(days=1)
    assert [str(f.value) for f in midnight.fields] == ["959", "960"]
    (sunday,) = await room.told(FieldTypes.HISTORICAL_HOUR, "on", start=midnight.timestamp, end=midnight.timestamp)
    assert FieldTypes.HISTORICAL_DAY in sunday.fields[0].types


async def test_weeks_and_months_are_the_days_that_end_at_their_shifts(room: Room) -> None:
    for day in range(45):  # from a Saturday in November to January
        room.measure(NOW + day * dt.timedelta(days=1))
    await room.history.write()
    weeks = await room.told(FieldTypes.HISTORICAL_WEEK)
    assert len(weeks) == 7 and all(r.timestamp.isoweekday() == 1 for r in weeks)
    assert {f.name for f in weeks[0].fields} == {"temperature"}, "a minimum of a day is none of a week"
    assert [r.timestamp.month for r in await room.told(FieldTypes.HISTORICAL_MONTH)] == [1, 12]
    assert [r.timestamp.month for r in await room.told(FieldTypes.HISTORICAL_YEAR)] == [1]


async def test_from_and_to_bound_rollups_by_their_ends(room: Room) -> None:
    for n in range(100):
        room.measure(NOW + n * MINUTE)
    await room.history.write()
    found = await room.told(FieldTypes.HISTORICAL_MINUTE, start=NOW + 10 * MINUTE, end=NOW + 12 * MINUTE)
    assert seconds(found) == [720, 660, 600]


async def test_many_rollups_are_told_some_at_a_time_none_lost_none_twice(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(module.CHUNK * 2 + 5):
        room.measure(NOW + n * MINUTE)
    await room.history.write()
    found = await room.told(FieldTypes.HISTORICAL_MINUTE)
    assert seconds(found) == [n * 60 for n in range(module.CHUNK * 2 + 4, 0, -1)]


async def test_hours_answer_for_what_is_too_old_for_readings(tmp_path: Path) -> None:
    room = Room(tmp_path / "history.sqlite")
    room.history.configure(Bounds(2 * Level.HOUR, 10**9), 3600)
    now = NOW + 10 * HOUR
    room.history._now = lambda: now
    for n in range(0, 10 * 60 + 1, 10):
        room.measure(NOW + n * MINUTE)
        await room.history.write()
    found = await room.told(FieldTypes.HISTORICAL, "temperature")
    assert seconds(found) == [*(n * 60 for n in range(600, 470, -10)), *(n * 3600 for n in range(8, 0, -1))]
    await room.close()


# --------------------------------------------------------------------------- the disk


async def test_readings_are_written_in_one_transaction_now_and_then(tmp_path: Path) -> None:
    room = Room(tmp_path / "history.sqlite", flush=0.05)
    task = asyncio.create_task(room.history.run())
    for n in range(100):
        room.measure(NOW + n * SECOND)
    await until(lambda: room.history.waiting == 0)
    assert room.history._store._database.transactions == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await room.close()


async def test_many_readings_are_written_before_their_time(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 50)
    task = asyncio.create_task(room.history.run())
    for n in range(50):
        room.measure(NOW + n * SECOND)
    await until(lambda: room.history.waiting == 0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_disk_that_refuses_is_said_once_and_what_is_in_memory_is_told_and_written_later(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MEMORY_ROWS", 10)
    room.history._store._database.path = tmp_path / "no folder" / "history.sqlite"
    (tmp_path / "no folder").write_text("a file")
    for n in range(15):
        room.measure(NOW + n * SECOND)
        await room.history.write()
    assert room.history.dropped == 5 and room.history.trouble
    assert len([r for r in caplog.records if "no history can be written" in r.message]) == 1
    assert seconds(await room.told()) == list(range(14, 4, -1))
    (tmp_path / "no folder").unlink()
    await room.history.write()
    assert room.history.waiting == 0 and not room.history.trouble
    assert "written again" in caplog.text and "4 readings lost so far" in caplog.text
    assert seconds(await room.told()) == list(range(14, 4, -1))


async def test_readings_in_doubt_are_mended_in_memory_and_in_the_file(room: Room) -> None:
    wrong = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    for n in range(4):
        room.measure(wrong + n * SECOND, doubtful=True)
        if n == 1:
            await room.history.write()
    assert (await room.told())[0].fields[0].quality is Quality.AUTOMATIC_READOUT | Quality.TIME_OFFSET
    await room.history.mend(wrong, NOW - wrong)
    assert seconds(await room.told()) == [3, 2, 1, 0]
    assert (await room.told())[0].fields[0].quality is Quality.AUTOMATIC_READOUT
