"""`hub gateway`: EXI in front of an XMPP server that has none."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from hub import notify
from hub.cli import service
from hub.cli.log import start_log
from hub.config.file import load_gateway
from hub.config.gateway import Gateway as Settings
from hub.errors import ConfigError, HubError
from hub.gateway.bounds import Bounds
from hub.gateway.domains import Domain, Domains
from hub.gateway.figures import Figures
from hub.gateway.limits import Limits
from hub.gateway.negotiation import Negotiator
from hub.gateway.product import built_in, default_grammars
from hub.gateway.server import Gateway
from hub.gateway.shared import Port, Shared
from hub.gateway.store import Store

log = logging.getLogger("hub.gateway")

STATUS_INTERVAL_S = 10.0
FILE = click.Path(path_type=Path)
T = TypeVar("T")


@click.command()
@click.argument("config", type=FILE, required=False)
@click.option("--listen", multiple=True, metavar="HOST:PORT", help="Where clients come, in XML first.")
@click.option("--exi-listen", multiple=True, metavar="HOST:PORT", help="Where clients come that begin with EXI.")
@click.option("--server", metavar="HOST:PORT", help="The XMPP server of --domain.")
@click.option("--domain", help="The domain that the gateway stands for.")
@click.option("--certificate", type=FILE, help="Its certificate chain, PEM.")
@click.option("--key", type=FILE, help="The key of the certificate, PEM.")
@click.option("--ca-file", type=FILE, help="Who vouches for the server. Default: the system's authorities.")
@click.option("--direct-tls", is_flag=True, help="The server wants TLS from the first byte on.")
@click.option("--store", type=FILE, help="The folder of schemas and agreements. Default: systemd's, or your own.")
@click.option("--metrics", metavar="HOST:PORT", help="Show the figures there, for OpenMetrics.")
@click.option("-v", "--verbose", is_flag=True, help="Log what is done, not only what matters.")
def gateway(config: Path | None, verbose: bool, **options: Any) -> None:
    """Run an EXI gateway: [gateway] of the file CONFIG, or of the options, which overrule it.

    SIGHUP re-reads domains and certificates; SIGUSR1 logs the figures; SIGTERM says goodbye to everybody and ends.
    """
    start_log(verbose)
    given = _given(options)
    settings = load_gateway(config, given)
    asyncio.run(_serve(settings, config, given))


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as they would stand in a file."""
    keys = ("server", "certificate", "key", "ca_file", "direct_tls")
    domain = {key: options[key] for key in keys if options[key]}
    given: dict[str, Any] = {key: list(options[key]) for key in ("listen", "exi_listen") if options[key]}
    given |= {key: options[key] for key in ("store", "metrics") if options[key]}
    if options["domain"]:
        given["domains"] = {options["domain"]: domain}
    elif domain:
        raise click.UsageError("--server, --certificate, --key, --ca-file and --direct-tls belong to a --domain")
    return {key: _plain(value) for key, value in given.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return str(value) if isinstance(value, Path) else value


# ---------------------------------------------------------------- from the file to the gateway


def shared_of(settings: Settings) -> Shared:
    """Raises LinkError for a certificate that is none."""
    limits = taken(Limits, settings)
    bounds = bounds_of(settings, limits)
    store = Store(settings.store or state_folder(), bounds, built_in())
    return Shared(
        domains=Domains(domains_of(settings)),
        limits=limits,
        figures=Figures(),
        negotiator=lambda: Negotiator(store, bounds),
        recall=store.recall,
        default_grammars=default_grammars() if settings.exi_listen else None,
    )


def bounds_of(settings: Settings, limits: Limits) -> Bounds:
    return dataclasses.replace(taken(Bounds, settings), limits=limits.exi(limits.stanza_size))


def domains_of(settings: Settings) -> list[Domain]:
    return [
        Domain(name=name, certificate=domain.certificate, key=domain.key, server=address(domain.server),
               ca_file=domain.ca_file, direct_tls=domain.direct_tls)
        for name, domain in settings.domains.items()
    ]  # fmt: skip


def ports_of(settings: Settings) -> dict[Port, list[tuple[str, int]]]:
    binary = Port.BINARY if settings.exi_tls else Port.BINARY_IN_THE_CLEAR
    return {Port.ORDINARY: list(map(address, settings.listen)), binary: list(map(address, settings.exi_listen))}


def taken(kind: type[T], settings: Settings) -> T:
    """A `kind` with every field that the settings have under the same name."""
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]  # dataclasses only
    return kind(**{field.name: getattr(settings, field.name)
                   for field in dataclasses.fields(settings) if field.name in names})  # fmt: skip


def address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def state_folder() -> Path:
    """systemd's, or the user's own (XDG)."""
    given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "hub-gateway"


# ---------------------------------------------------------------- running


async def _serve(settings: Settings, config: Path | None, given: Mapping[str, Any]) -> None:
    shared = shared_of(settings)
    running = Gateway(shared, ports_of(settings))
    await running.start()
    for port, addresses in running.addresses.items():
        for host, number in addresses:
            log.info("listening on %s port %d: %s", host, number, port.value)
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, _reload, shared, config, given)
    loop.add_signal_handler(signal.SIGUSR1, lambda: log.info("%s", figures_line(shared)))
    metrics = await _metrics(settings, shared)
    status = asyncio.create_task(_status(shared))
    notify.ready(figures_line(shared))
    try:
        async with service.under_signals(stopped.set):
            await stopped.wait()
    finally:
        notify.stopping()
        status.cancel()
        await asyncio.gather(status, return_exceptions=True)
        if metrics is not None:
            metrics.close()
        await running.drain()
        log.info("stopped; %s", figures_line(shared))


async def _metrics(settings: Settings, shared: Shared) -> asyncio.Server | None:
    if settings.metrics is None:
        return None
    try:
        from hub.gateway import metrics
    except ImportError:
        raise HubError("metrics take prometheus_client: `pip install 'xmpp-iot-hub[gateway]'`") from None
    server = await metrics.serve(*address(settings.metrics), shared.figures, shared.limits)
    log.info("figures are at http://%s/metrics", settings.metrics)
    return server


def _reload(shared: Shared, config: Path | None, given: Mapping[str, Any]) -> None:
    notify.reloading()
    try:
        shared.domains.load(domains_of(load_gateway(config, given)))
        log.info("domains and certificates were read again")
    except ConfigError as error:
        log.error("nothing was read again, the old domains go on:\n%s", error)
    except HubError as error:
        log.error("nothing was read again, the old domains go on: %s", error)
    finally:
        notify.ready(figures_line(shared))


def figures_line(shared: Shared) -> str:
    return shared.figures.line(time.process_time())


async def _status(shared: Shared) -> None:
    """The status for systemd; on a terminal a line that is written over."""
    terminal = sys.stderr.isatty()
    while True:
        await asyncio.sleep(1.0 if terminal else STATUS_INTERVAL_S)
        line = figures_line(shared)
        notify.status(line)
        if terminal:
            with contextlib.suppress(OSError):
                width = os.get_terminal_size(sys.stderr.fileno()).columns
                click.echo(f"\r\x1b[K{line[: width - 1]}\r", err=True, nl=False)
