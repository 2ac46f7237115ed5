"""Which form of the codec is tested, and whether there is another codec to test against.

`tests/run` runs these tests twice, the second time with HUB_EXI_TESTED=compiled. A run that would test another form
than the one it was asked for ends at once.
"""

from __future__ import annotations

import os

import pytest

from hub import exi

from . import peer

FORM = "compiled" if exi.compiled else "plain"
if (asked := os.environ.get("HUB_EXI_TESTED", "plain")) != FORM:
    raise pytest.UsageError(f"the {asked} form of hub.exi was to be tested, this is the {FORM} one: {exi.__file__}")

# The test against another codec exists only where that codec is asked for and can run
collect_ignore = [] if peer.available() else ["test_exi_peer.py"]


def pytest_report_header() -> str:
    return f"hub.exi: {FORM}, {exi.__file__}"
