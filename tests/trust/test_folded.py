"""What is said again and again: nothing is lost, and little is written."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from hub.trust import folded
from hub.trust.folded import MAX_COUNTED, WINDOW_S, Folded


def test_the_first_is_written_and_what_follows_is_counted_until_a_window_was_empty() -> None:
    log: Folded[str] = Folded()
    assert log.first("a", 0.0)
    assert [log.first("a", second) for second in (1.0, 59.0)] == [False, False]
    assert log.due(59.9) == []
    assert log.due(60.0) == [("a", 2, 60.0)]
    assert not log.first("a", 61.0), "the next window has begun"
    assert log.due(125.0) == [("a", 1, 65.0)]
    assert log.due(190.0) == [] and len(log) == 0
    assert log.first("a", 200.0)


def test_what_is_counted_at_the_end_is_told() -> None:
    log: Folded[str] = Folded()
    assert log.first("a", 0.0) and log.first("b", 1.0) and not log.first("b", 2.0)
    assert log.rest(5.0) == [("b", 1, 4.0)]
    assert log.rest(6.0) == []


def test_of_too_many_at_once_the_oldest_is_told_before_its_time() -> None:
    log: Folded[int] = Folded()
    for kind in range(MAX_COUNTED):
        assert log.due(0.0) == [] and log.first(kind, 0.0)
    assert not log.first(0, 1.0)
    assert log.due(1.0) == [(0, 1, 1.0)] and len(log) == MAX_COUNTED - 1


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 5)), max_size=200), st.integers(2, 6))
def test_nothing_is_lost_and_each_kind_is_written_once_a_window(steps: list[tuple[float, int]], room: int) -> None:
    before, folded.MAX_COUNTED = folded.MAX_COUNTED, room  # type: ignore[misc]  # a small one
    try:
        log: Folded[int] = Folded()
        now, said, told, lines = 0.0, Counter[int](), Counter[int](), Counter[int]()
        for wait, kind in steps:
            now += wait
            for done, count, _ in log.due(now):
                told[done] += count
                lines[done] += 1
            said[kind] += 1
            if log.first(kind, now):
                told[kind] += 1
                lines[kind] += 1
            assert len(log) <= room
        for done, count, _ in log.rest(now):
            told[done] += count
        assert told == said
        if room == 6:  # nobody had to give way
            assert all(count <= 2 * (now // WINDOW_S + 1) for count in lines.values())
    finally:
        folded.MAX_COUNTED = before  # type: ignore[misc]
