"""XEP-0060 and XEP-0163: nodes made, configured and published to; subscriptions and what they bring.

Stanzas are built here and not with slixmpp's plugin: that one fires an event per item with the whole message, and has
no bound on its waits.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from xml.etree.ElementTree import Element, SubElement

from slixmpp import ClientXMPP

from hub.errors import PeerRefused
from hub.services.iq import ask
from hub.stanzas.forms import DATA

log = logging.getLogger(__name__)

PUBSUB = "http://jabber.org/protocol/pubsub"
OWNER = PUBSUB + "#owner"
EVENT = PUBSUB + "#event"
NODE_CONFIG = PUBSUB + "#node_config"

TELEMETRY_NODE: Mapping[str, str] = {
    "pubsub#persist_items": "true",
    "pubsub#max_items": "1",  # the newest reading is what a new subscriber wants; more only slows the server down
    "pubsub#send_last_published_item": "on_sub_and_presence",
    "pubsub#notify_retract": "false",
    "pubsub#notify_delete": "true",  # who followed one that is made anew has to know
    "pubsub#deliver_payloads": "true",
    "pubsub#type": "urn:xmpp:iot:sensordata",
}


async def ensure_node(
    client: ClientXMPP, service: str | None, node: str, title: str, access_model: str, members: list[str]
) -> None:
    """Create `node` if it is not there, and configure it. `service` None: our own PEP.

    Raises PeerRefused when the service lets us do neither, PeerSilent when it does not answer.
    """
    options = {**TELEMETRY_NODE, "pubsub#title": title, "pubsub#access_model": access_model}
    create = Element(f"{{{PUBSUB}}}pubsub")
    SubElement(create, f"{{{PUBSUB}}}create", node=node)
    SubElement(create, f"{{{PUBSUB}}}configure").append(_config(options))
    try:
        await ask(client, service, "set", create)
    except PeerRefused as refused:
        if refused.condition != "conflict":  # conflict: it is there already
            raise
        await _configure(client, service, node, options)
    if access_model == "whitelist":
        await set_members(client, service, node, members)


async def _configure(client: ClientXMPP, service: str | None, node: str, options: Mapping[str, str]) -> None:
    owner = Element(f"{{{OWNER}}}pubsub")
    SubElement(owner, f"{{{OWNER}}}configure", node=node).append(_config(options))
    try:
        await ask(client, service, "set", owner)
    except PeerRefused as refused:
        log.warning("%s keeps its own configuration: %s", node, refused)


async def set_members(client: ClientXMPP, service: str | None, node: str, members: list[str]) -> None:
    """Let exactly these addresses subscribe to a whitelisted node, beside those that already may."""
    if not members:
        return
    owner = Element(f"{{{OWNER}}}pubsub")
    affiliations = SubElement(owner, f"{{{OWNER}}}affiliations", node=node)
    for jid in members:
        SubElement(affiliations, f"{{{OWNER}}}affiliation", jid=jid, affiliation="member")
    await ask(client, service, "set", owner)


async def expel(
    client: ClientXMPP, service: str | None, node: str, allowed: Callable[[str], Awaitable[bool]]
) -> None:
    """End the subscriptions of whoever is not `allowed`: a service checks who may subscribe, not who still may. Raises
    PeerRefused when it does not tell."""
    await _take_away(client, service, node, ("subscriptions", "subscription", "subscription"), ("none",), allowed)


async def expel_members(
    client: ClientXMPP, service: str | None, node: str, allowed: Callable[[str], Awaitable[bool]]
) -> bool:
    """End the memberships of a whitelisted node of whoever is not `allowed`. Whether there was somebody."""
    outside = ("owner", "none", "outcast")
    return await _take_away(client, service, node, ("affiliations", "affiliation", "affiliation"), outside, allowed)


async def _take_away(
    client: ClientXMPP, service: str | None, node: str, words: tuple[str, str, str], kept: tuple[str, ...],
    allowed: Callable[[str], Awaitable[bool]],
) -> bool:  # fmt: skip
    many, one, state = words
    asked = Element(f"{{{OWNER}}}pubsub")
    SubElement(asked, f"{{{OWNER}}}{many}", node=node)
    result = await ask(client, service, "get", asked)
    found = [entry.get("jid", "") for entry in result.iter(f"{{{OWNER}}}{one}") if entry.get(state) not in kept]
    expelled = [jid for jid in found if not await allowed(jid)]
    if not expelled:
        return False
    owner = Element(f"{{{OWNER}}}pubsub")
    changes = SubElement(owner, f"{{{OWNER}}}{many}", node=node)
    for jid in expelled:
        SubElement(changes, f"{{{OWNER}}}{one}", {"jid": jid, state: "none"})
    await ask(client, service, "set", owner)
    log.info("%s may no longer follow %s", ", ".join(expelled), node)
    return True


async def delete(client: ClientXMPP, service: str | None, node: str) -> None:
    """The node, and with it every subscription."""
    owner = Element(f"{{{OWNER}}}pubsub")
    SubElement(owner, f"{{{OWNER}}}delete", node=node)
    await ask(client, service, "set", owner)


async def publish(
    client: ClientXMPP, service: str | None, node: str, item_id: str, payload: Element, timeout: float
) -> None:
    """Returns when the service has taken the item. Raises PeerRefused or PeerSilent."""
    pubsub = Element(f"{{{PUBSUB}}}pubsub")
    publish_ = SubElement(pubsub, f"{{{PUBSUB}}}publish", node=node)
    SubElement(publish_, f"{{{PUBSUB}}}item", id=item_id).append(payload)
    await ask(client, service, "set", pubsub, timeout)


async def newest(client: ClientXMPP, service: str | None, node: str, count: int = 3) -> list[Element]:
    """The payloads of the newest items of a node. Raises PeerRefused or PeerSilent."""
    pubsub = Element(f"{{{PUBSUB}}}pubsub")
    SubElement(pubsub, f"{{{PUBSUB}}}items", node=node, max_items=str(count))
    result = await ask(client, service, "get", pubsub)
    return [item[0] for item in result.iter(f"{{{PUBSUB}}}item") if len(item)]


async def subscribe(client: ClientXMPP, service: str, node: str) -> None:
    """Subscribe our bare JID. Raises PeerRefused or PeerSilent."""
    pubsub = Element(f"{{{PUBSUB}}}pubsub")
    SubElement(pubsub, f"{{{PUBSUB}}}subscribe", node=node, jid=client.boundjid.full)
    await ask(client, service, "set", pubsub)


async def unsubscribe(client: ClientXMPP, service: str, node: str) -> None:
    pubsub = Element(f"{{{PUBSUB}}}pubsub")
    SubElement(pubsub, f"{{{PUBSUB}}}unsubscribe", node=node, jid=client.boundjid.full)
    await ask(client, service, "set", pubsub)


def notified(message: Element) -> list[tuple[str, Element]]:
    """What a notification brings: (node, payload) for each item with a payload."""
    event = message.find(f"{{{EVENT}}}event")
    if event is None:
        return []
    return [
        (items.get("node", ""), item[0])
        for items in event.findall(f"{{{EVENT}}}items")
        for item in items.findall(f"{{{EVENT}}}item")
        if len(item)
    ]


def deleted(message: Element) -> list[str]:
    """The nodes that a notification says are gone."""
    return [gone.get("node", "") for gone in message.iterfind(f"{{{EVENT}}}event/{{{EVENT}}}delete")]


def _config(options: Mapping[str, str]) -> Element:
    form = Element(f"{{{DATA}}}x", type="submit")
    for var, text in {"FORM_TYPE": NODE_CONFIG, **options}.items():
        field = SubElement(form, f"{{{DATA}}}field", var=var)
        SubElement(field, f"{{{DATA}}}value").text = text
    return form
