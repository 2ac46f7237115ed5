"""XEP-0347, the registry's side: things are registered, claimed, found, updated, removed, disowned.

Rules of this file
* Values in, values out: no XML, no stream. `jid` is the bare JID that the server vouches for; a thing acts for itself
  and for what is behind it, an owner for what he owns. What is not there and what is another's look the same (sections
  3.8 to 3.15).
* A claim that is wrong, half right or too late gets one answer, and makes the next one wait (`budgets.py`).
* A thing hears of what was done to it by a notice, which waits until it is acknowledged; only being disowned is done
  after the thing has acknowledged it (section 3.15), and not done at all when it does not.
* What comes in is bounded: tags of a thing, things of a JID, and how fast new things may appear.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from hub.errors import BadRequest, Forbidden, NotAllowed, NotFound, Overload
from hub.provisioning.budgets import Budget, Guesses
from hub.provisioning.decisions import Audit
from hub.provisioning.knowledge import Knowledge
from hub.provisioning.model import ITSELF, KEY, Found, Ownership, Registered, Tags, ThingId
from hub.provisioning.notices import Notices
from hub.provisioning.store import Store
from hub.stanzas.provisioning import MAX_TAG_NAME, MAX_TAG_VALUE, SearchQuery
from hub.things.model import NodeRef
from hub.trust.access import matches

log = logging.getLogger(__name__)

WRONG_CLAIM: Final = "There is no unclaimed thing with exactly these tags."
KEY_BYTES: Final = 32
MAX_DIGITS: Final = 40  # of a numeric tag
MAX_ID: Final = 1_023  # characters of a node's id, as long as a JID's part may be


@dataclass(frozen=True, slots=True)
class RegistryLimits:
    tags_per_thing: int = 50
    """The text predefines 23."""
    things_per_jid: int = 1_000
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
        self._check_tags(tags)
        thing = ThingId(jid, _checked(node))
        before = await self._store.thing(thing)
        if before is None:
            if len(await self._store.things_at(jid)) >= self._limits.things_per_jid:
                raise Overload(f"This registry takes at most {self._limits.things_per_jid} things of one address.")
            if not self._new.spend(self._clock()):
                raise Overload("Too many new things at once; try again later.")
        kept = await self._store.register(thing, tags, self_owned=self_owned)
        if before is None or before.ownership is not kept.ownership:
            self._knowledge.forget(jid)
            self._note(jid, "register", thing, kept.ownership.value)
        return kept

    async def update(self, jid: str, node: NodeRef, tags: Tags) -> bool:
        """By the thing itself. False: nobody owns it (any more), nothing is changed, and it may register again. Raises
        NotFound when it is not in the registry."""
        self._check_tags(tags)
        thing = ThingId(jid, _checked(node))
        kept = await self._store.thing(thing)
        if kept is None or kept.removed:
            raise NotFound("You are not in this registry.")
        if kept.ownership is Ownership.UNCLAIMED:
            return False
        await self._update(kept, tags)
        return True

    async def unregister(self, jid: str, node: NodeRef) -> None:
        thing = ThingId(jid, _checked(node))
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
        claimed = None
        if tags and len(tags) <= self._limits.tags_per_thing:
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
        self._check_tags(tags)
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
        told = False
        if self._notices.is_there(kept.id.jid):
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
        kept = await self._store.thing(ThingId(jid, _checked(node)))
        if kept is None or kept.ownership is Ownership.UNCLAIMED or kept.owner != owner:
            raise _nothing()
        return kept

    async def _update(self, kept: Registered, tags: Tags) -> None:
        after = {name for name in kept.tags if tags.get(name) != ""} | {name for name in tags if tags[name] != ""}
        if len(after) > self._limits.tags_per_thing:
            raise Overload(f"A thing has at most {self._limits.tags_per_thing} tags.")
        await self._store.update(kept.id, tags)
        self._knowledge.forget(kept.id.jid)

    def _check_tags(self, tags: Tags) -> None:
        if len(tags) > self._limits.tags_per_thing:
            raise BadRequest(f"A thing has at most {self._limits.tags_per_thing} tags.")
        for name, value in tags.items():
            if not name or len(name) > MAX_TAG_NAME:
                raise BadRequest(f"A tag's name has 1 to {MAX_TAG_NAME} characters.")
            too_long = len(value) > MAX_TAG_VALUE if isinstance(value, str) else not _is_plain(value)
            if too_long:
                raise BadRequest(f"The tag {name} is longer than {MAX_TAG_VALUE} characters, or no plain number.")
            if name == KEY and not isinstance(value, str):
                raise BadRequest("The tag KEY is a string.")

    def _note(self, who: str, what: str, thing: ThingId, answer: str) -> None:
        where = f"{thing.jid} {thing.node.node_id}".strip()
        log.info("%s: %s %s: %s", who, what, where, answer)
        self._audit.record(who, f"{what} {where}", "registry", answer)


def _is_plain(value: Decimal) -> bool:
    return value.is_finite() and len(value.as_tuple().digits) <= MAX_DIGITS and abs(value.adjusted()) <= 308


def _checked(node: NodeRef) -> NodeRef:
    if any(len(part) > MAX_ID for part in (node.node_id, node.source_id, node.cache_type)):
        raise BadRequest(f"A node's id has at most {MAX_ID} characters.")
    return node


def _nothing() -> NotFound:
    return NotFound("You own no such thing here.")
