"""`hub dashboard` as a person runs it: its page, its errors, its end; `hub dashboard password`."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hub.config.file import parse_dashboard
from hub.dashboard.access import Access
from hub.dashboard.view import Visitor
from hub.demo.prosody import end_with_parent, free_port
from tests.cli.conftest import PATIENCE_S, ROOT, hub
from tests.dashboard.watching import text
from tests.e2e.world import World
from tests.helpers import wait_until

ENDS_WITHIN_S = 10  # far more than it takes: what it takes is measured in the benchmarks


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "server") as made:
        yield made.populate("owner")


@contextmanager
def dashboard(file: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    log = file.with_suffix(".log")
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "hub", "dashboard", "--config", str(file)], cwd=ROOT, stdin=subprocess.DEVNULL,
            stdout=out, stderr=out, preexec_fn=end_with_parent, env={**os.environ, "STATE_DIRECTORY": str(file.parent)},
        )  # fmt: skip
    try:
        yield process, log
    finally:
        process.kill()
        process.wait()


def configuration(world: World, folder: Path, port: int) -> Path:
    file = folder / "dashboard.toml"
    file.write_text(text(world, f'hubs = ["greenhouse@localhost"]\nlisten = "127.0.0.1:{port}"'))
    return file


def fetched(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            return str(answer.read().decode()) if answer.status == 200 else ""
    except OSError:
        return ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_a_page_and_ends_when_told(world: World, tmp_path: Path, number: signal.Signals) -> None:
    port = free_port()
    with dashboard(configuration(world, tmp_path, port)) as (process, log):
        wait_until(lambda: "greenhouse" in fetched(port), "the page shows its hub")
        wait_until(lambda: "online as owner@localhost/dashboard" in log.read_text(), "it is online")
        assert f"the page is at http://127.0.0.1:{port}/" in log.read_text()
        process.send_signal(number)
        assert process.wait(ENDS_WITHIN_S) == 0, log.read_text()
        assert "Traceback" not in log.read_text()


def test_it_opens_without_a_server_and_says_what_is_wrong(world: World, tmp_path: Path) -> None:
    world.stop()
    port = free_port()
    with dashboard(configuration(world, tmp_path, port)) as (process, log):
        wait_until(lambda: "cannot be reached" in fetched(port), "the page says it")
        process.send_signal(signal.SIGTERM)
        assert process.wait(ENDS_WITHIN_S) == 0, log.read_text()


def test_a_port_that_is_taken_is_said(world: World, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with dashboard(configuration(world, tmp_path, taken.getsockname()[1])) as (process, log):
            assert process.wait(PATIENCE_S) == 3
            assert "another program listens" in log.read_text() and "Traceback" not in log.read_text()


def test_a_broken_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('[xmpp]\njid = "a@b.c"\npassword_file = "/x"\n[dashboard]\nlisten = "[::]:80"\n')
    for arguments in (("check", str(tmp_path / "x.toml")), ("dashboard", "--config", str(tmp_path / "x.toml"))):
        ran = hub(*arguments)
        assert ran.code == 1 and "line 5: dashboard.listen: found '[::]:80'" in ran.out + ran.err


def test_a_password_that_cannot_be_read_is_no_link(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('[xmpp]\njid = "a@b.c"\npassword_file = "/nowhere"\n[dashboard]\n')
    ran = hub("dashboard", "--config", str(tmp_path / "x.toml"))
    assert ran.code == 3 and ran.err.startswith("hub: xmpp.password_file cannot be read")


def test_check_knows_what_it_is(tmp_path: Path) -> None:
    example = hub("check", "--dashboard-example")
    (tmp_path / "x.toml").write_text(example.out)
    ran = hub("check", str(tmp_path / "x.toml"))
    assert ran.code == 0
    assert "good: a dashboard for 1 hub, on 127.0.0.1:8080 for this machine only" in ran.out


async def test_a_hash_lets_its_user_in() -> None:
    ran = subprocess.run([sys.executable, "-m", "hub", "dashboard", "password"], input="correct horse\n", cwd=ROOT,
                         capture_output=True, text=True, timeout=PATIENCE_S, check=True)  # fmt: skip
    config = parse_dashboard(
        '[xmpp]\njid = "a@b.c"\npassword_file = "/x"\n[dashboard]\n'
        f'[dashboard.users.ann]\npassword_hash = "{ran.stdout.strip()}"\n'
    )
    door = Access(config.dashboard.users, False)
    assert await door.authenticate("ann", "correct horse", "") == Visitor("ann", False)


def test_a_short_password_is_refused() -> None:
    ran = subprocess.run([sys.executable, "-m", "hub", "dashboard", "password"], input="short\n", cwd=ROOT,
                         capture_output=True, text=True, timeout=PATIENCE_S, check=False)  # fmt: skip
    assert ran.returncode == 2 and "8 to 1000 characters" in ran.stderr and ran.stdout == ""


def test_at_a_terminal_it_asks_twice_and_shows_nothing() -> None:
    master, slave = pty.openpty()
    asking = subprocess.Popen([sys.executable, "-m", "hub", "dashboard", "password"], cwd=ROOT, stdin=slave,
                              stdout=subprocess.PIPE, stderr=slave, start_new_session=True)  # fmt: skip
    os.close(slave)
    said = ""
    try:
        for prompt in ("Password: ", "Again: "):
            deadline = time.monotonic() + PATIENCE_S
            while prompt not in said and time.monotonic() < deadline:
                said += os.read(master, 1000).decode()
            os.write(master, b"correct horse\n")
        out, _ = asking.communicate(timeout=PATIENCE_S)
    finally:
        asking.kill()
        os.close(master)
    assert out.startswith(b"$argon2id$v=19$") and "correct" not in said
