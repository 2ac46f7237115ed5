"""`hub read`, `set`, `form` and `watch`: a hub from a client."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import click

from devices.base import ValueType
from hub.cli import show
from hub.cli.account import account_option, logged_in, run, timeout_option
from hub.cli.text import printable
from hub.errors import PeerError
from hub.services.commands import command_of
from hub.services.peer import Peer
from hub.stanzas.forms import FormField
from hub.things.model import (
    Answer,
    Command,
    FieldTypes,
    NodeRef,
    Reading,
    ReadoutRequest,
    Trouble,
)
from hub.things.values import parse_datetime, to_text

json_option = click.option("--json", "as_json", is_flag=True, help="For programs: JSON on standard output.")


def waiting(what: str) -> AbstractContextManager[Any]:
    """A spinner on standard error while something is awaited, when a person is looking."""
    console = show.console(stderr=True)
    return console.status(what) if console.is_terminal else nullcontext()


# --------------------------------------------------------------------------- read


@click.command()
@click.argument("jid")
@click.argument("things", nargs=-1, metavar="[THING[.FIELD]]...")
@click.option("--history", is_flag=True, help="Past values too, as far as the hub remembers them.")
@click.option("--from", "start", help="History since then (2026-11-21T08:00:00Z).")
@click.option("--to", "end", help="History until then.")
@json_option
@account_option
@timeout_option
def read(
    jid: str, things: tuple[str, ...], history: bool, start: str | None, end: str | None,
    as_json: bool, account_file: Path, timeout: float,
) -> None:  # fmt: skip
    """Read the values of a hub: all of them, of some THINGs, or single fields."""
    types = FieldTypes.ALL if history or start or end else FieldTypes.PRESENT
    nodes = tuple(NodeRef(name) for name in dict.fromkeys(thing.partition(".")[0] for thing in things))
    names = tuple(dict.fromkeys(thing.partition(".")[2] for thing in things if "." in thing))
    since, until = _moment(start, "--from"), _moment(end, "--to")

    def request(id_: str) -> ReadoutRequest:
        return ReadoutRequest(id_, nodes or None, names, types, since, until)

    readings, troubles = run(_read(jid, request, account_file, timeout))
    readings.sort(key=lambda reading: (reading.node.node_id, reading.timestamp))
    if as_json:
        show.print_json([show.as_json(reading, field) for reading in readings for field in reading.fields])
    else:
        show.console().print(show.readings_table(readings, bool(types & FieldTypes.HISTORICAL)))
    for trouble in troubles:
        click.echo(printable(f"hub: {trouble.node.node_id}: {trouble.text}"), err=True)
    if not readings:
        raise PeerError(f"{jid} has no values of that kind")


async def _read(jid: str, request: Any, account_file: Path, timeout: float) -> tuple[list[Reading], list[Trouble]]:
    readings: list[Reading] = []
    troubles: list[Trouble] = []
    with waiting(f"reading {jid} …"):
        async with logged_in(account_file) as client:
            peer = Peer(client, jid, timeout)
            await peer.find()
            async for answer in peer.read(request):
                readings.extend(answer.readings)
                troubles.extend(answer.troubles)
    return readings, troubles


def _moment(text: str | None, option: str) -> dt.datetime | None:
    if text is None:
        return None
    try:
        moment = parse_datetime(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None
    return moment if moment.tzinfo else moment.astimezone()


# --------------------------------------------------------------------------- set


@click.command("set")
@click.argument("jid")
@click.argument("assignments", nargs=-1, required=True, metavar="THING.PARAMETER=VALUE...")
@json_option
@account_option
@timeout_option
def set_(jid: str, assignments: tuple[str, ...], as_json: bool, account_file: Path, timeout: float) -> None:
    """Set parameters, in the order given, and show what is read back.

    A switch takes on and off. With one controllable thing its name may be left out: PARAMETER=VALUE.
    """
    wanted = [_assignment(text) for text in assignments]
    readings = run(_set(jid, wanted, account_file, timeout))
    if as_json:
        show.print_json([show.as_json(reading, field) for reading in readings for field in reading.fields])
    else:
        show.console().print(show.readings_table(readings, history=False))


def _assignment(text: str) -> tuple[str, str, str]:
    """(thing, parameter, value); the thing is empty when it is not named."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.BadParameter(f"{text!r} is not THING.PARAMETER=VALUE", param_hint="ASSIGNMENTS")
    thing, _, parameter = name.rpartition(".")
    return thing, parameter, value


async def _set(jid: str, wanted: list[tuple[str, str, str]], account_file: Path, timeout: float) -> list[Reading]:
    with waiting(f"setting {jid} …"):
        async with logged_in(account_file) as client:
            peer = Peer(client, jid, timeout)
            await peer.find()
            commands = [await _command(peer, thing, wanted) for thing in dict.fromkeys(t for t, _, _ in wanted)]
            done: list[Reading] = []
            for command in commands:  # everything was checked before the first one moves anything
                await peer.carry_out(command)
                names = tuple(assignment.name for assignment in command.assignments)
                request = partial(ReadoutRequest, nodes=command.nodes, names=names, types=FieldTypes.PRESENT)
                async for answer in peer.read(request):
                    done.extend(answer.readings)
            return done


async def _command(peer: Peer, thing: str, wanted: list[tuple[str, str, str]]) -> Command:
    """The command for one thing, typed by its own form."""
    _, fields = await peer.form((thing,) if thing else ())
    return command_of(thing, fields, [(name, text) for of, name, text in wanted if of == thing])


# --------------------------------------------------------------------------- form


@click.command()
@click.argument("jid")
@click.argument("things", nargs=-1, metavar="[THING]...")
@json_option
@account_option
@timeout_option
def form(jid: str, things: tuple[str, ...], as_json: bool, account_file: Path, timeout: float) -> None:
    """Show what can be set: of one THING, or what several have in common."""
    title, fields = run(_form(jid, things, account_file, timeout))
    if as_json:
        show.print_json({"title": title, "parameters": [_form_json(field) for field in fields]})
        return
    table = show.table("parameter", "type", "allowed", "now", "what it does", title=printable(title))
    for field in fields:
        cells = (field.name, field.type.value, _allowed(field), field.text, field.description)
        table.add_row(*map(printable, cells))
    show.console().print(table)


async def _form(
    jid: str, things: tuple[str, ...], account_file: Path, timeout: float
) -> tuple[str, tuple[FormField, ...]]:
    with waiting(f"asking {jid} …"):
        async with logged_in(account_file) as client:
            peer = Peer(client, jid, timeout)
            await peer.find()
            return await peer.form(things)


def _allowed(field: FormField) -> str:
    if field.options:
        return ", ".join(field.options)
    if field.minimum or field.maximum:
        return f"{field.minimum or '…'} to {field.maximum or '…'}"
    return "on, off" if field.type is ValueType.BOOLEAN else ""


def _form_json(field: FormField) -> dict[str, Any]:
    return {
        "name": field.name, "type": field.type.value, "label": field.label, "description": field.description,
        "now": field.text, "minimum": field.minimum, "maximum": field.maximum, "options": list(field.options),
        "page": field.page,
    }  # fmt: skip


# --------------------------------------------------------------------------- watch


@click.command()
@click.argument("jids", nargs=-1, required=True, metavar="JID...")
@json_option
@account_option
@timeout_option
def watch(jids: tuple[str, ...], as_json: bool, account_file: Path, timeout: float) -> None:
    """Follow one or more hubs: every reading as it is published, until Ctrl-C. With --json a line for each value."""
    run(_watch(jids, as_json, account_file, timeout))


async def _watch(jids: tuple[str, ...], as_json: bool, account_file: Path, timeout: float) -> None:
    view = show.LiveView()
    console = show.console()
    async with logged_in(account_file) as client:
        peers = [Peer(client, jid, timeout) for jid in jids]
        for peer in peers:
            await peer.find()
        arriving: asyncio.Queue[tuple[str, Answer]] = asyncio.Queue()
        followers = [asyncio.create_task(_follow(peer, arriving)) for peer in peers]
        lost = asyncio.create_task(client.wait_until("disconnected", 10**9))
        try:
            if as_json or not console.is_terminal:
                await _lines(arriving, followers, lost, as_json)
            else:
                await _screen(arriving, followers, lost, view, console, len(jids) > 1)
        finally:
            for task in (*followers, lost):
                task.cancel()
            await asyncio.gather(*followers, lost, return_exceptions=True)


async def _follow(peer: Peer, arriving: asyncio.Queue[tuple[str, Answer]]) -> None:
    places = await peer.published()
    if not places:
        raise PeerError(f"{peer.jid} publishes nothing that you may see")
    try:
        async for answer in peer.watch(places):
            arriving.put_nowait((peer.jid.partition("/")[0], answer))
    finally:
        await asyncio.shield(peer.unwatch(places))


async def _answers(
    arriving: asyncio.Queue[tuple[str, Answer]], followers: list[asyncio.Task[None]], lost: asyncio.Task[Any]
) -> AsyncIterator[tuple[str, Answer] | None]:
    """What arrives, None once a second without it; ends with the error when a follower or the link ends."""
    while True:
        getting = asyncio.create_task(arriving.get())
        done, _ = await asyncio.wait({getting, *followers, lost}, timeout=1, return_when=asyncio.FIRST_COMPLETED)
        if getting in done:
            yield getting.result()
            continue
        getting.cancel()
        if lost in done:
            raise PeerError("the connection to your server is lost")
        for task in done:
            task.result()
        yield None


async def _lines(arriving: Any, followers: Any, lost: Any, as_json: bool) -> None:
    async for item in _answers(arriving, followers, lost):
        if item is None:
            continue
        jid, answer = item
        for trouble in answer.troubles:
            if as_json:
                show.print_json({"hub": jid, "thing": trouble.node.node_id, "time": to_text(trouble.timestamp),
                                 "error": trouble.text})  # fmt: skip
            else:
                click.echo(printable(f"{trouble.timestamp:%H:%M:%S} {jid} {trouble.node.node_id}: {trouble.text}"))
        for reading in answer.readings:
            for field in reading.fields:
                if as_json:
                    show.print_json(show.as_json(reading, field, jid))
                else:
                    line = f"{jid} {reading.node.node_id}.{field.name} {to_text(field.value)} {field.unit}".rstrip()
                    click.echo(f"{reading.timestamp.astimezone():%H:%M:%S} {printable(line)}")


async def _screen(
    arriving: Any, followers: Any, lost: Any, view: show.LiveView, console: Any, many: bool
) -> None:
    from rich.live import Live

    with Live(view.table(dt.datetime.now(dt.UTC), many), console=console, auto_refresh=False) as live:
        async for item in _answers(arriving, followers, lost):
            if item is not None:
                view.take(item[1], item[0])
            live.update(view.table(dt.datetime.now(dt.UTC), many), refresh=True)
