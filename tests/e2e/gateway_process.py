"""`hub gateway` as a process of its own, in front of a server of the tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Protocol

from hub.demo.prosody import Address, end_with_parent, free_port
from tests.helpers import wait_until

STOP_TIMEOUT_S = 10.0


class Server(Protocol):
    """What a gateway must know of the server it stands before; `folder` holds `cert.pem` and `key.pem`."""

    domain: str
    folder: Path
    address: Address
    ca_file: Path


class GatewayProcess:
    """`more`: further arguments. It ends when we do, however we do."""

    def __init__(self, server: Server, *more: str) -> None:
        self._server = server
        self._more = more
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def _log_file(self) -> Path:
        return self._server.folder / "gateway.log"

    def start(self) -> None:
        """Returns when it listens."""
        server = self._server
        command = [
            sys.executable, "-m", "hub", "gateway", "--listen", f"127.0.0.1:{self.port}",
            "--server", str(server.address), "--domain", server.domain,
            "--certificate", str(server.folder / "cert.pem"), "--key", str(server.folder / "key.pem"),
            "--ca-file", str(server.ca_file),
            "--store", str(server.folder / "schemas"), *self._more,
        ]  # fmt: skip
        with self._log_file.open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=end_with_parent)  # fmt: skip
        wait_until(lambda: "listening" in self.log(), f"the gateway listens: {self.log()}")

    def log(self) -> str:
        return self._log_file.read_text(errors="replace") if self._log_file.exists() else ""

    def stop(self) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
