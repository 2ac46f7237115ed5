"""Presence subscriptions: granted to those who may follow us, taken back from those who no longer may.

A contact that is granted one sees when we are online and, with PEP's presence access model, may subscribe to our
telemetry: so `[access]` decides about both.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from slixmpp import ClientXMPP

from hub.trust.access import Judge

log = logging.getLogger(__name__)


class Contacts:
    def __init__(self, client: ClientXMPP, judge: Callable[[], Judge]) -> None:
        self._client: Any = client
        self._judge = judge
        self.on_granted: Callable[[str], None] = lambda _: None
        roster: Any = client.roster
        roster.auto_authorize = None  # decided here, not by slixmpp
        roster.auto_subscribe = False
        client.add_event_handler("presence_subscribe", self._asked)

    def review(self) -> None:
        """After the rules changed: take back what is not granted any more."""
        roster = self._client.client_roster
        for jid in list(roster):
            if roster[jid]["from"] and jid != self._client.boundjid.bare and not self._judge().may_follow(jid):
                log.info("%s may no longer see us", jid)
                self._client.send_presence(pto=jid, ptype="unsubscribed")

    def _asked(self, presence: Any) -> None:
        bare = presence["from"].bare
        if self._judge().may_follow(bare):
            log.info("%s may see us", bare)
            self._client.send_presence(pto=bare, ptype="subscribed")
            self.on_granted(bare)
        else:
            log.info("%s asked to see us and was refused", bare)
            self._client.send_presence(pto=bare, ptype="unsubscribed")
