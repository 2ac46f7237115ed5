"""The command line. Nothing here decides anything: it asks, waits and shows.

    node.py      hub node: the service
    ask.py       hub read, set, form: a hub from a client
    watch.py     hub watch
    claim.py     hub claim, remove, disown: an owner at a registry
    history.py   hub history: what a hub remembers; plot.py draws it
    files.py     hub check, config-schema, devices: nothing connected
    demo.py      hub demo
    exi.py       hub exi: the codec
    gateway.py   hub gateway: EXI in front of a server
    dashboard.py hub dashboard: the page, and hashes of passwords
    provisioning.py  hub provisioning: the service and its rules
    audit.py     hub audit: what was decided and done, and whether its log was changed
    users.py     hub provisioning users: whom services let in, and what their users may do
    account.py   whose account a client command uses
    claim_code.py what claims a hub, as a QR code
    show.py      tables, live views and JSON of readings
    log.py       the log on standard error
    text.py      text from elsewhere, made fit for a terminal
    exits.py     exit codes, and every error in one sentence

Each command's file is imported when it is called: `hub node` must stay small, and does not know tables.
"""

from __future__ import annotations

import importlib
from typing import Any

import click

from hub.cli.exits import EXIT_CODES, guarded

_COMMANDS = {
    "node": "hub.cli.node:node",
    "read": "hub.cli.ask:read",
    "set": "hub.cli.ask:set_",
    "form": "hub.cli.ask:form",
    "watch": "hub.cli.watch:watch",
    "claim": "hub.cli.claim:claim",
    "remove": "hub.cli.claim:remove",
    "disown": "hub.cli.claim:disown",
    "history": "hub.cli.history:history",
    "devices": "hub.cli.files:devices_",
    "check": "hub.cli.files:check",
    "exi": "hub.cli.exi:group",
    "gateway": "hub.cli.gateway:gateway",
    "provisioning": "hub.cli.provisioning:provisioning",
    "dashboard": "hub.cli.dashboard:dashboard",
    "audit": "hub.cli.audit:audit",
    "config-schema": "hub.cli.files:config_schema",
    "demo": "hub.cli.demo:demo",
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=_Lazy, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="xmpp-iot-hub")
def hub() -> None:
    """Sensors and actuators on open, federated XMPP."""


def main(arguments: list[str] | None = None) -> Any:
    """Run a command; errors are one sentence and an exit code."""
    return guarded(hub, arguments)
