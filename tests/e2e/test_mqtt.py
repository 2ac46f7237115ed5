"""A node on a real XMPP server and a real MQTT broker: the same thing from both sides, by the same rules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bridges.bench import command, fields
from tests.helpers import until
from tests.mosquitto import Mosquitto, Onlooker

from . import readings
from .commands import OLD
from .commands import command as set_element
from .raw import RawClient, condition, error_text
from .world import HUB, World, running

BASE = "hub/greenhouse@localhost"
LAMP = '\n[things.lamp]\ndriver = "simulated"\nkind = "lamp"\n'
PLUG = """
[things.plug]
driver = "mqtt"
topic = "zigbee2mqtt/plug"
interval = "200ms"
[things.plug.fields]
output = { type = "boolean", path = "state" }
power = { unit = "W", decimals = 1 }
[things.plug.parameters]
output = { topic = "zigbee2mqtt/plug/set", path = "state" }
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as mosquitto:
        yield mosquitto


def mqtt(broker: Mosquitto, control_as: str = "") -> str:
    identity = f'control_as = "{control_as}"\n' if control_as else ""
    return f'[mqtt]\nbroker = "{broker.broker}"\ntls = false\n{identity}'


async def values_of(client: RawClient, thing: str) -> dict[str, str]:
    readout = await readings.read(client, readings.OLD, 1, "momentary='true'", readings.nodes(readings.OLD, thing))
    return {field.get("name", ""): field.get("value", "") for field in readout.fields()}


async def test_one_lamp_from_both_sides(server: World, state: Path, broker: Mosquitto) -> None:
    made = server.config(mqtt(broker, "owner@localhost") + LAMP, state)
    with Onlooker(broker) as onlooker:
        async with running(made), server.client("owner") as owner:
            await onlooker.until(f"{BASE}/lamp/availability", "online")
            assert (await command(onlooker, "lamp", "on", "ON", BASE))["done"]
            assert (await values_of(owner, "lamp"))["on"] == "true"
            answer = await owner.ask(HUB, "set", set_element(OLD, ("lamp",), ("int", "brightness", "42")))
            assert answer.get("type") == "result"
            await onlooker.until(f"{BASE}/lamp/state", lambda text: fields(text).get("brightness") == 42)
            over_mqtt = await command(onlooker, "lamp", "brightness", "101", BASE)
            over_xmpp = await owner.ask(HUB, "set", set_element(OLD, ("lamp",), ("int", "brightness", "101")))
            assert over_mqtt["error"] == "BadRequest" and condition(over_xmpp) == "bad-request"
            assert (await values_of(owner, "lamp"))["brightness"] == "42"


@pytest.mark.parametrize("identity", ["", "reader@localhost", "stranger@localhost"])
async def test_over_mqtt_nobody_may_what_that_address_may_not_over_xmpp(
    server: World, state: Path, broker: Mosquitto, identity: str
) -> None:
    made = server.config(mqtt(broker, identity) + LAMP, state)
    with Onlooker(broker) as onlooker:
        async with running(made), server.client("owner") as owner:
            await onlooker.until(f"{BASE}/lamp/availability", "online")
            refused = await command(onlooker, "lamp", "on", "ON", BASE)
            assert refused["error"] == "Forbidden"
            if identity:
                async with server.client(identity.partition("@")[0]) as same:
                    answer = await same.ask(HUB, "set", set_element(OLD, ("lamp",), ("boolean", "on", "true")))
                    assert condition(answer) == "forbidden" and error_text(answer) in refused["text"]
            assert (await values_of(owner, "lamp"))["on"] == "false"


async def test_a_foreign_device_is_a_thing_over_xmpp(server: World, state: Path, broker: Mosquitto) -> None:
    from devices.bus import Buses

    with Onlooker(broker) as device:
        inner = device._client.on_message

        def obey(client: object, data: object, message: object) -> None:
            assert inner is not None
            inner(client, data, message)  # type: ignore[arg-type]
            heard = device.heard[-1]
            if heard.topic == "zigbee2mqtt/plug/set":
                on = json.loads(heard.payload)["state"]
                report = json.dumps({"state": on, "power": 12.5 if on == "ON" else 0})
                device._client.publish("zigbee2mqtt/plug", report, 1)

        device._client.on_message = obey
        made = server.config(mqtt(broker) + PLUG, state)
        async with running(made, Buses(), wait=False) as node, server.client("owner") as owner:
            await until(lambda: node.link is not None and node.link.up, "the node is online")
            await until(lambda: node.things["plug"].values.get("output") is False, "the plug is claimed, off")
            await until(lambda: node.things["plug"].trouble is None, "it is well")
            assert await values_of(owner, "plug") == {"output": "false", "power": "0.0"}
            answer = await owner.ask(HUB, "set", set_element(OLD, ("plug",), ("boolean", "output", "true")))
            assert answer.get("type") == "result"
            assert await values_of(owner, "plug") == {"output": "true", "power": "12.5"}
            device.publish("zigbee2mqtt/plug", '{"state": 5, "power": "\\ud800"}')
            await until(lambda: node.things["plug"].trouble is not None, "it is a trouble")
            kinds, nodes = "momentary='true'", readings.nodes(readings.OLD, "plug")
            readout = await readings.read(owner, readings.OLD, 2, kinds, nodes)
            assert "output: expected boolean" in readout.errors()["plug"]
