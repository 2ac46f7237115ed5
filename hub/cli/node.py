"""`hub node`: the service. systemd runs it; so can you."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from devices.bus import Buses
from hub import notify
from hub.cli import service
from hub.cli.log import start_log
from hub.config.file import load
from hub.errors import ConfigError, HubError

if TYPE_CHECKING:
    from hub.config.node import Config
    from hub.programs.node import Node
    from hub.programs.node_trust import Search

log = logging.getLogger("hub.programs.node")

DEFAULT_CONFIG = Path("/etc/hub/hub.toml")


@click.command()
@click.option("--config", "path", type=click.Path(path_type=Path), default=DEFAULT_CONFIG, show_default=True)
@click.option("--simulate", is_flag=True, help="Use stand-ins for every chip and pin: nothing real is touched.")
@click.option("--pin-trace", type=click.Path(path_type=Path), help="With --simulate: write every change of a pin here.")
@click.option("-v", "--verbose", is_flag=True, help="Log what is done, not only what matters.")
def node(path: Path, simulate: bool, pin_trace: Path | None, verbose: bool) -> None:
    """Run a node: read its chips, answer for them, keep its outputs safe.

    SIGHUP re-reads the file and changes only what changed; SIGTERM drives the outputs to their safe states and ends.
    """
    start_log(verbose)
    config = load(path)
    service.go_without_pygments()
    from hub.programs.node import Node

    for missing in config.missing_files():
        log.error("%s", missing)
    buses = Buses()
    if simulate:
        from devices.fake import SimulatedBuses

        buses = SimulatedBuses(pin_trace)
    asyncio.run(serve(Node(config, buses, search=_search(config, path)), path))


def _search(config: Config, path: Path) -> Search:
    """Shows what claims this hub; QR codes are known only to a hub that can be claimed."""

    def search(uri: str | None) -> None:
        from hub.cli import claim_code
        from hub.programs.node import state_dir

        claim_code.searching(state_dir(config), path, uri)

    return search


async def serve(running: Node, path: Path) -> None:
    """Run `running` under signals until one ends it."""
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()

    def reload() -> None:
        task = asyncio.create_task(_reload(running, path))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGHUP, reload)
    # systemd's watchdog ends a hung program with SIGABRT; not through the loop, which may be what hangs.
    signal.signal(signal.SIGABRT, lambda *_: _abort(running))
    await service.run(running)


def _abort(running: Node) -> None:
    log.critical("told to abort: the program hangs")
    running.last_resort()
    faulthandler.dump_traceback(all_threads=True)
    os._exit(128 + signal.SIGABRT)


async def _reload(running: Node, path: Path) -> None:
    notify.reloading()
    try:
        await running.reload(path)
    except ConfigError as error:
        log.error("the configuration was NOT reloaded, the old one goes on:\n%s", error)
    except HubError as error:
        log.error("the configuration was NOT reloaded, the old one goes on: %s", error)
    finally:
        notify.ready(f"{len(running.things)} things")
