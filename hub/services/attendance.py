"""Who is a contact of ours, and who of them is online, by full JID.

Rules of this file
* Somebody is online who has shown us so: by a presence that we may see, or by one he has sent to us alone (RFC 6121
  section 4.6), after which his server tells us when he leaves.
* A contact is who sees our presence or lets us see his. When both have ended he is none.
* slixmpp forgets everybody with each connection; after a resumption nobody tells us again, so this is kept here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from hub.stanzas.errors import decode_error
from hub.things.questions import bare

MAX_ONLINE = 2000  # full JIDs of contacts; more are not known to be online
NOBODY = ("service-unavailable", "recipient-unavailable", "item-not-found", "gone", "remote-server-not-found",
          "remote-server-timeout")  # fmt: skip


class Attendance:
    """`came` and `went` get full JIDs, `ended` the bare JID of who is no contact any more. `watched`: the bare JIDs for
    whom that matters."""

    def __init__(
        self, client: Any, came: Callable[[str], None], went: Callable[[str], None], ended: Callable[[str], None],
        watched: Callable[[], Iterable[str]],
    ) -> None:  # fmt: skip
        self._client = client
        self._came, self._went, self._ended, self._watched = came, went, ended, watched
        self._online: dict[str, None] = {}
        client.add_event_handler("session_start", self._begins_anew)
        client.add_event_handler("presence", self._presence)
        client.add_event_handler("message_error", self._bounced)
        client.add_event_handler("roster_update", self._roster)

    def is_online(self, jid: str) -> bool:
        return jid in self._online

    def is_contact(self, jid: str) -> bool:
        """With any JID. Our own account needs no contact."""
        name = bare(jid)
        if name == self._client.boundjid.bare:
            return True
        roster = self._client.client_roster
        return roster.has_jid(name) and bool(roster[name]["from"] or roster[name]["to"])

    # ------------------------------------------------------------------ what arrives

    def _begins_anew(self, _: object) -> None:
        for jid in list(self._online):
            self._leaves(jid)

    def _presence(self, presence: Any) -> None:
        jid, kind = presence.xml.get("from", ""), presence.xml.get("type", "")
        if kind == "" and "/" in jid:
            if self.is_contact(jid) and (jid in self._online or len(self._online) < MAX_ONLINE):
                self._online[jid] = None
                self._came(jid)
        elif kind in ("unavailable", "error"):
            for one in [jid] if "/" in jid else [each for each in self._online if bare(each) == bare(jid)]:
                self._leaves(one)
        elif kind in ("unsubscribe", "unsubscribed"):
            self._ends(bare(jid))

    def _bounced(self, message: Any) -> None:
        """What we have sent did not arrive; where it says that nobody is there, nobody is."""
        if decode_error(message.xml).condition in NOBODY:
            self._leaves(message.xml.get("from", ""))

    def _roster(self, _: object) -> None:
        """A contact may have been taken off the list by another client of ours, or by the server."""
        for name in {*map(bare, self._online), *self._watched()}:
            if not self.is_contact(name):
                self._ends(name)

    def _leaves(self, jid: str) -> None:
        if jid in self._online:
            del self._online[jid]
            self._went(jid)

    def _ends(self, name: str) -> None:
        for jid in [each for each in self._online if bare(each) == name]:
            self._leaves(jid)
        self._ended(name)
