"""What goes to a browser, without one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.dashboard.view import Key, Series
from hub.dashboard.wire import ALPHABET, MAX_TILES, TREND_EVERY_S, Screen, series_json, shown, span_words, trend
from tests.dashboard.scripted import ScriptedBoard

HUB = "greenhouse@example.org"


@pytest.fixture
def board() -> ScriptedBoard:
    board = ScriptedBoard("Greenhouses", {})
    board.hub(HUB, ["air"])
    board.put(HUB, "air", "temperature", value=21.5, unit="°C", trend=[(0, 1), (60, 2)])
    board.put(HUB, "air", "humidity", value=54)
    return board


def key(field: str) -> Key:
    return Key(HUB, "air", field)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Küche 23 °C 日本 ½", "Küche 23 °C 日本 ½"),
        ("a\x00b\x1b[31mc\nd", "a\ufffdb\ufffd[31mc\ufffdd"),
        ("\u202egnp.exe", "\ufffdgnp.exe"),
        ("\u2066\u200f\u061c\u2028\ufeff\U000e0041", "\ufffd" * 6),
        ("x" * 130, "x" * 120 + "…"),
        ("\ud800", "\ufffd"),
    ],
)
def test_text_that_could_steer_others_is_made_harmless(text: str, expected: str) -> None:
    assert shown(text) == expected


@given(st.text())
def test_what_is_shown_is_printable_and_short(text: str) -> None:
    assert shown(text).replace("\ufffd", "").isprintable() and len(shown(text)) <= 121


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([], ""),
        ([(0, 1)], ""),
        ([(0, 1), (0, 2)], ""),
        ([(0, 0), (63, 63)], "00__"),
        ([(0, 5), (1, 5)], "0W_W"),
        ([(0, 0), (1, 1), (2, 0), (60, 1), (63, 0)], "001_20 y__0"),
        ([(0, float("nan")), (0, 1), (63, 0)], "0__0"),
    ],
)
def test_a_trend_is_pairs_of_letters(points: list[tuple[float, float]], expected: str) -> None:
    assert trend(points) == expected


@given(st.lists(st.tuples(st.floats(0, 1e9), st.floats(-1e300, 1e300)), max_size=50))
def test_any_trend_can_be_drawn(points: list[tuple[float, float]]) -> None:
    drawn = trend(sorted(points))
    assert all(len(part) % 2 == 0 and set(part) <= set(ALPHABET) for part in drawn.split(" "))


def test_a_trend_in_words() -> None:
    assert span_words([(0, 20.123456), (1, 23)], "°C") == "between 20.12 and 23 °C"
    assert span_words([(0, 5), (1, 5)], "") == "steady at 5"
    assert span_words([(0, 5)], "") == ""


def test_only_what_changed_is_sent(board: ScriptedBoard) -> None:
    screen = Screen(board)
    whole = screen.whole(100.0)
    assert [number for number, _ in whole["tiles"]] == [0, 1]
    assert screen.changed(frozenset({key("temperature")}), 101.0) == {"now": 101.0, "tiles": []}
    board.put(HUB, "air", "temperature", text="22")
    assert screen.changed(frozenset({key("temperature"), key("humidity")}), 102.0)["tiles"] == [[1, {"v": "22"}]]
    assert screen.changed(frozenset({key("temperature")}), 103.0)["tiles"] == []


def test_a_trend_is_sent_now_and_then(board: ScriptedBoard) -> None:
    screen = Screen(board)
    screen.whole(0.0)
    board.put(HUB, "air", "temperature", trend=[(0, 1), (63, 9)])
    assert screen.changed(frozenset({key("temperature")}), TREND_EVERY_S - 1)["tiles"] == []
    ((_, change),) = screen.changed(frozenset({key("temperature")}), TREND_EVERY_S)["tiles"]
    assert change == {"r": "between 1 and 9 °C"}  # the line itself is the same


def test_hubs_and_things_are_sent_when_they_are_others(board: ScriptedBoard) -> None:
    screen = Screen(board)
    screen.whole(0.0)
    assert "layout" not in screen.changed(None, 1.0)
    board.hub(HUB, ["air", "lamp"])
    layout: Any = screen.changed(None, 2.0)["layout"]
    assert [thing["name"] for thing in layout["hubs"][0]["things"]] == ["air", "lamp"]
    board.put(HUB, "lamp", "on", value=True, writable=True)
    news = screen.changed(None, 3.0)
    assert news["layout"]["hubs"][0]["things"][1] == {"name": "lamp", "label": "lamp", "tiles": [2], "control": True}
    assert [number for number, _ in news["tiles"]] == [2]
    board.drop(HUB)
    board.hub(HUB, ["air"])
    board.put(HUB, "air", "temperature", value=1)
    news = screen.changed(None, 4.0)
    assert [number for number, _ in news["tiles"]] == [1]  # it keeps its number


def test_a_browser_names_tiles_that_it_got_and_no_others(board: ScriptedBoard) -> None:
    screen = Screen(board)
    screen.whole(0.0)
    assert screen.key(1) == key("temperature")
    for wrong in (2, -1, True, 1.0, "1", None, [], {}):
        assert screen.key(wrong) is None


def test_there_is_an_end_to_tiles(board: ScriptedBoard) -> None:
    for number in range(MAX_TILES + 10):
        board.put(HUB, "air", f"field{number}", value=number)
    assert len(Screen(board).whole(0.0)["tiles"]) == MAX_TILES


def test_a_series_is_small() -> None:
    series = Series((10.0, 11.0, 13.0), (1.23456789, None, 2.0), (1.0, None, 2.0), (float("inf"), None, 2.0), "°C", "")
    assert series_json(series) == {
        "begin": 10.0, "steps": [1.0, 2.0], "mean": [1.23457, None, 2.0], "low": [1.0, None, 2.0],
        "high": [None, None, 2.0], "unit": "°C", "note": "",
    }  # fmt: skip
