"""Server, gateway and node together, and the verdict of `--seconds`.

Rules of this file
* What is shown and judged has made the whole way: chip stand-in → node → gateway → Prosody → a client of its own. The
  node speaks EXI and nothing else; the client speaks plain XML, straight to the server, and sees no difference.
* Whatever ends it, nothing is left: the server is a child that dies with us, the gateway is part of this process, the
  folder is removed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from devices.base import ValueType
from devices.fake import SimulatedBuses
from hub.config.file import parse
from hub.demo.dashboard import USER as DASHBOARD_USER
from hub.demo.dashboard import DemoDashboard
from hub.demo.gateway import DemoGateway, Savings
from hub.demo.prosody import Address, Prosody
from hub.errors import PeerError
from hub.programs.node import Node
from hub.services.peer import Peer
from hub.session.client import Account, Client
from hub.session.link import Link
from hub.things.model import Answer, Assignment, Command, FieldTypes, NodeRef, ReadoutRequest

log = logging.getLogger(__name__)

ONLINE_TIMEOUT_S = 30.0
DRAW_S = 0.5
DRIFT_S = 0.5
DRIFT: dict[str, tuple[float, float, float]] = {
    "temperature": (21.5, 1.5, 40),
    "humidity": (48, 6, 55),
    "pressure": (1013.25, 1.2, 70),
    "illuminance": (820, 600, 45),
    "amperes": (0.9, 0.6, 45),
    "volts": (12.6, 0.5, 45),
}
"""What the stand-ins measure: middle, swing and period in seconds, for every knob of that name."""


@dataclass
class Outcome:
    """What a run has shown. `savings` None: EXI was not wanted."""

    savings: Savings | None = None
    readings: int = 0
    command: str = "not tried"
    worked: bool = False
    page: str | None = None
    """What is wrong with the page, "" when nothing is; None: there is none."""

    @property
    def good(self) -> bool:
        spoken = self.savings is None or self.savings.spoken
        return self.readings > 0 and self.worked and spoken and not self.page


class Demo:
    """`take` gets every answer that arrives at the client; `draw` is called every half second. `exi` off: the node
    speaks XML to the server itself. `page`: with a dashboard."""

    def __init__(
        self, take: Callable[[Answer], None], draw: Callable[[], None], exi: bool = True, page: bool = False
    ) -> None:
        self._take, self._draw = take, draw
        self.folder = Path(tempfile.mkdtemp(prefix="hub-demo-"))
        self.server = Prosody(folder=self.folder / "prosody")
        self.gateway = DemoGateway(self.server, self.folder / "gateway") if exi else None
        self.dashboard = DemoDashboard(self.server, self.jid, self.folder / "dashboard") if page else None
        self.outcome = Outcome(self.gateway.savings if self.gateway is not None else None)
        self._ended = asyncio.Event()

    @property
    def jid(self) -> str:
        return f"greenhouse@{self.server.domain}"

    @property
    def address(self) -> Address:
        """Where the node finds its server."""
        return self.server.address if self.gateway is None else self.gateway.address

    @property
    def owner_file(self) -> Path:
        """The account to use from a second terminal."""
        return self.folder / "owner.toml"

    async def run(self, seconds: float | None, online: Callable[[], None]) -> Outcome:
        """Until Ctrl-C, or for `seconds`; `online` is called when there is something to see. Raises HubError."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._ended.set)
        try:
            # Started from the main thread: the kernel ends a child with the thread that made it.
            self.server.start()
            users = ("greenhouse", "owner", *((DASHBOARD_USER,) if self.dashboard is not None else ()))
            passwords = {user: self.server.register(user) for user in users}
            if self.dashboard is not None:
                self.dashboard.start(passwords[DASHBOARD_USER])
            if self.gateway is not None:
                await self.gateway.start()
            await self._with_node(passwords, seconds, online)
        finally:
            if self.dashboard is not None:
                self.dashboard.stop()
            if self.gateway is not None:
                await self.gateway.stop()
            self.server.stop()
            shutil.rmtree(self.folder, ignore_errors=True)
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
        return self.outcome

    async def _with_node(self, passwords: dict[str, str], seconds: float | None, online: Callable[[], None]) -> None:
        buses = SimulatedBuses()
        node = Node(parse(self._config(passwords), "demo"), buses)
        running = [asyncio.create_task(node.run()), asyncio.create_task(_drift(buses))]
        client = Client(self._owner(passwords["owner"]), resource="demo")
        link = Link(client, lambda up, fresh: None)
        try:
            await link.online(ONLINE_TIMEOUT_S)
            peer = Peer(client, self.jid, timeout=10)
            await self._find(peer, running[0])
            running.append(asyncio.create_task(self._follow(peer)))
            online()
            await self._try_command(peer)
            running.append(asyncio.create_task(self._show()))
            looking = asyncio.create_task(self._look_at_page())
            await self._until_the_end(seconds, running)
            if seconds is not None:
                await looking
            looking.cancel()
        finally:
            node.stop()
            for task in running[1:]:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await link.stop()

    async def _until_the_end(self, seconds: float | None, running: list[asyncio.Task[None]]) -> None:
        waiting = asyncio.create_task(self._ended.wait())
        done, _ = await asyncio.wait({waiting, *running}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        for task in done - {waiting}:
            await task  # a part of the demo ended by itself: say why

    async def _find(self, peer: Peer, node: asyncio.Task[None]) -> None:
        """The node comes online a moment after us."""
        deadline = asyncio.get_running_loop().time() + ONLINE_TIMEOUT_S
        while True:
            if node.done():
                await node
            try:
                return await peer.find()
            except PeerError:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(0.2)  # between two questions to a server that has no news for us

    async def _follow(self, peer: Peer) -> None:
        async for answer in peer.watch(await peer.published()):
            self._take(answer)
            self.outcome.readings += len(answer.readings)

    async def _try_command(self, peer: Peer) -> None:
        """Pump on, read back, off again: a command's whole way there and back."""
        try:
            pump = (NodeRef("pump"),)
            for state in (True, False):
                await peer.carry_out(Command(pump, (Assignment("output", state, ValueType.BOOLEAN),)))
                answers = peer.read(lambda id_: ReadoutRequest(id_, pump, ("output",), FieldTypes.PRESENT))
                seen = [
                    field.value async for answer in answers for reading in answer.readings for field in reading.fields
                ]
                if seen != [state]:
                    self.outcome.command = f"the pump was set to {state} but reads {seen}"
                    return
        except PeerError as error:
            self.outcome.command = str(error)
            return
        self.outcome.command, self.outcome.worked = "pump on, read back, off, read back", True

    async def _look_at_page(self) -> None:
        if self.dashboard is not None:
            self.outcome.page = "it was not looked at"
            self.outcome.page = await self.dashboard.shows()

    async def _show(self) -> None:
        while True:
            self._draw()
            await asyncio.sleep(DRAW_S)

    def _owner(self, password: str) -> Account:
        (self.folder / "owner.password").write_text(password)
        self.owner_file.write_text(
            f'[xmpp]\njid = "owner@{self.server.domain}"\npassword_file = "{self.folder}/owner.password"\n'
            f'server = "{self.server.address}"\nca_file = "{self.server.ca_file}"\n'
        )
        address = self.server.address
        return Account(f"owner@{self.server.domain}", password, server=(address.host, address.port),
                       ca_file=self.server.ca_file)  # fmt: skip

    def _config(self, passwords: dict[str, str]) -> str:
        password_file = self.folder / "greenhouse.password"
        password_file.write_text(passwords["greenhouse"])
        filled: dict[str, Any] = {
            "jid": self.jid, "password_file": password_file, "server": self.address,
            "ca_file": self.server.ca_file, "state_dir": self.folder / "state", "domain": self.server.domain,
            "exi": "off" if self.gateway is None else "require",
        }  # fmt: skip
        text = resources.files("hub.demo").joinpath("demo.toml").read_text(encoding="utf-8")
        for name, value in filled.items():
            text = text.replace("{" + name + "}", str(value))
        return text


async def _drift(buses: SimulatedBuses) -> None:
    """Let the world go on: every knob of a stand-in that `DRIFT` names moves slowly."""
    began = asyncio.get_running_loop().time()
    while True:
        elapsed = asyncio.get_running_loop().time() - began
        for part in buses.parts.values():
            for knob, (middle, swing, period) in DRIFT.items():
                if hasattr(part, knob):
                    setattr(part, knob, middle + swing * math.sin(2 * math.pi * elapsed / period))
        await asyncio.sleep(DRIFT_S)


def command_name() -> str:
    """How this program was called, to be typed again."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{sys.executable} -m hub"
    with contextlib.suppress(ValueError):
        return str(called.relative_to(Path.cwd()))
    return str(called)


