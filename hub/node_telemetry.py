"""What a node remembers, built and joined: the clock, the history and the lanes of the disk."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hub.config_history import History as HistoryConfig
from hub.telemetry.clock import LOOK_EVERY_S, KernelClock
from hub.telemetry.history import History
from hub.telemetry.store import Bounds
from hub.things.lanes import Lanes

HISTORY_FILE = "history.sqlite"


class Remembering:
    """`run` until it is cancelled, then `close`."""

    def __init__(self, folder: Path, config: HistoryConfig) -> None:
        self.clock = KernelClock()
        self._lanes = Lanes()
        self.history = History(folder / HISTORY_FILE, bounds(config), config.flush, self._lanes, self.clock.now)

    def configure(self, config: HistoryConfig) -> None:
        self.history.configure(bounds(config), config.flush)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.history.run(), name="history")
            group.create_task(self._watch_clock(), name="clock")

    async def close(self) -> None:
        await self.history.close()
        self._lanes.close()

    async def _watch_clock(self) -> None:
        while True:
            self.clock.look()
            if (mend := self.clock.mend()) is not None:
                await self.history.mend(mend.since, mend.by)
            await asyncio.sleep(LOOK_EVERY_S)


def bounds(config: HistoryConfig) -> Bounds:
    return Bounds(int(config.age * 1000), config.size)
