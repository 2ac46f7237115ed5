"""The two names that let the same source run as plain Python and compile to machine code.

`i64` is the compiler's 64-bit integer while type checking and compiling, and plain `int` when the source runs
as it is. It is 64 bits wide on every platform, 32-bit ARM included, so nothing depends on the width of a C
long. Values that may be wider (xs:integer has no bound) are annotated `int` and stay Python integers in both
worlds. One trap: shift no literal by an `i64` that may reach 31 (`1 << width`), for mypyc writes the literal as a
C int; shift a variable, or Python integers.

`mypyc_attr` tells the compiler about a class; `allow_interpreted_subclasses` marks those that are meant to be
derived from outside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_extensions import i64 as i64
    from mypy_extensions import mypyc_attr as mypyc_attr
else:
    i64 = int

    def mypyc_attr(**attributes: Any) -> Any:
        """Nothing, when the source runs as it is."""
        return lambda decorated: decorated
