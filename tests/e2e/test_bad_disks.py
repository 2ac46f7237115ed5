"""A disk that is full, read-only or has broken files on it: said, shown, and everything goes on that needs no disk."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import datetime as dt
import io
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from devices.base import ValueType
from hub.demo.prosody import free_port
from hub.programs.node_telemetry import HISTORY_FILE, OUTBOX_FILE
from hub.telemetry.rollups import Level
from hub.telemetry.rows import Shapes
from hub.telemetry.store import Bounds, HistoryStore
from hub.things.memory import OutputMemory
from hub.things.model import Field, NodeRef, Reading
from hub.things.values import parse_datetime
from tests.benchmarks.losses import BARE, PUBSUB, readings
from tests.helpers import until
from tests.metrics.scrape import Samples, ask, samples

from .commands import OLD, command
from .node_process import NodeProcess, node_process
from .raw import RawClient, condition, error_text
from .readings import OLD as OLD_DATA
from .readings import nodes, read
from .small_disk import SmallDisk
from .world import HUB, World

THINGS = """
[history]
flush = "1s"
[metrics]
listen = "127.0.0.1:{port}"
[things.air]
driver = "simulated"
kind = "counter"
interval = "50ms"
change = {{ value = 0 }}
[things.pump]
driver = "relay"
pin = 17
boot = "on"
[things.lamp]
driver = "relay"
pin = 27
boot = "restore"
[things.fan]
driver = "relay"
pin = 22
safe = "keep"
"""
STORES = ("history", "outbox", "audit", "outputs")
SAID = ("no history can be written", "the outbox cannot be written", "audit.jsonl: cannot be written",
        "outputs.json cannot be written")  # fmt: skip
AGAIN = ("history is written again", "the outbox is written again", "audit.jsonl: is written again")
EARLIER = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("server")) as world:
        yield world.populate("greenhouse", "owner")


@dataclass
class Site:
    """A node in a process of its own, and its owner, who follows `air`."""

    node: NodeProcess
    owner: RawClient
    port: int
    config: Path
    asked: int = 0
    answered: Counter[str] = field(default_factory=Counter)

    async def metrics(self) -> Samples:
        return samples((await ask("127.0.0.1", self.port))[1])

    async def troubles(self) -> set[str]:
        """The stores that cannot be written, as a scrape tells."""
        found = await self.metrics()
        return {store for store in STORES if found["hub_store_trouble", (store,)]}

    async def until_troubles_are(self, *stores: str) -> None:
        """Each of them has been seen. A full disk lets a file be written again where it has been written before: what
        is in trouble need not be all the time."""
        seen: set[str] = set()
        async with asyncio.timeout(20):
            while not set(stores) <= seen:
                seen |= await self.troubles()
                await asyncio.sleep(0.1)
        assert seen <= set(STORES)

    async def until_well(self) -> None:
        async with asyncio.timeout(20):
            while await self.troubles():
                await asyncio.sleep(0.1)

    async def switch(self, name: str, value: str) -> str:
        """What was answered: empty when it was done, else the text of the error."""
        answer = await self.owner.ask(HUB, "set", command(OLD, (name,), ("boolean", "output", value)))
        text = "" if answer.get("type") == "result" else error_text(answer) or condition(answer)
        self.answered["refused" if "cannot log" in text else "failed" if text else "done"] += 1
        return text

    async def outputs(self) -> dict[str, str]:
        """As they are read back."""
        found = {}
        for name in ("pump", "lamp", "fan"):
            self.asked += 1
            readout = await read(self.owner, OLD_DATA, self.asked, "momentary='true'", nodes(OLD_DATA, name))
            found[name] = readout.value("output") == "true"
        return found

    async def hears_of_what_is_measured_now(self) -> None:
        now = time.time() * 1000
        self.owner.pending.clear()
        await until(lambda: any(at > now for each in self.owner.pending for _, at in readings(each)), "new readings")


@contextlib.asynccontextmanager
async def site(world: World, tmp_path: Path, state: Path, disk: SmallDisk | None = None) -> AsyncIterator[Site]:
    port, config = free_port(), tmp_path / "hub.toml"
    config.write_text(world.text(THINGS.format(port=port), state))
    process = node_process(config, Path(os.devnull), within=disk.within if disk else ())
    async with world.client("owner") as owner, process as node:
        if disk is not None:
            disk.belongs_to(node.process)
        await owner.ask(None, "get", "<query xmlns='jabber:iq:roster'/>")
        owner.write("<presence/>")
        await owner.befriend(BARE)
        subscribe = f"<pubsub xmlns='{PUBSUB}'><subscribe node='hub/air' jid='{owner.jid}'/></pubsub>"
        while (await owner.ask(BARE, "set", subscribe)).get("type") != "result":
            await asyncio.sleep(0.05)
        yield Site(node, owner, port, config)


@pytest.fixture
def seed(tmp_path: Path) -> Path:
    """What an earlier run has left: a little history, and a lamp that was on."""
    folder = tmp_path / "seed"
    store = HistoryStore(folder / HISTORY_FILE, Bounds(365 * Level.DAY, 10**7))
    value = Field("value", 1, ValueType.LONG)
    store.write([Shapes().row(Reading(NodeRef("air"), EARLIER, (value,)))], None)
    store.close()
    OutputMemory(folder / "outputs.json").remember("lamp", {"output": True})
    return folder


async def refused_in_every_store(site: Site, keep_full: Callable[[], None], is_full: bool) -> None:
    """What holds while nothing can be written. A disk is not full for ever: a database that is closed gives room back,
    and whoever comes first has it. So a command may be logged and done; it is never done and not logged."""
    await site.until_troubles_are("history", "outbox")  # the others are found out when they are needed
    for name, value in (("fan", "true"), ("fan", "false"), ("pump", "true")):  # off is no safe state of the fan
        for _ in range(100):
            keep_full()
            before = await site.outputs()
            if answer := await site.switch(name, value):
                break
        assert "cannot log commands right now" in answer and await site.outputs() == before
    assert await site.switch("pump", "false") == "", "into the safe state, always"
    keep_full()
    answer = await site.switch("lamp", "false")
    assert "done, but it cannot be remembered" in answer or (is_full and not answer)
    found = await site.outputs()
    assert not found["pump"] and not found["lamp"]
    await site.until_troubles_are("history", "outbox", "audit", *(["outputs"] if answer else []))
    before_s = (await site.metrics())["hub_thing_read_seconds_count", ("air",)]
    await site.hears_of_what_is_measured_now()
    async with asyncio.timeout(20):  # the page is the same for a second
        while (metrics := await site.metrics())["hub_thing_read_seconds_count", ("air",)] <= before_s:
            await asyncio.sleep(0.1)
    assert metrics["hub_thing_up", ("air",)] == 1
    for what in ("done", "refused", "failed"):
        assert metrics.get(("hub_commands_total", (what,)), 0) == site.answered[what]
    said = [site.node.said.count(line) for line in SAID]
    assert said[0] == said[1] == 1 <= said[2] and said[3] == bool(answer), site.node.said


async def written_again_everywhere(site: Site) -> None:
    for line in AGAIN:
        await site.node.says(line)
    assert await site.switch("pump", "true") == "" and await site.switch("lamp", "true") == ""
    found = await site.outputs()
    assert found["pump"] and found["lamp"]
    await site.until_well()
    await site.hears_of_what_is_measured_now()


def remembered(disk: SmallDisk, config: Path) -> list[dt.datetime]:
    """What stands in the file of the history of the counter."""
    hub = disk.run(sys.executable, "-m", "hub", "history", "air", "--local", str(config), "--format", "csv")
    return [parse_datetime(line["time"]) for line in csv.DictReader(io.StringIO(hub.stdout))]


@pytest.mark.parametrize("how", ["full", "read-only"])
async def test_a_disk_that_takes_nothing_and_is_mended(world: World, tmp_path: Path, seed: Path, how: str) -> None:
    disk = SmallDisk(tmp_path / "state", seed, writable=how == "full")
    async with site(world, tmp_path, disk.folder, disk) as place:
        if how == "full":
            assert await place.switch("fan", "true") == "" == await place.switch("fan", "false")
            await until(lambda: (disk.seen / OUTBOX_FILE).exists() and (disk.seen / HISTORY_FILE).exists(), "files")
        began = dt.datetime.now(dt.UTC)
        keep_full = disk.fill if how == "full" else lambda: None
        keep_full()
        await refused_in_every_store(place, keep_full, how == "full")
        ended = dt.datetime.now(dt.UTC)
        stats = disk.run(sys.executable, "-m", "hub", "history", "stats", "--local", str(place.config))
        assert how.upper() in stats.stdout + stats.stderr or not disk.is_real, stats
        disk.mend()
        await written_again_everywhere(place)
        async with asyncio.timeout(20):  # what was measured meanwhile waited in memory
            while not any(began < moment < ended for moment in await asyncio.to_thread(remembered, disk, place.config)):
                await asyncio.sleep(0.2)


async def test_broken_files_are_moved_aside_and_everything_begins_anew(world: World, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    for name in (HISTORY_FILE, OUTBOX_FILE, "outputs.json", "audit.jsonl", "audit.seal"):
        (state / name).write_bytes(b"\xff\x00 no file of ours " * 500)
    async with site(world, tmp_path, state) as place:
        await place.hears_of_what_is_measured_now()
        assert await place.switch("pump", "false") == "" == await place.switch("fan", "true")
        assert await place.switch("lamp", "true") == ""
        await place.until_well()
        await until(lambda: place.node.said.count("is broken (") == 2, "both databases")
        async with asyncio.timeout(20):
            while not all([(await place.metrics())["hub_store_replaced_total", (store,)] for store in STORES[:2]]):
                await asyncio.sleep(0.1)
        assert place.node.said.count("outputs.json cannot be used") == 1
    assert len(list(state.glob("*.broken*"))) == 3
    assert b"no file of ours" in (state / "audit.jsonl").read_bytes(), "what a log held is never thrown away"
