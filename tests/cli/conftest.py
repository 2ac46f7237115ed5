"""A server, a node in its own process, and accounts: what a person at a terminal has before them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hub.demo.prosody import end_with_parent
from tests.e2e.world import World

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0

THINGS = """
[things.air]
driver = "bme280"
interval = "1s"
change = { temperature = 0.1 }
[things.pump]
driver = "relay"
pin = 17
label = "Pump"
[things.lamp]
driver = "simulated"
kind = "lamp"
[things.all]
driver = "simulated"
kind = "types"
[things.broken]
driver = "simulated"
fault = "error"
"""


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def hub(*arguments: str, account: Path | None = None, home: Path | None = None) -> Ran:
    """Run the command as a person would, without a terminal."""
    path = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "HUB_ACCOUNT": str(account or "")}
    if home is not None:
        environment |= {"HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-m", "hub", *arguments], capture_output=True, text=True, timeout=PATIENCE_S,
        env=environment, cwd=home, check=False,
    )  # fmt: skip
    return Ran(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class House:
    """The JID of a running node, and the account files of its owner and of a stranger."""

    jid: str
    owner: Path
    stranger: Path


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    with World(folder / "prosody") as world:
        world.populate("greenhouse", "owner", "stranger")
        (folder / "node.toml").write_text(world.text(THINGS, folder / "state", read='"owner@localhost"'))
        for user in ("owner", "stranger"):
            (folder / f"{user}.toml").write_text(world.text("", folder / "unused", user=user))
        with (folder / "node.log").open("wb") as log:
            node = subprocess.Popen(
                [sys.executable, "-m", "hub", "node", "--simulate", "--config", str(folder / "node.toml")],
                stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)}, preexec_fn=end_with_parent,
            )  # fmt: skip
        try:
            deadline = time.monotonic() + PATIENCE_S
            while "online as" not in (folder / "node.log").read_text():
                assert node.poll() is None and time.monotonic() < deadline, (folder / "node.log").read_text()
                time.sleep(0.05)
            yield House("greenhouse@localhost", folder / "owner.toml", folder / "stranger.toml")
        finally:
            node.send_signal(signal.SIGTERM)
            assert node.wait(PATIENCE_S) == 0
