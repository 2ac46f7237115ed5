"""What both ends agree on (`Options`, EXI 1.0 section 5.4 and the EXI Profile) and what we bear (`Limits`).

Both are frozen values. A combination that the specification forbids raises `SchemaError` when it is made, so
no later file has to ask again. Out-of-band settings (`cookie`, `header_options`) say what the header shows;
the rest says how the body is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Final

from .errors import SchemaError

BIT_PACKED: Final = "bit-packed"
BYTE_PACKED: Final = "byte-packed"
PRE_COMPRESSION: Final = "pre-compression"
COMPRESSION: Final = "compression"
ALIGNMENTS: Final = (BIT_PACKED, BYTE_PACKED, PRE_COMPRESSION, COMPRESSION)

LARGEST_INTEGER_BITS: Final = 14_000
"""Python converts no longer integers to decimal text without a change of its own limit."""

LARGEST_DEPTH: Final = 500
"""An encoder walks elements by recursion, and Python's own stops soon after."""

LARGEST_LIMIT: Final = 2**62
LARGEST_OPTION: Final = 2**32 - 1  # xs:unsignedInt, as the options document has it

PRESERVABLE: Final = frozenset({"comments", "pis", "dtd", "prefixes", "lexical"})

XSD_TYPES_ONLY: Final = ""
"""`schema_id` of a stream that uses the built-in XSD types and no schema (schemaId present and empty)."""


@dataclass(frozen=True)
class Limits:
    """Upper bounds that a decoder enforces; sizes in the unit that the name says.

    An encoder keeps to `depth`, `prefixes`, `table_entries` and `table_size`, too, for its peer would refuse what
    goes beyond: give both ends of a stream the same limits.
    """

    depth: int = 200
    attributes: int = 500  # per element, namespace declarations included
    prefixes: int = 1_000  # of one namespace, and declarations in scope
    string_length: int = 1_000_000  # characters of one value, name, comment…
    table_entries: int = 200_000  # names, values and learned productions in all tables of one body or session
    table_size: int = 32_000_000  # characters of those names and values
    # Characters of all names and values of one body, table hits counted again, and 8 for each event; also bytes
    # inflated.
    decoded_size: int = 32_000_000
    expansion_ratio: int = 2_000  # decoded_size per byte of input …
    expansion_floor: int = 1_000_000  # … which only counts beyond this size
    integer_bits: int = 4_096  # magnitude of one integer
    elements: int = 100_000  # per body
    list_items: int = 100_000  # of one list value

    def __post_init__(self) -> None:
        for each in fields(self):
            if not 0 <= getattr(self, each.name) <= LARGEST_LIMIT:
                raise SchemaError(f"limits.{each.name} must be between 0 and {LARGEST_LIMIT}")
        if self.depth > LARGEST_DEPTH:
            raise SchemaError(f"limits.depth must be at most {LARGEST_DEPTH}")
        if self.integer_bits > LARGEST_INTEGER_BITS:
            raise SchemaError(f"limits.integer_bits must be at most {LARGEST_INTEGER_BITS}")


@dataclass(frozen=True)
class Options:
    """The EXI options of a stream; the defaults are those of the specification."""

    alignment: str = BIT_PACKED
    strict: bool = False
    fragment: bool = False
    preserve: frozenset[str] = frozenset()
    self_contained: tuple[str, ...] = ()  # {uri}local names of elements written self-contained
    datatype_representations: Mapping[str, str] = field(default_factory=dict)
    block_size: int = 1_000_000  # values per block of the (pre-)compressed alignments
    value_max_length: int | None = None  # longest string, in characters, that enters the value tables
    value_partition_capacity: int | None = None  # most strings in the global value table
    local_value_partitions: bool = True
    max_builtin_element_grammars: int | None = None
    max_builtin_productions: int | None = None
    cookie: bool = False
    header_options: bool = False
    schema_id: str | None = None  # None: absent, "": XSD types only, otherwise a name both ends know
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        if self.alignment not in ALIGNMENTS:
            raise SchemaError(f"alignment {self.alignment!r} is none of {', '.join(ALIGNMENTS)}")
        object.__setattr__(self, "preserve", frozenset(self.preserve))
        object.__setattr__(self, "self_contained", tuple(self.self_contained))
        unknown = self.preserve - PRESERVABLE
        if unknown:
            raise SchemaError(f"preserve holds {sorted(unknown)}; known are {sorted(PRESERVABLE)}")
        # Section 5.4: strict excludes these fidelity options, and self-contained elements.
        forbidden = self.preserve - {"lexical"}
        if self.strict and forbidden:
            raise SchemaError(f"strict excludes preserve {sorted(forbidden)}")
        if self.strict and self.self_contained:
            raise SchemaError("strict excludes self_contained")
        if self.self_contained and self.is_reordered:
            raise SchemaError(f"self_contained excludes alignment {self.alignment!r}")
        if not 1 <= self.block_size <= LARGEST_OPTION:
            raise SchemaError(f"block_size must be between 1 and {LARGEST_OPTION}")
        for name in (
            "value_max_length",
            "value_partition_capacity",
            "max_builtin_element_grammars",
            "max_builtin_productions",
        ):
            if not 0 <= (getattr(self, name) or 0) <= LARGEST_OPTION:
                raise SchemaError(f"{name} must be between 0 and {LARGEST_OPTION}; None means unbounded")

    @property
    def is_reordered(self) -> bool:
        """Values live in channels apart from the structure (section 9)."""
        return self.alignment in (PRE_COMPRESSION, COMPRESSION)

    @property
    def has_profile(self) -> bool:
        """Any EXI Profile parameter differs from plain EXI."""
        return (
            not self.local_value_partitions
            or self.max_builtin_element_grammars is not None
            or self.max_builtin_productions is not None
        )

    @property
    def limits_builtin_grammars(self) -> bool:
        """Elements that no schema knows may carry an xsi:type that is not theirs (EXI Profile)."""
        return self.max_builtin_element_grammars is not None or self.max_builtin_productions is not None

    def with_(self, **changes: object) -> Options:
        """A copy with some settings changed."""
        return replace(self, **changes)  # type: ignore[arg-type]  # __post_init__ checks them
