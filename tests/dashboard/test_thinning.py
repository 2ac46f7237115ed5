"""Many points as few: what has to be kept is kept."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.dashboard.charts import Point, joined, series, single, thinned
from hub.dashboard.view import Series

VALUES = st.floats(-1e6, 1e6)
MANY = st.lists(st.tuples(st.floats(0, 1000), VALUES), max_size=300, unique_by=lambda point: point[0]).map(
    lambda points: [single(at, value) for at, value in sorted(points)]
)


@given(MANY, st.integers(2, 60))
def test_extremes_and_the_mean_survive(points: list[Point], most: int) -> None:
    thin = thinned(points, 0, 1000, most)
    assert len(thin) <= most and [point.at for point in thin] == sorted(point.at for point in thin)
    assert bool(thin) is bool(points)
    if points:
        assert min(p.low for p in thin) == min(p.low for p in points)
        assert max(p.high for p in thin) == max(p.high for p in points)
        assert all(p.low - 1e-6 <= p.mean <= p.high + 1e-6 for p in thin)


@given(MANY, st.integers(3, 60), st.floats(0, 50))
def test_a_chart_is_bounded_and_its_gaps_are_between_points(points: list[Point], most: int, apart: float) -> None:
    made = series(points, 0, 1000, most, apart, "°C")
    assert len(made.times) <= most and list(made.times) == sorted(made.times)
    assert len(made.times) == len(made.mean) == len(made.low) == len(made.high)
    for mean, low, high in zip(made.mean, made.low, made.high, strict=True):
        assert (mean is None) is (low is None) is (high is None)
    if made.mean:
        assert made.mean[0] is not None and made.mean[-1] is not None


def gaps(made: Series) -> list[float]:
    return [at for at, mean in zip(made.times, made.mean, strict=True) if mean is None]


def test_a_line_is_broken_where_nothing_was_heard() -> None:
    seconds = [*range(100), *range(200, 300)]
    made = series([single(at, 1.0) for at in seconds], 0, 300, 1000, 1, "")
    assert gaps(made) == [149.5]
    assert gaps(series([single(at, 1.0) for at in seconds], 0, 300, 1000, 60, "")) == []  # not of what comes so seldom


def test_minutes_with_readings_behind_them_are_no_gap() -> None:
    minutes = [Point(at, 1, 0, 2) for at in range(0, 600, 60)]
    made = series([*minutes, *(single(600 + at, 1) for at in range(300))], 0, 900, 1000, 60, "")
    assert gaps(made) == []


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_points_are_as_they_are(count: int) -> None:
    made = series([single(10.0 * at, float(at)) for at in range(count)], 0, 100, 50, 1, "lx", "why")
    assert made.mean == made.low == made.high == tuple(float(at) for at in range(count))
    assert (made.unit, made.note) == ("lx", "why")


def test_what_lies_outside_is_left_out() -> None:
    made = series([single(float(at), 1.0) for at in range(100)], 20, 29, 1000, 1, "")
    assert made.times == tuple(float(at) for at in range(20, 30))


def test_live_values_follow_on_history_without_doubles() -> None:
    history = [single(float(at), 0.0) for at in range(10)]
    whole = joined(history, 9.001, [(float(at), 1.0) for at in range(5, 15)])
    assert [point.at for point in whole] == [float(at) for at in range(15)]
    assert [point.mean for point in whole] == [0.0] * 10 + [1.0] * 5
    assert joined([], -math.inf, [(1.0, 2.0)]) == [single(1.0, 2.0)]


def test_a_day_of_seconds_becomes_a_chart() -> None:
    day = [single(float(at), float(at % 3600)) for at in range(86_400)]
    made = series(day, 0, 86_400, 600, 1, "")
    assert len(made.times) == 600 and gaps(made) == []
    assert max(value for value in made.high if value is not None) == 3599
