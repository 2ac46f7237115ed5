"""Builds the compiled form of hub.exi where it can; everything else about the package is in pyproject.toml.

The hot files of the codec are compiled with mypyc when a C compiler and mypy are at hand. Otherwise, and with
HUB_EXI_PURE=1 in the environment, the same files are installed as they are and run as plain Python. So they
do in an editable install, where compiled files would hide every edit; `python setup.py build_ext --inplace`
compiles them there, too.
"""

from __future__ import annotations

import os
import sys

from exi_build import has_compiler
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
    """The extension modules of the codec, or none."""
    if os.environ.get("HUB_EXI_PURE") or "editable_wheel" in sys.argv or not has_compiler():
        return []
    try:
        from mypyc.build import mypycify
    except ImportError:
        return []
    try:
        files = [f"hub/exi/{name}.py" for name in COMPILED]
        modules = mypycify(["--ignore-missing-imports", *files], opt_level="3")
    except (Exception, SystemExit) as error:
        print(f"hub.exi stays plain Python: {error}", file=sys.stderr)
        return []
    for module in modules:
        module.optional = True
    return list(modules)


setup(ext_modules=extensions())
