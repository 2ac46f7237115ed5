"""Downloads from a real HTTPS server on loopback, which the tests alone allow, and from everything that is not one."""

from __future__ import annotations

import asyncio
import ipaddress
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from hub.gateway.bounds import Bounds
from hub.gateway.download import Address, Downloader, DownloadFailed, is_public
from tests.gateway.samples import ROOM
from tests.helpers import until

BOUNDS = Bounds(downloads=True, download_time=20.0, schema_size=2_000)
XML = b"Content-Type: application/xml\r\n"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost and 127.0.0.1, and its key."""
    openssl = shutil.which("openssl")
    assert openssl, "openssl makes the certificates of these tests"
    folder = tmp_path_factory.mktemp("https")
    made, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", str(key), "-out", str(made)],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return made, key


@dataclass
class Server:
    """Says `answer` to every request, then does what `after` does, then closes."""

    answer: bytes = b""
    after: Callable[[], Awaitable[object]] | None = None
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.answer)
            await writer.drain()
            if self.after is not None:
                await self.after()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has gone, as it may
        finally:
            writer.transport.abort()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/room.xsd?version=1"


@pytest.fixture
async def server(certificate: tuple[Path, Path]) -> AsyncIterator[Server]:
    made = Server()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context)
    made.port = listening.sockets[0].getsockname()[1]
    yield made
    listening.close()
    await listening.wait_closed()


@pytest.fixture
def downloader(certificate: tuple[Path, Path]) -> Downloader:
    return Downloader(BOUNDS, is_loopback, ssl.create_default_context(cafile=certificate[0]))


def is_loopback(address: Address) -> bool:
    return address.is_loopback


def answered(body: bytes, headers: bytes = XML, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 " + status + b"\r\n" + headers + b"\r\n" + body


def sized(body: bytes) -> bytes:
    return XML + b"Content-Length: %d\r\n" % len(body)


async def failure(downloader: Downloader, url: str) -> tuple[str, dict[str, str]]:
    with pytest.raises(DownloadFailed) as raised:
        await downloader.fetch(url)
    return raised.value.condition, dict(raised.value.attributes)


@pytest.mark.parametrize(
    "answer",
    [
        answered(ROOM),
        answered(ROOM, sized(ROOM)),
        answered(ROOM, b"Content-Type: text/xml; charset=utf-8\r\n"),
        answered(ROOM, b"Content-Type: application/xsd+xml\r\n"),
        answered(b"%x\r\n%b\r\n0\r\n\r\n" % (len(ROOM), ROOM), XML + b"Transfer-Encoding: chunked\r\n"),
        b"HTTP/1.1 100 Continue\r\n\r\n" + answered(ROOM),
    ],
)
async def test_a_file_comes_as_it_is(server: Server, downloader: Downloader, answer: bytes) -> None:
    server.answer = answer
    assert await downloader.fetch(server.url) == ROOM
    [request] = server.requests
    assert request.startswith(b"GET /room.xsd?version=1 HTTP/1.1\r\n")
    assert b"\r\nHost: localhost:%d\r\n" % server.port in request


async def test_a_server_that_keeps_the_connection_is_not_waited_for(server: Server, downloader: Downloader) -> None:
    server.answer, server.after = answered(ROOM, sized(ROOM)), asyncio.Event().wait
    assert await downloader.fetch(server.url) == ROOM


WRONG = {
    "not found": (answered(b"", status=b"404 Nope \x1b"), ("httpError", {"code": "404", "message": "Not Found"})),
    "redirect": (
        answered(b"", b"Location: https://127.0.0.1/\r\n", b"302 Found"),
        ("httpError", {"code": "302", "message": "Found"}),
    ),
    "odd status": (answered(b"", status=b"299 Odd"), ("httpError", {"code": "299", "message": "Unknown"})),
    "web page": (
        answered(b"<html/>", b"Content-Type: text/html\x1b; x\r\n"),
        ("invalidContentType", {"contentTypeReturned": "text/html; x"}),
    ),
    "no type": (answered(ROOM, b""), ("invalidContentType", {"contentTypeReturned": ""})),
    "encoded": (
        answered(ROOM, XML + b"Content-Encoding: gzip\r\n"),
        ("error", {"message": "The answer is encoded, which was not asked for."}),
    ),
    "cut short": (answered(ROOM[:-1], sized(ROOM)), ("error", {"message": "The answer is incomplete."})),
    "cut chunk": (
        answered(b"fff\r\n" + ROOM, XML + b"Transfer-Encoding: chunked\r\n"),
        ("error", {"message": "The answer is incomplete."}),
    ),
    "no chunk": (
        answered(b"zzz\r\n" + ROOM, XML + b"Transfer-Encoding: chunked\r\n"),
        ("error", {"message": "The answer is incomplete."}),
    ),
    "large": (answered(b" " * 2_001), ("error", {"message": "The file is too large."})),
    "endless": (answered(b" " * 200_000), ("error", {"message": "The file is too large."})),
    "endless head": (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 100_000, ("error", {"message": "The answer is no HTTP."})),
    "no HTTP": (b"220 mail.example.org\r\n\r\n", ("error", {"message": "The answer is no HTTP."})),
    "nothing": (b"", ("error", {"message": "The answer is no HTTP."})),
}


@pytest.mark.parametrize(("answer", "told"), WRONG.values(), ids=WRONG)
async def test_what_is_wrong_is_told_in_the_words_of_the_extension(
    server: Server, downloader: Downloader, answer: bytes, told: tuple[str, dict[str, str]]
) -> None:
    server.answer = answer
    assert await failure(downloader, server.url) == told
    assert server.connections == 1


async def test_a_server_that_says_nothing_is_given_up(server: Server, downloader: Downloader) -> None:
    server.after = asyncio.Event().wait
    downloader.bounds = replace(BOUNDS, download_time=0.2)
    assert await failure(downloader, server.url) == ("timeout", {"message": "Not done within 0.2 s."})


async def test_a_certificate_of_nobody_or_for_another_name_is_refused(
    server: Server, downloader: Downloader, certificate: tuple[Path, Path]
) -> None:
    told = ("error", {"message": "TLS failed, or the certificate is not that host's."})
    downloader.context = None
    assert await failure(downloader, server.url) == told
    assert downloader.context is not None
    downloader.context = ssl.create_default_context(cafile=certificate[0])
    assert await failure(downloader, server.url.replace("localhost", "127.0.0.2")) == (
        "error",
        {"message": "The host does not answer."},
    )
    assert server.requests == []


URLS = {
    "urk://example.org/schema.xsd": "Only https is fetched.",
    "http://example.org/schema.xsd": "Only https is fetched.",
    "file:///etc/passwd": "This is no URL.",
    "https:///schema.xsd": "This is no URL.",
    "https://[::1/": "This is no URL.",
    "https://example.org:99999/": "This is no URL.",
    "https://example.org:0/": "This is no URL.",
    "": "This is no URL.",
    "https://me:secret@example.org/": "A URL with credentials is not fetched.",
    "https://example.org/\r\nHost: other": "A URL is at most 2000 printable characters of ASCII.",
    "https://example.org/a b": "A URL is at most 2000 printable characters of ASCII.",
    "https://exämple.org/": "A URL is at most 2000 printable characters of ASCII.",
    "https://example.org/" + "a" * 2000: "A URL is at most 2000 printable characters of ASCII.",
    "https://no-such-host.invalid/": "The host is not known.",
    "https://127.0.0.1/": "The host has no public address, or not only such.",
    "https://[::1]/": "The host has no public address, or not only such.",
    "https://localhost/": "The host has no public address, or not only such.",
    "https://0x7f000001/": "The host has no public address, or not only such.",
    "https://169.254.169.254/latest/meta-data": "The host has no public address, or not only such.",
    "https://[::ffff:192.0.2.1]/": "The host has no public address, or not only such.",
}


@pytest.mark.parametrize(("url", "why"), URLS.items())
async def test_what_no_stranger_may_send_us_to(url: str, why: str) -> None:
    assert await failure(Downloader(BOUNDS), url) == ("invalidUrl", {"message": why})


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "169.254.1.1", "172.16.0.1", "192.168.1.1", "192.0.2.1",
        "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:8.8.8.8", "::ffff:127.0.0.1",
        "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:1::1", "2001:db8::1", "fc00::1",
        "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "2001:4860:4860::8888%eth0",
    ],
)  # fmt: skip
def test_an_address_that_is_not_of_the_public_internet(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2001:4860:4860::8888", "2a00:1450:4001:80b::200e"])
def test_an_address_of_the_public_internet(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


async def test_one_address_that_is_not_public_spoils_the_name(
    server: Server, downloader: Downloader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name with a public and a private address is how rebinding begins: no connection to either."""
    asked: list[Address] = []

    def only_the_first(address: Address) -> bool:
        asked.append(address)
        return len(asked) == 1

    downloader.addresses = only_the_first

    def two(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(0, 0, 0, "", (address, server.port)) for address in ("127.0.0.1", "127.0.0.3")]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    assert (await failure(downloader, server.url))[0] == "invalidUrl"
    assert [str(each) for each in asked] == ["127.0.0.1", "127.0.0.3"] and server.connections == 0


async def test_only_so_many_at_once(server: Server, downloader: Downloader) -> None:
    going_on = asyncio.Event()
    server.answer, server.after = b"", going_on.wait
    tasks = [asyncio.create_task(failure(downloader, server.url)) for _ in range(6)]
    await until(lambda: len(server.requests) == 4, "four requests at the server")
    assert server.connections == 4
    going_on.set()
    assert {told for told, _ in await asyncio.gather(*tasks)} == {"error"}
    assert server.connections == 6
