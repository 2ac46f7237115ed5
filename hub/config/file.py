"""The configuration file: TOML in, frozen typed values out, or every fault at once.

Rules of this room
* It is checked whole before anything starts; a fault names the key path, the line, what was found and what would be
  right. Nothing is guessed, unknown keys are faults (with the nearest known key), units stand in the values.
* The dataclasses are the documentation: their fields are the keys, their annotations the limits. `schema` makes the
  JSON Schema of the same.
* Things are configured by their drivers: the keys a driver adds are the fields of its own Config.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hub.config.dashboard import Alarm, Dashboard, DashboardConfig, User
from hub.config.gateway import Gateway, GatewayDomain
from hub.config.history import History
from hub.config.metrics import Metrics
from hub.config.mqtt import Mqtt
from hub.config.node import Access, Config, Node, Telemetry, ThingConfig, Xmpp
from hub.config.provisioning import Provisioning
from hub.config.reader import Reader, check_characters, lines_of, text_of, tree_of
from hub.config.things import things_of
from hub.config.trust import Trust
from hub.errors import ConfigError


def load(path: Path) -> Config:
    """Raises ConfigError with every fault in the file."""
    return parse(text_of(path), str(path))


OWN_TABLES = ("trust", "things", "gateway", "provisioning", "mqtt", "metrics", "dashboard")
"""Tables that a file may do without, beside those of every node."""


def parse(text: str, source: str = "configuration") -> Config:
    """Raises ConfigError with every fault in the text."""
    tree = tree_of(text, source)
    reader = Reader(lines_of(text))
    check_characters(tree, "", reader)
    sections = {"xmpp": Xmpp, "access": Access, "telemetry": Telemetry, "history": History, "node": Node}
    for key in tree:
        if key not in sections and key not in OWN_TABLES:
            reader.unknown(key, [*sections, *OWN_TABLES])
    if "gateway" in tree:
        _gateway(tree["gateway"], reader)
    if "provisioning" in tree:
        reader.table(Provisioning, tree["provisioning"], "provisioning")
    if "dashboard" in tree:
        _dashboard(tree["dashboard"], reader)
    values = {key: reader.table(section, tree.get(key, {}), key) for key, section in sections.items()}
    mqtt = reader.table(Mqtt, tree["mqtt"], "mqtt") if "mqtt" in tree else None
    metrics = reader.table(Metrics, tree["metrics"], "metrics") if "metrics" in tree else None
    things = things_of(tree.get("things", {}), reader)
    trust = reader.table(Trust, tree["trust"], "trust") if "trust" in tree else None
    _judge_together(tree, things, reader)
    if reader.faults:
        raise ConfigError(source, sorted(reader.faults, key=lambda fault: fault.line))
    return Config(source, things=things, mqtt=mqtt, trust=trust, metrics=metrics, **values)  # type: ignore[arg-type]  # no faults


def _judge_together(tree: Mapping[str, Any], things: Mapping[str, ThingConfig], reader: Reader) -> None:
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
        text, source = text_of(path), str(path)
    reader = Reader(lines_of(text))
    tree = tree_of(text, source)
    check_characters(tree, "", reader)
    table = tree.get("gateway", {} if path is None or options else None)
    gateway = _gateway({**table, **options} if isinstance(table, dict) else table, reader)
    if reader.faults or gateway is None:
        raise ConfigError(source, sorted(reader.faults, key=lambda fault: fault.line))
    return gateway


def load_provisioning(path: Path) -> Provisioning:
    """The `[provisioning]` of a file, which needs no `[xmpp]` then. Raises ConfigError."""
    text = text_of(path)
    reader = Reader(lines_of(text))
    tree = tree_of(text, str(path))
    check_characters(tree, "", reader)
    provisioning = reader.table(Provisioning, tree.get("provisioning"), "provisioning")
    if reader.faults or provisioning is None:
        raise ConfigError(str(path), sorted(reader.faults, key=lambda fault: fault.line))
    return provisioning


def load_dashboard(path: Path) -> DashboardConfig:
    """The `[dashboard]` of a file and its account. Raises ConfigError."""
    return parse_dashboard(text_of(path), str(path))


def parse_dashboard(text: str, source: str = "configuration") -> DashboardConfig:
    """Raises ConfigError with every fault in the text."""
    reader = Reader(lines_of(text))
    tree = tree_of(text, source)
    check_characters(tree, "", reader)
    xmpp = reader.table(Xmpp, tree.get("xmpp"), "xmpp")
    dashboard = _dashboard(tree.get("dashboard"), reader)
    if service_in(tree) == "dashboard":
        for key in tree:
            if key not in ("xmpp", "dashboard"):
                reader.unknown(key, ["xmpp", "dashboard"])
    if reader.faults or xmpp is None or dashboard is None:
        raise ConfigError(source, sorted(reader.faults, key=lambda fault: fault.line))
    return DashboardConfig(source, xmpp, dashboard)


def service_of(path: Path) -> str:
    """Of a file that is for no node, what it is for: "gateway", "provisioning" or "dashboard"; else "". Raises
    ConfigError."""
    return service_in(tree_of(text_of(path), str(path)))


def service_in(tree: Mapping[str, Any]) -> str:
    """A dashboard has an account too; what makes a node of a file is its things."""
    if "dashboard" in tree and "things" not in tree:
        return "dashboard"
    return next((name for name in ("gateway", "provisioning") if name in tree and "xmpp" not in tree), "")


def _dashboard(table: Any, reader: Reader) -> Dashboard | None:
    if not isinstance(table, dict):
        reader.fault("dashboard", table, "a table [dashboard]")
        return None
    users, alarms = table.get("users", {}), table.get("alarms", [])
    if not isinstance(users, dict):
        reader.fault("dashboard.users", users, "tables like [dashboard.users.ann]")
        return None
    if not isinstance(alarms, list):
        reader.fault("dashboard.alarms", alarms, "tables [[dashboard.alarms]]")
        return None
    before = len(reader.faults)
    made = {
        "users": {name: reader.table(User, user, f"dashboard.users.{name}") for name, user in users.items()},
        "alarms": tuple(reader.table(Alarm, each, f"dashboard.alarms[{i}]") for i, each in enumerate(alarms, 1)),
    }
    if len(reader.faults) > before:
        return None
    return reader.table(Dashboard, {**table, **made}, "dashboard", ready=("users", "alarms"))


def _gateway(table: Any, reader: Reader) -> Gateway | None:
    if not isinstance(table, dict):
        reader.fault("gateway", table, "a table [gateway]")
        return None
    domains = table.get("domains", {})
    if not isinstance(domains, dict):
        reader.fault("gateway.domains", domains, 'tables like [gateway.domains."example.org"]')
        return None
    made = {name: reader.table(GatewayDomain, domain, f"gateway.domains.{name}") for name, domain in domains.items()}
    return reader.table(Gateway, {**table, "domains": made}, "gateway", ready=("domains",))
