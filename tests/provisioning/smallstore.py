"""Tokens and small things of a store, in memory, as JSON: what the desks need of one."""

from __future__ import annotations

import json
from typing import Any

from hub.errors import StoreError
from hub.provisioning.store import TokenRecord


class SmallStore:
    def __init__(self) -> None:
        self.tokens: dict[str, TokenRecord] = {}
        self.kept: dict[tuple[str, str], str] = {}
        self.away = False

    def _reach(self) -> None:
        if self.away:
            raise StoreError("the store cannot be reached")

    async def add_token(self, record: TokenRecord) -> None:
        self._reach()
        assert record.token not in self.tokens
        self.tokens[record.token] = record

    async def token(self, token: str) -> TokenRecord | None:
        self._reach()
        return self.tokens.get(token)

    async def remove_token(self, token: str) -> None:
        self._reach()
        self.tokens.pop(token, None)

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
