"""How often somebody may guess, and how often all together."""

from __future__ import annotations

from hub.provisioning.budgets import MAX_REMEMBERED, Budget, Budgets, Guesses, GuessLimits


def test_waits_double_after_the_free_guesses_and_end_with_a_right_one() -> None:
    guesses, now, waits = Guesses(), 100.0, []
    for _ in range(8):
        assert guesses.wait("a@x", now) == 0
        guesses.wrong("a@x", now)
        waits.append(guesses.wait("a@x", now))
        now += waits[-1]
    assert waits == [0, 0, 0, 2, 4, 8, 16, 32]
    guesses.right("a@x")
    guesses.wrong("a@x", now)
    assert guesses.wait("a@x", now) == 0


def test_no_wait_is_longer_than_the_longest() -> None:
    guesses = Guesses(GuessLimits(burst=10_000))
    for _ in range(3000):
        guesses.wrong("a@x", 0.0)
    assert guesses.wait("a@x", 0.0) == 3600


def test_many_get_no_further_than_one() -> None:
    guesses = Guesses(GuessLimits(burst=10, rate=0.5))
    let = 0
    for second in range(100):
        for number in range(50):
            who = f"{second}-{number}@x"  # never the same
            if guesses.wait(who, float(second)) == 0:
                guesses.wrong(who, float(second))
                let += 1
    assert let <= 10 + 100 * 0.5 + 1
    assert guesses.wait("new@x", 99.0) > 0 and guesses.wait("new@x", 200.0) == 0


def test_what_is_remembered_is_bounded() -> None:
    guesses, budgets = Guesses(GuessLimits(free=0, burst=10**9)), Budgets(1, 0.001)
    assert budgets.spend("first@x", 1.0) and not budgets.spend("first@x", 1.0)
    guesses.wrong("first@x", 1.0)
    for number in range(MAX_REMEMBERED):
        guesses.wrong(f"{number}@x", 1.0)
        budgets.spend(f"{number}@x", 1.0)
    assert guesses.wait("first@x", 1.0) == 0 and budgets.spend("first@x", 1.0)


def test_a_bucket_fills_up_to_its_brim() -> None:
    budget = Budget(2, 1)
    assert [budget.spend(5.0) for _ in range(3)] == [True, True, False]
    assert [budget.spend(6.0) for _ in range(2)] == [True, False]
    assert [budget.spend(600.0) for _ in range(3)] == [True, True, False]
