"""What a node remembers, built and joined: the clock, the history, the outbox and the lanes of the disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from hub.config.history import History as HistoryConfig
from hub.telemetry.clock import LOOK_EVERY_S, KernelClock
from hub.telemetry.history import History
from hub.telemetry.outbox import Outbox
from hub.telemetry.rows import MILLISECOND, to_ms
from hub.telemetry.store import Bounds
from hub.things.lanes import Lanes

log = logging.getLogger(__name__)

AGAIN_S = 10.0
HISTORY_FILE, OUTBOX_FILE = "history.sqlite", "outbox.sqlite"


class Remembering:
    """`run` until it is cancelled, then `close`."""

    def __init__(self, folder: Path, config: HistoryConfig, backlog: int) -> None:
        self.clock = KernelClock()
        self._lanes = Lanes()
        self.outbox = Outbox(folder / OUTBOX_FILE, backlog, self._lanes)
        self.history = History(folder / HISTORY_FILE, bounds(config), config.flush, self._lanes, self.clock.now)

    def configure(self, config: HistoryConfig) -> None:
        self.history.configure(bounds(config), config.flush)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for work in (self.history.run, self.outbox.run, self._watch_clock):
                group.create_task(_for_ever(work), name=work.__qualname__)

    async def close(self) -> None:
        await self.outbox.close()
        await self.history.close()
        self._lanes.close()

    async def _watch_clock(self) -> None:
        while True:
            self.clock.look()
            if (mend := self.clock.mend()) is not None:
                await self.outbox.mend(to_ms(mend.since), mend.by // MILLISECOND)
                await self.history.mend(mend.since, mend.by)
            await asyncio.sleep(LOOK_EVERY_S)


async def _for_ever(work: Callable[[], Awaitable[None]]) -> None:
    """A bug in one of them must not end it without a word, nor the others."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("a bug in %s; it is begun again", getattr(work, "__qualname__", work))
            await asyncio.sleep(AGAIN_S)


def bounds(config: HistoryConfig) -> Bounds:
    return Bounds(int(config.age * 1000), config.size)
