"""`hub watch`: hubs followed from a client, by events where a hub offers them, by what it publishes else."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from devices.base import Duration, ValueType
from hub.cli import show
from hub.cli.account import account_option, logged_in, run, timeout_option
from hub.cli.ask import json_option
from hub.cli.text import printable
from hub.errors import PeerError
from hub.services.peer import Peer
from hub.services.peer_events import MARGIN_S, Limits, Watch, Wish
from hub.things.model import Answer
from hub.things.values import parse_text, to_text

Arriving = asyncio.Queue[tuple[str, Answer]]


@click.command()
@click.argument("jids", nargs=-1, required=True, metavar="JID...")
@click.option("--change", "changes", multiple=True, metavar="THING.FIELD=BY",
              help="Tell of THING only when this field has changed by that much, in its unit; can be repeated.")
@click.option("--min", "shortest", default="1s", show_default=True, help="At least so long between two events.")
@click.option("--max", "longest", default="5m", show_default=True, help="At most so long, also without a change.")
@click.option("--pubsub", is_flag=True, help="What the hub publishes for all, at its own pace; no event subscriptions.")
@json_option
@account_option
@timeout_option
def watch(
    jids: tuple[str, ...], changes: tuple[str, ...], shortest: str, longest: str, pubsub: bool, as_json: bool,
    account_file: Path, timeout: float,
) -> None:  # fmt: skip
    """Follow one or more hubs: every reading as it comes, until Ctrl-C. With --json a line for each value.

    A hub that offers event subscriptions tells of what changes when it changes; of one that does not, what it
    publishes is shown.
    """
    wish = Wish(_limits(changes), _span(shortest, "--min"), _span(longest, "--max"))
    if wish.longest < max(wish.shortest, dt.timedelta(seconds=1)):
        raise click.BadParameter("at least 1s, and not shorter than --min", param_hint="--max")
    run(_watch(jids, None if pubsub else wish, as_json, account_file, timeout))


def _limits(changes: tuple[str, ...]) -> Limits:
    limits: dict[tuple[str, str], Decimal] = {}
    for text in changes:
        name, equals, by = text.partition("=")
        thing, dot, field = name.partition(".")
        try:
            limit = parse_text(ValueType.NUMERIC, by)
        except ValueError:
            limit = Decimal(0)
        if not (thing and dot and field and equals and isinstance(limit, Decimal) and limit > 0):
            raise click.BadParameter(f"{text!r} is not THING.FIELD=BY, with a number above 0", param_hint="--change")
        limits[thing, field] = limit
    return limits


def _span(text: str, option: str) -> dt.timedelta:
    try:
        return dt.timedelta(seconds=Duration.parse(text))
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not {error}", param_hint=option) from None


async def _watch(jids: tuple[str, ...], wish: Wish | None, as_json: bool, account_file: Path, timeout: float) -> None:
    view = show.LiveView(max(show.STALE_S, wish.longest.total_seconds() + MARGIN_S if wish is not None else 0))
    console = show.console()
    async with logged_in(account_file) as client:
        peers = [Peer(client, jid, timeout) for jid in jids]
        for peer in peers:
            await peer.find()
        arriving: Arriving = asyncio.Queue()
        followers = [asyncio.create_task(_follow(peer, wish, arriving)) for peer in peers]
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


async def _follow(peer: Peer, wish: Wish | None, arriving: Arriving) -> None:
    name = peer.jid.partition("/")[0]
    if wish is not None and peer.events is not None:
        async with aclosing(Watch(peer, replace(wish, known={})).answers()) as answers:
            async for answer in answers:
                arriving.put_nowait((name, answer))
    places = await peer.published()
    if not places:
        raise PeerError(f"{peer.jid} publishes nothing that you may see")
    try:
        async for answer in peer.watch(places):
            arriving.put_nowait((name, answer))
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
