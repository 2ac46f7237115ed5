"""`GET /metrics` over HTTP/1.1, and nothing else.

Rules of this file
* One request for each connection, little to read and not long; so many connections at once, the next is cut off.
  Nothing that a peer sends or leaves unsent holds up anything but itself.
* There is no TLS: an address that others can reach belongs behind something that has it. With a token, who does not
  show it as `Authorization: Bearer` (RFC 6750 section 2.1) gets nothing.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from hub.errors import LinkError

log = logging.getLogger(__name__)

PLAIN = "text/plain; charset=utf-8"
_ENDS = (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError)
"""What ends a connection and nothing else. Cancelled is a task only with the program, and it ends with this."""
_BEARER = re.compile(rb"^authorization:[ \t]*bearer[ \t]+([^\s]+)[ \t]*\r$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Bounds:
    timeout: float = 5.0
    """Seconds for a connection, from the first byte to the last."""
    request_size: int = 8_192
    connections: int = 16


@dataclass(frozen=True)
class Page:
    """What is shown: its content type, and how it is made."""

    kind: str
    make: Callable[[], Awaitable[bytes]]


async def serve(host: str, port: int, page: Page, bounds: Bounds, token: str = "") -> asyncio.Server:
    """Until it is closed. Raises LinkError where the address cannot be listened on."""
    open_now = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now
        open_now += 1
        try:
            if open_now > bounds.connections:
                raise ConnectionRefusedError
            async with asyncio.timeout(bounds.timeout):
                writer.write(await _response(await reader.readuntil(b"\r\n\r\n"), page, token))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except _ENDS:
            writer.transport.abort()
        finally:
            open_now -= 1

    try:
        return await asyncio.start_server(answer, host, port, limit=bounds.request_size)
    except OSError as error:
        raise LinkError(f"{host}:{port} cannot be listened on: {error.strerror or error}") from None


async def _response(request: bytes, page: Page, token: str) -> bytes:
    method, _, rest = request.partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0]
    if method != b"GET":
        return _encode("405 Method Not Allowed", PLAIN, b"only GET\n", "Allow: GET\r\n")
    if token and not _shows(request, token):
        return _encode("401 Unauthorized", PLAIN, b"show the token\n", "WWW-Authenticate: Bearer\r\n")
    if path != b"/metrics":
        return _encode("404 Not Found", PLAIN, b"only /metrics\n")
    try:
        return _encode("200 OK", page.kind, await page.make())
    except Exception:
        log.exception("a bug: the figures could not be made")
        return _encode("500 Internal Server Error", PLAIN, b"the log says why\n")


def _shows(request: bytes, token: str) -> bool:
    found = _BEARER.search(request)
    return found is not None and hmac.compare_digest(found[1], token.encode())


def _encode(status: str, kind: str, body: bytes, headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{headers}"
    return f"{head}Connection: close\r\n\r\n".encode() + body
