"""Rules and groups, as transactions (see sql.py). A rule is kept as a table of plain.py, in JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from hub.errors import BadRequest, Overload, StoreError
from hub.provisioning.model import Rule, RuleBook
from hub.provisioning.plain import NotARule, group_of, plain, rule_of
from hub.provisioning.sql import Limits, Row, Steps, following, revision, written_json

GAP: Final = 10  # between the orders of two rules that were added one after the other: room for one between them
_COLUMNS: Final = "id, position, owner, body"


def checked_rule(rule: Rule) -> Rule:
    """With its addresses in lower case. Raises BadRequest for a rule that could not be read back."""
    try:
        return replace(rule_of(plain(rule)), id=rule.id)
    except NotARule as error:
        raise BadRequest(f"Not a rule: {error}.") from None


def checked_group(name: str, members: Sequence[str]) -> tuple[str, ...]:
    """In lower case. Raises BadRequest."""
    try:
        return group_of(name, list(members))
    except NotARule as error:
        raise BadRequest(f"Not a group: {error}.") from None


def _read(row: Row) -> Rule:
    number, order, owner, body = row
    try:
        return replace(rule_of(json.loads(body), known_zones=False), id=number, order=order, owner=owner)
    except (NotARule, ValueError) as error:
        raise StoreError(f"Rule {number} cannot be read ({error}): remove it, or put back a backup.") from None


def rule_book() -> Steps[RuleBook]:
    rows = yield f"SELECT {_COLUMNS} FROM rules ORDER BY position, id", ()
    groups = yield "SELECT name, members FROM rule_groups ORDER BY name", ()
    current = yield from revision()
    return RuleBook(
        tuple(_read(row) for row in rows), {name: tuple(json.loads(members)) for name, members in groups}, current
    )


def add_rule(rule: Rule, limits: Limits) -> Steps[Rule]:
    rows = yield "SELECT count(*), coalesce(max(position), 0) FROM rules WHERE owner = ?", (rule.owner,)
    count, last = rows[0]
    if count >= limits.rules_per_owner:
        raise Overload(f"{rule.owner or 'The operator'} has {count} rules, which is the limit: remove some.")
    added = yield from _insert(replace(rule, order=rule.order or last + GAP))
    yield from following("revision")
    return added


def _insert(rule: Rule) -> Steps[Rule]:
    number = yield from following("rule")
    body = {key: value for key, value in plain(rule).items() if key not in ("order", "owner")}
    yield (
        "INSERT INTO rules (id, position, owner, body) VALUES (?, ?, ?, ?)",
        (number, rule.order, rule.owner, written_json(body)),
    )
    return replace(rule, id=number)


def remove_rule(rule_id: int) -> Steps[Rule | None]:
    rows = yield f"DELETE FROM rules WHERE id = ? RETURNING {_COLUMNS}", (rule_id,)
    if not rows:
        return None
    yield from following("revision")
    return _read(rows[0])


def replace_rules(book: RuleBook, limits: Limits) -> Steps[None]:
    """They get new ids in the order of the book, so that equal orders stay as they are there."""
    yield "DELETE FROM rules", ()
    yield "DELETE FROM rule_groups", ()
    counts: dict[str, int] = {}
    last = {rule.owner: 0 for rule in book.rules}
    for rule in book.rules:
        last[rule.owner] = max(last[rule.owner], rule.order)
    for rule in book.rules:
        counts[rule.owner] = counts.get(rule.owner, 0) + 1
        if counts[rule.owner] > limits.rules_per_owner:
            raise Overload(f"{rule.owner or 'The operator'} has more than {limits.rules_per_owner} rules.")
        if not rule.order:
            last[rule.owner] += GAP
        yield from _insert(replace(rule, order=rule.order or last[rule.owner]))
    for name, members in book.groups.items():
        yield from _keep_group(name, members)
    yield from following("revision")


def set_group(name: str, members: Sequence[str]) -> Steps[None]:
    if members:
        yield from _keep_group(name, members)
    else:
        yield "DELETE FROM rule_groups WHERE name = ?", (name,)
    yield from following("revision")


def _keep_group(name: str, members: Sequence[str]) -> Steps[None]:
    yield (
        "INSERT INTO rule_groups (name, members) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET members = excluded.members",
        (name, written_json(list(members))),
    )
