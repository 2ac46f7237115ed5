"""What was acknowledged is there afterwards, whatever ended the program; nothing is there by halves."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hub.errors import StoreError
from hub.provisioning.migrations import VERSION_TABLE, Migration, shipped, statements
from hub.provisioning.model import Rule, ThingId
from hub.provisioning.postgres import PostgresStore
from hub.provisioning.sqlite import SqliteStore
from hub.provisioning.sqlstore import SqlStore
from hub.provisioning.stores import store_at
from hub.things.questions import Right
from tests.helpers import wait_until
from tests.postgres import Postgres

from .content import check, fill
from .engines import SAVED, Engine, OnSqlite

ROOT = Path(__file__).parents[2]
ROUNDS = int(os.environ.get("HUB_KILLS", "4"))  # more by hand


async def checked(store: SqlStore, acknowledged: list[str]) -> None:
    """Everything that was acknowledged is kept, and everything that is kept is whole."""
    await store.open()
    rules = {rule.note for rule in (await store.rule_book()).rules}
    for line in acknowledged:
        kind, name, number = line.split()
        if kind == "rule":
            assert f"{name} {number}" in rules
        else:
            thing = await store.thing(ThingId(f"{name}{number}@x"))
            assert thing is not None and len(thing.tags) == 2 and thing.owner == thing.id.jid
    await store.close()


@pytest.mark.timeout(60 + 20 * ROUNDS)
async def test_killed_while_it_writes_it_has_lost_nothing(engine: Engine) -> None:
    acknowledged: list[str] = []
    for round_ in range(ROUNDS):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.provisioning.writer", engine.where, f"r{round_}"],
            stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        assert process.stdout is not None
        said = [process.stdout.readline().strip() for _ in range(3 + 7 * round_)]
        process.kill()
        said += process.stdout.read().split("\n")[:-1]  # what it could still say
        process.wait()
        process.stdout.close()
        acknowledged += said
        await checked(engine.store(), acknowledged)
    assert len(acknowledged) >= 3 * ROUNDS


async def test_two_instances_side_by_side_see_each_other_and_share_ids(engine: Engine) -> None:
    one, other = engine.store(), engine.store()
    await one.open()
    await other.open()
    first = await one.add_rule(Rule(Right.READ, True))
    assert (await other.rule_book()).rules == (first,)
    second = await other.add_rule(Rule(Right.READ, True))
    assert second.id > first.id and await one.revision() == await other.revision() == 2
    await one.close()
    await other.close()


# --------------------------------------------------------------------------- versions of the schema


def test_files_are_numbered_without_a_gap_and_each_has_a_saved_database() -> None:
    versions = [migration.version for migration in shipped()]
    assert versions == list(range(1, len(versions) + 1))
    assert {file.name for file in SAVED.iterdir()} == {
        f"version-{version}.{engine}" for version in versions for engine in ("sqlite", "postgres")
    }


async def test_what_is_filled_now_is_what_is_found_in_saved_databases(store: SqlStore) -> None:
    await fill(store)
    await check(store)


@pytest.mark.parametrize("version", [migration.version for migration in shipped()])
async def test_a_saved_database_is_brought_up_to_date(engine: Engine, version: int) -> None:
    engine.load(version)
    store = engine.store()
    await store.open()
    await check(store)
    await store.close()
    assert engine.execute(f"SELECT version FROM {VERSION_TABLE}") == [(shipped()[-1].version,)]


def following(*texts: str) -> tuple[Migration, ...]:
    return (*shipped(), Migration(shipped()[-1].version + 1, "next.sql", texts))


async def test_the_next_file_is_applied_once_and_keeps_what_is_there(engine: Engine) -> None:
    engine.load(1)
    for _ in range(2):
        store = engine.store(migrations=following("CREATE TABLE more (a TEXT)", "INSERT INTO more VALUES ('1')"))
        await store.open()
        await store.close()
    assert engine.execute("SELECT a FROM more") == [("1",)]
    engine.execute(f"UPDATE {VERSION_TABLE} SET version = {shipped()[-1].version}")
    store = engine.store()
    await store.open()
    await check(store)
    await store.close()


async def test_a_file_that_fails_halfway_leaves_the_database_as_it_was(engine: Engine) -> None:
    engine.load(1)
    change = "UPDATE things SET owner = 'eve@x' WHERE owner <> ''"
    store = engine.store(migrations=following("CREATE TABLE more (a TEXT)", change, "INSERT INTO nowhere VALUES (1)"))
    with pytest.raises(StoreError, match="nowhere"):
        await store.open()
    with pytest.raises(StoreError, match="not open"):
        await store.revision()
    kept = engine.store(migrations=following("CREATE TABLE more (a TEXT)"))  # it was not made
    await kept.open()
    await check(kept)
    await kept.close()


async def test_a_database_of_a_newer_program_is_refused_and_left_alone(engine: Engine) -> None:
    engine.load(1)
    engine.execute(f"UPDATE {VERSION_TABLE} SET version = 99")
    newest = shipped()[-1].version
    with pytest.raises(StoreError, match=rf"newer version of this program: its schema is 99, .* knows {newest}\. Inst"):
        await engine.store().open()
    assert engine.execute(f"SELECT version FROM {VERSION_TABLE}") == [(99,)]
    engine.execute(f"DELETE FROM {VERSION_TABLE}")
    with pytest.raises(StoreError, match="does not say which version"):
        await engine.store().open()


def test_statements_are_split_where_a_line_ends_one() -> None:
    text = "-- a; comment;\nCREATE TABLE a (\n  -- inside;\n  b TEXT DEFAULT ';x'\n);\nINSERT INTO a VALUES (';');\n\n"
    assert statements(text) == ("CREATE TABLE a (\n  b TEXT DEFAULT ';x'\n)", "INSERT INTO a VALUES (';')")


# --------------------------------------------------------------------------- the server of the tests itself


def test_the_databases_server_ends_with_the_tests_even_when_they_are_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom tests.postgres import Postgres\n"
        "with Postgres() as server:\n    print(server.pid, server.folder, flush=True)\n    time.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    pid, _, folder = process.stdout.readline().strip().partition(" ")
    process.kill()
    process.wait()
    process.stdout.close()
    try:
        wait_until(lambda: not _runs(int(pid)), "the end of the server")
    finally:
        subprocess.run(["rm", "-rf", folder], check=True)


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


# --------------------------------------------------------------------------- PostgreSQL alone


async def test_a_server_that_is_away_is_said_and_when_it_is_back_so_are_we(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.provisioning.postgres.WAIT_S", 0.5)
    store = PostgresStore(postgres.schema())
    await store.open()
    rule = await store.add_rule(Rule(Right.READ, True))
    postgres.stop(signal.SIGQUIT)
    try:
        with pytest.raises(StoreError, match="see that it runs"):
            await store.rule_book()
        with pytest.raises(StoreError, match="see that it runs"):
            await PostgresStore(postgres.url()).open()
    finally:
        postgres.start()
    assert (await store.rule_book()).rules == (rule,)
    await store.close()


async def test_what_postgres_must_be_is_said(postgres: Postgres) -> None:
    with pytest.raises(StoreError, match=r'database "nowhere" does not exist'):
        await PostgresStore(postgres.url("nowhere")).open()
    with pytest.raises(StoreError, match="ENCODING 'UTF8'"):
        await PostgresStore(postgres.database("SQL_ASCII")).open()
    with pytest.raises(StoreError, match="The database cannot be used"):
        await PostgresStore("postgresql://hub:geheim@127.0.0.1:1/x").open()


async def test_instances_that_start_together_make_one_schema(postgres: Postgres) -> None:
    where = postgres.schema()
    stores = [PostgresStore(where) for _ in range(5)]
    await asyncio.gather(*(store.open() for store in stores))
    things = [ThingId(f"t{number}@x") for number in range(20)]
    for thing in things:
        await stores[0].register(thing, {"SN": thing.jid}, self_owned=False)
    claims = await asyncio.gather(*(
        store.claim({"SN": thing.jid}, f"o{number}@x", public=True)
        for thing in things for number, store in enumerate(stores)
    ))  # fmt: skip
    won = [claim for claim in claims if claim is not None]
    assert sorted(claim.id for claim in won) == sorted(things)
    for claim in won:
        assert await stores[0].thing(claim.id) == claim
    await asyncio.gather(*(store.close() for store in stores))


async def test_its_backup_is_the_databases_own(postgres: Postgres, tmp_path: Path) -> None:
    store = PostgresStore(postgres.schema())
    with pytest.raises(StoreError, match="pg_dump"):
        await store.backup(str(tmp_path / "copy"))


def test_only_sqlite_is_named_by_a_path(tmp_path: Path) -> None:
    from hub.provisioning.postgres import PostgresStore

    assert isinstance(store_at("postgresql://hub@/x"), PostgresStore)
    assert isinstance(store_at(OnSqlite(tmp_path / "x").where), SqliteStore)
