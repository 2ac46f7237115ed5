"""What is started, and how long it lives: Prosody, the hub, the yardstick, the asking client, mosquitto, mqtt-io."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from hub.demo.prosody import Prosody
from tests.benchmarks.measure import Child
from tests.benchmarks.mqtt import Broker

THINGS = [f"thing{number:02}" for number in range(1, 21)]
USERS = ("hub", "plain", "asker")
ONLINE = "online as"  # what the hub logs when it is

CONFIG = """\
[xmpp]
jid = "hub@localhost"
password_file = "{folder}/hub.password"
server = "{server}"
ca_file = "{ca_file}"
[access]
read = ["{readers}"]
[telemetry]
{telemetry}
[node]
state_dir = "{folder}/state"
"""
SAMPLED = '[things.{name}]\ndriver = "simulated"\ninterval = "1s"\n'
FAST = '[things.{name}]\ndriver = "simulated"\nkind = "counter"\ninterval = "50ms"\nchange = {{ value = 0 }}\n'
"""Twenty times a second is as often as a configuration may say; every new count is published."""

DEVICES = {"hub": "hub@localhost/hub", "plain": "plain@localhost/plain"}


class Bench:
    """`with Bench(code, mqtt_io) as bench:`; whatever it started is gone at the end. `code` is the folder in which
    the measured `hub` lies, `mqtt_io` an interpreter that has mqtt-io, or None."""

    def __init__(self, code: Path, mqtt_io: str | None) -> None:
        self._code = code
        self._mqtt_io = mqtt_io
        self.folder = Path(tempfile.mkdtemp(prefix="hub-bench-"))
        self.server = Prosody(folder=self.folder / "prosody")
        self._passwords: dict[str, str] = {}
        self._number = itertools.count(1)
        self._stack = contextlib.ExitStack()
        self._broker: Broker | None = None

    def __enter__(self) -> Bench:
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self._stack.callback(self.server.stop)
        try:
            self.server.start()
            for user in USERS:
                self._passwords[user] = self.server.register(user)
                (self.folder / f"{user}.password").write_text(self._passwords[user])
            if self._mqtt_io is not None:
                self._broker = Broker(self.folder, self.server.folder)
                self._stack.callback(self._broker.process.stop)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stack.close()

    # ------------------------------------------------------------------ what can be measured

    @contextlib.contextmanager
    def hub(self, fast: bool = False) -> Iterator[Child]:
        """`hub node` with twenty things; `fast`: all that it can publish, open to everybody."""
        config = self.folder / "hub.toml"
        config.write_text(
            CONFIG.format(
                folder=self.folder, server=self.server.address, ca_file=self.server.ca_file,
                readers="*" if fast else "asker@localhost", telemetry="backlog = 100000" if fast else "",
            )
            + "".join((FAST if fast else SAMPLED).format(name=name) for name in THINGS)
        )  # fmt: skip
        command = [sys.executable, "-m", "hub", "node", "--simulate", "--config", str(config)]
        with self._child(Child(command, self._log("hub"), cwd=self._code)) as child:
            yield child

    @contextlib.contextmanager
    def plain(self) -> Iterator[Child]:
        with self._child(Child.module("plain", self._log("plain"), things=THINGS, **self._account("plain"))) as child:
            yield child

    @contextlib.contextmanager
    def mqtt_io(self) -> Iterator[Child | None]:
        """None when there is none to measure."""
        if self._broker is None or self._mqtt_io is None:
            yield None
            return
        with self._child(self._broker.mqtt_io(self._mqtt_io, THINGS)) as child:
            yield child

    @contextlib.contextmanager
    def asker(self) -> Iterator[Child]:
        """The asking client, online."""
        with self._child(Child.module("client", self._log("asker"), **self._account("asker"))) as child:
            child.answer()
            yield child

    @contextlib.contextmanager
    def devices(self) -> Iterator[tuple[Child, Child, Child]]:
        """Hub, yardstick and asking client, all online; every thing of the hub has been read."""
        with self.hub() as hub, self.plain() as plain, self.asker() as asker:
            plain.answer()
            hub.wait_for_log(ONLINE)
            time.sleep(3)  # every thing is read once a second
            yield hub, plain, asker

    # ------------------------------------------------------------------ small things

    @contextlib.contextmanager
    def _child(self, child: Child) -> Iterator[Child]:
        try:
            yield child
        finally:
            child.stop()

    def _account(self, user: str) -> dict[str, Any]:
        address = self.server.address
        return {"jid": f"{user}@localhost/{user}", "password": self._passwords[user],
                "host": address.host, "port": address.port, "ca_file": str(self.server.ca_file)}  # fmt: skip

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}-{next(self._number)}.log"
