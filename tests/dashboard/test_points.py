"""Bounded numbers over time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.dashboard.points import TREND_SPAN_S, Points, Trend

MOMENTS = st.lists(st.tuples(st.integers(0, 5_000), st.integers(-50, 50)), max_size=400)


@given(MOMENTS)
def test_points_are_those_of_a_sorted_dictionary(given: list[tuple[int, int]]) -> None:
    points, there = Points(10_000), dict[float, float]()
    for at, value in given:
        points.add(at, value)
        there[at] = value
    assert points.after(-1) == sorted(there.items())
    assert points.after(2_500) == sorted((at, value) for at, value in there.items() if at > 2_500)


@given(MOMENTS, st.integers(1, 50))
def test_only_the_newest_are_kept(given: list[tuple[int, int]], most: int) -> None:
    points = Points(most)
    for number, (at, value) in enumerate(given):
        points.add(at + 5_001 * number, value)  # each later than the one before
    assert [value for _, value in points.after(-1)] == [value for _, value in given[-most:]]


def test_what_is_older_than_all_that_is_kept_does_not_come_in_again() -> None:
    points = Points(3)
    for at in (10, 20, 30, 40, 5, 25):
        points.add(at, at)
    assert [at for at, _ in points.after(0)] == [25, 30, 40]


@given(MOMENTS, st.integers(2, 50))
def test_a_trend_is_bounded_in_order_and_ends_with_the_newest(given: list[tuple[int, int]], most: int) -> None:
    trend = Trend(most)
    newest: tuple[float, float] | None = None
    for at, value in given:
        trend.add(at, value)
        if newest is None or at >= newest[0]:
            newest = (at, value)
        shown = trend.all()
        assert 1 <= len(shown) <= most and list(shown) == sorted(shown) and len(dict(shown)) == len(shown)
        assert shown[-1] == newest and shown[-1][0] - shown[0][0] <= TREND_SPAN_S


def test_a_trend_of_many_points_reaches_back_an_hour() -> None:
    trend = Trend(120)
    for second in range(20_000):
        trend.add(second, second)
    shown = trend.all()
    assert shown[-1] == (19_999, 19_999) and shown[0][0] < 19_999 - 0.9 * TREND_SPAN_S and len(shown) > 50
