"""`python -m tests.benchmarks.gateway`: what a gateway costs: time, processor and memory. See the package's text.

Three transports to one real Prosody: "direct" (XML, no gateway), "xml" (passing through the gateway as it is) and "exi"
(translated). They alternate round by round, the first changing with the round; differences and ratios are taken per
round. An exchange is a stanza and what comes back: a ping to the server (XEP-0199), or a message with a reading
(XEP-0323) to oneself. Two stanzas pass the gateway in each.

Parts
* login: from the first byte to the bound resource; EXI with a whole proposal, and by the name of an earlier agreement.
* latency: one exchange at a time. The difference holds the client's own coding and one process more on the way.
* cpu: processor time of the gateway, and of a node's own client (`speaker`), from /proc.
* idle: memory of the gateway with so many connections that are silent, over what it has with none; TLS on both sides,
  one Prosody session each. "Used" is after each has exchanged a few readings: only then do its tables hold anything.
* throughput: many exchanges in flight, from clients that replay bytes (`crowd`). The server and the clients share the
  processors with the gateway; the share of a processor that the gateway got is told, and what follows for a whole one.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks.front import Front
from tests.benchmarks.measure import Child
from tests.benchmarks.table import cell, columns, percentile

MS = 1000.0
US = 1e6
KIB_PER_MIB = 1024.0
TRANSPORTS = ("direct", "xml", "exi")
THROUGH = ("xml", "exi")
BOTH_WAYS = 2  # stanzas of an exchange
AT_ONCE = 8  # logins
IN_FLIGHT = 10
WARM_UP = 300  # exchanges
MANY = 8  # connections that share the load of `throughput`, with IN_FLIGHT each
PINGED = 50  # of the idle connections
SETTLE_S = 2.0
ADDED_BAR_MS = 2.0


@dataclass(frozen=True)
class Effort:
    rounds: int = 8
    exchanges: int = 500
    counted: int = 3000  # exchanges in a round whose processor time is taken
    logins: int = 20
    crowd: tuple[int, ...] = (100, 500, 1000, 2000)
    readings: int = 5  # for each of the idle connections
    load: int = 16_000


QUICK = Effort(rounds=2, exchanges=100, counted=500, logins=2, crowd=(20, 50), readings=2, load=1600)


@dataclass
class Figure:
    """One quantity: a number per round for each transport, and what follows from them round by round."""

    name: str
    unit: str
    values: dict[str, list[float]] = field(default_factory=dict)
    digits: int = 2
    bar: float | None = None
    """What "exi" may be over "direct" at the median."""

    def add(self, transport: str, value: float) -> None:
        self.values.setdefault(transport, []).append(value)

    def over(self, one: str, other: str) -> list[float]:
        """The difference, per round; nothing where they were not measured in pairs."""
        a, b = self.values.get(one, []), self.values.get(other, [])
        return [x - y for x, y in zip(a, b, strict=True)] if len(a) == len(b) else []

    def ratio(self, one: str, other: str) -> list[float]:
        a, b = self.values.get(one, []), self.values.get(other, [])
        return [x / y for x, y in zip(a, b, strict=True)] if len(a) == len(b) and all(b) else []

    def cells(self) -> list[str]:
        verdict = ""
        if self.bar is not None:
            met = statistics.median(self.over("exi", "direct")) <= self.bar
            verdict = f"exi − direct ≤ {self.bar:g} {self.unit}: {'met' if met else 'NOT MET'}"
        base = "direct" if self.values.get("direct") else "xml"
        measured = [cell(self.values.get(transport, []), self.digits) for transport in TRANSPORTS]
        differences = [cell(self.over(each, "direct") if self.unit == "ms" else [], self.digits) for each in THROUGH]
        return [self.name, self.unit, *measured, *differences, cell(self.ratio("exi", base), 2), verdict]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


HEAD = ["measured", "unit", *TRANSPORTS, "xml − direct", "exi − direct", "exi ÷ leftmost", "bar"]


def alternating(rounds: int, transports: Sequence[str] = TRANSPORTS) -> list[str]:
    """Each transport once in every round; who is first changes."""
    count = len(transports)
    return [transports[(number + offset) % count] for number in range(rounds) for offset in range(count)]


def login(front: Front, effort: Effort) -> list[Figure]:
    whole, named = Figure("login", "ms", digits=1), Figure("login, by an earlier agreement", "ms", digits=1)
    with front.gateway() as (_, port), front.crowd(port) as crowd:
        for transport in TRANSPORTS:
            crowd.ask(do="connect", over=transport, count=2, at_once=1)  # everybody has loaded what there is to load
        for transport in alternating(effort.logins):
            whole.add(transport, crowd.ask(do="connect", over=transport, count=1, at_once=1, quick=False)[0] * MS)
            if transport == "exi":
                named.add(transport, crowd.ask(do="connect", over=transport, count=1, at_once=1)[0] * MS)
    named.values["direct"], named.values["xml"] = whole.values["direct"], whole.values["xml"]
    return [whole, named]


def latency(front: Front, effort: Effort) -> list[Figure]:
    figures = []
    with front.gateway() as (_, port), front.crowd(port) as crowd:
        for transport in TRANSPORTS:
            crowd.ask(do="connect", over=transport, count=1, at_once=1)
        for what in ("ping", "reading"):
            middle = Figure(f"{what}: median", "ms", bar=ADDED_BAR_MS)
            high = Figure(f"{what}: p99", "ms")
            for transport in TRANSPORTS:
                crowd.ask(do="exchange", over=transport, what=what, count=WARM_UP, in_flight=1)
            for transport in alternating(effort.rounds):
                done = crowd.ask(do="exchange", over=transport, what=what, count=effort.exchanges, in_flight=1)
                middle.add(transport, statistics.median(done["latencies"]) * MS)
                high.add(transport, percentile(done["latencies"], 0.99) * MS)
            figures += [middle, high]
    return figures


def cpu(front: Front, effort: Effort) -> list[Figure]:
    return [*_cpu_of_gateway(front, effort), _cpu_of_client(front, effort)]


def _cpu_of_gateway(front: Front, effort: Effort) -> list[Figure]:
    figures = []
    with front.gateway() as (gateway, port), front.crowd(port) as crowd:
        for transport in THROUGH:
            crowd.ask(do="connect", over=transport, count=1, at_once=1)
        for what in ("ping", "reading"):
            for in_flight in (1, IN_FLIGHT):
                figure = Figure(f"processor of the gateway per stanza: {what}, {in_flight} in flight", "µs", digits=0)
                for transport in THROUGH:
                    crowd.ask(do="exchange", over=transport, what=what, count=WARM_UP, in_flight=in_flight)
                for transport in alternating(max(2, effort.rounds // 2), THROUGH):
                    before = gateway.cpu()
                    crowd.ask(do="exchange", over=transport, what=what, count=effort.counted, in_flight=in_flight)
                    figure.add(transport, (gateway.cpu() - before) / (effort.counted * BOTH_WAYS) * US)
                figures.append(figure)
    return figures


def _cpu_of_client(front: Front, effort: Effort) -> Figure:
    """A node's client in XML at the server, and in EXI at the gateway, each a process."""
    figure = Figure("processor of a node's client per exchange of a reading", "µs", digits=0)
    with (
        front.gateway() as (_, port),
        front.speaker(front.server.address.port, "off") as plain,
        front.speaker(port, "require") as packed,
    ):
        speakers: dict[str, Child] = {"direct": plain, "exi": packed}
        for speaker in speakers.values():
            speaker.ask(do="exchange", count=WARM_UP, in_flight=IN_FLIGHT)
        for transport in alternating(max(2, effort.rounds // 2), tuple(speakers)):
            speaker = speakers[transport]
            before = speaker.cpu()
            speaker.ask(do="exchange", count=effort.counted, in_flight=IN_FLIGHT)
            figure.add(transport, (speaker.cpu() - before) / effort.counted * US)
    return figure


def idle(front: Front, effort: Effort) -> list[Figure]:
    figures: dict[str, Figure] = {}

    def note(name: str, unit: str, transport: str, value: float, digits: int = 1) -> None:
        figures.setdefault(name, Figure(name, unit, digits=digits)).add(transport, value)

    for transport in THROUGH:
        with front.gateway() as (gateway, port), front.crowd(port) as crowd:
            crowd.ask(do="connect", over=transport, count=3, at_once=1)
            crowd.ask(do="drop", over=transport)
            empty = settled(gateway)
            note("0 idle: memory, PSS", "MiB", transport, empty["pss"])
            present = 0
            for count in effort.crowd:
                before = gateway.cpu()
                took = crowd.ask(do="connect", over=transport, count=count - present, at_once=AT_ONCE, timeout=900)
                spent = (gateway.cpu() - before) / (count - present) * MS
                present = count
                memory = settled(gateway)
                note(f"{count} idle: memory, PSS", "MiB", transport, memory["pss"])
                per_connection = (memory["pss"] - empty["pss"]) / count * KIB_PER_MIB
                note(f"{count} idle: memory per connection", "KiB", transport, per_connection)
                note(f"{count} idle: login, {AT_ONCE} at once", "ms", transport, statistics.median(took) * MS)
                note(f"{count} idle: processor of the gateway per login", "ms", transport, spent, 2)
            before = gateway.cpu()
            time.sleep(effort.rounds)
            note(f"{count} idle: processor", "%", transport, (gateway.cpu() - before) / effort.rounds * 100)
            done = crowd.ask(do="exchange", over=transport, what="ping", count=PINGED, in_flight=1)
            note(f"{count} idle: ping on {PINGED} of them, median", "ms", transport,
                 statistics.median(done["latencies"]) * MS, 2)  # fmt: skip
            note(f"{count} idle: ping on {PINGED} of them, slowest", "ms", transport, max(done["latencies"]) * MS, 2)
            crowd.ask(do="exchange", over=transport, what="reading", count=count * effort.readings,
                      in_flight=IN_FLIGHT, timeout=900)  # fmt: skip
            used = (settled(gateway)["pss"] - empty["pss"]) / count * KIB_PER_MIB
            note(f"{count} used: memory per connection", "KiB", transport, used)
    return list(figures.values())


def settled(gateway: Child) -> dict[str, float]:
    time.sleep(SETTLE_S)
    return gateway.memory()


def throughput(front: Front, effort: Effort) -> list[Figure]:
    rate = Figure("throughput", "stanzas/s", digits=0)
    share = Figure("throughput: processor of the gateway", "%", digits=0)
    whole = Figure("throughput of a whole processor, reckoned", "stanzas/s", digits=0)
    with front.gateway() as (gateway, port), front.crowd(port) as crowd:
        for transport in TRANSPORTS:
            crowd.ask(do="connect", over=transport, count=MANY, at_once=1)
            crowd.ask(do="learn", over=transport)
            crowd.ask(do="flood", over=transport, count=WARM_UP, in_flight=IN_FLIGHT)
        for transport in alternating(max(2, effort.rounds // 2)):
            before = gateway.cpu()
            seconds = crowd.ask(do="flood", over=transport, count=effort.load // MANY, in_flight=IN_FLIGHT)
            used = gateway.cpu() - before
            rate.add(transport, effort.load * BOTH_WAYS / seconds)
            if transport != "direct":
                share.add(transport, used / seconds * 100)
                whole.add(transport, effort.load * BOTH_WAYS / used)
    return [rate, share, whole]


PARTS: dict[str, Callable[[Front, Effort], list[Figure]]] = {
    part.__name__: part for part in (login, latency, cpu, idle, throughput)
}


def form_of(code: Path) -> str:
    """Which form of the codec lies there."""
    asked = [sys.executable, "-c", "import hub.exi; print(hub.exi.compiled)"]
    said = subprocess.run(asked, cwd="/", env={**os.environ, "PYTHONPATH": str(code)}, capture_output=True, check=True)
    return "compiled" if said.stdout.strip() == b"True" else "plain Python"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gateway", description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="little of everything: does it run?")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep every number")
    parser.add_argument("--code", type=Path, default=Path.cwd(), help="where the measured `hub` lies")
    options = parser.parse_args(arguments)
    effort = QUICK if options.quick else Effort()
    code = options.code.resolve()
    codec = form_of(code)
    figures: list[Figure] = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # stopped cleanly too
    with Front(code) as front:
        for name in options.only.split(","):
            print(f"{name} …", file=sys.stderr)
            figures += PARTS[name](front, effort)
    print(columns([HEAD, *(figure.cells() for figure in figures)]))
    print(f"codec: {codec}; medians of rounds (lowest…highest); load {os.getloadavg()[0]:.1f} on {os.cpu_count()} "
          f"processors, Python {platform.python_version()} on {platform.machine()}")  # fmt: skip
    if options.json is not None:
        kept = {"codec": codec, "figures": [figure.to_json() for figure in figures]}
        options.json.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
