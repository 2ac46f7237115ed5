"""`python -m tests.benchmarks.node`: a node against the plain slixmpp client and mqtt-io. See the package's text."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.bench import DEVICES, ONLINE, THINGS, Bench
from tests.benchmarks.measure import Child
from tests.benchmarks.mqtt import ONLINE as MQTT_ONLINE
from tests.benchmarks.table import Bar, Row, percentile, show, slope

MS = 1000.0
RSS_BAR = Bar(48)  # with history and outbox; 40 before there were any
LATENCY_BAR = Bar(1.5, of_ratio=True)
GROWTH_BAR = Bar(0.5)
"""MiB over 9,000 readouts. "No growth" needs a resolution: 0.5 MiB is 58 bytes per readout, less than the smallest
object that a readout could leave behind, and above what the allocator wobbles."""

WINDOW = 16  # publications in flight: what the node allows itself
FREEZE_S = 8.0
DRAINED = 2000  # readings counted; fewer than the 20 × 20/s × FREEZE_S that have piled up
WARM_UP = 300  # readouts
SHOWN = (1000, 5000, 10_000)  # readouts after which the memory is shown


@dataclass(frozen=True)
class Effort:
    """How much is done. `settle`, `idle` and `fill` are seconds, the others counts."""

    rounds: int = 8
    readouts: int = 250
    starts: int = 5
    settle: float = 60.0
    idle: float = 30.0
    fill: float = 210.0
    growth: int = 10_000
    drains: int = 3


QUICK = Effort(rounds=2, readouts=100, starts=1, settle=5.0, idle=5.0, fill=0.0, growth=2000, drains=1)


def startup(bench: Bench, effort: Effort) -> list[Row]:
    """From the start of the process until another account sees it available; mqtt-io: until its log says connected."""
    row = Row("start to online", "s", [], [], [], digits=2)
    cpu = Row("processor time to online", "s", [], [], [], digits=2)
    with bench.asker() as asker:
        for number in range(-1, effort.starts):  # the first one makes friends and warms the file cache
            for name, start in (("hub", bench.hub), ("plain", bench.plain)):
                bare = DEVICES[name].partition("/")[0]
                asker.ask(do="forget", jid=bare)
                with start() as child:
                    if number < 0:
                        _settled(name, child)
                        asker.ask(do="befriend", jid=bare)
                    seen = asker.ask(do="seen", jid=bare)
                    took = child.cpu()
                if number >= 0:
                    (row.hub if name == "hub" else row.plain).append(seen - child.started)
                    (cpu.hub if name == "hub" else cpu.plain).append(took)
            with bench.mqtt_io() as mqtt_io:
                if mqtt_io is not None:
                    seconds = mqtt_io.wait_for_log(MQTT_ONLINE)
                    if number >= 0:
                        row.mqtt_io.append(seconds)
                        cpu.mqtt_io.append(mqtt_io.cpu())
    return [row, cpu]


def _settled(name: str, child: Child) -> None:
    if name == "hub":
        child.wait_for_log(ONLINE)
    else:
        child.answer()


def memory(bench: Bench, effort: Effort) -> list[Row]:
    """After a minute of sampling and 200 readouts; the yardstick has answered as many. Idle processor time too."""
    rows = {kind: Row(f"memory, {kind.upper()}", "MiB", [], [], []) for kind in ("rss", "pss", "uss")}
    rows["rss"].bar = RSS_BAR
    idle = Row(f"idle processor, over {effort.idle:g} s", "%", [], [], [], digits=2)
    with bench.devices() as (hub, plain, asker), bench.mqtt_io() as mqtt_io:
        before_work = [hub.memory()["rss"]], [plain.memory()["rss"]]
        connected = Row("memory, RSS, connected, not asked yet", "MiB", *before_work)
        time.sleep(effort.settle)
        for jid in DEVICES.values():
            asker.ask(do="read", to=jid, nodes=[], count=200, in_flight=1)
        for kind, row in rows.items():
            row.hub.append(hub.memory()[kind])
            row.plain.append(plain.memory()[kind])
            if mqtt_io is not None:
                row.mqtt_io.append(mqtt_io.memory()[kind])
        measured = [(idle.hub, hub), (idle.plain, plain), *([(idle.mqtt_io, mqtt_io)] if mqtt_io else [])]
        before = [child.cpu() for _, child in measured]
        time.sleep(effort.idle)
        for (into, child), used in zip(measured, before, strict=True):
            into.append((child.cpu() - used) / effort.idle * 100)
    return [connected, *rows.values(), idle]


def readout(bench: Bench, effort: Effort) -> list[Row]:
    """The same client asks hub and yardstick in turn, round after round, who is first changing with the round."""
    rows: list[Row] = []
    with bench.devices() as (_, _, asker):
        for jid in DEVICES.values():
            asker.ask(do="read", to=jid, nodes=THINGS[:1], count=WARM_UP, in_flight=1)
        for what, nodes in (("1 field", THINGS[:1]), ("20 things", [])):
            for in_flight in (1, 10):
                rows += _readout(asker, f"readout of {what}, {in_flight} in flight", nodes, in_flight, effort)
    return rows


def _readout(asker: Child, name: str, nodes: list[str], in_flight: int, effort: Effort) -> list[Row]:
    median = Row(f"{name}: median", "ms", [], [], digits=2, bar=LATENCY_BAR)
    high = Row(f"{name}: p99", "ms", [], [], digits=2)
    rate = Row(f"{name}: rate", "1/s", [], [], digits=0)
    for number in range(effort.rounds):
        order = list(DEVICES)
        for device in order if number % 2 else reversed(order):
            done = asker.ask(do="read", to=DEVICES[device], nodes=nodes, count=effort.readouts, in_flight=in_flight)
            latencies = done["latencies"]
            for row, value in (
                (median, statistics.median(latencies) * MS),
                (high, percentile(latencies, 0.99) * MS),
                (rate, len(latencies) / done["seconds"]),
            ):
                (row.hub if device == "hub" else row.plain).append(value)
    return [median, high, rate]


def cpu(bench: Bench, effort: Effort) -> list[Row]:
    """Processor time of the answering process alone: what is left when server and client are taken away."""
    rows = []
    count = effort.readouts * 4
    with bench.devices() as (hub, plain, asker):
        for what, nodes in (("1 field", THINGS[:1]), ("20 things", [])):
            row = Row(f"processor per 1,000 readouts of {what}", "s", [], [], digits=2)
            for _ in range(max(2, effort.rounds // 2)):
                for device, child, into in (("hub", hub, row.hub), ("plain", plain, row.plain)):
                    before = child.cpu()
                    asker.ask(do="read", to=DEVICES[device], nodes=nodes, count=count, in_flight=1)
                    into.append((child.cpu() - before) / count * 1000)
            rows.append(row)
    return rows


def telemetry(bench: Bench, effort: Effort) -> list[Row]:
    """Readings per second that reach a subscriber. The hub samples 400 readings/s all the time; the server is frozen
    until thousands have piled up, and what comes when it thaws is the rate at which the hub can publish."""
    row = Row(f"telemetry, {WINDOW} in flight", "readings/s", [], [], digits=0)
    steady = Row("telemetry, of 400 sampled per second", "readings/s", [], digits=0)
    nodes = [f"hub/{name}" for name in THINGS]
    for number in range(effort.drains):
        with bench.asker() as asker:
            with bench.hub(fast=True) as hub:
                hub.wait_for_log(ONLINE)
                asker.ask(do="subscribe", jid="hub@localhost", nodes=nodes)
                arrived = asker.ask(do="count", seconds=5, at_most=100_000)
                steady.hub.append(len(arrived) / 5)
                bench.server.freeze()
                time.sleep(FREEZE_S)
                bench.server.thaw()
                row.hub.append(_rate(asker.ask(do="count", seconds=20, at_most=DRAINED)))
            with bench.plain() as plain:
                plain.answer()
                if number == 0:
                    plain.ask(do="create", nodes=nodes)
                asker.ask(do="subscribe", jid="plain@localhost", nodes=nodes)
                plain.tell(do="publish", nodes=nodes, count=DRAINED + 200, window=WINDOW)
                row.plain.append(_rate(asker.ask(do="count", seconds=20, at_most=DRAINED)))
                plain.answer()
    return [row, steady]


def _rate(arrived: list[float]) -> float:
    """The first few may have waited in the server."""
    arrived = arrived[WINDOW * 2 :]
    return (len(arrived) - 1) / (arrived[-1] - arrived[0])


def growth(bench: Bench, effort: Effort) -> list[Row]:
    """Memory over many readouts, ten in flight. The histories of the things fill for 200 s after the start; that is
    waited for, so that what grows afterwards grows with the readouts. `--quick` does not wait: its figure means
    nothing."""
    rows = []
    with bench.devices() as (hub, plain, asker):
        time.sleep(max(0.0, hub.started + effort.fill - time.perf_counter()))
        for nodes, what in ((THINGS[:1], "1 field"), ([], "20 things")):
            for jid in DEVICES.values():
                asker.ask(do="read", to=jid, nodes=nodes, count=1000, in_flight=10)
            name = f"growth over 9,000 readouts of {what}, fitted"
            row = Row(name, "MiB", [], [], digits=3, paired=False, bar=GROWTH_BAR)
            for device, child, into in (("hub", hub, row.hub), ("plain", plain, row.plain)):
                points = [(1000.0, child.memory()["rss"])]
                while points[-1][0] < effort.growth:
                    asker.ask(do="read", to=DEVICES[device], nodes=nodes, count=500, in_flight=10)
                    points.append((points[-1][0] + 500, child.memory()["rss"]))
                into.append(slope(points) * 9000)
                shown = ", ".join(f"{n:,.0f}: {mib:.2f}" for n, mib in points if n in SHOWN)
                print(f"  {device}, RSS in MiB after so many readouts of {what}: {shown}", file=sys.stderr)
            rows.append(row)
    return rows


PARTS: dict[str, Callable[[Bench, Effort], list[Row]]] = {
    part.__name__: part for part in (startup, memory, readout, cpu, telemetry, growth)
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.node", description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="little of everything: does it run?")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep every number")
    parser.add_argument("--mqtt-io", metavar="PYTHON", help="an interpreter that has mqtt-io")
    parser.add_argument("--code", type=Path, default=Path.cwd(), help="where the measured `hub` lies")
    options = parser.parse_args(arguments)
    effort = QUICK if options.quick else Effort()
    rows: list[Row] = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # stopped cleanly too
    with Bench(options.code.resolve(), options.mqtt_io) as bench:
        for name in options.only.split(","):
            print(f"{name} …", file=sys.stderr)
            rows += PARTS[name](bench, effort)
    print(show(rows))
    print(f"medians of rounds (lowest…highest); load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors, "
          f"Python {platform.python_version()} on {platform.machine()}")  # fmt: skip
    if options.json is not None:
        options.json.write_text(json.dumps([row.to_json() for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
