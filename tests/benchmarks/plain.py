"""A process: the yardstick. A device and a publisher written by hand on slixmpp, as short as an example in its manual.

Settings and questions come as lines of JSON on stdin, see `serve`. Nothing of the hub may be imported here: what this
process takes is what slixmpp takes.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import ssl
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Protocol
from xml.etree.ElementTree import Element, SubElement, fromstring

from slixmpp import ClientXMPP
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

SENSOR_DATA = "urn:xmpp:iot:sensordata"
PUBSUB = "http://jabber.org/protocol/pubsub"
TIMEOUT_S = 30.0

CREATE = """\
<pubsub xmlns="http://jabber.org/protocol/pubsub"><create node="{node}"/><configure>
<x xmlns="jabber:x:data" type="submit"><field var="FORM_TYPE"><value>http://jabber.org/protocol/pubsub#node_config</value></field>
<field var="pubsub#persist_items"><value>true</value></field><field var="pubsub#max_items"><value>1</value></field>
<field var="pubsub#send_last_published_item"><value>on_sub_and_presence</value></field>
<field var="pubsub#access_model"><value>open</value></field></x></configure></pubsub>"""


class Plain(ClientXMPP):
    """Online, and nothing more."""

    def __init__(self, jid: str, password: str, host: str, port: int, ca_file: str) -> None:
        super().__init__(jid, password)
        self.ssl_context = ssl.create_default_context(cafile=ca_file)
        self.enable_direct_tls = False
        self.enable_plaintext = False
        self.online: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.add_event_handler("session_start", self._started)
        self.connect(host, port)

    async def _started(self, _: object) -> None:
        await self.get_roster()
        self.send_presence()
        if not self.online.done():
            self.online.set_result(None)


class Device(Plain):
    """Answers readouts from memory: twenty things with one number each."""

    def __init__(self, things: list[str], **account: Any) -> None:
        super().__init__(**account)
        self.values = dict.fromkeys(things, "21.50")
        self.register_handler(
            Callback("readout", MatchXPath(f"{{jabber:client}}iq/{{{SENSOR_DATA}}}req"), self._readout)
        )

    def _readout(self, iq: Any) -> None:
        request = iq.xml.find(f"{{{SENSOR_DATA}}}req")
        seqnr = request.get("seqnr")
        reply = iq.reply()
        reply.append(Element(f"{{{SENSOR_DATA}}}accepted", seqnr=seqnr))
        reply.send()
        things = [node.get("nodeId") for node in request.iter(f"{{{SENSOR_DATA}}}node")] or list(self.values)
        message = self.make_message(mto=iq["from"])
        message.append(self._fields(seqnr, things))
        message.send()

    def _fields(self, seqnr: str, things: list[str]) -> Element:
        fields = Element(f"{{{SENSOR_DATA}}}fields", seqnr=seqnr, done="true")
        now = dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z")
        for thing in things:
            node = SubElement(fields, f"{{{SENSOR_DATA}}}node", nodeId=thing)
            stamp = SubElement(node, f"{{{SENSOR_DATA}}}timestamp", value=now)
            SubElement(stamp, f"{{{SENSOR_DATA}}}numeric", name="value", momentary="true", automaticReadout="true",
                       value=self.values[thing], unit="")  # fmt: skip
        return fields

    # ------------------------------------------------------------------ publishing

    async def create(self, nodes: list[str]) -> int:
        for node in nodes:
            iq: Any = self.make_iq_set()
            iq.append(fromstring(CREATE.format(node=node)))
            await iq.send(timeout=TIMEOUT_S)
        return len(nodes)

    async def publish(self, nodes: list[str], count: int, window: int) -> int:
        """`count` readings, at most `window` of them not yet confirmed."""
        free = asyncio.Semaphore(window)
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                await free.acquire()
                group.create_task(self._publish(nodes[number % len(nodes)], number, free))
        return count

    async def _publish(self, node: str, number: int, free: asyncio.Semaphore) -> None:
        now = dt.datetime.now(dt.UTC)
        iq: Any = self.make_iq_set()
        pubsub = Element(f"{{{PUBSUB}}}pubsub")
        publish = SubElement(pubsub, f"{{{PUBSUB}}}publish", node=node)
        item = SubElement(publish, f"{{{PUBSUB}}}item", id="current")
        fields = SubElement(item, f"{{{SENSOR_DATA}}}fields", seqnr="0", done="true")
        thing = SubElement(fields, f"{{{SENSOR_DATA}}}node", nodeId=node.rpartition("/")[2])
        stamp = SubElement(thing, f"{{{SENSOR_DATA}}}timestamp", value=now.isoformat().replace("+00:00", "Z"))
        SubElement(stamp, f"{{{SENSOR_DATA}}}long", name="value", momentary="true", automaticReadout="true",
                   value=str(number))  # fmt: skip
        iq.append(pubsub)
        try:
            await iq.send(timeout=TIMEOUT_S)
        finally:
            free.release()


Verbs = dict[str, Callable[..., Awaitable[Any]]]


class Served(Protocol):
    online: asyncio.Future[None]

    def disconnect(self) -> Awaitable[object]: ...


async def serve(make: Callable[..., tuple[Served, Verbs]]) -> None:
    """The first line holds the settings, every other one a question: its `do` names a verb, the rest are arguments."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    client, verbs = make(**json.loads(await lines.readline()))
    async with asyncio.timeout(TIMEOUT_S):
        await client.online
    _say("online")
    while line := await lines.readline():
        question = json.loads(line)
        _say(await verbs[question.pop("do")](**question))
    await client.disconnect()


def _say(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _device(**settings: Any) -> tuple[Plain, Verbs]:
    device = Device(**settings)
    return device, {"create": device.create, "publish": device.publish}


if __name__ == "__main__":
    asyncio.run(serve(_device))
