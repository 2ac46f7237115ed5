"""The store on SQL: every method is a transaction from sql_*.py, and the engine runs it.

An engine is a subclass that says how a transaction is run, and what open, close and backup are. A transaction that
writes runs alone, also across instances; one that reads sees one moment.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from hub.errors import BadRequest
from hub.provisioning import sql, sql_rest, sql_rules, sql_things
from hub.provisioning.model import KEY, Found, Registered, Rule, RuleBook, Tags, ThingId
from hub.provisioning.search import Search, prepared
from hub.provisioning.sql import Limits, Steps
from hub.provisioning.store import Notice, TokenRecord
from hub.stanzas.provisioning import SearchQuery

MAX_FOUND: Final = 100  # things in one answer to a search
MAX_OFFSET: Final = 100_000

T = TypeVar("T")


class SqlStore(ABC):
    """See `hub.provisioning.store.Store` for what each method promises."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    @abstractmethod
    async def open(self) -> None: ...
    @abstractmethod
    async def close(self) -> None: ...
    @abstractmethod
    async def backup(self, path: str) -> None: ...
    @abstractmethod
    async def _read(self, transaction: Callable[[], Steps[T]]) -> T: ...
    @abstractmethod
    async def _write(self, transaction: Callable[[], Steps[T]]) -> T:
        """Returns when it is on disk. Raises StoreError when nothing has changed, or, where the connection broke in
        the middle of the last step, it cannot be known."""
        ...

    async def revision(self) -> int:
        return await self._read(sql.revision)

    # ------------------------------------------------------------------ things

    async def register(self, thing: ThingId, tags: Tags, *, self_owned: bool) -> Registered:
        checked = sql_things.checked_tags(tags, self._limits)
        return await self._write(lambda: sql_things.register(thing, checked, self_owned, self._limits))

    async def claim(self, tags: Tags, owner: str, *, public: bool) -> Registered | None:
        checked = sql_things.checked_tags(tags, self._limits)
        return await self._write(lambda: sql_things.claim(checked, owner, public))

    async def thing(self, thing: ThingId) -> Registered | None:
        return await self._read(lambda: sql_things.thing(thing))

    async def things_at(self, jid: str) -> tuple[Registered, ...]:
        return await self._read(lambda: sql_things.things_at(jid))

    async def things_of(self, owner: str) -> tuple[Registered, ...]:
        return await self._read(lambda: sql_things.things_of(owner)) if owner else ()

    async def update(self, thing: ThingId, tags: Tags) -> Registered | None:
        checked = sql_things.checked_tags(tags, self._limits)
        return await self._write(lambda: sql_things.update(thing, checked, self._limits))

    async def set_removed(self, thing: ThingId) -> None:
        await self._write(lambda: sql_things.set_removed(thing))

    async def unregister(self, thing: ThingId) -> None:
        await self._write(lambda: sql_things.unregister(thing))

    async def disown(self, thing: ThingId, key: str) -> None:
        if not key:
            raise BadRequest("A thing that is disowned needs a new KEY.")
        await self._write(lambda: sql_things.disown(thing, key))

    async def search(self, search: SearchQuery) -> Found:
        """In rounds of their own: a thing that changes meanwhile is found as it was or as it is. At most MAX_FOUND at
        once. Raises BadRequest."""
        ready = prepared(search)
        if not 0 <= search.offset <= MAX_OFFSET or (search.count is not None and search.count < 0):
            raise BadRequest(f"A search skips from 0 to {MAX_OFFSET} things, and its count is 0 or more.")
        count = MAX_FOUND if search.count is None else min(search.count, MAX_FOUND)
        found: list[Registered] = []
        after: ThingId | None = None
        while not ready.hopeless and len(found) <= search.offset + count:
            last = after
            some = await self._read(lambda last=last: sql_things.candidates(ready, last))  # type: ignore[misc]  # mypy infers no default
            found += await asyncio.to_thread(_matching, ready, some)
            if len(some) < sql_things.CANDIDATES:
                break
            after = some[-1].id
        page = found[search.offset : search.offset + count]
        return Found(tuple(_without_key(thing) for thing in page), more=len(found) > search.offset + count)

    # ------------------------------------------------------------------ rules

    async def rule_book(self) -> RuleBook:
        return await self._read(sql_rules.rule_book)

    async def add_rule(self, rule: Rule) -> Rule:
        """Raises BadRequest for one that means nothing, Overload for one too many."""
        checked = sql_rules.checked_rule(rule)
        return await self._write(lambda: sql_rules.add_rule(checked, self._limits))

    async def remove_rule(self, rule_id: int) -> Rule | None:
        return await self._write(lambda: sql_rules.remove_rule(rule_id))

    async def replace_rules(self, book: RuleBook) -> None:
        groups = {name: sql_rules.checked_group(name, members) for name, members in book.groups.items()}
        checked = RuleBook(tuple(sql_rules.checked_rule(rule) for rule in book.rules), groups)
        await self._write(lambda: sql_rules.replace_rules(checked, self._limits))

    async def set_group(self, name: str, members: Sequence[str]) -> None:
        checked = sql_rules.checked_group(name, members)
        await self._write(lambda: sql_rules.set_group(name, checked))

    # ------------------------------------------------------------------ notices and askers

    async def add_notices(self, things: Sequence[ThingId], kind: str, detail: dict[str, Any]) -> None:
        if things:
            await self._write(lambda: sql_rest.add_notices(things, kind, detail, _now()))

    async def notices(self, jid: str | None = None) -> tuple[Notice, ...]:
        return await self._read(lambda: sql_rest.notices(jid))

    async def lease_notice(self, notice_id: int, seconds: float) -> bool:
        """By this machine's clock: instances side by side keep theirs right, or a notice may be sent twice."""
        return await self._write(lambda: sql_rest.lease_notice(notice_id, _now(), seconds))

    async def notice_done(self, notice_id: int) -> None:
        await self._write(lambda: sql_rest.notice_done(notice_id))

    async def note_asker(self, device: str, jid: str) -> None:
        if not await self._read(lambda: sql_rest.is_asker(device, jid)):  # most have asked before
            await self._write(lambda: sql_rest.note_asker(device, jid, self._limits))

    async def note_askers(self, pairs: Sequence[tuple[str, str]]) -> None:
        if pairs:
            await self._write(lambda: sql_rest.note_askers(pairs, self._limits))

    async def devices(self) -> tuple[str, ...]:
        return await self._read(sql_rest.devices)

    async def askers(self, jid: str) -> tuple[str, ...]:
        return await self._read(lambda: sql_rest.askers(jid))

    async def asked_by(self, device: str) -> tuple[str, ...]:
        return await self._read(lambda: sql_rest.asked_by(device))

    # ------------------------------------------------------------------ tokens and small things

    async def give_token(self, record: TokenRecord, fingerprint: str, most: int) -> TokenRecord:
        return await self._write(lambda: sql_rest.give_token(record, fingerprint, most, _now()))

    async def token(self, token: str) -> TokenRecord | None:
        return await self._read(lambda: sql_rest.token(token))

    async def tokens(self) -> tuple[TokenRecord, ...]:
        return await self._read(sql_rest.tokens)

    async def revoke_token(self, token: str) -> TokenRecord | None:
        return await self._write(lambda: sql_rest.revoke_token(token, _now()))

    async def lapse_tokens(self) -> tuple[str, ...]:
        if not await self._read(lambda: sql_rest.lapsed_tokens(_now())):  # most often there is none
            return ()
        return await self._write(lambda: sql_rest.lapse_tokens(_now()))

    async def get(self, area: str, key: str) -> dict[str, Any] | None:
        return await self._read(lambda: sql_rest.get(area, key))

    async def put(self, area: str, key: str, value: dict[str, Any] | None) -> None:
        await self._write(lambda: sql_rest.put(area, key, value))

    async def put_new(self, area: str, key: str, value: dict[str, Any]) -> bool:
        return await self._write(lambda: sql_rest.put_new(area, key, value))

    async def take(self, area: str, key: str) -> dict[str, Any] | None:
        if await self._read(lambda: sql_rest.get(area, key)) is None:  # most often there is nothing
            return None
        return await self._write(lambda: sql_rest.take(area, key))

    async def items(self, area: str) -> dict[str, dict[str, Any]]:
        return await self._read(lambda: sql_rest.items(area))


def _matching(search: Search, things: Sequence[Registered]) -> list[Registered]:
    return [thing for thing in things if search.finds(thing.tags)]


def _without_key(thing: Registered) -> Registered:
    tags = {name: value for name, value in thing.tags.items() if name != KEY}
    return Registered(thing.id, tags, thing.ownership, thing.owner, thing.public, thing.removed)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
