"""The log of decisions and commands while a hub runs: written by a thread, so that a slow disk holds up nobody.

Rules of this file
* `record` never waits. What it was given is written at once, and on the disk within a second.
* `record_now` returns when it is on the disk, or raises. A command from outside is carried out only after that: who
  fills the disk first must not be able to act without a trace. What protects (leases, interlocks, a command into the
  safe state) asks nobody and goes on; so does reading.
* While the disk refuses, `trouble` says why, and the log of the program says it once. Records wait in a bounded queue;
  what does not fit is counted, and the count is written when the disk takes lines again.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from hub.errors import StoreError
from hub.trust.audit import LOST, SELF, Record
from hub.trust.auditfiles import KEEP, MAX_BYTES, LogFiles

log = logging.getLogger(__name__)

SYNC_S: Final = 1.0  # the most that a power cut takes of what nobody waited for; also between two tries
PATIENCE_S: Final = 5.0  # for a disk that does not answer
MAX_QUEUE: Final = 10_000  # records; at 500 decisions a second, 20 s


def _utc() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True, slots=True)
class _Queued:
    record: Record
    done: asyncio.Future[None] | None = None


class Audit:
    """A Recorder (see `hub.trust.audit`). What is recorded before `start` waits for it."""

    def __init__(
        self, path: Path, *, max_bytes: int = MAX_BYTES, keep: int = KEEP, clock: Callable[[], dt.datetime] = _utc
    ) -> None:
        self.path = path
        self.trouble: str | None = None
        """Why nothing can be written right now; None: it can."""
        self._files = LogFiles(path, max_bytes, keep)
        self._clock = clock
        self._queue: list[_Queued] = []
        self._lost = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._ending = False

    @property
    def waiting(self) -> int:
        """Records that are not written yet."""
        return len(self._queue)

    @property
    def lost(self) -> int:
        """Records that found the queue full, and are not told in the log yet."""
        return self._lost

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="audit")

    async def stop(self) -> None:
        """Returns when what was recorded is on the disk, or the disk had its chance."""
        self._ending = True
        self._wake.set()
        if self._task is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._task, PATIENCE_S)

    def record(self, who: str, what: str, rule: str, answer: str) -> None:
        self._put(_Queued(Record(self._clock(), who, what, rule, answer)))

    async def record_now(self, who: str, what: str, rule: str, answer: str) -> None:
        record = Record(self._clock(), who, what, rule, answer)
        if self._ending or self._task is None:
            raise StoreError("This hub is not running: nothing can be logged, so nothing is carried out.")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self._put(_Queued(record, done)):
            raise _not_logged(self.trouble or "too much waits to be logged")
        try:
            await asyncio.wait_for(done, PATIENCE_S)
        except TimeoutError:
            why = "the disk does not answer"
            self._put(_Queued(replace(record, answer=f"not carried out: {why}")))  # the line may yet be written
            raise _not_logged(why) from None

    def _put(self, queued: _Queued) -> bool:
        if len(self._queue) >= MAX_QUEUE:
            self._lost += 1
            return False
        self._queue.append(queued)
        if self.trouble is None or queued.done is not None:
            self._wake.set()  # only a command makes a disk be tried again before its time
        return True

    # ------------------------------------------------------------------ the one writer

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due: float | None = None
        while not self._ending or self._queue:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._wake.wait()
            self._wake.clear()
            batch, self._queue = self._queue, []
            try:
                await self._append(batch)
                due = due or loop.time() + SYNC_S
                if self._ending or loop.time() >= due or any(queued.done for queued in batch):
                    await asyncio.to_thread(self._files.sync)
                    due = None
            except (OSError, StoreError) as error:
                self._refused(str(error), batch)
                due = loop.time() + SYNC_S
                if self._ending:
                    break
            else:
                self._written(batch)
        with contextlib.suppress(OSError, StoreError):
            await asyncio.to_thread(self._files.close)

    async def _append(self, batch: list[_Queued]) -> None:
        records = [queued.record for queued in batch]
        lost = self._lost
        if lost:
            records.append(Record(self._clock(), SELF, LOST, "queue", f"{lost} records did not fit into the queue"))
        try:
            await asyncio.to_thread(self._files.append, records)
        except (OSError, StoreError):
            kept = [queued for queued in batch if queued.done is None]
            self._queue = kept + self._queue  # those that somebody waits for are told, and not carried out
            raise
        self._lost -= lost

    def _written(self, batch: list[_Queued]) -> None:
        for queued in batch:
            if queued.done is not None and not queued.done.done():
                queued.done.set_result(None)
        if self.trouble is not None:
            log.warning("%s: is written again", self.path)
            self.trouble = None

    def _refused(self, why: str, batch: list[_Queued]) -> None:
        if self.trouble is None:
            log.error("%s: cannot be written (%s): until it can, commands are refused but for those "
                      "into a safe state", self.path, why)
        self.trouble = why
        for queued in batch:
            if queued.done is not None and not queued.done.done():
                self._put(_Queued(replace(queued.record, answer=f"not carried out: {why}")))
                queued.done.set_exception(_not_logged(why))


def _not_logged(why: str) -> StoreError:
    return StoreError(f"This hub cannot log commands right now, so it carries out only those into a safe state: {why}.")
