"""`hub provisioning users`: whom services let in, and what their users may do there (XEP-0324 sections 3.6 and 3.7).

It works on the store of the configuration, next to the running service, which sees every change at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click

from hub.cli import show
from hub.cli.exits import NO
from hub.cli.stores import DEFAULT_CONFIG, with_store
from hub.cli.text import printable
from hub.provisioning.users import Entrance, Privileges, User, UserBook, is_granted

T = TypeVar("T")

LIST = "Each PRIVILEGE is include=ID or exclude=ID; the first that reaches an id decides."


@click.group()
@click.option("--config", type=click.Path(path_type=Path), default=DEFAULT_CONFIG, show_default=True)
@click.pass_context
def users(ctx: click.Context, config: Path) -> None:
    """Whom services let in, and what their users may do there."""
    ctx.obj = config


def _with_book(config: Path, job: Callable[[UserBook], Awaitable[T]]) -> T:
    """Raises ConfigError and StoreError."""
    return with_store(config, lambda store: job(UserBook(store)))


def _privileges(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> Privileges:
    made = []
    for text in texts:
        word, equals, id_ = text.partition("=")
        if word not in ("include", "exclude") or not equals:
            raise click.BadParameter(f'{text!r}: write "include=Sensors" or "exclude=Sensors.Delete"')
        made.append((word == "include", id_))
    return tuple(made)


def _entrances(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> tuple[Entrance, ...]:
    made = []
    for text in texts:
        word, _equals, conditions = text.partition("=")
        pairs = [condition.partition(":") for condition in conditions.split(",")] if conditions else []
        if word not in ("allow", "deny") or any(not colon for _, colon, _ in pairs):
            raise click.BadParameter(f'{text!r}: write "allow", "deny" or "allow=ip4:10.0.0.0/8,protocol:HTTPS"')
        made.append(Entrance(word == "allow", tuple((kind, pattern) for kind, _, pattern in pairs)))
    return tuple(made)


def _said(privileges: Privileges) -> list[str]:
    return [f"{'include' if included else 'exclude'}={printable(id_)}" for included, id_ in privileges]


def _entrance_said(entrance: Entrance) -> str:
    conditions = ",".join(f"{kind}:{printable(pattern)}" for kind, pattern in entrance.conditions)
    return ("allow" if entrance.allow else "deny") + (f"={conditions}" if conditions else "")


@users.command("list")
@click.argument("service", required=False)
@click.option("--json", "as_json", is_flag=True, help="For programs: JSON on standard output.")
@click.pass_obj
def list_(config: Path, service: str | None, as_json: bool) -> None:
    """The services that are known, or what is known about the users of one SERVICE (its JID)."""
    if service is None:
        services = _with_book(config, lambda book: book.services())
        if as_json:
            return show.print_json(list(services))
        return click.echo("\n".join(map(printable, services)) or "no service has users yet")

    async def read(book: UserBook) -> list[tuple[str, str, list[str]]]:
        rules = await book.rules(service)
        known = await book.users(service)
        return [
            ("entrances", "", [_entrance_said(entrance) for entrance in rules.entrances]),
            ("default", "", _said(rules.default)),
            *(("role", name, _said(privileges)) for name, privileges in rules.roles.items()),
            *(("user", name, [*(f"role={role}" for role in user.roles), *_said(user.privileges)])
              for name, user in known.items()),
        ]  # fmt: skip

    found = _with_book(config, read)
    if as_json:
        return show.print_json([{"kind": kind, "name": name, "list": lines} for kind, name, lines in found])
    table = show.table("kind", "name", "list")
    for kind, name, lines in found:
        table.add_row(kind, printable(name), " ".join(lines))
    show.console().print(table)


@users.command()
@click.argument("service")
@click.argument("entrances", nargs=-1, callback=_entrances)
@click.pass_obj
def entrances(config: Path, service: str, entrances: tuple[Entrance, ...]) -> None:
    """Whom SERVICE lets in: the first of ENTRANCES whose conditions are all met decides; without any, nobody.

    An entrance is allow or deny, with conditions on credentials: allow=ip4:10.0.0.0/8,protocol:HTTPS
    """
    _with_book(config, lambda book: book.set_entrances(service, entrances))


@users.command(epilog=LIST)
@click.argument("service")
@click.argument("privileges", nargs=-1, callback=_privileges)
@click.pass_obj
def default(config: Path, service: str, privileges: Privileges) -> None:
    """What everybody may do at SERVICE who was let in, known or not."""
    _with_book(config, lambda book: book.set_default(service, privileges))


@users.command(epilog=LIST)
@click.argument("service")
@click.argument("name")
@click.argument("privileges", nargs=-1, callback=_privileges)
@click.option("--remove", is_flag=True, help="There is no such role any more.")
@click.pass_obj
def role(config: Path, service: str, name: str, privileges: Privileges, remove: bool) -> None:
    """Make or replace the role NAME at SERVICE."""
    _with_book(config, lambda book: book.set_role(service, name, None if remove else privileges))


@users.command("set", epilog=LIST)
@click.argument("service")
@click.argument("name")
@click.argument("privileges", nargs=-1, callback=_privileges)
@click.option("--role", "roles", multiple=True, help="A role of his; can be given several times, in order.")
@click.pass_obj
def set_(config: Path, service: str, name: str, privileges: Privileges, roles: tuple[str, ...]) -> None:
    """Make or replace the user NAME at SERVICE: his own PRIVILEGES come before those of his roles."""
    _with_book(config, lambda book: book.set_user(service, name, User(roles, privileges)))


@users.command()
@click.argument("service")
@click.argument("name")
@click.pass_obj
def remove(config: Path, service: str, name: str) -> None:
    """Forget the user NAME of SERVICE."""
    _with_book(config, lambda book: book.set_user(service, name, None))


@users.command()
@click.argument("service")
@click.argument("name")
@click.argument("privilege")
@click.pass_obj
def test(config: Path, service: str, name: str, privilege: str) -> None:
    """Whether the user NAME has PRIVILEGE at SERVICE. Exit code 1 when not."""

    async def read(book: UserBook) -> Privileges:
        return (await book.rules(service)).privileges(await book.user(service, name))

    listed = _with_book(config, read)
    granted = is_granted(listed, privilege)
    click.echo("yes" if granted else "no")
    if not granted:
        raise SystemExit(NO)
