"""A scraper: HTTP by hand, and the text read back by the library's own parser."""

from __future__ import annotations

import asyncio
import contextlib

from prometheus_client.openmetrics.parser import text_string_to_metric_families

TIMEOUT_S = 20.0
GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"

Samples = dict[tuple[str, tuple[str, ...]], float]
"""By name, and the values of the labels in the order of their names."""


async def ask(host: str, port: int, request: bytes = GET) -> tuple[str, str]:
    """Head and body."""
    async with asyncio.timeout(TIMEOUT_S):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(request)
            head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
    return head, body


def samples(text: str) -> Samples:
    """Fails where the text is not OpenMetrics."""
    return {
        (sample.name, tuple(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
