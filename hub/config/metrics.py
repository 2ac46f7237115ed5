"""`[metrics]` of the configuration file; `hub.config` reads and checks it.

Nothing of it is loaded by a node without this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hub.config.gateway import Server, is_loopback


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """`[metrics]`: readings and the node's own health for Prometheus, at http://LISTEN/metrics.

    Whoever can reach the address reads every thing, whatever [access] says. So beyond this machine it takes a
    `token_file`, whose content a scraper has to show (`authorization.credentials_file` in Prometheus); it travels
    unencrypted, so put something with TLS in front where others can listen.
    """

    listen: Server = "127.0.0.1:9323"
    token_file: Path | None = None

    def problems(self) -> Mapping[str, str]:
        if not 1 <= int(self.listen.rpartition(":")[2]) <= 65535:
            return {"listen": "a host and a port from 1 to 65535"}
        if self.token_file is None and not is_loopback(self.listen):
            return {"listen": "an address of this machine alone, like \"127.0.0.1:9323\", or a token_file beside it: "
                              "whoever reaches it reads every thing"}  # fmt: skip
        return {}

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)
