"""Stanza ids: short, given again only when their answer has come from whom it was due."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.session.ids import Ids, base36

OWN = frozenset(("", "greenhouse@example.org", "example.org"))


def test_an_answered_id_comes_again_and_an_unanswered_one_never() -> None:
    ids = Ids()
    first, second = ids.new(), ids.new()
    ids.sent(first, "")
    ids.sent(second, "")
    ids.answered(first, "example.org", OWN)
    assert ids.new() == first
    assert ids.new() not in (first, second)


def test_only_whom_we_asked_makes_an_id_free() -> None:
    ids = Ids()
    one = ids.new()
    ids.sent(one, "pump@example.org/hub")
    for sender in ("", "example.org", "eve@example.org/x", "pump@example.org"):
        ids.answered(one, sender, OWN)
    assert ids.new() != one
    ids.answered(one, "pump@example.org/hub", OWN)
    assert ids.new() == one


def test_an_answer_twice_frees_once() -> None:
    ids = Ids()
    one = ids.new()
    ids.sent(one, "")
    ids.answered(one, "", OWN)
    ids.answered(one, "", OWN)
    assert ids.new() == one
    assert ids.new() != one


@given(st.lists(st.sampled_from(["ask", "answer"]), max_size=200), st.randoms())
def test_no_two_that_are_under_way_are_alike(steps: list[str], chance: object) -> None:
    ids, under_way = Ids(), []
    for step in steps:
        if step == "ask":
            one = ids.new()
            assert one not in under_way
            ids.sent(one, "")
            under_way.append(one)
        elif under_way:
            ids.answered(under_way.pop(chance.randrange(len(under_way))), "", OWN)  # type: ignore[attr-defined]


@given(st.integers(1, 10**9))
def test_base36(number: int) -> None:
    assert int(base36(number), 36) == number
