"""`[trust]` of the configuration file; `hub.config` reads and checks it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal

from devices.base import Duration, Matches, Within

DISCOVER: Final = "discover"
MAX_TAG_NAME: Final = 32  # characters (XEP-0347 section "Meta Tags")
MAX_TAG_VALUE: Final = 128  # characters (same)
MAX_TAGS: Final = 40

TagName = re.compile(rf"[^\s:;#\\=<>~]{{1,{MAX_TAG_NAME}}}")
TrustedServer = Annotated[
    str, Matches(r"(?:[^@/\s]+@)?[^@/\s]+", 'an address like "provisioning.example.org", or "discover"')
]

OfflinePolicy = Literal["refuse", "allow-owner"]


@dataclass(frozen=True, kw_only=True)
class Trust:
    """`[trust]`: who decides what others may do (XEP-0324), and where this hub is claimed (XEP-0347). `server`: one
    address, several, or "discover" for what our own XMPP server hosts. `registry` None: the first of them. `meta`:
    tags by which an owner and, later, a search find this hub. `certificate` and `key`: who the hub is beside its
    address, by X.509 with an RSA key; in PEM, best for this and nothing else."""

    server: TrustedServer | tuple[TrustedServer, ...]
    registry: TrustedServer | None = None
    cache: Annotated[int, Within(0, 100_000, "verdicts")] = 2000
    timeout: Duration = Duration(5)  # noqa: RUF009  # an immutable number
    certificate: Path | None = None
    key: Path | None = None
    meta: dict[str, str | int | float] = field(default_factory=dict)

    @property
    def servers(self) -> tuple[str, ...]:
        """In lower case, each once; () is to be discovered."""
        named = (self.server,) if isinstance(self.server, str) else self.server
        return () if named == (DISCOVER,) else tuple(dict.fromkeys(jid.lower() for jid in named))

    def problems(self) -> Mapping[str, str]:
        if not isinstance(self.server, str) and not 1 <= len(self.server) <= 8:
            return {"server": "from one to eight addresses"}
        if DISCOVER in self.servers:
            return {"server": 'addresses, or "discover" alone'}
        if not 0.1 <= self.timeout <= 60:
            return {"timeout": "from 100ms to 1m"}
        if (self.certificate is None) != (self.key is None):
            return {"key" if self.certificate else "certificate": "certificate and key together"}
        if len(self.meta) > MAX_TAGS or len({name.upper() for name in self.meta}) < len(self.meta):
            return {"meta": f"at most {MAX_TAGS} tags, each once (letter case does not count)"}
        for name, value in self.meta.items():
            if not TagName.fullmatch(name):
                return {"meta": f"names of up to {MAX_TAG_NAME} characters without space : ; # \\ = < > ~"}
            if name.upper() in ("KEY", "R"):
                return {"meta": "neither KEY, which this hub makes, nor R, which names the registry"}
            if isinstance(value, str) and not 1 <= len(value) <= MAX_TAG_VALUE:
                return {"meta": f"texts of 1 to {MAX_TAG_VALUE} characters"}
        return {}
