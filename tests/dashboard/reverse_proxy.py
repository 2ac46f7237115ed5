"""A reverse proxy as people put before a page: it takes a prefix off each path and says so in X-Forwarded-*."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Self


class ReverseProxy:
    """Runs in a thread. `port`: its own, after `with`."""

    def __init__(self, behind: int, prefix: str, proto: str = "http", sender: str = "203.0.113.7") -> None:
        self._behind = behind
        self._prefix = prefix
        self._said = {"prefix": prefix, "proto": proto, "for": f"198.51.100.66, {sender}"}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="reverse proxy")
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _run(self, work: object) -> object:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)  # type: ignore[arg-type]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request in each connection; a socket goes on for as long as it lives."""
        upstream: asyncio.StreamWriter | None = None
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            back, upstream = await asyncio.open_connection("127.0.0.1", self._behind)
            upstream.write(self._changed(head).encode("latin-1"))
            async with asyncio.TaskGroup() as both:
                both.create_task(self._copy(reader, upstream))
                both.create_task(self._copy(back, writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # either side has gone: so does the other
        finally:
            for each in (writer, upstream):
                if each is not None:
                    each.close()

    def _changed(self, head: str) -> str:
        request, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        method, path, version = request.split(" ")
        is_socket = any(line.lower().startswith("upgrade:") for line in lines)
        lines = [line for line in lines if is_socket or not line.lower().startswith("connection:")]
        lines += [f"X-Forwarded-{name.capitalize()}: {text}" for name, text in self._said.items()]
        lines += [] if is_socket else ["Connection: close"]
        assert path.startswith(self._prefix), f"{path} is outside of {self._prefix}"
        return "\r\n".join([f"{method} {path.removeprefix(self._prefix) or '/'} {version}", *lines]) + "\r\n\r\n"

    @staticmethod
    async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()
        if target.can_write_eof():
            target.write_eof()
