"""XEP-0030 and XEP-0115: what we are, what we speak, and which things there are.

Features are everybody's to see. The names of things are for those who may know us: a stranger sees an empty list.
slixmpp's plugins do the talking (and keep the caps hash right); this file tells them what to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from slixmpp import JID, ClientXMPP
from slixmpp.plugins.xep_0030.stanza.items import DiscoItems

from hub.things.thing import Thing
from hub.trust.access import Judge

RESOURCE = "hub"
"""A fixed resource makes a node's full JID known to clients before they see its presence."""
IDENTITY = ("automation", "device-node", "xmpp-iot-hub")
"""The registrar's category and type for what senses and acts, and our name."""


def announce(
    client: ClientXMPP,
    features: Iterable[str],
    things: Mapping[str, Thing],
    judge: Callable[[], Judge],
    telemetry: Callable[[str], tuple[str, str]],
) -> None:
    """`telemetry` tells where a thing is published: (JID of the pubsub service, node)."""
    disco: Any = client.plugin["xep_0030"]
    category, kind, name = IDENTITY
    disco.add_identity(category=category, itype=kind, name=name)
    for feature in features:
        disco.add_feature(feature)

    async def items(_jid: object, node: str | None, caller: Any, _iq: object) -> Any:
        found = DiscoItems()
        if not node and await judge().may_know(str(caller)):
            for thing in things.values():
                jid, place = telemetry(thing.name)
                found.add_item(JID(jid), node=place, name=thing.description.label or thing.name)
        return found

    disco.set_node_handler("get_items", handler=items)
