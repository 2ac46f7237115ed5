"""The file itself: who may read it, what is said when it cannot be used, and its backup."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from hub.errors import StoreError
from hub.provisioning.migrations import Migration, shipped
from hub.provisioning.model import KEY, Rule, ThingId
from hub.provisioning.sqlite import SqliteStore
from hub.things.questions import Right

from .content import check, fill

RULE = Rule(Right.READ, True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


async def filled(path: Path) -> SqliteStore:
    store = SqliteStore(path)
    await store.open()
    await fill(store)
    return store


async def test_only_its_user_can_read_the_file_and_those_beside_it(path: Path) -> None:
    store = await filled(path)
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["store.sqlite", "store.sqlite-shm", "store.sqlite-wal"]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    await store.close()


async def test_it_waits_for_the_disk(path: Path) -> None:
    store = await filled(path)
    connection = store._connection
    assert connection is not None
    names = ("journal_mode", "synchronous", "foreign_keys")
    settings = await store._in_worker(lambda: [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names])
    assert settings == ["wal", 2, 1]
    await store.close()


# --------------------------------------------------------------------------- what cannot be used


async def refused(path: Path) -> str:
    with pytest.raises(StoreError) as caught:
        await SqliteStore(path).open()
    assert str(path) in str(caught.value)
    return str(caught.value)


async def test_a_file_that_is_no_database(path: Path) -> None:
    path.write_bytes(b"these are not the pages of a database" * 100)
    assert "is damaged" in await refused(path) and "newest backup" in await refused(path)
    assert path.read_bytes().startswith(b"these")


async def test_a_damaged_database_is_refused_before_anything_is_written(path: Path) -> None:
    store = await filled(path)
    await store.close()
    pages = bytearray(path.read_bytes())
    pages[4096 * 3 : 4096 * 12] = b"\xa5" * 4096 * 9
    path.write_bytes(pages)
    assert "is damaged" in await refused(path) and "put the newest backup in its place" in await refused(path)
    assert path.read_bytes() == pages


async def test_a_database_cut_short(path: Path) -> None:
    store = await filled(path)
    await store.close()
    path.write_bytes(path.read_bytes()[: 4096 * 5])
    assert "is damaged" in await refused(path)


async def test_damage_that_comes_later_is_said_too(path: Path) -> None:
    store = await filled(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("UPDATE counters SET value = value")  # what the store has in memory is no longer worth anything
    other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))
    with pytest.raises(StoreError, match="is damaged"):
        await store.rule_book()
    await store.close()


async def test_another_programs_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE holidays (day TEXT)")
    connection.close()
    assert "another program's database" in await refused(path)


async def test_no_folder_or_no_file(path: Path) -> None:
    assert "Make its folder" in await refused(path / "deeper" / "store.sqlite")
    assert "cannot be opened" in await refused(path.parent)
    assert list(path.parent.iterdir()) == []


async def test_another_writer_that_does_not_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.provisioning.sqlite.BUSY_S", 0.05)
    store = await filled(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="in use by another program"):
        await store.add_rule(RULE)
    assert len((await store.rule_book()).rules) == 2  # reading goes on
    other.execute("COMMIT")
    other.close()
    await store.add_rule(RULE)
    await store.close()


async def test_a_full_disk_loses_nothing(path: Path) -> None:
    small = Migration(shipped()[-1].version + 1, "small", ("PRAGMA max_page_count = 40",))
    store = SqliteStore(path, migrations=(*shipped(), small))
    await store.open()
    done = 0
    with pytest.raises(StoreError, match="the disk is full: nothing was changed"):
        while True:
            await store.register(ThingId(f"t{done}@x"), {"SN": "x" * 128}, self_owned=True)
            done += 1
    assert done > 10
    assert await store.thing(ThingId(f"t{done}@x")) is None
    assert all([await store.thing(ThingId(f"t{number}@x")) for number in range(done)])
    await store.close()


# --------------------------------------------------------------------------- backup


async def test_a_backup_is_the_whole_store_in_one_private_file(path: Path, tmp_path: Path) -> None:
    store = await filled(path)
    copy = tmp_path / "copies" / "copy.sqlite"
    copy.parent.mkdir()
    await store.backup(str(copy))
    await store.add_rule(RULE)
    await store.close()
    assert [file.name for file in copy.parent.iterdir()] == ["copy.sqlite"]
    assert copy.stat().st_mode & 0o777 == 0o600
    restored = SqliteStore(copy)
    await restored.open()
    await check(restored)
    await restored.close()


async def test_a_backup_while_others_write_is_of_one_moment(path: Path, tmp_path: Path) -> None:
    store = await filled(path)
    stop = asyncio.Event()

    async def write() -> int:
        number = 0
        while not stop.is_set():
            number += 1
            await store.register(ThingId(f"t{number}@x"), {"SN": "1", KEY: str(number)}, self_owned=True)
        return number

    writing = asyncio.create_task(write())
    for number in range(5):
        await store.backup(str(tmp_path / f"copy{number}"))
    stop.set()
    written = await writing
    assert written > 0
    for number in range(5):
        copy = SqliteStore(tmp_path / f"copy{number}")
        await copy.open()
        things = [await copy.thing(ThingId(f"t{each}@x")) for each in range(1, written + 1)]
        kept = sum(thing is not None for thing in things)
        assert all(thing is not None and len(thing.tags) == 2 for thing in things[:kept])
        await copy.close()
    await store.close()


async def test_a_backup_overwrites_nothing_and_leaves_nothing_behind(path: Path, tmp_path: Path) -> None:
    store = await filled(path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StoreError, match="is there already"):
        await store.backup(str(path))
    with pytest.raises(StoreError, match="cannot be written"):
        await store.backup(str(tmp_path / "nowhere" / "copy"))
    assert sorted(tmp_path.iterdir()) == before
    await store.close()
