"""History and outbox in figures.

    python -m tests.benchmarks.history [--only store,day,writes,memory,drain]

* store: a day of 1 s data of one field into the file and out of it again, as readings and as roll-ups.
* day: the same day asked for over a real Prosody by `hub history JID`, from the start of the command to its end: as
  readings, in pages of what a hub tells at a time, and as minutes.
* memory: RSS of a node with twenty things, history and outbox, and of one with the MQTT bridge (a real mosquitto), with
  OpenMetrics (scraped every second) and with both, side by side after a minute.
* writes: bytes handed to the disk for each reading, twenty things read every 10 s, a transaction every 10 s; and of
  the outbox, where each reading is stored, confirmed and released by itself.
* drain: a node with twenty things read once a second comes online with 100,000 readings in its outbox. How long they
  take to reach a subscriber over a real Prosody, how old live readings are when they arrive meanwhile, and the node's
  memory. Server, node and subscriber share the processors.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from decimal import Decimal
from pathlib import Path

from devices.base import ValueType
from hub.demo.prosody import free_port
from hub.programs.node_telemetry import HISTORY_FILE, OUTBOX_FILE
from hub.telemetry.outbox import RUN, OutboxStore
from hub.telemetry.rollups import Level
from hub.telemetry.rows import Row, Shapes, to_moment
from hub.telemetry.store import Bounds, HistoryStore
from hub.things.model import Field, NodeRef, Reading
from tests.benchmarks.losses import BARE, PUBSUB, readings
from tests.benchmarks.measure import Child
from tests.e2e.raw import RawClient
from tests.e2e.world import World
from tests.metrics import scrape
from tests.mosquitto import Mosquitto

THINGS = [f"thing{number:02}" for number in range(20)]
BACKLOG = 100_000
PLENTY = Bounds(31 * Level.DAY, 10**9)
MEMORY_S = 60.0
START = 1_795_000_000_000  # milliseconds; any moment will do
SHAPES = Shapes()


def row(at: int, thing: str = THINGS[0]) -> Row:
    value = Decimal(at // 1000 % 4000).scaleb(-2)
    return SHAPES.row(Reading(NodeRef(thing), to_moment(at), (Field("value", value, ValueType.NUMERIC, unit="°C"),)))


def store(folder: Path) -> None:
    rows = [row(START + second * 1000) for second in range(86_400)]
    history = HistoryStore(folder / "day.sqlite", PLENTY)
    history.open()
    began = time.perf_counter()
    for first in range(0, len(rows), 5000):
        history.write(rows[first : first + 5000], None)
    took = time.perf_counter() - began
    print(f"in: {len(rows) / took:,.0f} readings/s, 5,000 in a transaction")
    for what, ask in (
        ("readings, decoded", lambda: [SHAPES.item(found) for found in history.readings(THINGS[0], 0, 1 << 60, 10**9)]),
        ("minutes", lambda: history.rollups(THINGS[0], Level.MINUTE, 0, 1 << 60, 10**9)),
    ):
        began = time.perf_counter()
        count = len(ask())
        took = time.perf_counter() - began
        print(f"out: a day as {count:,} {what}: {took:.2f} s ({count / took:,.0f}/s)")
    history.close()


def writes(folder: Path) -> None:
    history = HistoryStore(folder / "writes.sqlite", PLENTY)
    history.open()
    count, before = 0, history._database.written
    for flush in range(8640 // 4):  # six hours
        rows = [row(START + flush * 10_000 + n, thing) for n, thing in enumerate(THINGS)]
        history.write(rows, None)
        count += len(rows)
    written = history._database.written - before
    print(f"history: {written / count:.0f} bytes written for each reading; 20 things every 10 s: "
          f"{written * 4 / 1e6:.0f} MB a day")  # fmt: skip
    history.close()
    outbox = OutboxStore(folder / "outbox.sqlite")
    outbox.begin()
    before, released = outbox.written, set[int]()
    for seq in range(RUN + 1, RUN + 5001):
        outbox.apply({seq: row(START + seq)}, released, 0, ())
        released = {seq}
    each = (outbox.written - before) / 5000
    print(f"outbox: {each:.0f} bytes written for each reading; "
          f"20 things every 30 s: {each * 57_600 / 1e6:.0f} MB a day")  # fmt: skip
    outbox.close()


def day(folder: Path) -> None:
    with World(folder / "server") as world:
        world.populate("greenhouse", "owner")
        state = folder / "state"
        now = round(time.time()) * 1000
        history = HistoryStore(state / HISTORY_FILE, PLENTY)
        for first in range(now - Level.DAY, now, 5_000_000):
            history.write([row(at) for at in range(first, min(now, first + 5_000_000), 1000)], None)
        history.close()
        things = f'[things.{THINGS[0]}]\ndriver = "simulated"\ninterval = "1h"\n'
        (folder / "hub.toml").write_text(world.text(things, state))
        account = f'[xmpp]\njid = "owner@localhost"\npassword_file = "{world.folder}/owner.password"\n'
        account += f'server = "127.0.0.1:{world.entrance}"\nca_file = "{world.ca_file}"\n'
        (folder / "me.toml").write_text(account)
        hub = [sys.executable, "-m", "hub"]
        node = Child([*hub, "node", "--simulate", "--config", str(folder / "hub.toml")], folder / "node.log")
        node.wait_for_log("online as")
        for what, more in (("readings", []), ("minutes", ["--every", "1m"])):
            ask_for = [*hub, "history", BARE, THINGS[0], "--account", str(folder / "me.toml"), "--timeout", "60",
                       "--from", "25h", "--format", "csv", *more]  # fmt: skip
            used, began = node.cpu(), time.perf_counter()
            told = subprocess.run(ask_for, capture_output=True, text=True, check=True).stdout
            took, count = time.perf_counter() - began, told.count("\n") - 1
            print(f"a day over XMPP as {count:,} {what}: {took:.2f} s ({count / took:,.0f}/s); processor of the node "
                  f"{node.cpu() - used:.2f} s; its memory {node.memory()['rss']:.1f} MiB")  # fmt: skip
        node.stop()


def memory(folder: Path) -> None:
    with World(folder / "server") as world, Mosquitto(folder / "broker") as broker:
        world.populate("plain", "mqtt", "metrics", "both")
        tables = {"mqtt": f'[mqtt]\nbroker = "{broker.broker}"\ntls = false\n'}
        ports = {"metrics": free_port(), "both": free_port()}
        tables |= {name: f'[metrics]\nlisten = "127.0.0.1:{port}"\n' for name, port in ports.items()}
        tables["both"] += tables["mqtt"]
        nodes = {name: _node(folder / name, world, name, tables.get(name, "")) for name in world.passwords}
        for node in nodes.values():
            node.wait_for_log("online as")
        asyncio.run(_scrape(ports.values(), MEMORY_S))
        for name, node in nodes.items():
            found = node.memory()
            print(f"memory of a node, {name}: RSS {found['rss']:.1f} MiB, its own alone {found['uss']:.1f} MiB")
            node.stop()


def _node(folder: Path, world: World, user: str, tables: str) -> Child:
    folder.mkdir()
    things = "".join(f'[things.{name}]\ndriver = "simulated"\ninterval = "1s"\n' for name in THINGS)
    (folder / "hub.toml").write_text(world.text(tables + things, folder / "state", user=user))
    command = [sys.executable, "-m", "hub", "node", "--simulate", "--config", str(folder / "hub.toml")]
    return Child(command, folder / "node.log")


async def _scrape(ports: Collection[int], seconds: float) -> None:
    took: list[float] = []
    sizes: list[int] = []
    series = 0
    for _ in range(round(seconds)):
        for port in ports:
            began = time.perf_counter()
            _, page = await scrape.ask("127.0.0.1", port)
            took.append(time.perf_counter() - began)
            sizes.append(len(page))
        series = len(scrape.samples(page))
        await asyncio.sleep(1)
    print(f"a scrape: median {statistics.median(took) * 1000:.1f} ms, highest {max(took) * 1000:.0f} ms, "
          f"{series} series, {max(sizes):,} bytes")  # fmt: skip


def drain(folder: Path) -> None:
    with World(folder / "server") as world:
        world.populate("greenhouse", "owner")
        asyncio.run(_drain(folder, world))


async def _drain(folder: Path, world: World) -> None:
    state = folder / "state"
    things = "".join(f'[things.{name}]\ndriver = "simulated"\ninterval = "1s"\n' for name in THINGS)
    (folder / "hub.toml").write_text(world.text(things, state, telemetry='interval = "1s"\nbacklog = 1000000'))
    command = [sys.executable, "-m", "hub", "node", "--simulate", "--config", str(folder / "hub.toml")]
    first = Child(command, folder / "first.log")
    first.wait_for_log("online as")
    async with world.client("owner") as owner:
        await owner.ask(None, "get", "<query xmlns='jabber:iq:roster'/>")
        await owner.befriend(BARE)
        for name in THINGS:
            subscribe = f"<pubsub xmlns='{PUBSUB}'><subscribe node='hub/{name}' jid='{owner.jid}'/></pubsub>"
            while (await owner.ask(BARE, "set", subscribe)).get("type") != "result":
                await asyncio.sleep(0.05)
        await asyncio.sleep(20)
        owner.pending.clear()
        calm = await _arrivals(owner, 10)
        resting = first.memory()["rss"]
        await asyncio.to_thread(first.stop)
        backlog = await asyncio.to_thread(_fill, state)
        owner.pending.clear()
        node = Child(command, folder / "node.log")
        node.wait_for_log("online as")
        began = time.time()
        live: list[float] = []
        highest = 0.0
        while backlog:
            arrived = await _arrivals(owner, 0.05, backlog)
            live += [age for age, moment in arrived if moment > began]
            highest = max(highest, node.memory()["rss"])
            if time.time() - began > 600:
                raise RuntimeError(f"{len(backlog):,} readings have not come: {node.tail()}")
        took = time.time() - began
        print(f"{BACKLOG:,} readings of backlog: {took:.1f} s ({BACKLOG / took:,.0f}/s)")
        for what, ages in (("before", [age for age, _ in calm]), ("meanwhile", live)):
            print(f"age of a live reading at the subscriber, {what}: median {statistics.median(ages) * 1000:.0f} ms, "
                  f"highest {max(ages) * 1000:.0f} ms, of {len(ages)}")  # fmt: skip
        print(f"memory of the node (RSS): {resting:.1f} MiB after half a minute, at most {highest:.1f} MiB meanwhile")
        await asyncio.to_thread(node.stop)


def _fill(state: Path) -> set[tuple[str, int]]:
    """Put the backlog into the outbox of a node that is not running; what is in it."""
    outbox = OutboxStore(state / OUTBOX_FILE)
    run, _ = outbox.begin()
    now = round(time.time() * 1000)
    rows = {run * RUN + n: row(now - (BACKLOG - n) * 50, THINGS[n % len(THINGS)]) for n in range(1, BACKLOG)}
    outbox.apply(rows, (), 0, ())
    outbox.close()
    return {(SHAPES.thing(each.shape), each.at) for each in rows.values()}


async def _arrivals(
    owner: RawClient, seconds: float, backlog: set[tuple[str, int]] | None = None
) -> list[tuple[float, float]]:
    """What arrives in so long and is no backlog: age in seconds and moment."""
    found = []
    end = time.time() + seconds
    while time.time() < end:
        await asyncio.sleep(0.005)
        now = time.time()
        pending, owner.pending[:] = list(owner.pending), []
        for key in (key for stanza in pending for key in readings(stanza)):
            if backlog is not None and key in backlog:
                backlog.discard(key)
            else:
                found.append((now - key[1] / 1000, key[1] / 1000))
    return found


PARTS: dict[str, Callable[[Path], None]] = {part.__name__: part for part in (store, day, writes, memory, drain)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.history", description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    for name in parser.parse_args().only.split(","):
        with tempfile.TemporaryDirectory(prefix="hub-history-") as place:
            PARTS[name](Path(place))
