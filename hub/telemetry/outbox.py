"""What still has to be published, on the disk: it outlives a dead network, a kill and a restart.

Rules of this file
* An entry is in the file as soon as the disk has taken it, which is tried at once; it leaves the file when its
  publication was answered, or when the bound pushes it out: the oldest first, counted and said. One that was answered
  before it was written never touches the disk.
* The file is its own and not the history's: what waits here is written at once and in small pages, while history waits
  for a good block; and if one of the two breaks, the other is whole. A kill loses nothing of it; a power cut at most
  what the kernel had not written yet, usually half a minute.
* Numbers of entries never come twice, over restarts either: the upper half counts the openings of the file (of one that
  was broken, from one again). Items on the service are named after them.
* A disk that refuses is said once; entries then wait in memory, up to `MEMORY_ROWS`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from sqlite3 import Connection
from typing import TypeVar

from devices.base import NotResponding
from hub.telemetry.database import Database, DiskRefused, DiskTrouble
from hub.telemetry.rows import Row, Shapes, to_ms
from hub.things.lanes import Lanes
from hub.things.model import Quality, Reading, Trouble

log = logging.getLogger(__name__)

VERSION = 0x4855424F
PAGE_BYTES = 1024  # a reading is small, and each page that it touches is written
MEMORY_ROWS = 2_000
RELEASE_S = 1.0  # what was answered is written with the next entry, or after this
SETTLE_S = 2.0
READ_TIMEOUT_S = 30.0
LOOK_TIMEOUT_S = 1.0  # of who only wants to know how things stand
STOP_TIMEOUT_S = 10.0
LANE = "outbox"
FULL = "the backlog is full"
RUN = 1 << 32

SCHEMA = """
CREATE TABLE shapes (id INTEGER PRIMARY KEY, shape TEXT NOT NULL UNIQUE);
CREATE TABLE entries (
    seq INTEGER PRIMARY KEY, shape INTEGER NOT NULL, at INTEGER NOT NULL, quality INTEGER NOT NULL, texts TEXT NOT NULL
);
"""

Moment = tuple[bool, int]
"""Whether it is a reading (and no trouble), and when, in milliseconds."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    seq: int
    thing: str
    item: Reading | Trouble

    @property
    def name(self) -> str:
        """Short, and of no other entry of this node."""
        return f"{self.seq // RUN:x}-{self.seq % RUN:x}"


class OutboxStore:
    """Blocking; one thread at a time, off the event loop. All methods raise DiskRefused."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, SCHEMA, VERSION, PAGE_BYTES)
        self._known: Connection | None = None
        self.shapes = Shapes()
        self._ids: dict[str, int] = {}
        self._texts: dict[int, str] = {}

    @property
    def written(self) -> int:
        """Bytes."""
        return self._database.written

    @property
    def replaced(self) -> int:
        return self._database.replaced

    def begin(self) -> tuple[int, int]:
        """A new run: its number, and how many entries wait from those before."""
        connection = self._open()
        with self._database.transaction():
            (run,) = connection.execute("PRAGMA user_version").fetchone()
            (newest,) = connection.execute("SELECT IFNULL(MAX(seq), 0) FROM entries").fetchone()
            run = max(run, newest // RUN)
            connection.execute(f"PRAGMA user_version={run + 1}")
        return run + 1, self.count()

    def count(self, without: Collection[int] = ()) -> int:
        connection = self._open()
        with self._database.reading():
            (count,) = connection.execute(
                f"SELECT COUNT(*) FROM entries WHERE seq NOT IN ({_list(without)})"
            ).fetchone()
        return int(count)

    def apply(self, rows: Mapping[int, Row], released: Collection[int], surplus: int, kept: Collection[int]) -> int:
        """Write entries, forget released ones and the `surplus` oldest but for those `kept`; how many of those went.
        Something is written in any case: who has nothing wants to know whether the disk takes it."""
        connection = self._open()
        try:
            with self._database.transaction():
                connection.executemany(
                    "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)",
                    [(seq, self._id(connection, row.shape), row.at, row.quality, row.texts)
                     for seq, row in rows.items()],
                )  # fmt: skip
                connection.executemany("DELETE FROM entries WHERE seq = ?", [(seq,) for seq in released])
                if not rows and not released:
                    (run,) = connection.execute("PRAGMA user_version").fetchone()
                    connection.execute(f"PRAGMA user_version={run}")
                if surplus <= 0:
                    return 0
                return connection.execute(
                    f"DELETE FROM entries WHERE seq IN (SELECT seq FROM entries WHERE seq NOT IN ({_list(kept)})"
                    " ORDER BY seq LIMIT ?)", (surplus,),
                ).rowcount  # fmt: skip
        except BaseException:
            self._known = None  # shapes may have been rolled back
            raise

    def batch(self, without: Collection[int], busy: Collection[str], fields: int) -> list[tuple[int, Row]]:
        """The oldest entry that is neither among `without` nor of a `busy` thing, and what of the same kind follows of
        its thing, up to `fields` fields. A trouble comes alone."""
        connection = self._open()
        refused = [id_ for id_, shape in self._texts.items() if self.shapes.thing(shape) in busy]
        where = f"seq NOT IN ({_list(without)}) AND shape NOT IN ({_list(refused)})"
        with self._database.reading():
            first = connection.execute(f"SELECT seq, shape FROM entries WHERE {where} ORDER BY seq LIMIT 1").fetchone()
            if first is None:
                return []
            shape = self._texts[first[1]]
            alike = [first[1]] if not self.shapes.fields(shape) else self._of(self.shapes.thing(shape), readings=True)
            limit = max(1, fields // max(1, len(self.shapes.fields(shape))))
            return [(seq, Row(self._texts[id_], at, quality, texts)) for seq, id_, at, quality, texts in
                    connection.execute(
                        f"SELECT seq, shape, at, quality, texts FROM entries WHERE seq >= ?"
                        f" AND seq NOT IN ({_list(without)}) AND shape IN ({_list(alike)}) ORDER BY seq LIMIT ?",
                        (first[0], limit if self.shapes.fields(shape) else 1))]  # fmt: skip

    def oldest(self, without: Collection[int]) -> int | None:
        """When the first entry was measured."""
        connection = self._open()
        with self._database.reading():
            found = connection.execute(
                f"SELECT at FROM entries WHERE seq NOT IN ({_list(without)}) ORDER BY seq LIMIT 1"
            ).fetchone()
        return None if found is None else int(found[0])

    def find(self, thing: str, moments: Collection[Moment]) -> list[int]:
        """The entries of a thing that were measured at these moments."""
        connection = self._open()
        found: list[int] = []
        with self._database.reading():
            for readings in (True, False):
                at = [moment for is_reading, moment in moments if is_reading is readings]
                found += [seq for (seq,) in connection.execute(
                    f"SELECT seq FROM entries WHERE shape IN ({_list(self._of(thing, readings))})"
                    f" AND at IN ({_list(at)})")]  # fmt: skip
        return found

    def shift(self, since: int, quality: int, by: int) -> None:
        """See `HistoryStore.shift`."""
        connection = self._open()
        with self._database.transaction():
            connection.execute(
                "UPDATE entries SET at = at + ?, quality = quality & ~? WHERE at >= ? AND quality & ? = ?",
                (by, quality, since, quality, quality),
            )

    def close(self) -> None:
        self._database.close()
        self._known = None

    def _open(self) -> Connection:
        connection = self._database.open()
        if connection is not self._known:
            self._ids.clear()
            self._texts.clear()
            with self._database.reading():
                for id_, shape in connection.execute("SELECT id, shape FROM shapes"):
                    self._ids[shape], self._texts[id_] = id_, shape
            self._known = connection
        return connection

    def _id(self, connection: Connection, shape: str) -> int:
        if shape not in self._ids:
            cursor = connection.execute("INSERT INTO shapes (shape) VALUES (?)", (shape,))
            assert cursor.lastrowid is not None
            self._ids[shape], self._texts[cursor.lastrowid] = cursor.lastrowid, shape
        return self._ids[shape]

    def _of(self, thing: str, readings: bool) -> list[int]:
        return [id_ for id_, shape in self._texts.items()
                if self.shapes.thing(shape) == thing and bool(self.shapes.fields(shape)) is readings]  # fmt: skip


def _list(numbers: Iterable[int]) -> str:
    return ",".join(map(str, numbers))


class Outbox:
    """`put`, then `release` once; `run` writes. `held` tells which entries the bound must not push out."""

    def __init__(self, path: Path, bound: int, lanes: Lanes) -> None:
        self._store = OutboxStore(path)
        self._shapes = Shapes()
        self.bound = bound
        self._lanes = lanes
        self.held: Callable[[], Collection[int]] = tuple
        self._next = 1
        self._unsaved: dict[int, Row] = {}
        self._released: set[int] = set()
        self._under_way: Collection[int] = ()
        self._saved = 0
        self._files = 0
        self._work = asyncio.Event()
        self._written_once = asyncio.Event()
        """Set at the end of the next attempt to write."""
        self._writing = asyncio.Lock()
        self._say = DiskTrouble("the outbox cannot be written (%s); what comes waits in memory",
                            "the outbox is written again (it was: %s)")  # fmt: skip
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """Entries that have not been released."""
        return self._saved + len(self._unsaved)

    @property
    def trouble(self) -> str:
        """Why nothing can be written; empty when all is well."""
        return self._say.text

    @property
    def written(self) -> int:
        """Bytes handed to the disk."""
        return self._store.written

    @property
    def replaced(self) -> int:
        """How often a broken file was moved aside."""
        return self._store.replaced

    def open(self) -> None:
        """Find what waits from before; blocks, as nothing may be numbered before. A disk that refuses is said, and the
        memory serves."""
        try:
            run, self._saved = self._store.begin()
            self._next = run * RUN + 1
        except DiskRefused as refused:
            self._say(str(refused))
        if self._saved:
            log.info("%d readings wait in the outbox from before", self._saved)

    # ------------------------------------------------------------------ in and out

    def put(self, item: Reading | Trouble) -> Entry:
        entry = Entry(self._next, item.node.node_id, item)
        self._next += 1
        self._unsaved[entry.seq] = self._shapes.row(item)
        self._bound_memory()
        self._work.set()
        return entry

    def release(self, entries: Iterable[int]) -> None:
        """They were answered. What has been released is written with the next entry, or soon."""
        for seq in entries:
            if self._unsaved.pop(seq, None) is None:
                self._released.add(seq)
                self._saved -= 1
            elif seq in self._under_way:
                self._released.add(seq)  # it is reaching the disk just now, and has to leave it again
        self._write_released_soon()

    def _write_released_soon(self) -> None:
        if self._released and not self._work.is_set():
            asyncio.get_running_loop().call_later(RELEASE_S, self._work.set)

    def trim(self) -> None:
        """Have a smaller bound take hold."""
        if self.waiting > max(self.bound, 1):
            self._work.set()

    async def settle(self) -> None:
        """Returns when what was released is off the disk, or the disk refuses, or hangs. `run` is needed for it."""
        wanted = set(self._released)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S):
                while wanted & self._released and not self._say.text:
                    self._work.set()
                    await self._written_once.wait()

    async def batch(self, without: Collection[int], busy: Collection[str], fields: int) -> list[Entry]:
        """See `OutboxStore.batch`; what could not be written yet counts too."""
        hidden = {*without, *self._released}
        try:
            rows = await self._call(lambda: self._store.batch(hidden, busy, fields))
        except (DiskRefused, NotResponding) as error:
            self._say(str(error))
            rows = []
        if not rows:
            rows = self._unsaved_batch(without, busy)
        return [entry for seq, row in rows if seq not in self._released and (entry := self._entry(seq, row))]

    def _unsaved_batch(self, without: Collection[int], busy: Collection[str]) -> list[tuple[int, Row]]:
        rows = ((seq, row) for seq, row in self._unsaved.items()
                if seq not in without and self._shapes.thing(row.shape) not in busy)  # fmt: skip
        first = next(rows, None)
        return [] if first is None else [first]

    def _entry(self, seq: int, row: Row) -> Entry | None:
        try:
            return Entry(seq, self._shapes.thing(row.shape), self._shapes.item(row))
        except ValueError as error:
            log.error("an entry of the outbox makes no sense and is dropped: %s", error)
            self.release([seq])
            self.dropped += 1
            return None

    async def find(self, thing: str, moments: Collection[Moment]) -> list[int]:
        """The entries of a thing with these moments. A disk that refuses knows of none."""
        found = [seq for seq, row in self._unsaved.items() if self._shapes.thing(row.shape) == thing
                 and (bool(self._shapes.fields(row.shape)), row.at) in moments]  # fmt: skip
        try:
            stored = await self._call(lambda: self._store.find(thing, moments))
        except (DiskRefused, NotResponding) as error:
            self._say(str(error))
            stored = []
        return [seq for seq in dict.fromkeys([*found, *stored]) if seq not in self._released]

    async def oldest(self) -> int | None:
        """When what has waited longest was measured, in milliseconds; None when nothing waits, or the disk does not
        say."""
        moments = [next(iter(self._unsaved.values())).at] if self._unsaved else []
        released = set(self._released)
        with contextlib.suppress(DiskRefused, NotResponding):
            stored = await self._lanes.run(LANE, lambda: self._store.oldest(released), LOOK_TIMEOUT_S)
            moments += [] if stored is None else [stored]
        return min(moments, default=None)

    # ------------------------------------------------------------------ the disk

    async def run(self) -> None:
        while True:
            await self._work.wait()
            await self.write()
            if self._say.text:
                await asyncio.sleep(RELEASE_S)  # a full disk is not asked all the time
                self._work.set()  # but asked, also while all that comes is confirmed before it could be written

    async def write(self) -> None:
        async with self._writing:
            self._work.clear()
            rows, released = dict(self._unsaved), set(self._released)
            surplus = self.waiting - max(self.bound, 1)
            if not rows and not released and surplus <= 0 and not self._say.text:
                return
            kept = set(self.held())
            self._under_way = rows.keys()
            try:
                gone = await self._lanes.run(
                    LANE, lambda: self._store.apply(rows, released, surplus, kept), math.inf
                )
            except DiskRefused as refused:
                self._say(str(refused))
                self._work.set()
                return
            finally:
                self._under_way = ()
                self._written_once.set()
                self._written_once = asyncio.Event()
            for seq in rows:
                self._saved += 1
                if self._unsaved.pop(seq, None) is None:  # released or pushed out while it was written
                    self._released.add(seq)
                    self._saved -= 1
            self._released -= released
            self._lose(gone, FULL)
            self._saved -= gone
            if self._say.text or self._store.replaced != self._files:
                await self._count_again()
            self._say("")
            self._write_released_soon()

    async def _count_again(self) -> None:
        """After trouble: the file may be a new one."""
        self._files = self._store.replaced
        with contextlib.suppress(DiskRefused, NotResponding):
            released = set(self._released)
            found = await self._call(lambda: self._store.count(released))
            found -= len(self._released - released)  # released while they were counted
            self._lose(max(0, self._saved - found), "the file is a new one")
            self._saved = found

    def _bound_memory(self) -> None:
        """While the disk takes what comes, it is the disk's bound that counts."""
        bound = min(MEMORY_ROWS, max(self.bound, 1)) if self._say.text else MEMORY_ROWS
        while len(self._unsaved) > bound:
            held = {*self.held(), self._next - 1}  # the newest is about to be
            oldest = next((seq for seq in self._unsaved if seq not in held), None)
            if oldest is None:
                return
            del self._unsaved[oldest]
            self._lose(1, FULL)

    def _lose(self, count: int, why: str) -> None:
        before, self.dropped = self.dropped, self.dropped + count
        if self.dropped.bit_length() > before.bit_length():  # said at 1, 2, 4, 8 …
            log.warning("telemetry: %s (bound: %d); %d readings lost so far", why, self.bound, self.dropped)

    async def close(self) -> None:
        """Write everything, within bounds."""
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self.write()
                await self._lanes.run(LANE, self._store.close, STOP_TIMEOUT_S)
        except (TimeoutError, DiskRefused, NotResponding) as error:
            log.error("the outbox could not be written: %s", error or "the disk hangs")

    async def mend(self, since: int, by: int) -> None:
        """Entries from `since` on whose clock was in doubt were measured `by` later than they say, in milliseconds."""
        await self.write()
        offset = Quality.TIME_OFFSET.value
        for seq, row in self._unsaved.items():
            if row.quality & offset:
                self._unsaved[seq] = replace(row, at=row.at + by, quality=row.quality & ~offset)
        try:
            await self._call(lambda: self._store.shift(since, offset, by))
        except (DiskRefused, NotResponding) as error:
            log.error("the moments of the readings before the clock was set could not be mended: %s", error)

    async def _call(self, call: Callable[[], T]) -> T:
        return await self._lanes.run(LANE, call, READ_TIMEOUT_S)


def moment_of(item: Reading | Trouble) -> Moment:
    return isinstance(item, Reading), to_ms(item.timestamp)
