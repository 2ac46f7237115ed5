"""A stream kept up for ever: attempts with back-off, pings, and who is told. `Keeper` for any stream, `Link` for an
account's, with resumption; a component's is in `component.py`.

    DOWN ──attempt──▶ CONNECTING ──session──▶ UP ──lost──▶ DOWN …          stop, from anywhere ──▶ STOPPED

Rules of this file
* Every wait has a bound; what hangs is cut and tried again.
* Listeners hear only of changes. What is sent while the stream is away for a moment is kept up to `MAX_KEPT` stanzas
  and sent if the session resumes; a new session begins empty.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast
from xml.etree.ElementTree import Element

from slixmpp.stanza import Iq, Message, Presence

from hub.errors import LinkError
from hub.session.backoff import Backoff
from hub.session.client import Client

log = logging.getLogger(__name__)

ATTEMPT_TIMEOUT_S = 30.0  # DNS, TCP, TLS, SASL, bind: a slow 3G link needs 10
ROSTER_TIMEOUT_S = 10.0
PING_EVERY_S = 60.0  # below the 2 minutes after which home routers forget idle connections
PING_TIMEOUT_S = 15.0
CLOSE_TIMEOUT_S = 2.0
FIRST_WAIT_S, LAST_WAIT_S = 1.0, 60.0
MAX_KEPT = 200
SOFTWARE = "urn:xmpp-iot-hub"  # what XEP-0115 calls the node: whose features these are
MAX_UNCONFIRMED = 200  # stanzas that the server has not acknowledged; what can wait then waits
MAX_UNWRITTEN = 262_144  # bytes that the network has not taken
ACK_EVERY = 20  # stanzas; slixmpp's 5 cost a write each time, and what is lost in a cut is asked for after it

STANZAS = {"iq": Iq, "message": Message, "presence": Presence}


class State(enum.Enum):
    DOWN = "down"
    CONNECTING = "connecting"
    UP = "up"
    STOPPED = "stopped"


class Event(enum.Enum):
    ATTEMPT = "attempt"
    SESSION = "session"
    LOST = "lost"
    STOP = "stop"


TRANSITIONS: Mapping[tuple[State, Event], State] = {
    (State.DOWN, Event.ATTEMPT): State.CONNECTING,
    (State.CONNECTING, Event.SESSION): State.UP,
    (State.CONNECTING, Event.LOST): State.DOWN,
    (State.UP, Event.LOST): State.DOWN,
    (State.DOWN, Event.LOST): State.DOWN,
    (State.DOWN, Event.STOP): State.STOPPED,
    (State.CONNECTING, Event.STOP): State.STOPPED,
    (State.UP, Event.STOP): State.STOPPED,
}


class Keeper:
    """`client` is a stream of slixmpp's with `attempt` and `failure` as `Client` has them.
    `on_change(up, fresh)`: the stream came up (fresh: a new session, not a resumed one) or went down."""

    def __init__(self, client: Any, on_change: Callable[[bool, bool], None], plugins: Iterable[str] = ()) -> None:
        self.client = client
        self._on_change = on_change
        self.state = State.DOWN
        self._settled: asyncio.Future[None] | None = None
        self._lost = asyncio.Event()
        self._backoff = Backoff(FIRST_WAIT_S, LAST_WAIT_S, random.random)
        self._last_failure = ""
        for plugin in ("xep_0030", "xep_0199", *plugins):
            client.register_plugin(plugin)
        client.add_event_handler("session_start", self._session_started)
        client.add_event_handler("disconnected", self._disconnected)
        client.add_event_handler("attempt_failed", self._disconnected)

    # ------------------------------------------------------------------ for the others

    @property
    def up(self) -> bool:
        return self.state is State.UP

    @property
    def stopped(self) -> bool:
        return self.state is State.STOPPED

    def send(self, element: Element) -> None:
        """Put a stanza on the stream; without one it is lost."""
        if self.up:
            stanza = STANZAS[element.tag.rpartition("}")[2]]
            self.client.send(stanza(self.client, xml=element))

    async def run(self) -> None:
        """Stay online until `stop`."""
        while not self.stopped:
            try:
                await self._attempt()
            except LinkError as error:
                if not self.stopped:  # an attempt that `stop` has ended did not fail
                    self._say_failure(str(error))
            else:
                self._backoff.reset()
                await self._stay()
                if not self.stopped:
                    log.warning("the link is lost: %s", self.client.failure or "the connection was cut")
            if not self.stopped:
                await asyncio.sleep(self._backoff.wait())

    async def online(self, timeout: float) -> None:
        """One attempt, for a client that only wants to ask something. Raises LinkError when it does not succeed."""
        async with asyncio.timeout(timeout):
            await self._attempt()

    async def stop(self) -> None:
        """Leave: a word of goodbye, a closed stream, nothing left running."""
        was_up = self.up
        self._go(Event.STOP)
        self._lost.set()
        if was_up:
            self._say_goodbye()
            self.client.end_session_on_disconnect = True
            try:
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self.client.disconnect(CLOSE_TIMEOUT_S / 2)
            except TimeoutError:
                log.debug("the server did not close the stream in time")
        self.client.abort()
        self.client.cancel_connection_attempt()
        if self.client._run_out_filters is not None:  # slixmpp has no public way to end its sender
            self.client._run_out_filters.cancel()
            await asyncio.gather(self.client._run_out_filters, return_exceptions=True)

    # ------------------------------------------------------------------ one attempt, one session

    async def _attempt(self) -> None:
        self._go(Event.ATTEMPT)
        self._lost.clear()
        self._settled = asyncio.get_running_loop().create_future()
        self.client.attempt()
        try:
            async with asyncio.timeout(ATTEMPT_TIMEOUT_S):
                await self._settled
        except TimeoutError:
            self._cut()
            raise LinkError(f"no session within {ATTEMPT_TIMEOUT_S:g} s") from None
        except LinkError:
            self._cut()
            raise
        finally:
            self._settled = None

    async def _stay(self) -> None:
        """Until the connection is lost; a server that answers no ping counts as lost."""
        while not self._lost.is_set():
            try:
                async with asyncio.timeout(PING_EVERY_S):
                    await self._lost.wait()
            except TimeoutError:
                await self._ping()

    async def _ping(self) -> None:
        try:
            async with asyncio.timeout(PING_TIMEOUT_S):
                await self.client.plugin["xep_0199"].ping(self.client.boundjid.domain, timeout=PING_TIMEOUT_S)
        except Exception as error:  # slixmpp's time-out, an error stanza, a stream that is gone: all mean the same
            if not self._lost.is_set():
                self.client.failure = f"the server does not answer pings ({type(error).__name__})"
                self._cut()
        else:
            self._answered_ping()

    def _cut(self) -> None:
        self.client.cancel_connection_attempt()
        if self.client.transport is not None:
            self.client.abort()
        else:
            self._disconnected(None)

    # ------------------------------------------------------------------ what a kind of stream does in its own way

    def _say_goodbye(self) -> None:
        """Before the stream is closed."""

    def _answered_ping(self) -> None:
        """The server is there."""

    async def _session_started(self, _: object) -> None:
        self._came_up(fresh=True)

    # ------------------------------------------------------------------ what slixmpp tells

    def _came_up(self, fresh: bool) -> None:
        if not self._go(Event.SESSION):
            return
        self._last_failure = ""
        log.info("online as %s%s", self.client.boundjid.full, "" if fresh else " (resumed)")
        self._on_change(True, fresh)
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(None)

    def _disconnected(self, reason: object) -> None:
        was_up = self.up
        if self._settled is not None and not self._settled.done():
            why = self.client.failure or (str(reason) if reason else "the connection was refused or cut")
            self._settled.set_exception(LinkError(why))
        self._go(Event.LOST)
        self._lost.set()
        if was_up:
            self._on_change(False, False)

    def _go(self, event: Event) -> bool:
        after = TRANSITIONS.get((self.state, event))
        if after is not None:
            self.state = after
        return after is not None

    def _say_failure(self, failure: str) -> None:
        """The first time aloud, then only when it fails in another way: a log is no metronome."""
        level = logging.WARNING if failure != self._last_failure else logging.DEBUG
        log.log(level, "no link: %s; trying again, more and more slowly, for ever", failure)
        self._last_failure = failure


class Link(Keeper):
    """An account kept online."""

    def __init__(self, client: Client, on_change: Callable[[bool, bool], None]) -> None:
        super().__init__(client, on_change, ("xep_0115", "xep_0198"))
        self._kept: deque[Element] = deque(maxlen=MAX_KEPT)
        self._caps: Any = client.plugin["xep_0115"]
        self._caps.caps_node = SOFTWARE
        # As a filter, slixmpp's caps look at every stanza in a task of its own; only our presence is their business.
        cast(Any, client).del_filter("out", self._caps._filter_add_caps)
        sm: Any = client.plugin["xep_0198"]
        sm.window = sm.window_counter = ACK_EVERY
        sm.request_ack = client.request_ack
        client.add_event_handler("session_resumed", self._session_resumed)

    def send(self, element: Element) -> None:
        """Put a stanza on the stream, or keep it for the moment in which a resumption may still come."""
        if self.up:
            super().send(element)
        else:
            self._kept.append(element)

    @property
    def congested(self) -> bool:
        """Whether what can wait should: the server does not keep up, or the network is gone and nobody knows yet."""
        if len(self.client.plugin["xep_0198"].unacked_queue) > MAX_UNCONFIRMED:
            return True
        transport = self.client.transport
        return transport is not None and transport.get_write_buffer_size() > MAX_UNWRITTEN

    def _say_goodbye(self) -> None:
        """Say how much has arrived before leaving (XEP-0198 section 4): servers keep messages that nobody acknowledged
        and hand them to the next session, and a command would be carried out twice."""
        sm = self.client.plugin["xep_0198"]
        if sm.enabled_in:
            sm.send_ack()
        self.client.send_presence(ptype="unavailable")

    def _answered_ping(self) -> None:
        sm = self.client.plugin["xep_0198"]
        if sm.enabled_out and sm.unacked_queue:
            sm.request_ack()  # by time too: slixmpp asks only every few stanzas

    async def _session_started(self, _: object) -> None:
        self._kept.clear()
        try:
            async with asyncio.timeout(ROSTER_TIMEOUT_S):
                await self.client.get_roster()
        except Exception as error:  # an empty roster is no reason to stay away
            log.warning("the server gave no roster: %s", type(error).__name__)
        # slixmpp makes the XEP-0115 hash only when it is told to; without it presence goes out without caps.
        await self._caps.update_caps(broadcast=False)
        self.client.send(await self._caps._filter_add_caps(self.client.make_presence()))
        self._came_up(fresh=True)

    def _session_resumed(self, _: object) -> None:
        self._came_up(fresh=False)
        while self._kept and self.up:
            self.send(self._kept.popleft())
