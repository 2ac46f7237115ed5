"""What the provisioning server costs: decisions per second, a fleet's first start, its memory.

    python -m tests.benchmarks.provisioning [--things 1000] [--rules 1000] [--decisions 5000] [--rounds 3]

The service is a process as an operator starts it, on SQLite, a component of a private Prosody. The things are a
component of their own (`fleet.localhost`), which may send as any of its JIDs: so a thousand things need no thousand
accounts, and what is measured beside the service is the server's routing and this process's XML.

"uncached": every question is about another person, so nothing but the rules can answer; each is written to the log of
decisions, and who asked about whom to the store. The yardstick is the same stream with pings to the same component,
which slixmpp answers: what of the time is not ours.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree.ElementTree import Element, XMLPullParser

from hub.demo.prosody import Prosody
from hub.provisioning.model import Rule, RuleBook
from hub.provisioning.sql import Limits
from hub.provisioning.sqlite import SqliteStore
from hub.things.questions import Right
from tests.benchmarks.measure import Child

SERVICE, FLEET, SECRET = "provisioning.localhost", "fleet.localhost", "benchmark"
OLD, DISCO = "urn:xmpp:iot:provisioning", "urn:xmpp:iot:discovery"
IN_FLIGHT = 100


class Fleet:
    """A component that sends as any of its JIDs; asyncio streams and ElementTree."""

    def __init__(self) -> None:
        self.notices = 0
        self._waiting: dict[str, float] = {}
        self.latencies: list[float] = []
        self._news = asyncio.Event()
        self.errors = 0

    async def connect(self, port: int) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        self._parser = XMLPullParser(["start", "end"])
        self.write(f"<stream:stream to='{FLEET}' xmlns='jabber:component:accept' "
                   "xmlns:stream='http://etherx.jabber.org/streams'>")  # fmt: skip
        elements = self._events()
        _, root = await anext(elements)
        digest = hashlib.sha1(f"{root.get('id')}{SECRET}".encode()).hexdigest()
        self.write(f"<handshake>{digest}</handshake>")
        event, element = await anext(elements)
        while event != "end":
            event, element = await anext(elements)
        assert element.tag.endswith("handshake"), element.tag
        self._task = asyncio.create_task(self._read(elements))

    def write(self, xml: str) -> None:
        self._writer.write(xml.encode())

    async def _events(self):  # type: ignore[no-untyped-def]  # an async generator of (event, Element)
        while data := await self._reader.read(1 << 16):
            self._parser.feed(data)
            for event in self._parser.read_events():
                yield event

    async def _read(self, events) -> None:  # type: ignore[no-untyped-def]  # as above
        depth = 0
        async for event, element in events:
            depth += 1 if event == "start" else -1
            if event == "end" and depth == 0:
                self._take(element)

    def _take(self, stanza: Element) -> None:
        kind, id_ = stanza.get("type"), stanza.get("id", "")
        if kind == "set":  # a notice: acknowledge it
            self.notices += 1
            self.write(f"<iq type='result' from='{stanza.get('to')}' to='{SERVICE}' id='{id_}'/>")
        elif id_ in self._waiting:
            self.latencies.append(time.perf_counter() - self._waiting.pop(id_))
            self.errors += kind == "error"
        self._news.set()

    async def ask(self, requests: Iterator[tuple[str, str, str]], in_flight: int = IN_FLIGHT) -> float:
        """Requests as (from, type, payload), so many at once; the seconds until all are answered."""
        started = time.perf_counter()
        for number, (sender, kind, payload) in enumerate(requests):
            while len(self._waiting) >= in_flight:
                await self._turn()
            id_ = f"q{number}"
            self._waiting[id_] = time.perf_counter()
            self.write(f"<iq type='{kind}' from='{sender}' to='{SERVICE}' id='{id_}'>{payload}</iq>")
        while self._waiting:
            await self._turn()
        return time.perf_counter() - started

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(300):
            while not condition():
                await self._turn()

    async def _turn(self) -> None:
        self._news.clear()
        await asyncio.wait_for(self._news.wait(), 60)


def thing(number: int) -> str:
    return f"thing{number}@{FLEET}/hub"


def tags(number: int) -> str:
    return f"<str name='SN' value='{number}'/><str name='KEY' value='{number:064d}'/>"


def questions(count: int, things: int, start: int) -> Iterator[tuple[str, str, str]]:
    for number in range(start, start + count):
        asked = f"<canRead xmlns='{OLD}' jid='person{number}@example.org' momentary='true'>"
        yield thing(number % things), "get", f"{asked}<node nodeId='air'/><field name='temperature'/></canRead>"


def pings(count: int, things: int) -> Iterator[tuple[str, str, str]]:
    return ((thing(number % things), "get", "<ping xmlns='urn:xmpp:ping'/>") for number in range(count))


async def add_rules(store: Path, count: int) -> None:
    """So many that are about others and other things, then the one that answers."""
    kept = SqliteStore(store, Limits(rules_per_owner=1_000_000))
    await kept.open()
    others = [
        Rule(Right.READ, True, who=(f"friend{n}@example.org",), things=(f"thing{n}@{FLEET}",)) for n in range(count)
    ]
    answering = Rule(Right.READ, True, who=("*@example.org",), names=("temperature",))
    await kept.replace_rules(RuleBook((*others, answering)))
    await kept.close()


async def measured(options: argparse.Namespace, folder: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    server = Prosody(folder=folder / "prosody", components={SERVICE: SECRET, FLEET: SECRET})
    with server:
        (folder / "secret").write_text(SECRET)
        (folder / "provisioning.toml").write_text(
            f'[provisioning]\njid = "{SERVICE}"\nserver = "127.0.0.1:{server.component_port}"\n'
            f'secret_file = "{folder}/secret"\nstate_dir = "{folder}/state"\nrules_per_owner = 1000000\n'
        )
        command = [sys.executable, "-m", "hub", "provisioning", str(folder / "provisioning.toml")]
        service = Child(command, folder / "log")
        try:
            service.wait_for_log("online as")
            fleet = Fleet()
            await fleet.connect(server.component_port)
            found["memory, empty, MiB"] = round(service.memory()["rss"], 1)
            await start(fleet, service, options, found)
            await add_rules(folder / "state/provisioning.sqlite", options.rules)
            started = time.perf_counter()
            await fleet.until(lambda: fleet.notices >= 3 * options.things)
            found["all told of a change of rules, s"] = round(time.perf_counter() - started, 2)
            await decide(fleet, service, options, found)
            found[f"memory, {options.things} things and {options.rules} rules, MiB"] = round(service.memory()["rss"], 1)
            found["errors"] = fleet.errors
        finally:
            service.stop()
    return found


async def start(fleet: Fleet, service: Child, options: argparse.Namespace, found: dict[str, object]) -> None:
    """A fleet's first start, all at once: registered, claimed, told; and who its server is."""
    things, cpu = range(options.things), service.cpu()
    registrations = ((thing(n), "set", f"<register xmlns='{DISCO}'>{tags(n)}</register>") for n in things)
    found["registered per s"] = round(options.things / await fleet.ask(registrations, options.things))
    friends = ((thing(n), "get", f"<isFriend xmlns='{OLD}' jid='{SERVICE}'/>") for n in things)
    found["first questions per s"] = round(options.things / await fleet.ask(friends, options.things))
    claims = ((f"owner@{FLEET}/phone", "set", f"<mine xmlns='{DISCO}'>{tags(n)}</mine>") for n in things)
    started = time.perf_counter()
    await fleet.ask(claims, 20)
    await fleet.until(lambda: fleet.notices >= 2 * options.things)
    found["claimed and told per s"] = round(options.things / (time.perf_counter() - started))
    found["first start: processor, ms per thing"] = round((service.cpu() - cpu) / options.things * 1000, 2)


async def decide(fleet: Fleet, service: Child, options: argparse.Namespace, found: dict[str, object]) -> None:
    rates, ping_rates, costs, asked = [], [], [], 0
    await fleet.ask(questions(500, options.things, 10_000_000))
    for _ in range(options.rounds):
        ping_rates.append(options.decisions / await fleet.ask(pings(options.decisions, options.things)))
        cpu = service.cpu()
        fleet.latencies.clear()
        rates.append(options.decisions / await fleet.ask(questions(options.decisions, options.things, asked)))
        costs.append((service.cpu() - cpu) / options.decisions * 1000)
        asked += options.decisions
    fleet.latencies.clear()
    await fleet.ask(questions(300, options.things, 20_000_000), in_flight=1)
    found["decisions per s, uncached"] = [round(rate) for rate in rates]
    found["pings per s to the same component"] = [round(rate) for rate in ping_rates]
    found["decision: processor, ms"] = round(statistics.median(costs), 3)
    found["decision alone: median, ms"] = round(statistics.median(fleet.latencies) * 1000, 2)
    rate = statistics.median(rates)
    found["bar: at least 500 per s"] = "met" if rate >= 500 else "NOT MET"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.provisioning", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    for name, default in (("things", 1000), ("rules", 1000), ("decisions", 5000), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep every number")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="hub-bench-") as folder:
        found = asyncio.run(measured(options, Path(folder)))
    for name, value in found.items():
        print(f"{name:<45} {value}")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors, Python {platform.python_version()}")
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
