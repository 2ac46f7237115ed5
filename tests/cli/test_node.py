"""`hub node` as systemd sees it: signals, notifications, exit codes, pins."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hub.demo.prosody import end_with_parent
from tests.cli.conftest import PATIENCE_S, ROOT

CONFIG = """
[xmpp]
jid = "greenhouse@localhost"
password_file = "{folder}/password"
server = "127.0.0.1:9"
[node]
state_dir = "{folder}/state"
[things.pump]
driver = "relay"
pin = 17
boot = "on"
"""


class Running:
    """A node with no server in reach, whose pump is on, and systemd's end of its notifications."""

    def __init__(self, folder: Path, environment: dict[str, str] | None = None) -> None:
        self.folder = folder
        (folder / "password").write_text("secret")
        (folder / "hub.toml").write_text(CONFIG.format(folder=folder))
        self.notified = ""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(folder / "notify"))
        self._socket.settimeout(0.05)
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hub", "node", "--simulate", "--config", "hub.toml", "--pin-trace", "pins"],
                cwd=folder, stderr=log, preexec_fn=end_with_parent,
                env={**os.environ, "PYTHONPATH": str(ROOT), "NOTIFY_SOCKET": str(folder / "notify"),
                     **(environment or {})},
            )  # fmt: skip
        self.until(lambda: self.level() == 1, "the pump is on")

    def level(self) -> float | None:
        file = self.folder / "pins"
        return float(file.read_text().split()[-1]) if file.exists() and file.read_text() else None

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def until(self, reached: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not reached():
            assert time.monotonic() < deadline, f"never: {what}\n{self.log()}"
            try:
                self.notified += self._socket.recv(4096).decode() + "\n"
            except TimeoutError:
                continue

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_S)
        self._socket.close()
        return code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_stop_drives_the_outputs_to_their_safe_states(tmp_path: Path, number: signal.Signals) -> None:
    running = Running(tmp_path)
    assert running.end(number) == 0
    assert running.level() == 0
    assert "pump: driven to its safe state: it is being stopped" in running.log()


def test_an_abort_does_so_too_without_the_loop(tmp_path: Path) -> None:
    running = Running(tmp_path)
    assert running.end(signal.SIGABRT) == 128 + signal.SIGABRT
    assert running.level() == 0
    assert "Current thread" in running.log()  # where it hung


def test_systemd_is_told_how_it_goes(tmp_path: Path) -> None:
    running = Running(tmp_path, {"WATCHDOG_USEC": "200000"})
    running.until(lambda: "READY=1" in running.notified and running.notified.count("WATCHDOG=1") >= 3, "signs of life")
    (tmp_path / "hub.toml").write_text("[xmpp")
    running.process.send_signal(signal.SIGHUP)
    running.until(lambda: "RELOADING=1" in running.notified and running.notified.count("READY=1") == 2, "reloaded")
    assert "the configuration was NOT reloaded, the old one goes on" in running.log()
    assert running.level() == 1
    assert running.end(signal.SIGTERM) == 0


def test_it_says_once_that_there_is_no_server_and_goes_on(tmp_path: Path) -> None:
    running = Running(tmp_path)
    running.until(lambda: "no link: the server cannot be reached" in running.log(), "said")
    assert running.level() == 1
    assert running.end(signal.SIGTERM) == 0
    assert running.log().count("no link") == 1


def test_a_missing_password_is_said_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text(CONFIG.format(folder=tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "hub", "node", "--simulate", "--config", "hub.toml"], cwd=tmp_path, check=False,
        capture_output=True, text=True, timeout=PATIENCE_S, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 3
    assert f"{tmp_path}/password" in done.stderr.splitlines()[-1]
