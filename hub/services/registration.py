"""XEP-0347, thing side, in every dialect: finding servers, registering, being claimed, removed and disowned.

Rules of this file
* What is known is settled with the registry once for every session, and again, more and more slowly, until it is.
* Servers that were discovered once stay ours until the file that names them goes: another component that appears
  decides nothing.
* Only our registry says whose we are. A new owner, or none, is a new trust: what is remembered is forgotten first.
* The KEY leaves the registry as soon as there is an owner (section 3.8), and then our disk.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from xml.etree.ElementTree import Element

from hub.errors import BadRequest, Forbidden, HubError, NotFound, PeerConfused, PeerRefused, PeerSilent
from hub.services.iq import ask
from hub.services.router import Route
from hub.services.servers import Servers, speaks_for
from hub.stanzas.dialects import DISCOVERY, DISCOVERY_REQUESTS, PROVISIONING, DiscoveryCodec
from hub.stanzas.provisioning import DiscoveryRequest, TagValues
from hub.things.model import NodeRef
from hub.things.values import to_text
from hub.trust.ownership import Event, Ownership, State
from hub.trust.provisioned import Trust

log = logging.getLogger(__name__)

ITSELF: Final = NodeRef("")  # a hub registers as one thing, its JID
FIRST_WAIT_S, LAST_WAIT_S = 2.0, 300.0
DISOWNING_TRIES: Final = 6  # while the registry has not finished what it told us: about a minute


@dataclass(frozen=True)
class Plan:
    """What the configuration says. `servers` (): to be discovered. `registry` "": the first server. `timeout` in
    seconds."""

    servers: tuple[str, ...]
    registry: str
    meta: TagValues
    timeout: float


@dataclass(frozen=True)
class Hooks:
    """Who has to know. `forget`: what is remembered counts no more (may raise StoreError). `changed`: there is another
    owner, or none. `befriend`: ask somebody to be our contact. `search`: an owner is looked for with these tags at this
    registry; None: no more."""

    forget: Callable[[], None]
    changed: Callable[[], None]
    befriend: Callable[[str], None]
    search: Callable[[TagValues | None, str], None]


class Registration:
    def __init__(
        self, client: Any, servers: Servers, trust: Trust, ownership: Ownership, plan: Plan, hooks: Hooks
    ) -> None:
        self._client = client
        self._servers = servers
        self._trust = trust
        self._ownership = ownership
        self._plan = plan
        self._hooks = hooks
        self._settling: asyncio.Task[None] | None = None
        self._last_failure = ""

    def features(self) -> Iterable[str]:
        return ()

    def routes(self) -> Iterable[Route]:
        answers: Mapping[DiscoveryRequest, Callable[[DiscoveryCodec, str, Element], Awaitable[None]]] = {
            DiscoveryRequest.CLAIMED: self._claimed,
            DiscoveryRequest.REMOVED: self._removed,
            DiscoveryRequest.DISOWNED: self._disowned,
        }
        for tag, (codec, request) in DISCOVERY_REQUESTS.items():
            if request in answers:
                yield Route("iq", ("set",), tag, partial(answers[request], codec))

    def link_changed(self, up: bool, fresh: bool) -> None:
        if up and fresh:
            self._settle()
        elif not up:
            self.stop()

    def stop(self) -> None:
        if self._settling is not None:
            self._settling.cancel()

    # ------------------------------------------------------------------ what the registry says unasked

    async def _claimed(self, codec: DiscoveryCodec, caller: str, payload: Element) -> None:
        self._from_registry(caller)
        owner, node, public = codec.decode_claimed(payload)
        self._ours(node)
        self._has_owner(owner, public)
        self._settle()

    async def _removed(self, codec: DiscoveryCodec, caller: str, payload: Element) -> None:
        self._from_registry(caller)
        self._ours(codec.decode_node(payload)[1])
        self._ownership.apply(Event.REMOVED)
        log.info("%s: our owner has taken us out of the registry", caller)

    async def _disowned(self, codec: DiscoveryCodec, caller: str, payload: Element) -> None:
        self._from_registry(caller)
        self._ours(codec.decode_node(payload)[1])
        self._has_no_owner()
        self._settle()

    def _from_registry(self, caller: str) -> None:
        if not speaks_for(caller, self._trust.registry):
            raise Forbidden("Only this hub's registry may say that.")

    @staticmethod
    def _ours(node: NodeRef) -> None:
        if node != ITSELF:
            raise NotFound("This hub has registered no such node.")

    def _has_owner(self, owner: str, public: bool) -> None:
        if owner == self._client.boundjid.bare:
            raise BadRequest("A hub does not own itself.")
        if (self._trust.owner, self._ownership.record.public) == (owner, public) and not self._ownership.searching:
            return  # said again
        self._hooks.forget()
        self._ownership.apply(Event.CLAIMED, owner, public)
        self._trust.owner = owner
        log.info("this hub belongs to %s now", owner)
        self._hooks.search(None, "")
        self._hooks.befriend(owner)
        self._hooks.changed()

    def _has_no_owner(self) -> None:
        self._hooks.forget()
        self._ownership.apply(Event.DISOWNED)
        self._trust.owner = ""
        log.warning("this hub has no owner any more, and refuses everybody until it is claimed")
        self._hooks.changed()

    # ------------------------------------------------------------------ settling with the registry

    def _settle(self) -> None:
        self.stop()
        self._settling = asyncio.create_task(self._until_settled(), name="registration")

    async def _until_settled(self) -> None:
        wait = FIRST_WAIT_S
        while True:
            try:
                return await self._settled()
            except HubError as error:
                level = logging.WARNING if str(error) != self._last_failure else logging.DEBUG
                log.log(level, "the registry is asked again, more and more slowly: %s", error)
                self._last_failure = str(error)
            except Exception:
                log.exception("a bug: the registration has ended; it begins anew with the next session")
                return
            await asyncio.sleep(wait * (1 - random.random() / 2))  # a building full of hubs must not ask in step
            wait = min(wait * 2, LAST_WAIT_S)

    async def _settled(self) -> None:
        if not self._trust.servers:
            await self._discover()
        record = self._ownership.record
        if self._ownership.searching:
            await self._register()
        elif record.state is State.CLAIMED and (record.key or (record.public and record.told != self._meta_text())):
            await self._update()
        self._last_failure = ""

    async def _discover(self) -> None:
        hosted = await self._servers.hosted()
        server = next((jid for jid, can in hosted.items() if can & PROVISIONING.keys()), "")
        if not server:
            raise PeerSilent(f"{self._client.boundjid.domain} hosts no provisioning server; name one in [trust] server")
        registries = [jid for jid, can in hosted.items() if can & DISCOVERY.keys()]
        registry = server if server in registries or not registries else registries[0]
        self._ownership.keep(servers=(server,), registry=registry)
        log.info("found the provisioning server %s and the registry %s; they stay ours", server, registry)
        self._hooks.forget()
        trusting(self._trust, self._ownership, self._plan)

    async def _register(self) -> None:
        tags = {**self._plan.meta, "KEY": self._ownership.record.key}
        for attempt in range(DISOWNING_TRIES):
            codec, payload = await self._told(lambda codec: codec.encode_register(ITSELF, tags, self_owned=False))
            if payload is None:
                self._ownership.apply(Event.REGISTERED)
                log.info("registered with %s; now an owner has to claim this hub", self._trust.registry)
                self._hooks.search(tags, self._trust.registry)
                return
            if DISCOVERY_REQUESTS[payload.tag][1] is not DiscoveryRequest.CLAIMED:
                raise PeerConfused(f"{self._trust.registry} answers a registration with {payload.tag}")
            owner, node, public = codec.decode_claimed(payload)
            if owner != self._ownership.record.previous or attempt == DISOWNING_TRIES - 1:
                break
            # It tells us before it forgets him (section 3.15), and we were faster.
            await asyncio.sleep(FIRST_WAIT_S * 2**attempt / 2)
        self._ours(node)
        self._has_owner(owner, public)
        await self._update()

    async def _update(self) -> None:
        """Take the KEY out of the registry, and tell it our tags as they are now if it shows them."""
        record = self._ownership.record
        tags: TagValues = {**(self._plan.meta if record.public else {}), "KEY": ""}
        try:
            _, payload = await self._told(lambda codec: codec.encode_update("", ITSELF, tags))
        except PeerRefused as refused:
            if refused.condition != "item-not-found":
                raise
            self._ownership.apply(Event.REMOVED)
            log.info("%s does not know us: our owner has taken us out of it", self._trust.registry)
            return
        if payload is None:
            self._ownership.keep(key="", told=self._meta_text())
        elif DISCOVERY_REQUESTS[payload.tag][1] is DiscoveryRequest.DISOWNED:
            self._has_no_owner()
            await self._register()
        else:
            raise PeerConfused(f"{self._trust.registry} answers an update with {payload.tag}")

    async def _told(self, encode: Callable[[DiscoveryCodec], Element]) -> tuple[DiscoveryCodec, Element | None]:
        """What the registry answers, and in which words: None when it is content."""
        where, codec = await self._servers.discovery(self._trust.registry)
        result = await ask(self._client, where, "set", encode(codec), self._plan.timeout)
        return codec, next((child for child in result if child.tag in DISCOVERY_REQUESTS), None)

    def _meta_text(self) -> str:
        return json.dumps({name: to_text(value) for name, value in self._plan.meta.items()}, sort_keys=True)


def trusting(trust: Trust, ownership: Ownership, plan: Plan) -> None:
    """What is trusted from the start: what is configured, or was discovered once; and the owner, if there is one."""
    trust.servers = plan.servers or ownership.record.servers
    found = "" if plan.servers else ownership.record.registry
    trust.registry = plan.registry or found or next(iter(trust.servers), "")
    trust.owner = ownership.record.owner
