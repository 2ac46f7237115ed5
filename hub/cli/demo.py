"""`hub demo`: the product on one machine, with nothing to set up."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from typing import TYPE_CHECKING

import click

from hub.cli import show
from hub.cli.log import start_log
from hub.demo.dashboard import installed
from hub.demo.run import Demo, Outcome, command_name

if TYPE_CHECKING:
    from rich.console import Console, Group


@click.command()
@click.option("--seconds", type=click.FloatRange(min=1), help="End by itself; exit code 0 if all worked, 1 if not.")
@click.option("--xml", is_flag=True, help="Let the node speak plain XML, without a gateway.")
@click.option("--no-dashboard", is_flag=True, help="Without the page.")
@click.option("-v", "--verbose", is_flag=True, help="Log what is done instead of drawing.")
def demo(seconds: float | None, xml: bool, no_dashboard: bool, verbose: bool) -> None:
    """Show everything working: a private Prosody, an EXI gateway in front of it, a node with simulated chips and pins,
    a page in the browser, and a live view that counts what EXI saves.

    All of it is on loopback and in a temporary folder, and goes with Ctrl-C.
    """
    start_log(verbose)
    if not verbose:
        logging.getLogger().setLevel(logging.ERROR)
    outcome = asyncio.run(_run(seconds, xml, not no_dashboard and installed(), verbose))
    if outcome.savings is not None:
        click.echo(outcome.savings.sentence())
    if seconds is not None:
        click.echo(f"readings received over XMPP: {outcome.readings}; command round trip: {outcome.command}")
        if outcome.page is not None:
            click.echo(f"the page: {outcome.page or 'fetched, and the node is on it'}")
        if not outcome.good:
            raise SystemExit(1)


async def _run(seconds: float | None, xml: bool, page: bool, verbose: bool) -> Outcome:
    from rich.live import Live

    console = show.console()
    live = Live(console=console, auto_refresh=False)
    drawing = console.is_terminal and not verbose
    view = show.LiveView()

    def draw() -> None:
        if drawing:
            live.update(_screen(console, view, running), refresh=True)

    running = Demo(view.take, draw, exi=not xml, page=page)

    def online() -> None:
        through = "" if xml else f", an EXI gateway in front of {running.server.address}"
        if drawing:
            live.start()
        else:
            click.echo(f"{running.jid} is online at {running.address}{through}\n\n{_hints(running)}")

    try:
        return await running.run(seconds, online)
    finally:
        live.stop()


def _screen(console: Console, view: show.LiveView, running: Demo) -> Group:
    """What EXI saves, the newest values, and what to try: in fewer words where the terminal has not the lines."""
    from rich.console import Group
    from rich.text import Text

    savings = running.outcome.savings
    top = [Text(f"{savings.lines()}\n", style="bold")] if savings is not None else []
    table = view.table(dt.datetime.now(dt.UTC))
    whole = Group(*top, table, Text(f"\n{_hints(running)}"))
    if len(console.render_lines(whole)) <= console.height:
        return whole
    return Group(*top, table, Text(f"\n{_short_hints(running)}"))


def _hints(running: Demo) -> str:
    commands = (
        f"read {running.jid}", f"set {running.jid} pump.output=on", f"form {running.jid} lamp",
        f"set {running.jid} lamp.fade_time=500 lamp.brightness=40 lamp.on=on", f"watch {running.jid} --json",
    )  # fmt: skip
    return "\n".join([
        _page(running),
        "Try, in a second terminal:",
        f"  export HUB_ACCOUNT={running.owner_file}",
        *(f"  {command_name()} {command}" for command in commands),
        "Ctrl-C ends everything.",
    ])  # fmt: skip


def _short_hints(running: Demo) -> str:
    return (
        f"{_page(running)}\nIn a second terminal: export HUB_ACCOUNT={running.owner_file}\n"
        f"{command_name()} set {running.jid} pump.output=on"
    )


def _page(running: Demo) -> str:
    if running.dashboard is not None:
        return f"The page: {running.dashboard.address}"
    return "There is a page too, with `pip install '.[dashboard]'`." if not installed() else "(without the page)"
