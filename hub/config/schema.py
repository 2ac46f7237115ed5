"""The JSON Schema of a configuration file, for editors: made from the same dataclasses that check it."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import devices
from devices.base import Driver, Duration, Matches, OutputDriver, Within
from hub.config.dashboard import Dashboard
from hub.config.gateway import Gateway
from hub.config.history import History
from hub.config.metrics import Metrics
from hub.config.mqtt import Mqtt
from hub.config.node import Access, Node, OutputKeys, Telemetry, ThingKeys, Xmpp
from hub.config.provisioning import Provisioning
from hub.config.reader import key_of
from hub.config.trust import Trust

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """The whole file; a thing's keys depend on its driver."""
    things = [_thing(driver) for driver in devices.drivers()]
    return {
        "$schema": DIALECT,
        "title": "hub configuration",
        "type": "object",
        "additionalProperties": False,
        "anyOf": [{"required": ["xmpp"]}, {"required": ["gateway"]}, {"required": ["provisioning"]}],
        "not": {"required": ["access", "trust"]},
        "properties": {
            "xmpp": _table(Xmpp),
            "access": _table(Access),
            "telemetry": _table(Telemetry),
            "history": _table(History),
            "node": _table(Node),
            "trust": _table(Trust),
            "gateway": _table(Gateway),
            "provisioning": _table(Provisioning),
            "mqtt": _table(Mqtt),
            "metrics": _table(Metrics),
            "dashboard": _table(Dashboard),
            "things": {"type": "object", "additionalProperties": {"oneOf": things}},
        },
    }


def _thing(driver: type[Driver]) -> dict[str, Any]:
    tables: list[type[Any]] = [ThingKeys, driver.Config]
    if issubclass(driver, OutputDriver):
        tables.append(OutputKeys)
    made = [_table(table) for table in tables]
    properties = {name: value for table in made for name, value in table["properties"].items()}
    properties["driver"] = {"enum": list(driver.NAMES), "description": driver.TITLE}
    required = [name for table in made for name in table.get("required", [])]
    return {"title": driver.NAMES[0], "type": "object", "additionalProperties": False, "properties": properties,
            "required": list(dict.fromkeys(required))}  # fmt: skip


def _table(cls: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(cls, include_extras=True)
    table: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": {}}
    required = []
    for field in dataclasses.fields(cls):
        value = _value(hints[field.name])
        if field.default is not dataclasses.MISSING and field.default is not None:
            value["default"] = _plain(field.default)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            required.append(key_of(field.name))
        table["properties"][key_of(field.name)] = value
    if required:
        table["required"] = required
    return table


def _value(annotation: Any) -> dict[str, Any]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _limited(_value(arguments[0]), arguments[1:])
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (typing.Union, types.UnionType):
        options = [_value(a) for a in arguments if a is not type(None)]
        return options[0] if len(options) == 1 else {"anyOf": options}
    if origin in (tuple, list):
        return {"type": "array", "items": _value(arguments[0])}
    if origin in (dict, Mapping):
        return {"type": "object", "additionalProperties": _value(arguments[1])}
    if dataclasses.is_dataclass(annotation):
        return _table(typing.cast(type[Any], annotation))
    return dict(_SIMPLE[annotation])


def _limited(value: dict[str, Any], marks: tuple[Any, ...]) -> dict[str, Any]:
    for mark in marks:
        if isinstance(mark, Within):
            limits = {"minimum": mark.minimum, "maximum": mark.maximum}
            value |= {name: limit for name, limit in limits.items() if limit is not None}
            if mark.unit:
                value["description"] = f"in {mark.unit}"
        elif isinstance(mark, Matches):
            value |= {"pattern": f"^(?:{mark.pattern})$", "description": mark.meaning}
    return value


def _plain(default: Any) -> Any:
    if isinstance(default, Duration):
        return str(default)
    return list(default) if isinstance(default, tuple) else default


_SIMPLE: Mapping[Any, Mapping[str, Any]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    Path: {"type": "string", "description": "a file path"},
    Duration: {"type": "string", "pattern": f"^{Duration.PATTERN}$", "description": 'like "30s" or "5m"'},
    Any: {},
}
