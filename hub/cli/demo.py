"""`hub demo`: the product on one machine, with nothing to set up."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging

import click

from hub.cli import show
from hub.cli.log import start_log
from hub.demo.run import Demo, Outcome, command_name


@click.command()
@click.option("--seconds", type=click.FloatRange(min=1), help="End by itself; exit code 0 if all worked, 1 if not.")
@click.option("--xml", is_flag=True, help="Let the node speak plain XML, without a gateway.")
@click.option("-v", "--verbose", is_flag=True, help="Log what is done instead of drawing.")
def demo(seconds: float | None, xml: bool, verbose: bool) -> None:
    """Show everything working: a private Prosody, an EXI gateway in front of it, a node with simulated chips and pins,
    and a live view that counts what EXI saves.

    All of it is on loopback and in a temporary folder, and goes with Ctrl-C.
    """
    start_log(verbose)
    if not verbose:
        logging.getLogger().setLevel(logging.ERROR)
    outcome = asyncio.run(_run(seconds, xml, verbose))
    if outcome.savings is not None:
        click.echo(outcome.savings.sentence())
    if seconds is not None:
        click.echo(f"readings received over XMPP: {outcome.readings}; command round trip: {outcome.command}")
        if not outcome.good:
            raise SystemExit(1)


async def _run(seconds: float | None, xml: bool, verbose: bool) -> Outcome:
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    console = show.console()
    live = Live(console=console, auto_refresh=False)

    view = show.LiveView()

    def draw() -> None:
        if console.is_terminal and not verbose:
            savings = running.outcome.savings
            on_top = [Text(savings.lines() + "\n", style="bold")] if savings is not None else []
            live.update(Group(*on_top, view.table(dt.datetime.now(dt.UTC)), Text(hints)), refresh=True)

    running = Demo(view.take, draw, exi=not xml)
    hub = f"HUB_ACCOUNT={running.owner_file} {command_name()}"
    hints = (
        "\nTry, in a second terminal:\n"
        f"  export {hub.partition(' ')[0]}\n"
        + "".join(f"  {command_name()} {line}\n" for line in (
            f"read {running.jid}", f"set {running.jid} pump.output=on", f"form {running.jid} lamp",
            f"set {running.jid} lamp.fade_time=500 lamp.brightness=40 lamp.on=on", f"watch {running.jid} --json",
        ))
        + "Ctrl-C ends everything."
    )  # fmt: skip

    def online() -> None:
        through = "" if xml else f", an EXI gateway in front of {running.server.address}"
        if console.is_terminal and not verbose:
            live.start()
        else:
            click.echo(f"{running.jid} is online at {running.address}{through}\n{hints}")

    try:
        return await running.run(seconds, online)
    finally:
        live.stop()
