"""XEP-0030 and XEP-0115: what a node says of itself, and to whom."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from hub.programs.node import Node

from .raw import RawClient, condition
from .world import HUB, ON_EJABBERD, World, running

INFO = "http://jabber.org/protocol/disco#info"
ITEMS = "http://jabber.org/protocol/disco#items"
CAPS = "{http://jabber.org/protocol/caps}c"

THINGS = """
[things.air]
driver = "simulated"
label = "Air"
[things.pump]
driver = "relay"
pin = 17
"""


@pytest.fixture
async def node(own_server: World, state: Path) -> AsyncIterator[Node]:
    async with running(own_server.config(THINGS, state)) as node:
        yield node


async def info(client: RawClient, node: str = "") -> Element:
    iq = await client.ask(HUB, "get", f"<query xmlns='{INFO}'{node and f' node={node!r}'}/>")
    assert iq.get("type") == "result"
    return iq[0]


def features(query: Element) -> set[str]:
    return {feature.get("var", "") for feature in query.iter(f"{{{INFO}}}feature")}


@ON_EJABBERD
async def test_a_node_names_every_dialect_and_form_extension_it_speaks(node: Node, own_server: World) -> None:
    async with own_server.client("owner") as owner:
        query = await info(owner)
    assert features(query) >= {
        "urn:xmpp:iot:sensordata", "urn:nf:iot:sd:1.0", "urn:ieee:iot:sd:1.0",
        "urn:xmpp:iot:control", "urn:nf:iot:ctr:1.0", "urn:ieee:iot:ctr:1.0",
        "jabber:x:data", "http://jabber.org/protocol/xdata-validate", "http://jabber.org/protocol/xdata-layout",
        "urn:xmpp:xdata:dynamic", "http://jabber.org/protocol/caps", "urn:xmpp:ping", INFO,
    }  # fmt: skip
    assert not any("provisioning" in feature or "concentrator" in feature for feature in features(query))
    identities = [(i.get("category"), i.get("type")) for i in query.iter(f"{{{INFO}}}identity")]
    assert identities == [("automation", "device-node")]


async def test_the_presence_of_a_node_carries_a_caps_hash_that_is_true(node: Node, own_server: World) -> None:
    async with own_server.client("owner") as owner:
        presence = await owner.befriend("greenhouse@localhost")
        caps = presence.find(CAPS)
        assert caps is not None and caps.get("hash") == "sha-1"
        query = await info(owner, f"{caps.get('node')}#{caps.get('ver')}")
    identities = sorted(
        f"{i.get('category')}/{i.get('type')}/{i.get('{http://www.w3.org/XML/1998/namespace}lang', '')}/{i.get('name')}"
        for i in query.iter(f"{{{INFO}}}identity")
    )
    text = "".join(f"{part}<" for part in [*identities, *sorted(features(query))])  # XEP-0115 section 5.1
    assert caps.get("ver") == base64.b64encode(hashlib.sha1(text.encode()).digest()).decode()
    assert "urn:xmpp:iot:sensordata" in features(query)


async def test_the_names_of_things_are_told_to_contacts_and_not_to_strangers(node: Node, own_server: World) -> None:
    async with own_server.client("owner") as owner, own_server.client("stranger") as stranger:
        iq = await owner.ask(HUB, "get", f"<query xmlns='{ITEMS}'/>")
        items = [(i.get("jid"), i.get("node"), i.get("name")) for i in iq.iter(f"{{{ITEMS}}}item")]
        assert items == [
            ("greenhouse@localhost", "hub/air", "Air"),
            ("greenhouse@localhost", "hub/pump", "pump"),
        ]
        iq = await stranger.ask(HUB, "get", f"<query xmlns='{ITEMS}'/>")
        assert list(iq.iter(f"{{{ITEMS}}}item")) == []


async def test_a_stranger_is_not_granted_presence(node: Node, own_server: World) -> None:
    async with own_server.client("stranger") as stranger:
        await stranger.ask(None, "get", "<query xmlns='jabber:iq:roster'/>")  # who has a roster is told of refusals
        stranger.write("<presence/><presence to='greenhouse@localhost' type='subscribe'/>")
        answer = await stranger.take(
            lambda s: s.tag.endswith("}presence") and str(s.get("type")).endswith("subscribed"), "the refusal"
        )
        assert answer.get("type") == "unsubscribed"
        ping = await stranger.ask(HUB, "get", "<ping xmlns='urn:xmpp:ping'/>")
        assert ping.get("type") == "result" or condition(ping) == "service-unavailable"
        assert not any(s.tag.endswith("}presence") and s.get("from") == HUB for s in stranger.pending)
