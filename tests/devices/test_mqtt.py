"""Foreign MQTT devices: payloads as their makers document them, those that nobody promised, and what is never fresh."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import devices
from devices.base import BadData, BusUnavailable, Duration, NotHeard, NotResponding
from devices.bus import Buses
from devices.fake import FakeBroker, SimulatedBuses
from devices.mqtt import Availability, MqttThing
from devices.mqtt_payloads import Field, NotThere, Parameter, decode, encode
from hub.things.sampler import Station
from hub.things.thing import Description, Thing
from tests.devices.vector import Vector

TASMOTA = (
    b'{"Time":"2018-01-17T18:59:50","ENERGY":{"Total":1.956,"Yesterday":0.054,"Today":0.049,"Period":0,"Power":9,'
    b'"Factor":0.43,"Voltage":231,"Current":0.089}}'
)
BULB = b'{"state":"ON","brightness":215,"color_temp":325}'

VECTORS = [
    Vector((b'{"temperature": 27.34, "humidity": 44.72}', "temperature", Field()), Decimal("27.34"),
           "zigbee2mqtt, MQTT Topics and Messages: WSDCGQ01LM", id="z2m temperature"),
    Vector((b'{"occupancy": true}', "occupancy", Field(type="boolean")), True,
           "zigbee2mqtt, MQTT Topics and Messages: RTCGQ01LM", id="z2m occupancy"),
    Vector((BULB, "state", Field(type="boolean")), True, "zigbee2mqtt: LED1545G12", id="z2m state"),
    Vector((BULB, "brightness", Field(type="int")), 215, "zigbee2mqtt: LED1545G12", id="z2m brightness"),
    Vector((BULB, "brightness", Field(scale=0.5)), Decimal("107.5"), "the same, scaled", id="scaled"),
    Vector((b'{"battery":"100.00"}', "battery", Field()), Decimal("100.00"), "a number as text", id="text number"),
    Vector((TASMOTA, "ENERGY.Power", Field()), Decimal(9), "Tasmota, tele/…/SENSOR of a POW", id="tasmota power"),
    Vector((TASMOTA, "ENERGY.Total", Field()), Decimal("1.956"), "the same", id="tasmota total"),
    Vector((TASMOTA, "Time", Field(type="dateTime")), dt.datetime(2018, 1, 17, 18, 59, 50), "the same", id="time"),
    Vector((b"OFF", "", Field(type="boolean")), False, "Tasmota, stat/…/POWER", id="plain off"),
    Vector((b"290.00", "", Field()), Decimal("290.00"), "ESPEasy, …/analog/brightness", id="plain number"),
    Vector((b'{"l":[{"v":1},{"v":2}]}', "l.1.v", Field(type="long")), 2, "a list", id="list"),
    Vector((b'{"contact":"open"}', "contact", Field(type="boolean", on="open", off="closed")), True, "own words",
           id="own words"),
    Vector((b'{"temperature": null}', "temperature", Field()), None, "zigbee2mqtt: not known yet", id="null"),
]  # fmt: skip


@pytest.mark.parametrize(("payload", "path", "field"), [
    (b"\xff\xfe", "a", Field()),
    (b"\xff\xfe", "", Field()),
    (b"", "a", Field()),
    (b"NaN", "", Field()),
    (b'{"a": NaN}', "a", Field()),
    (b'{"a": -Infinity}', "a", Field()),
    (b'{"a": 1e9999}', "a", Field()),
    (b'{"a": ' + b"9" * 70 + b"}", "a", Field()),
    (b'{"a": "warm"}', "a", Field()),
    (b'{"a": true}', "a", Field()),
    (b'{"a": [1]}', "a", Field()),
    (b'{"a": {}}', "a", Field(type="string")),
    (b'{"a": 5}', "a", Field(type="string")),
    (b'{"a": "' + b"x" * 1001 + b'"}', "a", Field(type="string")),
    (b'{"a": 1.5}', "a", Field(type="int")),
    (b'{"a": "maybe"}', "a", Field(type="boolean")),
    (b'{"a": true}', "a", Field(type="boolean", on="ON", off="OFF")),
    (b'{"a": "yesterday"}', "a", Field(type="dateTime")),
    (b'{"a": 12}', "a", Field(type="dateTime")),
    (b'{"a": 1}', "a.b", Field()),
    (b"[" * 60_000, "a", Field()),
    (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "a", Field()),
    (b'{"a": 1' + b" " * 65_536 + b"}", "a", Field()),
])  # fmt: skip
def test_what_was_not_promised_is_bad_data_in_few_words(payload: bytes, path: str, field: Field) -> None:
    with pytest.raises(BadData) as raised:
        decode(payload, path, field)
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize("path", ["b", "a.c", "l.2", "l.x", "l.-1"])
def test_a_message_that_says_nothing_of_a_field_is_no_error(path: str) -> None:
    with pytest.raises(NotThere):
        decode(b'{"a": {"b": 1}, "l": [1, 2]}', path, Field())


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode), st.sampled_from(["", "a", "a.0", "0"]),
       st.sampled_from(["numeric", "boolean", "int", "long", "string", "enum", "dateTime"]))  # fmt: skip
def test_any_payload_is_a_value_or_a_clear_error(payload: bytes, path: str, kind: Any) -> None:
    try:
        decode(payload, path, Field(type=kind))
    except (BadData, NotThere):
        return


@pytest.mark.parametrize(("parameter", "path", "value", "payload"), [
    (Parameter(topic="t"), "state", True, b'{"state":"ON"}'),
    (Parameter(topic="t"), "", False, b"OFF"),
    (Parameter(topic="t", on=True, off=False), "a.b", True, b'{"a":{"b":true}}'),
    (Parameter(topic="t", type="int"), "brightness", 50, b'{"brightness":50}'),
    (Parameter(topic="t", type="numeric"), "", Decimal("21.50"), b"21.50"),
    (Parameter(topic="t", type="numeric"), "x", Decimal("1E+3"), b'{"x":1000}'),
    (Parameter(topic="t", type="string"), "x", 'a "quoted" one', b'{"x":"a \\"quoted\\" one"}'),
])  # fmt: skip
def test_commands_are_written_as_the_device_wants_them(
    parameter: Parameter, path: str, value: Any, payload: bytes
) -> None:
    assert encode(parameter, path, value) == payload


# --------------------------------------------------------------------------- the driver


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wall(self) -> dt.datetime:
        return dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=self.now)


class Bench:
    """A driver on a broker whose other side is the test."""

    def __init__(self, **settings: Any) -> None:
        self.buses = SimulatedBuses()
        self.broker: FakeBroker = self.buses.mqtt()
        self.clock = Clock()
        fields = {"t": Field(unit="°C"), "h": Field()}
        config = MqttThing.Config(**{"topic": "dev", "fields": fields, "confirm": Duration(0.1), **settings})
        assert config.problems() == {}
        self.driver = MqttThing(config, self.buses, self.clock, self.clock.wall)
        self.told: list[tuple[str, bytes]] = []
        for topic in {p.topic for p in config.parameters.values()}:
            self.broker.listen(topic, lambda topic, payload, _: self.told.append((topic, payload)))
        self.thing = Thing(Description("dev", fields=self.driver.fields, parameters=self.driver.parameters))

    def says(self, payload: str | bytes, topic: str = "dev", retain: bool = False) -> None:
        self.broker.publish(topic, payload.encode() if isinstance(payload, str) else payload, retain=retain)

    def read(self) -> Mapping[str, Any]:
        """As the hub takes it: checked by the thing."""
        raw = self.driver.read()
        assert self.driver.measured is not None
        self.thing.measured_at(raw, self.driver.measured)
        return self.thing.values


def test_a_value_keeps_the_moment_at_which_it_was_heard() -> None:
    bench = Bench()
    bench.driver.open()
    bench.says('{"t": 21.5, "h": 40}')
    heard = bench.clock.wall()
    bench.clock.now += 600
    assert bench.read() == {"t": Decimal("21.50"), "h": 40}
    assert bench.thing.measured == heard
    station = Station(bench.thing, bench.driver, 1)
    assert station.driver.measured == heard


def test_messages_may_tell_a_part_only() -> None:
    bench = Bench()
    bench.driver.open()
    bench.says('{"t": 21.5}')
    bench.says('{"h": 40, "linkquality": 99}')
    assert bench.read() == {"t": Decimal("21.50"), "h": 40}
    bench.says('{"t": null}')
    assert bench.read() == {"h": 40}
    assert bench.thing.trouble is None


def test_what_was_not_promised_is_the_trouble_of_its_fields_until_the_next_good_one() -> None:
    bench = Bench(fields={"t": Field(), "h": Field(topic="other", path="")})
    bench.driver.open()
    bench.says("40", "other")
    bench.says(b"\xff\xff")
    assert bench.read() == {"h": 40}
    assert bench.thing.trouble is not None and "not UTF-8" in bench.thing.trouble.text
    bench.says('{"t": "warm"}')
    bench.read()
    assert bench.thing.trouble is not None and "'warm'" in bench.thing.trouble.text
    bench.says('{"t": 20}')
    assert bench.read() == {"t": 20, "h": 40}
    assert bench.thing.trouble is None


def test_a_value_that_nobody_repeats_is_not_reported_for_ever() -> None:
    bench = Bench(stale=Duration(60))
    bench.driver.open()
    with pytest.raises(NotHeard, match="nothing has been heard from the device yet"):
        bench.driver.read()
    bench.says('{"t": 1, "h": 1}')
    bench.clock.now += 50
    bench.says('{"t": 2}')
    bench.clock.now += 20
    assert bench.read() == {"t": 2}
    assert bench.thing.trouble is not None and "h: expected a number, got nothing for" in bench.thing.trouble.text
    bench.clock.now += 60
    with pytest.raises(NotHeard, match="for 1m"):
        bench.driver.read()


def test_what_the_broker_kept_has_no_age_and_counts_only_where_that_is_wanted() -> None:
    for retained in (False, True):
        bench = Bench(retained=retained)
        bench.says('{"t": 1, "h": 2}', retain=True)
        bench.driver.open()
        if retained:
            assert bench.read() == {"t": 1, "h": 2}
        else:
            with pytest.raises(NotHeard):
                bench.driver.read()


def test_a_device_that_says_it_is_offline_is() -> None:
    bench = Bench(availability=Availability(topic="dev/availability", path="state"))
    bench.says('{"state":"online"}', "dev/availability", retain=True)
    bench.driver.open()
    bench.says('{"t": 1}')
    assert bench.read() == {"t": 1}
    for said in ('{"state":"offline"}', "online", b"\xff", ""):
        bench.says(said, "dev/availability")
        with pytest.raises(NotHeard, match="offline"):
            bench.driver.read()
    bench.says('{"state":"online"}', "dev/availability")
    assert bench.read() == {"t": 1}


def test_news_wake_the_hub() -> None:
    bench = Bench()
    woken: list[bool] = []
    bench.driver.notify = lambda: woken.append(True)
    bench.driver.open()
    bench.says('{"t": 1}')
    assert woken
    bench.driver.close()
    woken.clear()
    bench.says('{"t": 1}')
    assert not woken


def test_the_broker_away_is_no_reading() -> None:
    bench = Bench()
    bench.driver.open()
    bench.says('{"t": 1}')
    bench.broker.connected = False
    with pytest.raises(NotHeard, match="broker is away"):
        bench.driver.read()
    with pytest.raises(BusUnavailable, match=r"\[mqtt\]"):
        MqttThing(bench.driver.config, Buses()).open()


# --------------------------------------------------------------------------- outputs

PLUG: dict[str, Any] = {
    "fields": {"output": Field(type="boolean", path="state"), "level": Field(type="int")},
    "parameters": {
        "output": Parameter(topic="dev/set", path="state"),
        "level": Parameter(topic="dev/set", type="int", minimum=0, maximum=254),
    },
}


def test_the_stand_in_does_what_it_is_told() -> None:
    buses = SimulatedBuses()
    driver: Any = devices.build(MqttThing, MqttThing.Config(topic="dev", **PLUG), buses)
    driver.open_with({"output": False})
    assert driver.states == {"off": {"output": False}, "on": {"output": True}}
    driver.write({"level": 7, "output": True})
    assert driver.read() == {"output": True, "level": 7}


def test_an_output_has_to_say_that_it_took_a_command() -> None:
    bench = Bench(**PLUG)
    with pytest.raises(NotResponding, match="does not say that it took its state"):
        bench.driver.open_with({"output": False})
    assert bench.told == [("dev/set", b'{"state":"OFF"}')]
    bench.driver.close()
    bench.broker.listen("dev/set", lambda *_: bench.says('{"state":"OFF"}'))
    bench.driver.open_with({"output": False})
    bench.driver.write({"output": True})
    assert bench.driver.read() == {"output": False}  # which the hub answers with an error


def test_an_output_that_went_away_is_closed_so_that_it_is_told_its_state_again() -> None:
    bench = Bench(stale=Duration(60), **PLUG)
    bench.broker.listen("dev/set", lambda *_: bench.says('{"state":"OFF"}'))
    bench.driver.open_with({"output": False})
    bench.clock.now += 61
    with pytest.raises(NotResponding) as raised:
        bench.driver.read()
    assert not isinstance(raised.value, NotHeard)
    bench.driver.close()
    with pytest.raises(NotResponding):
        bench.driver.write({"output": True})


def test_old_news_do_not_confirm_a_new_claim() -> None:
    bench = Bench(**PLUG)
    bench.driver.open_with({})
    bench.says('{"state":"OFF"}')
    bench.driver.close()
    with pytest.raises(NotResponding, match="does not say"):
        bench.driver.open_with({"output": False})


@pytest.mark.parametrize(("settings", "key"), [
    ({"fields": {}}, "fields"),
    ({"topic": None}, "fields.t.topic"),
    ({"stale": Duration(0)}, "stale"),
    ({"fields": {"a b": Field()}}, "fields.a b"),
    ({"parameters": {"x": Parameter(topic="set")}}, "parameters.x"),
    ({"parameters": {"t": Parameter(topic="set")}}, "parameters.t"),
    ({"parameters": {"t": Parameter(topic="dev", type="numeric")}}, "parameters.t"),
])  # fmt: skip
def test_settings_that_cannot_work_are_named(settings: dict[str, Any], key: str) -> None:
    whole = {"topic": "dev", "fields": {"t": Field()}, **settings}
    assert list(MqttThing.Config(**whole).problems()) == [key]


def test_a_command_topic_has_one_owner() -> None:
    config = MqttThing.Config(topic="dev", **PLUG)
    assert config.claims() == {"mqtt dev/set state", "mqtt dev/set level"}
