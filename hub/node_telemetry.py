"""What a node remembers, built and joined: the clock, the history, the outbox and the lanes of the disk."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hub.config_history import History as HistoryConfig
from hub.telemetry.clock import LOOK_EVERY_S, KernelClock
from hub.telemetry.history import History
from hub.telemetry.outbox import Outbox
from hub.telemetry.rows import MILLISECOND, to_ms
from hub.telemetry.store import Bounds
from hub.things.lanes import Lanes

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
            group.create_task(self.history.run(), name="history")
            group.create_task(self.outbox.run(), name="outbox")
            group.create_task(self._watch_clock(), name="clock")

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


def bounds(config: HistoryConfig) -> Bounds:
    return Bounds(int(config.age * 1000), config.size)
