"""What the rules mean, one pair at a time and without a thought for speed or for what an answer can express."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Iterable, Mapping

from hub.provisioning.model import Hours, Ownership, Registered, Rule, RuleBook
from hub.things.model import FieldTypes, NodeRef
from hub.things.questions import Question, Right

Pair = tuple[NodeRef, str, FieldTypes]

ELSEWHERE = NodeRef("a node that nobody names")
ANYTHING = "a name that nobody names"


def allowed(
    book: RuleBook, thing: Registered, question: Question, now: dt.datetime, pair: Pair,
    behind: Mapping[NodeRef, Registered],
) -> bool:  # fmt: skip
    """Whether `question.jid` may do it to this one node, name and type."""
    asked = behind.get(pair[0], thing)
    if asked.ownership is Ownership.UNCLAIMED:
        return False
    operators = [rule for rule in book.rules if rule.owner == ""]
    owners = [rule for rule in book.rules if rule.owner != "" and rule.owner == asked.owner]
    for rules in (operators, owners):
        for rule in sorted(rules, key=lambda rule: (rule.order, rule.id)):
            if rule.right == question.right and about(book, rule, thing, question, now) and reaches(rule, pair):
                return rule.allow
    return question.jid in (asked.owner, asked.id.jid)


def about(book: RuleBook, rule: Rule, thing: Registered, question: Question, now: dt.datetime) -> bool:
    if rule.things and thing.id.jid not in rule.things:
        return False
    if rule.hours is not None and not open_at(rule.hours, now):
        return False
    patterns = list(rule.who) + [member for group in rule.groups for member in book.groups.get(group, ())]
    everybody = not rule.who and not rule.groups and not rule.tokens
    domain = question.jid.partition("@")[2]
    texts = (question.tokens.service, question.tokens.device, question.tokens.user)
    shown = [token for text in texts for token in text.split()]
    named = [token in rule.tokens for token in shown]
    return (
        everybody
        or any(pattern in ("*", question.jid, f"*@{domain}") for pattern in patterns)
        or (any(named) if rule.allow else any(named) and all(named))
    )


def reaches(rule: Rule, pair: Pair) -> bool:
    node, name, kind = pair
    at_node = not rule.nodes or any(
        ruled.node_id == node.node_id and (ruled.source_id == "" or ruled.source_id == node.source_id)
        for ruled in rule.nodes
    )
    return at_node and (not rule.names or name in rule.names) and (not kind or kind in rule.types)


def open_at(hours: Hours, now: dt.datetime) -> bool:
    """Minute by minute: whether a span that began today or yesterday still runs."""
    local = now.astimezone(zoneinfo.ZoneInfo(hours.zone))
    minute = local.hour * 60 + local.minute
    start, end = (time.hour * 60 + time.minute for time in (hours.start, hours.end))
    length = end - start if end > start else end - start + 24 * 60
    yesterday = local.date() - dt.timedelta(days=1)
    return (local.isoweekday() in hours.days and minute in range(start, start + length)) or (
        yesterday.isoweekday() in hours.days and minute + 24 * 60 in range(start, start + length)
    )


def universe(
    book: RuleBook, question: Question, behind: Iterable[NodeRef]
) -> tuple[list[NodeRef], list[str], list[FieldTypes]]:
    """Everything the question is about, with one stranger for what it leaves open."""
    nodes = list(question.nodes) if question.nodes is not None else [
        *{node for rule in book.rules for node in rule.nodes}, *behind, ELSEWHERE
    ]  # fmt: skip
    names = list(question.names) or [*{name for rule in book.rules for name in rule.names}, ANYTHING]
    types = list(question.types or FieldTypes.ALL) if question.right is Right.READ else [FieldTypes(0)]
    return nodes, names, types
