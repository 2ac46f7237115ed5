"""The configuration file: TOML in, frozen typed values out, or every fault at once.

Rules of this file
* It is checked whole before anything starts; a fault names the key path, the line, what was found and what would be
  right. Nothing is guessed, unknown keys are faults (with the nearest known key), units stand in the values.
* The dataclasses are the documentation: their fields are the keys, their annotations the limits. `hub.config_schema`
  makes the JSON Schema of the same.
* Things are configured by their drivers: the keys a driver adds are the fields of its own Config.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import difflib
import re
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import devices
from devices.base import Driver, Duration, FieldSpec, InvalidValue, Matches, OutputDriver, Value, ValueType, Within
from devices.settings import accept_setting, meaning, misfits
from hub.config_gateway import Gateway, GatewayDomain, Server
from hub.config_history import History
from hub.config_mqtt import Mqtt
from hub.config_provisioning import Provisioning
from hub.config_trust import OfflinePolicy, Trust
from hub.errors import ConfigError, Fault
from hub.things.interlock import PATTERN, Condition

MAX_FILE_BYTES = 1_000_000
AGES = 3  # sampling intervals after which a value that an interlock relies on is too old

Pattern = Annotated[
    str,
    Matches(r"\*|(?:(?:\*|[^@/\s*]+)@)?[^@/\s*]+", 'a pattern like "owner@example.org", "*@example.org" or "*"'),
]
Jid = Annotated[str, Matches(r"[^@/\s]+@[^@/\s]+(?:/.+)?", 'an address like "greenhouse@example.org"')]
Service = Annotated[str, Matches(r"(?:[^@/\s]+@)?[^@/\s]+", 'an address like "pubsub.example.org"')]
Name = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class Xmpp:
    """`[xmpp]`: the account. TLS is always on and verified. `exi`: whether stanzas are compressed with EXI where the
    server offers it (XEP-0322), must be, or never are."""

    jid: Jid
    password_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server: Server | None = None
    ca_file: Path | None = None
    allow_plain: bool = False
    exi: Literal["prefer", "require", "off"] = "prefer"

    def problems(self) -> Mapping[str, str]:
        if (self.password_file is None) == (self.certificate is None):
            return {"password_file": "either password_file, or certificate and key"}
        if (self.certificate is None) != (self.key is None):
            return {"key" if self.certificate else "certificate": "certificate and key together"}
        if self.server is not None and not 1 <= int(self.server.rpartition(":")[2]) <= 65535:
            return {"server": "a host and a port from 1 to 65535"}
        return {}


@dataclass(frozen=True, kw_only=True)
class Access:
    """`[access]`: who may do what while no provisioning server is named. Nobody else may do anything."""

    read: tuple[Pattern, ...] = ()
    control: tuple[Pattern, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Telemetry:
    """`[telemetry]`: what is published, and how much is kept while it cannot be."""

    interval: Duration = Duration(30)  # noqa: RUF009  # an immutable number
    service: Service | None = None
    backlog: Annotated[int, Within(0, 1_000_000, "readings")] = 100_000

    def problems(self) -> Mapping[str, str]:
        return {} if self.interval >= 1 else {"interval": "at least 1s"}


@dataclass(frozen=True, kw_only=True)
class Node:
    """`[node]`: the program itself. The default folder is systemd's, or the user's own."""

    state_dir: Path | None = None


State = Literal["off", "on"] | dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ThingKeys:
    """Keys that every `[things.NAME]` can have beside those of its driver."""

    driver: str
    label: str = ""
    interval: Duration | None = None
    change: dict[str, Annotated[float, Within(0)]] = field(default_factory=dict)
    module: str = ""
    string_ids: dict[str, str] = field(default_factory=dict)
    offline: OfflinePolicy = "refuse"
    mqtt: bool | None = None
    """Whether `[mqtt]` shows it. Default: all but those that come from there."""

    def problems(self) -> Mapping[str, str]:
        if self.interval is not None and self.interval < 0.05:
            return {"interval": "at least 50ms"}
        return {}


@dataclass(frozen=True, kw_only=True)
class OutputKeys:
    """Keys that every thing with something to control has too."""

    boot: Literal["off", "on", "restore"] | dict[str, Any] = "off"
    safe: Literal["off", "on", "keep"] | dict[str, Any] = "off"
    link_timeout: Duration | None = None
    lease: Duration | None = None
    requires: tuple[Annotated[str, Matches(PATTERN, 'a condition like "valve.output" or "not full.input"')], ...] = ()

    def problems(self) -> Mapping[str, str]:
        if self.requires and self.safe == "keep":
            return {"safe": "a state to go to when a condition of `requires` does not hold any more"}
        for key in ("link_timeout", "lease"):
            value = getattr(self, key)
            if value is not None and value < 0.1:
                return {key: "at least 100ms"}
        return {}


@dataclass(frozen=True)
class ThingConfig:
    """One thing, ready to be built. `boot` None: restore; `safe` None: keep. `output` None: nothing to control."""

    name: str
    keys: ThingKeys
    driver: type[Driver]
    settings: Any
    output: OutputKeys | None = None
    boot: Mapping[str, Value] | None = None
    safe: Mapping[str, Value] | None = None
    requires: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class Config:
    source: str
    xmpp: Xmpp
    access: Access
    telemetry: Telemetry
    history: History
    node: Node
    things: Mapping[str, ThingConfig]
    mqtt: Mqtt | None = None
    trust: Trust | None = None
    """None: `access` says who may do what."""

    def missing_files(self) -> list[str]:
        """Named files that are not on this machine, in words. A laptop may check a file meant for a Pi."""
        keys = ("password_file", "certificate", "key", "ca_file")
        tables = {"xmpp": self.xmpp, "mqtt": self.mqtt, "trust": self.trust}
        named = {f"{name}.{key}": getattr(table, key, None) for name, table in tables.items() for key in keys}
        return [f"{key}: {path} does not exist here" for key, path in named.items()
                if path is not None and not path.exists()]  # fmt: skip


def load(path: Path) -> Config:
    """Raises ConfigError with every fault in the file."""
    return parse(_text(path), str(path))


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(str(path), [Fault("(file)", "more than 1 MB", "a configuration file")])
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), [Fault("(file)", str(error), "a readable TOML file")]) from None


def _tree(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(source, [Fault("(file)", f"a syntax error: {error}", "TOML")]) from None
    except RecursionError:
        raise ConfigError(source, [Fault("(file)", "a syntax error: nested too deeply", "TOML")]) from None


OWN_TABLES = ("trust", "things", "gateway", "provisioning", "mqtt")
"""Tables that a file may do without, beside those of every node."""


def parse(text: str, source: str = "configuration") -> Config:
    """Raises ConfigError with every fault in the text."""
    tree = _tree(text, source)
    reader = _Reader(_lines(text))
    _check_characters(tree, "", reader)
    sections = {"xmpp": Xmpp, "access": Access, "telemetry": Telemetry, "history": History, "node": Node}
    for key in tree:
        if key not in sections and key not in OWN_TABLES:
            reader.unknown(key, [*sections, *OWN_TABLES])
    if "gateway" in tree:
        _gateway(tree["gateway"], reader)
    if "provisioning" in tree:
        reader.table(Provisioning, tree["provisioning"], "provisioning")
    values = {key: reader.table(section, tree.get(key, {}), key) for key, section in sections.items()}
    mqtt = reader.table(Mqtt, tree["mqtt"], "mqtt") if "mqtt" in tree else None
    things = _things(tree.get("things", {}), reader)
    trust = reader.table(Trust, tree["trust"], "trust") if "trust" in tree else None
    _judge_together(tree, things, reader)
    if reader.faults:
        raise ConfigError(source, sorted(reader.faults, key=lambda fault: fault.line))
    return Config(source, things=things, mqtt=mqtt, trust=trust, **values)  # type: ignore[arg-type]  # no faults: all are there


def _judge_together(tree: Mapping[str, Any], things: Mapping[str, ThingConfig], reader: _Reader) -> None:
    """What is right by itself and wrong beside the rest of the file."""
    if "trust" in tree and "access" in tree:
        reader.fault("access", tree["access"], "either [trust], whose server decides, or [access], not both")
    for name, thing in things.items():
        if "trust" not in tree and thing.keys.offline != "refuse":
            reader.fault(f"things.{name}.offline", thing.keys.offline, "a [trust] whose server can be away")
        if "mqtt" in thing.driver.NAMES and "mqtt" not in tree:
            reader.fault(f"things.{name}.driver", "mqtt", "a table [mqtt] with the broker beside it, or another driver")


def load_gateway(path: Path | None, options: Mapping[str, Any]) -> Gateway:
    """The `[gateway]` of a file, which needs no `[xmpp]` then, with `options` in place of its keys; None: of options
    alone. Raises ConfigError."""
    text, source = "", "options"
    if path is not None:
        text, source = _text(path), str(path)
    reader = _Reader(_lines(text))
    tree = _tree(text, source)
    _check_characters(tree, "", reader)
    table = tree.get("gateway", {} if path is None or options else None)
    gateway = _gateway({**table, **options} if isinstance(table, dict) else table, reader)
    if reader.faults or gateway is None:
        raise ConfigError(source, sorted(reader.faults, key=lambda fault: fault.line))
    return gateway


def load_provisioning(path: Path) -> Provisioning:
    """The `[provisioning]` of a file, which needs no `[xmpp]` then. Raises ConfigError."""
    text = _text(path)
    reader = _Reader(_lines(text))
    tree = _tree(text, str(path))
    _check_characters(tree, "", reader)
    provisioning = reader.table(Provisioning, tree.get("provisioning"), "provisioning")
    if reader.faults or provisioning is None:
        raise ConfigError(str(path), sorted(reader.faults, key=lambda fault: fault.line))
    return provisioning


def service_of(path: Path) -> str:
    """Of a file that is for no node, what it is for: "gateway" or "provisioning"; else "". Raises ConfigError."""
    tree = _tree(_text(path), str(path))
    return next((name for name in ("gateway", "provisioning") if name in tree and "xmpp" not in tree), "")


def _gateway(table: Any, reader: _Reader) -> Gateway | None:
    if not isinstance(table, dict):
        reader.fault("gateway", table, "a table [gateway]")
        return None
    domains = table.get("domains", {})
    if not isinstance(domains, dict):
        reader.fault("gateway.domains", domains, 'tables like [gateway.domains."example.org"]')
        return None
    made = {name: reader.table(GatewayDomain, domain, f"gateway.domains.{name}") for name, domain in domains.items()}
    return reader.table(Gateway, {**table, "domains": made}, "gateway", ready=("domains",))


def _check_characters(value: Any, path: str, reader: _Reader) -> None:
    """TOML can escape control characters into a text; no label or name may have one, XML could not carry it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_characters(key, path, reader)
            _check_characters(inner, f"{path}.{key}".lstrip("."), reader)
    elif isinstance(value, list):
        for inner in value:
            _check_characters(inner, path, reader)
    elif isinstance(value, str) and not all(character.isprintable() or character in "\t\n" for character in value):
        reader.fault(path, value, "a text without control characters")


def _things(tree: Any, reader: _Reader) -> dict[str, ThingConfig]:
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


def _thing(name: str, table: dict[str, Any], reader: _Reader) -> ThingConfig | None:
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


def _with_conditions(thing: ThingConfig, things: Mapping[str, ThingConfig], reader: _Reader) -> ThingConfig:
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


def _check_fields(keys: ThingKeys, probe: Driver, path: str, reader: _Reader) -> None:
    names = [spec.name for spec in probe.fields]
    for key in ("change", "string_ids"):
        for name in getattr(keys, key):
            if name not in names:
                reader.fault(f"{path}.{key}", name, f"one of its fields: {', '.join(names)}")


def _state(
    written: str | dict[str, Any], open_end: str, probe: OutputDriver, path: str, reader: _Reader
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


# --------------------------------------------------------------------------- tables to dataclasses

T = typing.TypeVar("T")


class _Reader:
    """Turns tables into dataclasses and collects what is wrong with them."""

    def __init__(self, lines: Mapping[str, int]) -> None:
        self.faults: list[Fault] = []
        self._lines = lines

    def fault(self, path: str, found: Any, right: str) -> None:
        shown = "nothing" if found is None else found if isinstance(found, str) and " " in found else repr(found)
        if path.endswith(".address") and isinstance(found, int):
            shown = f"0x{found:02x}"
        line = self._lines.get(path) or self._lines.get(path.rpartition(".")[0], 0)
        self.faults.append(Fault(path, shown if len(shown) <= 80 else shown[:79] + "…", right, line))

    def unknown(self, path: str, known: list[str]) -> None:
        key = path.rpartition(".")[2]
        close = difflib.get_close_matches(key, known, n=1)
        self.fault(path, f"an unknown key {key!r}", f'"{close[0]}"' if close else "one of " + ", ".join(known))

    def table(self, cls: type[T], table: Any, path: str, ready: tuple[str, ...] = ()) -> T | None:
        """None, and at least one fault, when the table is not a `cls`. Values of `ready` are what they should be."""
        if not isinstance(table, dict):
            self.fault(path, table, f"a table [{path}]")
            return None
        before = len(self.faults)
        hints = typing.get_type_hints(cls, include_extras=True)
        known = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]  # every cls here is a dataclass
        values: dict[str, Any] = {}
        for key in table:
            if key not in known:
                self.unknown(f"{path}.{key}", known)
        for spec in dataclasses.fields(cls):  # type: ignore[arg-type]  # as above
            if spec.name in table:
                hint = hints[spec.name]
                if spec.name in ready:
                    values[spec.name] = table[spec.name]
                elif wrong := misfits(f"{path}.{spec.name}", hint, table[spec.name]):
                    for key, found, right in wrong:
                        self.fault(key, found, right)
                else:
                    values[spec.name] = accept_setting(spec.name, hint, table[spec.name])
            elif spec.default is MISSING and spec.default_factory is MISSING:
                self.fault(f"{path}.{spec.name}", None, meaning(hints[spec.name], spec.name))
        if len(self.faults) > before:
            return None
        made = cls(**values)
        for key, right in made.problems().items() if hasattr(made, "problems") else ():
            self.fault(f"{path}.{key}", table.get(key), right)
        return None if len(self.faults) > before else made


def _lines(text: str) -> dict[str, int]:
    """The line of each table and key, by path: enough to point a person at it (tomllib keeps no positions)."""
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line):
            table = header[1].replace('"', "")
            lines.setdefault(table, number)
        elif key := re.match(r"\s*([A-Za-z0-9_.\-\"]+)\s*=", line):
            path = key[1].replace('"', "")
            lines.setdefault(f"{table}.{path}" if table else path, number)
    return lines
