"""Blocking driver calls off the event loop: one at a time per lane, never waited for longer than a bound.

A lane is what a driver occupies while it works (a bus, a pin). A call that hangs keeps its lane, as it keeps the real
bus, until it returns; whoever waits is told in time, and the other lanes go on.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from devices.base import NotResponding

T = TypeVar("T")

STEADY = 2  # threads that serve quick calls; a thread costs memory, twenty quick parts need no more than these
SLOW_S = 0.05  # a call that has waited so long for a thread gets one of its own: the others are busy with slow parts

_Call = tuple[Callable[[], Any], "asyncio.Future[Any]", asyncio.AbstractEventLoop]


class Lanes:
    """Threads are daemons: a hung chip cannot hold the process back."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._threads = 0
        self._busy = 0
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

    def close(self) -> None:
        """Let the threads end, each when its call has returned."""
        for _ in range(self._threads):
            self._calls.put(None)

    def _submit(self, call: Callable[[], T]) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._busy += 1
        future.add_done_callback(self._finished)
        self._calls.put((call, future, loop))
        if self._threads < STEADY:
            self._grow()
        elif self._busy > self._threads:
            loop.call_later(SLOW_S, self._grow_if_waiting)
        return future

    def _finished(self, future: asyncio.Future[Any]) -> None:
        self._busy -= 1
        if not future.cancelled():
            future.exception()  # whoever waited may be gone; fetched so that it is not reported as lost

    def _grow_if_waiting(self) -> None:
        if self._busy > self._threads and not self._calls.empty():
            self._grow()
            asyncio.get_running_loop().call_later(SLOW_S, self._grow_if_waiting)

    def _grow(self) -> None:
        self._threads += 1
        threading.Thread(target=_work, args=(self._calls,), name="lane", daemon=True).start()

    def _returned(self, _: object) -> None:
        self.hung -= 1


def _work(calls: queue.SimpleQueue[_Call | None]) -> None:
    """A thread's life: make calls, hand their outcomes over to the loop."""
    while (work := calls.get()) is not None:
        call, future, loop = work
        result: Any = None
        error: BaseException | None = None
        try:
            result = call()
        except BaseException as caught:  # handed to whoever waits, whatever it is
            error = caught
        try:
            loop.call_soon_threadsafe(_hand_over, future, result, error)
        except RuntimeError:
            return  # the loop has been closed: nobody waits
        del work, call, future, loop, result, error  # nothing is kept alive while waiting for the next


def _hand_over(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.cancelled():
        return
    if isinstance(error, StopIteration):
        error = RuntimeError(f"the call raised {error!r}")  # no future carries it, and the lane would never be free
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
