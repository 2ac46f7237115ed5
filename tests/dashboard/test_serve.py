"""How it ends."""

from __future__ import annotations

import signal

from playwright.sync_api import BrowserContext, expect

from tests.dashboard.conftest import HUB
from tests.dashboard.page_process import Page as Process


def test_it_ends_with_pages_open_and_a_chart_drawn(context: BrowserContext) -> None:
    with Process() as process:
        process.board("hub", HUB, ["air"])
        process.board("put", HUB, "air", "temperature", value=21)
        pages = [context.new_page() for _ in range(3)]
        for page in pages:
            page.goto(process.url)
            page.wait_for_function("window.did_handshake")
        process.board("hold", True)
        pages[0].get_by_role("button", name="temperature: show its chart").click()
        assert process.end(signal.SIGTERM) == 0
        expect(pages[1].get_by_role("alert").first).to_contain_text("was lost")
