"""XEP-0347, the registry's side: things are registered, claimed, found, updated, removed, disowned.

Rules of this file
* Values in, values out: no XML, no stream. `jid` is the bare JID that the server vouches for; a thing acts for itself
  and for what is behind it, an owner for what he owns. What is not there and what is another's look the same (sections
  3.8 to 3.15).
* A claim that is wrong, half right or too late gets one answer, and makes the next one wait (`budgets.py`).
* A thing hears of what was done to it by a notice, which waits until it is acknowledged; only being disowned is done
  after the thing has acknowledged it (section 3.15), and not done at all when it does not.
* What comes in is bounded: how fast new things may appear here, tags of a thing and things of a JID by the store.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from hub.errors import Forbidden, NotAllowed, NotFound, Overload
from hub.provisioning.budgets import Budget, Guesses
from hub.provisioning.decisions import Audit
from hub.provisioning.knowledge import Knowledge
from hub.provisioning.model import ITSELF, Found, Ownership, Registered, Tags, ThingId
from hub.provisioning.notices import Notices
from hub.provisioning.store import Store
from hub.stanzas.provisioning import SearchQuery
from hub.things.model import NodeRef
from hub.trust.access import matches

log = logging.getLogger(__name__)

WRONG_CLAIM: Final = "There is no unclaimed thing with exactly these tags."
KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class RegistryLimits:
    new_things: int = 5_000
    """That may appear at once: a fleet's first start."""
    new_things_per_hour: int = 500
    """That may appear after that."""
    search_results: int = 100
    disown_wait: float = 10.0  # seconds that a thing has to acknowledge
    register: tuple[str, ...] = ("*",)
    """Who may register things: JID patterns."""


class Registry:
    """`clock`: seconds that only grow."""

    def __init__(
        self,
        store: Store,
        knowledge: Knowledge,
        notices: Notices,
        audit: Audit,
        clock: Callable[[], float],
        limits: RegistryLimits | None = None,
        guesses: Guesses | None = None,
    ) -> None:
        self._store, self._knowledge, self._notices, self._audit = store, knowledge, notices, audit
        self._clock = clock
        self._limits = limits or RegistryLimits()
        self._guesses = guesses or Guesses()
        self._new = Budget(self._limits.new_things, self._limits.new_things_per_hour / 3600)

    # ------------------------------------------------------------------ what a thing does

    async def register(self, jid: str, node: NodeRef, tags: Tags, *, self_owned: bool) -> Registered:
        """What is kept: one that is claimed is left as it is, and its owner is in it. Raises BadRequest, Forbidden,
        Overload and StoreError."""
        if not matches(jid, self._limits.register):
            raise Forbidden("This registry does not take your things.")
        thing = ThingId(jid, node)
        before = await self._store.thing(thing)
        if before is None and not self._new.spend(self._clock()):
            raise Overload("Too many new things at once; try again later.")
        kept = await self._store.register(thing, tags, self_owned=self_owned)
        if before is None or before.ownership is not kept.ownership:
            self._knowledge.forget(jid)
            self._note(jid, "register", thing, kept.ownership.value)
        return kept

    async def update(self, jid: str, node: NodeRef, tags: Tags) -> bool:
        """By the thing itself. False: nobody owns it (any more), nothing is changed, and it may register again. Raises
        NotFound when it is not in the registry."""
        thing = ThingId(jid, node)
        kept = await self._store.thing(thing)
        if kept is None or kept.removed:
            raise NotFound("You are not in this registry.")
        if kept.ownership is Ownership.UNCLAIMED:
            return False
        await self._update(kept, tags)
        return True

    async def unregister(self, jid: str, node: NodeRef) -> None:
        thing = ThingId(jid, node)
        if await self._store.thing(thing) is not None:
            await self._store.unregister(thing)
            self._knowledge.forget(jid)
            self._note(jid, "unregister", thing, "done")

    # ------------------------------------------------------------------ what an owner does

    async def claim(self, jid: str, tags: Tags, *, public: bool) -> Registered:
        """The thing that is his now. Raises NotFound for whatever is wrong with it, Overload when he has to wait."""
        wait = self._guesses.wait(jid, self._clock())
        if wait > 0:
            log.warning("%s claims again too soon after wrong claims", jid)
            raise Overload(f"Too many wrong claims; try again in {wait:.0f} s.")
        claimed = await self._store.claim(tags, jid, public=public)
        if claimed is None:
            self._guesses.wrong(jid, self._clock())
            log.warning("%s claimed what is not there, or not his", jid)
            self._audit.record(jid, "claim", "the tags fit no unclaimed thing", "refused")
            raise NotFound(WRONG_CLAIM)
        self._guesses.right(jid)
        self._knowledge.forget(claimed.id.jid)
        self._note(jid, "claim", claimed.id, "public" if public else "private")
        await self._notices.add([claimed.id], "claimed", {"owner": jid, "public": public})
        await self._notices.add([replace(claimed.id, node=ITSELF)], "clearCache")
        return claimed

    async def update_as_owner(self, owner: str, jid: str, node: NodeRef, tags: Tags) -> None:
        await self._update(await self._owned(owner, jid, node), tags)

    async def remove(self, owner: str, jid: str, node: NodeRef) -> None:
        """Not to be found any more; it stays the owner's."""
        kept = await self._owned(owner, jid, node)
        if kept.removed:
            raise _nothing()
        await self._store.set_removed(kept.id)
        self._knowledge.forget(kept.id.jid)
        self._note(owner, "remove", kept.id, "done")
        await self._notices.add([kept.id], "removed")

    async def disown(self, owner: str, jid: str, node: NodeRef) -> None:
        """Returns when the thing has acknowledged it. Raises NotAllowed when it does not."""
        kept = await self._owned(owner, jid, node)
        told = await self._notices.tell_now(kept.id, "disowned", self._limits.disown_wait)
        if told:
            after = await self._store.thing(kept.id)
            told = after is None or after.owner != owner
        if not told:
            self._note(owner, "disown", kept.id, "refused: it is not there")
            raise NotAllowed("The thing is not online, and could not be claimed again; try when it is.")

    async def disowned(self, thing: ThingId) -> None:
        """The thing has acknowledged it."""
        kept = await self._store.thing(thing)
        await self._store.disown(thing, secrets.token_hex(KEY_BYTES))
        self._knowledge.forget(thing.jid)
        self._note(kept.owner if kept is not None else "", "disown", thing, "done")
        await self._notices.add([replace(thing, node=ITSELF)], "clearCache")

    # ------------------------------------------------------------------ what anybody does

    async def search(self, query: SearchQuery) -> Found:
        most = self._limits.search_results
        return await self._store.search(replace(query, count=min(query.count or most, most)))

    # ------------------------------------------------------------------ inside

    async def _owned(self, owner: str, jid: str, node: NodeRef) -> Registered:
        kept = await self._store.thing(ThingId(jid, node))
        if kept is None or kept.ownership is Ownership.UNCLAIMED or kept.owner != owner:
            raise _nothing()
        return kept

    async def _update(self, kept: Registered, tags: Tags) -> None:
        await self._store.update(kept.id, tags)
        self._knowledge.forget(kept.id.jid)

    def _note(self, who: str, what: str, thing: ThingId, answer: str) -> None:
        where = f"{thing.jid} {thing.node.node_id}".strip()
        log.info("%s: %s %s: %s", who, what, where, answer)
        self._audit.record(who, f"{what} {where}", "registry", answer)


def _nothing() -> NotFound:
    return NotFound("You own no such thing here.")
