"""A node on a real broker, without an XMPP server: the bridge needs none."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from devices.bus import Buses
from devices.fake import SimulatedBuses
from hub.config.file import parse
from hub.config.node import Config
from hub.programs.node import Node
from tests.helpers import until
from tests.mosquitto import Mosquitto, Onlooker

BASE = "hub/node@localhost"
ME = "mqtt@localhost"
LAMP = '[things.lamp]\ndriver = "simulated"\nkind = "lamp"\n'
AIR = '[things.air]\ndriver = "simulated"\nkind = "counter"\nfield = "count"\ninterval = "50ms"\n'


def text(broker: Mosquitto, things: str, mqtt: str = "tls = false", control: str = f'control_as = "{ME}"',
         access: str = f'"{ME}"') -> str:  # fmt: skip
    """A configuration file. `access`: who may control."""
    (broker.folder / "xmpp.password").write_text("x")
    return f"""
[xmpp]
jid = "node@localhost"
password_file = "{broker.folder}/xmpp.password"
server = "127.0.0.1:9"
[access]
control = [{access}]
[node]
state_dir = "{broker.folder}/state"
[mqtt]
broker = "{broker.broker}"
interval = "1s"
{mqtt}
{control}
{things}
"""


def parsed(broker: Mosquitto, things: str, **more: Any) -> Config:
    return parse(text(broker, things, **more))


@contextlib.asynccontextmanager
async def running(made: Config, buses: Buses | None = None, up: bool = True) -> AsyncIterator[Node]:
    """A node; with `up` its bridge is connected."""
    node = Node(made, buses or SimulatedBuses())
    task = asyncio.create_task(node.run())
    try:
        if up:
            await until(lambda: task.done() or is_up(node), "the bridge is up")
            assert not task.done(), task
        yield node
    finally:
        node.stop()
        async with asyncio.timeout(20):
            await task


def is_up(node: Node) -> bool:
    return node._bridge is not None and node._bridge.up


async def command(
    onlooker: Onlooker, thing: str, parameter: str | None, payload: str | bytes, base: str = BASE, qos: int = 1
) -> dict[str, Any]:
    """The result of a command."""
    before = len(onlooker.all(f"{base}/{thing}/result"))
    topic = f"{base}/{thing}/set" if parameter is None else f"{base}/{thing}/{parameter}/set"
    onlooker.publish(topic, payload, qos=qos)
    await until(lambda: len(onlooker.all(f"{base}/{thing}/result")) > before, "the command is answered")
    found: dict[str, Any] = json.loads(onlooker.all(f"{base}/{thing}/result")[before])
    return found


def fields(state: str | None) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(state or "{}").get("fields", {})
    return found
