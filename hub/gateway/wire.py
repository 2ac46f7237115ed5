"""One TCP connection, in the clear and then with TLS, for somebody who pulls bytes off it.

Rules of this file
* Nothing is buffered without bound: past `read_ahead` bytes that nobody has taken the socket is not read; `drain` waits
  while the socket takes nothing, for at most so long.
* TLS is OpenSSL on memory: asyncio's own keeps a buffer of 256 KiB for each connection, of which a gateway has two for
  every client, and cannot begin in the middle of a stream without a race.
* What came in the clear after the last thing that was taken never becomes part of what TLS protects (RFC 6120 section
  5.4.3.3): `start_tls` refuses it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import ssl
from collections import deque
from collections.abc import Callable
from typing import Final

from hub.gateway.limits import Limits

PIECE: Final = 16_384  # bytes that go through TLS at a time: one record
KEEPALIVE_TRIES: Final = 4  # of the kernel, before it gives the other end up


class Lost(Exception):
    """The connection is gone, or TLS could not be agreed on; says why."""


class Wire(asyncio.Protocol):
    """Made by a listener, which `arrived` tells, or by `connect`."""

    __slots__ = (
        "_arrived_here", "_chunks", "_closing", "_drained", "_handshake", "_incoming", "_limits", "_outgoing",
        "_paused", "_size", "_tls", "_transport", "_waiter", "ended", "reason", "received", "sent",
    )  # fmt: skip

    def __init__(self, limits: Limits, arrived: Callable[[Wire], None] | None = None) -> None:
        self._limits = limits
        self._arrived_here = arrived
        self.ended = False
        """Nothing more will come."""
        self.reason = "it was closed"
        self.received = 0
        """Bytes that were taken off, without TLS; `sent` likewise."""
        self.sent = 0
        self._transport: asyncio.Transport | None = None
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._paused = False
        self._closing = False
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._tls: ssl.SSLObject | None = None
        self._incoming: ssl.MemoryBIO | None = None
        self._outgoing: ssl.MemoryBIO | None = None
        self._handshake: asyncio.Future[None] | None = None

    # ------------------------------------------------------------------ what its owner does

    @property
    def peer(self) -> str:
        """The address of the other end; one of IPv4 as such, also where it came in by IPv6."""
        name = self._transport.get_extra_info("peername") if self._transport is not None else None
        return str(name[0]).removeprefix("::ffff:") if name else ""

    @property
    def tls_version(self) -> str | None:
        return self._tls.version() if self._tls is not None else None

    async def receive(self, most: int = PIECE) -> bytes:
        """The next bytes, at most so many; none when there will be no more."""
        if not self._chunks:
            if self.ended:
                return b""
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
            if not self._chunks:
                return b""
        else:
            await asyncio.sleep(0)  # one who sends without a pause does not keep the others waiting
        data = self._chunks.popleft()
        if len(data) > most:
            self._chunks.appendleft(data[most:])
            data = data[:most]
        self._size -= len(data)
        if self._paused and self._size < self._limits.read_ahead and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        self.received += len(data)
        return data

    def write(self, data: bytes) -> None:
        if self._transport is None or self._closing or not data:
            return
        self.sent += len(data)
        if self._tls is None:
            self._transport.write(data)
            return
        for start in range(0, len(data), PIECE):
            try:
                self._tls.write(data[start : start + PIECE])
            except ssl.SSLError as error:
                self._lose(f"TLS: {error.reason or error}")
                return
            self._flush()

    @property
    def full(self) -> bool:
        """Whether `drain` would wait."""
        return self._drained is not None

    async def drain(self, limit: float) -> None:
        """Wait until the socket takes more. Raises Lost when it does not within `limit` seconds."""
        if self._drained is None:
            return
        try:
            async with asyncio.timeout(limit):
                await asyncio.shield(self._drained)
        except TimeoutError:
            self._lose(f"it took nothing for {limit:g} s")
            raise Lost(self.reason) from None

    async def start_tls(self, context: ssl.SSLContext, server_hostname: str | None = None) -> None:
        """Raises Lost. `server_hostname`: whose certificate the other end must have; None: we are the server."""
        if self._transport is None:
            raise Lost(self.reason)
        if self._chunks:
            raise Lost("something came in the clear where TLS had to begin")
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname is None, server_hostname)
        self._handshake = asyncio.get_running_loop().create_future()
        self._shake_hands()
        try:
            await self._handshake
        finally:
            self._handshake = None

    def close(self) -> None:
        """Say goodbye and close once everything is written."""
        if self._closing:
            return
        if self._tls is not None and self._transport is not None:
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()
            self._flush()
        self._closing = True
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close now, whatever is not written yet."""
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    # ------------------------------------------------------------------ what asyncio does

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=self._limits.write_ahead)
        set_socket_options(transport.get_extra_info("socket"), self._limits.keepalive)
        if self._arrived_here is not None:
            self._arrived_here(self)

    def data_received(self, data: bytes) -> None:
        if self._tls is None:
            self._arrived(data)
            return
        assert self._incoming is not None
        for start in range(0, len(data), PIECE):
            self._incoming.write(data[start : start + PIECE])
            if self._handshake is not None and not self._handshake.done():
                self._shake_hands()
            else:
                self._decrypt()

    def eof_received(self) -> bool:
        self._end("the other end closed it")
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._closing = True
        self._end(str(error) if error is not None else "it was closed")
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    def pause_writing(self) -> None:
        if self._drained is None:
            self._drained = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    # ------------------------------------------------------------------ inside

    def _arrived(self, data: bytes) -> None:
        self._chunks.append(data)
        self._size += len(data)
        full = self._size >= self._limits.read_ahead
        if full and not self._paused and self._transport is not None and not self._closing:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _end(self, reason: str) -> None:
        if not self.ended:
            self.ended = True
            self.reason = reason
        if self._handshake is not None and not self._handshake.done():
            self._handshake.set_exception(Lost(self.reason))
        self._wake()

    def _lose(self, reason: str) -> None:
        self._end(reason)
        self.abort()

    def _flush(self) -> None:
        assert self._outgoing is not None
        if self._outgoing.pending and self._transport is not None:
            self._transport.write(self._outgoing.read())

    def _shake_hands(self) -> None:
        assert self._tls is not None and self._handshake is not None
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLCertVerificationError as error:
            self._flush()  # the alert
            self._end(f"its certificate: {error.verify_message}")
            return
        except (ssl.SSLError, ssl.CertificateError) as error:
            self._flush()
            self._end(f"TLS: {getattr(error, 'reason', None) or error}")
            return
        self._flush()
        self._handshake.set_result(None)
        self._decrypt()

    def _decrypt(self) -> None:
        assert self._tls is not None
        try:
            while True:
                data = self._tls.read(PIECE)
                if not data:
                    self._end("the other end closed it")
                    break
                self._arrived(data)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._end("the other end closed it")
        except ssl.SSLError as error:
            self._lose(f"TLS: {error.reason or error}")
            return
        self._flush()


async def connect(host: str, port: int, limits: Limits) -> Wire:
    """Raises Lost."""
    loop = asyncio.get_running_loop()
    try:
        _, wire = await loop.create_connection(functools.partial(Wire, limits), host, port)
    except OSError as error:
        raise Lost(f"{host}:{port} cannot be reached: {error.strerror or error}") from None
    return wire


def set_socket_options(sock: socket.socket, keepalive: float) -> None:
    """Nagle off: a stanza is one write. Keep-alives of TCP: white space between stanzas has no form in EXI. After
    `keepalive` seconds of silence the kernel asks, for about as long again."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", round(keepalive)),
        ("TCP_KEEPINTVL", max(1, round(keepalive / KEEPALIVE_TRIES))),
        ("TCP_KEEPCNT", KEEPALIVE_TRIES),
    ):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
