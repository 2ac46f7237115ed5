"""Things as Home Assistant's MQTT discovery messages: one device per hub, one entity per field or parameter.

Source: home-assistant.io, "MQTT", sections "MQTT Discovery" and "Discovery messages", and the pages of the MQTT
sensor, binary sensor, switch, number, select and light. Messages are those of single components, in full names.

Rules of this file
* Sans-IO: a description in, topics with payloads out.
* What Home Assistant would refuse is not said: a device class is named only with a unit that it allows, a state class
  only where the device class does.
* What may not be controlled is shown as a sensor: a switch that never switches helps nobody.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from devices.base import FieldSpec, ParameterSpec, ValueType
from hub.bridges.topics import Topics
from hub.things.thing import Description

MAX_STATE = 255  # characters of a state; Home Assistant takes a longer one for unknown
SMALLEST_STEP = 0.001  # of a number, and its decimals
STEP_DECIMALS = 3
ANY_NUMBER = 1_000_000_000  # the end of a range that has none: without one, Home Assistant allows 1 to 100
ON, OFF = "True", "False"  # as its templates write JSON's true and false

NUMBERS = (ValueType.NUMERIC, ValueType.INT, ValueType.LONG)
TEXTS = (ValueType.STRING, ValueType.ENUM, ValueType.DURATION, ValueType.TIME, ValueType.COLOR)

UNITS: Mapping[str, str] = {"%RH": "%"}
"""Units that Home Assistant writes otherwise."""

DEVICE_CLASSES: Mapping[str, str] = {
    "°C": "temperature", "°F": "temperature", "K": "temperature", "%RH": "humidity", "lx": "illuminance",
    "Pa": "pressure", "hPa": "pressure", "kPa": "pressure", "mbar": "pressure", "bar": "pressure",
    "V": "voltage", "mV": "voltage", "A": "current", "mA": "current", "W": "power", "kW": "power",
    "VA": "apparent_power", "Wh": "energy", "kWh": "energy", "Hz": "frequency", "kHz": "frequency",
    "ms": "duration", "s": "duration", "min": "duration", "h": "duration", "d": "duration",
    "mm": "distance", "cm": "distance", "m": "distance", "km": "distance", "m/s": "speed", "km/h": "speed",
    "g": "weight", "kg": "weight", "dBm": "signal_strength", "W/m²": "irradiance",
    "L": "volume_storage", "m³": "volume_storage", "L/min": "volume_flow_rate", "m³/h": "volume_flow_rate",
    "B": "data_size", "kB": "data_size", "MB": "data_size", "GB": "data_size",
}  # fmt: skip
"""By unit, where the unit alone says what is measured."""

NAMED_CLASSES: Mapping[tuple[str, str], str] = {
    ("battery", "%"): "battery", ("humidity", "%"): "humidity", ("moisture", "%"): "moisture",
    ("co2", "ppm"): "carbon_dioxide", ("co", "ppm"): "carbon_monoxide", ("pm25", "µg/m³"): "pm25",
    ("pm10", "µg/m³"): "pm10", ("ph", ""): "ph",
}  # fmt: skip
"""By the field's name and unit, where it takes both."""

TIMES: Mapping[ValueType, str] = {ValueType.DATE: "date", ValueType.DATETIME: "timestamp"}

LIGHT_SWITCHES = ("on", "state", "output", "power")


@dataclass(frozen=True)
class Hub:
    """The device that all entities belong to. `id` is the account's bare JID; `version` may be empty."""

    id: str
    name: str
    version: str

    @property
    def node_id(self) -> str:
        return quoted(self.id)

    def device(self) -> dict[str, Any]:
        return {"identifiers": [self.id], "name": self.name, "manufacturer": "xmpp-iot-hub", "model": "Hub",
                **self._software()}  # fmt: skip

    def origin(self) -> dict[str, Any]:
        return {"name": "xmpp-iot-hub", **self._software()}

    def _software(self) -> dict[str, Any]:
        return {"sw_version": self.version} if self.version else {}


def quoted(text: str) -> str:
    """`text` in the letters that a discovery topic may have; no two texts become one."""
    return re.sub(r"[^A-Za-z0-9_]", lambda match: "".join(f"-{byte:02x}" for byte in match[0].encode()), text)


def own_messages(prefix: str, hub: Hub) -> str:
    """A filter for every discovery message of this hub, also of an earlier configuration."""
    return f"{prefix}/+/{hub.node_id}/+/config"


def messages(
    prefix: str, hub: Hub, topics: Topics, description: Description, controllable: bool, qos: int
) -> dict[str, bytes]:
    """Every discovery message of one thing: payloads by topic."""
    found: dict[str, bytes] = {}
    for component, name, entity in _entities(topics, description, controllable):
        label = description.label or description.name
        whole = {
            "name": f"{label} {name.replace('_', ' ')}",
            "unique_id": f"{hub.id}/{description.name}/{name}",
            "device": hub.device(),
            "origin": hub.origin(),
            "availability": [{"topic": topics.status}, {"topic": topics.availability(description.name)}],
            "availability_mode": "all",
            "qos": qos,
            **entity,
        }
        # A quoted name has two hexadecimal digits behind each -, so -_ cannot stand in one
        topic = f"{prefix}/{component}/{hub.node_id}/{quoted(description.name)}-_{quoted(name)}/config"
        found[topic] = json.dumps(whole, ensure_ascii=False).encode()
    return found


def _entities(topics: Topics, thing: Description, controllable: bool) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(component, name, what is special about it) of each."""
    fields = {spec.name: spec for spec in thing.fields}
    shown: set[str] = set()
    if controllable:
        parameters = {p.name: p for p in thing.parameters if topics.command(thing.name, p.name) is not None}
        if (light := _light(topics, thing.name, parameters)) is not None:
            shown.update(light[2])
            yield "light", light[0], light[1]
        for name, spec in parameters.items():
            control = None if name in shown else _control(topics, thing.name, spec, fields.get(spec.read_back))
            if control is not None:
                shown.update((name, spec.read_back))
                yield control[0], name, control[1]
        shown.update(spec.read_back for name, spec in parameters.items() if name in shown)
    for name, field in fields.items():
        if name not in shown:
            component, entity = _sensor(field)
            yield component, name, {"state_topic": topics.state(thing.name), **entity}


def _template(name: str, missing: str = "") -> str:
    """A value that is not there is "None", which Home Assistant shows as unknown."""
    return f"{{{{ value_json['fields'].get({_quote(name)}{missing}) }}}}"


def _quote(name: str) -> str:
    """A text of a template (Jinja reads escapes as Python does)."""
    return json.dumps(name)


# --------------------------------------------------------------------------- sensors


def _sensor(field: FieldSpec) -> tuple[str, dict[str, Any]]:
    entity: dict[str, Any] = {"value_template": _template(field.name)}
    if field.category in ("status", "identity"):
        entity["entity_category"] = "diagnostic"
    if field.type is ValueType.BOOLEAN:
        return "binary_sensor", {**entity, "payload_on": ON, "payload_off": OFF}
    if field.type in TIMES:
        entity["device_class"] = TIMES[field.type]
    elif field.type in NUMBERS:
        entity |= _measurement(field)
    else:
        entity["value_template"] = f"{{{{ ('%s' % value_json['fields'].get({_quote(field.name)}))[:{MAX_STATE}] }}}}"
    return "sensor", entity


def device_class(name: str, unit: str) -> str | None:
    return NAMED_CLASSES.get((name, unit)) or DEVICE_CLASSES.get(unit)


def _measurement(field: FieldSpec) -> dict[str, Any]:
    entity: dict[str, Any] = {}
    if field.unit:
        entity["unit_of_measurement"] = UNITS.get(field.unit, field.unit)
    found = device_class(field.name, field.unit)
    if found is not None:
        entity["device_class"] = found
    if found == "energy":  # a meter; one that can go down is no "increasing" one
        entity["state_class"] = "total_increasing" if field.minimum == 0 else "total"
    elif field.category in ("momentary", "computed"):
        entity["state_class"] = "measurement"
    if field.type is ValueType.NUMERIC:
        entity["suggested_display_precision"] = field.decimals
    return entity


# --------------------------------------------------------------------------- controls


def _control(
    topics: Topics, thing: str, spec: ParameterSpec, field: FieldSpec | None
) -> tuple[str, dict[str, Any]] | None:
    """None for a type that Home Assistant has no control for here: then its field is shown as a sensor."""
    entity: dict[str, Any] = {"command_topic": topics.command(thing, spec.name), "retain": False}
    if field is not None:
        entity |= {"state_topic": topics.state(thing), "value_template": _template(field.name)}
    if spec.type is ValueType.BOOLEAN:
        return "switch", {**entity, "payload_on": ON, "payload_off": OFF}
    if spec.type in NUMBERS:
        span = _range(spec, field)
        return ("number", entity | span) if span["min"] < span["max"] else None
    if spec.options and spec.type in (ValueType.STRING, ValueType.ENUM):
        return "select", {**entity, "options": list(spec.options)}
    return None


def _range(spec: ParameterSpec, field: FieldSpec | None) -> dict[str, Any]:
    decimals = min(field.decimals if field is not None else STEP_DECIMALS, STEP_DECIMALS)
    entity: dict[str, Any] = {
        "min": -ANY_NUMBER if spec.minimum is None else spec.minimum,
        "max": ANY_NUMBER if spec.maximum is None else spec.maximum,
        "step": 1 if spec.type is not ValueType.NUMERIC else max(10.0**-decimals, SMALLEST_STEP),
    }
    if spec.unit:
        entity["unit_of_measurement"] = UNITS.get(spec.unit, spec.unit)
        if (found := device_class(spec.name, spec.unit)) is not None:
            entity["device_class"] = found
    return entity


def _light(
    topics: Topics, thing: str, parameters: Mapping[str, ParameterSpec]
) -> tuple[str, dict[str, Any], list[str]] | None:
    """A thing with a switch and a brightness: the switch's name, the entity, and the parameters in it."""
    brightness = parameters.get("brightness")
    name = next((n for n in LIGHT_SWITCHES if n in parameters and parameters[n].type is ValueType.BOOLEAN), None)
    if name is None or brightness is None or brightness.type not in NUMBERS:
        return None
    if brightness.minimum != 0 or brightness.maximum is None or brightness.maximum < 1:
        return None
    state = topics.state(thing)
    entity: dict[str, Any] = {
        "command_topic": topics.command(thing, name), "state_topic": state, "payload_on": ON, "payload_off": OFF,
        "state_value_template": _template(parameters[name].read_back), "retain": False,
        "brightness_command_topic": topics.command(thing, brightness.name), "brightness_state_topic": state,
        "brightness_value_template": _template(brightness.read_back, ", ''"),  # an empty one is passed over
        "brightness_scale": int(brightness.maximum),
    }  # fmt: skip
    used = [name, brightness.name]
    color = next((p for p in parameters.values() if p.type is ValueType.COLOR), None)
    if color is not None:
        used.append(color.name)
        entity |= _color(topics, thing, color)
    return name, entity, used


def _color(topics: Topics, thing: str, spec: ParameterSpec) -> dict[str, Any]:
    """RRGGBB on our side, "red,green,blue" on theirs."""
    value = f"value_json['fields'].get({_quote(spec.read_back)})"
    parts = ",".join(f"{{{{ c[{at}:{at + 2}] | int(base=16) }}}}" for at in (0, 2, 4))
    return {
        "rgb_command_topic": topics.command(thing, spec.name),
        "rgb_command_template": "{{ '%02X%02X%02X' | format(red, green, blue) }}",
        "rgb_state_topic": topics.state(thing),
        "rgb_value_template": f"{{% set c = {value} %}}{{% if c %}}{parts}{{% endif %}}",
    }
