"""An SQLite file that must never stop the node: opened, checked, moved aside when it is broken.

Rules of this file
* Blocking; called from one thread at a time, off the event loop.
* A broken file is moved aside and said, and a new one begun. What a full, read-only or missing disk refuses is
  `DiskRefused`: whoever writes keeps what it has and tries again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

CHECKED_BYTES = 64 * 1024 * 1024  # a larger file is not read through at every start; what is broken in it shows later
QUIET_S = 3600.0
BUSY_S = 5.0  # somebody reads the file from outside
PARTS = ("", "-wal", "-shm")
BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT)


class DiskTrouble:
    """What is wrong with a disk: said when it begins and when it ends. What comes and goes is no news for an hour."""

    def __init__(self, begins: str, ends: str) -> None:
        self._begins, self._ends = begins, ends
        self._quiet_until = 0.0
        self.text = ""

    def __call__(self, text: str) -> None:
        """`text` empty: all is well."""
        if bool(text) != bool(self.text):
            now = time.monotonic()
            level = logging.DEBUG if now < self._quiet_until else logging.ERROR if text else logging.WARNING
            log.log(level, self._begins if text else self._ends, text or self.text)
            if not text and now >= self._quiet_until:
                self._quiet_until = now + QUIET_S
        self.text = text


class DiskRefused(Exception):
    """The file cannot be written or opened now. The text says why."""


class Database:
    """`schema` makes a new file. `page` is the size of a page in bytes, `cache` of the memory for pages. `readonly`:
    the file is another program's, and stays as it is."""

    def __init__(self, path: Path, schema: str, version: int, page: int = 4096, cache: int = 256 * 1024,
                 readonly: bool = False) -> None:  # fmt: skip
        self.path = path
        self._schema, self._version, self._page, self._cache = schema, version, page, cache
        self._readonly = readonly
        self._connection: sqlite3.Connection | None = None
        self.written = 0
        """Bytes handed to the disk by `transaction`, as the kernel counts them for the thread."""
        self.transactions = 0
        self.replaced = 0
        """How often a broken file was moved aside."""

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    def open(self) -> sqlite3.Connection:
        """Raises DiskRefused."""
        if self._connection is not None:
            return self._connection
        for attempt in (1, 2):
            try:
                if not self._readonly:
                    self.path.parent.mkdir(parents=True, exist_ok=True)
                self._connection = self._opened()
                return self._connection
            except OSError as error:
                raise DiskRefused(str(error)) from None
            except sqlite3.Error as error:
                if self._readonly or not is_broken(error) or attempt == 2:
                    raise DiskRefused(str(error)) from None
                self.move_aside(str(error))
        raise AssertionError

    def _opened(self) -> sqlite3.Connection:
        where = f"{self.path.absolute().as_uri()}?mode={'ro' if self._readonly else 'rwc'}"
        if self._readonly and os.statvfs(self.path).f_flag & os.ST_RDONLY:
            where += "&immutable=1"  # SQLite would want to write even to read a file in WAL mode
        connection = sqlite3.connect(where, timeout=BUSY_S, isolation_level=None, check_same_thread=False, uri=True)
        pragmas = [f"cache_size=-{self._cache // 1024}"]
        if not self._readonly:
            pragmas = [f"page_size={self._page}", "journal_mode=WAL", "synchronous=NORMAL", *pragmas]
        try:
            for pragma in pragmas:
                connection.execute(f"PRAGMA {pragma}").fetchall()
            (version,) = connection.execute("PRAGMA application_id").fetchone()
            if version not in (0, self._version):
                raise broken(f"it is of version {version}, which this program does not know")
            if self.path.stat().st_size <= CHECKED_BYTES:
                (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
                if found != "ok":
                    raise broken(found)
            if version == 0 and not self._readonly:
                connection.executescript(self._schema)
                connection.execute(f"PRAGMA application_id={self._version}")
        except BaseException:
            connection.close()
            raise
        return connection

    def move_aside(self, why: str) -> None:
        """Only the newest broken file is kept: a disk that breaks files must not be filled with them."""
        self.close()
        name = f"{self.path.name}.broken-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
        log.error("%s is broken (%s); moved aside as %s, a new one is begun", self.path, why, name)
        try:
            for old in self.path.parent.glob(f"{self.path.name}.broken-*"):
                old.unlink()
            for part in PARTS:
                with contextlib.suppress(FileNotFoundError):
                    Path(f"{self.path}{part}").replace(self.path.with_name(name + part))
        except OSError as error:
            raise DiskRefused(str(error)) from None
        self.replaced += 1

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Raises DiskRefused; after a broken file was found, a new one has been begun."""
        connection = self.open()
        try:
            yield connection
        except sqlite3.Error as error:
            self._failed(error)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing. Raises DiskRefused."""
        connection = self.open()
        before = _written()
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except BaseException as error:
            with contextlib.suppress(sqlite3.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                self._failed(error)
            raise
        finally:
            self.written += _written() - before
        self.transactions += 1

    def _failed(self, error: sqlite3.Error) -> None:
        if is_broken(error) and not self._readonly:
            self.move_aside(str(error))
        else:
            self.close()  # opened afresh the next time: the disk may be another one then
        raise DiskRefused(str(error)) from None


def is_broken(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in BROKEN


def broken(why: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(why)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _written() -> int:
    """Bytes that this thread has handed to `write` so far; 0 where the kernel does not say."""
    try:
        with open("/proc/thread-self/io", "rb") as file:  # noqa: PTH123  # twice in every transaction
            return int(file.read().split()[3])
    except (OSError, IndexError, ValueError):
        return 0
