"""The stores under test, each on a real engine; one PostgreSQL server serves them all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from hub.provisioning.sql import Limits
from hub.provisioning.sqlstore import SqlStore
from tests.postgres import Postgres

from .engines import Engine, OnPostgres, OnSqlite

LIMITS = Limits(tags_per_thing=8, things_per_jid=5, rules_per_owner=4, asked_per_device=3)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    if request.param == "sqlite":
        return OnSqlite(tmp_path / "store.sqlite")
    server = request.getfixturevalue("postgres")
    return OnPostgres(server, server.schema())


@pytest_asyncio.fixture
async def store(engine: Engine) -> AsyncIterator[SqlStore]:
    store = engine.store(LIMITS)
    await store.open()
    yield store
    await store.close()
