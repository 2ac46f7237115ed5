"""What event subscriptions cost: `python -m tests.benchmarks.events`.

1. Processor time that a reading takes more when subscriptions wait for its thing: none, one, a hundred; where nothing
   is far enough to tell, and where each reading is told to one subscriber. Rounds alternate, so the ratio holds on a
   shared machine. The measure is what the hub does with each reading anyway: taking it in as the sampler does.
2. Bytes inside TLS, both ways, of a subscriber who follows one thing for a number of readings: by events, by what the
   hub publishes, and by asking at the pace of the readings; in plain XML at a real Prosody and in EXI through a
   gateway.

`--json FILE` keeps the numbers.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final

from devices.base import FieldSpec
from hub.services.peer import Peer
from hub.services.peer_events import Watch, Wish
from hub.things.events import Bounds, Key, Subscriptions
from hub.things.model import Answer, FieldTypes, NodeRef, ReadoutRequest
from hub.things.subscription import Condition, Subscription
from hub.things.thing import Description, Thing
from tests.benchmarks.wire import Metered, client
from tests.e2e.world import World, running
from tests.helpers import until

ROUNDS: Final = 15
READINGS: Final = 4000
MOMENT: Final = dt.datetime(2026, 11, 21, 8, 0, tzinfo=dt.UTC)
NAMES: Final = ("temperature", "humidity", "pressure")
NO_LIMIT: Final = Bounds(10_000, 10_000, 10_000, 10_000)
FOLLOWED: Final = 300  # readings
THINGS: Final = '[things.air]\ndriver = "simulated"\nkind = "random-walk"\ninterval = "100ms"\nchange = { value = 0 }\n'


# --------------------------------------------------------------------------- processor


def engine(subscribers: int, limit: str) -> tuple[Thing, Subscriptions]:
    """Subscribers to all three fields of a thing."""
    thing = Thing(Description("air", fields=tuple(FieldSpec(name, decimals=2) for name in NAMES)))
    thing.measured_at(dict.fromkeys(NAMES, 20), MOMENT)
    made, by = Subscriptions(NO_LIMIT), Decimal(limit)
    request = ReadoutRequest("1", (NodeRef("air"),), NAMES)
    wanted = Subscription(request, tuple(Condition(name, by, by) for name in NAMES), max_interval=dt.timedelta(hours=1))
    for number in range(subscribers):
        made.subscribe(Key(f"reader{number}@example.org/pc", "d", "1"), wanted, request, [thing], 0.0)
    return thing, made


def timed(subscribers: int, limit: str, readings: int) -> tuple[float, int]:
    """Microseconds of the processor for a reading; how many events there were."""
    thing, subscriptions = engine(subscribers, limit)
    fired = 0
    start = time.process_time()
    for number in range(readings):
        thing.measured_at({"temperature": 20 + number % 2, "humidity": 50, "pressure": 1000}, MOMENT)
        for due in subscriptions.look(subscriptions.of_thing("air"), number * 0.01):
            fired += 1
            subscriptions.sent(due.watch, number * 0.01)
    return (time.process_time() - start) / readings * 1e6, fired


def processor() -> list[dict[str, Any]]:
    cases = [(0, "1000"), (1, "1000"), (100, "1000"), (1, "0.5")]
    rounds: list[list[float]] = []
    for _ in range(ROUNDS):
        row = []
        for subscribers, limit in cases:
            microseconds, fired = timed(subscribers, limit, READINGS)
            told = subscribers if limit == "0.5" else 0
            if fired < told * (READINGS - 1) or (not told and fired > subscribers):
                raise SystemExit(f"{fired} events are not what was to be measured")
            row.append(microseconds)
        rounds.append(row)
    return [
        {
            "subscriptions": subscribers, "told": limit == "0.5", "us": statistics.median(row[n] for row in rounds),
            "times_without": statistics.median(row[n] / row[0] for row in rounds),
        }
        for n, (subscribers, limit) in enumerate(cases)
    ]  # fmt: skip


# --------------------------------------------------------------------------- bytes


async def by_events(peer: Peer) -> AsyncIterator[Answer]:
    async for answer in Watch(peer, Wish(shortest=dt.timedelta(0))).answers():
        yield answer


async def by_pubsub(peer: Peer) -> AsyncIterator[Answer]:
    async for answer in peer.watch(await peer.published()):
        yield answer


async def by_asking(peer: Peer) -> AsyncIterator[Answer]:
    request = partial(ReadoutRequest, nodes=(NodeRef("air"),), types=FieldTypes.MOMENTARY)
    while True:
        async for answer in peer.read(request):
            yield answer
        await asyncio.sleep(0.1)


WAYS = {"events": by_events, "published": by_pubsub, "asked for": by_asking}


async def bytes_of(world: World, way: str, readings: int) -> float:
    """For one reading, in and out, at the subscriber; the first fifth is not counted."""
    async with client(world, "owner") as made:
        peer = Peer(made, "greenhouse@localhost", 15)
        await peer.find()
        told, before, counted = 0, 0, 0
        answers = WAYS[way](peer)
        try:
            async for answer in answers:
                told += len(answer.readings)
                if not before and told >= readings // 5:
                    before, counted = total(made), told
                if told >= readings:
                    break
            return (total(made) - before) / (told - counted)
        finally:
            await answers.aclose()  # type: ignore[attr-defined]


def total(made: Metered) -> int:
    return sum(len(data) for _, data in (*made.meter.sent, *made.meter.received))


async def wire(exi: bool, folder: Path, readings: int) -> dict[str, float]:
    with World(folder / "server", exi=exi) as world:
        world.populate("greenhouse", "owner")
        config = world.config(THINGS, folder / "state", telemetry='interval = "1h"')
        async with running(config) as node:
            await until(lambda: node.publisher.published, "something is published")
            return {way: await bytes_of(world, way, readings) for way in WAYS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--readings", type=int, default=FOLLOWED)
    options = parser.parse_args()
    rows = processor()
    print(f"{'subscriptions to a thing':<28}{'µs a reading':>14}{'times without':>15}")
    for row in rows:
        name = f"{row['subscriptions']}{', each reading told' if row['told'] else ''}"
        print(f"{name:<28}{row['us']:>14.1f}{row['times_without']:>15.1f}")
    found: dict[str, dict[str, float]] = {}
    for name, exi in (("XML", False), ("EXI", True)):
        with tempfile.TemporaryDirectory() as folder:
            found[name] = asyncio.run(wire(exi, Path(folder), options.readings))
    print(f"\n{'bytes a reading, subscriber':<28}{'XML':>8}{'EXI':>8}")
    for way in WAYS:
        print(f"{way:<28}{found['XML'][way]:>8.0f}{found['EXI'][way]:>8.0f}")
    if options.json:
        options.json.write_text(json.dumps({"processor": rows, "bytes": found}, indent=1))


if __name__ == "__main__":
    main()
