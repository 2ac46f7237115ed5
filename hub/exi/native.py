"""The one name that lets the same source run as plain Python and compile to machine integers.

`i64` is the compiler's 64-bit integer while type checking and compiling, and plain `int` when the source runs
as it is. It is 64 bits wide on every platform, 32-bit ARM included, so nothing depends on the width of a C
long. Values that may be wider (xs:integer has no bound) are annotated `int` and stay Python integers in both
worlds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_extensions import i64 as i64
else:
    i64 = int
