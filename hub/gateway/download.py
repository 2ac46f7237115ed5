"""Schemas fetched for a client (XEP-0322, "Downloading new schema files on server"), as far as a stranger may send us.

Rules of this file
* https only, with a verified certificate. No redirect is followed: it would be a second address of the peer's choice.
* A name is resolved once, every address that it has must be public, and the connection goes to an address that was
  looked at, so that DNS cannot say something else in between.
* Time covers everything, size is bounded before anything is parsed, and only XML is taken.
* What failed is told in the words of the extension. The text says what the client did wrong, and nothing of what we
  saw inside our own network.
"""

from __future__ import annotations

import asyncio
import contextlib
import http
import http.client
import io
import ipaddress
import socket
import ssl
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final, cast
from urllib.parse import SplitResult, urlsplit

from hub.gateway.bounds import Bounds

XML_TYPES: Final = frozenset({"text/xml", "application/xml"})
_NAT64: Final = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class DownloadFailed(Exception):
    """`condition` and `attributes`: the child of `<downloadSchemaResponse/>` that says so."""

    def __init__(self, condition: str, **attributes: str) -> None:
        super().__init__(f"{condition} {attributes}")
        self.condition = condition
        self.attributes: Mapping[str, str] = attributes


def is_public(address: Address) -> bool:
    """Whether an address is of the public internet, and hides no other address in itself."""
    if isinstance(address, ipaddress.IPv6Address):
        hides = address.ipv4_mapped or address.sixtofour or address.teredo or address.scope_id
        if hides or address.is_site_local or any(address in network for network in _NAT64):
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


@dataclass
class Downloader:
    """`addresses`: which ones may be connected to. `context`: what verifies certificates; the system's store when None.
    One object for all connections of a gateway."""

    bounds: Bounds
    addresses: Callable[[Address], bool] = is_public
    context: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        self._turns = asyncio.Semaphore(self.bounds.downloads_at_once)
        # Threads of its own: a name server that never answers holds up downloads, and nobody else who needs a thread.
        self._lookups = ThreadPoolExecutor(self.bounds.downloads_at_once, "lookup")

    def close(self) -> None:
        self._lookups.shutdown(wait=False, cancel_futures=True)

    async def fetch(self, url: str) -> bytes:
        """The file at `url`. Raises DownloadFailed."""
        if not self.bounds.downloads:
            raise DownloadFailed("error", message="Downloads are off.")
        place = _checked(url, self.bounds.download_url_length)
        try:
            async with asyncio.timeout(self.bounds.download_time), self._turns:
                raw = await self._exchange(place)
        except TimeoutError:
            raise DownloadFailed("timeout", message=f"Not done within {self.bounds.download_time:g} s.") from None
        return _body(raw, self.bounds.schema_size)

    async def _exchange(self, place: SplitResult) -> bytes:
        """The whole answer, as it came."""
        host = cast(str, place.hostname)
        reader, writer = await self._connect(host, place.port or 443)
        try:
            writer.write(_request(place))
            return await _everything(reader, self.bounds)
        except (OSError, asyncio.IncompleteReadError):
            raise DownloadFailed("error", message="The connection broke.") from None
        finally:
            writer.transport.abort()

    async def _connect(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.context is None:
            self.context = await asyncio.to_thread(ssl.create_default_context)
        for address in await self._resolve(host, port):
            try:
                return await asyncio.open_connection(str(address), port, ssl=self.context, server_hostname=host)
            except ssl.SSLError:
                raise DownloadFailed("error", message="TLS failed, or the certificate is not that host's.") from None
            except OSError:
                continue
        raise DownloadFailed("error", message="The host does not answer.")

    async def _resolve(self, host: str, port: int) -> list[Address]:
        """All addresses of a host, every one of them allowed."""
        try:
            look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
            found = await asyncio.get_running_loop().run_in_executor(self._lookups, look_up)
        except (OSError, UnicodeError):
            raise DownloadFailed("invalidUrl", message="The host is not known.") from None
        addresses = list(dict.fromkeys(ipaddress.ip_address(each[4][0]) for each in found))
        if not all(map(self.addresses, addresses)):
            raise DownloadFailed("invalidUrl", message="The host has no public address, or not only such.")
        return addresses


def _checked(url: str, most: int) -> SplitResult:
    """The parts of a URL that may be asked for."""
    if len(url) > most or not url.isascii() or not url.isprintable() or " " in url:
        raise DownloadFailed("invalidUrl", message=f"A URL is at most {most} printable characters of ASCII.")
    try:
        place = urlsplit(url)
        valid = bool(place.hostname) and place.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise DownloadFailed("invalidUrl", message="This is no URL.")
    if place.scheme != "https":
        raise DownloadFailed("invalidUrl", message="Only https is fetched.")
    if "@" in place.netloc:
        raise DownloadFailed("invalidUrl", message="A URL with credentials is not fetched.")
    return place


def _request(place: SplitResult) -> bytes:
    target = (place.path or "/") + (f"?{place.query}" if place.query else "")
    lines = (
        f"GET {target} HTTP/1.1", f"Host: {place.netloc}", "Accept: application/xml, text/xml",
        "Accept-Encoding: identity", "User-Agent: xmpp-iot-hub", "Connection: close", "", "",
    )  # fmt: skip
    return "\r\n".join(lines).encode("ascii")


async def _everything(reader: asyncio.StreamReader, bounds: Bounds) -> bytes:
    """What comes until the answer is whole or the connection ends. Raises DownloadFailed for more than is allowed."""
    most = bounds.schema_size + bounds.download_header_size
    raw = bytearray()
    whole = most + 1
    head = -1
    while len(raw) < whole and (chunk := await reader.read(16 * 1024)):
        raw += chunk
        if head < 0 and (head := _head(raw)) >= 0:
            length = _parse(raw[:head]).length
            whole = most + 1 if length is None else head + length
        if head < 0 and len(raw) > bounds.download_header_size:
            raise DownloadFailed("error", message="The answer is no HTTP.")
        if len(raw) > most:
            raise DownloadFailed("error", message="The file is too large.")
    return bytes(raw)


def _head(raw: bytearray) -> int:
    """Where the headers end, -1 while they do not. Informational answers (RFC 9110, 15.2) are dropped from `raw`."""
    while (end := raw.find(b"\r\n\r\n")) >= 0:
        if not raw.startswith((b"HTTP/1.1 1", b"HTTP/1.0 1")):
            return end + 4
        del raw[: end + 4]
    return -1


class _Received:
    """Bytes that http.client takes for a connection."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def _parse(raw: bytes | bytearray) -> http.client.HTTPResponse:
    response = http.client.HTTPResponse(cast(socket.socket, _Received(bytes(raw))), method="GET")
    try:
        response.begin()
    except (http.client.HTTPException, ValueError, OSError):
        raise DownloadFailed("error", message="The answer is no HTTP.") from None
    return response


def _body(raw: bytes, most: int) -> bytes:
    """The file in an HTTP answer."""
    response = _parse(raw)
    if response.status != http.HTTPStatus.OK:
        phrase = ""
        with contextlib.suppress(ValueError):
            phrase = http.HTTPStatus(response.status).phrase
        raise DownloadFailed("httpError", code=str(response.status), message=phrase or "Unknown")
    given = response.getheader("Content-Type", "")
    kind = given.partition(";")[0].strip().lower()
    if kind not in XML_TYPES and not kind.endswith("+xml"):
        shown = "".join(char for char in given[:100] if char.isascii() and char.isprintable())
        raise DownloadFailed("invalidContentType", contentTypeReturned=shown)
    if response.getheader("Content-Encoding", "identity").strip().lower() != "identity":
        raise DownloadFailed("error", message="The answer is encoded, which was not asked for.")
    try:
        data = response.read()
    except (http.client.HTTPException, ValueError):
        raise DownloadFailed("error", message="The answer is incomplete.") from None
    if len(data) > most:
        raise DownloadFailed("error", message="The file is too large.")
    return data
