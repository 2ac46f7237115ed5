"""The store in PostgreSQL, for several instances of the service side by side.

Rules of this file
* Transactions that write take one lock of the database first, so they run one after the other in all instances, as in
  one SQLite file: nothing has to be tried again, and nobody sees half of anything.
* A transaction that reads sees one snapshot.
* Commits wait for the disk, whatever the server's default says. (A server with fsync=off is beyond us.)
* A lost connection is a StoreError for those who used it; the next one gets another.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final, TypeVar

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from hub.errors import StoreError
from hub.provisioning.migrations import VERSION_TABLE, Migration, migrate, shipped
from hub.provisioning.sql import UNREADABLE, Limits, Steps
from hub.provisioning.sqlstore import SqlStore

MAX_CONNECTIONS: Final = 8
CONNECT_S: Final = 10
WAIT_S: Final = 5.0  # for a connection of the pool
STATEMENT_MS: Final = 30_000
OLDEST: Final = 110_000  # PostgreSQL 11
WRITERS: Final = 0x6875625F70726F76  # "hub_prov": the lock of those who write

T = TypeVar("T")
Connection = psycopg.AsyncConnection[tuple[Any, ...]]


class PostgresStore(SqlStore):
    """`url`: as libpq takes it, like "postgresql://hub@db.example.org/provisioning"; the database has to be there. Its
    tables are made in the first schema of the connection's search path."""

    def __init__(
        self, url: str, limits: Limits | None = None, migrations: Sequence[Migration] | None = None
    ) -> None:
        super().__init__(limits or Limits())
        self._url = url
        self._migrations = migrations if migrations is not None else shipped()
        self._pool: AsyncConnectionPool[Connection] | None = None

    async def open(self) -> None:
        if self._pool is not None:
            return
        await self._bring_up_to_date()
        pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            self._url, kwargs=_OPTIONS, min_size=1, max_size=MAX_CONNECTIONS, open=False, timeout=WAIT_S,
            configure=_prepare, check=AsyncConnectionPool.check_connection,
            reconnect_timeout=0.0,  # one attempt per demand: backing off would go on after the server is back
        )  # fmt: skip
        try:
            await pool.open(wait=True, timeout=WAIT_S)
        except BaseException as error:
            await pool.close()
            if isinstance(error, psycopg.Error):
                raise StoreError(f"{_NOT_THERE}: {_said(error)}") from None
            raise
        self._pool = pool

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    async def backup(self, path: str) -> None:
        raise StoreError(
            "PostgreSQL is backed up by its own program: `pg_dump --format=custom --file=FILE URL` with the URL of "
            "the configuration, at any time; `pg_restore --clean --dbname=URL FILE` brings it back."
        )

    async def _read(self, transaction: Callable[[], Steps[T]]) -> T:
        async with self._connection(psycopg.IsolationLevel.REPEATABLE_READ) as connection:
            return await _steps(connection, transaction())

    async def _write(self, transaction: Callable[[], Steps[T]]) -> T:
        async with self._connection(psycopg.IsolationLevel.READ_COMMITTED) as connection:  # as of after the lock
            await _lock(connection)
            return await _steps(connection, transaction())

    @contextlib.asynccontextmanager
    async def _connection(self, isolation: psycopg.IsolationLevel) -> AsyncIterator[Connection]:
        """With a transaction begun: committed at the end, rolled back by an exception."""
        if self._pool is None:
            raise StoreError("The store is not open.")
        try:
            async with self._pool.connection() as connection:
                await connection.set_isolation_level(isolation)
                async with connection.transaction():
                    yield connection
        except (PoolTimeout, PoolClosed, psycopg.OperationalError) as error:
            raise StoreError(f"{_NOT_THERE}: {_said(error)}") from error
        except psycopg.Error as error:
            raise StoreError(f"The database refused: {_said(error)}; nothing was changed.") from error
        except (ValueError, ArithmeticError) as error:
            raise StoreError(f"{UNREADABLE} ({error}).") from error

    async def _bring_up_to_date(self) -> None:
        """By a connection of its own, whose errors say why; instances that start together wait for each other."""
        try:
            async with await Connection.connect(self._url, **_OPTIONS) as connection, connection.transaction():
                if connection.info.server_version < OLDEST:
                    raise StoreError("The database server is too old: PostgreSQL 11 or newer is needed.")
                await _check_encoding(connection)
                await _lock(connection)
                found = await connection.execute("SELECT to_regclass(%s) IS NOT NULL", (VERSION_TABLE,))
                there = await found.fetchone()
                steps = migrate(there == (True,), self._migrations, f"The database {connection.info.dbname}")
                await _steps(connection, steps, _own_words)
        except psycopg.OperationalError as error:
            raise StoreError(f"{_NOT_THERE}: {_said(error)}") from error
        except psycopg.Error as error:
            raise StoreError(f"The schema could not be made or brought up to date, and is as it was: {_said(error)}. "
                             f"May this user create tables here?") from error  # fmt: skip


_NOT_THERE: Final = "The database cannot be used: see that it runs, and that its URL, user and password are right"
_OPTIONS: Final[dict[str, Any]] = {
    "autocommit": True, "connect_timeout": CONNECT_S, "application_name": "hub provisioning",
}  # fmt: skip


async def _prepare(connection: Connection) -> None:
    await connection.execute(f"SET statement_timeout = {STATEMENT_MS}")
    await connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )


async def _check_encoding(connection: Connection) -> None:
    row = await (await connection.execute("SHOW server_encoding")).fetchone()
    if row != ("UTF8",):
        raise StoreError(f"The database's encoding is {row and row[0]}: create one with ENCODING 'UTF8'.")


async def _lock(connection: Connection) -> None:
    await connection.execute("SELECT pg_advisory_xact_lock(%s::bigint)", (WRITERS,))


def _own_words(statement: str) -> str:
    return re.sub(r"\bORDERED_TEXT\b", 'TEXT COLLATE "C"', statement)


async def _steps(connection: Connection, steps: Steps[T], reworded: Callable[[str], str] = str) -> T:
    try:
        statement, values = next(steps)
        while True:
            cursor = await connection.execute(reworded(statement).replace("?", "%s").encode(), values or None)
            rows = await cursor.fetchall() if cursor.description is not None else []
            statement, values = steps.send(list(rows))
    except StopIteration as end:
        result: T = end.value
        return result


def _said(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
