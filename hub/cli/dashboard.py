"""`hub dashboard`: a page for hubs, and the hashes of the passwords for it."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import Final

import click

from hub.cli import service
from hub.cli.log import start_log
from hub.config.file import load_dashboard

log = logging.getLogger("hub.dashboard")

DEFAULT_CONFIG: Final = Path("/etc/hub/dashboard.toml")
MIN_PASSWORD: Final = 8  # characters
MAX_PASSWORD: Final = 1_000


@click.group(invoke_without_command=True)
@click.option("--config", "path", type=click.Path(path_type=Path), default=DEFAULT_CONFIG, show_default=True)
@click.option("-v", "--verbose", is_flag=True, help="Log what is done, not only what matters.")
@click.pass_context
def dashboard(context: click.Context, path: Path, verbose: bool) -> None:
    """Show hubs on a page: live values, charts, controls. It may run on any machine; `hub check --dashboard-example`
    prints a file to start from. SIGTERM ends it.
    """
    if context.invoked_subcommand is None:
        start_log(verbose)
        _run(path)


def _run(path: Path) -> None:
    config = load_dashboard(path)
    service.go_without_pygments()
    from hub.programs.dashboard import DashboardServer, account_of

    account = account_of(config)

    async def serve() -> None:
        await service.run(DashboardServer(config.dashboard, account))

    asyncio.run(serve())


@dashboard.command()
def password() -> None:
    """Print the hash of a password, for [dashboard.users.NAME] password_hash.

    It asks twice, or takes a line from standard input where that is no terminal.
    """
    from hub.programs.dashboard import password_hash

    if sys.stdin.isatty():
        given = click.prompt("Password", hide_input=True, confirmation_prompt="Again", err=True)
    else:
        given = sys.stdin.readline().rstrip("\r\n")
    if not MIN_PASSWORD <= len(given) <= MAX_PASSWORD:
        raise click.UsageError(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    click.echo(password_hash(given))
