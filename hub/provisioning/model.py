"""What the service knows: things with their tags and owners, rules, and who is in which group. Plain values, sans-IO.

Rules of this file
* JIDs are bare and in lower case, tag names in upper case (XEP-0347: names are case-insensitive).
* A thing behind a concentrator is its JID and its node (XEP-0347 section 3.7); the empty node is the JID itself.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from hub.things.model import FieldTypes, NodeRef
from hub.things.questions import Right

KEY: Final = "KEY"
"""The secret tag: never searched for, never shown (XEP-0347 section 3.13)."""

ITSELF: Final = NodeRef("")

Tags = Mapping[str, str | Decimal]
"""By upper-case name; a string tag is str, a numeric one Decimal."""


@dataclass(frozen=True, slots=True, order=True)
class ThingId:
    jid: str
    node: NodeRef = ITSELF


class Ownership(enum.StrEnum):
    UNCLAIMED = "unclaimed"
    CLAIMED = "claimed"
    SELF_OWNED = "self-owned"


@dataclass(frozen=True, slots=True)
class Registered:
    """A thing in the registry. `public`: found by searches. `removed`: its owner took it out of the registry and
    still owns it."""

    id: ThingId
    tags: Tags
    ownership: Ownership = Ownership.UNCLAIMED
    owner: str = ""
    public: bool = True
    removed: bool = False

    @property
    def searchable(self) -> bool:
        return self.ownership is not Ownership.UNCLAIMED and self.public and not self.removed


@dataclass(frozen=True, slots=True)
class Found:
    things: tuple[Registered, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class Hours:
    """A time of day on some days of the week (1 is Monday), in `zone` (IANA name). A span past midnight begins on its
    day."""

    start: dt.time
    end: dt.time
    days: frozenset[int] = frozenset(range(1, 8))
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of who may do what. An empty condition holds always; `nodes`, `names` and `types` say how far it
    reaches. A deny rule refuses what it reaches and leaves the rest to the rules after it.

    `id` is the store's, 0 before it is kept. `order`: rules are tried from the lowest up, equal ones by id. `owner`:
    whose things it is about, "" for the operator's rules, which are about every thing. `who`: JID patterns as in
    `[access]` ("local@domain", "*@domain", "*"); `groups`: named lists of such patterns; `tokens`: tokens shown with
    the request. Of `who`, `groups` and `tokens` one has to match; all empty means everybody.
    """

    right: Right
    allow: bool
    id: int = 0
    order: int = 0
    owner: str = ""
    who: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    things: tuple[str, ...] = ()
    """Bare JIDs of things; () for every."""
    nodes: tuple[NodeRef, ...] = ()
    names: tuple[str, ...] = ()
    types: FieldTypes = FieldTypes.ALL
    hours: Hours | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class RuleBook:
    """All rules in their order, and the groups they speak of, as of `revision`."""

    rules: tuple[Rule, ...] = ()
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    revision: int = 0
