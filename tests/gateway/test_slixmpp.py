"""Somebody else's client, which knows nothing of EXI, through the gateway."""

from __future__ import annotations

import asyncio
import ssl

import slixmpp

from tests.e2e.raw import TIMEOUT_S
from tests.gateway.conftest import Running


async def test_slixmpp(running: Running) -> None:
    client = slixmpp.ClientXMPP("owner@localhost/slix", running.world.passwords["owner"])
    client.ssl_context = ssl.create_default_context(cafile=str(running.world.ca_file))
    client.enable_direct_tls = False
    client.register_plugin("xep_0199")
    client.register_plugin("xep_0198")
    started, ended = asyncio.Event(), asyncio.Event()
    client.add_event_handler("session_start", lambda _: started.set())
    client.add_event_handler("disconnected", lambda _: ended.set())
    client.connect("127.0.0.1", running.port)
    async with asyncio.timeout(TIMEOUT_S), running.client("reader") as reader:
        await started.wait()
        assert await client.plugin["xep_0199"].ping("localhost") >= 0
        client.send_message(mto=slixmpp.JID(reader.jid), mbody="<hello> & so on")
        message = await reader.take(lambda stanza: stanza.tag.endswith("message"))
        assert message.findtext("{jabber:client}body") == "<hello> & so on"
        await client.disconnect()
        await ended.wait()
