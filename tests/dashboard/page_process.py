"""A dashboard's page in a process of its own, with a scripted board: `python -m tests.dashboard.page_process JSON`.

A line on its standard input is ["method of ScriptedBoard", {arguments}]; its answer is a line on standard output. The
end of the input, SIGTERM or its parent's death end it. NiceGUI is one per process, so each page here has its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hub.demo.prosody import end_with_parent
from tests.dashboard.scripted import ScriptedBoard

START_S = 30.0
READY = "ready"


def free_port() -> int:
    with socket.socket() as finder:
        finder.bind(("127.0.0.1", 0))
        return int(finder.getsockname()[1])


class Page:
    """The process. `board("method", …)` tells its board something and returns what that answers."""

    def __init__(
        self,
        users: dict[str, tuple[str, bool]] | None = None,
        behind_proxy: bool = False,
        open_control: bool = True,
        port: int | None = None,
        state: Path | None = None,
    ) -> None:
        self.port = free_port() if port is None else port
        self._said = {"port": self.port, "users": users or {}, "behind_proxy": behind_proxy, "open": open_control}
        self._state = state
        self._own_state = tempfile.TemporaryDirectory()
        self.process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        environment = {name: text for name, text in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        environment["STATE_DIRECTORY"] = str(self._state or self._own_state.name)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.dashboard.page_process", json.dumps(self._said)], env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=end_with_parent,
        )  # fmt: skip
        assert self._line() == READY
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self, number: int = signal.SIGTERM) -> int:
        """End it and return its exit code; it may have ended."""
        assert self.process is not None and self.process.stdin is not None and self.process.stdout is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(20)
        self.process.stdin.close()
        self.process.stdout.close()
        self._own_state.cleanup()
        return code

    def board(self, method: str, *values: Any, **arguments: Any) -> Any:
        assert self.process is not None and self.process.stdin is not None
        self.process.stdin.write(json.dumps([method, values, arguments]) + "\n")
        self.process.stdin.flush()
        return json.loads(self._line())

    def _line(self) -> str:
        assert self.process is not None and self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], START_S)
        assert ready, f"the page's process said nothing for {START_S:g} s"
        line = self.process.stdout.readline()
        assert line, "the page's process has ended; see its standard error"
        return line.strip()


async def main(said: dict[str, Any]) -> None:
    from hub.config.dashboard import Dashboard, User
    from hub.dashboard.page import serve

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    users = {name: (password, control) for name, (password, control) in said["users"].items()}
    board = ScriptedBoard("Greenhouses", users, said["open"])
    settings = Dashboard(
        title="Greenhouses", listen=f"127.0.0.1:{said['port']}", behind_proxy=said["behind_proxy"],
        users={name: User(password_hash="-", control=control) for name, (_, control) in users.items()},
    )  # fmt: skip

    def obey() -> None:
        line = sys.stdin.readline()
        if not line:
            loop.remove_reader(sys.stdin)
            stop.set()
            return
        method, values, arguments = json.loads(line)
        print(json.dumps(getattr(board, method)(*values, **arguments)), flush=True)

    async def tell() -> None:
        while True:  # until it listens
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", said["port"])
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                break
        print(READY, flush=True)
        loop.add_reader(sys.stdin, obey)

    telling = asyncio.create_task(tell())
    await serve(board, settings, stop)
    await telling


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
