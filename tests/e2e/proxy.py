"""A TCP proxy on loopback that does what bad networks do: cut, refuse, swallow."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType


class Proxy:
    """`async with Proxy(port_of_the_server) as proxy:` and let the node connect to `proxy.port`."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.refusing = False
        """New connections are closed at once."""
        self.accepted = 0
        self._swallowing = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        await self._server.wait_closed()

    def cut(self) -> None:
        """Every connection is reset, as when a router forgets them."""
        for writer in self._writers:
            writer.transport.abort()
        self._swallowing = False

    def swallow(self) -> None:
        """From now on until the next `cut` nothing arrives at either side, and neither is told."""
        self._swallowing = True

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        if self.refusing:
            writer.transport.abort()
            return
        self.accepted += 1
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(far_writer)
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._pump(source, sink))
            self._pumps.add(task)
            task.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if not self._swallowing:
                    sink.write(data)
                    await sink.drain()
        sink.transport.abort()
