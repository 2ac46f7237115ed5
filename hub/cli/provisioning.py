"""`hub provisioning`: the provisioning server and thing registry, and its rules from the command line.

Rules of this file
* The rule commands open the same store as the running service, which notices the change within a second or two and
  tells the things; none has to run for them.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hub.cli import service
from hub.cli.exits import NO
from hub.cli.log import start_log
from hub.cli.stores import DEFAULT_CONFIG, config_option, with_store
from hub.cli.text import printable
from hub.cli.tokens import tokens
from hub.cli.users import users
from hub.config.file import load_provisioning
from hub.errors import StoreError
from hub.provisioning import plain, rulefile
from hub.provisioning.decisions import checked
from hub.provisioning.model import Registered, RuleBook, ThingId
from hub.provisioning.owner import in_one_line
from hub.provisioning.plain import TYPE_NAMES, NotARule, rule_of
from hub.provisioning.rules import decide
from hub.provisioning.store import Store
from hub.things.model import FieldTypes, NodeRef, Tokens
from hub.things.questions import Question, Right, Verdict

log = logging.getLogger("hub.provisioning")



class _RunsByDefault(click.Group):
    """`hub provisioning FILE` is `hub provisioning run FILE`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_RunsByDefault)
def provisioning() -> None:
    """The provisioning server and thing registry (XEP-0324, XEP-0347): run it, or see to its rules.

    Without a command it runs: `hub provisioning [CONFIG]`.
    """


provisioning.add_command(tokens)
provisioning.add_command(users)


# --------------------------------------------------------------------------- running


@provisioning.command()
@click.argument("config", type=click.Path(path_type=Path), default=DEFAULT_CONFIG)
@click.option("-v", "--verbose", is_flag=True, help="Log every decision, not only what matters.")
@click.option("--renamed", is_flag=True, help="Take over a store from the service's earlier jid.")
def run(config: Path, verbose: bool, renamed: bool) -> None:
    """Run the service: [provisioning] of the file CONFIG (/etc/hub/provisioning.toml). SIGTERM ends it."""
    start_log(verbose)
    settings = load_provisioning(config)
    service.go_without_pygments()
    from hub.programs.provisioning import ProvisioningServer, secret_of

    secret = secret_of(settings)

    async def serve() -> None:
        await service.run(ProvisioningServer(settings, secret, renamed=renamed))

    asyncio.run(serve())


def _say(line: str) -> None:
    click.echo(printable(line))


# --------------------------------------------------------------------------- rules


@provisioning.group()
def rules() -> None:
    """Who may do what: the operator's rules (without --owner) come before those of owners; what no rule allows and is
    not the owner's own is refused."""


@rules.command("list")
@config_option
@click.option("--owner", help="Only the rules of this owner; \"\" for the operator's.")
def list_(config: Path, owner: str | None) -> None:
    """List the rules in their order."""
    book = with_store(config, lambda store: store.rule_book())
    chosen = [rule for rule in book.rules if owner is None or rule.owner == owner.lower()]
    for rule in chosen:
        _say(f"{rule.id:>4}  {rule.order:>5}  {rule.owner or '(operator)'}: {in_one_line(rule)}")
    for name, members in sorted(book.groups.items()) if owner is None else ():
        _say(f"group {name}: {', '.join(members)}")


def _conditions(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed([
        click.option("--who", multiple=True, metavar="PATTERN", help='"ann@example.org", "*@example.org" or "*".'),
        click.option("--group", "groups", multiple=True, help="A named list of such patterns."),
        click.option("--token", "tokens", multiple=True, help="Who shows this token."),
        click.option("--thing", "things", multiple=True, metavar="JID", help="Bare JID of a thing; none: every one."),
        click.option("--node", "nodes", multiple=True, help="A node of it; none: every one."),
        click.option("--name", "names", multiple=True, help="A field or parameter; none: every one."),
        click.option("--type", "types", multiple=True, type=click.Choice(list(TYPE_NAMES)), metavar="TYPE",
                     help="A type of field, like momentary, present or historical; none: every one."),
        click.option("--from", "start", metavar="HH:MM", help="From this time of day …"),
        click.option("--to", "end", metavar="HH:MM", help="… to this one."),
        click.option("--day", "days", multiple=True, type=click.Choice(plain.DAYS), help="On this day of the week."),
        click.option("--zone", help='The time zone of these hours, like "Europe/Stockholm".  [default: UTC]'),
        click.option("--owner", default="", help="Whose rule it is; none: the operator's."),
        click.option("--order", type=int, default=0, help="Rules are tried from the lowest up.  [default: last]"),
        click.option("--note", default="", help="What it is for."),
    ]):  # fmt: skip
        command = option(command)
    return command


@rules.command()
@config_option
@click.argument("verdict", type=click.Choice(["allow", "deny"]))
@click.argument("right", type=click.Choice([right.value for right in Right]))
@_conditions
def add(config: Path, verdict: str, right: str, **given: Any) -> None:
    """Add a rule: `hub provisioning rules add allow read --who '*@example.org' --thing meter@example.org`."""
    hours = {key: given.pop(option) for key, option in (("from", "start"), ("to", "end"), ("zone", "zone"))}
    days = list(given.pop("days"))
    table = {key: list(value) if isinstance(value, tuple) else value for key, value in given.items() if value}
    if any(hours.values()) or days:
        table["hours"] = {key: value for key, value in hours.items() if value} | ({"days": days} if days else {})
    try:
        rule = rule_of({"right": right, "allow": verdict == "allow", **table})
    except NotARule as error:
        raise click.UsageError(str(error)) from None
    added = with_store(config, lambda store: store.add_rule(rule))
    _say(f"rule {added.id}: {in_one_line(added)}")


@rules.command()
@config_option
@click.argument("number", type=int)
def remove(config: Path, number: int) -> None:
    """Remove the rule with this NUMBER."""
    removed = with_store(config, lambda store: store.remove_rule(number))
    if removed is None:
        raise click.ClickException(f"there is no rule {number}; `hub provisioning rules list` shows them")
    _say(f"removed: {in_one_line(removed)}")


@rules.command("group")
@config_option
@click.argument("name")
@click.argument("members", nargs=-1)
def group_(config: Path, name: str, members: tuple[str, ...]) -> None:
    """Make NAME a group of these patterns; without any, there is no such group any more."""
    with_store(config, lambda store: store.set_group(name, members))
    _say(f"group {name}: {', '.join(members) or 'removed'}")


@rules.command()
@config_option
@click.argument("file", type=click.Path(path_type=Path), required=False)
def export(config: Path, file: Path | None) -> None:
    """Write all rules and groups as TOML to FILE, or to standard output."""
    text = rulefile.written(with_store(config, lambda store: store.rule_book()))
    if file is None:
        click.echo(text, nl=False)
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror}") from None
    _say(f"{file}: written")


@rules.command("import")
@config_option
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask.")
def import_(config: Path, file: Path, yes: bool) -> None:
    """Replace all rules and groups, owners' too, by those of the TOML file FILE."""
    book = rulefile.load(file)
    before = with_store(config, lambda store: store.rule_book())
    if not yes:
        click.confirm(f"Replace {len(before.rules)} rules by the {len(book.rules)} of {file}?", abort=True)
    with_store(config, lambda store: store.replace_rules(book))
    _say(f"{len(book.rules)} rules and {len(book.groups)} groups; there were {len(before.rules)} rules")


# --------------------------------------------------------------------------- trying them out


def _questions(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed([
        click.option("--thing", "things", multiple=True, metavar="JID", help="The thing; none: all that have asked."),
        click.option("--node", "nodes", multiple=True, help="A node of it; none: all."),
        click.option("--type", "types", multiple=True, type=click.Choice(list(TYPE_NAMES)), metavar="TYPE",
                     help="A type of field; none: all."),
        click.option("--token", default="", help="A service's token that is shown with it."),
        click.option("--at", type=click.DateTime(["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]), metavar="YYYY-MM-DDTHH:MM",
                     help="As it would be then, in this machine's time.  [default: now]"),
    ]):  # fmt: skip
        command = option(command)
    return command


@dataclasses.dataclass(frozen=True)
class _Judged:
    thing: str
    verdict: Verdict
    reasons: str
    asks: str


def _judge(config: Path, who: str, what: str, things: tuple[str, ...], given: dict[str, Any]) -> list[_Judged]:
    right, _, names = what.partition(":")
    if right not in list(Right):
        raise click.UsageError(f'{what!r} is not "read", "control" or "friend", with names like "read:temperature"')
    types = FieldTypes(0)
    for name in given["types"]:
        types |= TYPE_NAMES[name]
    question = checked(Question(
        Right(right), who, tuple(map(NodeRef, given["nodes"])) or None,
        tuple(name.strip() for name in names.split(",") if name.strip()), types, Tokens(service=given["token"]),
    ))  # fmt: skip
    now = given["at"].astimezone() if given["at"] is not None else dt.datetime.now(dt.UTC)

    async def judged(store: Store) -> list[_Judged]:
        book = await store.rule_book()
        chosen = [thing.lower() for thing in things] or await store.devices()
        return [await _one(store, book, jid, question, now) for jid in chosen]

    return with_store(config, judged)


async def _one(store: Store, book: RuleBook, jid: str, question: Question, now: dt.datetime) -> _Judged:
    registered = {found.id.node: found for found in await store.things_at(jid)}
    thing = registered.pop(NodeRef(""), None) or Registered(ThingId(jid), {})
    verdict, explanation = decide(book, thing, question, now, registered)
    asks = thing.owner if explanation.unanswered and thing.owner not in ("", jid) else ""
    return _Judged(jid, verdict, str(explanation), asks)


@rules.command("test")
@config_option
@click.argument("who")
@click.argument("what")
@_questions
def test_(config: Path, who: str, what: str, things: tuple[str, ...], **given: Any) -> None:
    """Whether WHO may do WHAT (read, control, friend, or like "read:temperature"). Exit code 1: not everywhere."""
    judged = _judge(config, who, what, things, given)
    for each in judged:
        _say(f"{each.thing}: {_in_words(each.verdict)}")
    if not judged or not all(each.verdict.allowed for each in judged):
        raise SystemExit(NO)


@provisioning.command()
@config_option
@click.argument("who")
@click.argument("what")
@_questions
def explain(config: Path, who: str, what: str, things: tuple[str, ...], **given: Any) -> None:
    """Why WHO may do WHAT, or not: which rule said so."""
    judged = _judge(config, who, what, things, given)
    if not judged:
        raise click.ClickException("no thing has asked yet; name one with --thing")
    for each in judged:
        _say(f"{each.thing}: {_in_words(each.verdict)}")
        for line in each.reasons.splitlines():
            _say(f"    {line}")
        if each.asks:
            _say(f"    {each.asks} is asked about the rest")


def _in_words(verdict: Verdict) -> str:
    if not verdict.allowed:
        return "refused"
    parts = []
    if verdict.nodes is not None:
        parts.append("of " + ", ".join(node.node_id or "the thing itself" for node in verdict.nodes))
    if verdict.names:
        parts.append("only " + ", ".join(verdict.names))
    if verdict.types:
        parts.append("as " + ", ".join(sorted((kind.name or "").lower() for kind in verdict.types)))
    return " ".join(["allowed", *parts])


# --------------------------------------------------------------------------- backup


@provisioning.command()
@config_option
@click.argument("file", type=click.Path(path_type=Path))
def backup(config: Path, file: Path) -> None:
    """Copy the whole store to FILE while the service runs."""
    with_store(config, lambda store: store.backup(str(file)))
    _say(f"{file}: a copy of the store")


