"""The dashboard's page in figures, in a real Chromium.

    python -m tests.benchmarks.dashboard_page [--only chart,tiles,end,memory]

* chart: from the click on a tile to its chart on screen (drawn, and in a frame), the board holding a day of 1 s data:
  86,400 points, thinned for each chart anew. `first`: of a page just opened; `next`: of the same page.
* tiles: 500 tiles, each with a new value every second, in one page: bytes and messages that reach the browser (before
  the socket's compression), processor time of the server and of the page's thread, and how long opening it takes.
* memory: resident memory of the process with a scripted board: nobody looking, and what each page with 500 tiles adds.
* end: from SIGTERM to the end of the process with five pages open.

Server, browser and this share the processors.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from tests.dashboard.page_process import Page as Process

HUB = "greenhouse@example.org"
DAY = 86_400
ROUNDS = 7
TILES = 500
THINGS = 50
MEASURED_S = 20
PAGES = 5

CLICK = """async () => {
    const began = performance.now();
    document.querySelector('.tile h4 button').click();
    while (!document.querySelector('dialog[data-drawn]')) await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
    return performance.now() - began;
}"""


def opened(browser: Browser, process: Process) -> Page:
    page = browser.new_page()
    page.goto(process.url)
    page.wait_for_function("window.did_handshake")
    return page


def in_ms(took: Sequence[float]) -> str:
    return f"median {statistics.median(took):.0f} ms, worst of {len(took)} {max(took):.0f} ms"


def chart(browser: Browser) -> None:
    first, then = [], []
    with Process() as process:
        process.board("hub", HUB, ["air"])
        process.board("put", HUB, "air", "temperature", value=21.5, unit="°C")
        count = process.board("remember", DAY)
        for _ in range(ROUNDS):
            page = opened(browser, process)
            page.wait_for_load_state("networkidle")
            first.append(page.evaluate(CLICK))
            page.keyboard.press("Escape")
            page.wait_for_selector("dialog", state="detached")
            then.append(page.evaluate(CLICK))
            page.close()
    print(f"chart of {count:,} points, click to drawn: first {in_ms(first)}; next {in_ms(then)}")


def hang(process: Process) -> None:
    """500 tiles in 50 things, each with a trend."""
    fields = TILES // THINGS
    process.board("hub", HUB, [f"thing{number}" for number in range(THINGS)])
    now = time.time()
    trend = [(now - 3600 + 30 * number, number % 7) for number in range(120)]
    for number in range(TILES):
        process.board("put", HUB, f"thing{number // fields}", f"field{number % fields}", value=0, trend=trend)


def tiles(browser: Browser) -> None:
    with Process() as process:
        hang(process)
        began = time.perf_counter()
        page = browser.new_page()
        frames: list[int] = []
        page.on("websocket", lambda socket: socket.on("framereceived", lambda data: frames.append(len(data))))
        page.goto(process.url)
        page.wait_for_function(f"window.did_handshake && document.querySelectorAll('.tile').length === {TILES}")
        print(f"{TILES} tiles: open after {(time.perf_counter() - began) * 1000:.0f} ms")
        devtools = page.context.new_cdp_session(page)
        devtools.send("Performance.enable")
        process.board("every", 1.0)
        page.wait_for_timeout(2_000)
        frames.clear()
        server, thread, at = process.board("processor_time"), thread_time(devtools), time.perf_counter()
        page.wait_for_timeout(MEASURED_S * 1_000)
        took = time.perf_counter() - at
        print(
            f"{TILES} tiles, each new every second: {sum(frames) / took / 1000:.1f} kB/s in {len(frames) / took:.1f} "
            f"messages/s; server {(process.board('processor_time') - server) / took:.0%} of a processor "
            f"(with the script that makes the values), page {(thread_time(devtools) - thread) / took:.0%}"
        )


def thread_time(devtools: CDPSession) -> float:
    """Seconds that the page's thread has worked."""
    metrics = devtools.send("Performance.getMetrics")["metrics"]
    return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))


def end(browser: Browser) -> None:
    took = []
    for _ in range(3):
        with Process() as process:
            process.board("hub", HUB, ["air"])
            pages = [opened(browser, process) for _ in range(PAGES)]
            began = time.perf_counter()
            code = process.end(signal.SIGTERM)
            took.append((time.perf_counter() - began) * 1000)
            assert code == 0
            for page in pages:
                page.close()
    print(f"end with {PAGES} pages open: {in_ms(took)}")


def memory(browser: Browser) -> None:
    with Process() as process:
        hang(process)
        alone = resident(process)
        pages = [opened(browser, process) for _ in range(PAGES)]
        process.board("every", 1.0)
        pages[0].wait_for_timeout(10_000)
        each = (resident(process) - alone) / PAGES
    print(f"memory: {alone:.1f} MiB with nobody looking, {each:.1f} MiB for each page of {TILES} tiles")


def resident(process: Process) -> float:
    """MiB."""
    assert process.process is not None
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


PARTS: dict[str, Callable[[Browser], None]] = {"chart": chart, "tiles": tiles, "end": end, "memory": memory}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default=",".join(PARTS))
    wanted = parser.parse_args().only.split(",")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name in wanted:
            PARTS[name](browser)
        browser.close()


if __name__ == "__main__":
    main()
