"""The rules against a naive model, and by example."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.provisioning.model import Hours, Ownership, Registered, Rule, RuleBook, ThingId
from hub.provisioning.rules import decide, within_hours
from hub.things.model import FieldTypes, NodeRef, Tokens
from hub.things.questions import REFUSED, Question, Right, Verdict, narrowed_to

from .naive import ANYTHING, ELSEWHERE, Pair, allowed, open_at, universe

OWNER, OTHER, ANN, BOB, THING = "owner@x", "other@x", "ann@x", "bob@y", "thing@x"
NOON = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)  # a Friday
HUB = Registered(ThingId(THING), {}, Ownership.CLAIMED, OWNER)
AIR, PUMP = NodeRef("air"), NodeRef("pump")
READ = Question(Right.READ, ANN, (AIR, PUMP), ("temperature", "humidity"), FieldTypes.MOMENTARY)
CONTROL = Question(Right.CONTROL, ANN, (PUMP,), ("output",))
FRIEND = Question(Right.FRIEND, ANN)

# --------------------------------------------------------------------------- against the model

NODES = [NodeRef("a"), NodeRef("b"), NodeRef("b", "s"), NodeRef("c")]
NAMES = ["t", "h", "p"]
TYPES = [FieldTypes.MOMENTARY, FieldTypes.PEAK, FieldTypes.HISTORICAL_DAY]
PEOPLE = [OWNER, OTHER, ANN, BOB, THING]

rights = st.sampled_from(Right)
hours = st.builds(
    Hours, st.times(), st.times(), st.frozensets(st.integers(1, 7)),
    st.sampled_from(["UTC", "Europe/Stockholm", "Asia/Kathmandu"]),
).map(lambda made: replace(made, start=made.start.replace(second=0, microsecond=0),
                           end=made.end.replace(second=0, microsecond=0)))  # fmt: skip


def some(values: list[object], most: int = 2) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(st.sampled_from(values), max_size=most, unique=True).map(tuple)


types = st.sets(st.sampled_from(TYPES), min_size=1).map(lambda kinds: FieldTypes(sum(kind.value for kind in kinds)))
rules = st.builds(
    Rule,
    right=rights,
    allow=st.booleans(),
    id=st.integers(1, 99),
    order=st.integers(0, 3),
    owner=st.sampled_from(["", OWNER, OWNER, OTHER]),
    who=some([*PEOPLE, "*@x", "*"]),
    groups=some(["family", "nobody", "missing"], 1),
    tokens=some(["T1", "T2"], 1),
    things=some([THING, "else@x"], 1),
    nodes=some(NODES),
    names=some(NAMES),
    types=types | st.just(FieldTypes.ALL),
    hours=st.none() | st.none() | hours,
)
books = st.lists(rules, max_size=8, unique_by=lambda rule: rule.id).map(
    lambda made: RuleBook(tuple(made), {"family": (ANN, "*@y"), "nobody": ()})
)
things = st.sampled_from([
    HUB, HUB, HUB, replace(HUB, owner=OTHER), replace(HUB, owner=THING, ownership=Ownership.SELF_OWNED),
    replace(HUB, owner="", ownership=Ownership.UNCLAIMED),
])  # fmt: skip
questions = st.builds(
    Question,
    right=rights,
    jid=st.sampled_from(PEOPLE),
    nodes=st.none() | some(NODES, 4),
    names=some(NAMES, 3),
    types=types | st.just(FieldTypes(0)),
    tokens=st.builds(Tokens, st.sampled_from(["", "T1", "T1 T3"]), st.just(""), st.sampled_from(["", "T2"])),
).map(lambda made: Question(made.right, made.jid, tokens=made.tokens) if made.right is Right.FRIEND else made)
moments = st.datetimes(dt.datetime(2026, 1, 1), dt.datetime(2027, 1, 1), timezones=st.just(dt.UTC))
others = st.dictionaries(
    st.sampled_from([NodeRef("a"), NodeRef("c")]), st.sampled_from([OTHER, OWNER, ""]), max_size=2
).map(
    lambda owners: {
        node: Registered(
            ThingId(THING, node), {}, Ownership.CLAIMED if owner else Ownership.UNCLAIMED, owner
        ) for node, owner in owners.items()
    }
)  # fmt: skip


def granted(question: Question, verdict: Verdict, pairs: list[Pair]) -> set[Pair]:
    """The pairs that a verdict allows. None, () and 0 leave an axis as it was asked. In an answer to a question of no
    nodes, one without a source is that of every source."""
    if not verdict.allowed:
        return set()
    named = set(verdict.nodes or ())
    if question.nodes is None:
        named |= {node for node in NODES if NodeRef(node.node_id) in named}
    return {
        (node, name, kind) for node, name, kind in pairs
        if (verdict.nodes is None or node in named)
        and (not verdict.names or name in verdict.names)
        and (not verdict.types or kind in verdict.types)
    }  # fmt: skip


def sides(pairs: set[Pair]) -> tuple[set[NodeRef], set[str], set[FieldTypes]]:
    return {pair[0] for pair in pairs}, {pair[1] for pair in pairs}, {pair[2] for pair in pairs}


@given(books, things, questions, moments, others)
def test_never_more_than_the_model_and_exactly_it_where_that_is_a_product(
    book: RuleBook, thing: Registered, question: Question, now: dt.datetime, behind: dict[NodeRef, Registered]
) -> None:
    verdict, explanation = decide(book, thing, question, now, behind)
    behind = {} if question.right is Right.FRIEND else behind
    nodes, names, kinds = universe(book, question, behind)
    pairs = list(itertools.product(nodes, names, kinds))
    right = {pair for pair in pairs if allowed(book, thing, question, now, pair, behind)}
    given_ = granted(question, verdict, pairs)
    assert given_ <= right
    left_nodes, left_names, left_kinds = sides(right)
    product = right == set(itertools.product(left_nodes, left_names, left_kinds))
    one_of_many = question.nodes is None and {NodeRef("b"), NodeRef("b", "s")} <= set(nodes)
    unsayable = {ELSEWHERE, NodeRef("b")} if one_of_many else {ELSEWHERE}
    sayable = (left_nodes == set(nodes) or not left_nodes & unsayable) and (
        ANYTHING not in left_names or left_names == set(names)
    )
    if question.right is Right.FRIEND:
        assert verdict.allowed == (right == set(pairs))
    elif product and sayable:
        assert given_ == right
    assert verdict.allowed or not given_
    assert explanation.cut or given_ == right
    if verdict.allowed:
        asked = granted(question, narrowed_to(question, verdict), pairs)
        assert asked == given_ or not question.types  # a question of no types stays one


@given(hours, moments)
def test_hours_hold_as_minutes_counted_one_by_one_say(span: Hours, now: dt.datetime) -> None:
    assert within_hours(span, now) == open_at(span, now)


# --------------------------------------------------------------------------- by example


def book(*made: Rule, **groups: tuple[str, ...]) -> RuleBook:
    return RuleBook(tuple(replace(rule, id=number) for number, rule in enumerate(made, 1)), groups)


def answer(law: RuleBook, question: Question, thing: Registered = HUB, now: dt.datetime = NOON) -> Verdict:
    return decide(law, thing, question, now)[0]


ALLOW = Rule(Right.READ, True, owner=OWNER)
DENY = Rule(Right.READ, False, owner=OWNER)


@pytest.mark.parametrize("question", [READ, CONTROL, FRIEND], ids=lambda question: question.right)
def test_without_rules_only_the_owner_and_the_thing_itself_may(question: Question) -> None:
    assert answer(RuleBook(), question) == REFUSED
    assert answer(RuleBook(), replace(question, jid="Owner@X/phone")) == Verdict(True)
    assert answer(RuleBook(), replace(question, jid=THING)) == Verdict(True)


def test_of_an_unclaimed_thing_everybody_is_refused_whatever_the_rules_say() -> None:
    unclaimed = replace(HUB, ownership=Ownership.UNCLAIMED, owner="")
    everything = book(Rule(Right.READ, True))
    assert answer(everything, READ, unclaimed) == REFUSED
    assert answer(everything, replace(READ, jid=THING), unclaimed) == REFUSED


def test_nobody_without_an_address() -> None:
    assert answer(book(Rule(Right.READ, True)), replace(READ, jid="")) == REFUSED
    assert answer(RuleBook(), replace(READ, jid="/x"), replace(HUB, owner="")) == REFUSED


def test_the_owner_can_be_refused_by_a_rule_and_by_the_operator() -> None:
    mine = replace(READ, jid=OWNER)
    assert answer(book(Rule(Right.READ, False)), mine) == REFUSED
    assert answer(book(replace(DENY, nodes=(PUMP,))), mine) == Verdict(True, nodes=(AIR,))


def test_the_operators_rules_come_first_whatever_their_order() -> None:
    law = book(replace(ALLOW, order=1), Rule(Right.READ, False, order=50))
    assert answer(law, READ) == REFUSED


def test_somebody_elses_rules_do_not_count() -> None:
    assert answer(book(Rule(Right.READ, True, owner=OTHER)), READ) == REFUSED


def test_order_then_id_decide() -> None:
    assert answer(book(replace(DENY, order=2), replace(ALLOW, order=1)), READ).allowed
    assert not answer(book(replace(DENY, order=1), replace(ALLOW, order=1)), READ).allowed
    later_first = RuleBook((replace(ALLOW, id=2), replace(DENY, id=1)))
    assert not answer(later_first, READ).allowed


def test_a_partial_allow_narrows_and_a_partial_deny_takes_its_part_away() -> None:
    assert answer(book(replace(ALLOW, names=("temperature",))), READ) == Verdict(True, names=("temperature",))
    assert answer(book(replace(DENY, nodes=(PUMP,)), ALLOW), READ) == Verdict(True, nodes=(AIR,))
    wide = replace(READ, types=FieldTypes.ALL)
    narrow = answer(book(replace(ALLOW, types=FieldTypes.PRESENT)), wide)
    assert narrow == Verdict(True, types=FieldTypes.PRESENT)


def test_two_rules_that_allow_one_node_each_allow_both() -> None:
    assert answer(book(replace(ALLOW, nodes=(AIR,)), replace(ALLOW, nodes=(PUMP,))), READ) == Verdict(True)


def test_what_is_no_product_is_cut_and_said_to_be() -> None:
    law = book(replace(DENY, nodes=(PUMP,), names=("humidity",)), ALLOW)
    verdict, explanation = decide(law, HUB, READ, NOON)
    assert narrowed_to(READ, verdict) in (
        replace(verdict, nodes=(AIR, PUMP), names=("temperature",), types=FieldTypes.MOMENTARY),
        replace(verdict, nodes=(AIR,), names=("temperature", "humidity"), types=FieldTypes.MOMENTARY),
    )
    assert explanation.cut and "ask for less at a time" in str(explanation)


def test_an_open_question_after_a_partial_deny_is_refused_with_the_reason() -> None:
    verdict, explanation = decide(book(replace(DENY, nodes=(PUMP,)), ALLOW), HUB, replace(READ, nodes=None), NOON)
    assert verdict == REFUSED
    assert explanation.cut and "rule 1 of owner@x" in str(explanation) and "of pump" in str(explanation)


def test_an_open_question_is_answered_with_what_a_rule_names() -> None:
    law = book(replace(ALLOW, nodes=(AIR,), names=("temperature",)))
    assert answer(law, Question(Right.READ, ANN, types=FieldTypes.PEAK)) == Verdict(True, (AIR,), ("temperature",))
    assert answer(book(ALLOW), Question(Right.READ, ANN)) == Verdict(True)


def test_naming_a_source_is_no_way_around_a_rule() -> None:
    law = book(replace(DENY, nodes=(PUMP,)), ALLOW)
    assert answer(law, replace(READ, nodes=(NodeRef("pump", "cellar"),))) == REFUSED


def test_a_rule_about_one_source_does_not_reach_another() -> None:
    cellar, attic = NodeRef("pump", "cellar"), NodeRef("pump", "attic")
    law = book(replace(ALLOW, nodes=(cellar,)))
    assert answer(law, replace(READ, nodes=(PUMP, attic))) == REFUSED
    assert answer(law, replace(READ, nodes=(cellar, attic))) == Verdict(True, nodes=(cellar,))


def test_a_node_of_every_source_is_not_given_when_one_source_is_denied() -> None:
    law = book(replace(DENY, nodes=(NodeRef("pump", "cellar"),)), replace(ALLOW, nodes=(AIR, PUMP)))
    assert answer(law, replace(READ, nodes=None)) == Verdict(True, nodes=(AIR,))


def test_friends_are_friends_of_the_whole_thing() -> None:
    friend = Rule(Right.FRIEND, True, owner=OWNER)
    assert answer(book(friend), FRIEND) == Verdict(True)
    assert answer(book(replace(friend, nodes=(AIR,))), FRIEND) == REFUSED


@pytest.mark.parametrize("rule", [
    replace(ALLOW, who=("*@x",)), replace(ALLOW, who=("bob@y", "ANN@x")), replace(ALLOW, groups=("family",)),
    replace(ALLOW, who=(BOB,), tokens=("T1",)), replace(ALLOW, things=("else@x", THING)),
    replace(ALLOW, hours=Hours(dt.time(12), dt.time(13), frozenset({5}))),
])  # fmt: skip
def test_conditions_that_hold(rule: Rule) -> None:
    assert answer(book(rule, family=(ANN,)), replace(READ, tokens=Tokens(user="T1"))) == Verdict(True)


@pytest.mark.parametrize("rule", [
    replace(ALLOW, who=("*@y",)), replace(ALLOW, groups=("family",)), replace(ALLOW, groups=("missing",)),
    replace(ALLOW, tokens=("T2",)), replace(ALLOW, tokens=("",)), replace(ALLOW, things=("else@x",)),
    replace(ALLOW, hours=Hours(dt.time(9), dt.time(12))), replace(ALLOW, right=Right.CONTROL),
    replace(ALLOW, hours=Hours(dt.time(12), dt.time(13), frozenset({4}))),
    replace(ALLOW, hours=Hours(dt.time(0), dt.time(0), zone="Mars/Olympus")),
])  # fmt: skip
def test_conditions_that_do_not(rule: Rule) -> None:
    assert answer(book(rule, family=(BOB,)), replace(READ, tokens=Tokens(user="T1"))) == REFUSED


def test_a_deny_rule_whose_hours_cannot_be_judged_holds() -> None:
    law = book(replace(DENY, hours=Hours(dt.time(0), dt.time(0), zone="Mars/Olympus")), ALLOW)
    assert answer(law, READ) == REFUSED


def test_a_span_past_midnight_begins_on_its_day() -> None:
    friday_night = Hours(dt.time(22), dt.time(6), frozenset({5}))
    moments = [dt.datetime(2026, 11, day, hour, tzinfo=dt.UTC) for day in (19, 20, 21) for hour in range(24)]
    within = [(moment.day, moment.hour) for moment in moments if within_hours(friday_night, moment)]
    assert within == [(20, 22), (20, 23), (21, 0), (21, 1), (21, 2), (21, 3), (21, 4), (21, 5)]


def test_a_node_with_an_owner_of_its_own_is_his_to_give() -> None:
    behind = {PUMP: Registered(ThingId(THING, PUMP), {}, Ownership.CLAIMED, OTHER)}
    verdict, _ = decide(book(ALLOW), HUB, READ, NOON, behind)
    assert verdict == Verdict(True, nodes=(AIR,))
    verdict, _ = decide(book(Rule(Right.READ, True, owner=OTHER)), HUB, READ, NOON, behind)
    assert verdict == Verdict(True, nodes=(PUMP,))


def test_friendship_is_the_owners_of_the_address() -> None:
    behind = {PUMP: Registered(ThingId(THING, PUMP), {}, Ownership.CLAIMED, OTHER)}
    friend = Rule(Right.FRIEND, True, owner=OWNER)
    assert decide(book(friend), HUB, FRIEND, NOON, behind)[0] == Verdict(True)
    assert decide(book(replace(friend, owner=OTHER)), HUB, FRIEND, NOON, behind)[0] == REFUSED


def test_the_explanation_names_each_rule_and_its_part() -> None:
    law = book(
        replace(DENY, nodes=(PUMP,), note="not the pump"), replace(ALLOW, who=(BOB,)),
        replace(ALLOW, names=("temperature",), types=FieldTypes.MOMENTARY),
    )  # fmt: skip
    verdict, explanation = decide(law, HUB, READ, NOON)
    assert verdict == Verdict(True, (AIR,), ("temperature",))
    assert explanation.rule_ids == (1, 3) and explanation.unanswered
    assert str(explanation).splitlines() == [
        "refused: temperature, humidity as momentary of pump: rule 1 of owner@x (not the pump)",
        "allowed: temperature as momentary of air: rule 3 of owner@x",
        "refused: humidity as momentary of air: no rule allows it",
    ]


def test_a_question_that_rules_answer_whole_is_not_for_the_owner() -> None:
    assert not decide(book(DENY), HUB, READ, NOON)[1].unanswered
    assert decide(book(), HUB, READ, NOON)[1].unanswered
    assert not decide(book(), HUB, replace(READ, jid=OWNER), NOON)[1].unanswered


@given(books, things, questions, moments)
def test_what_one_token_alone_would_bring_all_of_them_bring(
    book: RuleBook, thing: Registered, question: Question, now: dt.datetime
) -> None:
    """The most forgiving answer (XEP-0324 section 3.1.5)."""
    single = replace(question, nodes=(NodeRef("a"),), names=("n",), types=FieldTypes.MOMENTARY)
    every = replace(single, tokens=Tokens(service="T1 T2", device="T3"))
    for token in ("T1", "T2", "T3"):
        if decide(book, thing, replace(single, tokens=Tokens(service=token)), now)[0].allowed:
            assert decide(book, thing, every, now)[0].allowed
