"""Controls in a real browser: each kind sends what its form wants, shows what was read back, and says why not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.dashboard.conftest import HUB
from tests.helpers import wait_until

Board = Callable[..., Any]
Look = Callable[..., Page]


@pytest.fixture
def page(board: Board, look: Look) -> Page:
    board("hub", HUB, ["lamp"])
    board("put", HUB, "lamp", "on", value=False, type="boolean", writable=True)
    board("put", HUB, "lamp", "level", value=40, type="int", writable=True)
    page = look()
    expect(page.get_by_role("switch", name="Lamp")).to_be_visible()
    return page


def sent(board: Board) -> list[Any]:
    """The commands that came, as {parameter: text}."""
    return [call[5] for call in board("asked") if call[0] == "set"]


def comes(board: Board, expected: list[Any]) -> None:
    wait_until(lambda: len(sent(board)) >= len(expected), f"{len(expected)} commands")
    assert sent(board) == expected


def of(page: Page, label: str) -> Locator:
    return page.locator(".control", has=page.get_by_text(label, exact=True))


def press(page: Page, label: str) -> None:
    of(page, label).get_by_role("button", name="Set").click()


def test_a_switch_switches_and_shows_what_was_read_back(board: Board, page: Page) -> None:
    switch = page.get_by_role("switch", name="Lamp")
    expect(switch).to_have_attribute("aria-checked", "false")
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "true")
    expect(of(page, "Lamp").locator(".now")).to_have_text("on")
    comes(board, [{"on": "true"}])
    switch.press("Space")
    expect(switch).to_have_attribute("aria-checked", "false")
    comes(board, [{"on": "true"}, {"on": "false"}])


def test_it_shows_the_true_state_until_the_hub_has_answered(board: Board, page: Page) -> None:
    board("hold", True)
    switch = page.get_by_role("switch", name="Lamp")
    switch.click()
    expect(of(page, "Lamp")).to_contain_text("sent, waiting for the hub")
    expect(switch).to_have_attribute("aria-checked", "false")
    expect(switch).to_have_attribute("aria-disabled", "true")
    switch.dispatch_event("click")  # does nothing: one is under way
    board("hold", False)
    expect(switch).to_have_attribute("aria-checked", "true")
    expect(switch).to_have_attribute("aria-disabled", "false")
    assert sent(board) == [{"on": "true"}]


def test_a_refusal_says_why_and_the_state_is_the_true_one(
    board: Board, page: Page, picture: Callable[[Page, str], None]
) -> None:
    board("refuse", "Forbidden: the pump is dry <b>now</b>")
    switch = page.get_by_role("switch", name="Lamp")
    switch.click()
    why = of(page, "Lamp").get_by_role("alert")
    expect(why).to_have_text("Forbidden: the pump is dry <b>now</b>")
    expect(switch).to_have_attribute("aria-checked", "false")
    assert str(why.get_attribute("id")) in str(switch.get_attribute("aria-describedby"))
    picture(page, "refused")
    board("refuse", "")
    switch.click()
    expect(why).to_have_text("")
    expect(switch).to_have_attribute("aria-checked", "true")


def test_a_slider_sends_when_it_is_let_go_and_not_before(board: Board, page: Page) -> None:
    slider = page.get_by_role("slider", name="Brightness (%)")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box() or {}
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.4, y)
    page.mouse.down()
    for part in (0.5, 0.6, 0.7, 1.0):
        page.mouse.move(box["x"] + box["width"] * part, y)
    expect(page.get_by_role("spinbutton", name="Brightness (%)")).to_have_value("100")
    assert sent(board) == []
    page.mouse.up()
    comes(board, [{"level": "100"}])
    expect(slider).to_have_value("100")


def test_keys_move_a_slider_by_steps_and_send_once(board: Board, page: Page) -> None:
    slider = page.get_by_role("slider", name="Brightness (%)")
    for _ in range(3):
        slider.press("ArrowRight")
    comes(board, [{"level": "43"}])
    expect(slider).to_have_attribute("min", "0")
    expect(slider).to_have_attribute("max", "100")


def test_a_refused_slider_goes_back(board: Board, page: Page) -> None:
    board("refuse", "not now")
    slider = page.get_by_role("slider", name="Brightness (%)")
    slider.press("End")
    expect(of(page, "Brightness (%)").get_by_role("alert")).to_have_text("not now")
    expect(slider).to_have_value("40")


TYPED = (
    ("Brightness (%)", "level", "72", "72"),
    ("Colour", "tint", "00ff7f", "00ff7f"),
    ("Wakes at", "wake", "06:45:30", "06:45:30"),
    ("Until", "until", "2027-01-31", "2027-01-31"),
    ("Next time", "moment", "2026-12-24T18:30:00", "2026-12-24T17:30:00Z"),  # the visitor is in Berlin
    ("Fades in", "fade", "1h 5m", "PT1H5M"),
    ("Note", "note", "<b>hi</b> & 'you'", "<b>hi</b> & 'you'"),
    ("Target (°C)", "target", "19.25", "19.25"),
    ("Limit", "limit", "-3", "-3"),
)


def test_what_is_typed_is_sent_by_its_button(board: Board, page: Page) -> None:
    kinds = "input[type=number], input[type=text], input[type=time], input[type=date], input[type=datetime-local]"
    wanted: list[Any] = []
    for label, name, typed, expected in TYPED:
        of(page, label).locator(kinds).fill(typed)
        assert sent(board) == wanted
        press(page, label)
        wanted.append({name: expected})
        comes(board, wanted)
        expect(of(page, label).get_by_role("button", name="Set")).to_have_count(0)
        expect(of(page, label).get_by_role("alert")).to_have_text("")


def test_a_choice_is_sent_by_its_button(board: Board, page: Page) -> None:
    choice = page.get_by_label("Mode")
    assert choice.locator("option").all_inner_texts() == ["day", "night", "party"]
    choice.select_option("party")
    assert sent(board) == []
    press(page, "Mode")
    comes(board, [{"mode": "party"}])


def test_a_colour_is_picked(board: Board, page: Page) -> None:
    picker = of(page, "Colour").locator("input[type=color]")
    expect(picker).to_have_value("#ff8800")
    picker.fill("#1020f0")
    press(page, "Colour")
    comes(board, [{"tint": "1020f0"}])


def test_undo_and_escape_send_nothing(board: Board, page: Page) -> None:
    note = page.get_by_role("textbox", name="Note")
    note.fill("other")
    of(page, "Note").get_by_role("button", name="Undo").click()
    expect(note).to_have_value("hello")
    note.fill("other")
    note.press("Escape")
    expect(note).to_have_value("hello")
    assert sent(board) == []


def test_what_cannot_be_sent_is_said_here(board: Board, page: Page) -> None:
    page.get_by_role("textbox", name="Fades in").fill("soon")
    press(page, "Fades in")
    expect(of(page, "Fades in").get_by_role("alert")).to_have_text("Write a duration like 1h 5m 30s.")
    page.get_by_role("spinbutton", name="Limit").fill("")
    press(page, "Limit")
    expect(of(page, "Limit").get_by_role("alert")).to_have_text("Fill this in first.")
    assert sent(board) == []


def test_what_somebody_else_sets_is_seen(board: Board, page: Page) -> None:
    board("put", HUB, "lamp", "on", value=True)
    expect(page.get_by_role("switch", name="Lamp")).to_have_attribute("aria-checked", "true")
    board("put", HUB, "lamp", "level", value=75)
    expect(page.get_by_role("slider", name="Brightness (%)")).to_have_value("75")


def test_what_is_being_typed_is_not_taken_away(board: Board, page: Page) -> None:
    field = page.get_by_role("spinbutton", name="Brightness (%)")
    field.fill("5")
    board("put", HUB, "lamp", "level", value=75)
    expect(page.locator(".tile .value", has_text="75")).to_be_visible()
    expect(field).to_have_value("5")
    field.press("Escape")
    expect(field).to_have_value("75")


def test_controls_of_a_hub_that_is_away_are_off(board: Board, page: Page) -> None:
    board("hub", HUB, ["lamp"], life="not there", text="It is not there.")
    expect(page.get_by_role("switch", name="Lamp")).to_have_attribute("aria-disabled", "true")
    expect(page.get_by_label("Mode")).to_be_disabled()
    page.get_by_role("switch", name="Lamp").dispatch_event("click")
    assert sent(board) == []


def test_a_form_that_is_refused_says_why_and_can_be_asked_again(board: Board, look: Look) -> None:
    board("hub", HUB, ["lamp"])
    board("put", HUB, "lamp", "on", value=False, type="boolean", writable=True)
    board("refuse", "It does not let us control.")
    page = look()
    expect(page.get_by_role("alert").filter(has_text="It does not let us control.")).to_be_visible()
    board("refuse", "")
    page.get_by_role("button", name="Ask again").click()
    expect(page.get_by_role("switch", name="Lamp")).to_be_visible()


def test_controls_are_opened_and_closed_by_the_keyboard(board: Board, page: Page) -> None:
    opener = page.get_by_role("button", name="Controls of lamp")
    expect(opener).to_have_attribute("aria-expanded", "true")
    opener.press("Enter")
    expect(page.get_by_role("switch")).to_have_count(0)
    expect(opener).to_have_attribute("aria-expanded", "false")
