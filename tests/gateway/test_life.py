"""A gateway over time: limits, slow peers, lost servers, new certificates, and the end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import Element, fromstring

import pytest

from hub.demo.prosody import make_certificates
from hub.errors import LinkError
from hub.exi import schemas
from hub.gateway.domains import Domain
from hub.gateway.limits import Limits
from hub.session import exi_setup
from tests.e2e.raw import STREAM, TIMEOUT_S, TLS
from tests.e2e.world import World
from tests.gateway.client import BinaryClient, ExiClient, elements
from tests.gateway.conftest import Running, domain_of, gateway_for
from tests.gateway.samples import PRODUCT
from tests.gateway.test_wrong import HEADER, fault_of, logged_in, rest, secured, speaking
from tests.helpers import until

PING = "<ping xmlns='urn:xmpp:ping'/>"
ASKS = "{urn:xmpp:sm:3}r"


async def told(reader: asyncio.StreamReader) -> list[Element]:
    async with asyncio.timeout(TIMEOUT_S):
        text = await reader.read()
    return list(fromstring(text)) if text else []


@contextlib.asynccontextmanager
async def connected(running: Running) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


# --------------------------------------------------------------------------- limits


@pytest.mark.parametrize("limits", [Limits(connections=1), Limits(connections_per_address=1)], ids=["all", "address"])
async def test_one_connection_too_many(server: World, store_folder: Path, limits: Limits) -> None:
    async with gateway_for(server, store_folder, limits) as running:
        async with running.plain() as first:
            async with connected(running) as (reader, _):
                assert fault_of(await told(reader)) == "resource-constraint"
            assert (await first.ask("localhost", "get", PING)).get("type") == "result"
            assert sum(running.figures.refused.values()) == 1
        await until(lambda: running.gateway.connections == 0, "it has left")
        async with running.plain("reader") as second:
            assert (await second.ask("localhost", "get", PING)).get("type") == "result"


HASTY = Limits(open_timeout=0.3, tls_timeout=0.3, login_timeout=0.4, stall_timeout=0.3)


@pytest.fixture
async def hasty(server: World, store_folder: Path) -> AsyncIterator[Running]:
    async with gateway_for(server, store_folder, HASTY) as made:
        yield made


@pytest.mark.parametrize("said", ["", "<?xml version='1.0'?>", HEADER[:30], HEADER])
async def test_silence_before_tls(hasty: Running, said: str) -> None:
    async with connected(hasty) as (reader, writer):
        writer.write(said.encode())
        assert fault_of(await told(reader)) == "connection-timeout"


async def test_silence_where_tls_has_to_begin(hasty: Running) -> None:
    async with connected(hasty) as (reader, writer):
        writer.write(f"{HEADER}<starttls xmlns='{TLS}'/>".encode())
        async with asyncio.timeout(TIMEOUT_S):
            assert (await reader.read()).endswith(f"<proceed xmlns='{TLS}'/>".encode())


async def test_no_tls_where_tls_has_to_begin(hasty: Running) -> None:
    async with connected(hasty) as (reader, writer):
        writer.write(f"{HEADER}<starttls xmlns='{TLS}'/>".encode())
        await reader.readuntil(b"<proceed")
        writer.write(HEADER.encode())
        async with asyncio.timeout(TIMEOUT_S):
            await reader.read()


async def test_silence_after_tls(hasty: Running) -> None:
    client = await secured(hasty)
    async with asyncio.timeout(TIMEOUT_S):
        assert b"connection-timeout" in await client._reader.read()
    client._writer.close()
    await asyncio.gather(client._writer.wait_closed(), return_exceptions=True)


async def test_no_login(hasty: Running) -> None:
    client = await secured(hasty)
    await client._open_stream()
    assert fault_of(await rest(client)) == "policy-violation"


async def test_silence_after_compressed(hasty: Running) -> None:
    client = await logged_in(hasty)
    await client.set_up()
    await client.compress()
    assert fault_of(await client.rest()) == "connection-timeout"
    await client.disconnect()


async def test_a_session_may_be_silent(hasty: Running) -> None:
    async with hasty.client() as client, hasty.plain("reader") as reader:
        await asyncio.sleep(1.5 * HASTY.login_timeout)  # the silence is what is tested
        for each in (client, reader):
            assert (await each.ask("localhost", "get", PING)).get("type") == "result"


UNFINISHED = "<message to='reader@localhost'><body>to be contin"


@pytest.mark.parametrize("drips", [False, True], ids=["silent", "dripping"])
@pytest.mark.parametrize("kind", ["plain", "exi", "binary"])
async def test_a_stanza_that_is_never_finished(server: World, store_folder: Path, kind: str, drips: bool) -> None:
    """A byte now and then does not help; a neighbour who says nothing at all is left alone."""
    limits = replace(HASTY, stanza_timeout=0.3)
    async with gateway_for(server, store_folder, limits) as running, running.client("reader") as neighbour:
        client = {"plain": running.plain, "exi": running.client, "binary": running.binary}[kind]()
        async with client:
            if isinstance(client, ExiClient):
                (message,) = elements(f"{UNFINISHED}{'x' * 200}</body></message>")
                begun, more = unfinished(client, message), b""
            else:
                begun, more = UNFINISHED.encode(), b"x"
            client._writer.write(begun[:-100] if drips and not more else begun)
            for position in range(100 if drips else 0):
                if running.gateway.connections == 1:
                    break
                client._writer.write(more or begun[position - 100 : position - 99])
                await asyncio.sleep(0.02)
            await until(lambda: running.gateway.connections == 1, "it is closed")
            assert running.figures.faults == {"connection-timeout": 1}
            error = await client.take(lambda stanza: stanza.tag == f"{STREAM}error", "the error")
            assert error[0].tag.endswith("}connection-timeout")
        assert (await neighbour.ask("localhost", "get", PING)).get("type") == "result"


def unfinished(client: ExiClient, message: Element) -> bytes:
    """All of a stanza but its last byte."""
    stream = client.binding if isinstance(client, BinaryClient) else client.stream
    assert stream is not None
    return stream.encode(message)[:-1]


async def test_a_stanza_may_come_in_pieces(server: World, store_folder: Path) -> None:
    """Each has the whole time: that of the one before does not count against it."""
    limits = replace(HASTY, stanza_timeout=1.2)
    async with gateway_for(server, store_folder, limits) as running, running.client() as client:
        for _ in range(4):
            (message,) = elements(f"<message to='{client.jid}'><body>in pieces</body></message>")
            data = client.stream.encode(message)
            client.send_bytes(data[:5])
            await asyncio.sleep(0.4)  # four times that is more than the limit
            client.send_bytes(data[5:])
            await client.take(lambda stanza: stanza.tag.endswith("message"))
        assert not running.figures.faults


async def test_a_session_whose_tables_are_full_begins_anew(server: World, store_folder: Path) -> None:
    """Schemas know the words of the goodbye; a set without them may have no room for it."""
    product = {"files": PRODUCT, "grammars": schemas.grammars()}
    async with (
        gateway_for(server, store_folder, Limits(table_entries=300)) as running,
        running.client(**product) as client,
        running.plain("reader") as reader,
    ):
        for index in range(300):
            reader.write(f"<message to='{client.jid}'><a{index} xmlns='urn:x:{index}'/></message>")
        error = await client.take(lambda stanza: stanza.tag == f"{STREAM}error", "the error")
        assert error[0].tag.endswith("}reset")
        assert (await reader.ask("localhost", "get", PING)).get("type") == "result"


# --------------------------------------------------------------------------- slow peers


async def test_a_client_that_takes_nothing_is_closed_and_the_gateway_holds_little(
    server: World, store_folder: Path
) -> None:
    body = "x" * 100_000
    async with gateway_for(server, store_folder, replace(HASTY, stall_timeout=1.0)) as running:
        slow = await speaking(running)
        await slow.bind()
        slow._task.cancel()
        slow._writer.transport.pause_reading()
        async with running.plain("reader") as reader:
            for _ in range(200):
                if running.gateway.connections == 1:
                    break
                reader.write(f"<message to='{slow.jid}'><body>{body}</body></message>")
                assert (await reader.ask("localhost", "get", PING)).get("type") == "result"
            await until(lambda: running.gateway.connections == 1, "the slow one is closed")
        assert running.figures.to_clients["exi"] < 15_000_000  # what kernels buffer, not what was sent
        slow._writer.transport.abort()


async def test_a_server_that_takes_nothing_stops_its_client(own_server: World, store_folder: Path) -> None:
    async with gateway_for(own_server, store_folder, replace(HASTY, stall_timeout=1.0)) as running:
        client = await speaking(running)
        await client.bind()
        own_server.freeze()
        try:
            for index in range(500):
                client.write(f"<message to='reader@localhost'><body>{index}{'x' * 100_000}</body></message>")
                with contextlib.suppress(ConnectionError, TimeoutError):
                    async with asyncio.timeout(0.05):
                        await client._writer.drain()
                if not running.gateway.connections:
                    break
            await until(lambda: running.gateway.connections == 0, "it is closed")
        finally:
            own_server.thaw()
        assert running.figures.to_servers < 15_000_000
        client._task.cancel()
        await client.disconnect()


# --------------------------------------------------------------------------- servers


async def test_a_lost_server(own_server: World, store_folder: Path) -> None:
    async with gateway_for(own_server, store_folder) as running:
        client, binary, plain = running.client(), running.binary("reader"), running.plain("reader")
        async with client, binary, plain:
            own_server.kill()
            for each in (client, binary, plain):
                await each.take(lambda stanza: stanza.tag == f"{STREAM}error", "the error")
            await until(lambda: running.gateway.connections == 0, "everybody has left")
        assert running.figures.faults == {"remote-connection-failed": 3}
        assert b"remote-connection-failed" in await opened(running)


async def test_a_server_that_ends_a_session(running: Running) -> None:
    older, binary = running.client(), running.binary("reader")
    async with older, binary, running.client(), running.binary("reader"):  # the same resources: the older ones go
        for each in (older, binary):
            error = await each.take(lambda stanza: stanza.tag == f"{STREAM}error", "the server's own error")
            assert error[0].tag.endswith("}conflict")
            await each.take(lambda stanza: stanza.tag == exi_setup.STREAM_END, "the end")
    assert not running.figures.faults


async def opened(running: Running) -> bytes:
    """All that a client hears that opens its stream behind TLS, where the server is not to be had."""
    domain = running.gateway.shared.domains.first.domain.name
    client = await secured(running, domain)
    client.write(HEADER.replace("localhost", domain))
    async with asyncio.timeout(TIMEOUT_S):
        data = await client._reader.read()
    client._writer.close()
    await asyncio.gather(client._writer.wait_closed(), return_exceptions=True)
    return data


@pytest.mark.parametrize("wrong", ["authority", "name", "port", "silence"])
async def test_a_server_that_is_not_the_domains(server: World, store_folder: Path, tmp_path: Path, wrong: str) -> None:
    make_certificates(tmp_path, "other.example")
    silent = socket.create_server(("127.0.0.1", 0))  # the kernel accepts, nobody answers
    changes = {
        "authority": {"ca_file": tmp_path / "ca.pem"},
        "name": {"name": "other.example"},
        "port": {"server": ("127.0.0.1", 1)},
        "silence": {"server": silent.getsockname()},
    }[wrong]
    limits = Limits(connect_timeout=0.5)
    with silent:
        async with gateway_for(server, store_folder, limits, **changes) as running:
            data = await opened(running)
        assert b"remote-connection-failed" in data and b"mechanism" not in data


# --------------------------------------------------------------------------- resumption (XEP-0198)


async def test_a_session_that_was_cut_is_resumed(running: Running) -> None:
    sm = "xmlns='urn:xmpp:sm:3'"
    client = await speaking(running)
    await client.bind()
    client.send(fromstring(f"<enable {sm} resume='true'/>"))
    enabled = await client.take(lambda stanza: stanza.tag == "{urn:xmpp:sm:3}enabled")
    client._task.cancel()
    client._writer.transport.abort()
    async with running.plain("reader") as reader:
        reader.write(f"<message to='{client.jid}'><body>meanwhile</body></message>")
        assert (await reader.ask("localhost", "get", PING)).get("type") == "result"
    again = await speaking(running)
    again.send(fromstring(f"<resume {sm} h='0' previd='{enabled.get('id')}'/>"))
    found = [await again.next(), await again.next(), await again.next()]
    assert "{urn:xmpp:sm:3}resumed" in [element.tag for element in found]
    assert "meanwhile" in [element.findtext("{jabber:client}body") for element in found]
    await again.disconnect()


# --------------------------------------------------------------------------- certificates


async def test_new_certificates_for_new_connections(server: World, store_folder: Path, tmp_path: Path) -> None:
    make_certificates(tmp_path, "localhost")
    async with gateway_for(server, store_folder) as running, running.client() as client:
        domains = running.gateway.shared.domains
        with pytest.raises(LinkError, match="no certificate and key"):
            domains.load([domain_of(server, key=tmp_path / "key.pem")])
        with pytest.raises(LinkError, match="at least one domain"):
            domains.load([])
        async with running.plain("reader"):
            pass  # the table before is still in use
        domains.load([domain_of(server, certificate=tmp_path / "cert.pem", key=tmp_path / "key.pem")])
        with pytest.raises(Exception, match="certificate verify failed"):
            await running.plain("reader").__aenter__()
        assert (await client.ask("localhost", "get", PING)).get("type") == "result"


async def test_the_certificate_of_the_domain_that_is_asked_for(running: Running, tmp_path: Path, server: World) -> None:
    make_certificates(tmp_path, "other.example")
    other = Domain(name="other.example", certificate=tmp_path / "cert.pem", key=tmp_path / "key.pem", server=("::1", 1))
    running.gateway.shared.domains.load([other, domain_of(server)])
    async with running.plain(), running.binary("reader"):
        pass  # by `to`, and by the name in TLS alone


# --------------------------------------------------------------------------- the end


async def test_everybody_is_told_and_nobody_new_comes_in(own_server: World, store_folder: Path) -> None:
    async with gateway_for(own_server, store_folder) as running:
        client, binary, plain = running.client(), running.binary("reader"), running.plain("reader")
        async with connected(running) as (reader, _), client, binary, plain:
            await until(lambda: running.gateway.connections == 4, "all are there")
            await running.gateway.drain()
            assert running.gateway.connections == 0
            for each in (client, binary, plain):
                error = await each.take(lambda stanza: stanza.tag == f"{STREAM}error", "the error")
                assert error[0].tag.endswith("}system-shutdown")
            assert fault_of(await told(reader)) == "system-shutdown"
            with pytest.raises(OSError):
                await asyncio.open_connection("127.0.0.1", running.port)


async def acknowledged(client: ExiClient, messages: int) -> int:
    """How often the server asks while a client sends itself messages, and answers whenever it is asked."""
    await client.ask(None, "get", "<query xmlns='jabber:iq:roster'/>")
    client.write("<enable xmlns='urn:xmpp:sm:3'/>")
    await client.take(lambda stanza: stanza.tag == "{urn:xmpp:sm:3}enabled")
    asked = 0
    for number in range(1, messages + 1):
        client.write(f"<message to='{client.jid}' id='m{number}'/>")
        await client.take(lambda stanza, sent=f"m{number}": stanza.get("id") == sent)
        while any(stanza.tag == ASKS for stanza in client.pending):
            await client.take(lambda stanza: stanza.tag == ASKS)
            client.write(f"<a xmlns='urn:xmpp:sm:3' h='{number}'/>")
            asked += 1
    return asked


async def test_requests_for_acknowledgements_wait_for_each_other(server: World, store_folder: Path) -> None:
    async with gateway_for(server, store_folder, Limits(ack_delay=30)) as running, running.client() as client:
        assert await acknowledged(client, 10) == 0
    async with gateway_for(server, store_folder, Limits(ack_delay=0.01)) as running, running.client() as client:
        await acknowledged(client, 1)
        await client.take(lambda stanza: stanza.tag == ASKS)  # late, and not never
    async with gateway_for(server, store_folder, Limits(ack_delay=0)) as running, running.client() as client:
        assert await acknowledged(client, 10) > 0


async def test_a_client_without_exi_is_asked_whenever_the_server_asks(server: World, store_folder: Path) -> None:
    async with gateway_for(server, store_folder, Limits(ack_delay=30)) as running, running.plain() as client:
        client.write("<enable xmlns='urn:xmpp:sm:3'/>")
        client.write(f"<message to='{client.jid}' id='m'/>")
        await client.take(lambda stanza: stanza.tag == ASKS)
