"""`hub gateway` as an operator and systemd see it: options, files, signals, exit codes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.demo.prosody import end_with_parent, free_port
from tests.cli.conftest import ROOT
from tests.e2e.raw import STREAM
from tests.e2e.world import World
from tests.gateway.client import ExiClient
from tests.helpers import until

PING = "<ping xmlns='urn:xmpp:ping'/>"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("prosody")) as made:
        yield made.populate("owner")


def config_of(world: World, port: int, more: str = "") -> str:
    folder = world.folder
    return f"""
[gateway]
listen = ["127.0.0.1:{port}"]
{more}
[gateway.domains.localhost]
certificate = "{folder}/cert.pem"
key = "{folder}/key.pem"
server = "{world.address}"
ca_file = "{world.ca_file}"
"""


class Running:
    """A gateway as a process, and systemd's end of its notifications."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.notified = ""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(folder / "notify"))
        self._socket.setblocking(False)
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hub", "gateway", *arguments], cwd=folder, stderr=log,
                preexec_fn=end_with_parent,
                env={**os.environ, "PYTHONPATH": str(ROOT), "NOTIFY_SOCKET": str(folder / "notify"),
                     "STATE_DIRECTORY": str(folder / "state")},
            )  # fmt: skip

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._socket.close()

    def heard(self, what: str) -> bool:
        while True:
            try:
                self.notified += self._socket.recv(4096).decode() + "\n"
            except BlockingIOError:
                return what in self.notified

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def ended(self) -> bool:
        return self.process.poll() is not None


async def test_from_the_first_to_the_last(world: World, tmp_path: Path) -> None:
    port = free_port()
    file = tmp_path / "gateway.toml"
    file.write_text(config_of(world, port))
    with Running(tmp_path, "gateway.toml") as running:
        await until(lambda: running.heard("READY=1\nSTATUS=0 connections"), "it is ready")
        client = ExiClient("127.0.0.1", port, world.ca_file, "owner@localhost", world.passwords["owner"])
        async with client:
            assert (await client.ask("localhost", "get", PING)).get("type") == "result"
            running.process.send_signal(signal.SIGUSR1)
            await until(lambda: "1 connections, 1 in EXI" in running.log(), "the figures")

            file.write_text(config_of(world, port).replace("cert.pem", "gone.pem"))
            running.process.send_signal(signal.SIGHUP)
            await until(lambda: "nothing was read again" in running.log(), "it refuses")
            file.write_text("[gateway]")
            running.process.send_signal(signal.SIGHUP)
            await until(lambda: "at least one table" in running.log(), "it refuses")
            file.write_text(config_of(world, port))
            running.process.send_signal(signal.SIGHUP)
            await until(lambda: "were read again" in running.log(), "it reloads")
            assert running.heard("RELOADING=1")
            assert (await client.ask("localhost", "get", PING)).get("type") == "result"

            running.process.send_signal(signal.SIGTERM)
            error = await client.take(lambda stanza: stanza.tag == f"{STREAM}error", "the goodbye")
            assert error[0].tag.endswith("}system-shutdown")
            await until(running.ended, "it has ended")
        assert running.process.returncode == 0
        assert running.heard("STOPPING=1")
    assert (tmp_path / "state").is_dir()


async def test_options_alone(world: World, tmp_path: Path) -> None:
    port, binary = free_port(), free_port()
    with Running(
        tmp_path, "--listen", f"127.0.0.1:{port}", "--exi-listen", f"127.0.0.1:{binary}", "--domain", "localhost",
        "--server", str(world.address), "--certificate", str(world.folder / "cert.pem"),
        "--key", str(world.folder / "key.pem"), "--ca-file", str(world.ca_file), "--store", str(tmp_path / "kept"),
    ) as running:  # fmt: skip
        await until(lambda: running.heard("READY=1"), "it is ready")
        assert f"port {binary}: TLS, then EXI" in running.log()
        async with ExiClient("127.0.0.1", port, world.ca_file, "owner@localhost", world.passwords["owner"]) as client:
            assert (await client.ask("localhost", "get", PING)).get("type") == "result"
    assert (tmp_path / "kept").is_dir()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 1, "at least one table"),
        (["--server", "localhost:5222"], 2, "belong to a --domain"),
        (["--domain", "example.org"], 1, "gateway.domains.example.org.certificate"),
        (["--domain", "localhost", "--server", "x:1", "--certificate", "/no", "--key", "/no"], 3, "no certificate"),
        (["nowhere.toml"], 1, "nowhere.toml"),
        (["--listen"], 2, "--listen"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_an_exit_code(
    arguments: list[str], code: int, said: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hub", "gateway", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60,
        check=False, env={**os.environ, "PYTHONPATH": str(ROOT), "STATE_DIRECTORY": str(tmp_path / "state")},
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert said in done.stderr and "Traceback" not in done.stderr


def test_an_address_that_is_taken(world: World, tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(config_of(world, world.address.port))
    done = subprocess.run(
        [sys.executable, "-m", "hub", "gateway", str(file)], cwd=tmp_path, capture_output=True, text=True, timeout=60,
        check=False, env={**os.environ, "PYTHONPATH": str(ROOT), "STATE_DIRECTORY": str(tmp_path / "state")},
    )  # fmt: skip
    assert done.returncode == 3 and "cannot be listened on" in done.stderr


def test_hub_check_knows_a_gateways_file(world: World, tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    for text, code, said in (
        (config_of(world, 5222), 0, "good: a gateway for localhost"),
        (config_of(world, 5222, "stanza_size = 1"), 1, "gateway.stanza_size"),
    ):
        file.write_text(text)
        done = subprocess.run(
            [sys.executable, "-m", "hub", "check", str(file)], capture_output=True, text=True, timeout=60, check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == code and said in done.stdout
