"""`hub demo`: works by itself, judges itself, leaves nothing behind."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.cli.conftest import PATIENCE_S, ROOT

DEMO = [sys.executable, "-m", "hub", "demo"]


def environment(temporary: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)}


def still_running(folder: Path) -> list[str]:
    """Processes whose command line names `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().decode().replace("\0", " ")
            except OSError:
                continue
            if str(folder) in line:
                found.append(line)
    return found


def test_ends_by_itself_with_the_verdict(tmp_path: Path) -> None:
    ran = subprocess.run([*DEMO, "--seconds", "4"], capture_output=True, text=True, timeout=PATIENCE_S,
                         env=environment(tmp_path), check=False)  # fmt: skip
    assert ran.returncode == 0, ran
    assert re.search(r"readings received over XMPP: [1-9]\d*; command round trip: pump on, read back, off", ran.stdout)
    assert "set greenhouse@localhost pump.output=on" in ran.stdout
    assert list(tmp_path.iterdir()) == [] and still_running(tmp_path) == []


def test_without_a_server_program_it_says_what_to_install(tmp_path: Path) -> None:
    ran = subprocess.run([*DEMO, "--seconds", "4"], capture_output=True, text=True, timeout=PATIENCE_S,
                         env={**environment(tmp_path), "PATH": str(tmp_path)}, check=False)  # fmt: skip
    assert ran.returncode == 1
    assert ran.stderr == "hub: Prosody is not installed: `sudo apt-get install prosody`\n"


def test_draws_a_live_view_until_ctrl_c(tmp_path: Path) -> None:
    """In a terminal; the commands it prints work from a second one."""
    master, slave = pty.openpty()
    terminal = {**environment(tmp_path), "TERM": "xterm", "COLUMNS": "120", "LINES": "60"}
    demo = subprocess.Popen(DEMO, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env=terminal)
    os.close(slave)
    try:
        screen = read_until(master, lambda text: "°C" in text and "▁" in text and "Ctrl-C" in text)
        account = re.search(r"HUB_ACCOUNT=(\S+)", screen)
        assert account is not None
        ran = subprocess.run(
            [sys.executable, "-m", "hub", "set", "greenhouse@localhost", "pump.output=on"], capture_output=True,
            text=True, timeout=PATIENCE_S, env={**environment(tmp_path), "HUB_ACCOUNT": account[1]}, check=False,
        )  # fmt: skip
        assert ran.returncode == 0 and "true" in ran.stdout, ran
        read_until(master, lambda text: bool(re.search(r"pump\s+output\s+true", text)))
    finally:
        demo.send_signal(signal.SIGINT)
        drain(master, demo)
        os.close(master)
    assert demo.returncode == 0
    assert list(tmp_path.iterdir()) == [] and still_running(tmp_path) == []


def test_killed_it_leaves_no_server_behind(tmp_path: Path) -> None:
    demo = subprocess.Popen(DEMO, stdout=subprocess.PIPE, text=True, env=environment(tmp_path))
    assert demo.stdout is not None
    assert "is online" in demo.stdout.readline()
    assert still_running(tmp_path)
    demo.kill()
    demo.wait(PATIENCE_S)
    demo.stdout.close()
    deadline = time.monotonic() + PATIENCE_S
    while still_running(tmp_path):
        assert time.monotonic() < deadline, still_running(tmp_path)
        time.sleep(0.02)


def read_until(master: int, reached: object) -> str:
    """What the terminal has shown, without its control sequences, once `reached` says yes."""
    shown = ""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.2)[0]:
            shown += os.read(master, 65536).decode(errors="replace")
        if reached(plain := re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)):  # type: ignore[operator]
            return plain
    raise AssertionError(f"not shown within {PATIENCE_S:g} s; shown was {shown[-2000:]!r}")


def drain(master: int, demo: subprocess.Popen[bytes]) -> None:
    """Keep reading, so that the program is not held up by a full terminal, until it has ended."""
    deadline = time.monotonic() + PATIENCE_S
    while demo.poll() is None and time.monotonic() < deadline:
        if select.select([master], [], [], 0.05)[0]:
            try:
                os.read(master, 65536)
            except OSError:  # the other end has closed
                break
    demo.wait(PATIENCE_S)
