"""What the tests live in: a private server with known accounts, configurations, and nodes that run in this process.

The server is Prosody, or ejabberd. Where the transport is EXI a gateway stands in front of it and the nodes insist on
EXI; whoever talks to them does so in plain XML, straight to the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Self

import pytest

from devices.base import Value
from devices.fake import SimulatedBuses
from hub.config.file import parse
from hub.config.node import Config
from hub.demo.prosody import Address, Prosody
from hub.programs.node import Node
from hub.things.thing import Thing
from tests.ejabberd import Ejabberd
from tests.helpers import until

from .gateway_process import GatewayProcess
from .raw import TIMEOUT_S, RawClient

HUB = "greenhouse@localhost/hub"

TRANSPORTS = ("xml", "exi", "exi-ejabberd")
ON_EJABBERD = pytest.mark.parametrize("own_server", TRANSPORTS, indirect=True)
"""For tests that take a server of their own: ejabberd too, whose start takes seconds."""


class Place:
    """What a server of the tests adds to one of its kind: a gateway in front of it where the transport is EXI, and
    configurations for those who live there."""

    domain: str
    folder: Path
    address: Address
    ca_file: Path
    component_port: int
    components: dict[str, str]
    passwords: dict[str, str]
    gateway: GatewayProcess | None = None

    @property
    def entrance(self) -> int:
        """The port that nodes connect to."""
        return self.address.port if self.gateway is None else self.gateway.port

    def open_gateway(self) -> Self:
        if self.gateway is not None:
            self.gateway.start()
        return self

    def close_gateway(self) -> None:
        if self.gateway is not None:
            self.gateway.stop()

    def populate(self, *users: str) -> Self:
        for user in users:
            self.passwords[user] = self.register(user)
            (self.folder / f"{user}.password").write_text(self.passwords[user] + "\n")
        return self

    def client(self, user: str, resource: str = "raw") -> RawClient:
        host, port = self.address.host, self.address.port
        return RawClient(host, port, self.ca_file, f"{user}@localhost", self.passwords[user], resource)

    def text(
        self, things: str, state: Path, *, user: str = "greenhouse", port: int | None = None, xmpp: str = "",
        read: str = '"owner@localhost", "reader@localhost"', control: str = '"owner@localhost"', telemetry: str = "",
        trust: str = "",
    ) -> str:  # fmt: skip
        """A configuration file for `user` on this server. `xmpp` and `telemetry` are more lines of those tables; with
        lines of `trust` there is no [access]."""
        who = f"[trust]\n{trust}" if trust else f"[access]\nread = [{read}]\ncontrol = [{control}]"
        if self.gateway is not None:
            xmpp += '\nexi = "require"'
        return f"""
[xmpp]
jid = "{user}@localhost"
password_file = "{self.folder}/{user}.password"
server = "127.0.0.1:{port or self.entrance}"
ca_file = "{self.ca_file}"
{xmpp}
{who}
[telemetry]
{telemetry}
[node]
state_dir = "{state}"
{things}
"""

    def config(self, things: str, state: Path, **more: Any) -> Config:
        return parse(self.text(things, state, **more))


class World(Prosody, Place):
    """A Prosody that remembers the passwords it gave, with lines of its configuration replaced by others."""

    def __init__(
        self, folder: Path, replaced: Mapping[str, str] | None = None, exi: bool = False,
        components: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(folder=folder, components=components)
        self.passwords: dict[str, str] = {}
        self._replaced = replaced or {}
        self.gateway = GatewayProcess(self) if exi else None

    def __enter__(self) -> World:
        super().__enter__()
        return self.open_gateway()

    def __exit__(self, *_: object) -> None:
        self.close_gateway()
        super().__exit__()

    def kill(self) -> None:
        """Dead at once, without a goodbye; also when it is frozen."""
        process, self._process = self._process, None
        assert process is not None
        process.kill()
        process.wait()

    def _write_config(self) -> None:
        super()._write_config()
        text = self._config.read_text()
        for old, new in self._replaced.items():
            assert old in text, f"{old!r} is not in the configuration any more"
            text = text.replace(old, new)
        self._config.write_text(text)


class EjabberdWorld(Ejabberd, Place):
    """The same with ejabberd, behind a gateway unless it is told otherwise."""

    def __init__(self, folder: Path, exi: bool = True, components: Mapping[str, str] | None = None) -> None:
        super().__init__(folder, components)
        self.gateway = GatewayProcess(self) if exi else None

    populate = Place.populate

    def __enter__(self) -> EjabberdWorld:
        super().__enter__()
        return self.open_gateway()

    def __exit__(self, *_: object) -> None:
        self.close_gateway()
        super().__exit__()


def world_for(transport: str, folder: Path) -> World | EjabberdWorld:
    return EjabberdWorld(folder) if transport == "exi-ejabberd" else World(folder, exi=transport == "exi")


SAMPLED: dict[str, list[tuple[dt.datetime, Mapping[str, Value]]]] = {}
"""What was measured by the things of the node that is running, in order: moment and values."""


def _remember(thing: Thing) -> None:
    sampled = SAMPLED.setdefault(thing.name, [])
    if thing.measured is not None and (not sampled or sampled[-1][0] != thing.measured):
        sampled.append((thing.measured, dict(thing.values)))


async def online(node: Node) -> None:
    await until(lambda: node.link is not None and node.link.up, "the node is online")


@contextlib.asynccontextmanager
async def running(config: Config, buses: SimulatedBuses | None = None, wait: bool = True) -> AsyncIterator[Node]:
    """A node in this process; with `wait` it is online and every thing has been asked once."""
    node = Node(config, buses or SimulatedBuses(), _remember)
    SAMPLED.clear()
    task = asyncio.create_task(node.run())
    try:
        if wait:
            await until(lambda: task.done() or (node.link is not None and node.link.up), "the node is online")
            await until(lambda: task.done() or all(t.measured or t.trouble for t in node.things.values()),
                        "every thing has been read")  # fmt: skip
            assert not task.done(), "the node has ended"
        yield node
    finally:
        node.stop()
        async with asyncio.timeout(TIMEOUT_S):
            await task
