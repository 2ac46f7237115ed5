"""What a dashboard takes to draw a day, and how much memory it takes.

    python -m tests.benchmarks.dashboard [--only chart,memory]

* chart: a node has a day of 1 s data of one field in its history, 86,400 readings. How long until the day's chart of
  that field is ready in the dashboard, over a real Prosody, plain XML, TLS: what the node takes to read its file (from
  the same file, by itself), what is transferred, what joining and thinning take, and the whole. The chart is made of
  the node's minutes (1,440, with minimum, maximum and mean of 86,400 readings) and of the readings behind the last full
  one; that is what crosses the wire, not 86,400 readings. By itself, the dashboard thins all 86,400 too.
* memory: `hub dashboard` as a process of its own, with a node of twenty things; once without anybody looking.

Node, server and dashboard share the processors.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path

from devices.base import ValueType
from hub.dashboard import charts
from hub.dashboard.past import Past
from hub.dashboard.view import Key, Series, Span
from hub.demo.prosody import free_port
from hub.node_telemetry import HISTORY_FILE
from hub.telemetry.rollups import Level
from hub.telemetry.rows import Shapes, to_moment
from hub.telemetry.store import Bounds, HistoryStore
from hub.things.model import Field, NodeRef, Reading
from tests.benchmarks.measure import Child
from tests.dashboard.watching import GREENHOUSE, text, watching
from tests.e2e.world import World

READINGS = 86_400
POINTS = 600
ROUNDS = 7
PLENTY = Bounds(31 * Level.DAY, 10**9)
KEY = Key(GREENHOUSE, "air", "temperature")
THINGS = '[things.air]\ndriver = "simulated"\nfield = "temperature"\nunit = "°C"\ndecimals = 2\ninterval = "1s"\n'


def fill(state: Path, now: float) -> None:
    """A day of readings, the newest a second old, as the node would have written them."""
    state.mkdir(parents=True)
    shapes = Shapes()
    start = int(now - READINGS) * 1000
    rows = [
        shapes.row(Reading(NodeRef("air"), to_moment(start + second * 1000), (
            Field("temperature", Decimal(2000 + second // 7 % 300).scaleb(-2), ValueType.NUMERIC, unit="°C"),
        )))
        for second in range(READINGS)
    ]  # fmt: skip
    store = HistoryStore(state / HISTORY_FILE, PLENTY)
    store.open()
    for first in range(0, len(rows), 5000):
        store.write(rows[first : first + 5000], None)
    store.close()


def timed(what: Callable[[], object]) -> float:
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


def by_itself(state: Path) -> None:
    """What does not go over the wire."""
    store = HistoryStore(state / HISTORY_FILE, PLENTY, readonly=True)
    store.open()
    took = statistics.median(timed(lambda: store.rollups("air", Level.MINUTE, 0, 1 << 60, 2000)) for _ in range(ROUNDS))
    print(f"the node's file: a day's minutes read in {took * 1000:.0f} ms")
    store.close()
    now = time.time()
    points = [charts.single(now - READINGS + second, float(second % 300)) for second in range(READINGS)]
    took = statistics.median(
        timed(lambda: charts.series(points, now - READINGS, now, POINTS, 1, "")) for _ in range(ROUNDS)
    )
    print(f"the dashboard alone: {READINGS:,} points as {POINTS}: {took * 1000:.0f} ms")


async def chart(folder: Path, world: World) -> None:
    state = folder / "state"
    fill(state, time.time())
    by_itself(state)
    (folder / "hub.toml").write_text(world.text(THINGS, state))
    command = [sys.executable, "-m", "hub", "node", "--simulate", "--config", str(folder / "hub.toml")]
    node = Child(command, folder / "node.log")
    node.wait_for_log("online as")
    try:
        async with AsyncExitStack() as stack:
            seen = await stack.enter_async_context(watching(text(world, f'hubs = ["{GREENHOUSE}"]')))
            await seen.online(GREENHOUSE)
            arrived = [0, 0]
            stack.callback(seen.link.client.del_filter, "in", _counting(seen.link.client, arrived))
            for span in Span:
                took: list[float] = []
                for _ in range(ROUNDS):
                    seen.hubs._past = Past(time.time)  # nothing kept
                    arrived[:] = [0, 0]
                    began = time.perf_counter()
                    series = await seen.hubs.series(KEY, span, POINTS)
                    took.append(time.perf_counter() - began)
                again = time.perf_counter()
                await seen.hubs.series(KEY, span, POINTS)
                again = time.perf_counter() - again
                print(f"{span.name.lower()}: {statistics.median(took):.3f} s (lowest {min(took):.3f}, highest "
                      f"{max(took):.3f}) for {len(series.times)} points {_extent(series)}; {arrived[0]} messages with "
                      f"{arrived[1]:,} readings came over the wire; again, from what is kept: {again * 1000:.0f} ms"
                      f"{'; ' + series.note if series.note else ''}")  # fmt: skip
    finally:
        node.stop()


def _counting(client: object, arrived: list[int]) -> Callable[[object], object]:
    def count(stanza: object) -> object:
        xml = stanza.xml  # type: ignore[attr-defined]
        stamps = sum(1 for _ in xml.iter("{urn:xmpp:iot:sensordata}timestamp"))
        arrived[0] += bool(stamps)
        arrived[1] += stamps
        return stanza

    client.add_filter("in", count)  # type: ignore[attr-defined]
    return count


def _extent(series: Series) -> str:
    there = [value for value in series.mean if value is not None]
    hours = (series.times[-1] - series.times[0]) / 3600 if series.times else 0
    return f"over {hours:.1f} h ({len(series.mean) - len(there)} gaps)"


def memory(folder: Path, world: World) -> None:
    things = "".join(f'[things.thing{number:02}]\ndriver = "simulated"\ninterval = "1s"\n' for number in range(20))
    (folder / "many.toml").write_text(world.text(things, folder / "many"))
    node = Child([sys.executable, "-m", "hub", "node", "--simulate", "--config", str(folder / "many.toml")],
                 folder / "many.log")  # fmt: skip
    port = free_port()
    (folder / "dashboard.toml").write_text(text(world, f'hubs = ["{GREENHOUSE}"]\nlisten = "127.0.0.1:{port}"'))
    page = None
    try:
        node.wait_for_log("online as")
        page = Child([sys.executable, "-m", "hub", "dashboard", "--config", str(folder / "dashboard.toml")],
                     folder / "dashboard.log")  # fmt: skip
        page.wait_for_log("online as")
        time.sleep(5)
        print(f"memory of the dashboard, nobody looking: {page.memory()['rss']:.1f} MiB")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
            print(f"the page: status {answer.status}, {len(answer.read()):,} bytes")
        time.sleep(2)
        print(f"memory of the dashboard, the page fetched: {page.memory()['rss']:.1f} MiB")
    finally:
        node.stop()
        if page is not None:
            page.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="chart,memory")
    only = parser.parse_args().only.split(",")
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as name:
        folder = Path(name)
        with World(folder / "server") as world:
            world.populate("greenhouse", "owner")
            if "chart" in only:
                asyncio.run(chart(folder, world))
            if "memory" in only:
                memory(folder, world)


if __name__ == "__main__":
    main()
