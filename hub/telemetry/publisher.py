"""Readings on their way into pubsub: live ones first, and behind them what could not leave in its time.

Rules of this file
* A reading keeps the moment at which it was measured, however late it leaves.
* It stays in the outbox until the service has confirmed it; what is not confirmed is sent again, over restarts too.
  Of a thing one publication is under way at a time. So when an answer does not come, the newest items of its node tell
  whether it had arrived: it is not sent twice.
* What is measured while the link is up is live: each reading an item of its own, one after the other, and before
  everything else. What has waited for `LIVE_WAIT_S`, or was measured while the link was down, is backlog: as many
  readings of a thing in one item as a message holds, the oldest first, one item at a time, and as long a pause after
  each as it took: the backlog takes half of the link at most.
* What the bound of the outbox pushes out, and what the service refuses for good, is counted and said.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from xml.etree.ElementTree import Element

from hub.errors import BadRequest, PeerError, PeerRefused
from hub.telemetry.outbox import Entry, Moment, Outbox, moment_of
from hub.telemetry.pacer import Pacer
from hub.things.model import Answer, Reading, Trouble
from hub.things.readout import PART_FIELDS
from hub.things.thing import Thing

log = logging.getLogger(__name__)

IN_FLIGHT = 16  # publications sent before the first has to be confirmed, of as many things
LIVE_BOUND = 256  # live readings in memory; more are backlog at once
LIVE_WAIT_S = 1.0
LOOK_S = 0.2  # how long live readings wait at most while the backlog is looked through
RETRY_S = 5.0
PUBLISH_TIMEOUT_S = 30.0
CURRENT, TROUBLE = "current", "trouble"  # item ids
PASSING = ("item-not-found", "resource-constraint", "remote-server-timeout", "policy-violation")

Encode = Callable[[Answer], list[Element]]
Decode = Callable[[Element], Answer | None]


@dataclass(frozen=True)
class Transport:
    """What the publisher needs of pubsub; the composition root joins it to the services. `newest` tells the newest
    items of a thing's node."""

    ensure: Callable[[str], Awaitable[None]]
    publish: Callable[[str, str, Element, float], Awaitable[None]]
    newest: Callable[[str], Awaitable[list[Element]]]
    encode: Encode
    decode: Decode


@dataclass(frozen=True, slots=True)
class Parcel:
    """Entries of one thing that travel in one item."""

    entries: tuple[Entry, ...]
    live: bool
    since: float

    @property
    def thing(self) -> str:
        return self.entries[0].thing

    @property
    def item_id(self) -> str:
        """Live, one for all readings, as a node holds the newest only (XEP-0060, "Singleton Nodes"): a repeat replaces
        it, and what comes again and again costs next to nothing. A trouble has one of its own: it may come with values
        that are good. What comes later has a name of its own."""
        if not self.live:
            return self.entries[0].name
        return CURRENT if isinstance(self.entries[0].item, Reading) else TROUBLE

    @property
    def answer(self) -> Answer:
        items = [entry.item for entry in self.entries]
        return Answer("0", tuple(item for item in items if isinstance(item, Reading)),
                      tuple(item for item in items if isinstance(item, Trouble)), done=True)  # fmt: skip


class Publisher:
    """`take` readings as they come; `run` publishes them whenever the link is up."""

    def __init__(self, transport: Transport, outbox: Outbox) -> None:
        self._transport = transport
        self._outbox = outbox
        outbox.held = self._held
        self._pacers: dict[str, Pacer] = {}
        self._live: deque[Parcel] = deque()
        self._busy: dict[str, tuple[Parcel, asyncio.Task[None]]] = {}
        self._drain: asyncio.Task[None] | None = None
        self._backlog_at = self._resume_at = self._looks_until = 0.0
        self._ready: set[str] = set()
        self._ensuring = asyncio.Lock()
        self._up = False
        self._work = asyncio.Event()
        self._refused: set[str] = set()
        self._in_doubt: set[str] = set()
        self._all_in_doubt = False
        self._sure: set[str] = set()
        self._newest: dict[str, Reading | Trouble] = {}
        self.published = 0
        self._lost = 0

    @property
    def waiting(self) -> int:
        """Readings that have not been confirmed."""
        return self._outbox.waiting

    @property
    def in_flight(self) -> int:
        return len(self._busy)

    @property
    def dropped(self) -> int:
        return self._lost + self._outbox.dropped

    def configure(self, pacers: Mapping[str, Pacer], bound: int) -> None:
        """After a reload: new pacing, and nodes are made and configured again."""
        self._pacers = dict(pacers)
        self._outbox.bound = bound
        self._outbox.trim()
        self.renew()

    def renew(self) -> None:
        """Nodes are made and configured again, and followers put out, before anything more is published."""
        self._ready.clear()
        self._refused.clear()

    def link_changed(self, up: bool, fresh: bool) -> None:
        self._up = up
        if up and fresh:
            self._ready.clear()
            for _, task in self._busy.values():
                task.cancel()  # asked in a session that is over: its answer will never come
        if not up:
            self._live.clear()  # it is backlog now
        self._work.set()

    def take(self, thing: Thing, now: float) -> None:
        """A thing has a new reading or a new trouble: keep it if it is worth publishing."""
        pacer = self._pacers.get(thing.name)
        if pacer is None or not pacer.due(thing, now):
            return
        pacer.published(thing, now)
        if thing.trouble is not None:
            self._put(thing.trouble)
        # Values that were measured beside a bad one are good; those from before a failure are not news.
        reading = thing.reading()
        if reading is not None and (thing.trouble is None or thing.trouble.timestamp == reading.timestamp):
            self._put(reading)

    def _put(self, item: Reading | Trouble) -> None:
        entry = self._outbox.put(item)
        if self._up and len(self._live) < LIVE_BOUND:
            self._live.append(Parcel((entry,), True, asyncio.get_running_loop().time()))
        self._work.set()

    def _held(self) -> Collection[int]:
        """What is under way, or about to be."""
        under_way = (parcel for parcel, _ in self._busy.values())
        return {entry.seq for parcel in (*self._live, *under_way) for entry in parcel.entries}

    # ------------------------------------------------------------------ what goes next

    async def run(self) -> None:
        self._all_in_doubt = self.waiting > 0  # from before the start; whatever was sent then may have arrived
        try:
            while True:
                await self._work.wait()
                self._work.clear()
                if self._up:
                    self._start(asyncio.get_running_loop().time())
        finally:
            tasks = [task for _, task in self._busy.values()] + ([self._drain] if self._drain else [])
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, now: float) -> None:
        if now < self._resume_at:
            return self._wake_at(self._resume_at)
        while self._live and now - self._live[0].since > LIVE_WAIT_S:
            self._live.popleft()
        # Before the live ones, and they wait while it looks: else a thing that is always busy would never get to it.
        if self._drain is None and self._outbox.waiting > len(self._held()):
            if now < self._backlog_at:
                self._wake_at(self._backlog_at)
            else:
                self._looks_until = now + LOOK_S
                self._drain = asyncio.create_task(self._next_of_the_backlog(now))
                self._drain.add_done_callback(self._drained)
        if now < self._looks_until:
            return self._wake_at(self._looks_until)
        passed_over: list[Parcel] = []
        waiting: set[str] = set()
        while self._live and len(self._busy) < IN_FLIGHT:
            parcel = self._live.popleft()
            if parcel.thing in self._busy or parcel.thing in waiting:
                waiting.add(parcel.thing)
                passed_over.append(parcel)
            else:
                self._send(parcel)
        self._live.extendleft(reversed(passed_over))

    def _wake_at(self, moment: float) -> None:
        asyncio.get_running_loop().call_at(moment, self._work.set)

    async def _next_of_the_backlog(self, began: float) -> None:
        loop = asyncio.get_running_loop()
        entries = await self._outbox.batch(self._held(), set(self._busy), PART_FIELDS)
        self._looks_until = 0.0
        held = self._held()
        entries = [entry for entry in entries if entry.seq not in held]
        if not entries or entries[0].thing in self._busy or not self._up:
            if not self._busy:
                self._backlog_at = loop.time() + RETRY_S  # counted, and not found
            return
        parcel = Parcel(tuple(entries), False, began)
        sending = self._send(parcel)
        self._work.set()  # live ones of other things need not wait any longer
        await asyncio.shield(sending)
        self._backlog_at = 2 * loop.time() - began
        await self._outbox.settle()  # what has left is not found again
        newest = self._newest.get(parcel.thing)
        if newest is not None and newest.timestamp > entries[-1].item.timestamp and parcel.thing in self._pacers:
            self._pacers[parcel.thing].renew()  # the newest item of the node is an old one: have a new one follow

    def _drained(self, task: asyncio.Task[None]) -> None:
        self._drain = None
        if not task.cancelled() and task.exception() is not None:
            log.error("a bug: the backlog could not be read", exc_info=task.exception())
            self._backlog_at = asyncio.get_running_loop().time() + RETRY_S
        if self._outbox.waiting > len(self._held()) and not self._busy:
            self._work.set()

    # ------------------------------------------------------------------ one publication

    def _send(self, parcel: Parcel) -> asyncio.Task[None]:
        task = asyncio.create_task(self._deliver(parcel))
        self._busy[parcel.thing] = (parcel, task)
        return task

    async def _deliver(self, parcel: Parcel) -> None:
        done, left = False, parcel.entries
        try:
            left = await self._unarrived(parcel)
            done = not left or await self._publish(replace(parcel, entries=left))
        except PeerError as error:
            log.debug("telemetry of %s: %s", parcel.thing, error)
        except Exception:  # one reading must not end the telemetry of all the others
            log.exception("a bug: a reading of %s could not be published", parcel.thing)
            self._lost += len(left)
            done = True
        finally:
            del self._busy[parcel.thing]
            if done:
                self._outbox.release(entry.seq for entry in left)
            elif parcel.live and self._up:
                self._live.appendleft(parcel)
            self._work.set()
        if not done and self._up:
            self._resume_at = asyncio.get_running_loop().time() + RETRY_S

    async def _publish(self, parcel: Parcel) -> bool:
        """True when the parcel is done with: taken, or refused for good. Raises PeerError when nothing is known."""
        thing = parcel.thing
        try:
            async with self._ensuring:
                if thing not in self._ready:
                    await self._transport.ensure(thing)
                    self._ready.add(thing)
            await self._outbox.settle()  # of a thing, at most one publication may be in doubt
            payload = self._transport.encode(parcel.answer)[0]
            self._in_doubt.add(thing)
            await self._transport.publish(thing, parcel.item_id, payload, PUBLISH_TIMEOUT_S)
        except PeerRefused as error:
            if error.condition != "remote-server-timeout":  # that may come from the way back
                self._in_doubt.discard(thing)
            return self._was_refused(parcel, error)
        self._in_doubt.discard(thing)
        self._refused.discard(thing)
        self._have_arrived(parcel.entries)
        return True

    async def _unarrived(self, parcel: Parcel) -> tuple[Entry, ...]:
        """What of a parcel has to be sent. What of its thing has arrived although nobody said so is released."""
        thing = parcel.thing
        if thing not in self._in_doubt and (not self._all_in_doubt or thing in self._sure):
            return parcel.entries
        moments: set[Moment] = set()
        try:
            moments = self._moments(await self._transport.newest(thing))
        except PeerRefused as refused:  # also when there is no such node: then nothing has arrived
            log.debug("whether the last reading of %s has arrived is not told: %s", thing, refused)
        found = set(await self._outbox.find(thing, moments)) if moments else set()
        self._in_doubt.discard(thing)
        self._sure.add(thing)
        self._live = deque(each for each in self._live if each.entries[0].seq not in found)
        self._outbox.release(found)
        self._have_arrived([entry for entry in parcel.entries if entry.seq in found])
        return tuple(entry for entry in parcel.entries if entry.seq not in found)

    def _have_arrived(self, entries: Sequence[Entry]) -> None:
        self.published += len(entries)
        for entry in entries:
            newest = self._newest.get(entry.thing)
            if newest is None or entry.item.timestamp > newest.timestamp:
                self._newest[entry.thing] = entry.item

    def _moments(self, items: Sequence[Element]) -> set[Moment]:
        found: set[Moment] = set()
        for payload in items:
            try:
                answer = self._transport.decode(payload)
            except BadRequest:
                continue  # somebody else's
            told: list[Reading | Trouble] = [] if answer is None else [*answer.readings, *answer.troubles]
            found |= {moment_of(item) for item in told if item.timestamp.tzinfo}
        return found

    def _was_refused(self, parcel: Parcel, error: PeerRefused) -> bool:
        self._ready.discard(parcel.thing)  # made and configured again with the next one
        if error.condition in PASSING:
            return False
        if parcel.thing not in self._refused:
            log.error("telemetry of %s is refused, its readings are dropped: %s", parcel.thing, error)
            self._refused.add(parcel.thing)
        self._lost += len(parcel.entries)
        return True
