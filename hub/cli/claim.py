"""`hub claim`, `remove` and `disown`: an owner and his things at a registry (XEP-0347)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element

import click

from hub.cli import claim_code
from hub.cli.account import account_option, logged_in, run, timeout_option
from hub.cli.ask import waiting
from hub.cli.text import printable
from hub.config.file import load
from hub.errors import BadRequest, HubError, PeerConfused, PeerError, PeerRefused
from hub.programs.node import state_dir
from hub.programs.node_trust import RECORD, claim_uri
from hub.services.finding import hosted_registry
from hub.services.iq import ask
from hub.services.servers import Servers
from hub.stanzas import iotdisco
from hub.stanzas.dialects import DISCOVERY_REQUESTS, DiscoveryCodec
from hub.stanzas.provisioning import DiscoveryRequest
from hub.things.model import NodeRef
from hub.things.questions import bare
from hub.trust.ownership import State, read_record

KEY: Final = "KEY"

registry_option = click.option(
    "--registry", default="", metavar="JID", help="The registry.  [default: what the URI names, or your server hosts]"
)

_OFFLINE = "the hub is not online, so nobody could claim it again: switch it on first"
_ABSENT = "it is no registry, or is not there; name another with --registry"
_WORDS = {
    "item-not-found": "there is nothing of that kind that is yours, or that is still to be claimed",
    "resource-constraint": "too many attempts: wait a while",
    "service-unavailable": _ABSENT,
    "feature-not-implemented": _ABSENT,
    "remote-server-not-found": _ABSENT,
}


@click.command()
@click.argument("uri", required=False)
@click.option("--private", is_flag=True, help="Searches of others do not find it.")
@click.option("--show", is_flag=True, help="Show what claims the hub of --config, on that hub.")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="With --show: the hub's file.")
@registry_option
@account_option
@timeout_option
def claim(
    uri: str | None, private: bool, show: bool, config_file: Path | None, registry: str, account_file: Path,
    timeout: float,
) -> None:  # fmt: skip
    """Make a hub yours: say what its QR code says (URI), which the hub shows until it has an owner."""
    if show:
        if config_file is None or uri is not None:
            raise click.UsageError("--show takes --config FILE and no URI")
        claim_code.show(_uri_of(config_file))
        return
    if uri is None:
        raise click.UsageError("name the URI that the hub shows, or ask for --show")
    try:
        said = iotdisco.decode(uri)
    except BadRequest as error:
        raise click.BadParameter(str(error), param_hint="URI") from None
    if KEY not in said.tags:
        raise click.BadParameter(f"it has no {KEY}: put the whole of it into quotes ('iotdisco:…;KEY=…'), for a shell "
                                 "ends a command at a semicolon", param_hint="URI")  # fmt: skip
    thing = run(_claim(said, registry, not private, account_file, timeout))
    click.echo(printable(f"{thing} is yours"))
    click.echo("What others want of it you are asked in chat; `hub disown` gives it up.", err=True)


@click.command()
@click.argument("jid")
@registry_option
@account_option
@timeout_option
def remove(jid: str, registry: str, account_file: Path, timeout: float) -> None:
    """Take a hub of yours out of the registry: searches do not find it any more. It stays yours."""
    run(_about(DiscoveryRequest.REMOVE, jid, registry, account_file, timeout))
    click.echo(printable(f"{bare(jid)} is found by nobody any more; it is still yours"))


@click.command()
@click.argument("jid")
@registry_option
@account_option
@timeout_option
def disown(jid: str, registry: str, account_file: Path, timeout: float) -> None:
    """Give a hub up: it refuses everybody until somebody claims it with its new code. It has to be online."""
    run(_about(DiscoveryRequest.DISOWN, jid, registry, account_file, timeout))
    click.echo(printable(f"{bare(jid)} is nobody's now, and shows a new code"))


def _uri_of(config_file: Path) -> str:
    config = load(config_file)
    if config.trust is None:
        raise HubError(f"{config_file} has no [trust]: nobody can claim this hub")
    path = state_dir(config) / RECORD
    try:
        record = read_record(path)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise HubError(f"{path} cannot be read ({error}); run this as the hub's user") from None
    if record is None or record.state is State.UNREGISTERED:
        raise HubError("this hub has not registered yet: it does when it runs (`hub node`) and reaches a registry; its "
                       "log says what it waits for")  # fmt: skip
    if record.state is not State.UNCLAIMED:
        raise HubError(f"this hub belongs to {record.owner} already")
    return claim_uri(config.trust, record)


async def _claim(said: iotdisco.Claim, registry: str, public: bool, account_file: Path, timeout: float) -> str:
    def mine(codec: DiscoveryCodec) -> Element:
        return codec.encode_mine(said.tags, public=public)

    with waiting("claiming …"):
        codec, result = await _told(mine, registry or said.registry, account_file, timeout)
    answer = next((child for child in result if child.tag in DISCOVERY_REQUESTS), None)
    if answer is None:
        raise PeerConfused("the registry is content, but does not say which thing is yours now")
    try:
        return codec.decode_claimed(answer)[0]
    except BadRequest as error:
        raise PeerConfused(f"the registry's answer cannot be read: {error}") from None


async def _about(request: DiscoveryRequest, jid: str, registry: str, account_file: Path, timeout: float) -> None:
    with waiting(f"{request.value}: {jid} …"):
        await _told(
            lambda codec: codec.encode_node(request, NodeRef(""), bare(jid)), registry, account_file, timeout,
            disowning=request is DiscoveryRequest.DISOWN,
        )  # fmt: skip


async def _told(
    encode: Callable[[DiscoveryCodec], Element], registry: str, account_file: Path, timeout: float,
    disowning: bool = False,
) -> tuple[DiscoveryCodec, Element]:  # fmt: skip
    async with logged_in(account_file) as client:
        servers = Servers(client, lambda jid: client.send_presence_subscription(pto=jid), timeout)
        where, codec = await servers.discovery(registry.lower() or await hosted_registry(servers, client))
        try:
            return codec, await ask(client, where, "set", encode(codec), timeout)
        except PeerRefused as refused:
            said = _OFFLINE if refused.condition == "not-allowed" and disowning else _WORDS.get(refused.condition)
            raise PeerError(f"{where} says no: {said} ({refused})") if said else refused from None
