"""What the SQL of both engines shares: a transaction is a generator that yields statements and is sent their rows.

Rules of this file
* The engines run a transaction; it knows neither threads nor connections, and may be run again from its start.
* Statements keep to what SQLite (3.35) and PostgreSQL both understand; "?" stands for a parameter. Values are texts
  and whole numbers only; a moment is ISO 8601 in UTC.
* Ids come from `counters`. That is safe because transactions that write run one after the other, on both engines.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from hub.errors import BadRequest

UNREADABLE: Final = "The store holds something that this program did not write: mend it, or put back a backup"

Row = Sequence[Any]
Statement = tuple[str, tuple[str | int, ...]]
T = TypeVar("T")
Steps = Generator[Statement, list[Row], T]
"""A transaction that returns a T."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept of what others send. One more is Overload, unless the oldest gives way (`asked_per_device`)."""

    tags_per_thing: int = 64
    things_per_jid: int = 1000
    rules_per_owner: int = 1000
    asked_per_device: int = 10_000


def following(counter: str) -> Steps[int]:
    """The next number of a counter."""
    rows = yield "UPDATE counters SET value = value + 1 WHERE name = ? RETURNING value", (counter,)
    return int(rows[0][0])


def revision() -> Steps[int]:
    rows = yield "SELECT value FROM counters WHERE name = 'revision'", ()
    return int(rows[0][0])


def written_moment(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")


def read_moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def written_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def checked_text(value: str, what: str, most: int) -> str:
    """Raises BadRequest for what no database and no XML can carry."""
    if len(value) > most:
        raise BadRequest(f"{what} has more than {most} characters.")
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise BadRequest(f"{what} has characters that cannot be kept.")
    return value
