"""Waiting for what must come to be, with an end to the patience."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

PATIENCE_S = 20.0  # far more than anything here needs; reached only when a test fails


async def until(condition: Callable[[], object], what: str = "it", timeout: float = PATIENCE_S) -> None:
    """Return as soon as `condition` holds. Fails the test with `what` when it does not within `timeout` seconds."""
    try:
        async with asyncio.timeout(timeout):
            while not condition():
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(f"not within {timeout:g} s: {what}") from None


async def turns(count: int = 20) -> None:
    """Let everything that is ready to run do so."""
    for _ in range(count):
        await asyncio.sleep(0)


def wait_until(condition: Callable[[], object], what: str = "it", timeout: float = PATIENCE_S) -> None:
    """`until`, where no loop runs."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        time.sleep(0.01)
