"""What the gateway's measurements run on: Prosody, `hub gateway` in front of it, and processes of clients."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hub.demo.prosody import Prosody, free_port
from tests.benchmarks.measure import Child

USER = "load"
CHECKOUT = Path(__file__).parents[2]

CONFIG = """\
[gateway]
listen = ["127.0.0.1:{port}"]
store = "{folder}/store"
connections = 10000
connections_per_address = 10000
[gateway.domains.localhost]
certificate = "{server.folder}/cert.pem"
key = "{server.folder}/key.pem"
server = "{server.address}"
ca_file = "{server.ca_file}"
"""


class Front:
    """`with Front(code) as front:`; whatever it started is gone at the end. `code`: the folder in which the measured
    `hub` lies, a checkout or the site-packages of an environment; the clients use it too."""

    def __init__(self, code: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hub-bench-"))
        self.server = Prosody(folder=self.folder / "prosody")
        self._stack = contextlib.ExitStack()
        self._password = ""
        here = self.folder / "path"
        here.mkdir()
        (here / "tests").symlink_to(CHECKOUT / "tests")  # these tests, with that code
        self._env = {"PYTHONPATH": os.pathsep.join((str(here), str(code)))}

    def __enter__(self) -> Front:
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self._stack.callback(self.server.stop)
        try:
            self.server.start()
            self._password = self.server.register(USER)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def gateway(self) -> Iterator[tuple[Child, int]]:
        """`hub gateway` with an empty store, and its port."""
        port = free_port()
        config = self.folder / "gateway.toml"
        shutil.rmtree(self.folder / "store", ignore_errors=True)
        config.write_text(CONFIG.format(port=port, folder=self.folder, server=self.server))
        log = self.folder / f"gateway-{port}.log"
        command = [sys.executable, "-m", "hub", "gateway", str(config)]
        child = Child(command, log, env=self._env, cwd=self.folder)
        try:
            child.wait_for_log("listening")
            yield child, port
        finally:
            child.stop()

    @contextlib.contextmanager
    def crowd(self, gateway: int) -> Iterator[Child]:
        """Light clients, see `crowd`. `gateway`: its port."""
        ports = {"direct": self.server.address.port, "xml": gateway, "exi": gateway}
        with self._talking("crowd", ports=ports) as child:
            yield child

    @contextlib.contextmanager
    def speaker(self, port: int, exi: str) -> Iterator[Child]:
        """A node's own client, online; see `speaker`."""
        with self._talking("speaker", port=port, exi=exi) as child:
            yield child

    @contextlib.contextmanager
    def _talking(self, module: str, **settings: Any) -> Iterator[Child]:
        log = self.folder / f"{module}.log"
        command = [sys.executable, "-m", f"tests.benchmarks.{module}"]
        child = Child(command, log, talks=True, env=self._env, cwd=self.folder)
        try:
            child.tell(bare=f"{USER}@localhost", password=self._password, ca_file=str(self.server.ca_file), **settings)
            child.answer()
            yield child
        finally:
            child.stop()
