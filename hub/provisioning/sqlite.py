"""The store in one SQLite file: the standard library's sqlite3, in one worker thread.

Rules of this file
* Write-ahead log, synchronous=FULL: what a method has returned from is on disk, whatever ends the program.
* One process at a time writes; another that wants to, for instance a command next to the running service, waits up to
  BUSY_S for it.
* The file holds the things' KEYs, so it is for its owner's eyes only.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from hub.errors import StoreError
from hub.provisioning.migrations import VERSION_TABLE, Migration, migrate, shipped
from hub.provisioning.sql import UNREADABLE, Limits, Steps
from hub.provisioning.sqlstore import SqlStore

BUSY_S: Final = 10.0
OLDEST: Final = (3, 35)  # knows RETURNING

T = TypeVar("T")


class SqliteStore(SqlStore):
    """`path`: made when it is not there; its folder has to be."""

    def __init__(
        self, path: Path | str, limits: Limits | None = None, migrations: Sequence[Migration] | None = None
    ) -> None:
        super().__init__(limits or Limits())
        self._path = Path(path)
        self._migrations = migrations if migrations is not None else shipped()
        self._worker: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None  # the worker's

    async def open(self) -> None:
        if self._worker is None:
            self._worker = ThreadPoolExecutor(1, "store")
            try:
                self._connection = await self._in_worker(self._connect)
            except BaseException:
                await self.close()
                raise

    async def close(self) -> None:
        worker, connection = self._worker, self._connection
        self._worker = self._connection = None
        if worker is not None:
            if connection is not None:
                await asyncio.get_running_loop().run_in_executor(worker, connection.close)
            worker.shutdown()

    async def backup(self, path: str) -> None:
        """While others write. The copy is there whole or not at all; one that is there already is not overwritten."""
        await asyncio.to_thread(self._backup, Path(path))

    async def _read(self, transaction: Callable[[], Steps[T]]) -> T:
        return await self._in_worker(lambda: self._run("BEGIN", transaction))

    async def _write(self, transaction: Callable[[], Steps[T]]) -> T:
        return await self._in_worker(lambda: self._run("BEGIN IMMEDIATE", transaction))

    async def _in_worker(self, job: Callable[[], T]) -> T:
        if self._worker is None:
            raise StoreError(f"{self._path} is not open.")
        return await asyncio.get_running_loop().run_in_executor(self._worker, job)

    # ------------------------------------------------------------------ in the worker

    def _run(self, begin: str, transaction: Callable[[], Steps[T]]) -> T:
        assert self._connection is not None
        return _run(self._connection, begin, transaction, self._path)

    def _connect(self) -> sqlite3.Connection:
        if sqlite3.sqlite_version_info < OLDEST:
            raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old: 3.35 or newer is needed.")
        try:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise StoreError(f"{self._path} cannot be opened: {error.strerror}. Make its folder, or the file, one that "
                             f"this user may write to.") from None  # fmt: skip
        with _clear_errors(self._path):
            connection = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None)
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreError(f"{self._path} is on a file system without shared memory: put it on a local disk.")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        (sound,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if sound != "ok":
            raise sqlite3.DatabaseError(sound)
        _run(connection, "BEGIN IMMEDIATE", lambda: self._migrate(connection), self._path)

    def _migrate(self, connection: sqlite3.Connection) -> Steps[int]:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and VERSION_TABLE not in tables:
            raise StoreError(f"{self._path} is another program's database: name a file of its own.")
        return (yield from migrate(bool(tables), self._migrations, str(self._path)))

    def _backup(self, target: Path) -> None:
        part = target.with_name(target.name + ".part")
        if target.exists():
            raise StoreError(f"{target} is there already: name another file.")
        try:
            with contextlib.suppress(FileNotFoundError):
                part.unlink()
            os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            with _clear_errors(self._path), _connected(self._path) as source, _connected(part) as copy:
                source.backup(copy)  # in one step: a snapshot, and no writer waits for it
                copy.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
            _synced(part)
            part.rename(target)
            _synced(target.parent)
        except OSError as error:
            raise StoreError(f"{target} cannot be written: {error.strerror}.") from None
        finally:
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    uri = f"{path.absolute().as_uri()}?mode=rw"  # never makes a file
    with contextlib.closing(sqlite3.connect(uri, timeout=BUSY_S, isolation_level=None, uri=True)) as connection:
        yield connection


def _synced(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _run(connection: sqlite3.Connection, begin: str, transaction: Callable[[], Steps[T]], path: Path) -> T:
    with _clear_errors(path):
        connection.execute(begin)
        try:
            result = _steps(connection, transaction())
            connection.execute("COMMIT")
            return result
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _steps(connection: sqlite3.Connection, steps: Steps[T]) -> T:
    try:
        statement, values = next(steps)
        while True:
            statement, values = steps.send(connection.execute(statement, values).fetchall())
    except StopIteration as end:
        result: T = end.value
        return result


@contextlib.contextmanager
def _clear_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(_in_words(error, path)) from error
    except (ValueError, ArithmeticError) as error:
        raise StoreError(f"{path}: {UNREADABLE} ({error}).") from error


def _in_words(error: sqlite3.Error, path: Path) -> str:
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if code is not None else sqlite3.SQLITE_CORRUPT  # the check's own words carry no code
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return (f"{path} is damaged ({error}). Stop the service, move the file and those beside it (-wal, -shm) out of "
                f"the way, and put the newest backup in its place.")  # fmt: skip
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"{path} is in use by another program: nothing was changed; try again when that one is done."
    if primary == sqlite3.SQLITE_FULL:
        return f"{path}: the disk is full: nothing was changed; make room and try again."
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return f"{path} cannot be written ({error}): make it and its folder this user's."
    return f"{path}: {error}; nothing was changed."
