"""`[history]` of the configuration file; `hub.config` reads and checks it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from devices.base import Duration, Within


@dataclass(frozen=True, kw_only=True)
class History:
    """`[history]`: what the node remembers. Readings are kept for `age`, and of each thing at most `size` bytes of
    them; the oldest go first. `flush`: how often they are written, and so how many seconds of history a kill may cost;
    a card lasts longer with more."""

    age: Duration = Duration(31 * 86_400)  # noqa: RUF009  # an immutable number, as below
    size: Annotated[int, Within(100_000, None, "bytes for each thing")] = 16_000_000
    flush: Duration = Duration(10)  # noqa: RUF009

    def problems(self) -> Mapping[str, str]:
        if self.age < 3600:
            return {"age": "at least 1h"}
        return {} if 1 <= self.flush <= 3600 else {"flush": "from 1s to 1h"}
