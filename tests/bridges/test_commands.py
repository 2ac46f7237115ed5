"""Commands from a real mosquitto: who may, what is refused and says why, and what must never move anything."""

from __future__ import annotations

import json

import pytest

from hub.bridges.connection import Message
from tests.bridges.bench import AIR, BASE, LAMP, ME, command, fields, is_up, parsed, running
from tests.helpers import turns, until
from tests.mosquitto import Mosquitto, Onlooker

PLAIN = "tls = false\n"
VALVE = '[things.valve]\ndriver = "relay"\npin = 27\n'
PUMP = '[things.pump]\ndriver = "relay"\npin = 17\nrequires = ["valve.output"]\n'


async def test_a_command_is_carried_out_and_read_back(broker: Mosquitto, protocol: str) -> None:
    with Onlooker(broker) as onlooker:
        async with running(parsed(broker, LAMP, mqtt=PLAIN + protocol)) as node:
            await onlooker.until(f"{BASE}/lamp/availability", "online")
            assert await command(onlooker, "lamp", "on", "ON") == {"parameters": ["on"], "done": True}
            assert fields(onlooker.last(f"{BASE}/lamp/state"))["on"] is True
            whole = '{"fade_time": 10, "brightness": 42, "on": true}'
            assert (await command(onlooker, "lamp", None, whole))["parameters"] == ["fade_time", "brightness", "on"]
            assert node.things["lamp"].values["brightness"] == 42
            assert (await command(onlooker, "lamp", "on", "False", qos=0))["done"]
            assert fields(onlooker.last(f"{BASE}/lamp/state"))["on"] is False


@pytest.mark.parametrize(("control", "access", "why"), [
    ("", f'"{ME}"', "mqtt.control_as"),
    ("", '"*"', "mqtt.control_as"),
    (f'control_as = "{ME}"', "", "Access denied."),
    (f'control_as = "{ME}"', '"owner@localhost"', "Access denied."),
])  # fmt: skip
async def test_nobody_commands_who_was_not_told_to(
    broker: Mosquitto, protocol: str, control: str, access: str, why: str
) -> None:
    made = parsed(broker, LAMP, mqtt=PLAIN + protocol, control=control, access=access)
    with Onlooker(broker) as onlooker:
        async with running(made) as node:
            await onlooker.until(f"{BASE}/lamp/availability", "online")
            answer = await command(onlooker, "lamp", "on", "ON")
            assert answer["error"] == "Forbidden" and why in answer["text"]
            assert node.things["lamp"].values["on"] is False
            lights = [each for each in onlooker.heard if each.topic.startswith("homeassistant/light/")]
            assert bool(lights) is bool(control)  # what cannot be controlled is not shown as if it could


WRONG: list[tuple[str | None, str | bytes, str, str]] = [
    ("brightness", "101", "BadRequest", "0 to 100 %"),
    ("brightness", "-1", "BadRequest", "0 to 100 %"),
    ("brightness", "bright", "BadRequest", "not a whole number"),
    ("brightness", "NaN", "BadRequest", "not a whole number"),
    ("brightness", "1e400", "BadRequest", "not a whole number"),
    ("on", "maybe", "BadRequest", "not true or false"),
    ("on", b"\xff\xfe", "BadRequest", "not UTF-8"),
    ("on", b"", "BadRequest", "not true or false"),
    ("colour", "red", "NotFound", "no such parameter"),
    (None, "[" * 4000, "BadRequest", "not JSON"),
    (None, '{"on": true, "brightness": 1000}', "BadRequest", "0 to 100 %"),
    (None, '{"on": true, "nonsense": 1}', "NotFound", "no such parameter"),
    (None, '{"on": NaN}', "BadRequest", "NaN"),
    (None, '{"on": {"deep": {}}}', "BadRequest", "a text, a number"),
    (None, "{}", "BadRequest", "sets nothing"),
    (None, b"x" * 200_000, "BadRequest", "at most 4096 bytes"),
]


async def test_limits_are_those_of_xmpp(broker: Mosquitto) -> None:
    with Onlooker(broker) as onlooker:
        async with running(parsed(broker, LAMP)) as node:
            await onlooker.until(f"{BASE}/lamp/availability", "online")
            before = dict(node.things["lamp"].values)
            for parameter, payload, error, text in WRONG:
                answer = await command(onlooker, "lamp", parameter, payload)
                assert answer["done"] is False and answer["error"] == error and text in answer["text"], answer
                assert node.things["lamp"].values == before
            assert (await command(onlooker, "lamp", "on", "ON"))["done"]


async def test_an_interlock_holds(broker: Mosquitto) -> None:
    with Onlooker(broker) as onlooker:
        async with running(parsed(broker, VALVE + PUMP)) as node:
            await onlooker.until(f"{BASE}/pump/availability", "online")
            await onlooker.until(f"{BASE}/valve/availability", "online")
            answer = await command(onlooker, "pump", "output", "ON")
            assert answer["error"] == "Conflict" and "valve" in answer["text"]
            assert (await command(onlooker, "valve", "output", "ON"))["done"]
            assert (await command(onlooker, "pump", "output", "ON"))["done"]
            assert node.things["pump"].values["output"] is True
            assert (await command(onlooker, "valve", "output", "OFF"))["done"]
            await onlooker.until(f"{BASE}/pump/state", lambda text: fields(text)["output"] is False)


async def test_a_kept_command_is_never_carried_out(broker: Mosquitto, protocol: str) -> None:
    with Onlooker(broker) as onlooker:
        onlooker.publish(f"{BASE}/lamp/on/set", "ON", retain=True)
        onlooker.publish(f"{BASE}/lamp/set", '{"on": true}', retain=True)
        async with running(parsed(broker, LAMP, mqtt=PLAIN + protocol)) as node:
            for turn in range(1, 4):
                # We say so behind what we ask to hear
                await until(lambda: onlooker.all(f"{BASE}/status").count("online") == turn, "it listens")  # noqa: B023
                await onlooker.until(f"{BASE}/lamp/availability", "online")
                # One that is meant is behind it in the queue, so it would have been carried out before
                assert (await command(onlooker, "lamp", "brightness", "50"))["done"]
                assert node.things["lamp"].values["on"] is False
                connection = node._bridge._connection if node._bridge else None
                assert connection is not None and connection._client is not None
                connection._client.disconnect()
                await until(lambda: not is_up(node), "it is down")
        assert [json.loads(each)["parameters"] for each in onlooker.all(f"{BASE}/lamp/result")] == [["brightness"]] * 3


async def test_with_mqtt_5_a_command_that_is_to_be_kept_is_none_at_all(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    with Onlooker(broker) as onlooker:
        async with running(parsed(broker, LAMP, mqtt=PLAIN + 'protocol = "5"')) as node:
            await onlooker.until(f"{BASE}/lamp/availability", "online")
            onlooker.publish(f"{BASE}/lamp/on/set", "ON", retain=True)
            assert (await command(onlooker, "lamp", "brightness", "50"))["done"]
            assert node.things["lamp"].values["on"] is False
            assert "a retained command" in caplog.text


async def test_a_command_from_while_we_were_away_is_none(broker: Mosquitto, protocol: str) -> None:
    """Also not where the broker would keep it for a session: ours are clean."""
    with Onlooker(broker) as onlooker:
        for _ in range(2):
            async with running(parsed(broker, LAMP, mqtt=PLAIN + protocol)) as node:
                await onlooker.until(f"{BASE}/lamp/availability", "online")
                assert (await command(onlooker, "lamp", "brightness", "50"))["done"]
                assert node.things["lamp"].values["on"] is False
            await onlooker.until(f"{BASE}/status", "offline")
            onlooker.publish(f"{BASE}/lamp/on/set", "ON")


async def test_duplicates_do_no_harm(broker: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    with Onlooker(broker) as onlooker:
        async with running(parsed(broker, LAMP)) as node:
            await onlooker.until(f"{BASE}/lamp/availability", "online")
            for _ in range(5):  # somebody's QoS 1 sends again: a command sets, none toggles
                assert (await command(onlooker, "lamp", "on", "ON"))["done"]
            assert node.things["lamp"].values["on"] is True
            assert (await command(onlooker, "lamp", "on", "OFF"))["done"]
            assert node._bridge is not None  # the broker's own, which it marks
            node._bridge.heard(Message(f"{BASE}/lamp/on/set", b"ON", duplicate=True))
            assert (await command(onlooker, "lamp", "brightness", "7"))["done"]
            assert node.things["lamp"].values["on"] is False


async def test_a_flood_is_bounded_and_said(
    broker: Mosquitto, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Onlooker(broker) as onlooker:
        async with running(parsed(broker, LAMP + AIR, mqtt=PLAIN + protocol)) as node:
            await onlooker.until(f"{BASE}/lamp/availability", "online")
            bridge = node._bridge
            assert bridge is not None
            for number in range(1000):
                bridge.heard(Message(f"{BASE}/lamp/brightness/set", str(number % 100).encode()))
            assert bridge._commands.qsize() <= 100 and bridge.dropped >= 899
            assert "commands come faster" in caplog.text and caplog.text.count("commands come faster") < 12
            await until(lambda: bridge._commands.empty(), "they are done")
            assert (await command(onlooker, "lamp", "on", "ON"))["done"]


async def test_a_huge_packet_is_not_read(broker: Mosquitto, protocol: str, caplog: pytest.LogCaptureFixture) -> None:
    with Onlooker(broker) as onlooker:
        async with running(parsed(broker, LAMP, mqtt=PLAIN + protocol)) as node:
            await onlooker.until(f"{BASE}/lamp/availability", "online")
            onlooker.publish(f"{BASE}/lamp/on/set", b"x" * 5_000_000)
            if "3.1.1" in protocol:
                await until(lambda: "bytes was refused" in caplog.text, "it is said")
                await until(lambda: is_up(node), "it is back")
                await onlooker.until(f"{BASE}/status", "online")
            assert (await command(onlooker, "lamp", "on", "ON"))["done"]


async def test_what_is_not_shown_cannot_be_commanded(broker: Mosquitto) -> None:
    hidden = VALVE + "mqtt = false\n"
    with Onlooker(broker) as onlooker:
        async with running(parsed(broker, LAMP + hidden)) as node:
            await onlooker.until(f"{BASE}/lamp/availability", "online")
            for topic in ("valve/output/set", "nothing/output/set", "valve/set", "lamp/on/brightness/set"):
                onlooker.publish(f"{BASE}/{topic}", "ON")
            assert (await command(onlooker, "lamp", "brightness", "1"))["done"]
            await turns()
            assert node.things["valve"].values["output"] is False
            assert not onlooker.all(f"{BASE}/valve/result")
