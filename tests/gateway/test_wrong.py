"""Clients that do everything wrong. Each gets the exact answer, is closed, and a neighbour does not notice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import Element, XMLPullParser, fromstring

import pytest

from hub import exi
from hub.exi import schemas
from hub.gateway.limits import Limits
from hub.session import exi_setup
from hub.session.exi_setup import Response, Settings, Setup
from hub.session.exi_stream import ExiStream
from tests.e2e.raw import SASL, STREAM, TIMEOUT_S, TLS, RawClient
from tests.e2e.world import World
from tests.gateway.client import SESSION_WIDE, ExiClient, grammars_of
from tests.gateway.client import elements as client_elements
from tests.gateway.conftest import Running, gateway_for
from tests.gateway.samples import PRODUCT
from tests.helpers import until

PING = "<ping xmlns='urn:xmpp:ping'/>"
HEADER = "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
CONDITION = "{urn:ietf:params:xml:ns:xmpp-streams}"
SMALL = replace(Limits(), stanza_size=20_000, stanza_size_before_login=10_000)


@pytest.fixture
async def running(server: World, store_folder: Path) -> AsyncIterator[Running]:
    async with (
        gateway_for(server, store_folder, SMALL) as made,
        made.client("reader", resource="neighbour") as neighbour,
    ):
        yield made
        assert (await neighbour.ask("localhost", "get", PING)).get("type") == "result"
        assert made.figures.open["exi"] == 1


def fault_of(found: list[Element]) -> str:
    """The condition of the stream error that was said last, before the stream was closed."""
    errors = [element for element in found if element.tag == f"{STREAM}error"]
    assert len(errors) == 1, found
    return str(errors[0][0].tag.removeprefix(CONDITION))


async def all_of(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(TIMEOUT_S):
        return await reader.read()


@contextlib.asynccontextmanager
async def in_the_clear(running: Running, *said: bytes) -> AsyncIterator[list[Element]]:
    """What the gateway says to these bytes, of which the first has no TLS, until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    for data in said:
        writer.write(data)
    text = await all_of(reader)
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    yield list(fromstring(text)) if text else []


# --------------------------------------------------------------------------- before TLS


@pytest.mark.parametrize(
    ("said", "condition"),
    [
        (HEADER.replace("localhost", "example.com"), "host-unknown"),
        (HEADER.replace("to='localhost'", ""), "host-unknown"),
        (HEADER + "<message/>", "not-authorized"),
        (HEADER + f"<auth xmlns='{SASL}' mechanism='PLAIN'>AGEAYg==</auth>", "not-authorized"),
        (HEADER + f"<starttls xmlns='{TLS}'/><message/>", "policy-violation"),
        (HEADER + f"<starttls xmlns='{TLS}'/><mess", "policy-violation"),
        (HEADER + "<a>" + "x" * 10_001, "policy-violation"),
        (HEADER + "<a></b>", "not-well-formed"),
        ("<!DOCTYPE x>", "restricted-xml"),
        ("GET / HTTP/1.1>", "not-well-formed"),
        ("$EXI\x80>", "not-well-formed"),
    ],
)
async def test_before_tls(running: Running, said: str, condition: str) -> None:
    async with in_the_clear(running, said.encode()) as found:
        assert fault_of(found) == condition
    assert running.figures.faults == {condition: 1}


async def test_the_end_of_a_stream_before_tls(running: Running) -> None:
    async with in_the_clear(running, HEADER.encode(), b"</stream:stream>") as found:
        assert [element.tag for element in found] == [f"{STREAM}features"]


# --------------------------------------------------------------------------- before login


async def secured(running: Running, domain: str = "localhost") -> RawClient:
    client = running.plain()
    client._domain = domain
    client._reader, client._writer = await asyncio.open_connection("127.0.0.1", running.port)
    await client._open_stream()
    client.write(f"<starttls xmlns='{TLS}'/>")
    await client._element()
    await client._writer.start_tls(client._context, server_hostname="localhost")
    return client


async def rest(client: RawClient) -> list[Element]:
    found = []
    async with asyncio.timeout(TIMEOUT_S):
        try:
            while True:
                found.append(await client._element())
        except ConnectionError:
            client._writer.close()
            await asyncio.gather(client._writer.wait_closed(), return_exceptions=True)
            return found


async def test_exi_before_login(running: Running) -> None:
    client = await secured(running)
    features = await client._open_stream()
    assert exi_setup.offered_methods(features) == []
    client.write("<compress xmlns='http://jabber.org/protocol/compress'><method>exi</method></compress>")
    assert (answer := await client._element()).tag == exi_setup.COMPRESS_FAILURE
    assert answer[0].tag.endswith("}setup-failed")
    client.write("<setup xmlns='http://jabber.org/protocol/compress/exi'/>")
    assert exi_setup.read_response(await client._element()) == Response(False)
    client.write("<uploadSchema xmlns='http://jabber.org/protocol/compress/exi'>AAAA</uploadSchema>")
    assert fault_of(await rest(client)) == "not-authorized"


async def test_tls_inside_tls(running: Running) -> None:
    client = await secured(running)
    features = await client._open_stream()
    assert features.find(f"{{{TLS}}}starttls") is None
    client.write(f"<starttls xmlns='{TLS}'/>")
    assert [element.tag for element in await rest(client)] == [f"{{{TLS}}}failure"]


async def test_a_stanza_before_the_stream(running: Running) -> None:
    client = await secured(running)
    client.write("<iq/>")
    client._parser, client._depth = XMLPullParser(["start", "end"]), 0
    assert fault_of(await rest(client)) == "bad-format"


# --------------------------------------------------------------------------- the set-up


async def logged_in(running: Running, settings: Settings = SESSION_WIDE) -> ExiClient:
    client = running.client(settings=settings)
    assert exi_setup.offered_methods(await client.log_in()) == ["exi", f"exi:{running.gateway.shared.exi_port}"]
    return client


@pytest.mark.parametrize(
    ("method", "condition"), [("exi", "setup-failed"), ("zlib", "unsupported-method"), ("", "unsupported-method")]
)
async def test_compress_without_a_set_up(running: Running, method: str, condition: str) -> None:
    client = await logged_in(running)
    client.write(f"<compress xmlns='http://jabber.org/protocol/compress'><method>{method}</method></compress>")
    answer = await client.next()
    assert answer.tag == exi_setup.COMPRESS_FAILURE and answer[0].tag.endswith("}" + condition)
    await client.set_up()  # and all is well after it
    await client.compress()
    await client.open()
    await client.disconnect()


async def test_nothing_may_follow_compress(running: Running) -> None:
    client = await logged_in(running)
    await client.set_up()
    client.write("<compress xmlns='http://jabber.org/protocol/compress'><method>exi</method></compress><iq/>")
    xml, closed, bodies = (await all_of(client._reader)).partition(b"/>")
    assert (xml + closed).startswith(b"<compressed xmlns=")
    found = ExiStream(grammars_of({}), SESSION_WIDE).feed(bodies)
    assert [element.tag for element in found] == [exi_setup.STREAM_START, f"{STREAM}error", exi_setup.STREAM_END]
    assert fault_of(found) == "policy-violation"
    await client.disconnect()


async def test_set_ups_without_end(running: Running) -> None:
    client = await logged_in(running)
    for _ in range(running.store.bounds.setups_per_connection):
        assert (await client.propose(Setup(SESSION_WIDE))).agreement
    client.send(exi_setup.setup_element(Setup(SESSION_WIDE)))
    assert fault_of(await client.rest()) == "policy-violation"
    await client.disconnect()


# --------------------------------------------------------------------------- in EXI


async def speaking(running: Running, settings: Settings = SESSION_WIDE) -> ExiClient:
    client = await logged_in(running, settings)
    await client.set_up()
    await client.compress()
    await client.open()
    return client


async def ends(client: ExiClient, *conditions: str) -> None:
    found = await client.rest()
    assert fault_of(found) in conditions
    assert found[-1].tag == exi_setup.STREAM_END
    await client.disconnect()


async def test_something_else_before_the_stream_start(running: Running) -> None:
    client = await logged_in(running)
    await client.set_up()
    await client.compress()
    client.write("<presence/>")
    await ends(client, "not-authorized")


async def test_xml_where_exi_is_spoken(running: Running) -> None:
    client = await speaking(running)
    client.send_bytes(b"<message to='reader@localhost'><body>hello</body></message>" * 2_000)
    await ends(client, "not-well-formed")


async def test_what_was_right_before_it_went_wrong_is_passed_on(running: Running) -> None:
    async with running.plain("reader") as reader:
        client = await speaking(running)
        await client.bind()
        assert client.stream is not None and client._task is not None
        client._task.cancel()
        await asyncio.gather(client._task, return_exceptions=True)
        (message,) = client_elements(f"<message to='{reader.jid}'><body>right</body></message>")
        client.send_bytes(client.stream.encode(message) + bytes(range(256)) * 500)
        await ends(client, "not-well-formed", "policy-violation")  # what noise looks like depends on the tables
        received = await reader.take(lambda stanza: stanza.tag.endswith("message"))
        assert received.findtext("{jabber:client}body") == "right"


async def test_noise(running: Running) -> None:
    client = await speaking(running)
    client.send_bytes(bytes(range(256)) * 500)
    await ends(client, "not-well-formed")


async def test_a_body_beyond_the_limits(running: Running) -> None:
    client = await speaking(running)
    client.write("<message><body>" + "x" * 30_000 + "</body></message>")
    await ends(client, "policy-violation")


async def test_elements_nested_beyond_the_limits(running: Running) -> None:
    client = await speaking(running)
    client.write("<message>" + "<a>" * 120 + "</a>" * 120 + "</message>")
    await ends(client, "policy-violation")


BYTES = Settings(exi.Options(alignment="byte-packed"))  # where a text can be found in a body, and changed


@pytest.mark.parametrize("text", [b"\x00", b"\x1b", b"\x7f<", b"\xef\xbf\xbe"])
async def test_texts_that_xml_has_no_form_for(running: Running, text: bytes) -> None:
    await says(running, b"<message><body>%s</body></message>", text, forbidden=text != b"\x7f<")


@pytest.mark.parametrize("name", [b"a><b", b"a b", b"a:b", b"1a", b"-"])
async def test_names_that_xml_has_no_form_for(running: Running, name: bytes) -> None:
    await says(running, b"<message><%s/></message>", name)
    await says(running, b"<message %s='1'/>", name)


async def test_namespaces_that_xml_has_no_form_for(running: Running) -> None:
    await says(running, b"<message><a xmlns='%s'/></message>", b"urn:\x01")


async def says(running: Running, form: bytes, content: bytes, forbidden: bool = True) -> None:
    """A client whose encoder does not care what it says."""
    client = await speaking(running, BYTES)
    stand_in = "x" * len(content.decode())
    (element,) = client_elements((form % stand_in.encode()).decode())
    assert client.stream is not None
    body = client.stream.encode(element)
    assert body.count(stand_in.encode()) == 1
    points = b"".join(_unsigned(ord(character)) for character in content.decode())
    client.send_bytes(body.replace(stand_in.encode(), points))
    if forbidden:
        found = await client.rest()
        assert fault_of(found) in ("not-well-formed", "invalid-xml") and found[-1].tag == exi_setup.STREAM_END
    await client.disconnect()


def _unsigned(value: int) -> bytes:
    """An Unsigned Integer (EXI 1.0 section 7.1.6)."""
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + _unsigned(value >> 7)


async def test_a_stream_inside_the_stream(running: Running) -> None:
    client = await speaking(running)
    client.send(Element(f"{STREAM}stream", to="localhost"))
    await ends(client, "invalid-xml")


async def test_compress_once_more(running: Running) -> None:
    client = await speaking(running)
    client.send(exi_setup.compress_element())
    answer = await client.next()
    assert answer.tag == exi_setup.COMPRESS_FAILURE and answer[0].tag.endswith("}setup-failed")
    assert (await client.propose(Setup(SESSION_WIDE))).agreement  # for another time
    await client.bind()
    assert (await client.ask("localhost", "get", PING)).get("type") == "result"
    client._task.cancel()
    await client.disconnect()


async def test_a_stanza_that_the_clients_schemas_have_no_form_for_is_dropped(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    strict = Settings(exi.Options(strict=True))
    client = running.client(settings=strict, files=PRODUCT, grammars=schemas.grammars())
    async with client, running.plain("reader") as reader:
        for body in ("<body strange='1'>no form</body>", "<body strange='1'>none</body>", "<body>said</body>"):
            reader.write(f"<message to='{client.jid}'>{body}</message>")
        message = await client.take(lambda stanza: stanza.tag.endswith("message"))
        assert message.findtext("{jabber:client}body") == "said"
        assert running.figures.dropped == 2
    assert len([line for line in caplog.messages if "was dropped" in line]) == 1


# --------------------------------------------------------------------------- the binary port


@pytest.mark.parametrize("data", [b"<stream:stream>", b"GET / HTTP/1.1\r\n\r\n", b"$EXI\x00\x00\x00\x00", b"\x00" * 40])
async def test_no_exi_on_the_binary_port(running: Running, data: bytes) -> None:
    client = running.binary()
    await client.connect()
    client.send_bytes(data)
    found = await client.rest()
    assert [element.tag for element in found] == [exi_setup.STREAM_START, f"{STREAM}error", exi_setup.STREAM_END]
    assert fault_of(found) == "not-well-formed"
    await client.disconnect()


async def test_an_unknown_domain_on_the_binary_port(running: Running) -> None:
    client = running.binary()
    await client.connect()
    client.send(exi_setup.stream_start({"to": "example.com", "version": "1.0"}))
    assert fault_of(await client.rest()) == "host-unknown"
    await client.disconnect()


# --------------------------------------------------------------------------- going away


async def test_clients_that_just_leave(running: Running) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(HEADER.encode())
    await reader.readuntil(b"</stream:features>")
    client = await secured(running)
    speaker = await speaking(running)
    for each in (writer, client._writer, speaker._writer):
        each.transport.abort()
    await until(lambda: running.gateway.connections == 1, "only the neighbour is left")
