"""The bridge on a real mosquitto, in both protocols: what is there, what is not, and what comes back."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from devices.base import Duration
from devices.simulated import Simulated
from hub.bridges.mqtt import Bridge
from hub.config.node import Config
from hub.programs.node import Node
from tests.bridges.bench import AIR, BASE, LAMP, command, fields, is_up, parsed, running, text
from tests.bridges.ha_schema import check
from tests.e2e.node_process import node_process
from tests.helpers import until, wait_until
from tests.mosquitto import CERTIFIED, LOCKED, USER, Heard, Mosquitto, Onlooker

PLAIN = "tls = false\n"


def driver_of(node: Node, thing: str) -> Simulated:
    driver = node.sampler.stations[thing].driver
    assert isinstance(driver, Simulated)
    return driver


def quiet(made: Config, **more: Any) -> Config:
    """The same, where nothing is sent that has not changed."""
    assert made.mqtt is not None
    return dataclasses.replace(made, mqtt=dataclasses.replace(made.mqtt, interval=Duration(600), **more))


def count(node: Node, thing: str = "air") -> int:
    """How often a counter was read."""
    return int(node.things[thing].values.get("count", 0)) if thing in node.things else 0


def kept(broker: Mosquitto, least: int) -> list[Heard]:
    """Everything that the broker has kept, at least so much."""
    with Onlooker(broker) as late:
        wait_until(lambda: len([each for each in late.heard if each.retained]) >= least, "the broker tells")
        return [each for each in late.heard if each.retained]


async def test_things_are_on_the_broker_and_stay_there(broker: Mosquitto, protocol: str) -> None:
    with Onlooker(broker) as onlooker:
        async with running(parsed(broker, LAMP + AIR, mqtt=PLAIN + protocol)) as node:
            await onlooker.until(f"{BASE}/status", "online")
            await onlooker.until(f"{BASE}/lamp/availability", "online")
            await onlooker.until(f"{BASE}/air/availability", "online")
            state = json.loads(await onlooker.until(f"{BASE}/lamp/state", lambda text: "brightness" in text))
            assert state["fields"] == {"fade_time": 300, "brightness": 100, "on": False, "power": 0.0}
            measured = node.things["lamp"].measured
            assert measured is not None and state["measured"][:19] <= measured.isoformat()[:19]
            retained = {each.topic: each.payload for each in await asyncio.to_thread(kept, broker, 9)}
        messages = {topic: payload for topic, payload in retained.items() if topic.startswith("homeassistant/")}
        assert {check(topic, payload)[0] for topic, payload in messages.items()} == {"light", "number", "sensor"}
        for topic, payload in messages.items():
            _, message = check(topic, payload)
            assert {message["state_topic"], *(each["topic"] for each in message["availability"])} <= set(retained)
        await onlooker.until(f"{BASE}/status", "offline")
        assert onlooker.last(f"{BASE}/lamp/availability") == "offline"


async def test_a_failing_part_is_offline_though_the_bridge_is_not(broker: Mosquitto) -> None:
    with Onlooker(broker) as onlooker:
        async with running(parsed(broker, LAMP + AIR)) as node:
            await onlooker.until(f"{BASE}/air/availability", "online")
            driver_of(node, "air").fault = "missing"
            await onlooker.until(f"{BASE}/air/availability", "offline")
            state = json.loads(await onlooker.until(f"{BASE}/air/state", lambda text: "trouble" in text))
            assert "does not answer" in state["trouble"] and state["fields"]["count"] > 0
            measured = node.things["air"].measured
            assert measured is not None and state["measured"].startswith(f"{measured:%Y-%m-%dT%H:%M:%S}")
            assert onlooker.last(f"{BASE}/status") == "online"
            assert onlooker.last(f"{BASE}/lamp/availability") == "online"
            driver_of(node, "air").fault = "none"
            await onlooker.until(f"{BASE}/air/availability", "online")
            await onlooker.until(f"{BASE}/air/state", lambda text: "trouble" not in text)


async def test_a_node_that_is_killed_has_left_a_will(broker: Mosquitto, tmp_path: Path) -> None:
    file = tmp_path / "hub.toml"
    file.write_text(text(broker, LAMP))
    with Onlooker(broker) as onlooker:
        async with node_process(file, tmp_path / "pins", wait_online=False) as process:
            await onlooker.until(f"{BASE}/lamp/availability", "online")
            await onlooker.until(f"{BASE}/status", "online")
            process.signal(signal.SIGKILL)
            await onlooker.until(f"{BASE}/status", "offline")


async def test_the_broker_killed_and_back_is_sent_the_newest(broker: Mosquitto, protocol: str) -> None:
    async with running(parsed(broker, AIR + LAMP, mqtt=PLAIN + protocol)) as node:
        for _ in range(3):
            broker.kill()
            await until(lambda: not is_up(node), "the bridge is down")
            before = count(node)
            await until(lambda: count(node) > before + 3, "the node goes on")  # noqa: B023
            broker.start()
            await until(lambda: is_up(node), "the bridge is back")
            with Onlooker(broker) as onlooker:
                await onlooker.until(f"{BASE}/status", "online")
                await onlooker.until(f"{BASE}/lamp/availability", "online")
                await onlooker.until(f"{BASE}/air/state", lambda text: fields(text)["count"] > before)  # noqa: B023
                for topic in {each.topic for each in onlooker.heard if each.topic.startswith("homeassistant")}:
                    check(topic, (onlooker.last(topic) or "").encode())


async def test_a_broker_that_stalls_does_not_fill_the_memory(broker: Mosquitto) -> None:
    things = "".join(AIR.replace("things.air", f"things.air{number}") for number in range(30))
    async with running(parsed(broker, things, mqtt=PLAIN + 'discovery = ""')) as node:
        assert node._bridge is not None
        await until(lambda: node._bridge is not None and node._bridge._board.is_settled, "all is said")
        broker.freeze()
        began = count(node, "air29")
        await until(lambda: count(node, "air29") > began + 40, "readings come")
        assert len(node._bridge._connection._answers) <= 20
        broker.thaw()
        with Onlooker(broker) as onlooker:
            await onlooker.until(f"{BASE}/air29/state", lambda text: fields(text)["count"] > began + 40)


async def test_what_an_earlier_configuration_left_is_taken_off(broker: Mosquitto, protocol: str) -> None:
    with Onlooker(broker) as onlooker:
        onlooker.publish("zigbee2mqtt/air/state", "not ours", retain=True)
        onlooker.publish("homeassistant/sensor/other/x/config", "not ours", retain=True)
        async with running(parsed(broker, LAMP + AIR, mqtt=PLAIN + protocol)):
            await onlooker.until(f"{BASE}/air/availability", "online")
            await onlooker.until(f"{BASE}/status", "online")
    with Onlooker(broker) as onlooker:
        async with running(parsed(broker, LAMP, mqtt=PLAIN + protocol)) as node:
            await onlooker.until(f"{BASE}/lamp/availability", "online")
            for topic in (f"{BASE}/air/availability", f"{BASE}/air/state",
                          "homeassistant/sensor/node-40localhost/air-_count/config"):  # fmt: skip
                await onlooker.until(topic, "")
            await until(lambda: node._bridge is not None and not node._bridge._tidying, "it is done with that")
    left = {each.topic for each in kept(broker, 7)}
    assert not any("/air" in topic for topic in left - {"zigbee2mqtt/air/state"})
    assert {"zigbee2mqtt/air/state", "homeassistant/sensor/other/x/config"} <= left


async def test_we_do_not_listen_to_ourselves(broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without MQTT 5 a broker gives us what we publish where we have asked for it."""
    heard: list[str] = []
    inner = Bridge.heard
    monkeypatch.setattr(Bridge, "heard", lambda self, message: (heard.append(message.topic), inner(self, message)))
    async with running(parsed(broker, LAMP + AIR, mqtt=PLAIN + 'protocol = "3.1.1"')) as node:
        await until(lambda: node._bridge is not None and not node._bridge._tidying and count(node) > 10, "it is tidy")
        with Onlooker(broker) as onlooker:
            await until(lambda: len(onlooker.all(f"{BASE}/air/state")) > 1, "states go out")
            before = len(heard)
            await until(lambda: len(onlooker.all(f"{BASE}/air/state")) > 3, "states go out")
            assert len(heard) == before


async def test_a_reload_shows_what_it_says(broker: Mosquitto, tmp_path: Path) -> None:
    file = tmp_path / "hub.toml"
    with Onlooker(broker) as onlooker:
        async with running(parsed(broker, LAMP + AIR)) as node:
            await onlooker.until(f"{BASE}/air/availability", "online")
            file.write_text(text(broker, LAMP + AIR + "mqtt = false\n"))
            await node.reload(file)
            await onlooker.until(f"{BASE}/air/availability", "")
            await onlooker.until(f"{BASE}/air/state", "")
            assert onlooker.last(f"{BASE}/lamp/availability") == "online"
            file.write_text(text(broker, LAMP, mqtt='tls = false\nbase = "other"'))
            await node.reload(file)
            await onlooker.until(f"{BASE}/status", "offline")
            await onlooker.until("other/lamp/availability", "online")
            file.write_text(text(broker, LAMP).replace("[mqtt]", "[mqtt_off]"))
            with pytest.raises(Exception, match="mqtt_off"):
                await node.reload(file)
            off = text(broker, LAMP)
            file.write_text(off[: off.index("[mqtt]")] + LAMP)
            await node.reload(file)
            await onlooker.until("other/status", "offline")
            assert node._bridge is None


async def test_what_is_said_while_a_connection_ends_is_said_on_the_next(broker: Mosquitto, protocol: str) -> None:
    with Onlooker(broker) as onlooker:
        async with running(quiet(parsed(broker, LAMP, mqtt=PLAIN + protocol), keepalive=Duration(1))) as node:
            await onlooker.until(f"{BASE}/lamp/availability", "online")
            bridge = node._bridge
            assert bridge is not None
            bridge._connection._client._sock_close()
            assert bridge.up and bridge._connection.publish("a", b"b").cancelled()
            await node.sampler.write("lamp", {"brightness": 33})
            await onlooker.until(f"{BASE}/lamp/state", lambda text: fields(text)["brightness"] == 33)


async def test_many_packets_at_once_are_all_read(broker: Mosquitto, protocol: str) -> None:
    """What is read from the socket already wakes nobody."""
    with Onlooker(broker) as onlooker:
        async with running(quiet(parsed(broker, LAMP, mqtt=PLAIN + protocol))) as node:
            await onlooker.until(f"{BASE}/lamp/availability", "online")
            await until(lambda: node._bridge is not None and node._bridge._board.is_settled, "all is said")
            broker.freeze()
            for number in range(300):
                onlooker.send(f"{BASE}/nothing/{number}/set", "ON")
            onlooker.send(f"{BASE}/lamp/on/set", "ON")
            broker.thaw()
            await onlooker.until(f"{BASE}/lamp/state", lambda text: fields(text)["on"] is True)


async def test_a_broker_that_hangs_is_noticed(
    broker: Mosquitto, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    made = quiet(parsed(broker, LAMP, mqtt=PLAIN + protocol), keepalive=Duration(1))
    async with running(made) as node:
        await until(lambda: node._bridge is not None and node._bridge._board.is_settled, "all is said")
        broker.freeze()
        await until(lambda: not is_up(node), "it is noticed")
        assert "MQTT: no connection to" in caplog.text
        broker.thaw()
        await until(lambda: is_up(node), "it is back")


# --------------------------------------------------------------------------- TLS and who we are


@pytest.mark.parametrize("certificate", [False, True])
async def test_tls_with_password_and_certificate(tmp_path: Path, protocol: str, certificate: bool) -> None:
    with Mosquitto(tmp_path / "locked", CERTIFIED if certificate else LOCKED) as broker:
        folder = broker.folder
        mqtt = f'ca_file = "{folder}/ca.pem"\nuser = "{USER}"\npassword_file = "{folder}/password"\n' + protocol
        if certificate:
            mqtt += f'certificate = "{folder}/cert.pem"\nkey = "{folder}/key.pem"\n'
        with Onlooker(broker, tls=True, certificate=certificate) as onlooker:
            async with running(parsed(broker, LAMP, mqtt=mqtt)):
                await onlooker.until(f"{BASE}/status", "online")
                assert (await command(onlooker, "lamp", "on", "ON"))["done"]


@pytest.mark.parametrize(("wrong", "right", "said"), [
    ('password_file = "{folder}/wrong"', 'password_file = "{folder}/password"', "it refuses us: "),
    ('password_file = "{folder}/nowhere"', 'password_file = "{folder}/password"', "password_file cannot be read"),
    ("", 'ca_file = "{folder}/ca.pem"', "its certificate is not trusted"),
    ('ca_file = "{folder}/nowhere"', 'ca_file = "{folder}/ca.pem"', "mqtt.ca_file cannot be used"),
    ("", 'certificate = "{folder}/cert.pem"\nkey = "{folder}/key.pem"', "no connection to"),
    ('certificate = "{folder}/nowhere"\nkey = "{folder}/key.pem"',
     'certificate = "{folder}/cert.pem"\nkey = "{folder}/key.pem"', "mqtt.certificate and mqtt.key cannot be used"),
])  # fmt: skip
async def test_what_keeps_us_out_is_said_once_and_the_node_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, wrong: str, right: str, said: str
) -> None:
    with Mosquitto(tmp_path / "locked", CERTIFIED) as broker:
        (broker.folder / "wrong").write_text("wrong\n")
        whole = ('ca_file = "{folder}/ca.pem"\nuser = "' + USER + '"\npassword_file = "{folder}/password"\n'
                 'certificate = "{folder}/cert.pem"\nkey = "{folder}/key.pem"\n')  # fmt: skip
        assert right in whole
        broken = whole.replace(right, wrong).replace("{folder}", str(broker.folder))
        async with running(parsed(broker, AIR, mqtt=broken), up=False) as node:
            await until(lambda: said in caplog.text, f"{said!r} is said")
            await until(lambda: count(node) > 10, "the node goes on")
            assert caplog.text.count("MQTT: no connection to") == 1
            assert not is_up(node)


async def test_nobody_there_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broker = Mosquitto(tmp_path)
    async with running(parsed(broker, AIR), up=False) as node:
        await until(lambda: count(node) > 20, "the node goes on")
        assert caplog.text.count("MQTT: no connection to") == 1


async def test_two_of_the_same_name_do_not_storm_the_broker(broker: Mosquitto) -> None:
    """A broker ends the older of two connections with one client id: they take turns with back-off, not in a loop."""
    made: Any = parsed(broker, LAMP)
    async with running(made), running(made):
        began = broker.said().count("New client connected")
        with Onlooker(broker) as onlooker:
            await onlooker.until(f"{BASE}/status", "offline")
            await onlooker.until(f"{BASE}/status", "online")
        assert broker.said().count("New client connected") - began < 50
