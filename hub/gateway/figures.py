"""What the gateway counts.

Rules of this file
* Sans-IO: CPU time comes in as a number. Counters only grow; `open` is what there is now.
* A ratio is bytes of the client's side to bytes of the server's side of the same stanzas, TLS left out: only the
  translated ones count.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Flow:
    """One direction of the translated streams: what the client's side had and what the server's side had."""

    stanzas: int = 0
    exi: int = 0  # bytes
    xml: int = 0

    def count(self, exi: int, xml: int) -> None:
        self.stanzas += 1
        self.exi += exi
        self.xml += xml


@dataclass
class Figures:
    open: Counter[str] = field(default_factory=Counter)  # connections by kind: xml, exi
    opened: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # by reason
    faults: Counter[str] = field(default_factory=Counter)  # by condition
    dropped: int = 0  # stanzas that the client's schemas have no form for
    from_clients: Counter[str] = field(default_factory=Counter)  # bytes by kind
    to_clients: Counter[str] = field(default_factory=Counter)
    from_servers: int = 0
    to_servers: int = 0
    stanzas: int = 0  # in both directions, of every kind
    up: Flow = field(default_factory=Flow)
    down: Flow = field(default_factory=Flow)

    @property
    def ratio(self) -> float | None:
        xml = self.up.xml + self.down.xml
        return (self.up.exi + self.down.exi) / xml if xml else None

    def line(self, cpu: float) -> str:
        """In one line. `cpu`: seconds of this process so far."""
        translated = self.up.stanzas + self.down.stanzas
        parts = [
            f"{sum(self.open.values())} connections, {self.open['exi']} in EXI",
            f"clients {size(sum(self.from_clients.values()))} in, {size(sum(self.to_clients.values()))} out",
            f"servers {size(self.from_servers)} in, {size(self.to_servers)} out",
            f"{translated} of {self.stanzas} stanzas translated" + (f" to {self.ratio:.0%}" if self.ratio else ""),
        ]
        if self.stanzas:
            parts.append(f"{cpu / self.stanzas * 1e6:.0f} µs CPU each")
        if self.dropped:
            parts.append(f"{self.dropped} dropped")
        return "; ".join(parts)


def size(count: int) -> str:
    """Bytes for people."""
    if count < 1_000:
        return f"{count} B"
    for unit in ("kB", "MB", "GB"):
        count_in_unit = count / 1000
        if count_in_unit < 999.5 or unit == "GB":
            return f"{count_in_unit:.3g} {unit}"
        count = round(count_in_unit)
    raise AssertionError
