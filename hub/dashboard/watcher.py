"""The life of one hub as we see it: found, asked, followed, lost, found again.

    CONNECTING ──values──▶ ONLINE ──left or silent──▶ GONE ──seen or time──▶ CONNECTING …     no right ──▶ REFUSED

Rules of this file
* One hub's trouble is its own: whatever it does or fails to do, it is said on its own tile and tried again, for ever,
  more and more slowly, at once when it shows itself.
* What it tells by itself comes by pubsub; what it does not tell is asked for: once at the start, when a value is old,
  when nothing has been heard for `QUIET_S`, and every `POLL_S` where it publishes nothing that we may see.
* Every wait has a bound, and what comes is bounded by `board`.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import random
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Final

from hub.dashboard.board import Tiles
from hub.dashboard.view import HubLife
from hub.errors import HubError, PeerConfused, PeerError, PeerRefused, PeerSilent
from hub.services.followers import NODE_PREFIX
from hub.services.peer import Peer, Published
from hub.things.model import Answer, FieldTypes, ReadoutRequest

log = logging.getLogger(__name__)

READOUT_TIMEOUT_S: Final = 30.0
MAX_PLACES: Final = 1_000
FIRST_WAIT_S = 2.0
LAST_WAIT_S = 60.0
NO_HUB_WAIT_S = 900.0
"""Until a contact that is no hub is looked at again; its presence brings it forward."""
LOOK_S = 5.0
QUIET_S = 60.0
POLL_S = 30.0
FOLLOW_AGAIN_S = 120.0

NO_RIGHT: Final = frozenset({"forbidden", "not-authorized", "not-allowed", "registration-required"})
NOT_THERE: Final = {
    "service-unavailable": "it is not online",
    "recipient-unavailable": "it is not online",
    "item-not-found": "there is no such address, or it is not online",
    "remote-server-not-found": "its server cannot be found",
    "remote-server-timeout": "its server cannot be reached",
}


class Watcher:
    """`make_peer` gives the hub as a client sees it, `gate` bounds how many are being found at once. `known`: it is a
    hub for sure, and shown before it answers; else it is shown, by `found`, when it has."""

    def __init__(
        self, jid: str, make_peer: Callable[[str], Peer], tiles: Tiles, wall: Callable[[], float],
        gate: asyncio.Semaphore, known: bool, found: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.jid = jid
        self.peer: Peer | None = None
        """While it is online."""
        self.turn = asyncio.Lock()
        """One command at a time."""
        self._make_peer = make_peer
        self._tiles = tiles
        self._wall = wall
        self._gate = gate
        self._known = known
        self._found = found
        self._shown = asyncio.Event()
        self._left = asyncio.Event()
        self._heard = 0.0
        self._polled = False

    # ------------------------------------------------------------------ what presence tells

    def came(self) -> None:
        """It has shown itself: do not wait any longer."""
        self._shown.set()

    def went(self, full_jid: str) -> None:
        if self.peer is not None and self.peer.jid == full_jid:
            self._left.set()

    # ------------------------------------------------------------------ its life

    async def run(self) -> None:
        """For as long as our own link is up."""
        wait = FIRST_WAIT_S
        while True:
            self._shown.clear()
            try:
                await self._session()
            except HubError as error:
                if self._heard:
                    wait = FIRST_WAIT_S
                self._heard = 0.0
                life, text = in_words(error)
                if not self._known and isinstance(error, PeerConfused):
                    wait = NO_HUB_WAIT_S
                self._say(life, f"{text}; it is asked again")
            except Exception:
                log.exception("%s: an error of ours", self.jid)
                self._say(HubLife.GONE, "an error of the dashboard's own, see its log; it is asked again")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait * (1 + random.random()) / 2):
                    await self._shown.wait()
            wait = min(2 * wait, max(LAST_WAIT_S, wait))

    async def _session(self) -> None:
        """Until it is lost; what ends it is raised."""
        async with self._gate:
            peer = self._make_peer(self.jid)
            await peer.find()
            if not self._known:
                self._known = True
                self._found(self.jid)
            self._left.clear()
            await self.ask(peer)
            places = await self._places(peer)
        self.peer, self._polled = peer, False
        self._say(HubLife.ONLINE, "")
        self._tiles.labels(self.jid, {_thing(place): place.name for place in places if place.name})
        jobs = [asyncio.create_task(work) for work in (self._follow(peer, places), self._keep(peer), self._gone())]
        try:
            done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
            for job in done:
                job.result()
        finally:
            self.peer = None
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)

    async def ask(self, peer: Peer) -> None:
        """Everything as it stands now, with what is in trouble."""
        try:
            async with asyncio.timeout(READOUT_TIMEOUT_S):
                async for answer in peer.read(partial(ReadoutRequest, types=FieldTypes.PRESENT)):
                    self._take(answer)
        except TimeoutError:
            raise PeerSilent(f"{self.jid} did not finish its answer within {READOUT_TIMEOUT_S:g} s") from None

    async def _places(self, peer: Peer) -> list[Published]:
        try:
            return followable(self.jid, await peer.published())
        except PeerRefused as refused:
            log.info("%s does not say where it publishes: %s", self.jid, refused)
            return []

    async def _gone(self) -> None:
        await self._left.wait()
        raise PeerError("it has gone offline")

    async def _follow(self, peer: Peer, places: list[Published]) -> None:
        """What it tells by itself. Where it does not, or not to us, it is asked instead, until it does."""
        while True:
            try:
                if not places:
                    raise PeerError("it publishes nothing that we may see")
                async for answer in self._news(peer, places):
                    if self._polled:
                        self._polled = False
                        self._say(HubLife.ONLINE, "")
                    self._take(answer)
            except PeerError as error:
                log.info("%s is asked every %g s: %s", self.jid, POLL_S, error)
                self._polled = True
                self._say(HubLife.ONLINE, f"it is asked every {POLL_S:g} s, as it tells us nothing by itself ({error})")
            await asyncio.sleep(FOLLOW_AGAIN_S)
            places = await self._places(peer)

    def _news(self, peer: Peer, places: list[Published]) -> AsyncIterator[Answer]:
        """The one place that knows by what way news come."""
        return peer.watch(places)

    async def _keep(self, peer: Peer) -> None:
        loop = asyncio.get_running_loop()
        asked = loop.time()
        while True:
            await asyncio.sleep(LOOK_S)
            now = loop.time()
            patience = POLL_S if self._polled else QUIET_S
            quiet = now - self._heard >= patience or self._polled
            if now - asked >= patience and (quiet or self._tiles.stale(self.jid, self._wall())):
                asked = now
                await self.ask(peer)

    def _take(self, answer: Answer) -> None:
        self._heard = asyncio.get_running_loop().time()
        self._tiles.take(self.jid, answer, self._wall())

    def _say(self, life: HubLife, text: str) -> None:
        if self._known:
            self._tiles.life(self.jid, life, text, self._wall())


def in_words(error: HubError) -> tuple[HubLife, str]:
    """What an error means for a hub, in a sentence without its end."""
    if isinstance(error, PeerRefused):
        if error.condition in NO_RIGHT:
            return HubLife.REFUSED, f"it refuses us: {said(error)}"
        return HubLife.GONE, NOT_THERE.get(error.condition, said(error))
    if isinstance(error, PeerSilent):
        return HubLife.GONE, "it does not answer"
    return HubLife.GONE, str(error)


def said(refused: PeerRefused) -> str:
    """The hub's own words, the condition where it has none."""
    details = "; ".join(f"{name}: {why}" for name, why in refused.parameters.items())
    return ": ".join(part.rstrip(".") for part in (refused.text, details) if part) or refused.condition


def followable(jid: str, places: list[Published]) -> list[Published]:
    """Those at the hub itself and at services: a hub must not send us to other people, nor everywhere."""
    return [place for place in places if place.jid == jid or "@" not in place.jid][:MAX_PLACES]


def _thing(place: Published) -> str:
    return place.node.rpartition(NODE_PREFIX)[2]


def moment(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)
