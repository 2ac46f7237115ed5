"""`[things.NAME]`: each by the keys of its driver beside those that every thing can have."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import typing
from collections.abc import Mapping
from typing import Any

import devices
from devices.base import Driver, Duration, FieldSpec, InvalidValue, OutputDriver, Value, ValueType
from hub.config.node import OutputKeys, ThingConfig, ThingKeys
from hub.config.reader import Reader
from hub.things.interlock import Condition

AGES = 3  # sampling intervals after which a value that an interlock relies on is too old
Name = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,63}")


def things_of(tree: Any, reader: Reader) -> dict[str, ThingConfig]:
    if not isinstance(tree, dict):
        reader.fault("things", tree, "tables like [things.air]")
        return {}
    things: dict[str, ThingConfig] = {}
    owners: dict[str, str] = {}
    for name, table in tree.items():
        path = f"things.{name}"
        if not isinstance(table, dict):
            reader.fault(path, table, f"a table [things.{name}] with a driver")
            continue
        if not Name.fullmatch(name):
            reader.fault(path, name, "a name of letters, digits, _ . - (at most 64)")
        thing = _thing(name, table, reader)
        if thing is None:
            continue
        things[name] = thing
        for claim in thing.settings.claims():
            if claim in owners:
                reader.fault(path, claim, f"a part of its own: things.{owners[claim]} uses {claim} already")
            owners.setdefault(claim, name)
    return {name: _with_conditions(thing, things, reader) for name, thing in things.items()}


def _thing(name: str, table: dict[str, Any], reader: Reader) -> ThingConfig | None:
    path = f"things.{name}"
    before = len(reader.faults)
    try:
        driver = devices.find(table["driver"])
    except KeyError:
        reader.fault(f"{path}.driver", None, 'a driver, like "bme280" (`hub devices` lists them)')
        return None
    except (InvalidValue, AttributeError) as error:
        hint = str(error).partition("; ")[2]
        reader.fault(f"{path}.driver", table["driver"], f"a driver's name ({hint or '`hub devices` lists them'})")
        return None
    shared = {f.name for f in dataclasses.fields(ThingKeys)}
    output = {f.name for f in dataclasses.fields(OutputKeys)} if issubclass(driver, OutputDriver) else set()
    own = {f.name for f in dataclasses.fields(driver.Config)}
    for key in table:
        if key not in shared | output | own:
            reader.unknown(f"{path}.{key}", sorted(shared | output | own))
    keys = reader.table(ThingKeys, {k: v for k, v in table.items() if k in shared}, path)
    settings = reader.table(driver.Config, {k: v for k, v in table.items() if k in own and k not in shared}, path)
    safety = reader.table(OutputKeys, {k: v for k, v in table.items() if k in output}, path)
    if len(reader.faults) > before:
        return None
    assert keys is not None and settings is not None and safety is not None
    probe = driver(settings, typing.cast(Any, None))  # touches nothing; tells fields and parameters
    _check_fields(keys, probe, path, reader)
    if not (isinstance(probe, OutputDriver) and probe.parameters):
        for key in sorted(output & table.keys()):
            reader.fault(f"{path}.{key}", table[key], "nothing: this thing has nothing to control")
        return ThingConfig(name, keys, driver, settings)
    boot = _state(safety.boot, "restore", probe, f"{path}.boot", reader)
    safe = _state(safety.safe, "keep", probe, f"{path}.safe", reader)
    return ThingConfig(name, keys, driver, settings, safety, boot, safe)


def _with_conditions(thing: ThingConfig, things: Mapping[str, ThingConfig], reader: Reader) -> ThingConfig:
    """The thing with its `requires` resolved against the others: each must name a boolean field that exists."""
    conditions = []
    for text in thing.output.requires if thing.output else ():
        condition = Condition.parse(text)
        other = things.get(condition.thing)
        fields = _fields(other) if other is not None else ()
        switches = [spec.name for spec in fields if spec.type is ValueType.BOOLEAN]
        path = f"things.{thing.name}.requires"
        if other is None or other.name == thing.name:
            reader.fault(path, text, "another thing of this file, and one of its true-or-false fields")
        elif condition.field not in switches:
            reader.fault(path, text, f"a true-or-false field of {other.name}: {', '.join(switches) or 'it has none'}")
        else:
            conditions.append(dataclasses.replace(condition, max_age=AGES * interval_of(other)))
    return dataclasses.replace(thing, requires=tuple(conditions))


def _fields(thing: ThingConfig) -> tuple[FieldSpec, ...]:
    return thing.driver(thing.settings, typing.cast(Any, None)).fields  # construction touches nothing


def interval_of(thing: ThingConfig) -> float:
    """Seconds between two readings."""
    return thing.driver.INTERVAL if thing.keys.interval is None else float(thing.keys.interval)


def _check_fields(keys: ThingKeys, probe: Driver, path: str, reader: Reader) -> None:
    names = [spec.name for spec in probe.fields]
    for key in ("change", "string_ids"):
        for name in getattr(keys, key):
            if name not in names:
                reader.fault(f"{path}.{key}", name, f"one of its fields: {', '.join(names)}")


def _state(
    written: str | dict[str, Any], open_end: str, probe: OutputDriver, path: str, reader: Reader
) -> Mapping[str, Value] | None:
    """A state as parameter values: by its name, or written out parameter by parameter."""
    if written == open_end:
        return None
    if isinstance(written, str):
        return probe.states[written]
    specs = {spec.name: spec for spec in probe.parameters}
    if not written:
        reader.fault(path, written, f"a table with at least one of its parameters: {', '.join(specs)}")
    state: dict[str, Value] = {}
    for name, value in written.items():
        try:
            duration = specs[name].type is ValueType.DURATION and isinstance(value, str)  # TOML has no such type
            state[name] = specs[name].check(dt.timedelta(seconds=Duration.parse(value)) if duration else value)
        except KeyError:
            reader.fault(f"{path}.{name}", value, f"one of its parameters: {', '.join(specs)}")
        except ValueError as error:
            reader.fault(f"{path}.{name}", value, f"{specs[name].limits()} ({error})")
    return state
