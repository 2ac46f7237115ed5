"""`driver = "mqtt"` on a real mosquitto: a foreign device as a thing, with everything that it may do wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from devices.bus import Buses
from hub.errors import ActuatorError
from hub.programs.node import Node
from tests.bridges.bench import BASE, parsed, running, text
from tests.helpers import until
from tests.mosquitto import Mosquitto, Onlooker

PLUG = """
[things.plug]
driver = "mqtt"
topic = "zigbee2mqtt/plug"
interval = "100ms"
confirm = "1s"
availability = { topic = "zigbee2mqtt/plug/availability", path = "state" }
[things.plug.fields]
output = { type = "boolean", path = "state" }
power = { unit = "W", decimals = 1 }
[things.plug.parameters]
output = { topic = "zigbee2mqtt/plug/set", path = "state" }
"""
METER = """
[things.meter]
driver = "mqtt"
topic = "tele/meter/SENSOR"
interval = "100ms"
[things.meter.fields]
power = { path = "ENERGY.Power", unit = "W", decimals = 0 }
total = { path = "ENERGY.Total", unit = "kWh", decimals = 3, minimum = 0 }
label = { topic = "tele/meter/LABEL", path = "", type = "string", category = "identity" }
"""
PLAIN = "tls = false\n"


class Plug(Onlooker):
    """zigbee2mqtt with one plug: it does what it is told and says so, unless it is `deaf`."""

    def __init__(self, broker: Mosquitto) -> None:
        super().__init__(broker, "zigbee2mqtt/plug/set")
        self.state = "ON"
        self.deaf = False
        self.told = threading.Event()
        inner = self._client.on_message

        def obey(client: object, data: object, message: object) -> None:
            assert inner is not None
            inner(client, data, message)  # type: ignore[arg-type]
            if not self.deaf:
                self.state = json.loads(self.heard[-1].payload)["state"]
                self.report()
            self.told.set()

        self._client.on_message = obey

    def report(self) -> None:
        """Not `publish`, which waits for what this thread has to do."""
        state = {"state": self.state, "power": 12.5 if self.state == "ON" else 0, "linkquality": 90}
        self._client.publish("zigbee2mqtt/plug", json.dumps(state), 1)


@contextlib.contextmanager
def plugged(broker: Mosquitto) -> Iterator[Plug]:
    with Plug(broker) as plug:
        plug.publish("zigbee2mqtt/plug/availability", '{"state":"online"}', retain=True)
        yield plug


def trouble(node: Node, thing: str) -> str:
    found = node.things[thing].trouble if thing in node.things else None
    return found.text if found is not None else ""


async def test_a_plug_is_claimed_in_its_boot_state_and_controlled(broker: Mosquitto, protocol: str) -> None:
    with plugged(broker) as plug:
        async with running(parsed(broker, PLUG, mqtt=PLAIN + protocol), Buses()) as node:
            await until(lambda: node.things["plug"].values.get("output") is False, "it is off")
            assert plug.state == "OFF" and not trouble(node, "plug")
            await node.sampler.write("plug", {"output": True})
            assert plug.state == "ON"
            assert node.things["plug"].values == {"output": True, "power": 12.5}
            measured = node.things["plug"].measured
            plug.deaf = True
            with pytest.raises(ActuatorError, match="did not take the command: output reads True"):
                await node.sampler.write("plug", {"output": False})
            assert node.things["plug"].measured == measured
            plug.deaf = False
        assert plug.state == "OFF"  # the safe state, on the way out


async def test_a_device_that_was_away_is_told_its_state_when_it_is_back(broker: Mosquitto) -> None:
    with plugged(broker) as plug:
        async with running(parsed(broker, PLUG), Buses()) as node:
            await until(lambda: node.things["plug"].values.get("output") is False, "it is off")
            plug.publish("zigbee2mqtt/plug/availability", '{"state":"offline"}', retain=True)
            await until(lambda: "offline" in trouble(node, "plug"), "it is offline")
            plug.state = "ON"  # somebody was at its button
            plug.publish("zigbee2mqtt/plug/availability", '{"state":"online"}', retain=True)
            await until(lambda: plug.state == "OFF" and not trouble(node, "plug"), "it is off again")


async def test_the_broker_killed_is_a_trouble_and_passes(broker: Mosquitto, protocol: str) -> None:
    async with running(parsed(broker, PLUG + METER, mqtt=PLAIN + protocol), Buses()) as node:
        with plugged(broker):
            await until(lambda: node.things["plug"].values.get("output") is False, "it is off")
        broker.kill()
        await until(lambda: "broker is away" in trouble(node, "meter"), "it is said")
        await until(lambda: trouble(node, "plug") != "", "it is said")
        with pytest.raises(ActuatorError):
            await node.sampler.write("plug", {"output": True})
        broker.start()
        with plugged(broker) as plug:
            plug.publish("tele/meter/SENSOR", '{"ENERGY": {"Power": 9, "Total": 1.956}}')
            await until(lambda: not trouble(node, "plug"), "the plug is back")

            def heard() -> bool:
                return node.things["meter"].values.get("power") == 9 and not trouble(node, "meter")

            async with asyncio.timeout(20):
                while not heard():  # it is heard from the moment on at which the hub listens again
                    plug.publish("tele/meter/SENSOR", '{"ENERGY": {"Power": 9, "Total": 1.956}}')
                    await asyncio.sleep(0.02)


async def test_hostile_payloads_are_a_trouble_of_their_thing(broker: Mosquitto, protocol: str) -> None:
    hostile: list[tuple[bytes, str]] = [
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"", "not JSON"),
        (b"nonsense", "not JSON"),
        (b'{"ENERGY": {"Power": NaN}}', "not JSON"),
        (b'{"ENERGY": {"Power": "much"}}', "'much'"),
        (b'{"ENERGY": {"Power": 1e999}}', "not a measurable number"),
        (b'{"ENERGY": {"Power": [1]}}', "expected a number"),
        (b'{"ENERGY": 5}', "'Power' of 'ENERGY.Power' should be"),
        (b'{"ENERGY": {"Total": -1}}', "outside what the part can report"),
        (b"[" * 60_000, "not JSON"),
        (b'{"ENERGY":' * 6_000, "not JSON"),
        (b"x" * 100_000, "at most 65536"),
    ]
    made = parsed(broker, METER, mqtt=PLAIN + protocol)
    with Onlooker(broker) as device:
        async with running(made, Buses()) as node:
            meter = node.things["meter"]
            await until(lambda: "yet" in trouble(node, "meter"), "it is listened to")
            good = '{"ENERGY": {"Power": 9, "Total": 1.956}}'
            for payload, said in hostile:
                device.publish("tele/meter/SENSOR", good)
                await until(lambda: meter.values.get("power") == 9 and not trouble(node, "meter"), "it is well")
                device.publish("tele/meter/SENSOR", payload)
                await until(lambda: said in trouble(node, "meter"), f"{said!r} is said")  # noqa: B023
                assert len(trouble(node, "meter")) < 500
            device.publish("tele/meter/LABEL", "hall \x07")
            await until(lambda: "control characters" in trouble(node, "meter"), "it is said")
            device.publish("tele/meter/LABEL", "hall")
            device.publish("tele/meter/SENSOR", good)
            await until(lambda: meter.values.get("label") == "hall" and not trouble(node, "meter"), "it is well")
            if '"5"' in protocol:  # 3.1.1 cannot tell the broker: tests/bridges/test_commands.py
                device.publish("tele/meter/SENSOR", b"x" * 5_000_000)
            device.publish("tele/meter/SENSOR", '{"ENERGY": {"Power": 10, "Total": 1.956}}')
            await until(lambda: meter.values.get("power") == 10, "it is well")


async def test_what_was_kept_counts_only_where_it_may(broker: Mosquitto) -> None:
    kept = METER.replace("things.meter", "things.kept").replace("interval", "retained = true\ninterval")
    with Onlooker(broker) as device:
        device.publish("tele/meter/SENSOR", '{"ENERGY": {"Power": 9, "Total": 1.956}}', retain=True)
        async with running(parsed(broker, METER + kept), Buses()) as node:
            await until(lambda: node.things["kept"].values.get("power") == 9, "it is taken")
            await until(lambda: "yet" in trouble(node, "meter"), "the other is not")
            assert node.things["meter"].measured is None


async def test_it_is_not_shown_twice_unless_that_is_wanted(broker: Mosquitto) -> None:
    with plugged(broker) as plug, Onlooker(broker, f"{BASE}/#") as onlooker:
        shown = PLUG.replace('interval = "100ms"', 'interval = "100ms"\nmqtt = true')
        async with running(parsed(broker, shown + METER), Buses()):
            await onlooker.until(f"{BASE}/plug/availability", "online")
            await onlooker.until(f"{BASE}/status", "online")
            onlooker.publish(f"{BASE}/plug/output/set", "ON")
            await until(lambda: plug.state == "ON", "it is on")
        assert not any("/meter/" in each.topic for each in onlooker.heard)


async def test_it_lives_through_a_reload_to_another_broker(broker: Mosquitto, tmp_path: Path) -> None:
    file = tmp_path / "hub.toml"
    with Mosquitto(tmp_path / "other") as other, Onlooker(other) as device:
        async with running(parsed(broker, METER), Buses()) as node:
            await until(lambda: "yet" in trouble(node, "meter"), "it is listened to")
            file.write_text(text(other, METER))
            await node.reload(file)
            async with asyncio.timeout(20):
                while node.things["meter"].values.get("power") != 7:
                    device.publish("tele/meter/SENSOR", '{"ENERGY": {"Power": 7, "Total": 1}}')
                    await asyncio.sleep(0.02)
