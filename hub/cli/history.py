"""`hub history`: the past of a hub, over XMPP or out of the file of a node on this machine."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import click

from devices.base import Duration
from hub.cli import show
from hub.cli.account import account_option, logged_in, run, timeout_option
from hub.cli.ask import waiting
from hub.cli.text import printable
from hub.config.file import load
from hub.errors import HubError, PeerError
from hub.programs.node import state_dir
from hub.programs.node_telemetry import HISTORY_FILE, bounds
from hub.services.peer import Peer
from hub.telemetry.database import DiskRefused
from hub.telemetry.history import END, LEVELS, rolled
from hub.telemetry.rollups import Level, Point, Rollup, number, regroup
from hub.telemetry.rows import Shapes, to_moment, to_ms
from hub.telemetry.store import HistoryStore
from hub.things.model import COUNT, MAX, MEAN, MIN, Field, FieldTypes, NodeRef, Reading, ReadoutRequest, rolled_name
from hub.things.readout import MAX_HISTORY
from hub.things.values import parse_datetime, to_text

DEFAULT_SPAN = dt.timedelta(days=1)
PLAIN = ("time", "thing", "field", "value", "unit", "quality")
ROLLED = ("time", "thing", "field", "mean", "min", "max", "last", "count", "unit")
FULL_BYTES = 65_536  # less than one transaction may take
NUMBERS = frozenset({"mean", "min", "max", "last", "count"})

Line = dict[str, Any]
"""A row of the result: texts by column; `time` is a moment."""


@dataclass(frozen=True)
class Asked:
    """What is wanted: fields by thing (no things: all; no fields of one: all of it), from when to when, how coarse."""

    things: dict[str, list[str]]
    start: dt.datetime
    end: dt.datetime
    every: int | None
    """Milliseconds."""

    @property
    def level(self) -> Level | None:
        """The roll-ups that it can be made of; None: readings."""
        fitting = [level for level in Level if self.every is not None and self.every % level == 0]
        return max(fitting, default=None)

    def wants(self, thing: str, field: str) -> bool:
        return not self.things or (thing in self.things and field in (self.things[thing] or [field]))


@click.command()
@click.argument("target", metavar="JID|stats", required=False)
@click.argument("things", nargs=-1, metavar="[THING[.FIELD]]...")
@click.option("--local", "config", type=click.Path(path_type=Path), metavar="CONFIG",
              help="Instead of a JID: out of the file of the node on this machine with this configuration.")
@click.option("--from", "start", default="1d", show_default=True,
              help="Since then: 2026-11-21T08:00:00Z, or how long ago (2h, 7d).")
@click.option("--to", "end", help="Until then.  [default: now]")
@click.option("--every", metavar="5m", help="One line for each so long: mean, minimum, maximum, last, count.")
@click.option("--format", "form", type=click.Choice(["table", "csv", "json", "parquet"]), default="table",
              show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="Into this file.  [default: standard output]")
@click.option("--plot", metavar="FILE.png|-", help="Draw it: into a PNG file, or - for this terminal.")
@account_option
@timeout_option
def history(
    target: str | None, things: tuple[str, ...], config: Path | None, start: str, end: str | None, every: str | None,
    form: str, output: Path | None, plot: str | None, account_file: Path, timeout: float,
) -> None:  # fmt: skip
    """Show what a hub remembers: readings, or with --every what is left of them.

    `hub history stats --local CONFIG` tells how much a node remembers, and how much it writes a day.
    """
    if target == "stats":
        return stats(config)
    if (target is None or (config is not None and "@" not in target)) and config is not None:
        things = (*([target] if target else []), *things)
        target = None
    if (target is None) == (config is None):
        raise click.UsageError("name either the JID of a hub, or --local CONFIG")
    if form == "parquet" and output is None:
        raise click.UsageError("--format parquet needs --output FILE")
    now = dt.datetime.now(dt.UTC)
    asked = Asked(_things(things), _moment(start, now, "--from"), _moment(end, now, "--to"), _width(every))
    if config is not None:
        lines = local(config, asked)
    else:
        assert target is not None
        lines = run(_remote(target, asked, account_file, timeout))
    if not lines:
        raise PeerError("nothing is remembered of that")
    if plot is not None:
        from hub.cli import plot as plotting

        plotting.draw(lines, plot)
    if plot is None or output is not None:
        write(lines, ROLLED if asked.every else PLAIN, form, output)


def _things(names: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        thing, _, field = name.partition(".")
        found.setdefault(thing, [])
        if field:
            found[thing].append(field)
    return found


def _moment(text: str | None, now: dt.datetime, option: str) -> dt.datetime:
    if text is None:
        return now
    try:
        return now - dt.timedelta(seconds=Duration.parse(text))
    except ValueError:
        pass
    try:
        moment = parse_datetime(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}, nor how long ago (2h, 7d)", param_hint=option) from None
    return moment if moment.tzinfo else moment.astimezone()


def _width(every: str | None) -> int | None:
    if every is None:
        return None
    try:
        width = round(Duration.parse(every) * 1000)
    except ValueError as error:
        raise click.BadParameter(f"{every!r} is not {error}", param_hint="--every") from None
    if width < 1000:
        raise click.BadParameter("at least 1s", param_hint="--every")
    return width


# --------------------------------------------------------------------------- where it comes from


def local(config: Path, asked: Asked) -> list[Line]:
    """Out of the file of a node, which may be running. Raises HubError."""
    with Opened(config) as store:
        names = [name for name in store.things() if not asked.things or name in asked.things]
        missing = [name for name in asked.things if name not in names]
        if missing:
            raise PeerError(f"no such thing is remembered: {', '.join(missing)}")
        readings: list[Reading] = []
        for name in names:
            readings += _of_file(store, name, asked)
    return lines_of(readings, asked)


def _of_file(store: HistoryStore, thing: str, asked: Asked) -> Iterator[Reading]:
    start, end = to_ms(asked.start), to_ms(asked.end)
    if asked.level is None:
        shapes = Shapes()
        for row in store.readings(thing, start, end, END):
            item = shapes.item(row)
            if isinstance(item, Reading):
                yield item
        return
    for at, fields in store.rollups(thing, asked.level, start, end, END):
        reading = rolled(thing, asked.level, at, fields, (), LEVELS[asked.level])
        if reading is not None:
            yield reading


class Opened:
    """`with Opened(config) as store:` the history of a node, only to be read. Raises HubError with what is wrong."""

    def __init__(self, config: Path) -> None:
        loaded = load(config)
        self._path = state_dir(loaded) / HISTORY_FILE
        self._store = HistoryStore(self._path, bounds(loaded.history), readonly=True)

    def __enter__(self) -> HistoryStore:
        if not self._path.exists():
            raise HubError(f"no node has remembered anything yet: there is no {self._path} "
                           "(the folder of a service is its own: ask as its user)")  # fmt: skip
        try:
            self._store.open()
        except DiskRefused as refused:
            raise self._unreadable(refused) from None
        return self._store

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        self._store.close()
        if isinstance(error, DiskRefused):
            raise self._unreadable(error) from None

    def _unreadable(self, why: DiskRefused) -> HubError:
        return HubError(f"{self._path} cannot be read: {why} (the disk: {disk_in_words(self._path)})")


async def _remote(jid: str, asked: Asked, account_file: Path, timeout: float) -> list[Line]:
    """Asked for again and again, each time what is older than what came: a hub tells so much at a time."""
    readings: list[Reading] = []
    types = FieldTypes.HISTORICAL if asked.level is None else LEVELS[asked.level] & _OWN
    with waiting(f"reading the past of {jid} …"):
        async with logged_in(account_file) as client:
            peer = Peer(client, jid, timeout)
            await peer.find()
            nodes: list[tuple[NodeRef, ...] | None] = [(NodeRef(name),) for name in asked.things]
            for node in nodes or [None]:
                end = asked.end
                while True:
                    request = partial(ReadoutRequest, nodes=node, types=types, start=asked.start, end=end)
                    some = [reading async for answer in peer.read(request) for reading in answer.readings]
                    readings += some
                    if node is None or len(some) < MAX_HISTORY:
                        if node is None and len(some) >= MAX_HISTORY:
                            raise PeerError(f"{jid} remembers more than it tells at a time: name the things you want")
                        break
                    end = min(reading.timestamp for reading in some) - dt.timedelta(milliseconds=1)
    return lines_of(readings, asked)


_OWN = FieldTypes.HISTORICAL_MINUTE | FieldTypes.HISTORICAL_HOUR | FieldTypes.HISTORICAL_DAY


# --------------------------------------------------------------------------- what is made of it


def lines_of(readings: Iterable[Reading], asked: Asked) -> list[Line]:
    """Readings as lines, by thing, field and time."""
    in_order = sorted(readings, key=lambda reading: (reading.node.node_id, reading.timestamp))
    if asked.every is not None:
        return list(_rolled_lines(in_order, asked))
    return [
        {"time": reading.timestamp, "thing": reading.node.node_id, "field": field.name, "value": to_text(field.value),
         "unit": field.unit, "quality": show.quality_text(field.quality)}
        for reading in in_order for field in reading.fields if asked.wants(reading.node.node_id, field.name)
    ]  # fmt: skip


def _rolled_lines(readings: Sequence[Reading], asked: Asked) -> Iterator[Line]:
    assert asked.every is not None
    series: dict[tuple[str, str, str], list[Point]] = {}
    for reading in readings:
        by_name = {field.name: field for field in reading.fields}
        for field in reading.fields:
            point = _point(reading, field, by_name, asked.level)
            if point is not None and asked.wants(reading.node.node_id, field.name):
                series.setdefault((reading.node.node_id, field.name, field.unit), []).append(point)
    for (thing, name, unit), points in sorted(series.items()):
        for point in regroup(sorted(points, key=lambda point: point.start), asked.every):
            rollup = point.rollup
            yield {"time": to_moment(point.start), "thing": thing, "field": name, "mean": to_text(rollup.mean),
                   "min": to_text(rollup.low), "max": to_text(rollup.high), "last": to_text(rollup.last),
                   "count": str(rollup.count), "unit": unit}  # fmt: skip


def _point(reading: Reading, field: Field, others: dict[str, Field], level: Level | None) -> Point | None:
    """A roll-up as the hub told it, or one of a single value; None of what is no number or belongs to another field."""
    base, comma, what = field.name.rpartition(", ")
    if comma and base in others and what in (MIN, MAX, MEAN, COUNT):
        return None
    last, at = number(field.value), to_ms(reading.timestamp)
    if last is None:
        return None
    told = [others.get(rolled_name(field.name, what)) for what in (COUNT, MEAN, MIN, MAX)]
    numbers = [number(each.value) for each in told if each is not None]
    if level is None or len(numbers) < 4 or None in numbers:
        return Point(at, Rollup.of(last, at))
    count, mean, low, high = (Decimal(each or 0) for each in numbers)
    return Point(at - level, Rollup(int(count), mean * count, low, high, last, at - 1))


# --------------------------------------------------------------------------- where it goes


def write(lines: Sequence[Line], columns: Sequence[str], form: str, output: Path | None) -> None:
    if form == "parquet":
        assert output is not None
        from hub.cli import plot as plotting

        return plotting.parquet(lines, columns, output)
    if form == "table" and output is None:
        table = show.table(*columns)
        for line in lines:
            cells = [f"{line['time'].astimezone():%Y-%m-%d %H:%M:%S}", *(printable(line[name]) for name in columns[1:])]
            table.add_row(*cells)
        show.console().print(table)
        return
    text = _json(lines) if form == "json" else _csv(lines, columns)
    if output is None:
        sys.stdout.write(text)
    else:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise HubError(f"{output} cannot be written: {error}") from None


def _csv(lines: Sequence[Line], columns: Sequence[str]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**line, "time": to_text(line["time"])} for line in lines)
    return text.getvalue()


def _json(lines: Sequence[Line]) -> str:
    made = [{name: to_text(cell) if name == "time" else float(cell) if name in NUMBERS else cell
             for name, cell in line.items()} for line in lines]  # fmt: skip
    return json.dumps(made, ensure_ascii=False) + "\n"


# --------------------------------------------------------------------------- stats


def disk_in_words(path: Path) -> str:
    """How the disk behind a node's file is, and what that means for what comes."""
    found = os.statvfs(path.parent)
    free = found.f_bavail * found.f_frsize
    if found.f_flag & os.ST_RDONLY:
        return "READ-ONLY: nothing more is remembered (`mount` and `dmesg` say why)"
    if free < FULL_BYTES:
        return f"FULL, {free:,} bytes free: what comes is not remembered until there is room"
    return f"{free:,} bytes free"


def stats(config: Path | None) -> None:
    """How much a node remembers, and how much it writes a day."""
    if config is None:
        raise click.UsageError("name the configuration of the node: hub history stats --local CONFIG")
    with Opened(config) as store:
        found = store.stats()
    console = show.console()
    path = state_dir(load(config)) / HISTORY_FILE
    table = show.table("thing", "readings", "bytes", "oldest", "newest")
    for name, of in found["things"].items():
        moments = [f"{to_moment(of[key]).astimezone():%Y-%m-%d %H:%M}" for key in ("oldest", "newest")]
        table.add_row(printable(name), f"{of['readings']:,}", f"{of['bytes']:,}", *moments)
    console.print(table)
    rollups = ", ".join(f"{count:,} {Level(level).name.lower()}s" for level, count in sorted(found["rollups"].items()))
    console.print(f"\nfile: {found['file']:,} bytes; roll-ups: {rollups or 'none yet'}")
    console.print(f"disk: {disk_in_words(path)}\n")
    for broken in sorted(path.parent.glob(f"{path.name}.broken-*")):
        console.print(f"moved aside, because it was broken: {broken}\n", soft_wrap=True)
    written = show.table("day", "written", "transactions", "readings", "bytes each")
    for day in found["written"][-14:]:
        each = f"{day['bytes'] / day['readings']:.0f}" if day["readings"] else ""
        written.add_row(f"{to_moment(day['day']):%Y-%m-%d}", f"{day['bytes']:,}", f"{day['transactions']:,}",
                        f"{day['readings']:,}", each)  # fmt: skip
    console.print(written)
