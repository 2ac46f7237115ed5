"""XEP-0030 and XEP-0115: what we are, what we speak, and which things there are.

Features are everybody's to see. The names of things are for those who may know us: a stranger sees an empty list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from slixmpp import ClientXMPP

from hub.services.router import Route
from hub.things.thing import Thing
from hub.trust.access import Judge

ITEMS = "http://jabber.org/protocol/disco#items"
CATEGORY = ("automation", "device-node")
"""The registrar's category for what senses and acts (XMPP registry of disco categories)."""


class Discovery:
    """`telemetry` tells where each thing is published: (JID of the pubsub service, node)."""

    def __init__(
        self,
        things: Mapping[str, Thing],
        judge: Callable[[], Judge],
        telemetry: Callable[[str], tuple[str, str]],
    ) -> None:
        self._things = things
        self._judge = judge
        self._telemetry = telemetry

    def features(self) -> Iterable[str]:
        return ()

    def routes(self) -> Iterable[Route]:
        yield Route("iq", ("get",), f"{{{ITEMS}}}query", self._items)

    async def _items(self, caller: str, payload: Element) -> Element:
        query = Element(f"{{{ITEMS}}}query")
        if payload.get("node"):
            query.set("node", payload.get("node", ""))
            return query
        if self._judge().may_know(caller):
            for thing in self._things.values():
                jid, node = self._telemetry(thing.name)
                label = thing.description.label or thing.name
                SubElement(query, f"{{{ITEMS}}}item", jid=jid, node=node, name=label)
        return query


def announce(client: ClientXMPP, features: Iterable[str]) -> None:
    """Tell slixmpp's disco and caps plugins what to say of us."""
    disco: Any = client.plugin["xep_0030"]
    disco.add_identity(category=CATEGORY[0], itype=CATEGORY[1], name="xmpp-iot-hub")
    for feature in features:
        disco.add_feature(feature)
