"""Event subscriptions (ProtoXEP iot-events), device side, in every dialect: sensor data that comes by itself.

Rules of this file
* Only a contact who is online may subscribe: it is by his presence that we know when to be silent. Who has not shown it
  is told how to; who is no contact any more has no subscriptions.
* What is sent is what a readout by him would answer, narrowed as the judge has it. When rules may have changed all
  subscriptions are silent until they are judged again; what is refused then is dropped, and nobody is told ("Re-
  evaluation of subscription contents"). No answer of a provisioning server is a refusal here too.
* Nothing is queued while the link is down, nor while it does not take what is sent: afterwards conditions are looked
  at as things are then. Of one subscription and thing one event is under way at a time.
* Subscriptions live in memory ("Power-down and persistence"): after a restart they are gone, which subscribers see by
  our presence and by the maximum interval. Somebody who goes away keeps his for a day, in the new dialect too, which
  recommends to drop them; a subscriber who subscribes again replaces it anyway.
* History without a maximum age goes back to the event before: all of it in each event would be no event.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Protocol
from xml.etree.ElementTree import Element

from hub.errors import BadRequest, Forbidden, HubError, NotFound
from hub.services.attendance import Attendance
from hub.services.router import Route
from hub.stanzas.dialects import EVENTS, SENSOR_DATA
from hub.stanzas.errors import CLIENT
from hub.stanzas.events_xmpp import Events as Codec
from hub.things import readout
from hub.things.events import Due, Key, Standing, Subscriptions, Watch
from hub.things.model import Answer, FieldTypes, ReadoutRequest, base_name
from hub.things.questions import bare
from hub.things.subscription import check
from hub.things.thing import Thing
from hub.trust.access import Judge

log = logging.getLogger(__name__)

AT_A_TIME = 8  # events that are being sent; each may carry a long history
CONGESTED_S = 1.0  # until a link that took nothing is looked at again

NO_CONTACT = "Events are for contacts: ask to see this hub's presence first, and let it see yours."
NOT_ONLINE = (
    "This hub does not see that you are online, and sends events to nobody else: let it see your presence, or send it "
    "a presence of its own, and subscribe again."
)


class Outlet(Protocol):
    """The stream, as far as it matters here."""

    @property
    def up(self) -> bool: ...
    @property
    def congested(self) -> bool: ...
    def send(self, element: Element) -> None: ...


Read = Callable[[ReadoutRequest, bool], AsyncIterator[Answer]]
"""A readout part by part; whether what is old is asked for."""


class Events:
    """`befriend` asks to see the presence of a bare JID."""

    def __init__(
        self, client: Any, outlet: Outlet, things: Mapping[str, Thing], read: Read, judge: Callable[[], Judge],
        befriend: Callable[[str], None], wall: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:  # fmt: skip
        self._outlet = outlet
        self._things = things
        self._read = read
        self._judge = judge
        self._befriend = befriend
        self._wall = wall
        self.subscriptions = subscriptions = Subscriptions()
        self._attendance = Attendance(
            client, self._came, self._went, subscriptions.friendship_ended,
            lambda: {bare(standing.key.jid) for standing in subscriptions.standing},
        )  # fmt: skip
        self._sending: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(AT_A_TIME)
        self._reviewing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._later: asyncio.TimerHandle | None = None

    def features(self) -> Iterable[str]:
        return EVENTS

    def routes(self) -> Iterable[Route]:
        for namespace, codec in EVENTS.items():
            both = ("get", "set")  # as with readouts, the texts and their examples differ on which it is
            yield Route("iq", both, f"{{{namespace}}}subscribe", partial(self._subscribe, codec))
            yield Route("iq", both, f"{{{namespace}}}unsubscribe", partial(self._unsubscribe, codec))

    # ------------------------------------------------------------------ requests

    async def _subscribe(self, codec: Codec, caller: str, payload: Element) -> Element:
        subscription = codec.decode_subscribe(payload)
        check(subscription)
        self._require_presence(caller)  # before anybody is asked about a stranger
        granted = await self._judge().may_read(caller, subscription.request)
        things = _concerned(granted, self._things)
        self._require_presence(caller)  # he may have left meanwhile
        key = Key(caller, codec.namespace, granted.id)
        standing = self.subscriptions.subscribe(key, subscription, granted, things, self._now())
        asyncio.get_running_loop().call_soon(self._look, tuple(standing.watches.values()))  # behind the answer
        return SENSOR_DATA[codec.sensor_data].encode_accepted(granted.id, queued=False)

    def _require_presence(self, caller: str) -> None:
        """Raises Forbidden. A contact whose presence we cannot see is asked for it."""
        if not self._attendance.is_contact(caller):
            raise Forbidden(NO_CONTACT)
        if not self._attendance.is_online(caller):
            self._befriend(bare(caller))
            raise Forbidden(NOT_ONLINE)

    async def _unsubscribe(self, codec: Codec, caller: str, payload: Element) -> None:
        """Acknowledged whether it existed or not."""
        self.subscriptions.unsubscribe(Key(caller, codec.namespace, codec.decode_unsubscribe(payload)))

    # ------------------------------------------------------------------ what happens

    def reading(self, thing: Thing) -> None:
        """A thing has been read, or has failed."""
        watches = self.subscriptions.of_thing(thing.name)
        if watches:
            self._look(watches)

    def link_changed(self, up: bool) -> None:
        """A fresh session is told anew who is online; until then nobody is."""
        if up:
            self._look_at_all()
        else:
            self._cancel_timers()

    def review(self) -> None:
        """Rules or things may have changed. Begins anew when it is under way."""
        if self._reviewing is not None:
            self._reviewing.cancel()
        for standing in self.subscriptions.standing:
            standing.on_trial = True
        self._reviewing = asyncio.create_task(self._reviewed(), name="events")
        self._reviewing.add_done_callback(_said)

    def stop(self) -> None:
        self._cancel_timers()
        for task in (*self._sending, *([self._reviewing] if self._reviewing is not None else [])):
            task.cancel()

    def _came(self, jid: str) -> None:
        self._look(self.subscriptions.came(jid))

    def _went(self, jid: str) -> None:
        self.subscriptions.went(jid, self._now())

    async def _reviewed(self) -> None:
        for standing in self.subscriptions.standing:
            if standing.on_trial:
                await self._judged_again(standing)

    async def _judged_again(self, standing: Standing) -> None:
        try:
            granted = await self._judge().may_read(standing.key.jid, standing.subscription.request)
            if granted.nodes is not None:  # a thing that is not here any more takes the others not with it
                granted = replace(granted, nodes=tuple(n for n in granted.nodes if n.node_id in self._things))
            things = _concerned(granted, self._things)
            if standing in self.subscriptions.standing:
                self.subscriptions.grant(standing, granted, things, self._now())
        except HubError as refused:
            log.info("the subscription of %s has ended: %s", standing.key.jid, refused)
            if standing in self.subscriptions.standing:
                self.subscriptions.unsubscribe(standing.key)
        else:
            self._look(tuple(standing.watches.values()))

    # ------------------------------------------------------------------ events

    def _look(self, watches: Iterable[Watch]) -> None:
        if not self._outlet.up:
            return
        if self._outlet.congested:
            self._look_later()
            return
        self._send_all(self.subscriptions.look(watches, self._now()))

    def _look_later(self) -> None:
        """At everybody: a link that takes nothing is rare, and a list of what waits for it could grow."""
        if self._later is None:
            self._later = asyncio.get_running_loop().call_later(CONGESTED_S, self._look_at_all)

    def _look_at_all(self) -> None:
        self._later = None
        self._look(watch for standing in self.subscriptions.standing for watch in standing.watches.values())

    def _expired(self) -> None:
        self._timer = None
        self._look(self.subscriptions.expired(self._now()))
        self._plan()

    def _plan(self) -> None:
        """Come again when the next one expires."""
        at = self.subscriptions.wake_at()
        if self._timer is not None:
            if at == self._timer.when():
                return
            self._timer.cancel()
        self._timer = None if at is None else asyncio.get_running_loop().call_at(at, self._expired)

    def _send_all(self, due: list[Due]) -> None:
        for one in due:
            task = asyncio.create_task(self._send(one))
            self._sending.add(task)
            task.add_done_callback(partial(self._sent, one.watch))
        self._plan()

    async def _send(self, due: Due) -> None:
        watch, standing = due.watch, due.watch.owner
        codec = SENSOR_DATA[EVENTS[standing.key.dialect].sensor_data]
        async with self._turns:
            async for part in self._read(self._request(due), due.asked):
                for element in codec.encode_answer(part):
                    if not (self._outlet.up and standing.live and self.subscriptions.stands(watch)):
                        if (now_there := standing.watches.get(watch.thing.name)) is not None:
                            now_there.forced = True  # he was not told what he counts as told of
                        return
                    message = Element(f"{{{CLIENT}}}message", to=standing.key.jid)
                    message.append(element)
                    self._outlet.send(message)
                await asyncio.sleep(0)  # a long history must not hold the loop

    def _request(self, due: Due) -> ReadoutRequest:
        standing, thing = due.watch.owner, due.watch.thing
        granted, oldest = standing.granted, standing.subscription.max_age
        start = None
        if granted.types & FieldTypes.HISTORICAL:
            start = self._wall() - (oldest or dt.timedelta(seconds=self._now() - due.since))
        return replace(granted, nodes=(thing.node,), names=_names_of(thing, granted), start=start)

    def _sent(self, watch: Watch, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if not task.cancelled() and isinstance(task.exception(), NotFound):
            log.debug("%s went away before it could tell %s", watch.thing.name, watch.owner.key.jid)
        elif not task.cancelled() and task.exception() is not None:
            log.error("an event for %s could not be sent", watch.owner.key.jid, exc_info=task.exception())
        watch.busy = False
        if not task.cancelled():
            self._look((watch,))

    def _cancel_timers(self) -> None:
        for timer in (self._timer, self._later):
            if timer is not None:
                timer.cancel()
        self._timer = self._later = None

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _concerned(granted: ReadoutRequest, things: Mapping[str, Thing]) -> list[Thing]:
    """The things that have what was asked for. Raises NotFound or BadRequest."""
    chosen = [thing for thing in readout.addressed(granted, things) if not granted.names or _names_of(thing, granted)]
    if not chosen:
        raise BadRequest("nothing here has what was asked for")
    return chosen


def _names_of(thing: Thing, granted: ReadoutRequest) -> tuple[str, ...]:
    historical = granted.types & FieldTypes.HISTORICAL
    return tuple(name for name in granted.names if (base_name(name) if historical else name) in thing.specs)


def _said(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("the subscriptions could not be judged again", exc_info=task.exception())
