"""What the operator of a gateway allows its clients, as one value.

Rules of this file
* The defaults are safe for a gateway that faces the internet. Sizes are in bytes, times in seconds, unless said.
* Bounds only lower: nothing here raises what a client proposed (XEP-0322, "Proposing compression parameters").
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Final

from hub import exi
from hub.exi.options import ALIGNMENTS, PRESERVABLE
from hub.gateway.xsdfile import Shape
from hub.session.exi_setup import Settings

MIB: Final = 1 << 20


@dataclass(frozen=True)
class Bounds:
    """`value_max_length` (characters) and `value_partition_capacity` (strings) bound tables that live as long as the
    session; without session-wide tables each stanza is bounded by `limits` alone, and what the client proposes stands.
    `strict`, `session_wide`, `alignments` and `preserve` are what a client may have when it asks."""

    value_max_length: int = 128
    value_partition_capacity: int = 512
    block_size: int = 1_000_000  # values; EXI's own default
    session_wide: bool = True
    strict: bool = True
    alignments: frozenset[str] = frozenset({"bit-packed", "byte-packed", "pre-compression", "compression"})
    preserve: frozenset[str] = frozenset({"prefixes", "lexical"})  # XMPP has no comments, PIs and DTDs (RFC 6120, 11.1)
    limits: exi.Limits = field(default_factory=exi.Limits)  # of what a client sends once EXI is spoken

    uploads: bool = True
    downloads: bool = False
    setups_per_connection: int = 20
    uploads_per_connection: int = 100  # downloads included
    schema_size: int = 256 * 1024
    schema_depth: int = 100  # elements
    schema_prefixes: int = 100  # declared at one place
    schemas_per_set: int = 100
    download_time: float = 10.0  # seconds for everything: name, connection, TLS, answer
    download_url_length: int = 2_000  # characters
    download_header_size: int = 16 * 1024  # status line and chunk headers included
    downloads_at_once: int = 4  # of all connections together

    store_size: int = 64 * MIB
    grammars_kept: int = 16  # compiled sets in memory beside those of live connections
    refusals_kept: int = 1_000  # sets of which we remember that they cannot be compiled
    grammar_size: int = 4 * MIB  # of one compiled set
    compile_cpu: int = 30  # seconds of CPU
    compile_time: float = 120.0  # seconds on the clock: the machine may be busy
    compile_memory: int = 512 * MIB  # address space
    compiles_waiting: int = 8  # sets that wait for their turn, or are at it

    def __post_init__(self) -> None:
        """Raises ValueError."""
        object.__setattr__(self, "alignments", frozenset(self.alignments))
        object.__setattr__(self, "preserve", frozenset(self.preserve))
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, int | float) and not isinstance(value, bool) and value <= 0:
                raise ValueError(f"{each.name} is {value}, and must be above 0")
        if unknown := (self.alignments - set(ALIGNMENTS)) | (self.preserve - PRESERVABLE):
            raise ValueError(f"{sorted(unknown)[0]!r} is no alignment, and nothing that can be preserved")

    @property
    def shape(self) -> Shape:
        """What a schema may look like."""
        return Shape(self.schema_depth, self.schema_prefixes)

    def lowered(self, proposed: Settings) -> Settings:
        """What we would accept instead of `proposed`; the same when all of it is allowed."""
        mine = proposed.options
        session_wide = proposed.session_wide and self.session_wide
        allowed = exi.Options(
            preserve=self.preserve,
            block_size=self.block_size,
            value_max_length=self.value_max_length if session_wide else None,
            value_partition_capacity=self.value_partition_capacity if session_wide else None,
        )
        lowered = proposed.lowered_to(Settings(allowed, session_wide))
        alignment = mine.alignment if mine.alignment in self.alignments else "bit-packed"
        options = lowered.options.with_(alignment=alignment, strict=mine.strict and self.strict)
        return Settings(options, lowered.session_wide)
