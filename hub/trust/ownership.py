"""Whose this hub is, and how far its registry knows it (XEP-0347): a table, and a small file that outlives us.

    UNREGISTERED ──registered──▶ UNCLAIMED ──claimed──▶ CLAIMED ──removed──▶ REMOVED
          ▲                                                │                    │
          └───────────────────── disowned ─────────────────┴────────────────────┘

Rules of this file
* A change is on the disk before it counts.
* The KEY is what an owner proves himself with. It is new for every search for an owner, only the user of the hub can
  read its file, and it is forgotten once the registry has forgotten it too (section 3.8).
* Randomness comes in as a parameter.
"""

from __future__ import annotations

import contextlib
import enum
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from hub.errors import BadRequest, StoreError
from hub.things.memory import write_durably

log = logging.getLogger(__name__)

FILE_MODE: Final = 0o600
MAX_FILE_BYTES: Final = 65_536


class State(enum.StrEnum):
    UNREGISTERED = "unregistered"
    UNCLAIMED = "unclaimed"
    CLAIMED = "claimed"
    REMOVED = "removed"
    """Taken out of the registry by its owner, who still owns it."""


class Event(enum.Enum):
    REGISTERED = "registered"
    CLAIMED = "claimed"
    REMOVED = "removed"
    DISOWNED = "disowned"


TRANSITIONS: Mapping[tuple[State, Event], State] = {
    (State.UNREGISTERED, Event.REGISTERED): State.UNCLAIMED,
    (State.UNREGISTERED, Event.CLAIMED): State.CLAIMED,  # it was, and we have lost our memory
    (State.UNREGISTERED, Event.DISOWNED): State.UNREGISTERED,  # said again
    (State.UNCLAIMED, Event.REGISTERED): State.UNCLAIMED,
    (State.UNCLAIMED, Event.CLAIMED): State.CLAIMED,
    (State.UNCLAIMED, Event.DISOWNED): State.UNREGISTERED,
    (State.CLAIMED, Event.CLAIMED): State.CLAIMED,
    (State.CLAIMED, Event.REMOVED): State.REMOVED,
    (State.CLAIMED, Event.DISOWNED): State.UNREGISTERED,
    (State.REMOVED, Event.CLAIMED): State.CLAIMED,
    (State.REMOVED, Event.REMOVED): State.REMOVED,
    (State.REMOVED, Event.DISOWNED): State.UNREGISTERED,
}
"""What is not here cannot happen."""


@dataclass(frozen=True)
class Record:
    """What is kept. `servers` and `registry`: those that were discovered; they stay until this file goes. `previous`:
    who has disowned us, until we are registered anew. `told`: the tags the registry has from us."""

    state: State = State.UNREGISTERED
    owner: str = ""
    public: bool = True
    key: str = ""
    previous: str = ""
    servers: tuple[str, ...] = ()
    registry: str = ""
    told: str = ""


class Ownership:
    """`new_key` makes a KEY that nobody can guess. Raises StoreError when there is no place to keep one."""

    def __init__(self, path: Path, new_key: Callable[[], str]) -> None:
        self._path = path
        self._new_key = new_key
        self.record = self._load()
        if self.searching and not self.record.key:
            self.keep(key=new_key())

    @property
    def searching(self) -> bool:
        """Whether an owner is looked for."""
        return self.record.state in (State.UNREGISTERED, State.UNCLAIMED)

    def apply(self, event: Event, owner: str = "", public: bool = True) -> None:
        """Raises BadRequest for what cannot happen now, StoreError when it cannot be kept; then nothing changed."""
        after = TRANSITIONS.get((self.record.state, event))
        if after is None:
            raise BadRequest(f"This hub is {self.record.state}: it cannot be {event.value}.")
        changed = replace(self.record, state=after)
        if event is Event.REGISTERED:
            changed = replace(changed, previous="")
        elif event is Event.CLAIMED:
            changed = replace(changed, owner=owner, public=public, previous="")
        elif event is Event.DISOWNED:
            previous = self.record.owner or self.record.previous
            changed = replace(changed, owner="", public=True, key=self._new_key(), previous=previous, told="")
        elif event is Event.REMOVED:
            changed = replace(changed, key="", told="")
        self._save(changed)

    def keep(self, **changes: Any) -> None:
        """Fields of the record. Raises StoreError."""
        self._save(replace(self.record, **changes))

    def _save(self, record: Record) -> None:
        if record == self.record and self._path.exists():
            return
        try:
            write_durably(self._path, json.dumps(asdict(record), indent=1).encode(), FILE_MODE)
        except OSError as error:
            raise StoreError(f"{self._path} cannot be written: {error}") from error
        self.record = record

    def _load(self) -> Record:
        try:
            return read_record(self._path) or Record()
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            aside = self._path.with_suffix(".broken")
            log.error("%s cannot be used (%s); put aside as %s; the registry is asked whose this hub is",
                      self._path, error, aside.name)  # fmt: skip
            with contextlib.suppress(OSError):
                self._path.replace(aside)
            return Record()


def read_record(path: Path) -> Record | None:
    """None when there is none. Raises OSError, ValueError, TypeError or KeyError."""
    try:
        with path.open("rb") as file:
            loaded: dict[str, Any] = json.loads(file.read(MAX_FILE_BYTES))
    except FileNotFoundError:
        return None
    texts = {name: loaded[name] for name in ("owner", "key", "previous", "registry", "told")}
    servers = loaded["servers"]
    if not all(isinstance(text, str) for text in [*texts.values(), *servers]):
        raise ValueError("it does not say whose this hub is")
    return Record(State(loaded["state"]), public=loaded["public"] is True, servers=tuple(servers), **texts)
