"""A bounded backlog of readings and the one task that empties it into pubsub.

Rules of this file
* A reading keeps the moment at which it was measured, however late it leaves.
* It leaves the backlog when the service has confirmed it; what is not confirmed is sent again. A service keeps the
  newest only; whoever hears one twice knows it by its moment.
* What the bound pushes out is counted and said.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from hub.errors import PeerError, PeerRefused
from hub.telemetry.pacer import Pacer
from hub.things.model import Answer, Reading, Trouble
from hub.things.thing import Thing

log = logging.getLogger(__name__)

IN_FLIGHT = 16  # publications sent before the first has to be confirmed, of as many things
LOOK_AHEAD = 64  # entries of the backlog looked at for them
RETRY_S = 5.0
PUBLISH_TIMEOUT_S = 30.0
CURRENT, TROUBLE = "current", "trouble"  # item ids

Encode = Callable[[Answer], list[Element]]


@dataclass(frozen=True)
class Entry:
    thing: str
    item: Reading | Trouble

    @property
    def item_id(self) -> str:
        """One for all readings, as a node holds the newest only (XEP-0060, "Singleton Nodes"): a repeat replaces it,
        and what comes again and again costs next to nothing. A trouble has one of its own: it may come with values that
        are good."""
        return CURRENT if isinstance(self.item, Reading) else TROUBLE


class Transport:
    """What the publisher needs of pubsub; the composition root joins it to the services."""

    def __init__(
        self,
        ensure: Callable[[str], Awaitable[None]],
        publish: Callable[[str, str, Element, float], Awaitable[None]],
        encode: Encode,
    ) -> None:
        self.ensure, self.publish, self.encode = ensure, publish, encode


class Publisher:
    """`take` readings as they come; `run` publishes them whenever the link is up."""

    def __init__(self, transport: Transport, bound: int) -> None:
        self._transport = transport
        self._pacers: dict[str, Pacer] = {}
        self._backlog: deque[Entry] = deque()
        self._bound = bound
        self._ready: set[str] = set()
        self._ensuring = asyncio.Lock()
        self._up = asyncio.Event()
        self._work = asyncio.Event()
        self._refused: set[str] = set()
        self._in_flight: list[asyncio.Task[bool]] = []
        self.published = 0
        self.dropped = 0

    @property
    def waiting(self) -> int:
        return len(self._backlog)

    def configure(self, pacers: Mapping[str, Pacer], bound: int) -> None:
        """After a reload: new pacing, and nodes are made and configured again."""
        self._pacers = dict(pacers)
        self._bound = bound
        self._trim()
        self.renew()

    def renew(self) -> None:
        """Nodes are made and configured again, and followers put out, before anything more is published."""
        self._ready.clear()
        self._refused.clear()

    def link_changed(self, up: bool, fresh: bool) -> None:
        if up:
            if fresh:
                self._ready.clear()
                for publication in self._in_flight:
                    publication.cancel()  # asked in a session that is over: its answer will never come
            self._up.set()
        else:
            self._up.clear()

    def take(self, thing: Thing, now: float) -> None:
        """A thing has a new reading or a new trouble: keep it if it is worth publishing."""
        pacer = self._pacers.get(thing.name)
        if pacer is None or not pacer.due(thing, now):
            return
        pacer.published(thing, now)
        if thing.trouble is not None:
            self._backlog.append(Entry(thing.name, thing.trouble))
        # Values that were measured beside a bad one are good; those from before a failure are not news.
        reading = thing.reading()
        if reading is not None and (thing.trouble is None or thing.trouble.timestamp == reading.timestamp):
            self._backlog.append(Entry(thing.name, reading))
        self._trim()
        self._work.set()

    def _trim(self) -> None:
        while len(self._backlog) > max(self._bound, 1):
            self._backlog.popleft()
            self.dropped += 1
            if self.dropped & (self.dropped - 1) == 0:  # said at 1, 2, 4, 8 …
                log.warning("telemetry: the backlog is full (%d); %d readings lost so far", self._bound, self.dropped)

    def _batch(self) -> list[Entry]:
        """The oldest entry of each of several things: two of one thing could overtake each other by a retry, and the
        older one would end as the last item."""
        batch: dict[str, Entry] = {}
        passed_over = []
        for _ in range(min(LOOK_AHEAD, len(self._backlog))):
            entry = self._backlog.popleft()
            if entry.thing in batch or len(batch) == IN_FLIGHT:
                passed_over.append(entry)
            else:
                batch[entry.thing] = entry
        self._backlog.extendleft(reversed(passed_over))
        return list(batch.values())

    async def run(self) -> None:
        while True:
            await self._work.wait()
            await self._up.wait()
            batch = self._batch()
            if not batch:
                self._work.clear()
                continue
            self._in_flight = [asyncio.create_task(self._publish(entry)) for entry in batch]
            try:
                outcomes = await asyncio.gather(*self._in_flight, return_exceptions=True)
            finally:
                self._in_flight = []
            again = []
            for entry, outcome in zip(batch, outcomes, strict=True):
                if isinstance(outcome, Exception):  # one reading must not end the telemetry of all the others
                    log.error("a bug: a reading of %s could not be published", entry.thing, exc_info=outcome)
                    self.dropped += 1
                elif outcome is not True:
                    again.append(entry)
            self._backlog.extendleft(reversed(again))
            self._trim()
            if False in outcomes and self._up.is_set():
                await asyncio.sleep(RETRY_S)

    async def _publish(self, entry: Entry) -> bool:
        """True when the entry is done with: taken, or refused for good."""
        try:
            async with self._ensuring:  # also keeps the entries of a thing in order
                if entry.thing not in self._ready:
                    await self._transport.ensure(entry.thing)
                    self._ready.add(entry.thing)
            if isinstance(entry.item, Reading):
                answer = Answer("0", readings=(entry.item,), done=True)
            else:
                answer = Answer("0", troubles=(entry.item,), done=True)
            payload = self._transport.encode(answer)[0]
            await self._transport.publish(entry.thing, entry.item_id, payload, PUBLISH_TIMEOUT_S)
        except PeerRefused as error:
            return self._was_refused(entry, error)
        except PeerError as error:
            log.debug("telemetry of %s: %s", entry.thing, error)
            return False
        self.published += 1
        self._refused.discard(entry.thing)
        return True

    def _was_refused(self, entry: Entry, error: PeerRefused) -> bool:
        self._ready.discard(entry.thing)  # made and configured again with the next one
        if error.condition in ("item-not-found", "resource-constraint", "remote-server-timeout", "policy-violation"):
            return False
        if entry.thing not in self._refused:
            log.error("telemetry of %s is refused, its readings are dropped: %s", entry.thing, error)
            self._refused.add(entry.thing)
        self.dropped += 1
        return True
