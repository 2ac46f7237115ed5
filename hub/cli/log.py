"""The log on standard error: plain lines for a person, levels as prefixes for the journal."""

from __future__ import annotations

import logging
import os
import sys

from hub.cli.text import printable
from hub.errors import PeerError, RequestError

LEVELS = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


class _OneLine(logging.Filter):
    """What a peer sent (names, values, error texts) must not be able to write lines of its own into the log."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(map(_escaped, record.args))
        return True


def _escaped(argument: object) -> object:
    if not isinstance(argument, str | RequestError | PeerError):
        return argument
    return printable(str(argument))


class _Journal(logging.Formatter):
    """The journal keeps time and name itself; it wants the level as a prefix (sd-daemon(3))."""

    def format(self, record: logging.LogRecord) -> str:
        level = LEVELS.get(record.levelno, 6)
        return "\n".join(f"<{level}>{line}" for line in super().format(record).splitlines())


def start_log(verbose: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_OneLine())
    if "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(_Journal("%(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-8s %(message)s"))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler], force=True)
    logging.getLogger("slixmpp").setLevel(logging.DEBUG if verbose else logging.ERROR)
