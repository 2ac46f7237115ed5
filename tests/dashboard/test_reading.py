"""For those who use a keyboard, a screen reader, or little light: axe-core's rules, and what they cannot see."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.dashboard.conftest import HUB, PHONE
from tests.dashboard.page_process import Page as Process

Board = Callable[..., Any]
Look = Callable[..., Page]

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture
def everything(board: Board, look: Look) -> Page:
    """A page with each state a tile, a hub and a control can have."""
    board("hub", HUB, ["air", "lamp", "door"])
    board("hub", "cellar@example.org", ["tank"], life="not there", text="It is not there; it is asked when it comes.")
    board("hub", "attic@example.org", [], life="refused", text="It does not let us read.")
    board("hub", "shed@example.org", [], life="connecting", text="It is asked.")
    board("say", "example.org refuses connections; tried again in 8 s.")
    trend = [(at * 60, 20 + at % 5) for at in range(30)]
    board("put", HUB, "air", "temperature", value=36.5, unit="°C", trend=trend, alarm="above 35 °C")
    board("put", HUB, "air", "humidity", value=54.2, unit="%", trend=trend)
    board("put", HUB, "air", "pressure", value=1013, unit="hPa", trend=trend, freshness="stale", age=500)
    board("put", HUB, "air", "dust", value=3, freshness="live", quality_text="automatic-estimate")
    board("put", HUB, "lamp", "on", value=False, type="boolean", writable=True)
    board("put", HUB, "door", "", freshness="never", trouble="no such pin")
    board("put", "cellar@example.org", "tank", "level", value=812, unit="l", trend=trend, freshness="gone", age=4_000)
    page = look()
    expect(page.get_by_role("switch")).to_be_visible()
    return page


def faults(page: Page) -> list[str]:
    """What axe-core finds wrong, each with the element."""
    found = Axe().run(page, options=RULES).response["violations"]
    return [f"{each['id']}: {node['html'][:160]} {node['failureSummary']}" for each in found for node in each["nodes"]]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(everything: Page, board: Board, theme: str, picture: Callable[[Page, str], None]) -> None:
    everything.get_by_label(theme).check()
    board("refuse", "The pump is dry.")
    everything.get_by_role("switch").click()
    expect(everything.get_by_text("The pump is dry.")).to_be_visible()
    everything.get_by_role("textbox", name="Note").fill("other")  # with its buttons
    assert faults(everything) == []
    picture(everything, f"everything-{theme}")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_a_chart(everything: Page, theme: str) -> None:
    everything.get_by_label(theme).check()
    everything.get_by_role("button", name="temperature: show its chart").click()
    everything.wait_for_selector("dialog[data-drawn]")
    everything.get_by_role("button", name="Show as a table").click()
    assert faults(everything) == []


def test_axe_finds_nothing_on_a_phone(everything: Page) -> None:
    everything.set_viewport_size(PHONE)
    assert faults(everything) == []


def test_axe_finds_nothing_where_one_logs_in(context: Any) -> None:
    with Process({"ann": ("secret", True)}) as process:
        page = context.new_page()
        page.goto(process.url)
        page.get_by_label("Name").fill("ann")
        page.get_by_label("Password").fill("wrong")
        page.get_by_label("Password").press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("do not belong together")
        assert faults(page) == []
        page.emulate_media(color_scheme="dark")
        assert faults(page) == []


def test_everything_is_reached_and_seen_by_the_keyboard(everything: Page) -> None:
    everything.keyboard.press("Tab")
    assert everything.evaluate("document.activeElement.textContent") == "Skip to the values"
    assert everything.evaluate("document.activeElement.getBoundingClientRect().top") >= 0
    reached: list[str] = []
    for _ in range(80):
        everything.keyboard.press("Tab")
        name, width = everything.evaluate(
            """() => { const e = document.activeElement; const s = (x, p) => getComputedStyle(x, p);
            const rings = [s(e), s(e, '::after'), ...(e.nextElementSibling ? [s(e.nextElementSibling)] : [])];
            return [e.tagName + ' ' + (e.getAttribute('aria-label') || e.id || e.name || e.textContent),
                    Math.max(...rings.map((r) => r.outlineStyle === 'none' ? 0 : parseFloat(r.outlineWidth)))] }"""
        )
        if name.startswith("BODY"):
            break
        assert width >= 2, f"{name} has the focus, and nobody sees it"
        reached.append(name)
    wanted = ["INPUT theme", "A ", "BUTTON temperature: show its chart", "BUTTON Controls", "BUTTON c-0-1-0",
              "INPUT c-0-1-1"]  # fmt: skip
    places = [next((number for number, name in enumerate(reached) if name.startswith(start)), -1) for start in wanted]
    assert -1 not in places, dict(zip(wanted, places, strict=True))


def test_the_skip_link_leads_to_the_values(everything: Page) -> None:
    everything.keyboard.press("Tab")
    everything.keyboard.press("Enter")
    assert everything.evaluate("document.activeElement.id") == "things"


def test_headings_and_landmarks_tell_where_one_is(everything: Page) -> None:
    levels = everything.locator("h1, h2, h3, h4").evaluate_all("(all) => all.map((each) => Number(each.tagName[1]))")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    expect(everything.get_by_role("banner")).to_have_count(1)
    expect(everything.get_by_role("main")).to_have_count(1)
    expect(everything.get_by_role("navigation", name="Hubs")).to_have_count(1)
    for name in ("Alarms", "air", "cellar"):
        expect(everything.get_by_role("region", name=name)).to_have_count(1)
    expect(everything.locator("html")).to_have_attribute("lang", "en-US")


def test_a_trend_is_said_in_words(everything: Page) -> None:
    trend = everything.get_by_role("img", name="Lately between 20 and 24 °C")
    expect(trend).to_have_count(1)
    assert "between 20 and 24" in (trend.locator("title").text_content() or "")


def test_who_wants_no_motion_gets_none(everything: Page) -> None:
    motion = "getComputedStyle(document.querySelector('.knob')).transitionProperty"
    assert everything.evaluate(motion) == "transform"
    everything.emulate_media(reduced_motion="reduce")
    assert everything.evaluate(motion) == "none"
