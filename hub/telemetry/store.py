"""The history of all things in one SQLite file: readings as they were, and their roll-ups.

Rules of this file
* Blocking; called from one thread at a time, off the event loop.
* Readings lie in the order of time, all things together, so that what is written in one transaction lies in one place:
  a card is written in blocks, and a page for each thing would cost twenty times as much.
* What closes a bucket is written together with it. After a kill the buckets that were still open are made again from
  the readings and the buckets below them.
* Readings and minutes are bounded by age, readings of each thing by size too, the oldest go first; hours and days stay
  ten years, and take 1.2 kB a day for each field.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from hub.telemetry.database import Database
from hub.telemetry.rollups import Buckets, Key, Level, Point, Rollup, number
from hub.telemetry.rows import BETWEEN, Row, Shapes, describe, described
from hub.things.model import Field
from hub.things.values import parse_text

VERSION = 0x48554831
PAGE_BYTES = 2048
CHUNK = 500  # readings in memory at a time while a history is read
KEPT_SHARE = 0.95  # of the allowed size, after a thing has outgrown it: so that not every reading deletes one
MINUTES_LONGER = 3  # times the age of readings
LONG_MS = 3650 * int(Level.DAY)  # hours and days

SCHEMA = """
CREATE TABLE shapes (id INTEGER PRIMARY KEY, shape TEXT NOT NULL UNIQUE);
CREATE TABLE readings (
    at INTEGER NOT NULL, shape INTEGER NOT NULL, quality INTEGER NOT NULL, texts TEXT NOT NULL, PRIMARY KEY (at, shape)
) WITHOUT ROWID;
CREATE TABLE series (
    id INTEGER PRIMARY KEY, thing TEXT NOT NULL, field TEXT NOT NULL, description TEXT NOT NULL, UNIQUE (thing, field)
);
CREATE TABLE rollups (
    level INTEGER NOT NULL, start INTEGER NOT NULL, series INTEGER NOT NULL, count INTEGER NOT NULL,
    total TEXT NOT NULL, low TEXT NOT NULL, high TEXT NOT NULL, last TEXT NOT NULL, last_at INTEGER NOT NULL,
    PRIMARY KEY (level, start, series)
) WITHOUT ROWID;
CREATE TABLE written (
    day INTEGER PRIMARY KEY, bytes INTEGER NOT NULL, transactions INTEGER NOT NULL, readings INTEGER NOT NULL
);
"""
_PUT = "INSERT OR REPLACE INTO rollups VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_GET = "SELECT count, total, low, high, last, last_at FROM rollups WHERE level = ? AND start = ? AND series = ?"


@dataclass(frozen=True)
class Bounds:
    """`age` in milliseconds, of readings; `size` in bytes, of the readings of one thing."""

    age: int
    size: int


@dataclass(frozen=True)
class Series:
    thing: str
    field: Field
    """Its value means nothing."""


class HistoryStore:
    def __init__(self, path: Path, bounds: Bounds, readonly: bool = False) -> None:
        self.bounds = bounds
        self._readonly = readonly
        self._database = Database(path, SCHEMA, VERSION, PAGE_BYTES, readonly=readonly)
        self._forget()

    def _forget(self) -> None:
        """Know nothing: the file is another one."""
        self._shapes = Shapes()
        self._shape_ids: dict[str, int] = {}
        self._shape_texts: dict[int, str] = {}
        self._series: dict[tuple[str, str], tuple[int, str]] = {}
        self._sizes: Counter[str] = Counter()
        self._buckets = Buckets(self._load)
        self._known: Connection | None = None
        self._counted: Counter[str] = Counter()

    @property
    def written(self) -> int:
        return self._database.written

    @property
    def replaced(self) -> int:
        return self._database.replaced

    # ------------------------------------------------------------------ writing

    def open(self) -> Connection:
        """Raises DiskRefused."""
        connection = self._database.open()
        if connection is not self._known:
            self._forget()
            with self._database.reading():
                self._learn(connection)
            self._known = connection
        return connection

    def write(self, rows: Sequence[Row], now: int | None) -> None:
        """Store rows, and what they close. `now`: the moment from which ages are counted; None: nothing is too old.
        Raises DiskRefused; nothing has been stored then."""
        connection = self.open()
        before = self._database.written
        try:
            with self._database.transaction():
                self._insert(connection, rows)
                for row in rows:
                    self._roll_up(connection, row)
                closed = self._buckets.closed()
                connection.executemany(_PUT, (_columns(key, rollup) for key, rollup in closed))
                if closed:
                    self._prune(connection, now)
                    self._count(connection)
        except BaseException:
            self._known = None  # what is in memory is ahead of the file
            raise
        self._buckets.forget(key for key, _ in closed)
        self._counted.update(bytes=self._database.written - before, transactions=1, readings=len(rows))

    def close(self) -> None:
        """Raises DiskRefused when the last buckets could not be written; they are made again at the next opening."""
        try:
            if self._known is not None and self._database.is_open and not self._readonly:
                with self._database.transaction() as connection:
                    connection.executemany(_PUT, (_columns(key, rollup) for key, rollup in self._buckets.all()))
                    self._count(connection)
        finally:
            self._database.close()
            self._known = None

    def shift(self, since: int, quality: int, by: int) -> None:
        """Mend the moments of readings from `since` on that carry the bits `quality`: they were `by` milliseconds too
        early. Their roll-ups are made again. Raises DiskRefused."""
        connection = self.open()
        with self._database.transaction():
            rows = connection.execute(
                "SELECT at, shape, quality, texts FROM readings WHERE at >= ? AND quality & ? = ? ORDER BY at",
                (since, quality, quality),
            ).fetchall()
            if not rows:
                return
            lowest, highest = rows[0][0], rows[-1][0]
            connection.executemany("DELETE FROM readings WHERE at = ? AND shape = ?", [row[:2] for row in rows])
            connection.executemany("INSERT OR REPLACE INTO readings VALUES (?, ?, ?, ?)",
                                   [(at + by, shape, flags & ~quality, texts) for at, shape, flags, texts in rows])
            for first, last in ((lowest, highest), (lowest + by, highest + by)):
                self._remake(connection, first, last)
        self._known = None  # buckets and sizes are learnt again

    def _remake(self, connection: Connection, first: int, last: int) -> None:
        """Make the roll-ups of the days of these moments again."""
        start, end = Level.DAY.start(first), Level.DAY.start(last) + Level.DAY
        connection.execute("DELETE FROM rollups WHERE start >= ? AND start < ?", (start, end))
        fresh = Buckets(lambda key: None)
        for row in self._rows(connection, "at >= ? AND at < ?", (start, end)):
            for series, value in self._numbers(connection, row):
                fresh.add(series, value, row.at)
        connection.executemany(_PUT, (_columns(key, rollup) for key, rollup in fresh.all()))

    def _insert(self, connection: Connection, rows: Iterable[Row]) -> None:
        for row in rows:
            if row.shape not in self._shape_ids:
                cursor = connection.execute("INSERT INTO shapes (shape) VALUES (?)", (row.shape,))
                assert cursor.lastrowid is not None
                self._know_shape(cursor.lastrowid, row.shape)
            self._sizes[self._shapes.thing(row.shape)] += row.size
        connection.executemany(
            "INSERT OR REPLACE INTO readings VALUES (?, ?, ?, ?)",
            ((row.at, self._shape_ids[row.shape], row.quality, row.texts) for row in rows),
        )

    def _roll_up(self, connection: Connection, row: Row) -> None:
        for series, value in self._numbers(connection, row):
            self._buckets.add(series, value, row.at)

    def _numbers(self, connection: Connection, row: Row) -> Iterator[tuple[int, Decimal]]:
        """The values that are rolled up, each with its series."""
        for field, text in zip(self._shapes.fields(row.shape), row.texts.split(BETWEEN), strict=True):
            value = number(parse_text(field.type, text))
            if value is not None:
                yield self._series_id(connection, self._shapes.thing(row.shape), field), value

    def _series_id(self, connection: Connection, thing: str, field: Field) -> int:
        known = self._series.get((thing, field.name))
        description = json.dumps(describe(field), ensure_ascii=False)
        if known is not None and known[1] == description:
            return known[0]
        (found,) = connection.execute(
            "INSERT INTO series (thing, field, description) VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET description = excluded.description RETURNING id",
            (thing, field.name, description),
        ).fetchone()
        self._series[thing, field.name] = (found, description)
        return int(found)

    def _count(self, connection: Connection) -> None:
        """What has been written since the last time, on the day it was: for `stats`."""
        counted, self._counted = self._counted, Counter()
        connection.execute(
            "INSERT INTO written VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes,"
            " transactions = transactions + excluded.transactions, readings = readings + excluded.readings",
            (Level.DAY.start(max(self._buckets.newest, 0)), counted["bytes"], counted["transactions"],
             counted["readings"]),
        )  # fmt: skip

    # ------------------------------------------------------------------ bounds

    def _prune(self, connection: Connection, now: int | None) -> None:
        if now is not None:
            self._weigh(connection, -1, "WHERE at < ?", (now - self.bounds.age,))
            connection.execute("DELETE FROM readings WHERE at < ?", (now - self.bounds.age,))
            for level in Level:
                kept = self.bounds.age * MINUTES_LONGER if level is Level.MINUTE else LONG_MS
                connection.execute("DELETE FROM rollups WHERE level = ? AND start < ?", (level, now - kept))
            connection.execute("DELETE FROM written WHERE day < ?", (now - LONG_MS,))
        for thing, size in list(self._sizes.items()):
            if size > self.bounds.size:
                self._shrink(connection, thing, size - int(self.bounds.size * KEPT_SHARE))

    def _shrink(self, connection: Connection, thing: str, surplus: int) -> None:
        ids = self._ids(thing)
        last = None
        found = connection.execute(f"SELECT at, texts FROM readings WHERE shape IN ({ids}) ORDER BY at")
        for at, texts in found:
            surplus -= 16 + len(texts.encode())
            self._sizes[thing] -= 16 + len(texts.encode())
            last = at
            if surplus <= 0:
                break
        found.close()
        if last is not None:
            connection.execute(f"DELETE FROM readings WHERE shape IN ({ids}) AND at <= ?", (last,))

    def _weigh(self, connection: Connection, sign: int, where: str = "", arguments: tuple[Any, ...] = ()) -> None:
        """Add the bytes of some readings to what is known of their things, or take them away."""
        for shape, size in connection.execute(
            f"SELECT shape, SUM(16 + LENGTH(CAST(texts AS BLOB))) FROM readings {where} GROUP BY shape", arguments
        ):
            self._sizes[self._shapes.thing(self._shape_texts[shape])] += sign * size

    # ------------------------------------------------------------------ learning what is there

    def _learn(self, connection: Connection) -> None:
        for id_, shape in connection.execute("SELECT id, shape FROM shapes"):
            self._know_shape(id_, shape)
        for id_, thing, name, description in connection.execute("SELECT id, thing, field, description FROM series"):
            self._series[thing, name] = (id_, description)
        self._weigh(connection, 1)
        (newest,) = connection.execute("SELECT MAX(at) FROM readings").fetchone()
        if newest is not None:
            self._reopen(connection, newest)

    def _reopen(self, connection: Connection, newest: int) -> None:
        """Make the buckets again that were open when the newest reading was written."""
        self._buckets.newest = newest
        fresh: dict[Key, Rollup] = {}

        def take(level: Level, series: int, rollup: Rollup) -> None:
            key = (level, level.start(newest), series)
            if key in fresh:
                fresh[key].merge(rollup)
            else:
                fresh[key] = rollup

        for row in self._rows(connection, "at >= ?", (Level.MINUTE.start(newest),)):
            for series, value in self._numbers(connection, row):
                for level in Level:
                    take(level, series, Rollup.of(value, row.at))
        minute, hour, day = (level.start(newest) for level in Level)
        for series, rollup in self._between(connection, Level.MINUTE, hour, minute):
            take(Level.HOUR, series, replace(rollup))
            take(Level.DAY, series, rollup)
        for series, rollup in self._between(connection, Level.HOUR, day, hour):
            take(Level.DAY, series, rollup)
        for key, rollup in fresh.items():
            self._buckets.put(key, rollup)

    def _between(self, connection: Connection, level: Level, start: int, end: int) -> Iterator[tuple[int, Rollup]]:
        for series, *columns in connection.execute(
            "SELECT series, count, total, low, high, last, last_at FROM rollups"
            " WHERE level = ? AND start >= ? AND start < ?",
            (level, start, end),
        ):
            yield series, _rollup(columns)

    def _load(self, key: Key) -> Rollup | None:
        columns = self._database.open().execute(_GET, key).fetchone()
        return None if columns is None else _rollup(columns)

    def _know_shape(self, id_: int, shape: str) -> None:
        self._shape_ids[shape], self._shape_texts[id_] = id_, shape

    def _ids(self, thing: str) -> str:
        return ",".join(str(id_) for shape, id_ in self._shape_ids.items() if self._shapes.thing(shape) == thing)

    def _rows(self, connection: Connection, where: str, arguments: tuple[Any, ...]) -> Iterator[Row]:
        for at, shape, quality, texts in connection.execute(
            f"SELECT at, shape, quality, texts FROM readings WHERE {where}", arguments
        ):
            yield Row(self._shape_texts[shape], at, quality, texts)

    # ------------------------------------------------------------------ reading

    def readings(self, thing: str, start: int, end: int, limit: int = CHUNK) -> list[Row]:
        """The newest `limit` readings of a thing within [start, end], the newest first. Raises DiskRefused."""
        connection = self.open()
        with self._database.reading():
            return list(self._rows(
                connection, f"at >= ? AND at <= ? AND shape IN ({self._ids(thing)}) ORDER BY at DESC LIMIT ?",
                (start, end, limit),
            ))  # fmt: skip

    def things(self) -> list[str]:
        """Those of which something is remembered. Raises DiskRefused."""
        self.open()
        of_readings = {self._shapes.thing(shape) for shape in self._shape_ids}
        return sorted(of_readings | {thing for thing, _ in self._series})

    def oldest(self, thing: str) -> int | None:
        """The moment of the oldest reading of a thing."""
        connection = self.open()
        with self._database.reading():
            (found,) = connection.execute(
                f"SELECT MIN(at) FROM readings WHERE shape IN ({self._ids(thing)})"
            ).fetchone()
            return None if found is None else int(found)

    def rollups(
        self, thing: str, level: Level, start: int, end: int, limit: int = CHUNK
    ) -> list[tuple[int, list[tuple[Field, Rollup]]]]:
        """The newest `limit` closed buckets of a thing that *end* within [start, end], the newest first, each with
        its start. Raises DiskRefused."""
        connection = self.open()
        names = {id_: (field, description) for (of, field), (id_, description) in self._series.items() if of == thing}
        if not names:
            return []
        end = min(end, self._buckets.newest)
        found: dict[int, list[tuple[Field, Rollup]]] = {}
        with self._database.reading():
            for at, series, *columns in connection.execute(
                "SELECT start, series, count, total, low, high, last, last_at FROM rollups WHERE level = ?"
                f" AND start >= ? AND start <= ? AND series IN ({','.join(map(str, names))}) ORDER BY start DESC",
                (level, start - level, end - level),
            ):
                if at not in found and len(found) == limit:
                    break
                found.setdefault(at, []).append((described(json.loads(names[series][1])), _rollup(columns)))
        return list(found.items())

    def stats(self) -> Mapping[str, Any]:
        """Sizes, counts and what has been written on which day. Raises DiskRefused."""
        connection = self.open()
        with self._database.reading():
            things: dict[str, list[int]] = {}
            for shape, count, oldest, newest in connection.execute(
                "SELECT shape, COUNT(*), MIN(at), MAX(at) FROM readings GROUP BY shape"
            ):
                name = self._shapes.thing(self._shape_texts[shape])
                of = things.setdefault(name, [0, oldest, newest])
                things[name] = [of[0] + count, min(of[1], oldest), max(of[2], newest)]
            return {
                "file": sum(path.stat().st_size for path in self._files()),
                "things": {name: {"readings": count, "oldest": oldest, "newest": newest, "bytes": self._sizes[name]}
                           for name, (count, oldest, newest) in sorted(things.items())},
                "rollups": dict(connection.execute("SELECT level, COUNT(*) FROM rollups GROUP BY level")),
                "written": [dict(zip(("day", "bytes", "transactions", "readings"), row, strict=True))
                            for row in connection.execute("SELECT * FROM written ORDER BY day")],
            }  # fmt: skip

    def _files(self) -> list[Path]:
        path = self._database.path
        return [each for each in (path, path.with_name(path.name + "-wal")) if each.exists()]


def to_points(buckets: Iterable[tuple[int, list[tuple[Field, Rollup]]]], name: str) -> list[Point]:
    """The roll-ups of one field, in order of time."""
    points = [Point(start, rollup) for start, fields in buckets for field, rollup in fields if field.name == name]
    return sorted(points, key=lambda point: point.start)


def _columns(key: Key, rollup: Rollup) -> tuple[Any, ...]:
    return (int(key[0]), key[1], key[2], rollup.count, str(rollup.total), str(rollup.low), str(rollup.high),
            str(rollup.last), rollup.last_at)  # fmt: skip


def _rollup(columns: Sequence[Any]) -> Rollup:
    count, total, low, high, last, last_at = columns
    return Rollup(count, Decimal(total), Decimal(low), Decimal(high), Decimal(last), last_at)
