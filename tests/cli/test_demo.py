"""`hub demo`: works by itself, in EXI, judges itself, leaves nothing behind."""

from __future__ import annotations

import datetime as dt
import io
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

from rich.console import Console

from devices.base import ValueType
from hub.cli import show
from hub.cli.demo import _screen
from hub.demo.run import Demo
from hub.things.model import Answer, Field, NodeRef, Reading
from tests.cli.conftest import PATIENCE_S, ROOT

DEMO = [sys.executable, "-m", "hub", "demo"]
SENTENCE = re.compile(
    r"EXI on the node's link: ([\d,]+) stanzas in ([\d,]+) bytes; as XML ([\d,]+) \((\d+)%\); "
    r"newest reading: (\w+), \d values?: (\d+) bytes; as XML (\d+)\n"
)
IN_PLAIN_XML = """
from hub.cli import main
from hub.demo.run import Demo
told = Demo._config
Demo._config = lambda self, passwords: told(self, passwords).replace('exi = "require"', 'exi = "off"')
main(["demo", "--seconds", "3"])
"""
WITHOUT_PORT = """
from hub.cli import main
from hub.demo import dashboard
dashboard.free_port = lambda: PORT
main(["demo", "--seconds", "3"])
"""
WITHOUT_PACKAGES = """
from hub.cli import main
from hub.demo import dashboard
dashboard.PACKAGES = ("nicegui", "a package that nobody has")
main(["demo", "--seconds", "3"])
"""


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
    assert "the page: fetched, and the node is on it\n" in ran.stdout and "The page: http://127.0.0.1:" in ran.stdout
    told = SENTENCE.search(ran.stdout)
    assert told is not None, ran.stdout
    stanzas, exi, xml, percent = (int(number.replace(",", "")) for number in told.groups()[:4])
    assert stanzas > 50 and percent == round(100 * exi / xml) < 25, told[0]
    assert told[5] in ("air", "light", "solar", "soil", "pump", "fan", "lamp") and 5 * int(told[6]) < int(told[7])


def test_in_plain_xml_there_is_no_gateway(tmp_path: Path) -> None:
    ran = subprocess.run([*DEMO, "--xml", "--no-dashboard", "--seconds", "3"], capture_output=True, text=True,
                         timeout=PATIENCE_S, env=environment(tmp_path), check=False)  # fmt: skip
    assert ran.returncode == 0, ran
    assert re.search(r"readings received over XMPP: [1-9]", ran.stdout)
    assert "The page:" not in ran.stdout and "the page:" not in ran.stdout
    assert "EXI" not in ran.stdout and len(addresses(ran.stdout)) == 1
    assert list(tmp_path.iterdir()) == [] and still_running(tmp_path) == []


def test_readings_that_come_in_plain_xml_are_no_success(tmp_path: Path) -> None:
    """The gateway lets plain XML through, so that everything works, and yet is not what was to be shown."""
    ran = subprocess.run([sys.executable, "-c", IN_PLAIN_XML], capture_output=True, text=True, timeout=PATIENCE_S,
                         env=environment(tmp_path), check=False)  # fmt: skip
    assert ran.returncode == 1, ran
    assert "EXI was not spoken: no reading has left the node in it\n" in ran.stdout
    assert re.search(r"readings received over XMPP: [1-9]\d*; command round trip: pump on, read back, off", ran.stdout)


def test_a_page_that_does_not_come_is_no_success(tmp_path: Path) -> None:
    """Its port is somebody else's."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        program = WITHOUT_PORT.replace("PORT", str(taken.getsockname()[1]))
        ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE_S,
                             env=environment(tmp_path), check=False)  # fmt: skip
    assert ran.returncode == 1, ran
    assert re.search(r"the page: .*another program listens", ran.stdout), ran.stdout
    assert list(tmp_path.iterdir()) == [] and still_running(tmp_path) == []


def test_without_its_packages_there_is_no_page_and_it_is_said(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", WITHOUT_PACKAGES], capture_output=True, text=True, timeout=PATIENCE_S,
                         env=environment(tmp_path), check=False)  # fmt: skip
    assert ran.returncode == 0, ran
    assert "There is a page too, with `pip install '.[dashboard]'`." in ran.stdout and "the page:" not in ran.stdout


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
        assert re.search(r"the node's link: \d+ stanzas, [\d.]+ k?B in EXI; as XML [\d.]+ kB \(\d+%\)", screen), screen
        assert re.search(r"newest reading:  \w+, \d values?: \d+ bytes; as XML \d+", screen), screen
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
        last = drain(master, demo)
        os.close(master)
    assert demo.returncode == 0 and "EXI on the node's link: " in last
    assert list(tmp_path.iterdir()) == [] and still_running(tmp_path) == []


def test_it_fits_an_old_terminal() -> None:
    """17 values, as the demo has them, in 80 columns and 24 lines: nothing is cut off, and there is a way to go on."""
    running = Demo(lambda answer: None, lambda: None)
    try:
        now = dt.datetime.now(dt.UTC)
        fields = tuple(Field(f"field{number}", Decimal(number), ValueType.NUMERIC, unit="lx") for number in range(17))
        view = show.LiveView()
        view.take(Answer("1", (Reading(NodeRef("light"), now, fields),)))
        shown = {height: on_screen(view, running, height) for height in (24, 60)}
    finally:
        shutil.rmtree(running.folder)
    assert shown[24].count("\n") <= 24 and shown[60].count("\n") > 24
    assert all("the node's link: " in text and "pump.output=on" in text for text in shown.values())


def on_screen(view: show.LiveView, running: Demo, height: int) -> str:
    console = Console(file=io.StringIO(), width=80, height=height, markup=False, highlight=False)
    with console.capture() as captured:
        console.print(_screen(console, view, running))
    return captured.get()


def test_killed_it_leaves_no_server_behind(tmp_path: Path) -> None:
    demo = subprocess.Popen(DEMO, stdout=subprocess.PIPE, text=True, env=environment(tmp_path))
    assert demo.stdout is not None
    said = demo.stdout.readline()
    assert "is online" in said and still_running(tmp_path)
    listening = addresses(said)  # the gateway and the server
    assert len(listening) == 2 and all(map(answers, listening))
    demo.kill()
    demo.wait(PATIENCE_S)
    demo.stdout.close()
    deadline = time.monotonic() + PATIENCE_S
    while still_running(tmp_path):
        assert time.monotonic() < deadline, still_running(tmp_path)
        time.sleep(0.02)
    assert not any(map(answers, listening))


def addresses(text: str) -> list[tuple[str, int]]:
    return [("127.0.0.1", int(port)) for port in re.findall(r"127\.0\.0\.1:(\d+)", text)]


def answers(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, 1).close()
    except OSError:
        return False
    return True


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


def drain(master: int, demo: subprocess.Popen[bytes]) -> str:
    """Keep reading, so that the program is not held up by a full terminal, until it has ended; what it has shown."""
    shown = b""
    deadline = time.monotonic() + PATIENCE_S
    while demo.poll() is None and time.monotonic() < deadline:
        if select.select([master], [], [], 0.05)[0]:
            try:
                shown += os.read(master, 65536)
            except OSError:  # the other end has closed
                break
    demo.wait(PATIENCE_S)
    while select.select([master], [], [], 0)[0]:
        try:
            shown += os.read(master, 65536)
        except OSError:
            break
    return shown.decode(errors="replace")
