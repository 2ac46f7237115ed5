"""Prosody and ejabberd with the service as their component; a store of its own for every test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.world import EjabberdWorld, World

from .house import SECRET, SERVICE, House, Server, serving

USERS = ("thing", "rack", "owner", "stranger", "reader")


@pytest.fixture(scope="session", params=["prosody", "ejabberd"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    components = {SERVICE: SECRET}
    made: Server = World(folder, components=components) if request.param == "prosody" else EjabberdWorld(
        folder, exi=False, components=components
    )  # fmt: skip
    with made as world:
        yield world.populate(*USERS)


@pytest_asyncio.fixture
async def house(server: Server, tmp_path: Path) -> AsyncIterator[House]:
    async with serving(server, tmp_path) as running:
        yield House(server, tmp_path, running)
