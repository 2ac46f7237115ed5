"""Whose challenges are answered, and by whom."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import Forbidden
from hub.things.model import Tokens
from hub.trust import tokens
from hub.trust.tokens import OURSELVES, WINDOW_S, TokenTraffic, each_of

SERVER, THING = "provisioning.example.org", "u2@example.org/d"
SERVICE, EVE = "service@example.org/s", "eve@example.com/x"
TOKEN = Tokens(service="T")


def passed_on(origin: str = SERVICE) -> TokenTraffic:
    traffic = TokenTraffic()
    traffic.arrived(TOKEN, origin, 0.0)
    traffic.passed_on(TOKEN, origin, SERVER, 0.0)
    return traffic


def test_every_token_of_every_attribute_counts_once() -> None:
    assert each_of(Tokens(service="a b", device="b", user=" c ")) == ("a", "b", "c")
    assert each_of(Tokens()) == ()


@pytest.mark.parametrize(("after", "answered"), [(0.0, True), (WINDOW_S, True), (WINDOW_S + 0.1, False)])
def test_our_own_is_answered_for_those_we_sent_it_to_for_a_minute(after: float, answered: bool) -> None:
    traffic = TokenTraffic()
    traffic.sent(Tokens(device="OURS OTHER"), THING, 0.0)
    for token in ("OURS", "OTHER"):
        if answered:
            assert traffic.answerer(token, THING.partition("/")[0] + "/another", after) == OURSELVES
        else:
            with pytest.raises(Forbidden, match="last minute"):
                traffic.answerer(token, THING, after)


@pytest.mark.parametrize("challenger", [EVE, SERVER, "u2@example.com", ""])
def test_nobody_else_is_answered(challenger: str) -> None:
    traffic = TokenTraffic()
    traffic.sent(Tokens(device="OURS"), THING, 0.0)
    with pytest.raises(Forbidden):
        traffic.answerer("OURS", challenger, 0.0)


def test_who_showed_a_token_that_we_passed_on_is_asked() -> None:
    traffic = passed_on()
    assert traffic.answerer("T", SERVER, 30.0) == SERVICE
    for challenger in (SERVICE, EVE, THING):
        with pytest.raises(Forbidden):
            traffic.answerer("T", challenger, 30.0)
    traffic.arrived(TOKEN, "service@example.org/elsewhere", 31.0)
    assert traffic.answerer("T", SERVER, 32.0) == "service@example.org/elsewhere"


def test_a_token_that_was_only_shown_to_us_is_challenged_by_nobody() -> None:
    traffic = TokenTraffic()
    traffic.arrived(TOKEN, SERVICE, 0.0)
    for challenger in (SERVICE, SERVER):
        with pytest.raises(Forbidden):
            traffic.answerer("T", challenger, 0.0)


@pytest.mark.parametrize("first", [SERVICE, EVE])
def test_who_shows_the_token_of_another_makes_him_answer_for_nobody(first: str) -> None:
    traffic = passed_on(first)
    second = EVE if first == SERVICE else SERVICE
    traffic.arrived(TOKEN, second, 10.0)
    traffic.passed_on(TOKEN, second, SERVER, 10.0)
    with pytest.raises(Forbidden, match="More than one"):
        traffic.answerer("T", SERVER, 20.0)
    assert traffic.answerer("T", SERVER, WINDOW_S + 5) == second


def test_who_shows_us_our_own_token_does_not_make_us_answer_for_him() -> None:
    traffic = TokenTraffic()
    traffic.sent(TOKEN, SERVER, 0.0)
    traffic.arrived(TOKEN, EVE, 0.0)
    traffic.passed_on(TOKEN, EVE, SERVER, 0.0)
    with pytest.raises(Forbidden):
        traffic.answerer("T", SERVER, 0.0)


def test_a_challenge_does_not_go_back_to_where_it_came_from() -> None:
    traffic = TokenTraffic()
    traffic.arrived(TOKEN, SERVER, 0.0)
    traffic.passed_on(TOKEN, SERVER, SERVER, 0.0)
    with pytest.raises(Forbidden):
        traffic.answerer("T", SERVER, 0.0)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MAX_REMEMBERED", 10)
    traffic = TokenTraffic()
    for number in range(100):
        traffic.arrived(Tokens(user=f"t{number}"), SERVICE, 0.0)
        traffic.passed_on(Tokens(user=f"t{number}"), SERVICE, SERVER, 0.0)
        traffic.passed_on(TOKEN, f"u{number}@x", SERVER, 0.0)
    assert len(traffic._sent) == len(traffic._shown) == 10
    assert len(traffic._sent["T", SERVER]) == tokens.MAX_ORIGINS
    with pytest.raises(Forbidden):
        traffic.answerer("t1", SERVER, 0.0)


names = st.sampled_from(["a@x/1", "b@x/1", "b@x/2", "server"])
steps = st.lists(st.tuples(st.sampled_from(["arrived", "passed", "sent"]), names, names, st.integers(0, 200)))


@given(steps, names, st.integers(0, 300))
def test_no_answer_counts_for_another(steps: list[tuple[str, str, str, int]], challenger: str, now: int) -> None:
    """Against a list of everything that happened: who answers is the only one whose token went to the challenger."""
    traffic = TokenTraffic()
    steps = sorted(step for step in steps if step[3] <= now)
    steps.sort(key=lambda step: step[3])
    for what, who, to, then in steps:
        if what == "arrived":
            traffic.arrived(TOKEN, who, then)
        elif what == "passed":
            traffic.passed_on(TOKEN, who, to, then)
        else:
            traffic.sent(TOKEN, to, then)
    there = challenger.partition("/")[0]
    origins = {"" if what == "sent" else who.partition("/")[0] for what, who, to, then in steps
               if what != "arrived" and to.partition("/")[0] == there and now - then <= WINDOW_S}  # fmt: skip
    try:
        answerer = traffic.answerer("T", challenger, now)
    except Forbidden:
        return
    assert origins == {answerer.partition("/")[0]}
    assert answerer == "" or any(what == "arrived" and who == answerer for what, who, _, _ in steps)
