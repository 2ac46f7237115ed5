"""The whole way: a browser, the dashboard's process, a real server, a node, and what its pin then does."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from devices.fake import PinTrace, SimulatedBuses
from hub.programs.dashboard import password_hash
from tests.dashboard.conftest import ARTEFACTS
from tests.dashboard.page_process import free_port

from .node_process import hub_process
from .world import World, running

PUMP = 17
THINGS = f"""
[things.air]
driver = "simulated"
kind = "counter"
interval = "500ms"
change = {{ value = 1 }}
[things.valve]
driver = "relay"
pin = 27
label = "Valve"
[things.pump]
driver = "relay"
pin = {PUMP}
label = "Pump"
requires = ["valve.output"]
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "server") as world:
        yield world.populate("greenhouse", "owner")


def dashboard_file(world: World, port: int) -> Path:
    file = world.folder / "dashboard.toml"
    file.write_text(f"""
[xmpp]
jid = "owner@localhost"
password_file = "{world.folder}/owner.password"
server = "127.0.0.1:{world.address.port}"
ca_file = "{world.ca_file}"
[dashboard]
title = "Greenhouses"
listen = "127.0.0.1:{port}"
hubs = ["greenhouse@localhost"]
[dashboard.users.ann]
password_hash = "{password_hash("correct horse")}"
control = true
[dashboard.users.guest]
password_hash = "{password_hash("only looking")}"
""")
    return file


@contextlib.asynccontextmanager
async def browsing(port: int) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        page = await browser.new_page(viewport={"width": 1280, "height": 900}, base_url=f"http://127.0.0.1:{port}")
        yield page
        await browser.close()


async def log_in(page: Page, name: str, password: str) -> None:
    await page.goto("/")
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Log in").click()


def level(trace: Path) -> float:
    return PinTrace(trace).levels[PUMP][1]


async def test_a_switch_in_the_browser_moves_the_pin(world: World, state: Path, tmp_path: Path) -> None:
    trace, port = tmp_path / "pins", free_port()
    async with (
        running(world.config(THINGS, state), SimulatedBuses(trace)),
        hub_process("dashboard", "--config", dashboard_file(world, port), wait_online=False) as dashboard,
        browsing(port) as page,
    ):
        await dashboard.says("the page is at")
        await log_in(page, "ann", "correct horse")
        value = page.get_by_role("region", name="air").locator(".tile .value").first
        await expect(value).not_to_have_text("–", timeout=20_000)
        before = await value.inner_text()
        await expect(value).not_to_have_text(before, timeout=20_000)  # it changes by itself

        pump = page.get_by_role("region", name="Pump")
        switch, why = pump.get_by_role("switch"), pump.get_by_role("alert")
        await expect(switch).to_have_attribute("aria-disabled", "false", timeout=20_000)
        await switch.click()
        await expect(why).to_contain_text("valve", timeout=20_000)  # the hub says what it waits for
        await expect(switch).to_have_attribute("aria-checked", "false")
        assert level(trace) == 0
        await page.screenshot(path=ARTEFACTS / "real-hub-refused.png", full_page=True)

        await page.get_by_role("region", name="Valve").get_by_role("switch").click()
        await expect(page.get_by_role("region", name="Valve").get_by_role("switch")).to_have_attribute(
            "aria-checked", "true", timeout=20_000
        )
        await switch.click()
        await expect(switch).to_have_attribute("aria-checked", "true", timeout=20_000)
        assert level(trace) == 1
        await expect(pump.locator(".tile .value").first).to_contain_text("on", timeout=20_000)

        await page.get_by_role("region", name="air").get_by_role("button", name="value: show its chart").click()
        await page.wait_for_selector("dialog[data-drawn]", timeout=20_000)
        await page.screenshot(path=ARTEFACTS / "real-hub-chart.png", full_page=True)


async def test_without_a_server_it_opens_and_says_what_is_wrong(world: World) -> None:
    port = free_port()
    file = dashboard_file(world, port)
    world.kill()
    async with (
        hub_process("dashboard", "--config", file, wait_online=False) as dashboard,
        browsing(port) as page,
    ):
        await dashboard.says("the page is at")
        await log_in(page, "guest", "only looking")
        await expect(page.get_by_role("status").filter(has_text="127.0.0.1")).to_be_visible(timeout=20_000)
        await page.screenshot(path=ARTEFACTS / "server-down.png", full_page=True)
