"""`[mqtt]`, and things on MQTT: exactly these values out, or a fault that says where and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from devices.mqtt import MqttThing
from devices.mqtt_payloads import Field
from hub.config.file import parse
from hub.config.mqtt import Mqtt
from hub.errors import ConfigError

XMPP = '[xmpp]\njid = "node@example.org"\npassword_file = "/p"\n'
PLUG = """
[things.plug]
driver = "mqtt"
topic = "zigbee2mqtt/plug"
availability = { topic = "zigbee2mqtt/plug/availability", path = "state" }
[things.plug.fields]
output = { type = "boolean", path = "state" }
power = { unit = "W", decimals = 1 }
[things.plug.parameters]
output = { topic = "zigbee2mqtt/plug/set", path = "state", on = "ON", off = "OFF" }
"""
BROKER = '[mqtt]\nbroker = "localhost:8883"\n'


def faults(text: str) -> list[tuple[str, str, str]]:
    with pytest.raises(ConfigError) as raised:
        parse(XMPP + text)
    return [(fault.path, fault.found, fault.right) for fault in raised.value.faults]


def test_without_the_table_there_is_none() -> None:
    assert parse(XMPP).mqtt is None


def test_the_least_is_safe() -> None:
    mqtt = parse(XMPP + BROKER).mqtt
    assert mqtt == Mqtt(broker="localhost:8883")
    assert mqtt.tls and mqtt.control_as is None and mqtt.qos == 1 and mqtt.address == ("localhost", 8883)


def test_a_whole_table() -> None:
    text = """[mqtt]
broker = "[::1]:8883"
ca_file = "/ca"
certificate = "/c"
key = "/k"
user = "hub"
password_file = "/pw"
protocol = "3.1.1"
base = "home/greenhouse"
discovery = ""
qos = 2
keepalive = "1m"
interval = "5s"
control_as = "mqtt@example.org"
"""
    mqtt = parse(XMPP + text).mqtt
    assert mqtt == Mqtt(broker="[::1]:8883", ca_file=Path("/ca"), certificate=Path("/c"), key=Path("/k"), user="hub",
                        password_file=Path("/pw"), protocol="3.1.1", base="home/greenhouse", discovery="", qos=2,
                        keepalive=mqtt.keepalive if mqtt else None, interval=mqtt.interval if mqtt else None,
                        control_as="mqtt@example.org")  # type: ignore[arg-type]  # fmt: skip
    assert mqtt is not None and (mqtt.keepalive, mqtt.interval, mqtt.address) == (60, 5, ("::1", 8883))


@pytest.mark.parametrize(("line", "key"), [
    ("broker = 5", "broker"),
    ('broker = "localhost"', "broker"),
    ('broker = "localhost:0"', "broker"),
    ('protocol = "4"', "protocol"),
    ("protocol = 5", "protocol"),
    ("qos = 3", "qos"),
    ("qos = true", "qos"),
    ('base = "a/+/b"', "base"),
    ('base = "/a"', "base"),
    ('base = "a/"', "base"),
    ('base = ""', "base"),
    ('base = "$SYS"', "base"),
    ('discovery = "#"', "discovery"),
    ('certificate = "/c"', "key"),
    ('key = "/k"', "certificate"),
    ('tls = false\nca_file = "/c"', "tls"),
    ('password_file = "/p"', "user"),
    ('keepalive = "1s"', "keepalive"),
    ('interval = "10ms"', "interval"),
    ('control_as = "*"', "control_as"),
    ('control_as = "*@example.org"', "control_as"),
    ('control_as = "example.org"', "control_as"),
    ('control_as = "a@example.org/x"', "control_as"),
    ("control = true", "control"),
])  # fmt: skip
def test_what_is_wrong_is_named(line: str, key: str) -> None:
    broker = "" if line.startswith("broker") else BROKER.partition("\n")[2]
    assert [path for path, *_ in faults(f"[mqtt]\n{broker}{line}\n")] == [f"mqtt.{key}"]


def test_a_foreign_device() -> None:
    thing = parse(XMPP + BROKER + PLUG).things["plug"]
    assert isinstance(thing.settings, MqttThing.Config)
    assert thing.settings.fields["power"] == Field(unit="W", decimals=1)
    assert thing.settings.parameters["output"].topic == "zigbee2mqtt/plug/set"
    assert thing.settings.availability is not None and thing.settings.availability.online == "online"
    assert thing.boot == {"output": False} and thing.safe == {"output": False}
    assert hash(thing.settings) == hash(parse(XMPP + BROKER + PLUG).things["plug"].settings)


def test_a_foreign_device_needs_a_broker() -> None:
    assert [path for path, *_ in faults(PLUG)] == ["things.plug.driver"]


@pytest.mark.parametrize(("old", "new", "path", "right"), [
    ("decimals = 1", "decimal = 1", "things.plug.fields.power.decimal", "one of topic, path, type"),
    ("decimals = 1", "decimals = 12", "things.plug.fields.power.decimals", "a whole number from 0 to 9"),
    ('type = "boolean"', 'type = "bool"', "things.plug.fields.output.type", 'one of "numeric", "boolean"'),
    ('topic = "zigbee2mqtt/plug/set", ', "", "things.plug.parameters.output", "a table with topic, path"),
    ('"zigbee2mqtt/plug/set"', '"zigbee2mqtt/#"', "things.plug.parameters.output.topic", "a topic like"),
    ('"zigbee2mqtt/plug/set"', '"zigbee2mqtt/plug"', "things.plug.parameters.output", "on another topic"),
    ("[things.plug.fields]", "[things.plug.field]", "things.plug.field", '"fields"'),
])  # fmt: skip
def test_what_is_wrong_in_a_foreign_device_is_named_where_it_stands(old: str, new: str, path: str, right: str) -> None:
    assert old in PLUG
    found = faults(BROKER + PLUG.replace(old, new, 1))
    assert any(each[0] == path and right in each[2] for each in found), found


def test_a_thing_says_whether_it_is_shown() -> None:
    thing = '[things.a]\ndriver = "simulated"\nmqtt = false\n'
    assert parse(XMPP + BROKER + thing).things["a"].keys.mqtt is False
    assert [path for path, *_ in faults(BROKER + thing.replace("false", '"no"'))] == ["things.a.mqtt"]


def test_files_that_are_missing_are_told() -> None:
    text = BROKER + 'ca_file = "/nowhere/ca.pem"\n'
    assert "mqtt.ca_file: /nowhere/ca.pem does not exist here" in parse(XMPP + text).missing_files()
