"""A component of an XMPP server (XEP-0114), on slixmpp, kept up for ever.

Rules of this file
* XEP-0114 has no encryption and proves nobody's name but by the secret, so it belongs on loopback or a wire of one's
  own (XEP-0347 section 5.1); another address is warned of.
* XEP-0198 does not exist here: what is on the way in a cut is lost. Whoever sends what must arrive says it again until
  it is acknowledged; `send` without a stream sends nothing.
* Inside, stanzas are those of jabber:client, so that everything else here understands them: the component's own
  namespace ends at this file. Its children that are stanzas' own (body, error, show …) come along.
* A component has no roster: what slixmpp would remember of every presence is not kept.
"""

from __future__ import annotations

import ipaddress
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from xml.etree.ElementTree import Element

from slixmpp import ComponentXMPP

from hub.session.backoff import Backoff
from hub.session.link import Keeper

log = logging.getLogger(__name__)

OURS: Final = "{jabber:component:accept}"
CLIENT: Final = "{jabber:client}"
STANZAS: Final = frozenset(f"{OURS}{name}" for name in ("iq", "message", "presence"))
FIRST_WAIT_S, LAST_WAIT_S = 1.0, 10.0
REFUSALS: Final = frozenset({"not-authorized", "host-unknown", "conflict"})


@dataclass(frozen=True)
class ComponentAccount:
    """`jid`: the domain that the server knows us by. `server`: the host and port where it takes components."""

    jid: str
    secret: str = field(repr=False)
    server: tuple[str, int]


class Component(ComponentXMPP):
    """`failure` holds, in words, why the last attempt did not come through."""

    def __init__(self, account: ComponentAccount) -> None:
        host, port = account.server
        super().__init__(account.jid, account.secret, host, port, use_jc_ns=True)  # type: ignore[no-untyped-call]  # slixmpp's
        self.account = account
        self.failure = ""
        self.use_message_ids = self.use_presence_ids = False  # an id that nobody answers only costs
        self.whitespace_keepalive = False  # XEP-0199 tells more
        for name in ("Presence", "IM", "IMError"):  # they feed a roster, and events that nobody waits for
            self.remove_handler(name)
        self.add_event_handler("connection_failed", self._unreachable)
        self.add_event_handler("stream_error", self._stream_error)
        if not _is_near(host):
            log.warning("the server's component port at %s is not on this machine or in a private network, and nothing "
                        "that passes there is encrypted", host)  # fmt: skip

    def attempt(self) -> None:
        """Begin one attempt. What becomes of it arrives as an event."""
        self.failure = ""
        self.connect(*self.account.server)

    def reschedule_connection_attempt(self) -> None:
        """slixmpp would wait and try again by itself; the attempt has failed, and that is all."""
        self._current_connection_attempt = None
        self.event("attempt_failed")

    def incoming_filter(self, xml: Element) -> Element:
        if xml.tag in STANZAS:
            for element in xml.iter():
                if element.tag.startswith(OURS):
                    element.tag = CLIENT + element.tag[len(OURS) :]
        return xml

    def _unreachable(self, error: object) -> None:
        self.failure = f"the server cannot be reached: {error}"

    def _stream_error(self, error: Any) -> None:
        condition = error["condition"]
        if condition in REFUSALS:
            host, port = self.account.server
            self.failure = (
                f"the server at {host}:{port} does not take us as its component {self.account.jid} ({condition}): it "
                "must know that name and the same secret, and nobody else may be connected under it"
            )
        else:
            self.failure = f"the server closed the stream: {condition} {error['text']}".strip()


class ComponentLink(Keeper):
    """A component kept online. Its server is near, and what keeps it waiting may be another instance of it, which it
    follows when that one dies: it is tried again after `LAST_WAIT_S` at the latest."""

    def __init__(self, component: Component, on_change: Callable[[bool, bool], None]) -> None:
        super().__init__(component, on_change)
        self._backoff = Backoff(FIRST_WAIT_S, LAST_WAIT_S, random.random)


def _is_near(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or "." not in host  # a name without a dot is one of this network
    return address.is_loopback or address.is_private
