"""Clients of both languages, through the gateway, with a real Prosody behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from hub.exi import schemas
from hub.gateway.product import default_grammars
from hub.session import exi_setup
from hub.session.exi_binding import DEFAULT_OPTIONS
from hub.session.exi_setup import SchemaFile, Settings, offered_methods
from tests.gateway.client import SESSION_WIDE, elements, grammars_of
from tests.gateway.conftest import Running
from tests.gateway.samples import HOUSE, HOUSE_FILE, PRODUCT, ROOM, ROOM_FILE

FILES: dict[SchemaFile, bytes] = {HOUSE_FILE: HOUSE, ROOM_FILE: ROOM}
DISCO = "<query xmlns='http://jabber.org/protocol/disco#info'/>"


async def test_a_client_without_exi_is_served_as_before(running: Running) -> None:
    async with running.plain() as owner, running.plain("reader") as reader:
        assert (await owner.ask("localhost", "get", DISCO)).get("type") == "result"
        owner.write(f"<message to='{reader.jid}' type='chat'><body>good\nday &amp; &#252;ber</body></message>")
        message = await reader.take(lambda stanza: stanza.tag.endswith("message"))
        assert message.findtext("{jabber:client}body") == "good\nday & über"
        assert running.figures.open["xml"] == 2
    assert running.figures.up.stanzas == 0


async def test_exi_and_xml_meet(running: Running) -> None:
    async with running.client() as owner, running.plain("reader") as reader:
        assert offered_methods(owner.features) == []
        assert owner.started is not None and owner.started.get("from") == "localhost"
        assert (await owner.ask("localhost", "get", DISCO)).get("type") == "result"
        owner.write(f"<message to='{reader.jid}'><body>good\nday &amp; &#252;ber ]]&gt;</body></message>")
        message = await reader.take(lambda stanza: stanza.tag.endswith("message"))
        assert message.findtext("{jabber:client}body") == "good\nday & über ]]>"
        reader.write(f"<message to='{owner.jid}'><body>\t&lt;tag/&gt;</body><x xmlns='urn:x' xml:lang='de'/></message>")
        message = await owner.take(lambda stanza: stanza.tag.endswith("message"))
        assert message.findtext("{jabber:client}body") == "\t<tag/>"
        assert message.find("{urn:x}x").attrib == {"{http://www.w3.org/XML/1998/namespace}lang": "de"}
        assert running.figures.open == {"exi": 1, "xml": 1}
    assert running.figures.up.stanzas == 3 and 0 < running.figures.ratio < 1


async def test_what_is_translated_is_counted_to_the_byte(running: Running) -> None:
    """Also where a body comes in pieces, or two come at once."""
    seen: list[tuple[str, int, int]] = []
    running.gateway.shared.watch = lambda element, exi, xml: seen.append((element.tag, exi, xml))
    async with running.client() as owner, running.plain("reader") as reader:
        assert (await owner.ask("localhost", "get", DISCO)).get("type") == "result"
        assert owner.stream is not None
        figures, before = running.figures, len(seen)
        start = figures.from_clients["exi"], figures.to_servers, figures.up.exi
        texts = (9 * "long ", "short", 9 * "long ")
        messages = elements("".join(f"<message to='{reader.jid}'><body>{text}</body></message>" for text in texts))
        bodies = [owner.stream.encode(message) for message in messages]
        for byte in bodies[0]:
            owner.send_bytes(bytes([byte]))  # a TLS record of its own
        await reader.take(lambda stanza: stanza.tag.endswith("message"))
        assert seen[before:] == [("{jabber:client}message", len(bodies[0]), figures.to_servers - start[1])]
        owner.send_bytes(b"".join(bodies[1:]))
        for _ in bodies[1:]:
            await reader.take(lambda stanza: stanza.tag.endswith("message"))
        assert figures.up.exi - start[2] == figures.from_clients["exi"] - start[0] == sum(map(len, bodies))
    assert sum(exi for _, exi, _ in seen) == figures.up.exi + figures.down.exi
    assert sum(xml for _, _, xml in seen) == figures.up.xml + figures.down.xml


async def test_schemas_are_uploaded_and_the_agreement_is_remembered(fresh: Running) -> None:
    async with fresh.client(files=FILES) as owner:
        assert (await owner.ask("localhost", "get", DISCO)).get("type") == "result"
        known = owner.configuration_id
    async with fresh.client(files=FILES, known=known) as owner:
        assert owner.configuration_id == known
        assert (await owner.ask("localhost", "get", DISCO)).get("type") == "result"


async def test_the_product_schemas_are_there_already(fresh: Running) -> None:
    async with fresh.client(files=PRODUCT, grammars=schemas.grammars()) as owner:
        assert (await owner.ask("localhost", "get", DISCO)).get("type") == "result"
    assert not list((fresh.folder / "store" / "schemas").glob("*"))


@pytest.mark.parametrize("more", [{}, {"clear": True}, {"propose": False}], ids=["tls", "clear", "default"])
async def test_the_binary_port(running: Running, more: Mapping[str, Any]) -> None:
    made = running.binary(files=PRODUCT, grammars=schemas.grammars(), **more)
    async with made as owner, running.plain("reader") as reader:
        assert (await owner.ask("localhost", "get", DISCO)).get("type") == "result"
        owner.write(f"<message to='{reader.jid}'><body>hello</body></message>")
        await reader.take(lambda stanza: stanza.tag.endswith("message"))
        reader.write(f"<message to='{owner.jid}'><body>hello yourself</body></message>")
        message = await owner.take(lambda stanza: stanza.tag.endswith("message"))
        assert message.findtext("{jabber:client}body") == "hello yourself"


async def test_the_shortcut_of_the_binary_port(running: Running) -> None:
    async with running.binary(files=FILES) as owner:
        known = owner.configuration_id
    async with running.binary(files=FILES, known=known) as owner:
        assert owner.binding.confirmed == ""  # the last opening was the one after login
        assert (await owner.ask("localhost", "get", DISCO)).get("type") == "result"


async def test_a_shortcut_that_nobody_remembers_ends_in_the_default_encoding(running: Running) -> None:
    stranger = running.binary(files=FILES)
    await stranger.connect()
    stranger.binding.use(grammars_of(FILES), SESSION_WIDE, "0" * 32)
    stranger.send(exi_setup.stream_start({"to": "localhost", "version": "1.0"}))
    stranger.binding.use(default_grammars(), Settings(DEFAULT_OPTIONS))
    assert [element.tag for element in await stranger.rest()] == [exi_setup.STREAM_END]
    await stranger.disconnect()
