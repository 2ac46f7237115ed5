"""The dashboard of the demo: `hub dashboard` as anybody runs it, in a process of its own that is gone with us.

Rules of this file
* It is there where its packages are installed, and said to be missing where they are not.
* It has worked when its page has been fetched and shows a tile of the node.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import urllib.error
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from hub.demo.prosody import Prosody, end_with_parent, free_port

PACKAGES: Final = ("nicegui", "argon2")
USER: Final = "dashboard"
TILE: Final = "Pump"
"""What the page shows once the node is on it: the label of one of its things."""
PATIENCE_S: Final = 30.0
STOP_TIMEOUT_S: Final = 5.0
LOOK_AGAIN_S: Final = 0.3
MAX_PAGE: Final = 5_000_000  # bytes

CONFIG = """\
[xmpp]
jid = "{user}@{domain}"
password_file = "{folder}/{user}.password"
server = "{server}"
ca_file = "{ca_file}"

[dashboard]
title = "Demo"
listen = "{listen}"
hubs = ["{hub}"]
open_control = true
"""


def installed() -> bool:
    return all(find_spec(package) is not None for package in PACKAGES)


class DemoDashboard:
    """Of `hub`, as an account of `server`. `folder`: for its files, in the demo's."""

    def __init__(self, server: Prosody, hub: str, folder: Path) -> None:
        self.listen = f"127.0.0.1:{free_port()}"
        self._server, self._hub, self._folder = server, hub, folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://{self.listen}/"

    def start(self, password: str) -> None:
        """From the main thread: the kernel ends a child with the thread that made it."""
        folder, server = self._folder, self._server
        folder.mkdir()
        (folder / f"{USER}.password").write_text(password)
        config = folder / "dashboard.toml"
        config.write_text(
            CONFIG.format(user=USER, domain=server.domain, folder=folder, server=server.address, hub=self._hub,
                          ca_file=server.ca_file, listen=self.listen)
        )  # fmt: skip
        with (folder / "dashboard.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hub", "dashboard", "--config", str(config)], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True, preexec_fn=end_with_parent,
                env={**os.environ, "STATE_DIRECTORY": str(folder)},
            )  # fmt: skip

    async def shows(self) -> str:
        """Wait until its page shows the node; what is wrong, "" when nothing is."""
        last = "it did not start"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while self._process is not None and self._process.poll() is None:
                    last = await asyncio.to_thread(self._look)
                    if not last:
                        return ""
                    await asyncio.sleep(LOOK_AGAIN_S)  # it has no news for us
        return f"{last}: {self._said()}"

    def _look(self) -> str:
        try:
            with urllib.request.urlopen(self.address, timeout=5) as answer:
                page = answer.read(MAX_PAGE).decode(errors="replace")
        except (OSError, urllib.error.URLError) as error:
            return f"the page cannot be fetched ({error})"
        return "" if answer.status == 200 and TILE in page else "the page does not show the node"

    def _said(self) -> str:
        with contextlib.suppress(OSError):
            return (self._folder / "dashboard.log").read_text(errors="replace").strip()[-1000:]
        return ""

    def stop(self) -> None:
        """Gone when this returns."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
