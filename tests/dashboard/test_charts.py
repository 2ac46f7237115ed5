"""Charts in a real browser: an hour, a day or a week, gaps, live values, and the same as a table."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.dashboard.conftest import HUB

Board = Callable[..., Any]
Look = Callable[..., Page]
GAP = (40_000, 30_000)  # seconds ago

ACCENTED = """(canvas) => {
    const [width, height] = [canvas.width, canvas.height];
    const pixels = canvas.getContext('2d').getImageData(0, 0, width, height).data;
    const columns = new Array(width).fill(0);
    for (let i = 0; i < pixels.length; i += 4)
        if (pixels[i + 1] - pixels[i] > 25 && pixels[i + 3] > 0) columns[(i / 4) % width] += 1;
    return columns;
}"""
"""How many pixels of the line's colour each column has."""


DRAWING = "(canvas) => canvas.toDataURL()"


@pytest.fixture
def page(board: Board, look: Look) -> Page:
    board("hub", HUB, ["air"])
    board("put", HUB, "air", "temperature", value=21.5, unit="°C", trend=[(0, 21), (60, 22)])
    board("put", HUB, "air", "note", text="all is well", type="string", age=3)
    board("remember", 86_400, gap=GAP)
    return look()


def opened(page: Page, field: str = "temperature") -> Locator:
    page.get_by_role("button", name=f"{field}: show its chart").click()
    page.wait_for_selector("dialog[data-drawn]")
    return page.get_by_role("dialog", name=field)


def test_a_day_is_drawn_with_its_gap(board: Board, page: Page, picture: Callable[[Page, str], None]) -> None:
    chart = opened(page)
    expect(chart.get_by_label("Day")).to_be_checked()
    columns = chart.locator("canvas").evaluate(ACCENTED)
    drawn = [number for number, count in enumerate(columns) if count]
    width = drawn[-1] - drawn[0]
    hole = max(after - before for before, after in itertools.pairwise(drawn))
    assert abs(hole / width - (GAP[0] - GAP[1]) / 86_400) < 0.02
    expect(chart).to_contain_text("1 gap")
    picture(page, "chart-day")
    light = chart.locator("canvas").evaluate(DRAWING)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"({DRAWING})(document.querySelector('canvas')) !== '{light}'")
    picture(page, "chart-dark")


def test_hour_and_week_are_a_choice_away(board: Board, page: Page) -> None:
    chart = opened(page)
    for label, span in (("Hour", "HOUR"), ("Week", "WEEK")):
        chart.get_by_label(label).check()
        page.wait_for_selector(f"dialog[data-drawn={span}]")
    assert [call[2] for call in board("asked") if call[0] == "series"] == ["DAY", "HOUR", "WEEK"]


def test_what_comes_while_one_looks_is_appended(board: Board, page: Page) -> None:
    chart = opened(page)
    expect(chart).not_to_contain_text("last 29.75")
    board("put", HUB, "air", "temperature", value=29.75)
    expect(chart).to_contain_text("highest 29.75, last 29.75 °C")


def test_the_same_as_a_table(board: Board, page: Page) -> None:
    chart = opened(page)
    button = chart.get_by_role("button", name="Show as a table")
    expect(button).to_have_attribute("aria-expanded", "false")
    button.click()
    rows = chart.get_by_role("row")
    assert rows.count() > 200
    assert chart.get_by_role("columnheader").all_inner_texts() == ["Time", "Mean", "Lowest", "Highest"]
    expect(chart.get_by_text("no values")).to_have_count(1)
    chart.get_by_role("button", name="Hide the table").click()
    expect(rows).to_have_count(0)


def test_those_who_do_not_see_it_are_told(board: Board, page: Page) -> None:
    picture = opened(page).get_by_role("img")
    assert "temperature: Lowest 15.7, highest 24.3" in (picture.get_attribute("aria-label") or "")


def test_without_history_it_says_so(board: Board, page: Page) -> None:
    board("remember", 0)
    chart = opened(page)
    expect(chart).to_contain_text("The hub keeps no history; this is what has come since the dashboard runs.")
    expect(chart).to_contain_text("No values in this time.")


def test_escape_closes_it_and_the_focus_goes_back(board: Board, page: Page) -> None:
    opened(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "temperature: show its chart"
