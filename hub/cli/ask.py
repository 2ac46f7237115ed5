"""`hub read`, `set` and `form`: a hub from a client."""

from __future__ import annotations

import datetime as dt
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from devices.base import ValueType
from hub.cli import show
from hub.cli.account import account_option, logged_in, run, timeout_option, tokens_options
from hub.cli.text import printable
from hub.errors import PeerError
from hub.services.commands import command_of
from hub.services.peer import Peer
from hub.stanzas.forms import FormField
from hub.things.model import (
    Command,
    FieldTypes,
    NodeRef,
    Reading,
    ReadoutRequest,
    Tokens,
    Trouble,
)
from hub.things.values import parse_datetime

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
@tokens_options
@account_option
@timeout_option
def read(
    jid: str, things: tuple[str, ...], history: bool, start: str | None, end: str | None,
    as_json: bool, tokens: Tokens, account_file: Path, timeout: float,
) -> None:  # fmt: skip
    """Read the values of a hub: all of them, of some THINGs, or single fields."""
    types = FieldTypes.ALL if history or start or end else FieldTypes.PRESENT
    nodes = tuple(NodeRef(name) for name in dict.fromkeys(thing.partition(".")[0] for thing in things))
    names = tuple(dict.fromkeys(thing.partition(".")[2] for thing in things if "." in thing))
    since, until = _moment(start, "--from"), _moment(end, "--to")

    def request(id_: str) -> ReadoutRequest:
        return ReadoutRequest(id_, nodes or None, names, types, since, until, tokens=tokens)

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
@tokens_options
@account_option
@timeout_option
def set_(
    jid: str, assignments: tuple[str, ...], as_json: bool, tokens: Tokens, account_file: Path, timeout: float
) -> None:
    """Set parameters, in the order given, and show what is read back.

    A switch takes on and off. With one controllable thing its name may be left out: PARAMETER=VALUE.
    """
    wanted = [_assignment(text) for text in assignments]
    readings = run(_set(jid, wanted, tokens, account_file, timeout))
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


async def _set(
    jid: str, wanted: list[tuple[str, str, str]], tokens: Tokens, account_file: Path, timeout: float
) -> list[Reading]:
    with waiting(f"setting {jid} …"):
        async with logged_in(account_file) as client:
            peer = Peer(client, jid, timeout)
            await peer.find()
            commands = [await _command(peer, thing, wanted, tokens) for thing in dict.fromkeys(t for t, _, _ in wanted)]
            done: list[Reading] = []
            for command in commands:  # everything was checked before the first one moves anything
                await peer.carry_out(command)
                names = tuple(assignment.name for assignment in command.assignments)
                request = partial(ReadoutRequest, nodes=command.nodes, names=names, types=FieldTypes.PRESENT,
                                  tokens=tokens)  # fmt: skip
                async for answer in peer.read(request):
                    done.extend(answer.readings)
            return done


async def _command(peer: Peer, thing: str, wanted: list[tuple[str, str, str]], tokens: Tokens) -> Command:
    """The command for one thing, typed by its own form."""
    _, fields = await peer.form((thing,) if thing else (), tokens)
    command = command_of(thing, fields, [(name, text) for of, name, text in wanted if of == thing])
    return replace(command, tokens=tokens)


# --------------------------------------------------------------------------- form


@click.command()
@click.argument("jid")
@click.argument("things", nargs=-1, metavar="[THING]...")
@json_option
@tokens_options
@account_option
@timeout_option
def form(
    jid: str, things: tuple[str, ...], as_json: bool, tokens: Tokens, account_file: Path, timeout: float
) -> None:
    """Show what can be set: of one THING, or what several have in common."""
    title, fields = run(_form(jid, things, tokens, account_file, timeout))
    if as_json:
        show.print_json({"title": title, "parameters": [_form_json(field) for field in fields]})
        return
    table = show.table("parameter", "type", "allowed", "now", "what it does", title=printable(title))
    for field in fields:
        cells = (field.name, field.type.value, _allowed(field), field.text, field.description)
        table.add_row(*map(printable, cells))
    show.console().print(table)


async def _form(
    jid: str, things: tuple[str, ...], tokens: Tokens, account_file: Path, timeout: float
) -> tuple[str, tuple[FormField, ...]]:
    with waiting(f"asking {jid} …"):
        async with logged_in(account_file) as client:
            peer = Peer(client, jid, timeout)
            await peer.find()
            return await peer.form(things, tokens)


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
