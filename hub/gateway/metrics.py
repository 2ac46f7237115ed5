"""The figures for OpenMetrics, by prometheus_client (the extra `gateway`), over HTTP on an address of one's choice.

It is off unless it is asked for, and has no access control: it belongs on loopback, or behind something that has.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

from hub.gateway.figures import Figures
from hub.gateway.limits import Limits
from hub.metrics import http


class _Figures:
    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        figures = self._figures
        yield _by("gauge", "hub_gateway_connections", "Connections that are open.", "kind", figures.open)
        yield CounterMetricFamily("hub_gateway_accepted", "Connections that were let in.", figures.opened)
        yield _by("counter", "hub_gateway_refused", "Connections that were not let in.", "reason", figures.refused)
        yield _by("counter", "hub_gateway_faults", "Streams that we ended.", "condition", figures.faults)
        bytes_ = CounterMetricFamily("hub_gateway_bytes", "Without TLS.", labels=["side", "direction", "kind"])
        for direction, counted in (("in", figures.from_clients), ("out", figures.to_clients)):
            for kind in ("xml", "exi"):
                bytes_.add_metric(["client", direction, kind], counted[kind])
        bytes_.add_metric(["server", "in", "xml"], figures.from_servers)
        bytes_.add_metric(["server", "out", "xml"], figures.to_servers)
        yield bytes_
        yield CounterMetricFamily("hub_gateway_stanzas", "Passed on, in both directions.", figures.stanzas)
        flows = (("up", figures.up), ("down", figures.down))
        stanzas = CounterMetricFamily("hub_gateway_translated", "Stanzas between EXI and XML.", labels=["direction"])
        sizes = CounterMetricFamily("hub_gateway_translated_bytes", "Their sizes.", labels=["direction", "form"])
        for direction, flow in flows:
            stanzas.add_metric([direction], flow.stanzas)
            sizes.add_metric([direction, "exi"], flow.exi)
            sizes.add_metric([direction, "xml"], flow.xml)
        yield stanzas
        yield sizes
        if figures.ratio is not None:
            yield GaugeMetricFamily("hub_gateway_ratio", "Bytes of EXI to bytes of XML.", figures.ratio)
        yield CounterMetricFamily("hub_gateway_dropped", "Stanzas that the schemas have no form for.", figures.dropped)
        cpu = time.process_time()
        yield CounterMetricFamily("hub_gateway_cpu_seconds", "Of this process.", cpu)
        if figures.stanzas:
            each = cpu / figures.stanzas
            yield GaugeMetricFamily("hub_gateway_cpu_seconds_per_stanza", "Everything counted.", each)


def _by(kind: str, name: str, help_: str, label: str, counted: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily if kind == "gauge" else CounterMetricFamily
    metric = family(name, help_, labels=[label])
    for key, count in sorted(counted.items()):
        metric.add_metric([key], count)
    return metric


async def serve(host: str, port: int, figures: Figures, limits: Limits) -> asyncio.Server:
    """Until it is closed. Raises LinkError where the address cannot be listened on."""
    registry = CollectorRegistry()
    registry.register(_Figures(figures))

    async def make() -> bytes:
        return bytes(generate_latest(registry))

    bounds = http.Bounds(limits.metrics_timeout, limits.metrics_request_size)
    return await http.serve(host, port, http.Page(CONTENT_TYPE_LATEST, make), bounds)
