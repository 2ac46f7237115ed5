"""Builds the compiled form of hub.exi where it is asked for; everything else about the package is in pyproject.toml.

    pip install "setuptools>=68" "mypy>=1.19" && HUB_EXI_COMPILE=1 pip install --no-build-isolation .

compiles the hot files of the codec with mypyc (a C compiler must be there). How much faster it is then is told by
`python -m tests.benchmarks.exi_speed`, run with and without. It is opt-in for now: mypyc once corrupted memory under
fuzzing, in a way that is avoided but not yet understood. Without it the same files run as plain Python.
"""

from __future__ import annotations

import os

from setuptools import Extension, setup

COMPILED = [
    "bits",
    "lexical",
    "names",
    "strings",
    "datatypes",
    "states",
    "grammars",
    "tables",
    "codewriter",
    "attributewriter",
    "encoder",
    "codereader",
    "decoder",
    "channels",
    "blocks",
    "sinks",
    "elements",
    "stream",
]


def extensions() -> list[Extension]:
    """The extension modules of the codec; none where they were not asked for."""
    if not os.environ.get("HUB_EXI_COMPILE"):
        return []
    from mypyc.build import mypycify

    return list(mypycify(["--ignore-missing-imports", *(f"hub/exi/{name}.py" for name in COMPILED)], opt_level="3"))


setup(ext_modules=extensions())
