"""Who may do what: the rules' answer to one question, and which rule said so. Pure.

Rules of this file
* Refusal by default, the first match counts. The operator's rules (owner "") are tried first, then those of the thing's
  owner, both by `order` and then by id; what no rule answers the owner and the thing itself may do, and nobody else.
  Of a thing that nobody has claimed everybody is refused everything, whatever the rules say.
* A rule answers the part of a question that it reaches and no rule before it has; the rest goes on.
* An answer is a set of nodes times a set of names times a set of field types (XEP-0324 section 3.3): where what is
  allowed has another shape, the answer is the largest such part that was found, and never more. What is exactly such a
  product is answered exactly. A READ question of no field types is one of all.
* A question that names no nodes, or no names, is about ones that nobody here has heard of. It is answered "as asked"
  only where every one of them is allowed; else with those that rules name.
* A node in a rule that names no source (or cache type) means the node of that id in every source: a caller cannot walk
  around a rule by naming one.
* A condition that cannot be judged (a time zone this machine does not know) makes a deny rule hold and an allow rule
  not.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, TypeVar

from hub.provisioning.model import Hours, Ownership, Registered, Rule, RuleBook
from hub.things.model import FieldTypes, NodeRef, Tokens
from hub.things.questions import AS_ASKED, REFUSED, Question, Right, Verdict, bare
from hub.trust.access import matches

MAX_SHAPES: Final = 16  # different rows (and slices of a row) that are tried when the allowed part is no product


@dataclass(frozen=True, slots=True)
class Said:
    """What was said about a part of the question, by a rule or (None) by what holds without one. `nodes` None and
    `names` (): about those too that the question did not name; `types` 0: not about field types."""

    allow: bool
    why: str
    rule: Rule | None = None
    nodes: tuple[NodeRef, ...] | None = None
    names: tuple[str, ...] = ()
    types: FieldTypes = AS_ASKED

    def __str__(self) -> str:
        return f"{'allowed' if self.allow else 'refused'}: {self._part()}: {self.why}"

    def _part(self) -> str:
        parts = [", ".join(self.names) or "everything"]
        if self.types not in (AS_ASKED, FieldTypes.ALL):
            parts.append("as " + ", ".join(sorted((kind.name or "").lower() for kind in self.types)))
        if self.nodes is not None:
            parts.append("of " + ", ".join(node.node_id or "the thing itself" for node in self.nodes))
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a verdict is what it is. `unanswered`: a part of the question met no rule, so the owner may be asked.
    `cut`: more was allowed than an answer can express."""

    said: tuple[Said, ...]
    unanswered: bool = False
    cut: bool = False

    @property
    def rule_ids(self) -> tuple[int, ...]:
        return tuple(said.rule.id for said in self.said if said.rule is not None)

    def __str__(self) -> str:
        lines = [str(said) for said in self.said]
        if self.cut:
            lines.append("refused: what is allowed beside the answer: an answer is nodes times names times types, "
                         "and says nothing of things the question did not name; ask for less at a time")  # fmt: skip
        return "\n".join(lines)


class RuleIndex:
    """A rule book, ready for many questions: only the rules of the thing's owner are looked at."""

    def __init__(self, book: RuleBook) -> None:
        self._groups = book.groups
        self._by_owner: dict[str, list[Rule]] = {}
        for rule in sorted(book.rules, key=lambda rule: (rule.order, rule.id)):
            self._by_owner.setdefault(rule.owner, []).append(rule)

    def decide(
        self,
        thing: Registered,
        question: Question,
        now: dt.datetime,
        behind: Mapping[NodeRef, Registered] | None = None,
    ) -> tuple[Verdict, Explanation]:
        """The answer to `thing`'s question at `now` (with a zone). `behind`: nodes of the same JID that are registered
        by themselves, each with an owner of its own; every other node is the thing's, and so is friendship, which is
        with the JID. The question's tokens have to be verified already: as those of the one who asks."""
        behind = behind if behind and question.right is not Right.FRIEND else {}
        owners = dict.fromkeys(("", thing.owner, *(node.owner for node in behind.values())))
        rules = [
            rule
            for rule in chain.from_iterable(self._by_owner.get(owner, ()) for owner in owners)
            if rule.right is question.right
            and (not rule.things or thing.id.jid in rule.things)
            and self._means(rule, question)
            and _in_hours(rule, now)
        ]
        area = _Area(thing, question, behind, rules)
        for rule in rules:
            area.apply(rule)
        area.conclude(bare(question.jid))
        return area.answer()

    def _means(self, rule: Rule, question: Question) -> bool:
        """Whether the one who asks is of those that the rule is about."""
        if not (rule.who or rule.groups or rule.tokens):
            return True
        return (
            matches(question.jid, rule.who)
            or any(matches(question.jid, self._groups.get(group, ())) for group in rule.groups)
            or _shows(rule, question.tokens)
        )


def decide(
    book: RuleBook, thing: Registered, question: Question, now: dt.datetime,
    behind: Mapping[NodeRef, Registered] | None = None,
) -> tuple[Verdict, Explanation]:  # fmt: skip
    """`RuleIndex.decide`, for one question."""
    return RuleIndex(book).decide(thing, question, now, behind)


# --------------------------------------------------------------------------- conditions


def _shows(rule: Rule, tokens: Tokens) -> bool:
    """Of several tokens the most forgiving counts (XEP-0324 section 3.1.5): one is enough to be allowed by, all of them
    have to be named to be refused by. Whoever is refused by one could leave it away."""
    shown = set(" ".join((tokens.service, tokens.device, tokens.user)).split())
    return not shown.isdisjoint(rule.tokens) if rule.allow else bool(shown) and shown.issubset(rule.tokens)


def _in_hours(rule: Rule, now: dt.datetime) -> bool:
    if rule.hours is None:
        return True
    try:
        return within_hours(rule.hours, now)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return not rule.allow


def within_hours(hours: Hours, now: dt.datetime) -> bool:
    """Whether `now` (with a zone) lies in the span; its end is outside. A span that ends when it starts lasts 24 hours
    of the clock. Raises ZoneInfoNotFoundError."""
    zone = dt.UTC if hours.zone == "UTC" else zoneinfo.ZoneInfo(hours.zone)
    local = now.astimezone(zone)
    time, today = local.time(), local.isoweekday()
    if hours.start < hours.end:
        return today in hours.days and hours.start <= time < hours.end
    yesterday = 7 if today == 1 else today - 1
    return (today in hours.days and time >= hours.start) or (yesterday in hours.days and time < hours.end)


def covers(ruled: NodeRef, node: NodeRef) -> bool:
    """Whether a rule's node is `node`, or that of every source and `node` one of them."""
    return (
        ruled.node_id == node.node_id
        and ruled.source_id in ("", node.source_id)
        and ruled.cache_type in ("", node.cache_type)
    )


# --------------------------------------------------------------------------- the area of a question

T = TypeVar("T")


class _Area:
    """All that a question asks for: a row per node, in it a bit per name and type. None among the nodes or names is
    every one that neither the question nor a rule names."""

    def __init__(
        self, thing: Registered, question: Question, behind: Mapping[NodeRef, Registered], rules: Sequence[Rule]
    ) -> None:
        self._thing = thing
        self._question = question
        self._behind: dict[str, list[Registered]] = {}
        for node, registered in behind.items():
            self._behind.setdefault(node.node_id, []).append(registered)
        self._open = question.nodes is None
        self._nodes: list[NodeRef | None] = list(dict.fromkeys(question.nodes or ()))
        if self._open:
            self._nodes = [*dict.fromkeys((*behind, *chain.from_iterable(rule.nodes for rule in rules))), None]
        self._names: list[str | None] = list(dict.fromkeys(question.names))
        if not question.names:
            self._names = [*dict.fromkeys(chain.from_iterable(rule.names for rule in rules)), None]
        reads = question.right is Right.READ
        self._asked = (question.types or FieldTypes.ALL) if reads else AS_ASKED
        self._types = [kind.value for kind in self._asked] if reads else [0]
        self._things = [self._thing_at(node) for node in self._nodes]
        whole = (1 << len(self._names) * len(self._types)) - 1
        self._left = [whole] * len(self._nodes)
        self._allowed = [0] * len(self._nodes)
        self._said: list[Said] = []
        self._unanswered = False
        self._decide(False, "nobody has claimed it", lambda thing: thing.ownership is Ownership.UNCLAIMED)
        self._decide(False, "there is no address to judge", lambda thing: not bare(question.jid))

    def _thing_at(self, node: NodeRef | None) -> Registered:
        if node is not None:
            for registered in self._behind.get(node.node_id, ()):
                # Asked for without its source, it may be this one
                if covers(registered.id.node, node) or (not self._open and covers(node, registered.id.node)):
                    return registered
        return self._thing

    def apply(self, rule: Rule) -> None:
        """Decide what the rule reaches and is not decided yet."""
        slice_ = self._slice(rule)
        row = sum(
            slice_ << index * len(self._types)
            for index, name in enumerate(self._names)
            if not rule.names or name in rule.names
        )
        why = f"rule {rule.id} of {rule.owner or 'the operator'}" + (f" ({rule.note})" if rule.note else "")
        self._decide(
            rule.allow, why, lambda thing: rule.owner in ("", thing.owner), row,
            lambda node: self._reaches(rule, node), rule,
        )  # fmt: skip

    def _slice(self, rule: Rule) -> int:
        if self._question.right is not Right.READ:
            return 1
        return sum(1 << index for index, kind in enumerate(self._types) if kind & rule.types.value)

    def _reaches(self, rule: Rule, node: NodeRef | None) -> bool:
        if not rule.nodes:
            return True
        if node is None:
            return False
        return any(covers(ruled, node) for ruled in rule.nodes)

    def conclude(self, caller: str) -> None:
        """What is left is the owner's and the thing's own, or refused."""
        self._decide(True, f"{caller} is its owner", lambda thing: caller == thing.owner)
        self._decide(True, f"{caller} is the thing itself", lambda thing: caller == thing.id.jid)
        self._unanswered = any(self._left)
        self._decide(False, "no rule allows it", lambda thing: True)

    def _decide(
        self,
        allow: bool,
        why: str,
        of: Callable[[Registered], bool],
        row: int = -1,
        at: Callable[[NodeRef | None], bool] = lambda node: True,
        rule: Rule | None = None,
    ) -> None:
        decided, reached = 0, []
        for index, (node, thing) in enumerate(zip(self._nodes, self._things, strict=True)):
            part = self._left[index] & row
            if part and of(thing) and at(node):
                self._left[index] &= ~part
                self._allowed[index] |= part if allow else 0
                decided |= part
                reached.append(node)
        if decided:
            nodes, names, types = self._projected(reached, decided)
            self._said.append(Said(allow, why, rule, nodes, names, types))

    def _projected(
        self, nodes: Sequence[NodeRef | None], row: int
    ) -> tuple[tuple[NodeRef, ...] | None, tuple[str, ...], FieldTypes]:
        slices = self._slices(row)
        names = [name for name, slice_ in zip(self._names, slices, strict=True) if slice_]
        types = 0
        for index, kind in enumerate(self._types):
            if any(slice_ >> index & 1 for slice_ in slices):
                types |= kind
        return _unless_open(nodes), _unless_open(names) or (), FieldTypes(types)

    def _slices(self, row: int) -> list[int]:
        width = len(self._types)
        return [row >> index * width & (1 << width) - 1 for index in range(len(self._names))]

    # ------------------------------------------------------------------ the largest product

    def answer(self) -> tuple[Verdict, Explanation]:
        allowed = sum(row.bit_count() for row in self._allowed)
        best: tuple[int, list[int], int] = (0, [], 0)
        sayable = [self._sayable(node) for node in self._nodes]
        for row in self._row_shapes():
            nodes = _expressible([node & row == row for node in self._allowed], sayable)
            if (size := len(nodes) * row.bit_count()) > best[0]:
                best = (size, nodes, row)
        size, nodes, row = best
        whole = size == len(self._nodes) * len(self._names) * len(self._types)
        if not size or (self._question.right is Right.FRIEND and not whole):
            return REFUSED, Explanation(tuple(self._said), self._unanswered, cut=bool(allowed))
        return self._verdict(nodes, row), Explanation(tuple(self._said), self._unanswered, cut=size < allowed)

    def _row_shapes(self) -> list[int]:
        """Products of names and types that some node is allowed in whole, likely ones first."""
        shapes: dict[int, None] = {}
        sayable = [name is not None for name in self._names]
        for row in _likely([row for row in self._allowed if row]):
            slices = self._slices(row)
            for slice_ in _likely([each for each in slices if each]):
                names = _expressible([each & slice_ == slice_ for each in slices], sayable)
                shapes[sum(slice_ << index * len(self._types) for index in names)] = None
        shapes.pop(0, None)
        return list(shapes)

    def _sayable(self, node: NodeRef | None) -> bool:
        """Whether an answer can name it. Where the question leaves the nodes open, one of every source cannot be told
        from one of a certain source."""
        if node is None:
            return False
        return not self._open or not any(
            other is not None and other != node and covers(node, other) for other in self._nodes
        )

    def _verdict(self, nodes: Sequence[int], row: int) -> Verdict:
        allowed, names, types = self._projected([self._nodes[index] for index in nodes], row)
        return Verdict(
            True,
            nodes=None if len(nodes) == len(self._nodes) else allowed,
            names=() if len(names) == len(self._names) else names,
            types=AS_ASKED if types == self._asked else types,
        )


def _expressible(chosen: Sequence[bool], sayable: Sequence[bool]) -> list[int]:
    """The indexes of what is chosen: of all, or of what can be named."""
    return [index for index in range(len(chosen)) if chosen[index] and (sayable[index] or all(chosen))]


def _unless_open(values: Sequence[T | None]) -> tuple[T, ...] | None:
    named = tuple(value for value in values if value is not None)
    return named if len(named) == len(values) else None


def _likely(shapes: Sequence[int]) -> list[int]:
    """What all have in common, then the different ones as they come, at most MAX_SHAPES."""
    if not shapes:
        return []
    common = shapes[0]
    for shape in shapes:
        common &= shape
    return list(dict.fromkeys((*([common] if common else []), *shapes)))[:MAX_SHAPES]
