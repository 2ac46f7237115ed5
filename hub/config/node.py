"""What a node's file says: the tables that are the node's own, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from devices.base import Driver, Duration, Matches, Value, Within
from hub.config.gateway import Server
from hub.config.history import History
from hub.config.metrics import Metrics
from hub.config.mqtt import Mqtt
from hub.config.trust import OfflinePolicy, Trust
from hub.things.interlock import PATTERN, Condition

Pattern = Annotated[
    str,
    Matches(r"\*|(?:(?:\*|[^@/\s*]+)@)?[^@/\s*]+", 'a pattern like "owner@example.org", "*@example.org" or "*"'),
]
Jid = Annotated[str, Matches(r"[^@/\s]+@[^@/\s]+(?:/.+)?", 'an address like "greenhouse@example.org"')]
Service = Annotated[str, Matches(r"(?:[^@/\s]+@)?[^@/\s]+", 'an address like "pubsub.example.org"')]


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
    metrics: Metrics | None = None

    def missing_files(self) -> list[str]:
        """Named files that are not on this machine, in words. A laptop may check a file meant for a Pi."""
        return missing({"xmpp": self.xmpp, "mqtt": self.mqtt, "trust": self.trust, "metrics": self.metrics})


def missing(tables: Mapping[str, Any]) -> list[str]:
    """Files that tables name and that are not on this machine."""
    keys = ("password_file", "certificate", "key", "ca_file", "token_file")
    named = {f"{name}.{key}": getattr(table, key, None) for name, table in tables.items() for key in keys}
    return [f"{key}: {path} does not exist here" for key, path in named.items()
            if path is not None and not path.exists()]  # fmt: skip
