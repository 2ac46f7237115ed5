"""Roll-ups against a naive model: everything in one list."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.telemetry.rollups import Buckets, Key, Level, Point, Rollup, number, regroup

VALUES = st.decimals(min_value=-10_000, max_value=10_000, places=2)
SAMPLES = st.lists(st.tuples(st.integers(0, 3 * Level.DAY), VALUES), min_size=1, max_size=60)


def naive(samples: list[tuple[int, Decimal]]) -> tuple[int, Decimal, Decimal, Decimal, Decimal]:
    """Count, total, minimum, maximum and the last: of equal moments the one that came last."""
    values = [value for _, value in samples]
    last = max(enumerate(samples), key=lambda each: (each[1][0], each[0]))[1][1]
    return len(values), sum(values, Decimal(0)), min(values), max(values), last


def plain(rollup: Rollup) -> tuple[int, Decimal, Decimal, Decimal, Decimal]:
    return rollup.count, rollup.total, rollup.low, rollup.high, rollup.last


@given(SAMPLES, st.randoms(use_true_random=False))
def test_buckets_are_what_a_naive_model_says_however_they_are_closed(
    samples: list[tuple[int, Decimal]], random: object
) -> None:
    written: dict[Key, Rollup] = {}
    buckets = Buckets(written.get)
    for at, value in samples:
        buckets.add(7, value, at)
        if random.random() < 0.3:  # type: ignore[attr-defined]
            closed = buckets.closed()
            written.update(closed)
            buckets.forget(key for key, _ in closed)
    written.update(buckets.all())
    expected: dict[Key, list[tuple[int, Decimal]]] = {}
    for at, value in samples:
        for level in Level:
            expected.setdefault((level, at // level * level, 7), []).append((at, value))
    assert {key: plain(rollup) for key, rollup in written.items()} == {k: naive(of) for k, of in expected.items()}


@given(SAMPLES, st.sampled_from([2, 5, 15, 60, 1440]))
def test_a_rollup_of_rollups_is_the_rollup_of_the_values(samples: list[tuple[int, Decimal]], minutes: int) -> None:
    buckets = Buckets(lambda key: None)
    for at, value in samples:
        buckets.add(0, value, at)
    points = sorted((Point(start, rollup) for (level, start, _), rollup in buckets.all() if level is Level.MINUTE),
                    key=lambda point: point.start)  # fmt: skip
    width = minutes * Level.MINUTE
    expected: dict[int, list[tuple[int, Decimal]]] = {}
    for at, value in samples:
        expected.setdefault(at // width * width, []).append((at, value))
    assert {p.start: plain(p.rollup) for p in regroup(points, width)} == {k: naive(of) for k, of in expected.items()}


def test_only_what_time_has_passed_is_closed() -> None:
    buckets = Buckets(lambda key: None)
    buckets.add(1, Decimal(5), 30_000)
    assert buckets.closed() == []
    buckets.add(2, Decimal(6), 60_000)  # another series: the minute is over for all of them
    assert [key for key, _ in buckets.closed()] == [(Level.MINUTE, 0, 1)]


@pytest.mark.parametrize(("value", "rolled"), [
    (True, Decimal(1)), (False, Decimal(0)), (7, Decimal(7)), (Decimal("21.50"), Decimal("21.50")), ("on", None),
])  # fmt: skip
def test_numbers_and_switches_are_rolled_up(value: object, rolled: Decimal | None) -> None:
    assert number(value) == rolled  # type: ignore[arg-type]


@pytest.mark.parametrize(("values", "mean"), [
    (["21.50", "21.51"], "21.5050"), (["1", "2"], "1.50"), (["1", "1", "2"], "1.33"), (["-0.4", "0.4"], "0.000"),
    (["1E+3", "1E+3"], "1000.00"),
])  # fmt: skip
def test_a_mean_has_two_more_decimals_than_the_values(values: list[str], mean: str) -> None:
    rollup = Rollup.of(Decimal(values[0]), 0)
    for at, value in enumerate(values[1:], 1):
        rollup.merge(Rollup.of(Decimal(value), at))
    assert str(rollup.mean) == mean
