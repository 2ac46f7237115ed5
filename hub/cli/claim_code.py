"""What claims a hub, as a QR code: on a terminal, and as pictures for a sticker or a screen.

Whoever reads it can make the hub his own, so it goes into no log, and its files are for the hub's user alone. segno is
imported when something is drawn: a hub that has an owner does without.
"""

from __future__ import annotations

import io
import logging
import re
import shutil
import sys
from pathlib import Path
from typing import Final

import click

from hub.things.memory import remove_durably, write_durably

log = logging.getLogger("hub.programs.node")

PICTURES: Final = ("claim.png", "claim.svg")
MODE: Final = 0o600
_STYLE: Final = re.compile("\x1b\\[[0-9;]*m")
SCALE: Final = 8  # pixels of a module


def drawn(uri: str) -> str:
    """For a terminal: two modules in a character cell."""
    import segno

    out = io.StringIO()
    segno.make_qr(uri, error="l").terminal(out, compact=True)
    return out.getvalue()


def show(uri: str) -> None:
    """The code where the terminal can show it, and the URI in the last line."""
    code = drawn(uri)
    if (hidden := _not_shown(code)) is None:
        sys.stdout.write(code)
    else:
        click.echo(f"The code is not drawn: {hidden}. {PICTURES[0]} in the hub's state folder has it too.", err=True)
    click.echo("Whoever scans this code, or runs `hub claim 'URI'` with this line, owns the hub:", err=True)
    sys.stdout.write(f"{uri}\n")
    sys.stdout.flush()


def _not_shown(code: str) -> str | None:
    """Why a terminal cannot show it; None: it can."""
    try:
        code.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return f"this terminal has no block characters ({sys.stdout.encoding})"
    width = len(_STYLE.sub("", code.partition("\n")[0]))
    columns = shutil.get_terminal_size().columns
    if sys.stdout.isatty() and width > columns:
        return f"it takes {width} columns, and there are {columns}"
    return None


def searching(folder: Path, config: Path, uri: str | None) -> None:
    """Of a node that runs: an owner is looked for with `uri`, or nobody any more."""
    if uri is None:
        for name in PICTURES:
            if (folder / name).exists():
                remove_durably(folder / name)
        return
    import segno

    for name in PICTURES:
        picture = io.BytesIO()
        segno.make_qr(uri, error="m").save(picture, kind=name.rpartition(".")[2], scale=SCALE)
        write_durably(folder / name, picture.getvalue(), MODE)
    log.warning("this hub has no owner and refuses everybody: scan %s, or run `hub claim --show --config %s`",
                folder / PICTURES[0], config)  # fmt: skip
    if sys.stdout.isatty():
        show(uri)
