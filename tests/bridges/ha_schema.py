"""Home Assistant's MQTT discovery format, written down from its public documentation to hold our messages against.

Sources: home-assistant.io, integrations "MQTT" (discovery topic, device, origin, availability), "MQTT sensor", "MQTT
binary sensor", "MQTT switch", "MQTT number", "MQTT select", "MQTT light" (default schema), and "Sensor", "Number" and
"Binary sensor" for device classes, their units and state classes. Only what a hub may come to use is listed of the
device classes; a name that is not here fails.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

TOPIC = re.compile(r"(?P<prefix>.+)/(?P<component>[a-z_]+)/(?P<node>[A-Za-z0-9_-]+)/(?P<object>[A-Za-z0-9_-]+)/config")

COMMON: Mapping[str, type | tuple[type, ...]] = {
    "name": str, "unique_id": str, "object_id": str, "default_entity_id": str, "device": dict, "origin": dict,
    "availability": list, "availability_mode": str, "availability_topic": str, "availability_template": str,
    "payload_available": str, "payload_not_available": str, "enabled_by_default": bool, "encoding": str,
    "entity_category": str, "entity_picture": str, "icon": str, "json_attributes_topic": str,
    "json_attributes_template": str, "qos": int,
}  # fmt: skip
CONTROL: Mapping[str, type | tuple[type, ...]] = {
    "command_topic": str, "command_template": str, "optimistic": bool, "retain": bool, "state_topic": str,
}  # fmt: skip
NUMBER = (int, float)

COMPONENTS: Mapping[str, Mapping[str, type | tuple[type, ...]]] = {
    "sensor": {
        "state_topic": str, "value_template": str, "device_class": str, "state_class": str,
        "unit_of_measurement": str, "suggested_display_precision": int, "expire_after": int, "force_update": bool,
        "last_reset_value_template": str, "options": list,
    },
    "binary_sensor": {
        "state_topic": str, "value_template": str, "device_class": str, "payload_on": str, "payload_off": str,
        "expire_after": int, "force_update": bool, "off_delay": int,
    },
    "switch": {**CONTROL, "value_template": str, "device_class": str, "payload_on": str, "payload_off": str,
               "state_on": str, "state_off": str},
    "number": {**CONTROL, "value_template": str, "device_class": str, "min": NUMBER, "max": NUMBER, "step": NUMBER,
               "mode": str, "payload_reset": str, "unit_of_measurement": str},
    "select": {**CONTROL, "value_template": str, "options": list},
    "light": {
        **CONTROL, "schema": str, "payload_on": str, "payload_off": str, "state_value_template": str,
        "brightness_command_topic": str, "brightness_command_template": str, "brightness_state_topic": str,
        "brightness_value_template": str, "brightness_scale": int, "on_command_type": str,
        "rgb_command_topic": str, "rgb_command_template": str, "rgb_state_topic": str, "rgb_value_template": str,
    },
}  # fmt: skip
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "sensor": ("state_topic",), "binary_sensor": ("state_topic",), "switch": ("command_topic",),
    "number": ("command_topic",), "select": ("command_topic", "options"), "light": ("command_topic",),
}  # fmt: skip

DEVICE = {"identifiers", "connections", "configuration_url", "hw_version", "manufacturer", "model", "model_id", "name",
          "serial_number", "suggested_area", "sw_version", "via_device"}  # fmt: skip
ORIGIN = {"name", "sw_version", "support_url"}
AVAILABILITY = {"topic", "payload_available", "payload_not_available", "value_template"}

MEASURED, TOTALS = {"measurement"}, {"total", "total_increasing"}
DEVICE_CLASSES: Mapping[str, tuple[set[str | None], set[str]]] = {
    "apparent_power": ({"VA", "mVA", "kVA"}, MEASURED),
    "battery": ({"%"}, MEASURED),
    "carbon_dioxide": ({"ppm"}, MEASURED),
    "carbon_monoxide": ({"ppm"}, MEASURED),
    "current": ({"A", "mA"}, MEASURED),
    "data_size": ({"B", "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB"}, MEASURED | TOTALS),
    "date": ({None}, set()),
    "distance": ({"mm", "cm", "m", "km", "in", "ft", "yd", "mi"}, MEASURED | TOTALS),
    "duration": ({"d", "h", "min", "s", "ms"}, MEASURED | TOTALS),
    "energy": ({"J", "kJ", "MJ", "Wh", "kWh", "MWh"}, TOTALS),
    "frequency": ({"Hz", "kHz", "MHz", "GHz"}, MEASURED),
    "humidity": ({"%"}, MEASURED),
    "illuminance": ({"lx"}, MEASURED),
    "irradiance": ({"W/m²"}, MEASURED),
    "moisture": ({"%"}, MEASURED),
    "ph": ({None}, MEASURED),
    "pm10": ({"µg/m³"}, MEASURED),
    "pm25": ({"µg/m³"}, MEASURED),
    "power": ({"W", "kW", "MW"}, MEASURED),
    "pressure": ({"mbar", "cbar", "bar", "Pa", "hPa", "kPa", "inHg", "psi"}, MEASURED),
    "signal_strength": ({"dB", "dBm"}, MEASURED),
    "speed": ({"m/s", "km/h", "mm/s", "mph", "kn", "ft/s"}, MEASURED),
    "temperature": ({"°C", "°F", "K"}, MEASURED),
    "timestamp": ({None}, set()),
    "voltage": ({"V", "mV", "µV", "kV"}, MEASURED),
    "volume_flow_rate": ({"m³/h", "L/min", "mL/s", "ft³/min"}, MEASURED),
    "volume_storage": ({"mL", "L", "m³"}, MEASURED),
    "weight": ({"g", "kg", "mg", "µg", "oz", "lb"}, MEASURED | TOTALS),
}
NOT_FOR_NUMBERS = {"date", "timestamp"}


def check(topic: str, payload: bytes) -> tuple[str, dict[str, Any]]:
    """The component and the message, when Home Assistant would take it; fails the test otherwise."""
    match = TOPIC.fullmatch(topic)
    assert match is not None, f"{topic}: no discovery topic"
    component, message = match["component"], json.loads(payload)
    assert component in COMPONENTS, f"{component}: not documented here"
    known = {**COMMON, **COMPONENTS[component]}
    for key, value in message.items():
        assert key in known, f"{component}: {key} is not documented"
        assert isinstance(value, known[key]), f"{component}: {key} is {value!r}"
        assert not isinstance(value, bool) or known[key] is bool, f"{component}: {key} is {value!r}"
        if key.endswith("_topic"):
            assert_topic(value)
    for key in REQUIRED[component]:
        assert key in message, f"{component}: {key} is missing"
    _check_common(message)
    _check_kind(component, message)
    return component, message


def assert_topic(topic: str) -> None:
    assert topic and not set(topic) & set("+#\x00") and len(topic.encode()) <= 65_535, f"{topic!r} is no topic"


def _check_common(message: Mapping[str, Any]) -> None:
    device = message["device"]
    assert device.keys() <= DEVICE and (device.get("identifiers") or device.get("connections"))
    assert message["unique_id"], "a device needs a unique_id"
    assert all(isinstance(value, str) for key, value in device.items() if key not in ("identifiers", "connections"))
    assert message["origin"].keys() <= ORIGIN and message["origin"]["name"]
    assert not ("availability" in message and "availability_topic" in message)
    for each in message["availability"]:
        assert each.keys() <= AVAILABILITY
        assert_topic(each["topic"])
    assert message.get("availability_mode", "latest") in ("all", "any", "latest")
    assert message.get("qos", 0) in (0, 1, 2)


def _check_kind(component: str, message: Mapping[str, Any]) -> None:
    unit, device_class = message.get("unit_of_measurement"), message.get("device_class")
    assert unit != "", "an empty unit"
    category = message.get("entity_category")
    assert category in (None, "diagnostic") or (category == "config" and component not in ("sensor", "binary_sensor"))
    if component in ("sensor", "number") and device_class is not None:
        units, state_classes = DEVICE_CLASSES[device_class]
        assert unit in units, f"{device_class} in {unit}"
        assert component != "number" or device_class not in NOT_FOR_NUMBERS
        assert message.get("state_class") in {None, *state_classes}, f"{device_class}: {message.get('state_class')}"
    assert message.get("state_class") in {None, *MEASURED, *TOTALS}
    if component == "number":
        assert message["min"] < message["max"] and message["step"] >= 0.001
        assert message.get("mode", "auto") in ("auto", "box", "slider")
    if component == "select":
        assert message["options"] and all(isinstance(option, str) for option in message["options"])
    if component == "light":
        assert message.get("brightness_scale", 255) >= 1
        assert message.get("on_command_type", "last") in ("first", "last", "brightness")
