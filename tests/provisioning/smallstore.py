"""Tokens and small things of a store, in memory, as JSON: what the desks need of one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hub.errors import Overload, StoreError
from hub.provisioning.store import TOKENS, TokenRecord


class SmallStore:
    def __init__(self) -> None:
        self.tokens: dict[str, TokenRecord] = {}
        self.kept: dict[tuple[str, str], str] = {}
        self.away = False

    def _reach(self) -> None:
        if self.away:
            raise StoreError("the store cannot be reached")

    async def give_token(self, record: TokenRecord, fingerprint: str, most: int) -> TokenRecord:
        self._reach()
        had = await self.get(TOKENS, record.subject) or {}
        if fingerprint in had:
            record = replace(record, token=had[fingerprint])
        else:
            self.tokens = {name: each for name, each in self.tokens.items() if each.expires > record.created}
            had = {each: name for each, name in had.items() if name in self.tokens}
            if len(had) >= most:
                raise Overload(f"{len(had)} tokens already")
            await self.put(TOKENS, record.subject, {**had, fingerprint: record.token})
        self.tokens[record.token] = record
        return record

    async def token(self, token: str) -> TokenRecord | None:
        self._reach()
        return self.tokens.get(token)

    async def get(self, area: str, key: str) -> dict[str, Any] | None:
        self._reach()
        kept = self.kept.get((area, key))
        return None if kept is None else dict(json.loads(kept))

    async def put(self, area: str, key: str, value: dict[str, Any] | None) -> None:
        self._reach()
        if value is None:
            self.kept.pop((area, key), None)
        else:
            self.kept[area, key] = json.dumps(value)

    async def items(self, area: str) -> dict[str, dict[str, Any]]:
        self._reach()
        return {key: dict(json.loads(kept)) for (of, key), kept in self.kept.items() if of == area}
