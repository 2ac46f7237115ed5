"""What is waited for, and what does not count."""

from __future__ import annotations

import asyncio

import pytest

from hub.gateway.patience import Patience
from hub.gateway.xmpp import StreamFault

LIMIT_S = 0.2


async def said() -> bytes:
    return b"x"


async def never() -> bytes:
    return await asyncio.get_running_loop().create_future()


async def test_only_the_time_in_which_we_wait_counts() -> None:
    patience = Patience(LIMIT_S)
    for _ in range(2):
        assert await patience.wait(said()) == b"x"
        await asyncio.sleep(LIMIT_S)  # we were busy with something else
    assert await patience.wait(said()) == b"x"


async def test_it_ends_and_comes_back() -> None:
    patience = Patience(LIMIT_S)
    for _ in range(2):
        with pytest.raises(StreamFault, match=r"connection-timeout: .* 0\.2 s"):
            await patience.wait(never())
    patience.restore()
    assert await patience.wait(said()) == b"x"
