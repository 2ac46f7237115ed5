"""Readings lost and readings doubled while node, server and MQTT broker are killed (SIGKILL) at random moments under
load.

    python -m tests.benchmarks.losses --rounds 100 [--seed 1]

A real Prosody, a real mosquitto, a node in a process of its own with eight things that publish twenty times a second
each, a subscriber that writes down every notification, and somebody who sends ten commands a second over MQTT. Each
round lets them run for a moment and kills one of the three.

* Lost: what the node's outbox had on the disk (its diary says so, see `losses_node`) and the subscriber never got.
* Doubled: what the subscriber got more than once, but for the one item that the server itself repeats to whoever
  subscribes (XEP-0060 section 6.1.7).
* Measured and lost: what was handed to the outbox in the last moment before a kill and never reached the disk or the
  server. It is a few milliseconds' worth and named for the sake of honesty: no program can save it.
* MQTT keeps no queue for who is away; what it promises is the newest state, retained. After every kill, once what was
  killed has been started again, the broker has to come to hold a reading of every thing that was measured since, and at
  the end exactly the newest of all. How long that takes is measured: `behind`.
* Executed twice: commands that reached the output more than once. Each carries a number of its own; whoever sends them
  sends none again (a publisher that repeats an unanswered QoS 1 publication over a new connection commands twice).

PEP tells only who is online, so after the server was killed the node is held back until the subscriber is there again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element

from hub.demo.prosody import end_with_parent
from hub.stanzas.sensor_data_xmpp import NAMESPACE as SENSOR_DATA
from hub.telemetry.rows import to_ms
from hub.things.values import parse_datetime
from tests.e2e.proxy import Proxy
from tests.e2e.raw import RawClient
from tests.e2e.world import World
from tests.helpers import until
from tests.mosquitto import Mosquitto, Onlooker

THINGS = [f"t{number}" for number in range(8)]
THING = '[things.{name}]\ndriver = "simulated"\nkind = "counter"\ninterval = "{interval}"\nchange = {{ value = 0 }}\n'
TARGET = '[things.target]\ndriver = "simulated"\nkind = "types"\ninterval = "1h"\n'
MQTT = """
[mqtt]
broker = "{broker}"
tls = false
base = "hub"
discovery = ""
control_as = "mqtt@localhost"
"""
VICTIMS = ("node", "server", "broker")
COMMAND_EVERY_S = 0.1
TAIL = 65_536  # bytes of the diary: more than the newest reading of every thing takes
PUBSUB = "http://jabber.org/protocol/pubsub"
EVENT = f"{{{PUBSUB}#event}}"
BARE = "greenhouse@localhost"
DRAINED_S = 60.0

Key = tuple[str, int]
"""Thing and moment in milliseconds."""


@dataclass
class Outcome:
    measured: int = 0
    stored: int = 0
    lost: list[Key] = field(default_factory=list)
    doubled: list[Key] = field(default_factory=list)
    unstored: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    commands: int = 0
    executed: int = 0
    twice: list[int] = field(default_factory=list)
    old_topics: list[str] = field(default_factory=list)
    """Of what the broker did not have the newest, at the end."""
    behind: dict[str, list[float]] = field(default_factory=lambda: {victim: [] for victim in VICTIMS})
    """Seconds from the start of what was killed until the broker held new readings of everything."""

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.twice or self.old_topics)

    def __str__(self) -> str:
        kills = ", ".join(f"{who} {count}" for who, count in sorted(self.kills.items()))
        behind = ", ".join(f"{who} {statistics.median(times):.2f} s (highest {max(times):.2f})"
                           for who, times in self.behind.items() if times)  # fmt: skip
        return (f"killed: {kills}; readings {self.measured:,}, of them on the disk of the outbox {self.stored:,}; "
                f"lost {len(self.lost)}, doubled {len(self.doubled)}; measured and lost {self.unstored}\n"
                f"MQTT: topics with old states at the end {len(self.old_topics)}; new states after a kill: {behind}; "
                f"commands {self.commands:,}, executed {self.executed:,}, twice {len(self.twice)}")  # fmt: skip


class Listener:
    """The subscriber over all its sessions: how often each reading came."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.got: Counter[Key] = Counter()
        self.repeated: set[Key] = set()
        """What the server told by itself at the beginning of a session."""
        self._stack = contextlib.AsyncExitStack()
        self._client: RawClient | None = None

    async def begin(self) -> None:
        """A session, subscribed to everything. Nothing may be published meanwhile, but for the first time."""
        self._stack = contextlib.AsyncExitStack()
        self._client = client = await self._stack.enter_async_context(self._world.client("owner"))
        client.write("<presence/>")
        for name in THINGS:
            subscribe = f"<pubsub xmlns='{PUBSUB}'><subscribe node='hub/{name}' jid='{client.jid}'/></pubsub>"
            while (await client.ask(BARE, "set", subscribe)).get("type") != "result":
                await asyncio.sleep(0.05)
        await client.ask(None, "get", "<ping xmlns='urn:xmpp:ping'/>")
        repeated = self._take()
        self.repeated |= set(repeated)
        self.got.update(key for key in repeated if not self.got[key])

    async def end(self) -> None:
        self.listen()
        with contextlib.suppress(OSError):
            await self._stack.aclose()
        self._client = None

    def listen(self) -> None:
        self.got.update(self._take())

    def _take(self) -> list[Key]:
        assert self._client is not None
        pending, self._client.pending[:] = list(self._client.pending), []
        return [key for stanza in pending for key in readings(stanza)]


def readings(stanza: Element) -> list[Key]:
    return [
        (node.get("nodeId", ""), to_ms(parse_datetime(stamp.get("value", ""))))
        for items in stanza.iter(f"{EVENT}items")
        for node in items.iter(f"{{{SENSOR_DATA}}}node")
        for stamp in node.iter(f"{{{SENSOR_DATA}}}timestamp")
    ]


class Commander:
    """Sends numbered commands, each once. A new connection begins with nothing that the one before had to say."""

    def __init__(self, broker: Mosquitto) -> None:
        self._broker = broker
        self._client: Onlooker | None = None
        self.sent = 0

    async def run(self) -> None:
        while True:
            await asyncio.sleep(COMMAND_EVERY_S)
            if self._client is not None:
                self.sent += 1
                self._client.send("hub/target/long/set", str(self.sent), qos=1)

    def begin(self) -> None:
        self._client = Onlooker(self._broker, "hub/status").__enter__()

    def end(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.__exit__()


class Play:
    def __init__(self, folder: Path, world: World, proxy: Proxy, broker: Mosquitto, seed: int) -> None:
        self._folder, self._world, self._proxy, self._broker = folder, world, proxy, broker
        self._commander = Commander(broker)
        self._random = random.Random(seed)
        self._diary = folder / "diary"
        self._listener = Listener(world)
        self._node: asyncio.subprocess.Process | None = None
        self.outcome = Outcome()

    async def run(self, rounds: int) -> Outcome:
        """Each of the three is killed once in three rounds."""
        await self._start_node("50ms")
        await self._world_befriended()
        await self._listener.begin()
        since = round(time.time() * 1000)
        self._commander.begin()
        commanding = asyncio.create_task(self._commander.run())
        kill = {"node": self._kill_node, "server": self._kill_server, "broker": self._kill_broker}
        for number in range(rounds):
            if number % len(VICTIMS) == 0:
                order = self._random.sample(VICTIMS, len(VICTIMS))
            await asyncio.sleep(self._random.uniform(0.5, 3.5))
            victim = order[number % len(VICTIMS)]
            self.outcome.kills[victim] += 1
            await kill[victim]()
            await self._newest_is_there(victim)
            print(f"  round {number + 1}: {victim}", file=sys.stderr)
        commanding.cancel()
        await self._finish(since)
        self._commander.end()
        self._count_commands()
        return self.outcome

    async def _kill_node(self) -> None:
        assert self._node is not None
        self._node.kill()
        await self._node.wait()
        await asyncio.sleep(self._random.uniform(0, 0.3))
        await self._start_node("50ms")

    async def _kill_server(self) -> None:
        self._proxy.refusing = True
        self._world.kill()
        await asyncio.sleep(self._random.uniform(0, 0.5))
        await self._listener.end()
        await asyncio.to_thread(self._world.start)
        await self._listener.begin()
        self._proxy.refusing = False

    async def _kill_broker(self) -> None:
        self._broker.kill()
        await asyncio.to_thread(self._commander.end)
        await asyncio.sleep(self._random.uniform(0, 0.5))
        await asyncio.to_thread(self._broker.start)
        await asyncio.to_thread(self._commander.begin)

    async def _newest_is_there(self, victim: str) -> None:
        """Wait until the broker holds for every thing a reading that was measured from now on."""
        since, began = time.time() * 1000, time.monotonic()
        with Onlooker(self._broker, "hub/+/state") as onlooker:
            await until(lambda: all(_moment(onlooker, name) > since for name in THINGS),
                        f"the broker has the newest after the {victim} was killed", DRAINED_S)  # fmt: skip
        self.outcome.behind[victim].append(time.monotonic() - began)

    def _newest(self) -> dict[str, int]:
        """The moments of the newest readings, by the end of the diary."""
        with self._diary.open("rb") as file:
            file.seek(max(0, self._diary.stat().st_size - TAIL))
            lines = [line.split() for line in file.read().decode().splitlines()[1:]]
        return {line[1]: int(line[2]) for line in lines if line[0] == "measured" and line[1] in THINGS}

    def _count_commands(self) -> None:
        executed = Counter(int(line.split()[2]) for line in self._diary.read_text().splitlines()
                           if line.startswith("executed "))  # fmt: skip
        self.outcome.commands, self.outcome.executed = self._commander.sent, len(executed)
        self.outcome.twice = sorted(number for number, count in executed.items() if count > 1)

    async def _finish(self, since: int) -> None:
        """Stop, and start with things that hardly measure: what waits is sent, and nothing is added."""
        await self.stop_node()
        await self._start_node("1h")
        stored = self._of_diary("stored", since)
        deadline = time.monotonic() + DRAINED_S
        while time.monotonic() < deadline and not stored <= set(self._listener.got):
            await asyncio.sleep(0.1)
            self._listener.listen()
        await asyncio.sleep(1.0)  # for what comes twice
        await self.stop_node()
        await self._listener.end()
        self.outcome.old_topics = await self._old_topics()
        got = self._listener.got
        self.outcome.stored = len(stored)
        self.outcome.lost = sorted(stored - set(got))
        self.outcome.doubled = sorted(key for key, count in got.items() if count > 1 and key[1] >= since)
        measured = self._of_diary("measured", since)
        self.outcome.measured = len(measured)
        self.outcome.unstored = len(measured - stored - set(got))

    async def _old_topics(self) -> list[str]:
        """Of a node that has said goodbye: what the broker holds and should not."""
        newest = self._newest()
        with Onlooker(self._broker, "hub/#") as onlooker:
            await until(lambda: all(onlooker.last(f"hub/{name}/state") for name in THINGS), "a state of every thing")
            await until(lambda: onlooker.last("hub/status"), "the node's own state")
            old = [name for name in THINGS if _moment(onlooker, name) != newest[name]]
            return old + ["status"] * (onlooker.last("hub/status") != "offline")

    def _of_diary(self, what: str, since: int) -> set[Key]:
        lines = (line.split() for line in self._diary.read_text().splitlines())
        return {(thing, int(at)) for kind, thing, at in lines
                if kind == what and thing in THINGS and int(at) >= since}  # fmt: skip

    async def _start_node(self, interval: str) -> None:
        config = self._folder / "hub.toml"
        things = "".join(THING.format(name=name, interval=interval) for name in THINGS)
        control = '"owner@localhost", "mqtt@localhost"'
        more = TARGET + MQTT.format(broker=self._broker.broker)
        text = self._world.text(things + more, self._folder / "state", port=self._proxy.port, control=control)
        await asyncio.to_thread(config.write_text, text)
        with (self._folder / "node.log").open("ab") as log:
            self._node = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.benchmarks.losses_node", str(config), str(self._diary),
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=end_with_parent,
            )  # fmt: skip

    async def stop_node(self) -> None:
        if self._node is not None and self._node.returncode is None:
            self._node.terminate()
            await self._node.wait()

    async def stop(self) -> None:
        self._commander.end()
        await self.stop_node()

    async def _world_befriended(self) -> None:
        log = self._folder / "node.log"
        await until(lambda: "online as" in log.read_text(), "the node is online")
        async with self._world.client("owner", "first") as owner:
            await owner.ask(None, "get", "<query xmlns='jabber:iq:roster'/>")
            await owner.befriend(BARE)


def _moment(onlooker: Onlooker, thing: str) -> int:
    """Of the state that the broker holds, in milliseconds; 0 for none."""
    state = onlooker.last(f"hub/{thing}/state")
    return to_ms(parse_datetime(json.loads(state)["measured"])) if state else 0


@contextlib.asynccontextmanager
async def stage(folder: Path, seed: int) -> AsyncIterator[Play]:
    with World(folder / "server") as world, Mosquitto(folder / "broker") as broker:
        world.populate("greenhouse", "owner")
        async with Proxy(world.entrance) as proxy:
            play = Play(folder, world, proxy, broker, seed)
            try:
                yield play
            finally:
                await play.stop()


async def main(rounds: int, seed: int) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="hub-losses-") as folder:
        async with stage(Path(folder), seed) as play:
            return await play.run(rounds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.losses", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    outcome = asyncio.run(main(options.rounds, options.seed))
    print(outcome)
    sys.exit(0 if outcome.is_clean else 1)
