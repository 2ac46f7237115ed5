"""`hub audit`: what was decided and done, and whether somebody changed the log of it. It only reads."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from devices.base import Duration
from hub.cli import show as drawn
from hub.cli.exits import NO
from hub.cli.node import DEFAULT_CONFIG
from hub.cli.text import printable
from hub.errors import StoreError
from hub.trust.access import matches
from hub.trust.audit import Entry, Kind
from hub.trust.auditfiles import entries, older_files, seal_of, sealed_up_to, verify

SEAL_WAIT_S = 3.0  # a running hub seals every second
ROWS = 50


def _moment(_: click.Context, __: click.Parameter, text: str | None) -> dt.datetime | None:
    """A time of day and date, or how long ago."""
    if text is None:
        return None
    try:
        if re.fullmatch(Duration.PATTERN, text):
            return dt.datetime.now(dt.UTC) - dt.timedelta(seconds=Duration.parse(text))
        return dt.datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise click.BadParameter(f'{text!r} is no time: write "2026-05-01", "2026-05-01T12:00" or how long ago, '
                                 'like "2h"') from None  # fmt: skip


@click.group()
def audit() -> None:
    """What was decided and done here, and whether the log of it was changed."""


def _which(command: Callable[..., None]) -> Callable[..., None]:
    command = click.option("--provisioning", is_flag=True,
                           help="The log of the provisioning server of --config.")(command)  # fmt: skip
    command = click.option("--file", "file", type=click.Path(path_type=Path),
                           help="The log itself, in place of --config.")(command)  # fmt: skip
    return click.option("--config", "config", type=click.Path(path_type=Path), default=DEFAULT_CONFIG,
                        show_default=True, help="Of the node whose log it is.")(command)  # fmt: skip


def _path(config: Path, file: Path | None, provisioning: bool) -> Path:
    """Raises ConfigError, and StoreError when there is no log."""
    if file is None and provisioning:
        from hub.config.file import load_provisioning

        file = load_provisioning(config).state_folder / "audit.jsonl"
    elif file is None:
        from hub.config.file import load
        from hub.programs.node import state_dir  # brings the whole node along

        file = state_dir(load(config)) / "audit.jsonl"
    try:
        if not (file.exists() or seal_of(file).exists() or older_files(file)):
            raise StoreError(f"there is no log at {file}: the hub makes it when it runs")
    except OSError as error:
        raise _unreadable(file, error) from None
    return file


def _unreadable(file: Path, error: OSError) -> StoreError:
    return StoreError(f"{file} cannot be read ({error.strerror or error}): try as root, or as the hub's user")


@audit.command()
@_which
@click.option("--who", help='A JID, "*@example.org", or "*".')
@click.option("--thing", help="The name of a thing, or of a field or parameter, as it stands in the log.")
@click.option("--since", callback=_moment, help='"2026-05-01", "2026-05-01T12:00", or how long ago, like "2h".')
@click.option("--until", callback=_moment, help="The same.")
@click.option("--last", type=click.IntRange(0), default=ROWS, show_default=True, help="Lines at most; 0: all.")
@click.option("--json", "as_json", is_flag=True, help="For programs: JSON lines on standard output.")
def show(
    config: Path, file: Path | None, provisioning: bool, who: str | None, thing: str | None, since: dt.datetime | None,
    until: dt.datetime | None, last: int, as_json: bool,
) -> None:  # fmt: skip
    """Show what was decided and done, oldest first. It is not checked: see `hub audit verify`."""
    path = _path(config, file, provisioning)
    found = (
        entry for entry in _read(path)
        if (who is None or matches(entry.who, (who,)))
        and (thing is None or _names(entry.what, thing))
        and (since is None or entry.time >= since)
        and (until is None or entry.time <= until)
    )  # fmt: skip
    chosen = deque(found, maxlen=last) if last else found
    if as_json:
        for entry in chosen:
            drawn.print_json({"seq": entry.seq, "time": entry.time.isoformat(), "who": entry.who, "what": entry.what,
                              "rule": entry.rule, "answer": entry.answer})  # fmt: skip
        return
    table = drawn.table("no.", "time", "who", "what", "rule", "answer")
    for entry in chosen:
        table.add_row(str(entry.seq), f"{entry.time.astimezone():%Y-%m-%d %H:%M:%S}",
                      *map(printable, (entry.who, entry.what, entry.rule, entry.answer)))  # fmt: skip
    drawn.console().print(table)


def _read(path: Path) -> Iterator[Entry]:
    try:
        yield from entries(path)
    except OSError as error:
        raise _unreadable(path, error) from None


def _names(what: str, thing: str) -> bool:
    """Whether `thing` stands in `what` as a whole name."""
    return re.search(rf"(?<![\w.@-]){re.escape(thing)}(?![\w.@-])", what, re.IGNORECASE) is not None


@audit.command("verify")
@_which
@click.option("--json", "as_json", is_flag=True, help="For programs: JSON on standard output.")
def verify_(config: Path, file: Path | None, provisioning: bool, as_json: bool) -> None:
    """Check the whole log: every line that was changed, removed, added or moved is named. Exit code 1 when there is
    one."""
    path = _path(config, file, provisioning)
    try:
        report = verify(path)
        if report.unsealed and _sealed_soon(path, report.last):
            report.findings = [finding for finding in report.findings if finding.kind is not Kind.UNSEALED]
    except OSError as error:
        raise _unreadable(path, error) from None
    if as_json:
        drawn.print_json({
            "good": not report.broken, "lines": report.lines, "last": report.last, "more": report.more,
            "findings": [{"kind": f.kind, "where": f.where, "text": f.text} for f in report.findings],
        })  # fmt: skip
    else:
        for finding in report.findings:
            click.echo(f"{finding.kind}: {printable(finding.where)}: {printable(finding.text)}")
        if report.more:
            click.echo(f"… and {report.more} more")
        state = "the log is NOT what was written" if report.broken else "the log is whole"
        click.echo(f"{path}: {report.lines} lines, up to number {report.last}: {state}")
    if report.broken:
        raise SystemExit(NO)


def _sealed_soon(path: Path, number: int) -> bool:
    """Whether a running hub seals what it has just written."""
    deadline = time.monotonic() + SEAL_WAIT_S
    while sealed_up_to(path) < number:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
