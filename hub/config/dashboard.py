"""`[dashboard]` of the configuration file; `hub.config` reads and checks it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

from devices.base import Duration, Matches, Within
from hub.config.gateway import Server, is_loopback
from hub.config.node import Xmpp, missing

MAX_HUBS: Final = 500
MAX_ALARMS: Final = 1_000
MAX_USERS: Final = 1_000
MAX_WAIT_S: Final = 7 * 86_400
HASH: Final = re.compile(
    r"\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,2})\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,86}"
)
MAX_MEMORY_KIB: Final = 1 << 20  # that one log-in may take; more is a mistake, or meant to hurt
MAX_PASSES: Final = 100
USER: Final = re.compile(r"\S(?:.{0,62}\S)?")

HubJid = Annotated[str, Matches(r"[^@/\s]+@[^@/\s]+", 'an address like "greenhouse@example.org"')]
Source = Annotated[str, Matches("roster|registry", '"roster", "registry", or a list of addresses')]
Registry = Annotated[str, Matches(r"(?:[^@/\s]+@)?[^@/\s]+", 'an address like "registry.example.org"')]


@dataclass(frozen=True, kw_only=True)
class User:
    """`[dashboard.users.NAME]`. `password_hash`: what `hub dashboard password` prints."""

    password_hash: str
    control: bool = False

    def problems(self) -> Mapping[str, str]:
        match = HASH.fullmatch(self.password_hash)
        if match is None:
            return {"password_hash": 'what `hub dashboard password` prints ("$argon2id$v=19$…"), never a password'}
        memory, passes, lanes = (int(part) for part in match.groups())
        if not (8 * lanes <= memory <= MAX_MEMORY_KIB and 1 <= passes <= MAX_PASSES and 1 <= lanes <= 16):
            return {"password_hash": "a hash that a log-in can bear; `hub dashboard password` makes one"}
        return {}


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """`[[dashboard.alarms]]`: a threshold of a field. It is reached when the value has been beyond it for `for`, and
    over when the value is back by more than `hysteresis`. Without `hub` it is about every hub that has such a thing."""

    thing: Annotated[str, Matches(r"\S.*", "a thing's name")]
    field: Annotated[str, Matches(r"\S.*", "a field's name")]
    hub: HubJid | None = None
    above: float | None = None
    below: float | None = None
    hysteresis: Annotated[float, Within(0)] = 0.0
    for_: Duration = Duration(0)  # noqa: RUF009  # an immutable number

    def problems(self) -> Mapping[str, str]:
        if self.above is None and self.below is None:
            return {"above": "a number for `above`, `below` or both"}
        if self.above is not None and self.below is not None:
            if self.below >= self.above:
                return {"below": "less than `above`"}
            if self.hysteresis >= self.above - self.below:
                return {"hysteresis": "less than what lies between `below` and `above`, or it would never be over"}
        return {} if self.for_ <= MAX_WAIT_S else {"for": "at most 7d"}


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    """`[dashboard]`: a page for hubs. `hubs`: their addresses, or where they are found: "roster" (contacts of the
    account that are hubs) or "registry" (public things of `owner`, default: of the account itself; `registry` names it,
    default: what the account's server hosts). `stale_after`: from when on a value is old; default: three times the
    interval at which it has come, and at least 90 s. Without users the page is for this machine only; `open_control`
    lets everybody on it control."""

    title: Annotated[str, Matches(r"\S.{0,79}", "a text of 1 to 80 characters")] = "Hubs"
    listen: Server = "127.0.0.1:8080"
    hubs: Source | tuple[HubJid, ...] = "roster"
    registry: Registry | None = None
    owner: HubJid | None = None
    behind_proxy: bool = False
    stale_after: Duration | None = None
    open_control: bool = False
    users: Mapping[str, User] = field(default_factory=dict)
    alarms: tuple[Alarm, ...] = ()

    @property
    def state_folder(self) -> Path:
        """systemd's, or the user's own (XDG)."""
        given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
        if given:
            return Path(given)
        return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "hub-dashboard"

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def named(self) -> tuple[str, ...]:
        """The hubs of a list, each once; () where they are found."""
        return () if isinstance(self.hubs, str) else tuple(dict.fromkeys(jid.lower() for jid in self.hubs))

    def problems(self) -> Mapping[str, str]:
        if not 1 <= self.address[1] <= 65535:
            return {"listen": "a host and a port from 1 to 65535"}
        if not isinstance(self.hubs, str) and not 1 <= len(self.hubs) <= MAX_HUBS:
            return {"hubs": f"from one to {MAX_HUBS} addresses"}
        for key in ("registry", "owner"):
            if getattr(self, key) is not None and self.hubs != "registry":
                return {key: 'hubs = "registry" beside it, or nothing'}
        if self.stale_after is not None and not 1 <= self.stale_after <= MAX_WAIT_S:
            return {"stale_after": "from 1s to 7d"}
        return self._problems_of_people() or self._problems_of_alarms()

    def _problems_of_people(self) -> Mapping[str, str]:
        if not self.users:
            if not is_loopback(self.listen):
                return {"listen": "an address of this machine alone (127.0.0.1:8080), or users who log in"}
            if self.behind_proxy:
                return {"behind_proxy": "false, or users who log in: a proxy lets others than this machine look"}
            return {}
        if self.open_control:
            return {"open_control": "false: with users, each one's `control` says it"}
        if len(self.users) > MAX_USERS:
            return {"users": f"at most {MAX_USERS}"}
        if wrong := [name for name in self.users if not USER.fullmatch(name)]:
            return {f"users.{wrong[0]}": "a name of 1 to 64 characters, without space at its ends"}
        return {}

    def _problems_of_alarms(self) -> Mapping[str, str]:
        if len(self.alarms) > MAX_ALARMS:
            return {"alarms": f"at most {MAX_ALARMS}"}
        for number, alarm in enumerate(self.alarms, 1):
            if self.named and alarm.hub is not None and alarm.hub.lower() not in self.named:
                return {f"alarms[{number}].hub": "one of `hubs`: " + ", ".join(self.named[:5])}
        return {}


@dataclass(frozen=True)
class DashboardConfig:
    """A file with `[dashboard]`: the page and the account that sees the hubs."""

    source: str
    xmpp: Xmpp
    dashboard: Dashboard

    def missing_files(self) -> list[str]:
        """Named files that are not on this machine, in words."""
        return missing({"xmpp": self.xmpp})
