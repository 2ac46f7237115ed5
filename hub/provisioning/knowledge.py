"""What decisions need of the store, in memory: the rules, ready to be asked, and whose the things are.

Rules of this file
* What is in memory belongs to one `revision` of the store. It is looked for a newer one every `LOOK_EVERY_S` and after
  every change of our own, so what another instance or a command line has changed counts within about a second.
* A store that cannot be reached leaves what is known as it is: `look` raises, and is tried again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from hub.errors import StoreError
from hub.provisioning.model import ITSELF, Registered, Rule, RuleBook, ThingId
from hub.provisioning.rules import RuleIndex
from hub.provisioning.store import Store
from hub.things.model import NodeRef

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
MAX_DEVICES: Final = 20_000  # whose things are remembered

RulesChanged = Callable[[RuleBook | None, RuleBook], Awaitable[None]]
"""Gets the rules before (None: of an earlier life) and now."""


@dataclass(frozen=True, slots=True)
class Place:
    """A JID's own thing and those behind it that are registered by themselves."""

    thing: Registered
    behind: Mapping[NodeRef, Registered]

    def at(self, node: NodeRef) -> Registered:
        return self.behind.get(node, self.thing)


class Knowledge:
    def __init__(self, store: Store, changed: RulesChanged) -> None:
        self._store = store
        self._changed = changed
        self._places: OrderedDict[str, Place] = OrderedDict()
        self._looking = asyncio.Lock()
        self.news: Callable[[], None] = lambda: None
        """Called when something in the store is new: what another has put there for us to send, too."""
        self._loaded = False
        self._owed: tuple[RuleBook | None] | None = None  # a change whose consequences the store has not taken yet
        self.book = RuleBook(revision=-1)
        self.rules = RuleIndex(self.book)

    async def look(self) -> None:
        """Take in what has changed. Raises StoreError."""
        async with self._looking:
            revision = await self._store.revision()
            if revision != self.book.revision:
                before, self.book = self.book, await self._store.rule_book()
                self._places.clear()
                self.news()
                if not self._loaded or not _same(before, self.book):
                    self.rules = RuleIndex(self.book)
                    self._owed = self._owed or ((before if self._loaded else None),)
                    self._loaded = True
            if self._owed is not None:
                await self._changed(self._owed[0], self.book)
                self._owed = None

    async def run(self) -> None:
        """Look for ever."""
        trouble = False
        while True:
            try:
                await self.look()
                trouble = False
            except StoreError as error:
                log.log(logging.DEBUG if trouble else logging.ERROR, "the rules cannot be looked at: %s", error)
                trouble = True
            await asyncio.sleep(LOOK_EVERY_S)

    async def place(self, jid: str) -> Place:
        """What is registered at a bare JID; an unclaimed thing without tags where nothing is. Raises StoreError."""
        known = self._places.get(jid)
        if known is not None:
            self._places.move_to_end(jid)
            return known
        revision = self.book.revision
        registered = {found.id.node: found for found in await self._store.things_at(jid)}
        thing = registered.pop(ITSELF, None) or Registered(ThingId(jid), {})
        place = Place(thing, registered)
        if revision == self.book.revision:  # else it may be from before a change that we have just taken in
            self._places[jid] = place
            if len(self._places) > MAX_DEVICES:
                self._places.popitem(last=False)
        return place

    def forget(self, jid: str) -> None:
        """Something at this JID has changed."""
        self._places.pop(jid, None)

    def with_rule(self, rule: Rule) -> RuleIndex:
        """The rules as they would be with one more, behind all others."""
        last = max((each.order for each in self.book.rules), default=0) + 1
        return RuleIndex(replace(self.book, rules=(*self.book.rules, replace(rule, order=last))))


def _same(one: RuleBook, other: RuleBook) -> bool:
    return one.rules == other.rules and one.groups == other.groups
