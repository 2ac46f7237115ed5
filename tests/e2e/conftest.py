"""One server for all tests that leave nothing behind on it; those that do, or that stop it, take one of their own.

Every test that takes a server runs over each transport: the node in plain XML at Prosody, and in EXI through a gateway
in front of Prosody and of ejabberd.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .world import TRANSPORTS, EjabberdWorld, World, world_for


@pytest.fixture(scope="session", params=TRANSPORTS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World | EjabberdWorld]:
    """Shared: read-only use, no rosters, no telemetry looked at."""
    with world_for(request.param, tmp_path_factory.mktemp("server")) as world:
        yield world.populate("greenhouse", "owner", "reader", "stranger")


@pytest.fixture(params=["xml", "exi"])
def own_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World | EjabberdWorld]:
    """A server for one test: it may be stopped, frozen and written to. ON_EJABBERD makes it ejabberd too, whose start
    takes seconds."""
    with world_for(request.param, tmp_path / "server") as world:
        yield world.populate("greenhouse", "owner", "stranger")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes of this process reconnect at once."""
    monkeypatch.setattr("hub.session.link.FIRST_WAIT_S", 0.05)
    monkeypatch.setattr("hub.session.link.LAST_WAIT_S", 0.2)
