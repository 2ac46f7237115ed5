"""Waits that grow, are bounded and do not fall in step."""

from __future__ import annotations

import random

import pytest

from hub.session.backoff import Backoff


@pytest.mark.parametrize(("rand", "waits"), [
    (0.0, [1, 2, 4, 8, 16, 32, 60, 60]),
    (0.5, [0.75, 1.5, 3, 6, 12, 24, 45, 45]),
])  # fmt: skip
def test_waits_double_up_to_the_last_and_are_cut_at_random(rand: float, waits: list[float]) -> None:
    backoff = Backoff(1.0, 60.0, lambda: rand)
    assert [backoff.wait() for _ in waits] == waits


def test_after_a_success_it_begins_anew() -> None:
    backoff = Backoff(1.0, 60.0, lambda: 0.0)
    for _ in range(10):
        backoff.wait()
    backoff.reset()
    assert [backoff.wait(), backoff.wait()] == [1, 2]


def test_a_wait_is_never_less_than_half_nor_more_than_the_whole() -> None:
    chance = random.Random(1)
    for _ in range(200):
        backoff, whole = Backoff(1.0, 60.0, chance.random), 1.0
        for _ in range(12):
            assert whole / 2 <= backoff.wait() <= whole
            whole = min(whole * 2, 60.0)


def test_two_nodes_do_not_call_in_step() -> None:
    one, other = (Backoff(1.0, 60.0, random.Random(seed).random) for seed in (1, 2))
    assert all(one.wait() != other.wait() for _ in range(20))
