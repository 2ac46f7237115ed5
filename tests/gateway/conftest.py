"""A gateway in this process in front of a real server, and clients that come through it; and a store to ask directly,
with the sets of the samples compiled once for the whole run."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from hub.gateway.bounds import Bounds
from hub.gateway.domains import Domain, Domains
from hub.gateway.figures import Figures
from hub.gateway.limits import Limits
from hub.gateway.negotiation import Negotiator
from hub.gateway.product import built_in, default_grammars
from hub.gateway.server import Gateway
from hub.gateway.shared import Port, Shared
from hub.gateway.store import Store
from hub.session.exi_setup import Settings
from tests.e2e.raw import RawClient
from tests.e2e.world import World
from tests.ejabberd import Ejabberd
from tests.gateway.samples import HOUSE, HOUSE_FILE, ROOM, ROOM_FILE

from .client import BinaryClient, ExiClient

# Where the library is not installed that shows the figures, its tests do not exist.
collect_ignore = [] if find_spec("prometheus_client") else ["test_metrics.py"]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Shared: nothing is left behind on it."""
    with World(tmp_path_factory.mktemp("prosody")) as world:
        yield world.populate("owner", "reader")


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[World]:
    """A server for one test: it may be stopped, frozen and written to."""
    with World(tmp_path / "prosody") as world:
        yield world.populate("owner", "reader")


@dataclass
class Running:
    """A gateway and whom it stands in front of."""

    gateway: Gateway
    world: World | Ejabberd
    store: Store
    folder: Path
    host: str = "127.0.0.1"

    @property
    def figures(self) -> Figures:
        return self.gateway.shared.figures

    @property
    def port(self) -> int:
        return self.port_of(Port.ORDINARY)

    def port_of(self, port: Port) -> int:
        return self.gateway.addresses[port][0][1]

    def plain(self, user: str = "owner", resource: str = "raw") -> RawClient:
        """A client that has never heard of EXI."""
        world = self.world
        return RawClient(self.host, self.port, world.ca_file, f"{user}@localhost", world.passwords[user], resource)

    def binary(self, user: str = "owner", clear: bool = False, **more: Any) -> BinaryClient:
        world = self.world
        port = self.port_of(Port.BINARY_IN_THE_CLEAR if clear else Port.BINARY)
        return BinaryClient(
            self.host, port, world.ca_file, f"{user}@localhost", world.passwords[user], clear=clear, **more
        )

    def client(self, user: str = "owner", **more: Any) -> ExiClient:
        world = self.world
        return ExiClient(
            self.host, self.port, world.ca_file, f"{user}@localhost", world.passwords[user], **more
        )  # fmt: skip


def domain_of(world: World | Ejabberd, **changes: Any) -> Domain:
    made = Domain(name="localhost", certificate=world.folder / "cert.pem", key=world.folder / "key.pem",
                  server=(world.address.host, world.address.port), ca_file=world.ca_file)  # fmt: skip
    return replace(made, **changes)


@contextlib.asynccontextmanager
async def gateway_for(
    world: World | Ejabberd, folder: Path, limits: Limits | None = None, bounds: Bounds | None = None, *,
    listen: str = "127.0.0.1", host: str = "", **domain: Any,
) -> AsyncIterator[Running]:  # fmt: skip
    """`host`: where its clients go, when that is not where it listens."""
    limits = limits or Limits()
    bounds = replace(bounds or Bounds(), limits=limits.exi(limits.stanza_size))
    store = Store(folder / "store", bounds, built_in())
    shared = Shared(
        Domains([domain_of(world, **domain)]), limits, Figures(), lambda: Negotiator(store, bounds),
        default_grammars=default_grammars(), recall=store.recall,
    )  # fmt: skip
    gateway = Gateway(shared, {port: [(listen, 0)] for port in Port})
    await gateway.start()
    try:
        yield Running(gateway, world, store, folder, host or listen)
    finally:
        await gateway.drain()
        await store.close()


@pytest.fixture(scope="session")
def store_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared, so that sets are compiled once."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
async def running(server: World, store_folder: Path) -> AsyncIterator[Running]:
    async with gateway_for(server, store_folder) as made:
        yield made


@pytest.fixture
async def fresh(server: World, tmp_path: Path) -> AsyncIterator[Running]:
    """With a store that knows nothing."""
    async with gateway_for(server, tmp_path) as made:
        yield made


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
