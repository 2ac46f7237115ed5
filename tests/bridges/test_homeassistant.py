"""Every discovery message of every part there is, against Home Assistant's documented format; and what it shows."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Any, cast

import pytest

import devices
from devices.base import Driver, FieldSpec, OutputDriver, ParameterSpec, ValueType
from devices.fake import SimulatedBuses
from devices.simulated import Simulated
from hub.bridges import homeassistant, topics
from hub.bridges.homeassistant import Hub, quoted
from hub.bridges.topics import Topics
from hub.things.thing import Description, Thing
from tests.bridges.ha_schema import check
from tests.devices.test_contract import DRIVERS, config_of

HUB = Hub("greenhouse@example.org", "greenhouse", "0.1.0")
TOPICS = Topics("hub/greenhouse@example.org")
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def described(driver: Driver, label: str = "") -> Description:
    parameters = driver.parameters if isinstance(driver, OutputDriver) else ()
    return Description("part.1", label, driver.fields, parameters)


def simulated(kind: str) -> Description:
    return described(Simulated(Simulated.Config(kind=cast(Any, kind)), None))


def entities(thing: Description, controllable: bool = True) -> dict[str, tuple[str, dict[str, Any]]]:
    """Checked messages, by the name in their unique id: component and message."""
    found = {}
    for topic, payload in homeassistant.messages("homeassistant", HUB, TOPICS, thing, controllable, 1).items():
        component, message = check(topic, payload)
        found[message["unique_id"].rpartition("/")[2]] = component, message
    return found


@pytest.mark.parametrize("controllable", [True, False])
@pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.NAMES[0])
def test_messages_of_every_part_are_as_documented(driver: type[Driver], controllable: bool) -> None:
    thing = described(driver(config_of(driver), cast(Any, None)), "Ünïcode \"label\"")
    found = entities(thing, controllable)
    shown = {spec.name for spec in thing.fields}
    assert set(found) <= shown | {spec.name for spec in thing.parameters}
    assert len({message["unique_id"] for _, message in found.values()}) == len(found)
    if not controllable:
        assert set(found) == shown
        assert {component for component, _ in found.values()} <= {"sensor", "binary_sensor"}


@pytest.mark.parametrize("kind", ["sine", "counter", "lamp", "types"])
def test_every_kind_of_value_is_as_documented(kind: str) -> None:
    assert entities(simulated(kind))


def test_a_lamp_is_a_light_and_what_is_left_of_it() -> None:
    found = entities(simulated("lamp"))
    assert {name: component for name, (component, _) in found.items()} == {
        "on": "light", "fade_time": "number", "power": "sensor",
    }  # fmt: skip
    _, light = found["on"]
    assert light["command_topic"] == "hub/greenhouse@example.org/part.1/on/set"
    assert light["brightness_command_topic"] == "hub/greenhouse@example.org/part.1/brightness/set"
    assert light["brightness_scale"] == 100
    _, fade = found["fade_time"]
    assert (fade["min"], fade["max"], fade["step"], fade["unit_of_measurement"]) == (0, 4095, 1, "ms")


def test_each_type_has_its_component() -> None:
    found = entities(simulated("types"))
    assert {name: component for name, (component, _) in found.items()} == {
        "boolean": "switch", "double": "number", "enum": "select", "int": "number", "long": "number",
        "color": "sensor", "date": "sensor", "dateTime": "sensor", "duration": "sensor", "string": "sensor",
        "time": "sensor", "changes": "sensor", "peak": "sensor",
    }  # fmt: skip
    assert found["enum"][1]["options"] == ["off", "auto", "on"]
    assert found["dateTime"][1]["device_class"] == "timestamp"
    assert found["string"][1]["entity_category"] == "diagnostic"
    assert found["double"][1]["step"] == 0.01


def test_a_light_with_a_colour_has_one_in_home_assistant() -> None:
    parameters = (ParameterSpec("on"), ParameterSpec("brightness", ValueType.INT, "%", 0, 254),
                  ParameterSpec("color", ValueType.COLOR))  # fmt: skip
    fields = (FieldSpec("on", ValueType.BOOLEAN), FieldSpec("brightness", ValueType.INT),
              FieldSpec("color", ValueType.STRING))  # fmt: skip
    found = entities(Description("bulb", fields=fields, parameters=parameters))
    assert list(found) == ["on"]
    component, light = found["on"]
    assert component == "light" and light["rgb_command_topic"].endswith("/bulb/color/set")
    assert light["brightness_scale"] == 254


@pytest.mark.parametrize(("field", "wanted"), [
    (FieldSpec("temperature", unit="°C", decimals=1), ("temperature", "°C", "measurement")),
    (FieldSpec("humidity", unit="%RH"), ("humidity", "%", "measurement")),
    (FieldSpec("humidity", unit="%"), ("humidity", "%", "measurement")),
    (FieldSpec("duty", unit="%"), (None, "%", "measurement")),
    (FieldSpec("energy", unit="kWh", minimum=0), ("energy", "kWh", "total_increasing")),
    (FieldSpec("energy", unit="kWh"), ("energy", "kWh", "total")),
    (FieldSpec("uptime", ValueType.LONG, "s", category="status"), ("duration", "s", None)),
    (FieldSpec("peak", unit="°C", category="peak"), ("temperature", "°C", None)),
    (FieldSpec("odd", unit="furlong"), (None, "furlong", "measurement")),
    (FieldSpec("count", ValueType.LONG), (None, None, "measurement")),
], ids=str)  # fmt: skip
def test_units_say_what_is_measured(field: FieldSpec, wanted: tuple[str | None, ...]) -> None:
    _, message = entities(Description("part", fields=(field,)))[field.name]
    keys = ("device_class", "unit_of_measurement", "state_class")
    assert tuple(message.get(key) for key in keys) == wanted


def test_every_class_that_is_ever_named_is_one_with_that_unit() -> None:
    by_unit = [FieldSpec(f"x{number}", unit=unit) for number, unit in enumerate(homeassistant.DEVICE_CLASSES)]
    by_name = [FieldSpec(name, unit=unit) for name, unit in homeassistant.NAMED_CLASSES]
    for field in (*by_unit, *by_name):
        _, message = entities(Description("part", fields=(field,)))[field.name]
        assert message["device_class"]


def test_a_range_without_room_is_no_number() -> None:
    found = entities(Description("part", parameters=(ParameterSpec("x", ValueType.INT, "", 5, 5),),
                                 fields=(FieldSpec("x", ValueType.INT),)))  # fmt: skip
    assert found["x"][0] == "sensor"


def test_one_device_with_both_availabilities() -> None:
    _, message = entities(simulated("sine"))["value"]
    assert message["device"] == {"identifiers": ["greenhouse@example.org"], "name": "greenhouse",
                                 "manufacturer": "xmpp-iot-hub", "model": "Hub", "sw_version": "0.1.0"}  # fmt: skip
    assert message["availability"] == [{"topic": "hub/greenhouse@example.org/status"},
                                       {"topic": "hub/greenhouse@example.org/part.1/availability"}]  # fmt: skip
    assert message["availability_mode"] == "all"


def test_no_two_names_become_one_topic() -> None:
    names = ["a", "a_b", "a-b", "a.b", "a_", "-", "--", "a-2d", "_", "ä", "ä4", "\u0e44"]
    things = [Description(thing, fields=(FieldSpec(field),)) for thing in names for field in names]
    found = {next(iter(homeassistant.messages("ha", HUB, TOPICS, thing, False, 0))) for thing in things}
    assert len(found) == len(names) ** 2
    assert all(re.fullmatch(r"ha/sensor/[A-Za-z0-9_-]+/[A-Za-z0-9_-]+/config", topic) for topic in found)
    assert quoted("greenhouse@example.org") == "greenhouse-40example-2eorg"


# --------------------------------------------------------------------------- what the templates make of a state


def rendered(template: str, payload: bytes) -> str:
    """What a template without filters or tags gives: an expression that Jinja and Python read alike."""
    match = re.fullmatch(r"\{\{ (.*) \}\}", template)
    assert match is not None and "|" not in template, template
    return str(eval(match[1], {"__builtins__": {}}, {"value_json": json.loads(payload)}))


def test_templates_find_their_values() -> None:
    driver: Any = devices.build(Simulated, Simulated.Config(kind="types"), SimulatedBuses())
    driver.open()
    thing = Thing(described(driver))
    thing.measured_at(driver.read(), NOW)
    payload = topics.state(thing)
    wanted = {"boolean": "False", "double": "21.5", "enum": "auto", "int": "7", "long": "5000000000", "peak": "25.9",
              "date": "2026-01-01", "dateTime": "2026-01-01T08:00:00Z", "color": "3399FF", "string": "hello",
              "time": "08:00:00", "duration": "PT3M30S", "changes": "0"}  # fmt: skip
    found = {name: rendered(message["value_template"], payload)
             for name, (_, message) in entities(thing.description).items()}  # fmt: skip
    assert found == wanted
    assert entities(thing.description)["boolean"][1]["payload_off"] == found["boolean"]


@pytest.mark.parametrize("name", ["plain", "with space", 'quo"te', "it's", "back\\slash", "keys", "items"])
def test_templates_find_values_of_any_name_and_say_none_for_what_is_missing(name: str) -> None:
    thing = Thing(Description("part", fields=(FieldSpec(name), FieldSpec("text", ValueType.STRING))))
    thing.measured_at({name: 1}, NOW)
    found = entities(thing.description)
    assert rendered(found[name][1]["value_template"], topics.state(thing)) == "1"
    assert rendered(found["text"][1]["value_template"], topics.state(thing)) == "None"


def test_a_long_text_is_cut_to_what_a_state_may_have() -> None:
    thing = Thing(Description("part", fields=(FieldSpec("text", ValueType.STRING),)))
    thing.measured_at({"text": "x" * 1000}, NOW)
    _, message = entities(thing.description)["text"]
    assert rendered(message["value_template"], topics.state(thing)) == "x" * 255
