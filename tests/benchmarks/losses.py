"""Readings lost and readings doubled while node and server are killed (SIGKILL) at random moments under load.

    python -m tests.benchmarks.losses --rounds 100 [--seed 1]

A real Prosody, a node in a process of its own with eight things that publish twenty times a second each, and a
subscriber that writes down every notification. Each round lets them run for a moment and kills one of the two.

* Lost: what the node's outbox had on the disk (its diary says so, see `losses_node`) and the subscriber never got.
* Doubled: what the subscriber got more than once, but for the one item that the server itself repeats to whoever
  subscribes (XEP-0060 section 6.1.7).
* Measured and lost: what was handed to the outbox in the last moment before a kill and never reached the disk or the
  server. It is a few milliseconds' worth and named for the sake of honesty: no program can save it.

PEP tells only who is online, so after the server was killed the node is held back until the subscriber is there again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
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

THINGS = [f"t{number}" for number in range(8)]
THING = '[things.{name}]\ndriver = "simulated"\nkind = "counter"\ninterval = "{interval}"\nchange = {{ value = 0 }}\n'
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

    def __str__(self) -> str:
        kills = ", ".join(f"{who} {count}" for who, count in sorted(self.kills.items()))
        return (f"killed: {kills}; readings {self.measured:,}, of them on the disk of the outbox {self.stored:,}; "
                f"lost {len(self.lost)}, doubled {len(self.doubled)}; measured and lost {self.unstored}")  # fmt: skip


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


class Play:
    def __init__(self, folder: Path, world: World, proxy: Proxy, seed: int) -> None:
        self._folder, self._world, self._proxy = folder, world, proxy
        self._random = random.Random(seed)
        self._diary = folder / "diary"
        self._listener = Listener(world)
        self._node: asyncio.subprocess.Process | None = None
        self.outcome = Outcome()

    async def run(self, rounds: int) -> Outcome:
        await self._start_node("50ms")
        await self._world_befriended()
        await self._listener.begin()
        since = round(time.time() * 1000)
        for number in range(rounds):
            await asyncio.sleep(self._random.uniform(0.5, 3.5))
            victim = self._random.choice(["node", "server"])
            self.outcome.kills[victim] += 1
            await (self._kill_node() if victim == "node" else self._kill_server())
            print(f"  round {number + 1}: {victim}", file=sys.stderr)
        await self._finish(since)
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
        got = self._listener.got
        self.outcome.stored = len(stored)
        self.outcome.lost = sorted(stored - set(got))
        self.outcome.doubled = sorted(key for key, count in got.items() if count > 1 and key[1] >= since)
        measured = self._of_diary("measured", since)
        self.outcome.measured = len(measured)
        self.outcome.unstored = len(measured - stored - set(got))

    def _of_diary(self, what: str, since: int) -> set[Key]:
        lines = (line.split() for line in self._diary.read_text().splitlines())
        return {(thing, int(at)) for kind, thing, at in lines if kind == what and int(at) >= since}

    async def _start_node(self, interval: str) -> None:
        config = self._folder / "hub.toml"
        things = "".join(THING.format(name=name, interval=interval) for name in THINGS)
        text = self._world.text(things, self._folder / "state", port=self._proxy.port)
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

    async def _world_befriended(self) -> None:
        log = self._folder / "node.log"
        await until(lambda: "online as" in log.read_text(), "the node is online")
        async with self._world.client("owner", "first") as owner:
            await owner.ask(None, "get", "<query xmlns='jabber:iq:roster'/>")
            await owner.befriend(BARE)


@contextlib.asynccontextmanager
async def stage(folder: Path, seed: int) -> AsyncIterator[Play]:
    with World(folder / "server") as world:
        world.populate("greenhouse", "owner")
        async with Proxy(world.entrance) as proxy:
            play = Play(folder, world, proxy, seed)
            try:
                yield play
            finally:
                await play.stop_node()


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
    sys.exit(1 if outcome.lost or outcome.doubled else 0)
