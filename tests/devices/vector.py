"""One worked example: what `decode` is given and what must come out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Vector:
    """`source` is the datasheet's page or section, or says how the numbers were obtained independently."""

    arguments: tuple[Any, ...]
    expected: Any
    source: str
    tolerance: float = 0.0
    """Absolute, for every number in `expected`."""
    id: str = field(default="")
