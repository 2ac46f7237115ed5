"""A process: the client that a node has (`hub.session.client`, kept online by `Link`). It sends readings to itself and
takes them in as slixmpp hands them over. `exi`: "off" or "require".
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

from hub.session.client import Account, Client
from hub.session.exi_link import ExiPolicy
from hub.session.link import Link
from tests.benchmarks.crowd import HOST, SENSOR_DATA, as_element
from tests.benchmarks.plain import TIMEOUT_S, Verbs, serve


class Speaker:
    def __init__(self, bare: str, password: str, ca_file: str, port: int, exi: str) -> None:
        account = Account(bare, password, server=(HOST, port), ca_file=Path(ca_file), exi=ExiPolicy(exi))
        self._client = Client(account, f"speaker-{exi}")
        self._client.register_handler(
            Callback("reading", MatchXPath(f"{{jabber:client}}message/{{{SENSOR_DATA}}}fields"), self._came)
        )
        self._link = Link(self._client, lambda up, fresh: None)
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self.online = asyncio.ensure_future(self._link.online(TIMEOUT_S))

    async def disconnect(self) -> None:
        await self._link.stop()

    async def exchange(self, count: int, in_flight: int) -> float:
        """Seconds for `count` readings to oneself, `in_flight` at a time."""
        left = iter(range(count))

        async def lane() -> None:
            for number in left:
                id_ = str(number % 1000)
                came = self._waiting[id_] = asyncio.get_running_loop().create_future()
                message = self._client.make_message(mto=self._client.boundjid.full)
                message["id"] = id_
                message.append(as_element("reading", id_, "", number % 60)[0])
                message.send()
                async with asyncio.timeout(TIMEOUT_S):
                    await came

        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(lane())
        return time.perf_counter() - began

    def _came(self, message: Any) -> None:
        came = self._waiting.pop(message["id"], None)
        if came is not None:
            came.set_result(None)


def _speaker(**settings: Any) -> tuple[Speaker, Verbs]:
    speaker = Speaker(**settings)
    return speaker, {"exchange": speaker.exchange}


if __name__ == "__main__":
    asyncio.run(serve(_speaker))
