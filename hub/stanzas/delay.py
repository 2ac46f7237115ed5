"""XEP-0203: how long a stanza has waited for us, as the servers on its way say."""

from __future__ import annotations

import datetime as dt
from xml.etree.ElementTree import Element

from hub.errors import Conflict
from hub.stanzas.xml import moment

DELAY = "{urn:xmpp:delay}delay"

MOST_LATE = dt.timedelta(seconds=60)
"""A cut that a session survives is shorter; who waits longer for a lamp goes to the switch."""


def refuse_late(stanza: Element, now: dt.datetime) -> None:
    """Raise Conflict when the stanza was stored longer than `MOST_LATE` ago, or, by a wrong clock here or there, in
    the future; BadRequest when its stamp is none. Without a stamp it came straight away."""
    for delay in stanza.findall(DELAY):
        stamp = moment(delay, "stamp")
        if stamp is None or not -MOST_LATE <= now - stamp <= MOST_LATE:
            since = "an unknown moment" if stamp is None else stamp.isoformat(timespec="seconds")
            raise Conflict(f"This command was kept since {since}; it is too late to carry it out.")
