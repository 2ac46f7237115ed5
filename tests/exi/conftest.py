"""The test against another codec exists only where that codec is asked for and can run."""

from __future__ import annotations

from . import peer

collect_ignore = [] if peer.available() else ["test_exi_peer.py"]
