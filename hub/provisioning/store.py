"""What every store of the service promises. `sqlite.py` and `postgres.py` pass one suite of tests.

Rules of this file
* Each method is one transaction: it is done whole, and durably, before it returns, or not at all.
* `revision` grows with every change of rules, groups or ownership and with every token that ends, so that instances
  side by side notice each other's.
* A store that cannot be reached raises StoreError, and nothing has changed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from hub.provisioning.model import Found, Registered, Rule, RuleBook, Tags, ThingId
from hub.stanzas.provisioning import SearchQuery

TOKENS: Final = "tokens"
"""An area: the tokens of a bare JID, by the fingerprint of the certificate."""
SHOWN: Final = "shown "
"""And a token: an area of the devices at which it has counted, which may remember what it has brought about."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a thing has to be told and to acknowledge: "clearCache", "claimed", "removed", "disowned", "friend",
    "unfriend". It stays until it is done, through restarts of both. `detail` is JSON."""

    id: int
    to: ThingId
    kind: str
    detail: dict[str, Any]
    created: dt.datetime


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token and the certificate behind it (DER). `subject`: who was given it, a bare JID."""

    token: str
    certificate: bytes
    subject: str
    created: dt.datetime
    expires: dt.datetime


class Store(Protocol):
    async def open(self) -> None:
        """Connect and bring the schema up to date. Raises StoreError, with what to do."""
        ...

    async def close(self) -> None: ...
    async def revision(self) -> int: ...

    # ------------------------------------------------------------------ things (XEP-0347)

    async def register(self, thing: ThingId, tags: Tags, *, self_owned: bool) -> Registered:
        """Keep it with these tags and no others; one that is claimed is left as it is. Returns what is kept. A
        self-owned one has itself for owner. Raises BadRequest for tags that no store can keep (as `claim` and `update`
        do), Overload for more than the limits allow."""
        ...

    async def claim(self, tags: Tags, owner: str, *, public: bool) -> Registered | None:
        """The unclaimed thing with exactly these tags becomes the owner's; so does, again, one that is his already
        and was claimed with the same. None when there is none. KEY is compared in constant time."""
        ...

    async def thing(self, thing: ThingId) -> Registered | None: ...
    async def things_at(self, jid: str) -> tuple[Registered, ...]:
        """The thing with this bare JID and those behind it, in the order of their ids."""
        ...

    async def things_of(self, owner: str) -> tuple[Registered, ...]: ...

    async def update(self, thing: ThingId, tags: Tags) -> Registered | None:
        """Overwrite these tags, an empty string removes one. None when there is no such thing."""
        ...

    async def set_removed(self, thing: ThingId) -> None: ...
    async def unregister(self, thing: ThingId) -> None: ...

    async def disown(self, thing: ThingId, key: str) -> None:
        """Unclaimed, without tags but for a new KEY (XEP-0347 section 3.15)."""
        ...

    async def search(self, search: SearchQuery) -> Found:
        """Searchable things only, in the order of their ids; a search that names KEY finds nothing; nobody's KEY is
        in the result. Raises BadRequest."""
        ...

    # ------------------------------------------------------------------ rules

    async def rule_book(self) -> RuleBook: ...
    async def add_rule(self, rule: Rule) -> Rule:
        """With an `order` of 0 it goes behind all of its owner's. Returns it with its id, which no other ever gets.
        Raises BadRequest for a rule that means nothing, Overload for one too many."""
        ...

    async def remove_rule(self, rule_id: int) -> Rule | None: ...
    async def replace_rules(self, book: RuleBook) -> None:
        """Import: all rules and groups at once, in the order of the book, with new ids. Raises as `add_rule` does."""
        ...

    async def set_group(self, name: str, members: Sequence[str]) -> None:
        """No members: no group."""
        ...

    # ------------------------------------------------------------------ what things must be told

    async def add_notices(self, things: Sequence[ThingId], kind: str, detail: dict[str, Any]) -> None:
        """A clearCache for the same thing that nobody has sent yet is not added twice; one that is on its way may
        have been obeyed already, before what makes it necessary now."""
        ...

    async def notices(self, jid: str | None = None) -> tuple[Notice, ...]:
        """What waits for the things of a bare JID, or everybody's, oldest first."""
        ...

    async def lease_notice(self, notice_id: int, seconds: float) -> bool:
        """Whether the caller is the one to send it for so long: it still waits, and no other instance has such a
        lease. 0 gives one back."""
        ...

    async def notice_done(self, notice_id: int) -> None: ...

    # ------------------------------------------------------------------ who asked whom

    async def note_asker(self, device: str, jid: str) -> None:
        """`device` has asked about `jid`: its cache is cleared when rules change, and it may be told to unfriend."""
        ...

    async def note_askers(self, pairs: Sequence[tuple[str, str]]) -> None:
        """The same for many (device, jid) at once."""
        ...

    async def devices(self) -> tuple[str, ...]:
        """All that have ever asked."""
        ...

    async def askers(self, jid: str) -> tuple[str, ...]:
        """Devices that have asked about `jid`."""
        ...

    async def asked_by(self, device: str) -> tuple[str, ...]:
        """Whom `device` has asked about."""
        ...

    # ------------------------------------------------------------------ tokens

    async def give_token(self, record: TokenRecord, fingerprint: str, most: int) -> TokenRecord:
        """Keep it; where its subject has one for the same certificate already, that one is renewed with these dates.
        Returns what is kept. Raises Overload when the subject has `most` others that have not expired."""
        ...

    async def token(self, token: str) -> TokenRecord | None: ...
    async def tokens(self) -> tuple[TokenRecord, ...]:
        """All that are kept, by whom they were given to and when."""
        ...

    async def revoke_token(self, token: str) -> TokenRecord | None:
        """Remove it for good: its certificate brings another from now on, and a clearCache waits for every device at
        which it has counted. None when there is no such token."""
        ...

    async def lapse_tokens(self) -> tuple[str, ...]:
        """The tokens that have expired since the last time and that have counted somewhere: a clearCache waits for
        those devices."""
        ...

    # ------------------------------------------------------------------ small things that must outlive a restart

    async def get(self, area: str, key: str) -> dict[str, Any] | None:
        """JSON by area and key: open questions to owners, users of services, guesses at a claim."""
        ...

    async def put(self, area: str, key: str, value: dict[str, Any] | None) -> None:
        """None removes it."""
        ...

    async def put_new(self, area: str, key: str, value: dict[str, Any]) -> bool:
        """Keep it unless there is one already; whether it was kept."""
        ...

    async def take(self, area: str, key: str) -> dict[str, Any] | None:
        """Remove and return it: of several who take, one gets it."""
        ...

    async def items(self, area: str) -> dict[str, dict[str, Any]]: ...

    async def backup(self, path: str) -> None:
        """A consistent copy while the service runs. Raises StoreError where the engine has a command for that."""
        ...
