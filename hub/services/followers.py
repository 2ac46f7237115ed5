"""Where things are published, who may subscribe there, and who is put out again.

Rules of this file
* A node is as open as its readers: our own PEP knows our contacts, and `Contacts` grants contact to those who may
  follow us. Where a provisioning server decides thing by thing, each node has a whitelist of those who may have all
  that is published there.
* Nobody is put out because nobody answers.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from xml.etree.ElementTree import Element

from hub.errors import PeerError, PeerRefused, PeerSilent
from hub.services import pubsub
from hub.things.thing import Thing
from hub.trust.access import Judge, exact

log = logging.getLogger(__name__)

NODE_PREFIX = "hub/"
"""Pubsub nodes are `hub/THING` in the account's own PEP, `ACCOUNT/hub/THING` on a shared service."""


@dataclass(frozen=True)
class Publication:
    """`account`: our bare JID. `service` None: our own PEP. `readers`: patterns of those who may follow everything;
    None where every contact is judged for every thing."""

    account: str
    service: str | None
    readers: tuple[str, ...] | None

    @property
    def access_model(self) -> str:
        if self.readers is None:
            return "whitelist"
        if "*" in self.readers:
            return "open"
        return "presence" if self.service is None else "whitelist"


class Followers:
    """`client` and `contacts` change with the account: they are asked for each time."""

    def __init__(
        self, publication: Publication, things: Mapping[str, Thing], judge: Callable[[], Judge],
        client: Callable[[], Any], contacts: Callable[[], list[str]],
    ) -> None:  # fmt: skip
        self.publication = publication
        self._things = things
        self._judge = judge
        self._client = client
        self._contacts = contacts
        self._warned = False

    def place(self, thing: str) -> tuple[str, str]:
        """Where a thing is published: (JID, node)."""
        account, service = self.publication.account, self.publication.service
        return (account, NODE_PREFIX + thing) if service is None else (service, f"{account}/{NODE_PREFIX}{thing}")

    async def ensure(self, thing: str) -> None:
        """The node is there, open to those who may follow it, and followed by nobody else."""
        service, allowed = self.publication.service, partial(self._may_stay, thing)
        _, node = self.place(thing)
        await self._make(thing, node)
        whitelisted = service is not None or self.publication.access_model == "whitelist"
        try:
            told = await self._subscribers_told(service, node, allowed)
            if whitelisted and await pubsub.expel_members(self._client(), service, node, allowed) and not told:
                # The only way left to end a subscription that goes on without a membership
                log.info("%s is made anew: whoever may follow it has to subscribe again", node)
                await pubsub.delete(self._client(), service, node)
                await self._make(thing, node)
        except PeerRefused as refused:
            self._warn(refused)

    async def _make(self, thing: str, node: str) -> None:
        to = self.publication
        title = self._things[thing].description.label or thing if thing in self._things else thing
        members = await self._members(thing)
        await pubsub.ensure_node(self._client(), to.service, node, title, to.access_model, members)

    async def _subscribers_told(
        self, service: str | None, node: str, allowed: Callable[[str], Awaitable[bool]]
    ) -> bool:
        """Whether the service lets us see, and end, subscriptions: ejabberd's PEP does not."""
        try:
            await pubsub.expel(self._client(), service, node, allowed)
        except PeerRefused as refused:
            if self.publication.readers is not None:
                self._warn(refused)
            return False
        return True

    def _warn(self, refused: PeerRefused) -> None:
        if not self._warned:
            log.warning("the pubsub service does not say who follows us, so nobody is put out: %s", refused)
        self._warned = True

    async def publish(self, thing: str, item_id: str, payload: Element, timeout: float) -> None:
        _, node = self.place(thing)
        await pubsub.publish(self._client(), self.publication.service, node, item_id, payload, timeout)

    async def newest(self, thing: str) -> list[Element]:
        """The payloads of the newest items of a thing's node. Raises PeerRefused or PeerSilent."""
        _, node = self.place(thing)
        return await pubsub.newest(self._client(), self.publication.service, node)

    async def admit(self, jid: str) -> None:
        """A whitelist knows no contacts: tell it of a new one."""
        if self.publication.access_model != "whitelist":
            return
        for name in list(self._things):
            _, node = self.place(name)
            try:
                if self.publication.readers is not None or await self._judge().may_watch(jid, name):
                    await pubsub.set_members(self._client(), self.publication.service, node, [jid])
            except PeerError as error:  # one that is not made yet, or will be asked about when it is
                log.debug("%s is not let in to %s now: %s", jid, node, error)

    async def _members(self, thing: str) -> list[str]:
        if self.publication.readers is not None:
            return exact(self.publication.readers)
        return [jid for jid in self._contacts() if await self._judge().may_watch(jid, thing)]

    async def _may_stay(self, thing: str, jid: str) -> bool:
        try:
            return await self._judge().may_stay(jid, thing)
        except PeerSilent:
            return True
