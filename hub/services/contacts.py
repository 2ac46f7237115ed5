"""Presence subscriptions: granted to those who may follow us, taken back from those who no longer may.

A contact that is granted one sees when we are online and, where telemetry is open to presence, may subscribe to it.
Nothing is granted or taken back before there is a verdict: where nobody answers, it is asked again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from slixmpp import ClientXMPP

from hub.errors import HubError, PeerSilent
from hub.trust.access import Judge

log = logging.getLogger(__name__)

MAX_ASKING = 50  # subscription requests in hand at once; a server repeats the others when we come online again
REVIEW_AGAIN_S = 60.0  # when nobody could say


class Contacts:
    """`admit` is awaited before somebody is granted a subscription."""

    def __init__(self, client: ClientXMPP, judge: Callable[[], Judge]) -> None:
        self._client: Any = client
        self._judge = judge
        self._asking = 0
        self._review: asyncio.Task[None] | None = None
        self.admit: Callable[[str], Awaitable[None]] = _nothing
        roster: Any = client.roster
        roster.auto_authorize = None  # decided here, not by slixmpp
        roster.auto_subscribe = False
        client.add_event_handler("presence_subscribe", self._asked)

    def followers(self) -> list[str]:
        """Bare JIDs of those who see our presence, ourselves left out."""
        roster = self._client.client_roster
        return [jid for jid in list(roster) if roster[jid]["from"] and jid != self._client.boundjid.bare]

    def review(self) -> None:
        """After the rules may have changed: take back what is not granted any more. Begins anew when it is under
        way."""
        self.stop()
        self._review = asyncio.create_task(self._reviewed(), name="contacts")
        self._review.add_done_callback(_said)

    def stop(self) -> None:
        if self._review is not None:
            self._review.cancel()

    def befriend(self, jid: str) -> None:
        """Ask to see the presence of somebody; whether he may see ours is judged when he asks."""
        if not self._client.client_roster[jid]["to"]:
            log.info("asking %s to be our contact", jid)
            self._client.send_presence(pto=jid, ptype="subscribe")

    def unfriend(self, jid: str) -> None:
        """End both directions."""
        log.info("%s is no contact of ours any more", jid)
        for kind in ("unsubscribed", "unsubscribe"):
            self._client.send_presence(pto=jid, ptype=kind)

    async def _reviewed(self) -> None:
        waiting = self.followers()
        while waiting:
            unsaid = []
            for jid in waiting:
                try:
                    if not await self._judge().may_stay(jid):
                        log.info("%s may no longer see us", jid)
                        self._client.send_presence(pto=jid, ptype="unsubscribed")
                except PeerSilent as silent:
                    log.info("%s; asking again", silent)
                    unsaid.append(jid)
            if unsaid:
                await asyncio.sleep(REVIEW_AGAIN_S)
            waiting = unsaid

    async def _asked(self, presence: Any) -> None:
        if self._asking >= MAX_ASKING:
            return
        bare = presence["from"].bare
        self._asking += 1
        try:
            if await self._judge().may_follow(bare):
                log.info("%s may see us", bare)
                await self.admit(bare)
                self._client.send_presence(pto=bare, ptype="subscribed")
            else:
                log.info("%s asked to see us and was refused", bare)
                self._client.send_presence(pto=bare, ptype="unsubscribed")
        finally:
            self._asking -= 1


async def _nothing(_: str) -> None:
    pass


def _said(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("the contacts could not be reviewed", exc_info=error if not isinstance(error, HubError) else None)
