"""What a dashboard takes to draw a day, and how much memory it takes.

    python -m tests.benchmarks.dashboard [--only chart,screen,memory]

A node has a day of 1 s data of one field of each of five things in its history: 86,400 readings each.

* chart: how long until the chart of one of them is ready in the dashboard, over a real Prosody, plain XML, TLS: what
  the node takes to read its file (from the same file, by itself), what is transferred, and the whole. A day's chart is
  made of the node's minutes (1,440, with minimum, maximum and mean of 86,400 readings) and of the readings behind the
  last full one; that is what crosses the wire, not 86,400 readings. By itself, the dashboard thins all 86,400 too.
* screen: the same in a browser: `hub dashboard` and a real Chromium, from the click on a tile to the drawn line of the
  day, each time another thing, of which nothing is kept yet; and how long `hub dashboard` takes to end with pages open.
* memory: `hub dashboard` with a node of twenty things: nobody looking, and with pages open in Chromium.

Node, server, dashboard and browser share the processors.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from decimal import Decimal
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from devices.base import ValueType
from hub.dashboard import charts
from hub.dashboard.past import Past
from hub.dashboard.view import Key, Series, Span
from hub.demo.prosody import free_port
from hub.programs.node_telemetry import HISTORY_FILE
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
NAMES = [f"air{number}" for number in range(5)]
KEY = Key(GREENHOUSE, NAMES[0], "temperature")
THING = '[things.{}]\ndriver = "simulated"\nfield = "temperature"\nunit = "°C"\ndecimals = 2\ninterval = "1s"\n'
PAGES = (1, 5)


def fill(state: Path, now: float) -> None:
    """A day of readings of each thing, the newest a second old, as the node would have written them."""
    state.mkdir(parents=True)
    shapes = Shapes()
    start = int(now - READINGS) * 1000
    rows = [
        shapes.row(Reading(NodeRef(name), to_moment(start + second * 1000), (
            Field("temperature", Decimal(2000 + second // 7 % 300).scaleb(-2), ValueType.NUMERIC, unit="°C"),
        )))
        for second in range(READINGS) for name in NAMES
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
    end = 1 << 60
    took = statistics.median(timed(lambda: store.rollups(NAMES[0], Level.MINUTE, 0, end, 2000)) for _ in range(ROUNDS))
    print(f"the node's file: a day's minutes read in {took * 1000:.0f} ms")
    store.close()
    now = time.time()
    points = [charts.single(now - READINGS + second, float(second % 300)) for second in range(READINGS)]
    took = statistics.median(
        timed(lambda: charts.series(points, now - READINGS, now, POINTS, 1, "")) for _ in range(ROUNDS)
    )
    print(f"the dashboard alone: {READINGS:,} points as {POINTS}: {took * 1000:.0f} ms")


def node_with_a_past(folder: Path, world: World) -> Child:
    state = folder / "state"
    if not state.exists():
        fill(state, time.time())
        by_itself(state)
    (folder / "hub.toml").write_text(world.text("".join(map(THING.format, NAMES)), state))
    command = [sys.executable, "-m", "hub", "node", "--simulate", "--config", str(folder / "hub.toml")]
    node = Child(command, folder / "node.log")
    node.wait_for_log("online as")
    return node


async def chart(folder: Path, world: World) -> None:
    node = node_with_a_past(folder, world)
    try:
        async with AsyncExitStack() as stack:
            seen = await stack.enter_async_context(watching(text(world, f'hubs = ["{GREENHOUSE}"]')))
            await seen.online(GREENHOUSE)
            arrived = [0, 0]
            stack.callback(seen.link.client.del_filter, "in", _counting(seen.link.client, arrived))
            for span in Span:
                took: list[float] = []
                ours, nodes = time.process_time(), node.cpu()
                for _ in range(ROUNDS):
                    seen.hubs._past = Past(time.time)  # nothing kept
                    arrived[:] = [0, 0]
                    began = time.perf_counter()
                    series = await seen.hubs.series(KEY, span, POINTS)
                    took.append(time.perf_counter() - began)
                ours, nodes = (time.process_time() - ours) / ROUNDS, (node.cpu() - nodes) / ROUNDS
                again = time.perf_counter()
                await seen.hubs.series(KEY, span, POINTS)
                again = time.perf_counter() - again
                print(f"{span.name.lower()}: {statistics.median(took):.3f} s (lowest {min(took):.3f}, highest "
                      f"{max(took):.3f}) for {len(series.times)} points {_extent(series)}; {arrived[0]} messages with "
                      f"{arrived[1]:,} readings came over the wire; processor: dashboard "
                      f"{ours:.2f} s, node {nodes:.2f} s; again, from what is kept: {again * 1000:.0f} ms"
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


@contextmanager
def dashboard(folder: Path, world: World) -> Iterator[tuple[Child, str]]:
    """The program, online, and its address."""
    listen = f"127.0.0.1:{free_port()}"
    file = folder / "dashboard.toml"
    file.write_text(text(world, f'hubs = ["{GREENHOUSE}"]\nlisten = "{listen}"'))
    page = Child([sys.executable, "-m", "hub", "dashboard", "--config", str(file)], folder / f"{listen}.log",
                 env={"STATE_DIRECTORY": str(folder)})  # fmt: skip
    try:
        page.wait_for_log("online as")
        time.sleep(5)
        yield page, f"http://{listen}/"
    finally:
        page.stop()


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


def screen(folder: Path, world: World) -> None:
    node = node_with_a_past(folder, world)
    try:
        with dashboard(folder, world) as (program, address), chromium() as browser:
            page = browser.new_page()
            began = time.perf_counter()
            page.goto(address)
            buttons = page.get_by_role("button", name="temperature: show its chart")
            buttons.nth(len(NAMES) - 1).wait_for()
            print(f"screen: the page with {len(NAMES)} tiles: {time.perf_counter() - began:.2f} s")
            took = []
            for number in range(len(NAMES)):
                began = time.perf_counter()
                buttons.nth(number).click()
                page.wait_for_selector("dialog[data-drawn]")
                took.append(time.perf_counter() - began)
                page.keyboard.press("Escape")
                page.wait_for_selector("dialog[open]", state="detached")
            print(f"screen: a day's chart, from the click to the line: {statistics.median(took):.2f} s "
                  f"({', '.join(f'{each:.2f}' for each in took)})")  # fmt: skip
            began = time.perf_counter()
            program.process.terminate()
            program.process.wait()
            print(f"screen: it ends with a page open in {time.perf_counter() - began:.2f} s")
    finally:
        node.stop()


def memory(folder: Path, world: World) -> None:
    things = "".join(f'[things.thing{number:02}]\ndriver = "simulated"\ninterval = "1s"\n' for number in range(20))
    (folder / "many.toml").write_text(world.text(things, folder / "many"))
    node = Child([sys.executable, "-m", "hub", "node", "--simulate", "--config", str(folder / "many.toml")],
                 folder / "many.log")  # fmt: skip
    try:
        node.wait_for_log("online as")
        with dashboard(folder, world) as (program, address), chromium() as browser:
            print(f"memory: nobody looking: {program.memory()['rss']:.1f} MiB")
            count = 0
            for wanted in PAGES:
                while count < wanted:
                    page = browser.new_page()
                    page.goto(address)
                    page.get_by_text("thing19").first.wait_for()
                    count += 1
                time.sleep(10)
                print(f"memory: {count} page(s) open, for 10 s: {program.memory()['rss']:.1f} MiB")
    finally:
        node.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="chart,screen,memory")
    only = parser.parse_args().only.split(",")
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as name:
        folder = Path(name)
        with World(folder / "server") as world:
            world.populate("greenhouse", "owner")
            if "chart" in only:
                asyncio.run(chart(folder, world))
            if "screen" in only:
                screen(folder, world)
            if "memory" in only:
                memory(folder, world)


if __name__ == "__main__":
    main()
