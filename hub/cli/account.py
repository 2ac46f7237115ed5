"""Whose account a client command uses: a small file with an `[xmpp]` table like a node's.

    [xmpp]
    jid = "owner@example.org"
    password_file = "~/.config/hub/owner.password"
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import click

from hub.config.file import parse
from hub.errors import LinkError
from hub.programs.node import account_of
from hub.session.client import Client
from hub.session.link import Link
from hub.things.model import Tokens

LOGIN_TIMEOUT_S = 30.0


def default_file() -> Path:
    base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return Path(os.environ.get("HUB_ACCOUNT") or base / "hub/account.toml")


account_option = click.option(
    "--account", "account_file", type=click.Path(path_type=Path), default=default_file,
    help="The file with your own [xmpp] jid and password_file.  [default: $HUB_ACCOUNT or ~/.config/hub/account.toml]",
)  # fmt: skip


def tokens_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `tokens`: what the caller shows with a request."""

    @wraps(command)
    def with_tokens(
        *, device_token: tuple[str, ...], service_token: tuple[str, ...], user_token: tuple[str, ...], **given: Any
    ) -> Any:
        joined = (" ".join(service_token), " ".join(device_token), " ".join(user_token))  # section 3.1.5
        return command(tokens=Tokens(*joined), **given)

    made = with_tokens
    for kind in ("user", "service", "device"):
        made = click.option(
            f"--{kind}-token", multiple=True, metavar="TOKEN",
            help=f"A {kind} token to show, given to your address by the hub's provisioning server.",
        )(made)  # fmt: skip
    return made


timeout_option = click.option("--timeout", default=15.0, show_default=True, help="Seconds to wait for the hub.")


@asynccontextmanager
async def logged_in(file: Path) -> AsyncIterator[Any]:
    """A client that is online as the account in `file`. Raises LinkError or ConfigError with what to do."""
    try:
        text = await asyncio.to_thread(file.read_text, encoding="utf-8")
    except OSError as error:
        raise LinkError(
            f"no account to log in with ({error}); write one:\n\n  [xmpp]\n  jid = \"you@example.org\"\n"
            f"  password_file = \"/path/to/password\"\n\nto {file}, or name another file with --account"
        ) from None
    account = account_of(parse(text, str(file)))
    client = Client(account, resource=f"cli-{secrets.token_hex(4)}")
    link = Link(client, lambda up, fresh: None)
    try:
        await link.online(LOGIN_TIMEOUT_S)
        yield client
    except TimeoutError:
        raise LinkError(f"{account.jid} could not log in within {LOGIN_TIMEOUT_S:g} s") from None
    finally:
        await link.stop()


def run(work: Any) -> Any:
    """Run a coroutine to its end; Ctrl-C ends it cleanly."""
    return asyncio.run(work)


