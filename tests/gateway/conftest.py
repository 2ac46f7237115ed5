"""A store for tests that ask it, with the sets of the samples compiled once for the whole run."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.gateway.bounds import Bounds
from hub.gateway.store import Store
from hub.session.exi_setup import Settings
from tests.gateway.samples import HOUSE, HOUSE_FILE, ROOM, ROOM_FILE


@pytest.fixture(scope="session")
def grammars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of compiled sets: the empty one, and those of rooms, and of rooms and houses."""
    folder = tmp_path_factory.mktemp("compiled")

    async def compile_them() -> None:
        store = Store(folder / "store", Bounds())
        await store.add(ROOM)
        await store.add(HOUSE)
        for files in ([], [ROOM_FILE], [ROOM_FILE, HOUSE_FILE]):
            await store.agree(Settings(), await store.known(files))
        await store.close()

    asyncio.run(compile_them())
    return folder / "store" / "grammars"


@pytest.fixture
async def store(tmp_path: Path, grammars: Path) -> AsyncIterator[Store]:
    shutil.copytree(grammars, tmp_path / "store" / "grammars")
    made = Store(tmp_path / "store", Bounds())
    yield made
    await made.close()
