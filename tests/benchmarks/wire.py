"""`python -m tests.benchmarks.wire`: what a node costs on the wire, in XML and in EXI through a gateway.

The publisher is a node with one simulated thing, the subscriber a client of the same kind, both online at a real
Prosody, first directly in plain XML and then through a gateway in EXI. Bytes are those inside TLS, taken apart element
by element; steady state is what comes after WARM_UP readings. XEP-0138 is emulated: the same XML through one zlib
stream for each direction, flushed after every stanza. MQTT is paho-mqtt and a real mosquitto with the same readings as
JSON, without TLS, TCP not counted.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
import zlib
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, tostring

import hub.programs.node
from hub.config.file import parse
from hub.errors import PeerError
from hub.programs.node import account_of
from hub.services import pubsub
from hub.services.peer import Peer
from hub.session.client import Client
from hub.session.link import Link
from hub.things.model import NodeRef, ReadoutRequest
from tests.benchmarks import mqtt_wire
from tests.benchmarks.meter import Meter
from tests.e2e.world import World, running
from tests.helpers import until

WARM_UP = 200  # readings
READOUTS = 60
IQ, MESSAGE, PRESENCE = (f"{{jabber:client}}{name}" for name in ("iq", "message", "presence"))
PUBLISH = f"{{{pubsub.PUBSUB}}}publish"
FIELDS = "{urn:xmpp:iot:sensordata}fields"
ACKS = ("{urn:xmpp:sm:3}r", "{urn:xmpp:sm:3}a")
THING = "hub/air"
THINGS = '[things.air]\ndriver = "simulated"\nkind = "random-walk"\ninterval = "50ms"\nchange = { value = 0 }\n'
"""Twenty readings a second, so that thousands take minutes; each with its own time."""

BARS = {"reading, publisher → server": 40.0, "reading, server → subscriber": 60.0, "readout answer": 30.0,
        "presence and acknowledgements, %": 5.0}  # fmt: skip


@dataclass
class Run:
    """One transport's figures by name, and the stanzas behind them."""

    figures: dict[str, float] = field(default_factory=dict)
    published: list[tuple[Element, bytes]] = field(default_factory=list)
    notified: list[tuple[Element, bytes]] = field(default_factory=list)


class Metered(Client):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.meter = Meter(self)


@contextlib.asynccontextmanager
async def client(world: World, user: str) -> AsyncIterator[Metered]:
    """A client of ours that is online over the world's transport, metered from its first byte inside TLS."""
    made = Metered(account_of(parse(world.text("", world.folder / f"state-{user}", user=user))), "bench")
    link = Link(made, lambda up, fresh: None)
    await link.online(30)
    try:
        yield made
    finally:
        await link.stop()


async def measure(world: World, readings: int) -> Run:
    run = Run()
    settings = world.config(THINGS, world.folder / "state", read='"owner@localhost"')
    async with client(world, "owner") as owner:
        run.figures["connect, first time"] = len(owner.meter.written) + len(owner.meter.read)
    async with client(world, "owner") as owner, running(settings) as node:
        heard = owner.meter
        run.figures["connect, next time"] = len(heard.written) + len(heard.read)
        assert node.link is not None
        said: Meter = node.link.client.meter
        await subscribed(owner)
        await arrived(heard, WARM_UP)
        said.clear()
        heard.clear()
        await arrived(heard, readings)
        run.published = [each for each in said.sent if holds(each[0], PUBLISH)]
        run.notified = [each for each in heard.received if holds(each[0], FIELDS)]
        run.figures |= shares(said, run)
        run.figures["readout answer"] = await readout(owner)
    return run


def holds(element: Element, name: str) -> bool:
    return any(each.tag == name for each in element.iter())


async def subscribed(owner: Client) -> None:
    """Become a contact, as telemetry is for contacts. The node makes its telemetry nodes when it comes online: ask
    until they are there."""
    owner.send_presence(pto="greenhouse@localhost", ptype="subscribe")
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(PeerError):
                await pubsub.subscribe(owner, "greenhouse@localhost", THING)
                return
            await asyncio.sleep(0.1)


async def arrived(meter: Meter, readings: int) -> None:
    def enough() -> bool:
        return sum(element.tag == MESSAGE for element, _ in meter.received) >= readings

    await until(enough, f"{readings} readings have arrived", timeout=readings)


def shares(said: Meter, run: Run) -> dict[str, float]:
    """Mean bytes of what a reading costs, and the share of what is only there to keep the session."""
    total = len(said.written) + len(said.read)
    kept = sum(len(data) for element, data in (*said.sent, *said.received) if element.tag in (*ACKS, PRESENCE))
    answers = [data for element, data in said.received if element.tag == IQ]
    return {
        "reading, publisher → server": mean(run.published),
        "answer, server → publisher": sum(map(len, answers)) / max(1, len(answers)),
        "reading, server → subscriber": mean(run.notified),
        "all of the publisher, both ways, per reading": total / max(1, len(run.published)),
        "presence and acknowledgements, %": 100 * kept / max(1, total),
    }


def mean(found: Sequence[tuple[Element, bytes]]) -> float:
    return statistics.fmean(len(data) for _, data in found) if found else 0.0


async def readout(owner: Metered) -> float:
    """Mean bytes of the message that answers a readout of one field (XEP-0323)."""
    peer = Peer(owner, "greenhouse@localhost/hub", 15)
    sizes: list[int] = []
    for _ in range(READOUTS):
        owner.meter.clear()
        async for _answer in peer.read(lambda id_: ReadoutRequest(id_, (NodeRef("air"),), ("value",))):
            pass
        # The answer may stand in a message or in the result; notifications hold items, and are no answers
        sizes += [len(data) for element, data in owner.meter.received if element.find(FIELDS) is not None]
    return statistics.fmean(sizes[READOUTS // 3 :])


# ---------------------------------------------------------------------------------------------- the yardsticks


def deflated(stanzas: Sequence[tuple[Element, bytes]]) -> float:
    """Mean bytes of XML stanzas through one zlib stream that is flushed after each (XEP-0138, as servers do it)."""
    stream = zlib.compressobj()
    sizes = [len(stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH)) for _, data in stanzas]
    return statistics.fmean(sizes[len(sizes) // 5 :])


def as_json(stanza: Element) -> dict[str, object]:
    """The reading that a stanza carries, as one would put it into JSON."""
    numeric = next(each for each in stanza.iter() if each.tag.endswith("}numeric"))
    stamp = next(each for each in stanza.iter() if each.tag.endswith("}timestamp"))
    return {"value": float(numeric.get("value", "")), "time": stamp.get("value")}


def table(xml: Run, packed: Run, mqtt: Sequence[mqtt_wire.Cost]) -> list[tuple[str, ...]]:
    lines = [("bytes", "XML", "XML + zlib", "EXI", "MQTT QoS 0", "MQTT QoS 1", "bar")]
    zlib_of = {"reading, publisher → server": xml.published, "reading, server → subscriber": xml.notified}
    mqtt_of = {
        "reading, publisher → server": [each.publisher_out for each in mqtt],
        "answer, server → publisher": [each.publisher_in for each in mqtt],
        "reading, server → subscriber": [each.subscriber_in for each in mqtt],
    }
    for name, value in xml.figures.items():
        compressed = f"{deflated(zlib_of[name]):.1f}" if name in zlib_of else "–"
        others = [f"{each:.1f}" for each in mqtt_of.get(name, ())] or ["–"] * len(mqtt)
        met = packed.figures[name] <= BARS[name] if name in BARS else None
        bar = "" if met is None else f"≤ {BARS[name]:g}: {'met' if met else 'NOT MET'}"
        lines.append((name, f"{value:.1f}", compressed, f"{packed.figures[name]:.1f}", *others, bar))
    return lines


def show(lines: Iterable[tuple[str, ...]]) -> str:
    """As a table of Markdown."""
    first, *rest = ("| " + " | ".join(line) + " |" for line in lines)
    return "\n".join([first, "|---|" + "--:|" * 5 + "---|", *rest])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.wire", description=__doc__)
    parser.add_argument("--readings", type=int, default=1000, help="in steady state, over each transport")
    parser.add_argument("--show", action="store_true", help="print the last reading of each direction, too")
    options = parser.parse_args(arguments)
    hub.programs.node.Client = Metered  # type: ignore[misc]  # a node makes its own client; this one counts
    runs: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="hub-wire-") as folder:
        for packed in (False, True):
            print("EXI …" if packed else "XML …", file=sys.stderr)
            with World(Path(folder) / str(packed), exi=packed) as world:
                world.populate("greenhouse", "owner")
                runs.append(asyncio.run(measure(world, options.readings)))
        xml, exi = runs
        readings = [as_json(stanza) for stanza, _ in xml.published]
        print("mqtt …", file=sys.stderr)
        mqtt = [mqtt_wire.measure(Path(folder), THING, readings[:200], qos) for qos in (0, 1)]
    print(show(table(xml, exi, mqtt)))
    if options.show:
        for run in runs:
            for stanza, data in (run.published[-1], run.notified[-1]):
                print(f"\n{len(data)} bytes: {tostring(stanza, 'unicode')}\n{data.hex() if run is exi else ''}")


if __name__ == "__main__":
    main()
