"""`[provisioning]` of the configuration file: the provisioning server and thing registry; `hub.config` reads and checks
it.

The limits are those of `hub.provisioning.sql`, `.registry` and `.owner` under the same names, which the service does
not know from here: the composition root carries them over.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from devices.base import Duration, Matches, Within
from hub.config.gateway import Server

Domain = Annotated[str, Matches(r"[^@/\s:]+", 'a domain like "provisioning.example.org"')]
Person = Annotated[str, Matches(r"[^@/\s*]+@[^@/\s*]+", 'an address like "admin@example.org"')]
Registrants = Annotated[
    str,
    Matches(r"\*|(?:(?:\*|[^@/\s*]+)@)?[^@/\s*]+", 'a pattern like "pump@example.org", "*@example.org" or "*"'),
]
POSTGRES = ("postgresql://", "postgres://")


@dataclass(frozen=True, kw_only=True)
class Provisioning:
    """`[provisioning]`: a component of an XMPP server (XEP-0114). `server`: the port where that takes components.
    `store`: a file, or a URL like "postgresql://hub@db/provisioning"; none: a file in the state folder, which is
    systemd's or the user's own and keeps the log of decisions too. `operators`: who may see and forget everybody's
    rules in chat. `register`: who may register things."""

    jid: Domain
    secret_file: Path
    server: Server = "127.0.0.1:5347"
    store: str = ""
    state_dir: Path | None = None
    operators: tuple[Person, ...] = ()
    register: tuple[Registrants, ...] = ("*",)
    secondary_trust: bool = False

    tags_per_thing: Annotated[int, Within(30, 1_000)] = 64
    things_per_jid: Annotated[int, Within(1, 1_000_000)] = 1_000
    new_things: Annotated[int, Within(1, 10_000_000, "things at once")] = 5_000
    new_things_per_hour: Annotated[int, Within(1, 10_000_000, "things")] = 500
    search_results: Annotated[int, Within(1, 1_000, "things in one answer")] = 100
    rules_per_owner: Annotated[int, Within(1, 1_000_000)] = 1_000
    asked_per_device: Annotated[int, Within(1, 1_000_000, "addresses that are remembered")] = 10_000
    disown_wait: Duration = Duration(10)  # noqa: RUF009  # an immutable number
    open_questions: Annotated[int, Within(1, 1_000, "of one owner")] = 20
    replies_per_minute: Annotated[int, Within(1, 1_000, "to one owner")] = 30
    requests_at_once: Annotated[int, Within(1, 100_000)] = 5_000

    def problems(self) -> Mapping[str, str]:
        if not 1 <= int(self.server.rpartition(":")[2]) <= 65535:
            return {"server": "a host and a port from 1 to 65535"}
        if "://" in self.store and not self.store.startswith(POSTGRES):
            return {"store": 'a file, or a URL that begins with "postgresql://"'}
        if not 1 <= self.disown_wait <= 60:
            return {"disown_wait": "1s to 1m"}
        return {}

    @property
    def state_folder(self) -> Path:
        """The file's choice, systemd's, or the user's own (XDG)."""
        if self.state_dir is not None:
            return self.state_dir
        given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
        if given:
            return Path(given)
        return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "hub-provisioning"
