"""The figures as a scraper sees them, read back by the library's own parser."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from hub.gateway import metrics
from hub.gateway.figures import Figures, Flow
from hub.gateway.limits import Limits
from tests.e2e.raw import TIMEOUT_S
from tests.gateway.conftest import Running

Samples = dict[tuple[str, tuple[str, ...]], float]


async def ask(figures: Figures, request: bytes = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n") -> tuple[str, str]:
    """Status line and body."""
    server = await metrics.serve("127.0.0.1", 0, figures, Limits())
    async with server, asyncio.timeout(TIMEOUT_S):
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(request)
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        writer.close()
        await writer.wait_closed()
    return head.partition("\r\n")[0], body


def samples(text: str) -> Samples:
    return {
        (sample.name, tuple(sample.labels[name] for name in sorted(sample.labels, reverse=True))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_every_figure() -> None:
    figures = Figures(opened=7, dropped=2, from_servers=300, to_servers=200, stanzas=10)
    figures.open["exi"] = 3
    figures.refused["address"] = 1
    figures.faults["host-unknown"] = 4
    figures.from_clients["exi"], figures.to_clients["xml"] = 50, 60
    figures.up, figures.down = Flow(5, 50, 200), Flow(4, 30, 120)
    status, body = await ask(figures)
    assert status == "HTTP/1.1 200 OK"
    found = samples(body)
    assert found["hub_gateway_connections", ("exi",)] == 3
    assert found["hub_gateway_accepted_total", ()] == 7
    assert found["hub_gateway_refused_total", ("address",)] == 1
    assert found["hub_gateway_faults_total", ("host-unknown",)] == 4
    assert found["hub_gateway_bytes_total", ("client", "exi", "in")] == 50
    assert found["hub_gateway_bytes_total", ("client", "xml", "out")] == 60
    assert found["hub_gateway_bytes_total", ("server", "xml", "in")] == 300
    assert found["hub_gateway_bytes_total", ("server", "xml", "out")] == 200
    assert found["hub_gateway_translated_total", ("up",)] == 5
    assert found["hub_gateway_translated_bytes_total", ("xml", "down")] == 120
    assert found["hub_gateway_ratio", ()] == 0.25
    assert found["hub_gateway_dropped_total", ()] == 2
    each, cpu = found["hub_gateway_cpu_seconds_per_stanza", ()], found["hub_gateway_cpu_seconds_total", ()]
    assert each * 10 == pytest.approx(cpu) and cpu > 0


async def test_of_a_gateway(running: Running) -> None:
    async with running.client() as client:
        await client.ask("localhost", "get", "<ping xmlns='urn:xmpp:ping'/>")
        _, body = await ask(running.figures)
    assert samples(body)["hub_gateway_connections", ("exi",)] == 1


async def test_before_anything_has_happened() -> None:
    _, body = await ask(Figures())
    assert samples(body)["hub_gateway_accepted_total", ()] == 0


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "404"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", "405"),
        (b"\x00\x01\r\n\r\n", "405"),
        (b"x" * 20_000, ""),
    ],
)
async def test_other_requests(request_: bytes, status: str) -> None:
    said, _ = await ask(Figures(), request_)
    assert said.partition(" ")[2].startswith(status)
