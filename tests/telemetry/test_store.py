"""The history in its file: what goes in comes out, within bounds, over restarts, kills, jumps and broken files."""

from __future__ import annotations

import datetime as dt
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.base import ValueType
from hub.telemetry import database
from hub.telemetry.database import DiskRefused
from hub.telemetry.rollups import Level
from hub.telemetry.rows import Row, Shapes, to_moment, to_ms
from hub.telemetry.store import Bounds, HistoryStore, to_points
from hub.things.model import Field, FieldTypes, NodeRef, Quality, Reading, Trouble

START = to_ms(dt.datetime(2026, 11, 21, 8, tzinfo=dt.UTC))
PLENTY = Bounds(31 * Level.DAY, 10**9)
SHAPES = Shapes()


def reading(at: int, value: str = "1.0", thing: str = "air", quality: Quality = Quality.AUTOMATIC_READOUT) -> Row:
    fields = (Field("temperature", Decimal(value), ValueType.NUMERIC, quality=quality, unit="°C"),
              Field("on", Decimal(value) > 0, ValueType.BOOLEAN, quality=quality, writable=True),
              Field("mode", "auto\nmatic", ValueType.ENUM, FieldTypes.STATUS, quality, data_type="Mode"))  # fmt: skip
    return SHAPES.row(Reading(NodeRef(thing), to_moment(at), fields))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "history.sqlite"


def everything(store: HistoryStore, thing: str = "air") -> list[Row]:
    return store.readings(thing, 0, 1 << 60, 1 << 30)


def minutes(store: HistoryStore, level: Level = Level.MINUTE, thing: str = "air") -> dict[int, tuple[int, str, str]]:
    """Of the temperature: count, total and last by the start of the bucket."""
    points = to_points(store.rollups(thing, level, 0, 1 << 60, 1 << 30), "temperature")
    return {point.start: (point.rollup.count, str(point.rollup.total), str(point.rollup.last)) for point in points}


# --------------------------------------------------------------------------- in and out


def test_a_reading_comes_back_as_it_went_in(path: Path) -> None:
    store = HistoryStore(path, PLENTY)
    rows = [reading(START + n * 250, f"{n}.50") for n in range(10)]
    store.write(rows, None)
    store.close()
    again = HistoryStore(path, PLENTY)
    assert everything(again) == rows[::-1]
    item = Shapes().item(everything(again)[0])
    assert isinstance(item, Reading) and item.timestamp == to_moment(START + 2250)
    assert [(f.name, str(f.value), f.unit, f.writable, f.data_type, f.types) for f in item.fields] == [
        ("temperature", "9.50", "°C", None, "", FieldTypes.MOMENTARY),
        ("on", "True", "", True, "", FieldTypes.MOMENTARY),
        ("mode", "auto\nmatic", "", None, "Mode", FieldTypes.STATUS),
    ]
    again.close()


def test_a_trouble_is_a_row_too() -> None:
    trouble = Trouble(NodeRef("air"), to_moment(START), "no acknowledge")
    assert Shapes().item(SHAPES.row(trouble)) == trouble


def test_readings_are_told_within_bounds_of_one_thing_and_the_newest_first(path: Path) -> None:
    store = HistoryStore(path, PLENTY)
    store.write([reading(START + n, "1", thing) for n in range(10) for thing in ("air", "soil")], None)
    assert [row.at - START for row in store.readings("air", START + 2, START + 8, 3)] == [8, 7, 6]
    assert store.readings("ghost", 0, 1 << 60) == []
    assert store.oldest("air") == START and store.oldest("ghost") is None
    store.close()


SAMPLES = st.dictionaries(
    st.integers(0, 2 * Level.DAY), st.decimals(min_value=-99, max_value=99, places=1), min_size=1, max_size=40
)


@settings(max_examples=60, deadline=None)
@given(SAMPLES, st.lists(st.sampled_from(["write", "restart", "kill"]), min_size=40, max_size=40), st.booleans())
def test_rollups_are_what_a_naive_model_says_over_restarts_and_kills(
    samples: dict[int, Decimal], steps: list[str], in_order: bool
) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        store = HistoryStore(folder / "history.sqlite", PLENTY)
        written = sorted(samples) if in_order else list(samples)
        for at, step in zip(written, steps, strict=False):
            store.write([reading(START + at, str(samples[at]))], None)
            if step == "restart":
                store.close()
            elif step == "kill":  # the file as it is, nothing closed
                store._database.close()
                store = HistoryStore(folder / "history.sqlite", PLENTY)
        store.close()
        newest = START + max(samples)
        for level in Level:
            expected: dict[int, list[int]] = {}
            for at in samples:
                expected.setdefault((START + at) // level * level, []).append(at)
            assert minutes(store, level) == {
                start: (len(of), str(sum(samples[at] for at in of)), str(samples[max(of)]))
                for start, of in expected.items() if start + level <= newest
            }  # fmt: skip
        store.close()
    finally:
        shutil.rmtree(folder)


# --------------------------------------------------------------------------- bounds


def test_what_is_older_than_the_age_goes_and_hours_stay(path: Path) -> None:
    store = HistoryStore(path, Bounds(Level.HOUR, 10**9))
    store.write([reading(START + n * 600_000) for n in range(30)], START)
    now = START + 30 * 600_000
    store.write([reading(now)], now)
    assert min(row.at for row in everything(store)) == now - Level.HOUR
    assert min(minutes(store)) == now - 3 * Level.HOUR
    assert min(minutes(store, Level.HOUR)) == START
    store.close()


def test_nothing_goes_by_age_while_the_clock_is_not_to_be_trusted(path: Path) -> None:
    store = HistoryStore(path, Bounds(Level.HOUR, 10**9))
    store.write([reading(START), reading(START + 50 * 365 * Level.DAY)], None)
    store.write([reading(START + 60_000)], None)
    assert len(everything(store)) == 3
    store.close()


def test_a_thing_keeps_its_size_and_loses_its_oldest_readings_while_others_keep_theirs(path: Path) -> None:
    one = reading(START).size
    store = HistoryStore(path, Bounds(31 * Level.DAY, 100 * one))
    store.write([reading(START, thing="soil")], None)
    for n in range(10):
        store.write([reading(START + (n * 50 + m) * 60_000) for m in range(50)], None)
    kept = [row.at for row in everything(store)]
    assert kept == [START + n * 60_000 for n in range(499, 499 - len(kept), -1)], "the newest, without a gap"
    assert 90 <= len(kept) <= 100
    assert len(everything(store, "soil")) == 1
    store.close()
    again = HistoryStore(path, Bounds(31 * Level.DAY, 50 * one))  # sizes are known again after a restart
    again.write([reading(START + 600 * 60_000)], None)
    assert 45 <= len(everything(again)) <= 50
    again.close()


# --------------------------------------------------------------------------- clocks


def test_a_clock_that_jumps_back_breaks_neither_order_nor_rollups(path: Path) -> None:
    store = HistoryStore(path, PLENTY)
    for at in (0, 70_000, 10_000_000, 30_000, 40_000, 10_070_000):  # ten thousand seconds too far, and back
        store.write([reading(START + at)], None)
    assert [row.at - START for row in everything(store)] == [10_070_000, 10_000_000, 70_000, 40_000, 30_000, 0]
    store.write([reading(START + 30_000_000)], None)
    assert {(start - START): count for start, (count, _, _) in minutes(store).items()} == {
        0: 3, 60_000: 1, 9_960_000: 1, 10_020_000: 1}  # fmt: skip
    store.close()


def test_readings_from_before_the_clock_was_set_are_mended_and_their_rollups_too(path: Path) -> None:
    store = HistoryStore(path, PLENTY)
    doubtful = Quality.AUTOMATIC_READOUT | Quality.TIME_OFFSET
    wrong = to_ms(dt.datetime(1970, 1, 1, tzinfo=dt.UTC))
    store.write([reading(wrong + n * 1000, quality=doubtful) for n in range(120)], None)
    store.shift(wrong, Quality.TIME_OFFSET.value, START - wrong)
    store.write([reading(START + 120_000)], None)
    rows = everything(store)
    assert [row.at for row in rows] == [START + n * 1000 for n in range(120, -1, -1)]
    assert {row.quality for row in rows} == {Quality.AUTOMATIC_READOUT.value}
    assert {start: count for start, (count, _, _) in minutes(store).items()} == {START: 60, START + 60_000: 60}
    store.close()


# --------------------------------------------------------------------------- bad disks


@pytest.mark.parametrize("damage", ["not a database", "zeroed page", "another version"])
def test_a_broken_file_is_moved_aside_and_a_new_one_begun(
    path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = HistoryStore(path, PLENTY)
    store.write([reading(START + n * 1000) for n in range(1000)], None)
    store.close()
    if damage == "another version":
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA application_id=99")
        connection.close()
    else:
        with path.open("r+b") as file:
            file.seek(0 if damage == "not a database" else 4096)
            file.write(b"\xff" * 4096)
    store = HistoryStore(path, PLENTY)
    store.write([reading(START)], None)
    assert len(everything(store)) == 1
    assert len(list(path.parent.glob("history.sqlite.broken-*"))) == 1
    assert "moved aside" in caplog.text
    store.close()


def test_a_file_that_breaks_while_it_is_used_is_moved_aside_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "CHECKED_BYTES", 0)  # not looked through at the start, as a large one
    store = HistoryStore(path, PLENTY)
    store.write([reading(START + n * 1000) for n in range(5000)], None)
    store.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    with pytest.raises(DiskRefused):
        everything(store)
    store.write([reading(START)], None)
    assert [row.at for row in everything(store)] == [START]
    store.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a quarter of a megabyte: as a limit on the size of a file, where nothing can be mounted."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, before[1]))
    yield tmp_path
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_refuses_and_what_was_written_is_still_there(small_disk: Path) -> None:
    store = HistoryStore(small_disk / "history.sqlite", PLENTY)
    count = 0
    with pytest.raises(DiskRefused):
        for n in range(100):
            store.write([reading(START + (n * 500 + m) * 100) for m in range(500)], None)
            count += 500
    assert len(everything(store)) == count > 0
    store.bounds = Bounds(Level.MINUTE, 10**9)
    store.close()


def test_a_folder_that_cannot_be_written_refuses(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskRefused):
        HistoryStore(tmp_path / "file" / "history.sqlite", PLENTY).write([reading(START)], None)


def test_a_database_that_became_read_only_refuses(path: Path) -> None:
    store = HistoryStore(path, PLENTY)
    store.write([reading(START)], None)
    store.open().execute("PRAGMA query_only=1")  # the tests may run as root, whom no permission stops
    with pytest.raises(DiskRefused, match="readonly"):
        store.write([reading(START + 1)], None)
    store.write([reading(START + 2)], None)  # opened afresh
    assert len(everything(store)) == 2
    store.close()


# --------------------------------------------------------------------------- figures


def test_what_is_written_is_counted_by_day(path: Path) -> None:
    store = HistoryStore(path, PLENTY)
    for day in range(2):
        for n in range(20):
            store.write([reading(START + day * Level.DAY + n * 60_000 + m * 1000) for m in range(60)], None)
    store.close()
    stats = HistoryStore(path, PLENTY).stats()
    assert stats["things"] == {"air": {"readings": 2400, "oldest": START, "newest": START + Level.DAY + 1_199_000,
                                       "bytes": sum(row.size for row in everything(store))}}  # fmt: skip
    assert [each["day"] for each in stats["written"]] == [Level.DAY.start(START), Level.DAY.start(START) + Level.DAY]
    total = {key: sum(each[key] for each in stats["written"]) for key in ("readings", "transactions", "bytes")}
    assert (total["readings"], total["transactions"]) == (2400, 40)
    assert 2400 * 20 < total["bytes"] < 2400 * 2000
    store.close()
