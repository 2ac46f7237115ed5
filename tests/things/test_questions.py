"""What is left of a question after a verdict: less, or the same, never more."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.things.model import FieldTypes, NodeRef
from hub.things.questions import AS_ASKED, REFUSED, Question, Right, Verdict, bare, narrowed_to

AIR, PUMP, LAMP = NodeRef("air"), NodeRef("pump"), NodeRef("lamp")
ASKED = Question(Right.READ, "owner@example.org", (AIR, PUMP), ("temperature", "output"), FieldTypes.PRESENT)

CASES = [
    (ASKED, Verdict(True), Verdict(True, (AIR, PUMP), ("temperature", "output"), FieldTypes.PRESENT)),
    (ASKED, REFUSED, REFUSED),
    (ASKED, Verdict(False, (AIR,), ("temperature",)), REFUSED),
    (ASKED, Verdict(True, (PUMP, LAMP)), Verdict(True, (PUMP,), ("temperature", "output"), FieldTypes.PRESENT)),
    (ASKED, Verdict(True, (LAMP,)), REFUSED),
    (ASKED, Verdict(True, ()), REFUSED),
    (ASKED, Verdict(True, None, ("output", "x")), Verdict(True, (AIR, PUMP), ("output",), FieldTypes.PRESENT)),
    (ASKED, Verdict(True, None, ("x",)), REFUSED),
    (ASKED, Verdict(True, types=FieldTypes.ALL), Verdict(True, ASKED.nodes, ASKED.names, FieldTypes.PRESENT)),
    (ASKED, Verdict(True, types=FieldTypes.PEAK), Verdict(True, ASKED.nodes, ASKED.names, FieldTypes.PEAK)),
    (ASKED, Verdict(True, types=FieldTypes.HISTORICAL), REFUSED),
    (replace(ASKED, nodes=(NodeRef("air", "other"),)), Verdict(True, (AIR,)), REFUSED),
    (replace(ASKED, nodes=None), Verdict(True, (AIR,)), Verdict(True, (AIR,), ASKED.names, FieldTypes.PRESENT)),
    (replace(ASKED, names=()), Verdict(True, None, ("x",)), Verdict(True, ASKED.nodes, ("x",), FieldTypes.PRESENT)),
    (Question(Right.FRIEND, "a@b"), Verdict(True, secondary_trust=True), Verdict(True, secondary_trust=True)),
]


@pytest.mark.parametrize(("question", "verdict", "left"), CASES)
def test_what_is_left(question: Question, verdict: Verdict, left: Verdict) -> None:
    assert narrowed_to(question, verdict) == left


nodes = st.sampled_from([NodeRef("a"), NodeRef("b"), NodeRef("c"), NodeRef("a", "s"), NodeRef("a", "s", "t")])
names = st.sampled_from("xyz")
some_nodes = st.none() | st.lists(nodes, min_size=1, max_size=4, unique=True).map(tuple)
some_names = st.lists(names, max_size=3, unique=True).map(tuple)
types = st.sampled_from([AS_ASKED, FieldTypes.MOMENTARY, FieldTypes.PRESENT, FieldTypes.HISTORICAL, FieldTypes.ALL])
questions = st.builds(Question, st.sampled_from(Right), st.just("a@b"), some_nodes, some_names, types)
verdicts = st.builds(Verdict, st.booleans(), some_nodes, some_names, types, st.booleans())


@given(questions, verdicts)
def test_a_verdict_never_adds(question: Question, verdict: Verdict) -> None:
    left = narrowed_to(question, verdict)
    if not left.allowed:
        assert left == REFUSED
        return
    assert verdict.allowed
    if question.nodes is not None:
        assert left.nodes is not None and set(left.nodes) <= set(question.nodes)
    if question.names:
        assert left.names and set(left.names) <= set(question.names)
    assert left.types in question.types
    if verdict.nodes is not None:
        assert left.nodes and set(left.nodes) <= set(verdict.nodes)
    if verdict.names:
        assert left.names and set(left.names) <= set(verdict.names)


@given(questions, verdicts)
def test_what_is_left_is_left_again(question: Question, verdict: Verdict) -> None:
    left = narrowed_to(question, verdict)
    assert narrowed_to(question, left) == left


@given(questions, verdicts, verdicts)
def test_a_second_verdict_takes_nothing_back(question: Question, one: Verdict, other: Verdict) -> None:
    first = narrowed_to(question, one)
    if first.allowed:
        asked = replace(question, nodes=first.nodes, names=first.names, types=first.types)
        both = narrowed_to(asked, other)
        if both.allowed and both.nodes is not None and first.nodes is not None:
            assert set(both.nodes) <= set(first.nodes)


@pytest.mark.parametrize(("jid", "plain"), [
    ("Owner@Example.ORG/Phone", "owner@example.org"), ("example.org", "example.org"), ("a@b/c/d@e", "a@b"), ("", ""),
])  # fmt: skip
def test_resources_and_letter_case_do_not_count(jid: str, plain: str) -> None:
    assert bare(jid) == plain
