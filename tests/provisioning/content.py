"""A little of everything that a store keeps, and whether it is still there.

    python -m tests.provisioning.content    saves databases of the newest version, where there are none yet
"""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from hub.provisioning.migrations import shipped
from hub.provisioning.model import KEY, Hours, Ownership, Registered, Rule, ThingId
from hub.provisioning.sqlite import SqliteStore
from hub.provisioning.sqlstore import SqlStore
from hub.provisioning.store import TokenRecord
from hub.stanzas.provisioning import SearchQuery, SearchTerm
from hub.things.model import FieldTypes, NodeRef
from hub.things.questions import Right
from tests.postgres import Postgres

from .engines import SAVED, OnPostgres

PLC, HUB = ThingId("rack@x", NodeRef("imc1", "MeteringTopology")), ThingId("hub@x")
TAGS = {"SN": "394872", "V": Decimal("1.20"), KEY: "4857402340298342"}
RULES = (
    Rule(Right.CONTROL, False, nodes=(NodeRef("pump"), NodeRef("imc1", "s", "c")), names=("output",), order=5),
    Rule(
        Right.READ, True, owner="owner@x", who=("ann@x", "*@y"), groups=("family",), tokens=("T1",), things=("hub@x",),
        types=FieldTypes.MOMENTARY | FieldTypes.HISTORICAL, note="åäö", order=10,
        hours=Hours(dt.time(22), dt.time(6, 30), frozenset({5, 6}), "Europe/Stockholm"),
    ),
)  # fmt: skip
TOKEN = TokenRecord(
    "T1", b"\0\xff", "ann@x", dt.datetime(2026, 11, 20, tzinfo=dt.UTC), dt.datetime(2126, 1, 1, tzinfo=dt.UTC)
)


async def fill(store: SqlStore) -> None:
    await store.register(PLC, TAGS, self_owned=False)
    await store.claim(TAGS, "owner@x", public=True)
    await store.update(PLC, {KEY: "", "ROOM": "cellar"})
    await store.register(HUB, TAGS, self_owned=False)
    for rule in RULES:
        await store.add_rule(rule)
    await store.set_group("family", ("ann@x", "*@y"))
    await store.add_notices([PLC], "claimed", {"jid": "owner@x", "public": True})
    await store.note_asker("hub@x", "ann@x")
    await store.give_token(TOKEN, "fingerprint", 1)
    await store.put("questions", "1", {"text": "åäö", "n": 1})


async def check(store: SqlStore) -> None:
    """All of it is there, and means the same."""
    plc = Registered(PLC, {"SN": "394872", "V": Decimal("1.20"), "ROOM": "cellar"}, Ownership.CLAIMED, "owner@x")
    assert await store.thing(PLC) == plc
    assert await store.thing(HUB) == Registered(HUB, TAGS)
    assert (await store.search(SearchQuery((SearchTerm("numEq", "V", Decimal("1.2")),)))).things == (plc,)
    book = await store.rule_book()
    assert [rule.id for rule in book.rules] == [1, 2] and book.groups == {"family": ("ann@x", "*@y")}
    assert tuple(replace(rule, id=0) for rule in book.rules) == RULES
    assert [(notice.to, notice.kind, notice.detail) for notice in await store.notices()] == [
        (PLC, "claimed", {"jid": "owner@x", "public": True})
    ]
    assert await store.askers("ann@x") == ("hub@x",)
    assert await store.token("T1") == TOKEN
    assert await store.items("questions") == {"1": {"text": "åäö", "n": 1}}
    # … and it goes on from there
    assert await store.claim(TAGS, "other@x", public=True) == Registered(HUB, TAGS, Ownership.CLAIMED, "other@x")
    assert await store.claim(TAGS, "owner@x", public=True) == plc
    assert (await store.add_rule(RULES[0])).id == 3


async def _save() -> None:
    version = shipped()[-1].version
    SAVED.mkdir(exist_ok=True)
    target = SAVED / f"version-{version}.sqlite"
    with TemporaryDirectory() as folder:
        if not target.exists():
            small = SqliteStore(Path(folder) / "store.sqlite")
            await small.open()
            await fill(small)
            await small.backup(str(target))
            await small.close()
        target = target.with_suffix(".postgres")
        if not target.exists():
            with Postgres() as server:
                engine = OnPostgres(server, server.database())
                store = engine.store()
                await store.open()
                await fill(store)
                await store.close()
                target.write_text(server.dump(engine.where), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(_save())
