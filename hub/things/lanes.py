"""Blocking driver calls off the event loop: one at a time per lane, never waited for longer than a bound.

A lane is what a driver occupies while it works (a bus, a pin). A call that hangs keeps its lane, as it keeps the real
bus, until it returns; whoever waits is told in time, and the other lanes go on.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from devices.base import NotResponding

T = TypeVar("T")

_Call = tuple[Callable[[], Any], "asyncio.Future[Any]", asyncio.AbstractEventLoop]


class Lanes:
    """Threads are daemons, made when a lane has work and none is idle: a hung chip cannot hold the process back, and
    twenty quick parts share one or two threads."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._idle: deque[_Worker] = deque()
        self.hung = 0
        """Calls that were given up and have not returned yet."""

    async def run(self, lane: str, call: Callable[[], T], timeout: float) -> T:
        """The result of `call`, made in a thread when the lane is free. Raises NotResponding after `timeout` seconds
        of waiting for the lane and the call together, and whatever `call` raises."""
        lock = self._locks.setdefault(lane, asyncio.Lock())
        deadline = asyncio.get_running_loop().time() + timeout
        try:
            async with asyncio.timeout_at(deadline):
                await lock.acquire()
        except TimeoutError:
            raise NotResponding(f"{lane} has been busy for {timeout:g} s: another part on it may hang") from None
        future = self._submit(call)
        future.add_done_callback(lambda _: lock.release())
        done, _ = await asyncio.wait({future}, timeout=deadline - asyncio.get_running_loop().time())
        if not done:
            self.hung += 1
            future.add_done_callback(self._returned)
            raise NotResponding(f"no answer within {timeout:g} s")
        return future.result()

    def _submit(self, call: Callable[[], T]) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        worker = self._idle.pop() if self._idle else _Worker(self._idle)
        worker.take((call, future, loop))
        return future

    def _returned(self, future: asyncio.Future[Any]) -> None:
        self.hung -= 1
        if not future.cancelled():
            future.exception()  # nobody waits for it any more; fetched so that it is not reported as lost


class _Worker:
    """A thread that makes one call at a time and joins `idle` between two."""

    def __init__(self, idle: deque[_Worker]) -> None:
        self._idle = idle
        self._call: _Call | None = None
        self._wake = threading.Semaphore(0)
        threading.Thread(target=self._run, name="lane", daemon=True).start()

    def take(self, call: _Call) -> None:
        self._call = call
        self._wake.release()

    def _run(self) -> None:
        while True:
            self._wake.acquire()
            assert self._call is not None
            call, future, loop = self._call
            result: Any = None
            error: BaseException | None = None
            try:
                result = call()
            except BaseException as caught:  # handed to whoever waits, whatever it is
                error = caught
            self._call = None
            try:
                loop.call_soon_threadsafe(self._hand_over, future, result, error)
            except RuntimeError:
                return  # the loop has been closed: nobody waits

    def _hand_over(self, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        self._idle.append(self)
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
