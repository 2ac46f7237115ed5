"""A cache of verdicts keeps its file open until it is closed, and tests of a kill do not close theirs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hub.trust.cache import VerdictCache


@pytest.fixture(autouse=True)
def closed_at_the_end(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    made: list[VerdictCache] = []
    begin = VerdictCache.__init__

    def remembered(cache: VerdictCache, *args: Any) -> None:
        begin(cache, *args)
        made.append(cache)

    monkeypatch.setattr(VerdictCache, "__init__", remembered)
    yield
    for cache in made:
        cache.close()
