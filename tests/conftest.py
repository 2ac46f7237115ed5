"""Options of the test run.

    pytest --hardware my.toml tests/devices/test_hardware.py     the drivers' contract on the real parts of my.toml
        --drive-outputs                                          outputs too: they will switch!
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("any machine", deadline=None)  # how long a case takes says nothing on a busy one
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("hardware", "real parts")
    group.addoption("--hardware", type=Path, metavar="FILE", help="a hub's TOML file: test its things on real buses")
    group.addoption("--drive-outputs", action="store_true", help="with --hardware: switch the outputs too")
    # For the test of the suite itself: stand-ins instead of this machine's buses.
    group.addoption("--hardware-simulate", action="store_true", help="with --hardware: use the parts' stand-ins")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Without --hardware the suite for real parts does not exist: a run without parts has nothing skipped."""
    if collection_path.name == "test_hardware.py" and config.getoption("--hardware") is None:
        return True
    return None
