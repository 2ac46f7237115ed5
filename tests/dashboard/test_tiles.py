"""Tiles in a real browser: they change, they age, and what is not true any more never looks fresh."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.dashboard.conftest import HUB, PHONE
from tests.dashboard.page_process import Page as Process

Board = Callable[..., Any]
Look = Callable[..., Page]

HOSTILE = "<img src=x onerror=document.body.dataset.owned=1>{{ 7*7 }}**bold**‮evil‬\u0007 ${1+1}`</script>"


def tile(page: Page, field: str) -> Any:
    return page.locator("li.tile", has=page.get_by_role("button", name=f"{field}: show its chart"))


def greenhouse(board: Board) -> None:
    now = time.time()
    trend = [(now - 3600 + i * 36, 21 + math.sin(i / 9) + 0.2 * math.sin(i)) for i in range(100)]
    board("hub", HUB, ["air", "lamp"])
    board("put", HUB, "air", "temperature", value=21.48, unit="°C", trend=trend)
    board("put", HUB, "air", "humidity", value=54.2, unit="%", trend=trend)
    board("put", HUB, "lamp", "on", value=False, type="boolean", writable=True)


def test_a_tile_changes_when_its_value_does(board: Board, look: Look) -> None:
    greenhouse(board)
    page = look()
    expect(tile(page, "temperature").locator(".value")).to_have_text("21.48 °C")
    page.evaluate("document.querySelector('.tile').dataset.same = 1")
    board("put", HUB, "air", "temperature", value=22.5)
    expect(tile(page, "temperature").locator(".value")).to_have_text("22.5 °C")
    assert page.locator("[data-same]").count() == 1  # nothing was built anew
    assert page.get_by_role("button", name="Log out").count() == 0, "nobody logged in"


def test_it_says_how_old_a_value_is_and_counts_on(board: Board, look: Look) -> None:
    greenhouse(board)
    board("put", HUB, "air", "humidity", value=54.2, age=200)
    board("put", HUB, "air", "temperature", value=21.5, age=5)
    page = look()
    expect(tile(page, "humidity").locator(".age")).to_have_text("3 min ago")
    expect(tile(page, "temperature").locator(".age")).to_have_text("7 s ago")


@pytest.mark.parametrize(
    ("said", "state", "words"),
    [
        ({"freshness": "stale", "age": 700}, "stale", "stale· 11 min ago"),
        ({"freshness": "gone", "age": 90_000}, "gone", "hub not there· 25 h ago"),
        ({"freshness": "never", "text": "", "moment": None, "value": None}, "never", "no value yet"),
    ],
)
def test_what_is_not_fresh_looks_otherwise(
    board: Board, look: Look, said: dict[str, Any], state: str, words: str
) -> None:
    greenhouse(board)
    if "moment" in said:
        board("hub", HUB, ["air", "lamp", "new"])
        board("put", HUB, "new", "pressure", **{key: value for key, value in said.items() if key != "value"})
        other = "pressure"
    else:
        other = "temperature"
        board("put", HUB, "air", other, **said)
    page = look()
    fresh, old = tile(page, "humidity"), tile(page, other)
    expect(old).to_have_class(f"tile {state}")
    expect(old.locator(".state")).to_have_text(words)

    def style(of: Any, part: str) -> list[str]:
        look_of = "(e) => { const s = getComputedStyle(e); return [s.color, s.backgroundColor, s.borderTopStyle] }"
        return list(of.locator(part).first.evaluate(look_of) if part else of.evaluate(look_of))

    assert style(old, "")[2] != style(fresh, "")[2]
    assert style(old, ".value bdi")[0] != style(fresh, ".value bdi")[0]
    assert old.locator(".icon path").get_attribute("d") != fresh.locator(".icon path").get_attribute("d")


def test_a_live_value_becomes_stale_before_the_eyes_of_its_reader(board: Board, look: Look) -> None:
    greenhouse(board)
    page = look()
    expect(tile(page, "temperature")).to_have_class("tile live")
    board("put", HUB, "air", "temperature", freshness="stale")
    expect(tile(page, "temperature")).to_have_class("tile stale")
    board("put", HUB, "air", "temperature", value=22, freshness="live")
    expect(tile(page, "temperature")).to_have_class("tile live")


def test_trouble_and_doubtful_quality_are_said(board: Board, look: Look) -> None:
    greenhouse(board)
    board("put", HUB, "air", "temperature", trouble="the chip at 0x76 does not answer")
    board("put", HUB, "air", "temperature", quality_text="automatic-estimate")
    board("put", HUB, "door", "", freshness="never", label="Door", trouble="no such pin")
    page = look()
    expect(page.get_by_text("the chip at 0x76 does not answer")).to_be_visible()
    expect(tile(page, "temperature").locator(".quality")).to_have_text("automatic-estimate")
    door = page.get_by_role("region", name="Door")
    expect(door).to_contain_text("no such pin")
    expect(door).to_contain_text("no values yet")
    assert door.locator(".tile").count() == 0


def test_hubs_and_things_come_and_go(board: Board, look: Look) -> None:
    page = look()
    expect(page.get_by_text("No hubs are known yet.")).to_be_visible()
    greenhouse(board)
    expect(tile(page, "temperature")).to_be_visible()
    board("hub", HUB, ["air"], life="not there", text="Its stream ended; it is asked again when it comes back.")
    expect(page.get_by_text("Its stream ended; it is asked again")).to_be_visible()
    expect(page.get_by_role("navigation", name="Hubs")).to_contain_text("not there")
    board("hub", "cellar@example.org", ["tank"], life="refused", text="It does not let us read: ask its owner.")
    expect(page.get_by_role("heading", name="cellar")).to_be_visible()
    board("drop", HUB)
    expect(page.get_by_role("heading", name="greenhouse", exact=True)).to_have_count(0)
    expect(page.get_by_text("It does not let us read")).to_be_visible()


def test_with_the_server_down_it_opens_and_says_so(board: Board, look: Look) -> None:
    board("say", "example.org refuses connections (port 5222); tried again in 8 s.")
    page = look()
    expect(page.get_by_text("example.org refuses connections (port 5222); tried again in 8 s.")).to_be_visible()
    board("say", "")
    expect(page.get_by_text("refuses connections")).to_have_count(0)


def test_alarms_stand_on_top_and_in_the_title(board: Board, look: Look, picture: Callable[[Page, str], None]) -> None:
    greenhouse(board)
    page = look()
    expect(page).to_have_title("Greenhouses")
    board("put", HUB, "air", "temperature", value=36.2, alarm="above 35 °C")
    bar = page.get_by_role("region", name="Alarms")
    expect(bar).to_have_text("temperature above 35 °C (air, greenhouse)")
    assert bar.get_attribute("aria-live") == "polite"
    expect(page).to_have_title("(1) Greenhouses")
    expect(tile(page, "temperature")).to_contain_text("above 35 °C")
    picture(page, "alarm")
    board("put", HUB, "air", "temperature", value=30, alarm="")
    expect(bar).to_have_text("")
    expect(page).to_have_title("Greenhouses")


def test_a_page_opened_during_an_alarm_has_it_in_its_title(board: Board, look: Look) -> None:
    greenhouse(board)
    board("put", HUB, "air", "temperature", alarm="above 35 °C")
    expect(look()).to_have_title("(1) Greenhouses")


def test_what_hubs_say_is_text_and_nothing_else(board: Board, look: Look) -> None:
    hub = f"{HOSTILE}@example.org"
    board("hub", hub, [HOSTILE], life="refused", text=HOSTILE, title=HOSTILE)
    board("put", hub, HOSTILE, HOSTILE, text=HOSTILE, unit="<b>%</b>", label=HOSTILE, trouble=HOSTILE, alarm=HOSTILE,
          quality_text=HOSTILE, age=1, trend=[(1, 1), (2, 2)])  # fmt: skip
    board("say", HOSTILE)
    page = look()
    expect(page.locator(".tile .alarm")).to_contain_text("<img src=x onerror=")
    board("put", hub, HOSTILE, HOSTILE, text=HOSTILE + "2", age=0)
    expect(page.locator(".tile .value bdi").first).to_contain_text("</script>2")
    assert page.evaluate("document.body.dataset.owned") is None
    assert page.locator("#wall img, #wall b:not(.alarms b), #top img").count() == 0
    shown = page.locator("body").inner_text()
    assert "{{ 7*7 }}" in shown and "\u202e" not in shown and "\u0007" not in shown
    page.locator(".tile h4 button").click()
    page.wait_for_selector("dialog[data-drawn]")
    assert page.evaluate("document.body.dataset.owned") is None


def test_a_long_text_breaks_nothing(board: Board, look: Look) -> None:
    board("hub", HUB, ["x" * 300])
    board("put", HUB, "x" * 300, "y" * 300, text="z" * 5_000, unit="w" * 300, age=1, trouble="v" * 3_000)
    page = look()
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert (page.locator(".tile").bounding_box() or {})["height"] < 400


def test_nothing_comes_from_elsewhere(board: Board, context: BrowserContext, process: Process) -> None:
    greenhouse(board)
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    page.on("websocket", lambda socket: asked.append(socket.url))
    page.goto(process.url)
    page.get_by_role("button", name="temperature: show its chart").click()
    page.wait_for_selector("dialog[data-drawn]")
    hosts = {url.split("://")[1].split("/")[0] for url in asked if not url.startswith("data:")}
    assert hosts == {f"127.0.0.1:{process.port}"}
    assert any(url.startswith("ws:") for url in asked)


def test_on_a_phone_nothing_is_cut_off(board: Board, look: Look, picture: Callable[[Page, str], None]) -> None:
    greenhouse(board)
    page = look()
    page.set_viewport_size(PHONE)
    expect(page.locator(".control").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    picture(page, "phone")
    board("remember", 86_400)
    page.get_by_role("button", name="temperature: show its chart").click()
    page.wait_for_selector("dialog[data-drawn]")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    picture(page, "phone-chart")


def test_light_and_dark_are_remembered(board: Board, look: Look, picture: Callable[[Page, str], None]) -> None:
    greenhouse(board)
    ground = "getComputedStyle(document.body).backgroundColor"
    page = look()
    light = page.evaluate(ground)
    picture(page, "light")
    page.get_by_label("dark").check()
    dark = page.evaluate(ground)
    assert dark != light
    picture(page, "dark")
    again = look()
    assert again.evaluate(ground) == dark
    expect(again.get_by_label("dark")).to_be_checked()
    again.get_by_label("auto").check()
    again.emulate_media(color_scheme="dark")
    assert again.evaluate(ground) == dark
    again.emulate_media(color_scheme="light")
    assert again.evaluate(ground) == light


def test_a_short_break_is_made_good_without_loading_the_page_anew(board: Board, look: Look) -> None:
    greenhouse(board)
    page = look()
    page.evaluate("document.body.dataset.same = 1")
    page.evaluate("window.socket.io.engine.close()")
    expect(tile(page, "temperature")).to_have_class("tile cut")
    board("put", HUB, "air", "temperature", value=25)
    expect(tile(page, "temperature").locator(".value")).to_have_text("25 °C", timeout=15_000)
    expect(tile(page, "temperature")).to_have_class("tile live")
    assert page.evaluate("document.body.dataset.same") == "1"


def test_a_lost_connection_does_not_leave_values_fresh_and_heals(
    context: BrowserContext, picture: Callable[[Page, str], None]
) -> None:
    with Process() as first:
        greenhouse(first.board)
        page = context.new_page()
        page.goto(first.url)
        expect(tile(page, "temperature")).to_have_class("tile live")
        expect(page.get_by_role("switch")).to_have_attribute("aria-disabled", "false")
        first.end(signal.SIGKILL)
        expect(tile(page, "temperature")).to_have_class("tile cut")
        expect(tile(page, "temperature").locator(".state")).to_contain_text("connection lost")
        expect(page.get_by_role("alert").first).to_contain_text("The connection to the dashboard was lost")
        expect(page.get_by_role("switch")).to_have_attribute("aria-disabled", "true")
        picture(page, "connection-lost")
        with Process(port=first.port) as second:
            greenhouse(second.board)
            second.board("put", HUB, "air", "temperature", value=19)
            expect(tile(page, "temperature").locator(".value")).to_have_text("19 °C", timeout=20_000)
            expect(tile(page, "temperature")).to_have_class("tile live")
            expect(page.get_by_text("was lost at")).to_have_count(0)
