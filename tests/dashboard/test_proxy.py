"""Behind a reverse proxy: under a prefix, cookies for https only, and guesses counted by who made them."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.dashboard.conftest import HUB
from tests.dashboard.page_process import Page as Process
from tests.dashboard.reverse_proxy import ReverseProxy

PREFIX = "/house/hubs"


@pytest.fixture(scope="module")
def behind() -> Iterator[Process]:
    with Process({"ann": ("secret", True)}, behind_proxy=True) as process:
        process.board("hub", HUB, ["lamp"])
        process.board("put", HUB, "lamp", "on", value=False, type="boolean", writable=True)
        yield process


def test_a_page_works_under_a_prefix(behind: Process, context: BrowserContext) -> None:
    with ReverseProxy(behind.port, PREFIX) as proxy:
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"http://localhost:{proxy.port}{PREFIX}/")
        page.get_by_label("Name").fill("ann")
        page.get_by_label("Password").fill("secret")
        page.get_by_role("button", name="Log in").click()
        switch = page.get_by_role("switch", name="Lamp")
        switch.click()
        expect(switch).to_have_attribute("aria-checked", "true")
        page.get_by_role("button", name="on: show its chart").click()
        page.wait_for_selector("dialog[data-drawn]")
        page.keyboard.press("Escape")
        (cookie,) = context.cookies()
        assert (cookie["path"], cookie["secure"]) == (PREFIX, True)
        page.get_by_role("button", name="Log out").click()
        expect(page).to_have_title("Log in – Greenhouses")
        assert page.url == f"http://localhost:{proxy.port}{PREFIX}/login"
        assert all(url.startswith((f"http://localhost:{proxy.port}{PREFIX}/", "data:")) for url in asked)
        page.close()


def test_the_last_sender_that_the_proxy_names_is_the_one(behind: Process) -> None:
    with ReverseProxy(behind.port, "") as proxy:
        link = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
        link.request("POST", "/login", "name=ann&password=no", {"X-Forwarded-For": "192.0.2.1"})
        assert link.getresponse().status == 401
        link.close()
    assert [call for call in behind.board("asked") if call[0] == "authenticate"][-1][2] == "203.0.113.7"


@pytest.mark.parametrize("prefix", ["//evil.example", "/a b", '/"><script>', "/../x" * 9, "evil"])
def test_a_prefix_that_is_none_does_not_count(behind: Process, prefix: str) -> None:
    link = http.client.HTTPConnection("127.0.0.1", behind.port, timeout=10)
    link.request("GET", "/", headers={"X-Forwarded-Prefix": prefix})
    assert link.getresponse().getheader("location") == "/login"
    link.close()


@pytest.mark.parametrize(("proto", "origin", "status"), [("https", "https", 303), ("https", "http", 403)])
def test_origins_are_those_that_the_proxy_serves(behind: Process, proto: str, origin: str, status: int) -> None:
    link = http.client.HTTPConnection("127.0.0.1", behind.port, timeout=10)
    headers = {"X-Forwarded-Proto": proto, "X-Forwarded-Host": "hubs.example.org", "Origin": f"{origin}://hubs.example.org"}
    link.request("POST", "/login", "name=ann&password=secret", headers)
    assert link.getresponse().status == status
    link.close()
