"""A node's page, scraped over HTTP: readings and health, a reload that begins, moves and ends it, a token."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from devices.fake import SimulatedBuses
from devices.simulated import Simulated
from devices.system import FakeSystem
from hub.config.file import load, parse
from hub.config.node import Config
from hub.demo.prosody import free_port
from hub.errors import ConfigError, LinkError
from hub.metrics import families
from hub.programs.node import Node
from tests.e2e.world import World
from tests.helpers import until
from tests.metrics.scrape import GET, Samples, ask, samples
from tests.mosquitto import Mosquitto

THINGS = """
[things.air]
driver = "simulated"
interval = "50ms"
unit = "°C"
[things.pump]
driver = "relay"
pin = 17
requires = ["valve.output"]
[things.valve]
driver = "relay"
pin = 27
boot = "on"
safe = "keep"
"""
TOKEN = "d41d8cd98f00b204"
KNOWN = {  # every family that a node shows, and its type: dashboards and alarms rely on them
    "hub_reading": "gauge", "hub_text_reading": "info", "hub_thing_up": "gauge",
    "hub_thing_last_reading_timestamp_seconds": "gauge", "hub_thing_read_seconds": "summary",
    "hub_thing_read_failures": "counter", "hub_output_safe": "gauge", "hub_output_interlocked": "gauge",
    "hub_link_up": "gauge", "hub_link_sessions": "counter", "hub_xmpp_bytes": "counter", "hub_xmpp_exi": "gauge",
    "hub_commands": "counter", "hub_mqtt_up": "gauge", "hub_mqtt_waiting_topics": "gauge",
    "hub_mqtt_dropped_commands": "counter", "hub_published_readings": "counter", "hub_outbox_readings": "gauge",
    "hub_outbox_oldest_timestamp_seconds": "gauge", "hub_outbox_dropped_readings": "counter",
    "hub_history_waiting_readings": "gauge", "hub_history_dropped_readings": "counter", "hub_store_trouble": "gauge",
    "hub_store_written_bytes": "counter", "hub_store_file_bytes": "gauge", "hub_store_replaced": "counter",
    "hub_audit_waiting_records": "gauge", "hub_event_loop_lag_seconds": "gauge", "hub_clock_synchronised": "gauge",
    "hub_soc_temperature_celsius": "gauge", "hub_soc_throttled": "gauge", "hub_soc_under_voltage": "gauge",
    "hub_build": "info", "process_virtual_memory_bytes": "gauge", "process_resident_memory_bytes": "gauge",
    "process_start_time_seconds": "gauge", "process_cpu_seconds": "counter", "process_open_fds": "gauge",
    "process_max_fds": "gauge",
}  # fmt: skip


def text(folder: Path, metrics: str = "", things: str = THINGS) -> str:
    """A configuration whose XMPP server is away."""
    (folder / "password").write_text("x")
    return f"""
[xmpp]
jid = "node@localhost"
password_file = "{folder}/password"
server = "127.0.0.1:9"
[access]
control = ["mqtt@localhost"]
[node]
state_dir = "{folder}/state"
{metrics}
{things}
"""


def table(port: int, more: str = "") -> str:
    return f'[metrics]\nlisten = "127.0.0.1:{port}"\n{more}\n'


@contextlib.asynccontextmanager
async def running(config: Config, buses: SimulatedBuses | None = None) -> AsyncIterator[Node]:
    node = Node(config, buses or SimulatedBuses())
    task = asyncio.create_task(node.run())
    try:
        await until(lambda: task.done() or (node.things and all(each.measured for each in node.things.values())))
        assert not task.done(), task
        yield node
    finally:
        node.stop()
        async with asyncio.timeout(20):
            await task


async def scraped(port: int) -> Samples:
    """A page that was made after this was called."""
    await until(lambda: is_listened_on(port), "the page is there")
    first = (await ask("127.0.0.1", port))[1]
    while (body := (await ask("127.0.0.1", port))[1]) == first:
        await asyncio.sleep(0.05)
    return samples(body)


def is_listened_on(port: int) -> bool:
    return any(int(line.split()[1].partition(":")[2], 16) == port and line.split()[3] == "0A"
               for line in Path("/proc/net/tcp").read_text().splitlines()[1:])  # fmt: skip


async def test_readings_and_health_of_a_node_on_a_real_server(tmp_path: Path) -> None:
    port = free_port()
    buses = SimulatedBuses()
    FakeSystem(buses)
    with World(tmp_path / "server") as world, Mosquitto(tmp_path / "broker") as broker:
        world.populate("greenhouse", "owner")
        mqtt = f'[mqtt]\nbroker = "{broker.broker}"\ntls = false\n'
        config = parse(world.text(table(port) + mqtt + THINGS, tmp_path / "state"))
        async with running(config, buses) as node:
            await until(lambda: node.link is not None and node.link.up and node.bridge is not None and node.bridge.up)
            await until(lambda: node.publisher.waiting == 0 and node.publisher.published, "all is confirmed")
            page = (await ask("127.0.0.1", port))[1]
            found = await scraped(port)
    families = dict(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE))
    assert families.keys() | {"hub_outbox_oldest_timestamp_seconds"} == KNOWN.keys()
    assert {name: KNOWN[name] for name in families} == families
    assert 0 <= found["hub_reading", ("value", "air", "°C")] <= 100
    assert found["hub_reading", ("output", "valve", "")] == 1
    assert found["hub_link_up", ()] == 1 == found["hub_mqtt_up", ()] == found["hub_thing_up", ("air",)]
    assert found["hub_link_sessions_total", ("fresh",)] == 1 and found["hub_link_sessions_total", ("resumed",)] == 0
    assert found["hub_xmpp_bytes_total", ("sent",)] > 500 < found["hub_xmpp_bytes_total", ("received",)]
    assert found["hub_thing_read_seconds_count", ("air",)] > 2 and found["hub_thing_read_failures_total", ("air",)] == 0
    assert found["hub_thing_read_seconds_sum", ("air",)] > 0
    assert found["hub_output_safe", ("pump",)] == 1 and ("hub_output_safe", ("valve",)) not in found
    assert found["hub_output_interlocked", ("pump",)] == 0
    assert {key[1]: value for key, value in found.items() if key[0] == "hub_store_trouble"} == {
        ("history",): 0, ("outbox",): 0, ("audit",): 0, ("outputs",): 0}  # fmt: skip
    assert found["hub_published_readings_total", ()] >= 3 and found["hub_store_written_bytes_total", ("outbox",)] > 0
    assert found["hub_soc_temperature_celsius", ()] == pytest.approx(48.3, abs=0.1)
    assert found["hub_soc_throttled", ()] == 0 == found["hub_soc_under_voltage", ()]
    assert found["process_resident_memory_bytes", ()] > 10_000_000 and found["hub_event_loop_lag_seconds", ()] >= 0


async def test_a_failing_part_ends_its_readings_and_is_counted(tmp_path: Path) -> None:
    port = free_port()
    async with running(parse(text(tmp_path, table(port)))) as node:
        assert ("hub_reading", ("value", "air", "°C")) in await scraped(port)
        cast(Simulated, node.sampler.stations["air"].driver).fault = "missing"
        await until(lambda: node.things["air"].trouble, "it fails")
        found = await scraped(port)
        assert found["hub_thing_up", ("air",)] == 0 and ("hub_reading", ("value", "air", "°C")) not in found
        assert found["hub_thing_read_failures_total", ("air",)] >= 1
        assert found["hub_thing_last_reading_timestamp_seconds", ("air",)] > 0
        assert found["hub_thing_up", ("valve",)] == 1, "the others go on"


async def test_the_backlog_and_its_age_are_shown_while_the_server_is_away(tmp_path: Path) -> None:
    port = free_port()
    async with running(parse(text(tmp_path, table(port)))) as node:
        first = min(thing.measured.timestamp() for thing in node.things.values() if thing.measured)
        await until(lambda: node.publisher.waiting >= 3, "readings wait")
        found = await scraped(port)
        assert found["hub_outbox_readings", ()] >= 3 and found["hub_link_up", ()] == 0
        assert found["hub_outbox_oldest_timestamp_seconds", ()] == pytest.approx(first, abs=5)
        assert ("hub_mqtt_up", ()) not in found


async def test_a_reload_begins_moves_and_ends_it(tmp_path: Path) -> None:
    file, first, second = tmp_path / "hub.toml", free_port(), free_port()
    file.write_text(text(tmp_path))
    async with running(load(file)) as node:
        for port, others in ((first, [second]), (second, [first])):
            file.write_text(text(tmp_path, table(port)))
            await node.reload(file)
            assert (await scraped(port))["hub_thing_up", ("air",)] == 1
            assert not any(map(is_listened_on, others))
        await node.reload(file)
        assert (await scraped(second))["hub_thing_up", ("air",)] == 1, "the same again changes nothing"
        token = tmp_path / "token"
        file.write_text(text(tmp_path, table(second, f'token_file = "{token}"')))
        with pytest.raises(LinkError, match="token_file cannot be read"):
            await node.reload(file)
        assert (await ask("127.0.0.1", second))[0].startswith("HTTP/1.1 200"), "the old one goes on"
        token.write_text(TOKEN + "\n")
        await node.reload(file)
        await until(lambda: is_listened_on(second), "it is back")
        assert (await ask("127.0.0.1", second))[0].startswith("HTTP/1.1 401")
        shown = GET.replace(b"Host: x", f"Authorization: Bearer {TOKEN}".encode())
        assert samples((await ask("127.0.0.1", second, shown))[1])
        file.write_text(text(tmp_path))
        await node.reload(file)
        assert not is_listened_on(first) and not is_listened_on(second)


async def test_an_address_that_is_taken_stops_nothing_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("hub.programs.node_metrics.AGAIN_S", 0.05)
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with running(parse(text(tmp_path, table(port)))) as node:
        await until(lambda: "no metrics" in caplog.text, "it is said")
        assert node.things["air"].values
        server.close()
        await server.wait_closed()
        assert (await scraped(port))["hub_thing_up", ("air",)] == 1
    assert caplog.text.count("no metrics") == 1


@pytest.mark.parametrize(
    ("lines", "right"),
    [
        ('listen = "0.0.0.0:9323"', "token_file beside it"),
        ('listen = "[::]:9323"', "token_file beside it"),
        ('listen = "pi.local:9323"', "token_file beside it"),
        ('listen = "127.0.0.1:0"', "from 1 to 65535"),
        ('listen = "9323"', "a host and port"),
        ('port = 1', 'one of listen, token_file'),
    ],
)  # fmt: skip
def test_what_the_table_must_not_say(tmp_path: Path, lines: str, right: str) -> None:
    with pytest.raises(ConfigError, match=right):
        parse(text(tmp_path, f"[metrics]\n{lines}\n"))


@pytest.mark.parametrize("content", ["", "short", "two words of some length", "\u00e9" * 20])
def test_a_token_is_one_long_word(tmp_path: Path, content: str) -> None:
    (tmp_path / "token").write_text(content)
    config = parse(text(tmp_path, f'[metrics]\nlisten = "0.0.0.0:9323"\ntoken_file = "{tmp_path}/token"\n'))
    assert config.missing_files() == []
    node = Node(config, SimulatedBuses())
    with pytest.raises(LinkError, match="token_file"):
        node._make_exposed(config)


def test_the_dashboard_asks_for_what_there_is() -> None:
    dashboard = json.loads((Path(families.__file__).parent / "grafana.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    queries += [variable["query"] for variable in dashboard["templating"]["list"]]
    asked = {name for query in queries for name in re.findall(r"\b(?:hub|process)_\w+", query)}
    shown = {name + {"counter": "_total"}.get(kind, "") for name, kind in KNOWN.items()}
    assert len(asked) >= 10 and asked <= shown, asked - shown


# --------------------------------------------------------------------------- a node without it

NODE = """
import asyncio, sys
from pathlib import Path
from devices.fake import SimulatedBuses
from hub.config.file import load
from hub.programs.node import Node

async def main():
    node = Node(load(Path(sys.argv[1])), SimulatedBuses())
    task = asyncio.create_task(node.run())
    while not (node.things and node.things["air"].measured):
        await asyncio.sleep(0.01)
    node.stop()
    await task
    rooms = ("prometheus_client", "hub.metrics", "hub.programs.node_metrics")
    print(sorted(name for name in sys.modules if name.startswith(rooms)))

asyncio.run(main())
"""


def test_nothing_of_it_is_loaded_without_the_table(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text(text(tmp_path))
    command = [sys.executable, "-c", NODE, str(tmp_path / "hub.toml")]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == []


async def test_prometheus_client_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    node = Node(parse(text(tmp_path, table(free_port()))), SimulatedBuses())
    with pytest.raises(LinkError, match=r"pip install 'xmpp-iot-hub\[metrics\]'"):
        await node.run()
