"""How a node shows its figures: what is asked for them, and the page that Prometheus reads.

Rules of this file
* A scrape holds up nothing: what has to be asked of a disk is asked off the loop and within a bound, and what does not
  answer is left out. Whoever asks twice within `SAME_S` gets the same page.
* An address that cannot be listened on is said and tried again; the node goes on.
"""

from __future__ import annotations

import asyncio
import logging
import platform
from collections import deque
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devices import system
from devices.base import BadData, NotResponding
from hub.config.metrics import Metrics
from hub.errors import LinkError
from hub.metrics import http
from hub.programs.node_telemetry import HISTORY_FILE, OUTBOX_FILE
from hub.telemetry.clock import synchronised
from hub.things.lanes import Lanes

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from hub.programs.node import Node

log = logging.getLogger(__name__)

SAME_S = 1.0
AGAIN_S = 10.0
LOOK_TIMEOUT_S = 1.0
LAG_EVERY_S = 0.5
LAGS = 120  # a minute of them
MIN_TOKEN = 16  # characters


class Lag:
    """How late the event loop is: what it was told to do in a moment, and when it did."""

    def __init__(self) -> None:
        self._lags: deque[float] = deque(maxlen=LAGS)

    @property
    def highest(self) -> float:
        """Of the last minute, in seconds."""
        return max(self._lags, default=0.0)

    async def run(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due = clock() + LAG_EVERY_S
            await asyncio.sleep(LAG_EVERY_S)
            self._lags.append(max(0.0, clock() - due))


class Exposed:
    """A node's page. Raises LinkError when prometheus_client is not installed, or the token cannot be read."""

    def __init__(self, node: Node, folder: Path, config: Metrics) -> None:
        try:
            from prometheus_client import CollectorRegistry, ProcessCollector
            from prometheus_client.openmetrics import exposition

            from hub.metrics import families
        except ImportError:
            raise LinkError("[metrics] needs prometheus_client: `pip install 'xmpp-iot-hub[metrics]'`") from None
        self._node, self._folder, self._config = node, folder, config
        self._families, self._exposition = families, exposition
        self._token = _token(config)
        self._texts = families.Texts()
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(self)
        self._lanes = Lanes()
        self._lag = Lag()
        self._oldest: int | None = None
        self._machine: Mapping[str, Any] = {}
        self._page, self._page_until = b"", 0.0
        self._making = asyncio.Lock()
        self._server: asyncio.Server | None = None
        self._tasks: list[asyncio.Task[None]] = []

    # ------------------------------------------------------------------ life

    def start(self) -> None:
        for work, name in ((self._serve(), "metrics"), (self._lag.run(), "metrics lag")):
            self._tasks.append(asyncio.create_task(work, name=name))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            self._server.close()
        self._lanes.close()

    async def _serve(self) -> None:
        page = http.Page(self._exposition.CONTENT_TYPE_LATEST, self._make)
        said = ""
        while True:
            try:
                self._server = await http.serve(*self._config.address, page, http.Bounds(), self._token)
            except LinkError as error:
                if str(error) != said:
                    log.error("no metrics: %s; trying again", error)
                    said = str(error)
                await asyncio.sleep(AGAIN_S)
            else:
                log.info("metrics are at http://%s/metrics", self._config.listen)
                return

    # ------------------------------------------------------------------ the page

    async def _make(self) -> bytes:
        clock = asyncio.get_running_loop().time
        async with self._making:
            if clock() >= self._page_until:
                self._oldest = await self._node.memory.outbox.oldest()
                self._machine = await self._look_at_machine()
                self._page = self._exposition.generate_latest(self._registry)
                self._page_until = clock() + SAME_S
            return self._page

    async def _look_at_machine(self) -> Mapping[str, Any]:
        root = self._node.buses.root
        try:
            return await self._lanes.run("system", lambda: system.decode(system.texts(root)), LOOK_TIMEOUT_S)
        except (BadData, NotResponding) as error:
            log.debug("metrics: the machine does not tell how it is: %s", error)
            return {}

    def describe(self) -> list[Metric]:
        """Nothing is collected only to learn the names."""
        return []

    def collect(self) -> Iterator[Metric]:
        node, families = self._node, self._families
        yield from families.readings(node.things, self._texts)
        yield from families.stations(node.things, node.sampler.stations.values())
        yield from self._stream()
        yield from self._telemetry()
        yield from self._stores()
        yield from self._process()

    def _stream(self) -> Iterator[Metric]:
        node, families = self._node, self._families
        link = node.link
        yield from families.gauge("hub_link_up", "Whether the XMPP stream is up.", link is not None and link.up)
        yield from families.by("hub_link_sessions", "That came up, by kind.", "kind", node.sessions, counter=True)
        if link is not None:
            moved = {"sent": link.client.sent, "received": link.client.received}
            yield from families.by("hub_xmpp_bytes", "Without TLS.", "direction", moved, counter=True)
            exi = link.client.exi.stream is not None
            yield from families.gauge("hub_xmpp_exi", "Whether the stream is compressed with EXI.", exi)
        yield from families.by("hub_commands", "Commands by what came of them.", "answer", node.commands, counter=True)
        bridge = node.bridge
        if bridge is not None:
            yield from families.gauge("hub_mqtt_up", "Whether the broker is connected.", bridge.up)
            yield from families.gauge("hub_mqtt_waiting_topics", "Without their newest on the broker.", bridge.waiting)
            yield from families.counted("hub_mqtt_dropped_commands", "That found the queue full.", bridge.dropped)

    def _telemetry(self) -> Iterator[Metric]:
        families, publisher = self._families, self._node.publisher
        history = self._node.memory.history
        yield from families.counted("hub_published_readings", "That the service has confirmed.", publisher.published)
        yield from families.gauge("hub_outbox_readings", "That have not been confirmed.", publisher.waiting)
        oldest = None if self._oldest is None else self._oldest / 1000
        yield from families.gauge("hub_outbox_oldest_timestamp_seconds", "When the oldest was measured.", oldest)
        yield from families.counted("hub_outbox_dropped_readings", "Lost at its bound, or refused.", publisher.dropped)
        yield from families.gauge("hub_history_waiting_readings", "In memory until the next write.", history.waiting)
        yield from families.counted("hub_history_dropped_readings", "Lost because the disk refuses.", history.dropped)

    def _stores(self) -> Iterator[Metric]:
        """What is kept on the disk. A reason in words stands in the log."""
        families, node = self._families, self._node
        outbox, history = node.memory.outbox, node.memory.history
        troubles = {"history": history.trouble, "outbox": outbox.trouble, "audit": node.audit.trouble,
                    "outputs": node.sampler.memory.trouble}  # fmt: skip
        if node.config.trust is not None:
            troubles["verdicts"] = "nobody judges" if node.authority is None else node.authority.trouble
        bad = {store: float(bool(why)) for store, why in troubles.items()}
        yield from families.by("hub_store_trouble", "Whether it cannot be written.", "store", bad)
        written = {"history": history.written, "outbox": outbox.written}
        yield from families.by("hub_store_written_bytes", "Handed to the disk.", "store", written, counter=True)
        sizes = {"history": self._size(HISTORY_FILE), "outbox": self._size(OUTBOX_FILE)}
        yield from families.by("hub_store_file_bytes", "Size of the file.", "store", sizes)
        broken = {"history": history.replaced, "outbox": outbox.replaced}
        yield from families.by("hub_store_replaced", "Broken files moved aside.", "store", broken, counter=True)
        yield from families.gauge("hub_audit_waiting_records", "Not on the disk yet.", node.audit.waiting)

    def _size(self, name: str) -> int:
        try:
            return (self._folder / name).stat().st_size
        except OSError:
            return 0

    def _process(self) -> Iterator[Metric]:
        """Beside what prometheus_client tells of every process."""
        families, machine = self._families, self._machine
        lag = self._lag.highest
        yield from families.gauge("hub_event_loop_lag_seconds", "Highest of the last minute.", lag)
        kept = synchronised() and not self._node.memory.clock.doubtful
        yield from families.gauge("hub_clock_synchronised", "Whether something keeps the clock right.", kept)
        hot = machine.get("cpu_temperature")
        yield from families.gauge("hub_soc_temperature_celsius", "Of the processor.", hot)
        yield from families.gauge("hub_soc_throttled", "Slowed by heat or supply now.", machine.get("throttled"))
        yield from families.gauge("hub_soc_under_voltage", "The supply is too weak now.", machine.get("under_voltage"))
        build = {"version": _version(), "python": platform.python_version()}
        yield from families.info("hub_build", "This program.", build)



def _version() -> str:
    """Empty in a checkout that is not installed."""
    try:
        return metadata.version("xmpp-iot-hub")
    except metadata.PackageNotFoundError:
        return ""


def _token(config: Metrics) -> str:
    """Raises LinkError."""
    if config.token_file is None:
        return ""
    try:
        token = config.token_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise LinkError(f"metrics.token_file cannot be read: {error}") from error
    if len(token) < MIN_TOKEN or not token.isprintable() or " " in token:
        raise LinkError(f"metrics.token_file: one word of at least {MIN_TOKEN} characters, like `openssl rand -hex 16`")
    return token
