"""A process: asks for readouts, sees who comes online, counts notifications. slixmpp's core and nothing of the hub.

Requests are written as text and answers only looked at, so that what is measured is the device and not this client.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any
from xml.etree.ElementTree import Element, SubElement
from xml.sax.saxutils import quoteattr

from slixmpp.exceptions import IqError
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

from tests.benchmarks.plain import PUBSUB, SENSOR_DATA, TIMEOUT_S, Plain, Verbs, serve

RETRY_S = 0.1  # between two attempts to subscribe to a node that is not there yet


class Asker(Plain):
    def __init__(self, **account: Any) -> None:
        super().__init__(**account)
        self._seqnr = 0
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._arrivals: list[float] = []
        self._seen: dict[str, float] = {}
        for name, xpath, handler in (
            ("fields", f"message/{{{SENSOR_DATA}}}fields", self._fields),
            ("refused", "iq/{jabber:client}error", self._refused),
            ("event", f"message/{{{PUBSUB}#event}}event", self._event),
        ):
            self.register_handler(Callback(name, MatchXPath(f"{{jabber:client}}{xpath}"), handler))
        self.add_event_handler("presence_available", self._available)

    # ------------------------------------------------------------------ readouts

    async def read(self, to: str, nodes: list[str], count: int, in_flight: int) -> dict[str, Any]:
        """`count` readouts, `in_flight` at a time: latencies from the request to the last part, and the whole time."""
        latencies: list[float] = []
        inner = "".join(f"<node nodeId={quoteattr(node)}/>" for node in nodes)
        share, rest = divmod(count, in_flight)
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for lane in range(in_flight):
                group.create_task(self._read(to, inner, share + (lane < rest), latencies))
        return {"latencies": latencies, "seconds": time.perf_counter() - began}

    async def _read(self, to: str, inner: str, count: int, latencies: list[float]) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(count):
            self._seqnr += 1
            seqnr = str(self._seqnr)
            answered = self._waiting[seqnr] = loop.create_future()
            began = time.perf_counter()
            self.send_raw(
                f"<iq type='get' id='r{seqnr}' to={quoteattr(to)}>"
                f"<req xmlns='{SENSOR_DATA}' seqnr='{seqnr}' momentary='true'>{inner}</req></iq>"
            )
            async with asyncio.timeout(TIMEOUT_S):
                await answered
            latencies.append(time.perf_counter() - began)

    def _fields(self, message: Any) -> None:
        fields = message.xml.find(f"{{{SENSOR_DATA}}}fields")
        if fields.get("done") == "true" and (waiting := self._waiting.pop(fields.get("seqnr"), None)):
            waiting.set_result(None)

    def _refused(self, iq: Any) -> None:
        waiting = self._waiting.pop(iq.xml.get("id", "")[1:], None)
        if waiting is not None:
            waiting.set_exception(RuntimeError(f"refused: {iq}"))

    # ------------------------------------------------------------------ presence

    async def befriend(self, jid: str) -> str:
        self.send_presence(pto=jid, ptype="subscribe")
        return jid

    def _available(self, presence: Any) -> None:
        self._seen.setdefault(presence["from"].bare, time.perf_counter())

    async def forget(self, jid: str) -> str:
        self._seen.pop(jid, None)
        return jid

    async def seen(self, jid: str) -> float:
        """When `jid` came online, on the monotonic clock that all processes share."""
        async with asyncio.timeout(TIMEOUT_S):
            while jid not in self._seen:
                await asyncio.sleep(0.005)
        return self._seen[jid]

    # ------------------------------------------------------------------ notifications

    async def subscribe(self, jid: str, nodes: list[str]) -> int:
        async with asyncio.timeout(TIMEOUT_S):
            for node in nodes:
                while not await self._subscribe(jid, node):
                    await asyncio.sleep(RETRY_S)
        return len(nodes)

    async def _subscribe(self, jid: str, node: str) -> bool:
        pubsub = Element(f"{{{PUBSUB}}}pubsub")
        SubElement(pubsub, f"{{{PUBSUB}}}subscribe", node=node, jid=self.boundjid.full)
        iq: Any = self.make_iq_set(ito=jid)
        iq.append(pubsub)
        try:
            await iq.send(timeout=TIMEOUT_S)
        except IqError:
            return False
        return True

    def _event(self, message: Any) -> None:
        now = time.perf_counter()
        self._arrivals += [now for _ in message.xml.iter(f"{{{SENSOR_DATA}}}timestamp")]

    async def count(self, seconds: float, at_most: int) -> list[float]:
        """Moments at which published readings came, from now on, for `seconds` or until there were `at_most`."""
        self._arrivals.clear()
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline and len(self._arrivals) < at_most:
            await asyncio.sleep(0.02)
        return list(self._arrivals)


def _asker(**settings: Any) -> tuple[Plain, Verbs]:
    asker = Asker(**settings)
    return asker, {"read": asker.read, "befriend": asker.befriend, "forget": asker.forget, "seen": asker.seen,
                   "subscribe": asker.subscribe, "count": asker.count}  # fmt: skip


if __name__ == "__main__":
    asyncio.run(serve(_asker))
