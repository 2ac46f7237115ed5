"""The stores under test, each on a real engine; one PostgreSQL server serves them all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from hub.provisioning.postgres import PostgresStore
from hub.provisioning.sql import Limits
from hub.provisioning.sqlite import SqliteStore
from hub.provisioning.sqlstore import SqlStore
from tests.postgres import Postgres

LIMITS = Limits(tags_per_thing=8, things_per_jid=5, rules_per_owner=4, asked_per_device=3)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest_asyncio.fixture(params=["sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlStore]:
    store: SqlStore
    if request.param == "sqlite":
        store = SqliteStore(tmp_path / "store.sqlite", LIMITS)
    else:
        store = PostgresStore(request.getfixturevalue("postgres").schema(), LIMITS)
    await store.open()
    yield store
    await store.close()
