"""The stores under test, each on a real engine; one PostgreSQL server serves them all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from hub.provisioning.sql import Limits
from hub.provisioning.sqlite import SqliteStore
from hub.provisioning.sqlstore import SqlStore

LIMITS = Limits(tags_per_thing=8, things_per_jid=5, rules_per_owner=4, asked_per_device=3)


@pytest_asyncio.fixture(params=["sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlStore]:
    store: SqlStore = SqliteStore(tmp_path / "store.sqlite", LIMITS)
    await store.open()
    yield store
    await store.close()
