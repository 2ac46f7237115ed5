"""What every program that runs until it is told to stop has in common."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from hub import notify


class Program(Protocol):
    async def run(self) -> None: ...
    def stop(self) -> None: ...


def go_without_pygments() -> None:
    """slixmpp loads it where it finds it, 4 MiB, to colour a debug log that a service does not have."""
    sys.modules.setdefault("pygments", None)  # type: ignore[arg-type]  # None is how an import is closed


async def run(program: Program) -> None:
    """Until a signal ends it, or it ends by itself."""
    async with under_signals(program.stop):
        await program.run()


@asynccontextmanager
async def under_signals(stop: Callable[[], None]) -> AsyncIterator[None]:
    """Signals that end a program call `stop`, and systemd is told that the loop turns."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        loop.add_signal_handler(number, stop)
    dog = asyncio.create_task(_watchdog())
    gc.collect()
    gc.freeze()  # what the imports made stays for ever: do not walk it again at every collection
    try:
        yield
    finally:
        dog.cancel()
        await asyncio.gather(dog, return_exceptions=True)


async def _watchdog() -> None:
    """A sign of life from the loop itself: if it hangs, systemd starts us again."""
    interval = notify.watchdog_interval()
    while interval is not None:
        notify.alive()
        await asyncio.sleep(interval)
