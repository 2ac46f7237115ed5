"""The history of all things: what is measured goes in, what is asked for comes out, and the disk is spared.

Rules of this file
* A reading waits in memory until the next transaction: one every `flush` seconds, or when `ROWS_AT_ONCE` wait. A clean
  stop writes everything; a kill loses at most `flush` seconds of history (of what is published, nothing: that is the
  outbox's).
* A disk that refuses is said once, and once when it is back. Meanwhile readings wait in memory up to `MEMORY_ROWS`;
  what the bound pushes out is counted.
* Of the historical types of XEP-0323 (section 4.4), minute, hour and day are answered from the roll-ups: the last value
  stands at the shift (the end of its minute, hour or day), with it `…, min` and `…, max` (peak), `…, mean` and
  `…, count` (computed). Of several levels asked for, the finest answers. Weeks, months, quarters and years are the days
  that end at their shifts. Other types are answered by the readings as they were. Who asks for all historical types
  gets the readings, and the hours from before the oldest of them.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import math
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from devices.base import NotResponding, Value, ValueType
from hub.telemetry.database import DiskRefused, DiskTrouble
from hub.telemetry.rollups import Level, Rollup
from hub.telemetry.rows import EPOCH, MILLISECOND, Row, Shapes, to_moment, to_ms
from hub.telemetry.store import CHUNK, Bounds, HistoryStore
from hub.things.lanes import Lanes
from hub.things.model import (
    COUNT,
    MAX,
    MEAN,
    MIN,
    ROLLED,
    Field,
    FieldTypes,
    NodeRef,
    Quality,
    Reading,
    Trouble,
    historical_types,
    rolled_name,
)
from hub.things.thing import Thing

log = logging.getLogger(__name__)

ROWS_AT_ONCE = 5_000
MEMORY_ROWS = 10_000  # about 3 MiB
QUERY_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
LANE = "history"
END = 1 << 62

DAYS = (FieldTypes.HISTORICAL_DAY | FieldTypes.HISTORICAL_WEEK | FieldTypes.HISTORICAL_MONTH
        | FieldTypes.HISTORICAL_QUARTER | FieldTypes.HISTORICAL_YEAR)  # fmt: skip
LEVELS: Mapping[Level, FieldTypes] = {
    Level.MINUTE: FieldTypes.HISTORICAL_MINUTE,
    Level.HOUR: FieldTypes.HISTORICAL_HOUR,
    Level.DAY: DAYS,
}
OWN = {Level.MINUTE: FieldTypes.HISTORICAL_MINUTE, Level.HOUR: FieldTypes.HISTORICAL_HOUR,
       Level.DAY: FieldTypes.HISTORICAL_DAY}  # fmt: skip
"""What minimum, maximum, mean and count of a level are values of."""

T = TypeVar("T")


class History:
    """`now` tells the moment from which ages are counted, None while the clock is not to be trusted with that."""

    def __init__(self, path: Path, bounds: Bounds, flush: float, lanes: Lanes,
                 now: Callable[[], dt.datetime | None]) -> None:  # fmt: skip
        self._store = HistoryStore(path, bounds)
        self.flush = flush
        self._lanes = lanes
        self._now = now
        self._shapes = Shapes()
        self._waiting: list[Row] = []
        self._writing: list[Row] = []
        self._newest: dict[str, dt.datetime] = {}
        self._many = asyncio.Event()
        self._flushing = asyncio.Lock()
        self._say = DiskTrouble("no history can be written (%s); sampling goes on, what comes waits in memory",
                            "history is written again (it was: %s)")  # fmt: skip
        self.dropped = 0

    @property
    def trouble(self) -> str:
        """Why nothing can be written; empty when all is well."""
        return self._say.text

    @property
    def waiting(self) -> int:
        return len(self._waiting) + len(self._writing)

    @property
    def written(self) -> int:
        """Bytes handed to the disk."""
        return self._store.written

    @property
    def replaced(self) -> int:
        """How often a broken file was moved aside."""
        return self._store.replaced

    def configure(self, bounds: Bounds, flush: float) -> None:
        self._store.bounds, self.flush = bounds, flush

    # ------------------------------------------------------------------ in

    def take(self, thing: Thing) -> None:
        """A thing has been read, or has failed: keep the reading if it is a new one."""
        if thing.measured is None or self._newest.get(thing.name) == thing.measured:
            return
        reading = thing.reading(types=FieldTypes.ALL)
        if reading is None:
            return
        self._newest[thing.name] = thing.measured
        self._waiting.append(self._shapes.row(reading))
        self._bound()
        if len(self._waiting) >= ROWS_AT_ONCE:
            self._many.set()

    def _bound(self) -> None:
        surplus = len(self._waiting) - MEMORY_ROWS
        if surplus > 0:
            del self._waiting[:surplus]
            before, self.dropped = self.dropped, self.dropped + surplus
            if self.dropped.bit_length() > before.bit_length():  # said at 1, 2, 4, 8 …
                log.warning("history: the memory is full (%d); %d readings lost so far", MEMORY_ROWS, self.dropped)

    async def run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self.flush):
                    if self._say.text:
                        await asyncio.Event().wait()  # many rows are no reason to ask a full disk more often
                    await self._many.wait()
            except TimeoutError:
                pass
            await self.write()

    async def write(self) -> None:
        """Write what waits. It takes as long as the disk takes; readings wait in memory meanwhile."""
        async with self._flushing:
            self._many.clear()
            if not self._waiting:
                return
            now = self._now()
            rows, self._waiting = self._waiting, []
            self._writing = rows
            try:
                await self._lanes.run(LANE, lambda: self._store.write(rows, to_ms(now) if now else None), math.inf)
            except DiskRefused as refused:
                self._waiting = [*rows, *self._waiting]
                self._bound()
                self._say(str(refused))
            else:
                self._say("")
            finally:
                self._writing = []

    async def close(self) -> None:
        """Write everything, within bounds."""
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self.write()
                await self._lanes.run(LANE, self._store.close, STOP_TIMEOUT_S)
        except (TimeoutError, DiskRefused, NotResponding) as error:
            log.error("the last readings of the history could not be written: %s", error or "the disk hangs")

    async def mend(self, since: dt.datetime, by: dt.timedelta) -> None:
        """Readings from `since` on whose clock was in doubt were measured `by` later than they say."""
        delta = by // MILLISECOND
        await self.write()
        self._waiting = [_mended(row, delta) for row in self._waiting]
        try:
            await self._call(lambda: self._store.shift(to_ms(since), Quality.TIME_OFFSET.value, delta))
        except (DiskRefused, NotResponding) as error:
            log.error("the moments of the readings before the clock was set could not be mended: %s", error)

    # ------------------------------------------------------------------ out

    async def read(
        self, thing: Thing, names: Sequence[str], types: FieldTypes, start: dt.datetime | None, end: dt.datetime | None
    ) -> AsyncIterator[Sequence[Reading]]:
        """See `hub.things.readout.Past`. What cannot be read is logged and left out."""
        first = 0 if start is None else -((EPOCH - start) // MILLISECOND)  # rounded up
        last = END if end is None else to_ms(end)
        try:
            if FieldTypes.HISTORICAL in types:
                async for some in self._readings(thing.name, names, types, first, last):
                    yield some
                oldest = await self._call(lambda: self._store.oldest(thing.name))
                if oldest is not None:
                    async for some in self._rollups(thing.name, names, Level.HOUR, types, first, min(last, oldest)):
                        yield some
                return
            level = next((level for level, meant in LEVELS.items() if meant & types), None)
            if types & (FieldTypes.HISTORICAL_SECOND | FieldTypes.HISTORICAL_OTHER):
                async for some in self._readings(thing.name, names, types, first, last):
                    yield some
            elif level is not None:
                async for some in self._rollups(thing.name, names, level, types, first, last):
                    yield some
        except (DiskRefused, NotResponding) as error:
            log.error("the history of %s cannot be read: %s", thing.name, error)

    async def stats(self) -> Mapping[str, Any]:
        """Raises DiskRefused or NotResponding."""
        return await self._call(self._store.stats)

    async def _readings(
        self, thing: str, names: Collection[str], types: FieldTypes, start: int, end: int
    ) -> AsyncIterator[Sequence[Reading]]:
        memory = [row for row in (*self._writing, *self._waiting)
                  if start <= row.at <= end and self._shapes.thing(row.shape) == thing]  # fmt: skip
        full = True
        while full:
            try:
                chunk = await self._call(lambda until=end: self._store.readings(thing, start, until))  # type: ignore[misc]  # mypy infers no default
            except (DiskRefused, NotResponding) as error:
                log.error("the history of %s cannot be read, but for what is in memory: %s", thing, error)
                chunk = []
            full = len(chunk) == CHUNK
            edge = chunk[-1].at if full else start
            rows = {(row.at, row.shape): row for row in chunk} | {(r.at, r.shape): r for r in memory if r.at >= edge}
            memory = [row for row in memory if row.at < edge]
            newest_first = sorted(rows.values(), key=lambda row: row.at, reverse=True)
            yield [reading for row in newest_first if (reading := self._reading(row, names, types)) is not None]
            end = edge - 1

    def _reading(self, row: Row, names: Collection[str], types: FieldTypes) -> Reading | None:
        moment = to_moment(row.at)
        historical = historical_types(moment)
        if not historical & types:
            return None
        try:
            item = self._shapes.item(row)
        except ValueError as error:
            log.error("a reading of the history makes no sense and is left out: %s", error)
            return None
        if isinstance(item, Trouble):
            return None
        fields = tuple(
            replace(field, types=(field.types & ~FieldTypes.MOMENTARY) | historical)
            for field in item.fields
            if not names or field.name in names
        )
        return Reading(item.node, item.timestamp, fields) if fields else None

    async def _rollups(
        self, thing: str, names: Collection[str], level: Level, types: FieldTypes, start: int, end: int
    ) -> AsyncIterator[Sequence[Reading]]:
        full = True
        while full and end >= start:
            chunk = await self._call(lambda until=end: self._store.rollups(thing, level, start, until))  # type: ignore[misc]  # mypy infers no default
            full = len(chunk) == CHUNK
            yield [reading for at, fields in chunk
                   if (reading := rolled(thing, level, at, fields, names, types)) is not None]  # fmt: skip
            if chunk:
                end = chunk[-1][0] + level - 1

    async def _call(self, call: Callable[[], T]) -> T:
        return await self._lanes.run(LANE, call, QUERY_TIMEOUT_S)


def rolled(
    thing: str, level: Level, start: int, fields: Sequence[tuple[Field, Rollup]], names: Collection[str],
    types: FieldTypes,
) -> Reading | None:  # fmt: skip
    """A bucket as a reading at its end; None when nothing of it was asked for. Minimum, maximum, mean and count are of
    this level only; the last value stands at every shift that its moment is one of."""
    moment = to_moment(start + level)
    shifts = historical_types(moment)
    if not shifts & types:
        return None
    own = OWN[level]
    made: list[Field] = []
    for field, rollup in fields:
        last = replace(field, value=_value(field.type, rollup.last))
        extra: dict[str, tuple[ValueType, Value]] = {
            MIN: (field.type, _value(field.type, rollup.low)),
            MAX: (field.type, _value(field.type, rollup.high)),
            MEAN: (ValueType.NUMERIC, rollup.mean),
            COUNT: (ValueType.LONG, rollup.count),
        }
        made.append(replace(last, types=(field.types & ~FieldTypes.MOMENTARY) | shifts))
        for what, (type_, value) in extra.items() if own & types else ():
            made.append(Field(rolled_name(field.name, what), value, type_, ROLLED[what] | own,
                              unit="" if what == COUNT else field.unit))  # fmt: skip
    asked = tuple(field for field in made if not names or field.name in names)
    return Reading(NodeRef(thing), moment, asked) if asked else None


def _value(type_: ValueType, number: Decimal) -> Value:
    """A rolled-up number as a value of its field."""
    if type_ is ValueType.BOOLEAN:
        return bool(number)
    return number if type_ is ValueType.NUMERIC else int(number)


def _mended(row: Row, by: int) -> Row:
    offset = Quality.TIME_OFFSET.value
    return replace(row, at=row.at + by, quality=row.quality & ~offset) if row.quality & offset else row
