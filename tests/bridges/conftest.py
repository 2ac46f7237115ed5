"""A broker for each test, and a bridge that comes back at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mosquitto import Mosquitto


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as mosquitto:
        yield mosquitto


@pytest.fixture(params=["5", "3.1.1"])
def protocol(request: pytest.FixtureRequest) -> str:
    return f'protocol = "{request.param}"\n'


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.programs.node_mqtt.FIRST_WAIT_S", 0.05)
    monkeypatch.setattr("hub.programs.node_mqtt.LAST_WAIT_S", 0.2)
    monkeypatch.setattr("hub.things.sampler.FIRST_RETRY_S", 0.05)
    monkeypatch.setattr("hub.things.sampler.LAST_RETRY_S", 0.1)
