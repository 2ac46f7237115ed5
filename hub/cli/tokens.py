"""`hub provisioning tokens`: who has which token (XEP-0324 section 3.1.3), and to whom it says nothing any more."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path

import click

from hub.cli import show
from hub.cli.stores import config_option, with_store
from hub.cli.text import printable
from hub.provisioning.store import TokenRecord
from hub.things.questions import bare


@click.group()
def tokens() -> None:
    """Tokens of devices and services: who has which. A rule can name one (rules add --token)."""


@tokens.command("list")
@config_option
@click.option("--of", "subject", metavar="JID", help="Only those that were given to JID.")
@click.option("--json", "as_json", is_flag=True, help="For programs: JSON on standard output.")
def list_(config: Path, subject: str | None, as_json: bool) -> None:
    """List the tokens: whose, until when, and for which certificate."""
    now = dt.datetime.now(dt.UTC)
    kept = with_store(config, lambda store: store.tokens())
    chosen = [each for each in kept if subject is None or each.subject == bare(subject)]
    if as_json:
        return show.print_json([_as_json(each, now) for each in chosen])
    for each in chosen:
        state = "expired" if each.expires <= now else "good until"
        click.echo(f"{printable(each.subject)}: {each.token}")
        click.echo(f"    {state} {each.expires:%Y-%m-%d %H:%M} UTC, certificate SHA-256 {_fingerprint(each)}")
    if not chosen:
        click.echo("no token has been given" + (f" to {printable(subject)}" if subject else "") + " yet")


@tokens.command()
@config_option
@click.argument("token", nargs=-1, required=True)
def revoke(config: Path, token: tuple[str, ...]) -> None:
    """Make every TOKEN worth nothing, at once. Things at which it has counted are told to forget what they remember;
    its certificate can bring another: a rule about its owner keeps him out."""
    unknown = []
    for each in token:
        gone = with_store(config, lambda store, each=each: store.revoke_token(each))  # type: ignore[misc]  # mypy infers no default
        if gone is None:
            unknown.append(each)
        else:
            click.echo(f"revoked: {each} of {printable(gone.subject)}")
    if unknown:
        raise click.ClickException(f"there is no token {printable(', '.join(unknown))}; "
                                   "`hub provisioning tokens list` shows them")  # fmt: skip


def _fingerprint(record: TokenRecord) -> str:
    return hashlib.sha256(record.certificate).hexdigest()


def _as_json(record: TokenRecord, now: dt.datetime) -> dict[str, object]:
    return {
        "token": record.token, "of": record.subject, "created": record.created.isoformat(),
        "expires": record.expires.isoformat(), "expired": record.expires <= now, "certificate": _fingerprint(record),
    }  # fmt: skip
