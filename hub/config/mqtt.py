"""`[mqtt]` of the configuration file: the broker, what is shown there, and who commands from there are.

`hub.config` reads and checks it. Nothing of MQTT is loaded by a node without this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from devices.base import Duration, Matches
from devices.bus import TOPIC
from hub.config.gateway import Server

Topic = Annotated[str, TOPIC]
Prefix = Annotated[str, Matches(r"(?:[^+#$\s\x00/][^+#\s\x00]{0,99})?", 'a topic like "homeassistant", or "" for none')]
Identity = Annotated[str, Matches(r"[^@/\s*]+@[^@/\s*]+", 'an address like "mqtt@example.org", without a resource')]
User = Annotated[str, Matches(r"\S.{0,199}", "a user name")]


@dataclass(frozen=True, kw_only=True)
class Mqtt:
    """`[mqtt]`: the broker that this node's things are shown on, and that its MQTT things live on.

    `control_as` is the address that every command from the broker is judged as, by the rules that hold for that address
    over XMPP. Without it nothing can be controlled over MQTT. MQTT does not say who publishes: whoever the broker lets
    write to the command topics has this address's rights, so the broker's own access list has to be as tight.
    """

    broker: Server
    tls: bool = True
    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    user: User | None = None
    password_file: Path | None = None
    protocol: Literal["3.1.1", "5"] = "5"
    base: Topic | None = None
    discovery: Prefix = "homeassistant"
    qos: Literal[0, 1, 2] = 1
    keepalive: Duration = Duration(30)  # noqa: RUF009  # an immutable number
    interval: Duration = Duration(30)  # noqa: RUF009
    control_as: Identity | None = None

    def problems(self) -> Mapping[str, str]:
        if not 1 <= int(self.broker.rpartition(":")[2]) <= 65535:
            return {"broker": "a host and a port from 1 to 65535"}
        if (self.certificate is None) != (self.key is None):
            return {"key" if self.certificate else "certificate": "certificate and key together"}
        if not self.tls and (self.certificate or self.ca_file):
            return {"tls": "true, where there is a certificate or a ca_file"}
        if self.password_file is not None and self.user is None:
            return {"user": "the user whose password is in password_file"}
        if not 5 <= self.keepalive <= 3600:
            return {"keepalive": "from 5s to 1h"}
        if self.interval < 1:
            return {"interval": "at least 1s"}
        if self.base is not None and self.base.endswith("/"):
            return {"base": "a topic that does not end in /"}
        return {}

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.broker.rpartition(":")
        return host.strip("[]"), int(port)
