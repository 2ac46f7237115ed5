"""How long we wait for a peer to finish what it has begun. Only the time in which we wait for it counts, not that in
which it waits for us, or for somebody behind us."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from hub.gateway.xmpp import StreamFault

T = TypeVar("T")


class Patience:
    """`limit` in seconds."""

    def __init__(self, limit: float) -> None:
        self._limit = self._left = limit

    def restore(self) -> None:
        """It has finished something."""
        self._left = self._limit

    async def wait(self, coming: Awaitable[T]) -> T:
        """Raises StreamFault."""
        clock = asyncio.get_running_loop().time
        before = clock()
        try:
            async with asyncio.timeout(self._left):
                return await coming
        except TimeoutError:
            raise StreamFault("connection-timeout", f"what was begun was not finished in {self._limit:g} s") from None
        finally:
            self._left -= clock() - before
