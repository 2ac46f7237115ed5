"""Hubs as a dashboard keeps them, on a real server: no page, all the rest."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from hub.config.file import parse_dashboard
from hub.dashboard.hubs import Hubs
from hub.dashboard.view import Freshness, HubLife, HubState, Key, Tile
from hub.programs.dashboard import RESOURCE, account_of
from hub.session.client import Client
from hub.session.link import Link
from tests.e2e.world import Place
from tests.helpers import until

GREENHOUSE, CELLAR = "greenhouse@localhost", "cellar@localhost"
THINGS = """
[things.air]
driver = "simulated"
kind = "counter"
interval = "200ms"
change = { value = 1 }
[things.pump]
driver = "relay"
pin = 17
label = "Pump"
"""


def text(world: Place, dashboard: str, user: str = "owner") -> str:
    return f"""
[xmpp]
jid = "{user}@localhost"
password_file = "{world.folder}/{user}.password"
server = "127.0.0.1:{world.address.port}"
ca_file = "{world.ca_file}"
[dashboard]
open_control = true
{dashboard}
"""


class Watching:
    """`hubs`, and what tests wait for."""

    def __init__(self, hubs: Hubs, link: Link) -> None:
        self.hubs, self.link = hubs, link

    def hub(self, jid: str) -> HubState:
        return next(state for state in self.hubs.hubs() if state.jid == jid)

    def tile(self, jid: str, thing: str, field: str) -> Tile:
        tile = self.hubs.tile(Key(jid, thing, field))
        assert tile is not None, self.hubs.hubs()
        return tile

    async def online(self, *jids: str) -> None:
        await until(lambda: all(any(s.jid == jid and s.up for s in self.hubs.hubs()) for jid in jids),
                    f"{jids} are online: {self.hubs.hubs()}")  # fmt: skip

    async def followed(self, jid: str) -> None:
        """Its telemetry arrives."""
        await self.online(jid)
        before = len(self.tile(jid, "air", "value").trend)
        await until(lambda: len(self.tile(jid, "air", "value").trend) >= before + 3, f"{jid} is followed")
        assert self.hub(jid).text == ""

    async def becomes(self, jid: str, life: HubLife) -> None:
        await until(lambda: self.hub(jid).life is life, f"{jid} is {life}")

    async def fresh(self, jid: str, thing: str, field: str, freshness: Freshness) -> None:
        await until(lambda: self.tile(jid, thing, field).freshness is freshness, f"{thing}.{field} is {freshness}")


@contextlib.asynccontextmanager
async def watching(configuration: str, **more: Any) -> AsyncIterator[Watching]:
    config = parse_dashboard(configuration)
    client = Client(account_of(config), RESOURCE)
    link = Link(client, lambda up, fresh: hubs.link_changed(up, fresh))
    hubs = Hubs(config.dashboard, client, lambda: client.failure, **more)
    tasks = [asyncio.create_task(link.run()), asyncio.create_task(hubs.run())]
    try:
        yield Watching(hubs, link)
    finally:
        await link.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
