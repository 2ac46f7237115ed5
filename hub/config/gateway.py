"""`[gateway]` of the configuration file; `hub.config` reads and checks it.

The limits are those of `hub.gateway.limits` and `hub.gateway.bounds` under the same names, which the gateway does not
know from here: the command carries them over.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from devices.base import Duration, Matches, Within

MAX_ACK_DELAY_S = 30
MAX_KEEPALIVE_S = 32_767  # of Linux
MIN_TIME_S = 0.1
TIMES = (
    "open_timeout", "tls_timeout", "connect_timeout", "login_timeout", "stanza_timeout", "stall_timeout",
    "metrics_timeout", "download_time", "compile_time",
)  # fmt: skip

Alignment = Literal["bit-packed", "byte-packed", "pre-compression", "compression"]
Preserved = Literal["prefixes", "lexical"]
Server = Annotated[str, Matches(r"(?:\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}", 'a host and port like "10.0.0.5:5222"')]


@dataclass(frozen=True, kw_only=True)
class GatewayDomain:
    """`[gateway.domains."example.org"]`: a domain that the gateway stands for, and its server."""

    certificate: Path
    key: Path
    server: Server
    ca_file: Path | None = None
    direct_tls: bool = False

    def problems(self) -> Mapping[str, str]:
        return _ports("server", self.server)


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """`[gateway]`: EXI in front of a server that has none. Sizes in bytes; what is not said has a safe default."""

    domains: Mapping[str, GatewayDomain] = field(default_factory=dict)
    listen: tuple[Server, ...] = ("[::]:5222",)
    exi_listen: tuple[Server, ...] = ()
    exi_tls: bool = True
    store: Path | None = None
    metrics: Server | None = None

    connections: Annotated[int, Within(1, 1_000_000)] = 4_000
    connections_per_address: Annotated[int, Within(1, 1_000_000)] = 400
    backlog: Annotated[int, Within(1, 65_535, "connections")] = 1_024
    stanza_size: Annotated[int, Within(10_000, 16_777_216, "bytes")] = 262_144
    stanza_size_before_login: Annotated[int, Within(10_000, 16_777_216, "bytes")] = 32_768
    server_stanza_size: Annotated[int, Within(10_000, 67_108_864, "bytes")] = 1_048_576
    depth: Annotated[int, Within(20, 500, "elements inside each other")] = 100
    attributes: Annotated[int, Within(20, 10_000, "of one element")] = 100
    table_entries: Annotated[int, Within(300, 200_000, "names and values")] = 10_000
    read_ahead: Annotated[int, Within(16_384, 16_777_216, "bytes")] = 65_536
    write_ahead: Annotated[int, Within(16_384, 16_777_216, "bytes")] = 65_536
    open_timeout: Duration = Duration(15)  # noqa: RUF009  # an immutable number, as below
    tls_timeout: Duration = Duration(15)  # noqa: RUF009
    connect_timeout: Duration = Duration(15)  # noqa: RUF009
    login_timeout: Duration = Duration(60)  # noqa: RUF009
    stanza_timeout: Duration = Duration(120)  # noqa: RUF009
    stall_timeout: Duration = Duration(60)  # noqa: RUF009
    drain_timeout: Duration = Duration(10)  # noqa: RUF009
    keepalive: Duration = Duration(60)  # noqa: RUF009
    ack_delay: Duration = Duration(10)  # noqa: RUF009

    metrics_timeout: Duration = Duration(5)  # noqa: RUF009
    metrics_request_size: Annotated[int, Within(256, 65_536, "bytes")] = 8_192

    alignments: tuple[Alignment, ...] = ("bit-packed", "byte-packed", "pre-compression", "compression")
    preserve: tuple[Preserved, ...] = ("prefixes", "lexical")
    strict: bool = True
    session_wide: bool = True
    value_max_length: Annotated[int, Within(1, 1_000_000, "characters")] = 128
    value_partition_capacity: Annotated[int, Within(1, 1_000_000, "strings")] = 512
    block_size: Annotated[int, Within(1, 4_294_967_295, "values")] = 1_000_000
    uploads: bool = True
    downloads: bool = False
    download_time: Duration = Duration(10)  # noqa: RUF009
    download_url_length: Annotated[int, Within(10, 65_536, "characters")] = 2_000
    download_header_size: Annotated[int, Within(256, 1_048_576, "bytes")] = 16_384
    downloads_at_once: Annotated[int, Within(1, 100)] = 4
    setups_per_connection: Annotated[int, Within(1, 1_000)] = 20
    uploads_per_connection: Annotated[int, Within(0, 10_000)] = 100
    schema_size: Annotated[int, Within(1_000, 4_194_304, "bytes")] = 262_144
    schema_depth: Annotated[int, Within(20, 500, "elements inside each other")] = 100
    schema_prefixes: Annotated[int, Within(20, 10_000, "declared at one place")] = 100
    schemas_per_set: Annotated[int, Within(1, 200)] = 100
    store_size: Annotated[int, Within(1_048_576, None, "bytes")] = 67_108_864
    grammars_kept: Annotated[int, Within(1, 10_000, "sets")] = 16
    grammar_size: Annotated[int, Within(65_536, 67_108_864, "bytes")] = 4_194_304
    refusals_kept: Annotated[int, Within(1, 1_000_000, "sets")] = 1_000
    compiles_waiting: Annotated[int, Within(1, 1_000, "sets")] = 8
    compile_cpu: Annotated[int, Within(1, 3_600, "seconds")] = 30
    compile_time: Duration = Duration(120)  # noqa: RUF009
    compile_memory: Annotated[int, Within(67_108_864, None, "bytes")] = 536_870_912

    def problems(self) -> Mapping[str, str]:
        if not self.domains:
            return {"domains": 'at least one table [gateway.domains."example.org"]'}
        if not self.listen and not self.exi_listen:
            return {"listen": "at least one address to listen on"}
        if not self.exi_tls and not all(is_loopback(address) for address in self.exi_listen):
            return {"exi_tls": "true, unless exi_listen is on loopback only"}
        for key in TIMES:
            if getattr(self, key) < MIN_TIME_S:
                return {key: f"at least {MIN_TIME_S * 1000:g}ms"}
        if not 1 <= self.keepalive <= MAX_KEEPALIVE_S:
            return {"keepalive": f"from 1s to {MAX_KEEPALIVE_S}s"}
        if "bit-packed" not in self.alignments:
            return {"alignments": '"bit-packed" at least: it is what others are lowered to'}
        if self.ack_delay > MAX_ACK_DELAY_S:
            return {"ack_delay": f"at most {MAX_ACK_DELAY_S}s: a server that waits longer takes its client for lost"}
        for key in ("listen", "exi_listen"):
            for address in getattr(self, key):
                if found := _ports(key, address, lowest=0):
                    return found
        return _ports("metrics", self.metrics, lowest=0) if self.metrics is not None else {}


def _ports(key: str, address: str, lowest: int = 1) -> Mapping[str, str]:
    return {} if lowest <= int(address.rpartition(":")[2]) <= 65535 else {key: "a host and a port up to 65535"}


def is_loopback(address: str) -> bool:
    """Whether "host:port" is this machine's own."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
