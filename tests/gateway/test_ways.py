"""The ways to a gateway and from it to its server: TLS from the first byte (XEP-0368), IPv6, and both kinds at once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.demo.prosody import free_port
from hub.gateway.limits import Limits
from hub.gateway.server import _neighbourhood
from tests.e2e.world import World
from tests.gateway.conftest import Running, gateway_for
from tests.gateway.test_life import PING, opened

LOOPBACK = "::1"


def ipv6_is_here() -> bool:
    try:
        socket.create_server((LOOPBACK, 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


NEEDS_IPV6 = pytest.mark.skipif(not ipv6_is_here(), reason="this machine has no IPv6: ::1 cannot be listened on")


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, int]]:
    """A server on both loopback addresses, and its port for TLS from the first byte."""
    direct = free_port()
    interfaces = '"127.0.0.1", "::1"' if ipv6_is_here() else '"127.0.0.1"'
    replaced = {
        'interfaces = { "127.0.0.1" }\nc2s_ports': f"interfaces = {{ {interfaces} }}\nc2s_ports",
        "s2s_ports = {}": f"s2s_ports = {{}}\nc2s_direct_tls_ports = {{ {direct} }}",
    }
    with World(tmp_path_factory.mktemp("prosody"), replaced) as world:
        yield world.populate("owner", "reader"), direct


async def passes(running: Running) -> None:
    """Every kind of client."""
    async with running.client() as exi, running.plain("reader") as plain, running.binary("reader") as binary:
        for each in (exi, plain, binary):
            assert (await each.ask("localhost", "get", PING)).get("type") == "result"
    assert not running.figures.faults


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param(LOOPBACK, marks=NEEDS_IPV6)])
async def test_tls_from_the_first_byte(ways: tuple[World, int], store_folder: Path, host: str) -> None:
    world, direct = ways
    async with gateway_for(world, store_folder, server=(host, direct), direct_tls=True) as running:
        await passes(running)


@pytest.mark.parametrize("direct_tls", [True, False], ids=["where STARTTLS is wanted", "not where it is wanted"])
async def test_the_wrong_kind_of_tls(ways: tuple[World, int], store_folder: Path, direct_tls: bool) -> None:
    world, direct = ways
    port = world.address.port if direct_tls else direct
    changes: dict[str, Any] = {"server": ("127.0.0.1", port), "direct_tls": direct_tls}
    async with gateway_for(world, store_folder, Limits(connect_timeout=1), **changes) as running:
        data = await opened(running)
    assert b"remote-connection-failed" in data and b"mechanism" not in data


async def test_the_certificate_counts_there_too(ways: tuple[World, int], store_folder: Path, tmp_path: Path) -> None:
    world, direct = ways
    changes: dict[str, Any] = {"server": ("127.0.0.1", direct), "direct_tls": True, "name": "other.example"}
    async with gateway_for(world, store_folder, **changes) as running:
        data = await opened(running)
    assert b"remote-connection-failed" in data and b"mechanism" not in data


@NEEDS_IPV6
async def test_ipv6_on_both_sides(ways: tuple[World, int], store_folder: Path) -> None:
    world, _ = ways
    server = (LOOPBACK, world.address.port)
    async with gateway_for(world, store_folder, listen=LOOPBACK, server=server) as running:
        await passes(running)


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param(LOOPBACK, marks=NEEDS_IPV6)])
async def test_any_address_is_of_both_kinds(server: World, store_folder: Path, host: str) -> None:
    async with gateway_for(server, store_folder, listen="::", host=host) as running:
        await passes(running)


async def test_any_address_where_there_is_no_ipv6(
    server: World, store_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    async with gateway_for(server, store_folder, listen="::", host="127.0.0.1") as running:
        await passes(running)


@NEEDS_IPV6
async def test_an_address_of_ipv4_that_came_in_by_ipv6_is_the_same(server: World, store_folder: Path) -> None:
    limits = Limits(connections_per_address=1)
    async with gateway_for(server, store_folder, limits, listen="::", host="127.0.0.1") as running:
        async with running.plain():
            (connection,) = running.gateway._connections.values()
            assert connection.client.peer == "127.0.0.1"
            reader, writer = await asyncio.open_connection(LOOPBACK, running.port)  # another address
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
            assert b"resource-constraint" in await reader.read()
            writer.close()
        assert running.figures.refused == {"address": 1}


def test_a_network_of_64_bits_counts_as_one_address() -> None:
    assert _neighbourhood("2001:db8:1:2::1") == _neighbourhood("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert _neighbourhood("2001:db8:1:3::1") != _neighbourhood("2001:db8:1:2::1")
    assert _neighbourhood("fe80::1%eth0") == "fe80::/64"
    assert _neighbourhood("192.0.2.1") == "192.0.2.1" and _neighbourhood("") == ""
