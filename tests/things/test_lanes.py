"""Blocking calls off the loop: one at a time per lane, bounded, and no lane waits for another."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from devices.base import BadData, NotResponding
from hub.things.lanes import Lanes
from tests.helpers import PATIENCE_S, until


@pytest.fixture
async def lanes() -> AsyncIterator[Lanes]:
    made = Lanes()
    yield made
    made.close()


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Lets every hanging call of the test go on; always set at the end, so that no thread is left waiting."""
    event = threading.Event()
    yield event
    event.set()


async def test_the_result_of_a_call_comes_from_another_thread(lanes: Lanes) -> None:
    assert await lanes.run("a", lambda: 42, PATIENCE_S) == 42
    assert await lanes.run("a", threading.get_ident, PATIENCE_S) != threading.get_ident()


async def test_calls_in_a_lane_are_made_in_order_and_never_at_once(lanes: Lanes) -> None:
    made: list[int] = []
    inside = 0

    def call(number: int) -> int:
        nonlocal inside
        inside += 1
        assert inside == 1
        made.append(number)
        inside -= 1
        return number

    results = await asyncio.gather(*(lanes.run("a", lambda n=n: call(n), PATIENCE_S) for n in range(50)))
    assert results == made == list(range(50))


@pytest.mark.parametrize("error", [
    BadData("wrong"), ValueError("a bug"), KeyError("x"), StopIteration(), asyncio.CancelledError(),
], ids=lambda e: type(e).__name__)  # fmt: skip
async def test_what_a_call_raises_travels_and_the_lane_goes_on(lanes: Lanes, error: BaseException) -> None:
    def call() -> None:
        raise error

    with pytest.raises(BaseException) as caught:  # a lane carries whatever there is
        await lanes.run("a", call, PATIENCE_S)
    assert not isinstance(caught.value, NotResponding)
    assert caught.value is error or "StopIteration" in str(caught.value)
    assert await lanes.run("a", lambda: "after", PATIENCE_S) == "after"


async def test_a_hung_call_is_given_up_and_the_other_lanes_go_on(lanes: Lanes, release: threading.Event) -> None:
    with pytest.raises(NotResponding, match=r"no answer within 0\.05 s"):
        await lanes.run("bad", release.wait, 0.05)
    assert lanes.hung == 1
    others = (lanes.run(f"good {n}", lambda n=n: n, PATIENCE_S) for n in range(20))
    assert await asyncio.gather(*others) == list(range(20))


async def test_a_hung_call_keeps_its_lane_as_it_keeps_the_bus(lanes: Lanes, release: threading.Event) -> None:
    called = False

    def call() -> str:
        nonlocal called
        called = True
        return "done"

    with pytest.raises(NotResponding):
        await lanes.run("i2c-1", release.wait, 0.05)
    with pytest.raises(NotResponding, match="i2c-1 has been busy"):
        await lanes.run("i2c-1", call, 0.05)
    assert not called and lanes.hung == 1
    release.set()
    await until(lambda: lanes.hung == 0)
    assert await lanes.run("i2c-1", call, PATIENCE_S) == "done"


async def test_many_hung_lanes_do_not_hold_back_a_good_one(lanes: Lanes, release: threading.Event) -> None:
    bad = [asyncio.create_task(lanes.run(f"bad {n}", release.wait, 0.1)) for n in range(10)]
    assert await lanes.run("good", lambda: "fine", PATIENCE_S) == "fine"
    outcomes = await asyncio.gather(*bad, return_exceptions=True)
    assert all(isinstance(outcome, NotResponding) for outcome in outcomes)
    release.set()
    await until(lambda: lanes.hung == 0)


async def test_a_call_that_ends_too_late_with_an_error_disturbs_nobody(
    lanes: Lanes, release: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    def call() -> None:
        release.wait()
        raise ValueError("too late")

    with pytest.raises(NotResponding):
        await lanes.run("a", call, 0.05)
    release.set()
    await until(lambda: lanes.hung == 0)
    gc.collect()
    assert not caplog.records


async def test_a_waiter_that_goes_away_leaves_the_lane_to_its_call_and_then_to_the_next(
    lanes: Lanes, release: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    started = threading.Event()

    def call() -> None:
        started.set()
        release.wait()
        raise ValueError("nobody waits for this")

    waiter = asyncio.create_task(lanes.run("a", call, PATIENCE_S))
    await until(started.is_set)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    second = asyncio.create_task(lanes.run("a", lambda: "next", PATIENCE_S))
    await asyncio.sleep(0)
    assert not second.done()
    release.set()
    assert await second == "next"
    del waiter
    gc.collect()
    assert not caplog.records


async def test_a_waiter_cancelled_in_the_queue_takes_nothing_with_it(lanes: Lanes, release: threading.Event) -> None:
    started = threading.Event()

    def hold() -> None:
        started.set()
        release.wait()

    first = asyncio.create_task(lanes.run("a", hold, PATIENCE_S))
    await until(started.is_set)
    queued = asyncio.create_task(lanes.run("a", lambda: pytest.fail("cancelled"), PATIENCE_S))
    await asyncio.sleep(0)
    queued.cancel()
    await asyncio.gather(queued, return_exceptions=True)
    release.set()
    await first
    assert await lanes.run("a", lambda: "next", PATIENCE_S) == "next"


async def test_quick_parts_share_a_few_threads(lanes: Lanes) -> None:
    threads: set[Any] = set()
    for n in range(40):
        threads.add(await lanes.run(f"lane {n}", threading.get_ident, PATIENCE_S))
    assert len(threads) <= 3
