"""The two engines under the stores: a place for one store each, and a way in beside it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import psycopg

from hub.provisioning.migrations import Migration
from hub.provisioning.postgres import PostgresStore
from hub.provisioning.sql import Limits
from hub.provisioning.sqlite import SqliteStore
from hub.provisioning.sqlstore import SqlStore
from tests.postgres import Postgres

SAVED = Path(__file__).parent / "saved"


class Engine(Protocol):
    where: str

    def store(self, limits: Limits | None = None, migrations: Sequence[Migration] | None = None) -> SqlStore: ...
    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Past the store."""
        ...

    def load(self, version: int) -> None:
        """The database that was saved with this version of the schema."""
        ...


class OnSqlite:
    def __init__(self, path: Path) -> None:
        self.where = str(path)

    def store(self, limits: Limits | None = None, migrations: Sequence[Migration] | None = None) -> SqlStore:
        return SqliteStore(self.where, limits, migrations)

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self.where, isolation_level=None)
        try:
            return connection.execute(statement).fetchall()
        finally:
            connection.close()

    def load(self, version: int) -> None:
        shutil.copy(SAVED / f"version-{version}.sqlite", self.where)


class OnPostgres:
    def __init__(self, server: Postgres, where: str) -> None:
        self.server = server
        self.where = where

    def store(self, limits: Limits | None = None, migrations: Sequence[Migration] | None = None) -> SqlStore:
        return PostgresStore(self.where, limits, migrations)

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.where, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description is not None else []

    def load(self, version: int) -> None:
        """Into a database of its own: a dump names its schema."""
        self.where = self.server.database()
        self.execute((SAVED / f"version-{version}.postgres").read_text(encoding="utf-8"))
