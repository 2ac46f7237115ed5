"""XEP-0323, device side, in every dialect: readouts now and later, in parts, cancelled and refused.

Rules of this file
* A readout belongs to the pair of full JID and id; nobody else can cancel it or see its parts.
* The accepted answer leaves before the first part.
* What is read is what there is: a value younger than `FRESH_S` as it stands, an older one after the part was asked
  again, and when it does not answer in time, the old one with its own moment and its trouble.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Any
from xml.etree.ElementTree import Element

from hub.errors import BadRequest, Conflict, Forbidden, NotFound, Overload
from hub.services.router import Route
from hub.stanzas.dialects import SENSOR_DATA, SensorDataCodec
from hub.stanzas.errors import CLIENT
from hub.things import readout
from hub.things.model import Answer, FieldTypes, NodeRef, ReadoutRequest, Trouble
from hub.things.readout import TRANSITIONS, Event, Parts, Past, State
from hub.things.sampler import Sampler
from hub.things.thing import Thing
from hub.trust.access import Judge

log = logging.getLogger(__name__)

FRESH_S = 2.0
PATIENCE_S = 3.0  # for parts that are asked again; the caller gets what there is after that
MAX_SESSIONS = 200
MAX_SESSIONS_PER_CALLER = 20
MAX_DELAY = dt.timedelta(days=31)  # of `when`: the queue lives in memory

Key = tuple[str, str]


class SensorData:
    """`send` puts a stanza on the stream."""

    def __init__(
        self,
        things: Mapping[str, Thing],
        sampler: Sampler,
        past: Past,
        judge: Callable[[], Judge],
        send: Callable[[Element], None],
        wall: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._things = things
        self._sampler = sampler
        self._past = past
        self._judge = judge
        self._send = send
        self._wall = wall
        self._states: dict[Key, State] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}

    def features(self) -> Iterable[str]:
        return SENSOR_DATA

    def routes(self) -> Iterable[Route]:
        for namespace, codec in SENSOR_DATA.items():
            both = ("get", "set")  # the texts and their examples differ on which it is
            yield Route("iq", both, f"{{{namespace}}}req", partial(self._request, codec))
            yield Route("iq", both, f"{{{namespace}}}cancel", partial(self._cancel, codec))

    def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()

    # ------------------------------------------------------------------ requests

    async def _request(self, codec: SensorDataCodec, caller: str, payload: Element) -> Element:
        request = codec.decode_request(payload)
        readout.check(request)
        request = await self._judge().may_read(caller, request)
        readout.addressed(request, self._things)  # refuses what is not here before anything is accepted
        key = (caller, request.id)
        self._admit(key)
        delay = self._delay(request)
        if delay > 0:
            self._begin(key, State.QUEUED, self._later(codec, key, request, delay))
            return codec.encode_accepted(request.id, queued=True)
        if codec.answers_in_iq:
            return await self._at_once(codec, key, request)
        self._begin(key, State.RUNNING, self._run(codec, key, request))
        return codec.encode_accepted(request.id, queued=False)

    def _admit(self, key: Key) -> None:
        if key in self._states:
            raise Conflict("A readout with this number is still under way; choose another number.")
        of_caller = sum(1 for caller, _ in self._states if caller == key[0])
        if len(self._states) >= MAX_SESSIONS or of_caller >= MAX_SESSIONS_PER_CALLER:
            raise Overload("Too many readouts at once; try again in a moment.")

    def _delay(self, request: ReadoutRequest) -> float:
        if request.when is None:
            return 0.0
        delay = request.when - self._wall()
        if delay > MAX_DELAY:
            raise BadRequest(f"`when` is more than {MAX_DELAY.days} days away.")
        return delay.total_seconds()

    def _begin(self, key: Key, state: State, work: Coroutine[Any, Any, None]) -> None:
        self._states[key] = state
        task = asyncio.create_task(work)
        self._tasks[key] = task
        task.add_done_callback(lambda ended: self._ended(key, ended))

    def _ended(self, key: Key, task: asyncio.Task[None]) -> None:
        self._states.pop(key, None)
        self._tasks.pop(key, None)
        if not task.cancelled() and task.exception() is not None:
            log.error("the readout %s of %s ended early", key[1], key[0], exc_info=task.exception())

    # ------------------------------------------------------------------ the life of a readout

    async def _later(self, codec: SensorDataCodec, key: Key, request: ReadoutRequest, delay: float) -> None:
        await asyncio.sleep(delay)
        self._states[key] = TRANSITIONS[self._states[key], Event.DUE]
        self._message(key, codec.encode_started(request.id))
        try:
            request = await self._judge().may_read(key[0], request)  # what was allowed then may not be any more
        except Forbidden as refusal:
            named = request.nodes or (NodeRef(""),)
            troubles = tuple(Trouble(node, self._wall(), refusal.text) for node in named)
            for element in codec.encode_answer(Answer(request.id, troubles=troubles, done=True)):
                self._message(key, element)
            return
        await self._run(codec, key, request)

    async def _run(self, codec: SensorDataCodec, key: Key, request: ReadoutRequest) -> None:
        await asyncio.sleep(0)  # the accepted answer goes first
        await self._send_parts(codec, key, self.parts(request))
        self._states[key] = TRANSITIONS[self._states[key], Event.LAST_PART]

    async def _at_once(self, codec: SensorDataCodec, key: Key, request: ReadoutRequest) -> Element:
        """The first part inside the IQ result, the others behind it in messages."""
        parts = self.parts(request)
        first = await anext(parts)
        if not first.done:
            self._begin(key, State.RUNNING, self._send_rest(codec, key, parts))
        return codec.encode_answer(first)[0]

    async def _send_rest(self, codec: SensorDataCodec, key: Key, rest: AsyncIterator[Answer]) -> None:
        await asyncio.sleep(0)
        await self._send_parts(codec, key, rest)

    async def _send_parts(self, codec: SensorDataCodec, key: Key, parts: AsyncIterator[Answer]) -> None:
        async for part in parts:
            for element in codec.encode_answer(part):
                self._message(key, element)
            await asyncio.sleep(0)  # a long history must not hold the loop

    async def parts(self, request: ReadoutRequest, refresh: bool = True) -> AsyncIterator[Answer]:
        """Part by part, as it is read: a long history is never in memory at once. `refresh`: ask for what is old."""
        chosen = readout.addressed(request, self._things) if request.nodes != () else []
        if refresh:
            await self._refresh(chosen, request)
        parts = Parts(request.id)
        # A part that has neither answered nor failed yet is said too: silence would look like a healthy one.
        for thing in chosen:
            if thing.measured is None and thing.trouble is None:
                unread = parts.add(Trouble(thing.node, self._wall(), "It has not answered yet."))
                if unread is not None:
                    yield unread
        async for some in readout.collect(request, chosen, self._past):
            for item in some:
                if (part := parts.add(item)) is not None:
                    yield part
        yield parts.last()

    async def _refresh(self, chosen: list[Thing], request: ReadoutRequest) -> None:
        if not request.types & FieldTypes.PRESENT:
            return
        now = self._wall()
        old = [
            thing.name
            for thing in chosen
            if thing.trouble is None
            and (thing.measured is None or (now - thing.measured).total_seconds() > FRESH_S)
            and thing.name in self._sampler.stations
        ]
        if old:
            await asyncio.gather(*(self._sampler.refresh(name, PATIENCE_S) for name in old))

    # ------------------------------------------------------------------ cancellation

    async def _cancel(self, codec: SensorDataCodec, caller: str, payload: Element) -> Element | None:
        key = (caller, codec.decode_cancel(payload))
        state = self._states.get(key)
        if state is None or (state, Event.CANCEL) not in TRANSITIONS:
            raise NotFound("No readout with this number is under way.")
        self._states[key] = TRANSITIONS[state, Event.CANCEL]
        self._tasks[key].cancel()
        return codec.encode_cancelled(key[1])

    def _message(self, key: Key, payload: Element) -> None:
        message = Element(f"{{{CLIENT}}}message", to=key[0])
        message.append(payload)
        self._send(message)
