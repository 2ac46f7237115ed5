"""The small HTTP server, with everything that is not a scrape."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from hub.errors import LinkError
from hub.metrics.http import Bounds, Page, serve
from tests.helpers import until
from tests.metrics.scrape import GET, TIMEOUT_S, ask

TOKEN = "0123456789abcdef"


async def make() -> bytes:
    return b"# EOF\n"


@contextlib.asynccontextmanager
async def serving(bounds: Bounds | None = None, token: str = "", page: Page | None = None) -> AsyncIterator[int]:
    """The port of a server that shows six bytes."""
    server = await serve("127.0.0.1", 0, page or Page("text/x", make), bounds or Bounds(), token)
    async with server:
        yield server.sockets[0].getsockname()[1]


def handlers() -> list[asyncio.Task[object]]:
    """Connections that the server has in hand."""
    return [task for task in asyncio.all_tasks() if "serve.<locals>.answer" in repr(task.get_coro())]


async def test_the_page() -> None:
    async with serving() as port:
        for path in (b"/metrics", b"/metrics?name[]=hub_reading"):
            head, body = await ask("127.0.0.1", port, GET.replace(b"/metrics", path))
            assert head.splitlines()[0] == "HTTP/1.1 200 OK" and body == "# EOF\n"
            assert "Content-Type: text/x" in head and "Content-Length: 6" in head


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "404 Not Found"),
        (b"GET /metricsx HTTP/1.1\r\n\r\n", "404 Not Found"),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "405 Method Not Allowed"),
        (b"HEAD /metrics HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
        (b"\x16\x03\x01 TLS? \r\n\r\n", "405 Method Not Allowed"),
        (b"\r\n\r\n", "405 Method Not Allowed"),
    ],
)
async def test_other_requests(request_: bytes, status: str) -> None:
    async with serving() as port:
        head, _ = await ask("127.0.0.1", port, request_)
        assert head.splitlines()[0] == f"HTTP/1.1 {status}"


async def test_a_request_without_an_end_is_cut_off() -> None:
    async with serving(Bounds(request_size=1024)) as port:
        with contextlib.suppress(ConnectionError):
            assert await ask("127.0.0.1", port, b"GET /metrics HTTP/1.1\r\n" + b"x: y\r\n" * 100_000) == ("", "")
        assert (await ask("127.0.0.1", port))[1] == "# EOF\n"


async def test_who_says_nothing_and_who_reads_nothing_are_dropped() -> None:
    async def much() -> bytes:
        return b"x" * 50_000_000

    async with serving(Bounds(timeout=0.2), page=Page("text/x", much)) as port, asyncio.timeout(TIMEOUT_S):
        silent, mute = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(ConnectionError):
            assert await silent.read() == b""
        mute.close()
        lazy, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(GET)
        await until(lambda: lazy._buffer, "some of it has come")  # type: ignore[attr-defined]  # and is not read
        await until(lambda: not handlers(), "the server has given up")
        with contextlib.suppress(ConnectionError):
            assert len(await lazy.read()) < 50_000_000
        writer.close()


async def test_more_at_once_than_are_allowed_are_cut_off_and_served_when_there_is_room() -> None:
    async with serving(Bounds(connections=3)) as port, asyncio.timeout(TIMEOUT_S):
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        await until(lambda: len(handlers()) == 3, "all three are in hand")
        with contextlib.suppress(ConnectionError):
            assert await ask("127.0.0.1", port) == ("", "")
        for _, writer in held:
            writer.close()
        await until(lambda: not handlers(), "they are gone")
        assert (await ask("127.0.0.1", port))[1] == "# EOF\n"
        answers = await asyncio.gather(*(ask("127.0.0.1", port) for _ in range(50)), return_exceptions=True)
        served = [each for each in answers if isinstance(each, tuple) and "EOF" in each[1]]
        cut_off = [each for each in answers if each == ("", "") or isinstance(each, ConnectionError)]
        assert served and len(served) + len(cut_off) == 50
        await until(lambda: not handlers(), "they are gone")
        assert (await ask("127.0.0.1", port))[1] == "# EOF\n"


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Authorization: Bearer {TOKEN}", "200"),
        (f"authorization:bearer  {TOKEN}", "200"),
        ("", "401"),
        (f"Authorization: Bearer {TOKEN}x", "401"),
        (f"Authorization: Bearer {TOKEN[:-1]}", "401"),
        (f"Authorization: Basic {TOKEN}", "401"),
        (f"X-Authorization: Bearer {TOKEN}", "401"),
        ("Authorization: Bearer \xff\xfe", "401"),
    ],
)
async def test_a_token_is_asked_for(header: str, status: str) -> None:
    async with serving(token=TOKEN) as port:
        request = GET.replace(b"Host: x", header.encode("latin-1") or b"Host: x")
        head, body = await ask("127.0.0.1", port, request)
        assert head.split()[1] == status and ("EOF" in body) is (status == "200")
        assert ("WWW-Authenticate: Bearer" in head) is (status == "401")


async def test_a_bug_in_the_figures_is_logged_and_answered(caplog: pytest.LogCaptureFixture) -> None:
    async def broken() -> bytes:
        raise RuntimeError("boom")

    async with serving(page=Page("text/x", broken)) as port:
        head, body = await ask("127.0.0.1", port)
    assert "500" in head and "boom" in caplog.text and "boom" not in body


async def test_an_address_that_is_taken_is_said() -> None:
    async with serving() as port:
        with pytest.raises(LinkError, match="cannot be listened on"):
            await serve("127.0.0.1", port, Page("text/x", make), Bounds())
