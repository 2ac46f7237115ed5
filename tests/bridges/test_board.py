"""What the broker should hold: the newest, each once, a few at a time."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from hub.bridges.board import WINDOW, Board


def taken(board: Board) -> list[tuple[str, bytes]]:
    found = []
    while (entry := board.take()) is not None:
        found.append(entry)
    return found


def test_only_the_newest_of_a_topic_is_sent() -> None:
    board = Board()
    for value in (b"1", b"2", b"3"):
        board.put("a", value)
    assert taken(board) == [("a", b"3")]
    board.settled("a")
    board.put("a", b"3")
    assert taken(board) == [] and board.is_settled


def test_a_topic_has_one_under_way() -> None:
    board = Board()
    board.put("a", b"1")
    assert taken(board) == [("a", b"1")]
    board.put("a", b"2")
    board.put("b", b"1")
    assert taken(board) == [("b", b"1")]
    board.settled("a")
    assert taken(board) == [("a", b"2")]


def test_few_wait_for_the_broker_at_a_time() -> None:
    board = Board()
    for number in range(100):
        board.put(str(number), b"x")
    assert len(taken(board)) == WINDOW
    board.settled("0")
    assert taken(board) == [(str(WINDOW), b"x")]


def test_a_new_connection_begins_with_all() -> None:
    board = Board()
    board.put("a", b"1")
    board.put("status", b"offline")
    taken(board)
    board.put("a", b"2")
    board.begin()
    board.put_last("status", b"online")
    board.put("b", b"1")
    assert taken(board) == [("a", b"2"), ("status", b"online"), ("b", b"1")]


def test_what_is_taken_off_is_forgotten_when_the_broker_knows() -> None:
    board = Board()
    board.put("a", b"1")
    taken(board)
    board.settled("a")
    board.put("a", b"")
    assert taken(board) == [("a", b"")]
    board.settled("a")
    assert board.topics() == [] and board.is_settled
    board.put("b", b"")
    taken(board)
    board.put("b", b"1")  # it is wanted again before the broker has answered
    board.settled("b")
    assert taken(board) == [("b", b"1")]


STEPS = st.tuples(st.sampled_from("abc"), st.sampled_from(["put", "settle", "begin", "take"]), st.binary(max_size=1))


@given(st.lists(STEPS))
@example([("a", "put", b""), ("a", "take", b""), ("a", "put", b"\0"), ("a", "put", b""), ("a", "settle", b"")])
def test_whatever_happens_the_broker_ends_with_the_newest(steps: list[tuple[str, str, bytes]]) -> None:
    """A broker that forgets nothing over connections but what was under way."""
    board, wanted, held, under_way = Board(), {}, {}, {}
    for topic, step, payload in [*steps, *[("a", "take", b""), ("", "settle all", b"")] * 20]:
        if step == "put":
            board.put(topic, payload)
            wanted[topic] = payload
        elif step == "begin":
            board.begin()
            under_way.clear()
        elif step == "take" and (entry := board.take()) is not None:
            assert entry[0] not in under_way
            under_way[entry[0]] = entry[1]
        for each in [topic] if step == "settle" else list(under_way) if step == "settle all" else []:
            if each in under_way:
                held[each] = under_way.pop(each)
                board.settled(each)
    assert board.is_settled
    assert {t: p for t, p in held.items() if p} == {t: p for t, p in wanted.items() if p}
