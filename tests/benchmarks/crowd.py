"""A process: many light clients over three transports, "direct" (XML to the server), "xml" and "exi" (through the
gateway). They are the tests' own clients (`tests.e2e.raw`, `tests.gateway.client`), so that little is measured beside
server and gateway; in EXI they speak the product's schemas with tables that last for the session. A flood costs them
next to nothing: they send bytes that they have made before, and count what comes.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
import time
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from hub.exi import schemas
from hub.session.exi_setup import SchemaFile
from tests.benchmarks.plain import Verbs, serve
from tests.e2e.raw import TIMEOUT_S, RawClient
from tests.gateway.client import SESSION_WIDE, ExiClient

SENSOR_DATA = "urn:xmpp:iot:sensordata"
PING = "urn:xmpp:ping"
HOST = "127.0.0.1"
CYCLE = 60  # different readings of a flood

TEXTS = {
    "ping": f"<iq type='get' id='{{id}}' to='localhost'><ping xmlns='{PING}'/></iq>",
    "reading": f"<message id='{{id}}' to='{{jid}}'><fields xmlns='{SENSOR_DATA}' seqnr='7' done='true'>"
               "<node nodeId='air'><timestamp value='2026-11-21T12:00:{n:02}Z'><numeric name='value' momentary='true' "
               "automaticReadout='true' value='21.{n:02}' unit='°C'/></timestamp></node></fields></message>",
}  # fmt: skip


def as_element(what: str, id_: str, jid: str, n: int) -> Element:
    """The same stanza as in TEXTS."""
    if what == "ping":
        iq = Element("{jabber:client}iq", {"type": "get", "id": id_, "to": "localhost"})
        SubElement(iq, f"{{{PING}}}ping")
        return iq
    message = Element("{jabber:client}message", {"id": id_, "to": jid})
    fields = SubElement(message, f"{{{SENSOR_DATA}}}fields", {"seqnr": "7", "done": "true"})
    node = SubElement(fields, f"{{{SENSOR_DATA}}}node", {"nodeId": "air"})
    stamp = SubElement(node, f"{{{SENSOR_DATA}}}timestamp", {"value": f"2026-11-21T12:00:{n:02}Z"})
    SubElement(stamp, f"{{{SENSOR_DATA}}}numeric", {
        "name": "value", "momentary": "true", "automaticReadout": "true", "value": f"21.{n:02}", "unit": "°C",
    })  # fmt: skip
    return message


class Tap:
    """A reader or writer of asyncio that keeps what goes through it."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self._kept = bytearray()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def write(self, data: bytes) -> None:
        self._kept += data
        self._real.write(data)

    async def read(self, most: int) -> bytes:
        data: bytes = await self._real.read(most)
        self._kept += data
        return data

    def taken(self) -> bytes:
        """What went through since the last call."""
        kept, self._kept = bytes(self._kept), bytearray()
        return kept


class Answered(RawClient):
    """Who waits for an answer finds it by its id, at once."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.waiting: dict[str, asyncio.Future[None]] = {}
        self._numbers = itertools.count()

    async def exchange(self, what: str) -> float:
        """Seconds from making a stanza to having the answer read."""
        began = time.perf_counter()
        number = next(self._numbers)
        id_ = str(number % 1000)
        answered = self.waiting[id_] = asyncio.get_running_loop().create_future()
        self.say(what, id_, number % 60)
        async with asyncio.timeout(TIMEOUT_S):
            await answered
        return time.perf_counter() - began

    def say(self, what: str, id_: str, n: int) -> None:
        self.write(TEXTS[what].format(id=id_, jid=self.jid, n=n))

    async def learn(self) -> None:
        """What a cycle of readings is on the wire, and how many bytes come back for each. Tables that hold them all
        change no more: every cycle is the same bytes from then on."""
        self.bodies: list[bytes] = []
        self.sizes: list[int] = []
        for turn in range(3):
            learning = turn == 2
            if learning:
                await self._pause()
                reader, writer = self._reader, self._writer
                self._reader, self._writer = read, written = Tap(reader), Tap(writer)
                self._resume()
            for number in range(CYCLE):
                came = self.waiting[str(number)] = asyncio.get_running_loop().create_future()
                self.say("reading", str(number), number)
                async with asyncio.timeout(TIMEOUT_S):
                    await came
                if learning:
                    self.bodies.append(written.taken())
                    self.sizes.append(len(read.taken()))
        await self._pause()
        self._reader, self._writer = reader, writer
        self._resume()

    async def flood(self, count: int, in_flight: int) -> None:
        """`count` readings to oneself as bytes that were learnt; what comes back is counted and not looked at."""
        await self._pause()
        sent = done = over = 0
        while done < count:
            while sent < count and sent - done < in_flight:
                self._writer.write(self.bodies[sent % CYCLE])
                sent += 1
            async with asyncio.timeout(TIMEOUT_S):
                data = await self._reader.read(65536)
            if not data:
                raise ConnectionError("the connection is lost")
            over += len(data)
            while done < sent and over >= self.sizes[done % CYCLE]:
                over -= self.sizes[done % CYCLE]
                done += 1
        if over:
            raise RuntimeError(f"{over} bytes came that were not asked for")
        self._resume()

    async def _pause(self) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def _resume(self) -> None:
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            while True:
                stanza = await self._element()
                waiting = self.waiting.pop(stanza.get("id", ""), None)
                if waiting is not None:
                    if not waiting.done():
                        waiting.set_result(None)
                    continue
                async with self._news:
                    self.pending.append(stanza)
                    self._news.notify_all()
        except ConnectionError as error:
            for waiting in self.waiting.values():
                if not waiting.done():
                    waiting.set_exception(error)


class Packed(Answered, ExiClient):
    def say(self, what: str, id_: str, n: int) -> None:
        self.send(as_element(what, id_, self.jid, n))


class Crowd:
    def __init__(self, bare: str, password: str, ca_file: str, ports: dict[str, int]) -> None:
        self._bare, self._password, self._ca_file = bare, password, Path(ca_file)
        self._ports = ports
        self._context = ssl.create_default_context(cafile=ca_file)
        self._clients: dict[str, list[Answered]] = {transport: [] for transport in ports}
        self._numbers = itertools.count(1)
        self._known = ""
        self._files = {SchemaFile(*file.identity): file.data for file in schemas.files()}
        self.online: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.online.set_result(None)  # there is nobody yet, and nothing to wait for

    async def connect(self, over: str, count: int, at_once: int, quick: bool = True) -> list[float]:
        """Seconds that each took to be bound. `quick`: name the configuration that was agreed on before."""
        free = asyncio.Semaphore(at_once)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._connect(over, free, quick)) for _ in range(count)]
        return [task.result() for task in tasks]

    async def _connect(self, over: str, free: asyncio.Semaphore, quick: bool) -> float:
        where = (HOST, self._ports[over], self._ca_file, self._bare, self._password, f"c{next(self._numbers)}")
        async with free:
            client: Answered
            if over == "exi":
                client = Packed(*where, settings=SESSION_WIDE, files=self._files, grammars=schemas.grammars(),
                                known=self._known if quick else "")  # fmt: skip
            else:
                client = Answered(*where)
            client._context = self._context
            began = time.perf_counter()
            await client.__aenter__()
            took = time.perf_counter() - began
        if isinstance(client, Packed):
            self._known = client.configuration_id
        self._clients[over].append(client)
        return took

    async def exchange(self, over: str, what: str, count: int, in_flight: int) -> dict[str, Any]:
        """`count` exchanges by the clients in turn, `in_flight` at a time: latencies, and the whole time."""
        clients = itertools.cycle(self._clients[over])
        left = iter(range(count))
        latencies: list[float] = []

        async def lane() -> None:
            for _ in left:
                latencies.append(await next(clients).exchange(what))

        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(lane())
        return {"latencies": latencies, "seconds": time.perf_counter() - began}

    async def learn(self, over: str) -> int:
        await asyncio.gather(*(client.learn() for client in self._clients[over]))
        return CYCLE

    async def flood(self, over: str, count: int, in_flight: int) -> float:
        """Seconds for `count` readings by each of the clients, `in_flight` at a time."""
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for client in self._clients[over]:
                group.create_task(client.flood(count, in_flight))
        return time.perf_counter() - began

    async def disconnect(self) -> None:
        for transport in self._clients:
            await self.drop(transport)

    async def drop(self, over: str) -> int:
        clients, self._clients[over] = self._clients[over], []
        await asyncio.gather(*(client.__aexit__(None, None, None) for client in clients))
        return len(clients)


def _crowd(**settings: Any) -> tuple[Crowd, Verbs]:
    crowd = Crowd(**settings)
    return crowd, {"connect": crowd.connect, "exchange": crowd.exchange, "drop": crowd.drop,
                   "learn": crowd.learn, "flood": crowd.flood}  # fmt: skip


if __name__ == "__main__":
    asyncio.run(serve(_crowd))
