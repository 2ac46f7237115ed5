"""The outbox itself: what waits, in which order it comes out, and what a bad disk makes of it."""

from __future__ import annotations

import asyncio
import datetime as dt
import resource
import threading
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from devices.base import ValueType
from hub.telemetry import outbox as module
from hub.telemetry.outbox import RUN, Outbox, moment_of
from hub.things.lanes import Lanes
from hub.things.model import Field, NodeRef, Quality, Reading, Trouble
from tests.helpers import turns, until

NOW = dt.datetime(2026, 11, 21, 8, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)
NONE: tuple[int, ...] = ()


def reading(n: int, thing: str = "a", quality: Quality = Quality.AUTOMATIC_READOUT) -> Reading:
    return Reading(NodeRef(thing), NOW + n * SECOND, (Field("n", Decimal(n), ValueType.NUMERIC, quality=quality),))


def make(path: Path, bound: int = 1000) -> Outbox:
    made = Outbox(path, bound, Lanes())
    made.open()
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"


@pytest.fixture
async def outbox(path: Path) -> AsyncIterator[Outbox]:
    made = make(path)
    yield made
    await made.close()
    made._lanes.close()


async def numbers(outbox: Outbox, without: tuple[int, ...] = NONE, busy: tuple[str, ...] = (), fields: int = 60
                  ) -> list[tuple[str, int]]:  # fmt: skip
    return [(entry.thing, int(entry.item.fields[0].value) if isinstance(entry.item, Reading) else -1)  # type: ignore[call-overload]
            for entry in await outbox.batch(without, busy, fields)]  # fmt: skip


async def test_a_batch_is_of_one_thing_and_one_kind_the_oldest_first(outbox: Outbox) -> None:
    entries = [outbox.put(item) for item in (
        reading(1), reading(2, "b"), reading(3), Trouble(NodeRef("a"), NOW, "away"), reading(4), reading(5, "b"))]
    await outbox.write()
    assert await numbers(outbox) == [("a", 1), ("a", 3), ("a", 4)]
    assert await numbers(outbox, fields=2) == [("a", 1), ("a", 3)]
    assert await numbers(outbox, busy=("a",)) == [("b", 2), ("b", 5)]
    assert await numbers(outbox, busy=("a", "b")) == []
    assert await numbers(outbox, (entries[0].seq, entries[2].seq)) == [("b", 2), ("b", 5)]
    outbox.release([entries[n].seq for n in (0, 1, 2)])
    assert await numbers(outbox) == [("a", -1)], "a trouble comes alone"
    assert outbox.waiting == 3


async def test_what_is_released_before_it_was_written_never_touches_the_disk(outbox: Outbox) -> None:
    before = outbox.written
    outbox.release([outbox.put(reading(1)).seq])
    await outbox.write()
    assert outbox.waiting == 0 and outbox.written == before


async def test_released_entries_are_gone_over_a_restart_and_others_are_not(path: Path) -> None:
    outbox = make(path)
    entries = [outbox.put(reading(n)) for n in range(10)]
    await outbox.write()
    outbox.release([entry.seq for entry in entries[:5]])
    await outbox.close()
    again = make(path)
    assert again.waiting == 5 and await numbers(again) == [("a", n) for n in range(5, 10)]
    await again.close()


async def test_names_never_come_twice(path: Path) -> None:
    names = set()
    for _ in range(3):
        outbox = make(path)
        entry = outbox.put(reading(1))
        names.add(entry.name)
        await outbox.write()
        outbox.release([entry.seq])
        await outbox.close()
    assert names == {"1-1", "2-1", "3-1"}


async def test_the_bound_pushes_out_the_oldest_but_for_what_is_held(path: Path) -> None:
    outbox = make(path, bound=10)
    outbox.held = lambda: [RUN + 1, RUN + 3]
    for n in range(1, 31):
        outbox.put(reading(n))
        await outbox.write()
    assert outbox.waiting == 10 and outbox.dropped == 20
    assert [n for _, n in await numbers(outbox)] == [1, 3, *range(23, 31)]
    await outbox.close()


async def test_entries_are_found_by_their_moments_and_kind(outbox: Outbox) -> None:
    first, trouble = outbox.put(reading(1)), outbox.put(Trouble(NodeRef("a"), NOW + SECOND, "away"))
    other = outbox.put(reading(1, "b"))
    await outbox.write()
    late = outbox.put(reading(2))
    moments = {moment_of(item) for item in (reading(1), reading(2))}
    assert sorted(await outbox.find("a", moments)) == [first.seq, late.seq]
    assert await outbox.find("a", {moment_of(trouble.item)}) == [trouble.seq]
    assert await outbox.find("b", moments) == [other.seq] and await outbox.find("c", moments) == []


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """As a limit on the size of a file, where no small disk can be mounted."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk_is_said_the_newest_wait_in_memory_and_are_written_when_there_is_room(
    path: Path, full_disk: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MEMORY_ROWS", 50)
    outbox = make(path)
    for n in range(5000):
        outbox.put(reading(n))
        if n % 10 == 0:
            await outbox.write()
    said = [r.levelname for r in caplog.records if r.levelname != "DEBUG" and "lost so far" not in r.message]
    assert said in (["ERROR"], ["ERROR", "WARNING"]), "not each time that a log begun anew makes room once more"
    assert 0 < outbox.dropped < 5000 and outbox.waiting == 5000 - outbox.dropped
    assert await numbers(outbox), "what waits can still be sent"
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    await outbox.write()
    assert not outbox.trouble and not outbox._unsaved
    assert outbox.waiting == 5000 - outbox.dropped
    await outbox.close()


async def test_a_broken_file_is_moved_aside_and_what_was_in_it_is_counted_as_lost(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = make(path)
    for n in range(500):
        outbox.put(reading(n))
    await outbox.write()
    await outbox._lanes.run("outbox", lambda: outbox._store._database.open().execute(
        "PRAGMA wal_checkpoint(TRUNCATE)").fetchall(), 5)  # fmt: skip
    with path.open("r+b") as file:
        file.write(b"\xff" * path.stat().st_size)
    outbox._store.close()  # as after trouble: opened afresh
    outbox.put(reading(501))
    await outbox.write()
    assert "moved aside" in caplog.text and outbox.dropped == 500
    assert outbox.waiting == 1 and await numbers(outbox) == [("a", 501)]
    await outbox.close()


async def test_a_disk_that_is_not_there_leaves_the_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    outbox = make(tmp_path / "file" / "outbox.sqlite")
    entry = outbox.put(reading(1))
    await outbox.write()
    assert outbox.trouble and await numbers(outbox) == [("a", 1)]
    outbox.release([entry.seq])
    assert outbox.waiting == 0
    await outbox.close()


async def test_trouble_ends_by_itself_also_when_nothing_waits(
    path: Path, full_disk: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when all that comes is confirmed before it could be written."""
    monkeypatch.setattr(module, "RELEASE_S", 0.01)
    outbox = make(path)
    running = asyncio.create_task(outbox.run())
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    entry = outbox.put(reading(1))
    await until(lambda: outbox.trouble, "it takes not a byte")
    outbox.release([entry.seq])
    attempts = outbox._written_once
    await until(lambda: outbox._written_once is not attempts, "it is asked")
    assert outbox.trouble, "and refuses still"
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    await until(lambda: not outbox.trouble, "it is well again, and nobody has put anything in")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await outbox.close()


async def test_moments_in_doubt_are_mended(outbox: Outbox) -> None:
    doubtful = Quality.AUTOMATIC_READOUT | Quality.TIME_OFFSET
    outbox.put(reading(0, quality=doubtful))
    await outbox.write()
    await outbox.mend(0, 60_000)
    (entry,) = await outbox.batch((), (), 60)
    assert isinstance(entry.item, Reading) and entry.item.timestamp == NOW + 60 * SECOND
    assert entry.item.fields[0].quality is Quality.AUTOMATIC_READOUT


async def test_writing_happens_by_itself(outbox: Outbox) -> None:
    task = asyncio.create_task(outbox.run())
    entries = [outbox.put(reading(n)) for n in range(5)]
    await until(lambda: not outbox._unsaved)
    outbox.release([entry.seq for entry in entries])
    await until(lambda: not outbox._released, "released ones leave the disk soon")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_is_answered_while_it_is_being_written_leaves_the_disk_before_anything_else_is_sent(
    path: Path,
) -> None:
    """Else a kill would leave it there, behind a later one that the service has: nobody could tell that it arrived."""
    outbox = make(path)
    running = asyncio.create_task(outbox.run())
    goes_on = threading.Event()
    apply = outbox._store.apply

    def slow(*arguments: Any) -> int:
        goes_on.wait(20)
        return apply(*arguments)

    outbox._store.apply = slow  # type: ignore[method-assign]
    entry = outbox.put(reading(1))
    await until(lambda: outbox._under_way, "it is being written")
    outbox.release([entry.seq])
    settling = asyncio.create_task(outbox.settle())
    await turns()
    assert not settling.done()
    goes_on.set()
    await settling
    assert outbox.waiting == 0 and not outbox._released
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await outbox._lanes.run("outbox", outbox._store.close, 5)
    again = make(path)
    assert again.waiting == 0
    await again.close()
