"""The build backend: setuptools, which asks for mypy only where there is a C compiler to use it with.

mypy is needed to compile hub.exi and for nothing else, and its own newer versions need a compiler where no
wheel of theirs fits. So a machine without one must not be asked to install it.
"""

from __future__ import annotations

import os
import shutil
import sysconfig
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403 - a backend offers all hooks of the one it stands on

COMPILER_NEEDS = ["mypy>=1.19", "setuptools>=68"]


def has_compiler() -> bool:
    """Whether the C compiler that Python's extensions are built with is on the path."""
    command = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    return shutil.which(command) is not None


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """setuptools' needs, and mypy where it is of use."""
    found: list[str] = build_meta.get_requires_for_build_wheel(config_settings)
    wanted = has_compiler() and not os.environ.get("HUB_EXI_PURE")
    return [*found, *COMPILER_NEEDS] if wanted else found
