"""Provisioning servers and registries as a thing sees them: components of an XMPP server, or accounts (XEP-0324
sections 3.1.1 and 3.1.2, XEP-0347 section 3.5).

Rules of this file
* A component is spoken to at its address. An account is spoken to where it is online, which it shows to its contacts;
  what any resource of it says, the account says.
* The dialect is the one that is announced; where nothing is said, or both, it is the XSF's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar
from xml.etree.ElementTree import Element

from hub.errors import PeerError, PeerSilent
from hub.services.iq import ask
from hub.stanzas import discovery_xmpp, provisioning_xmpp
from hub.stanzas.dialects import DISCOVERY, PROVISIONING, DiscoveryCodec, ProvisioningCodec
from hub.things.questions import bare

log = logging.getLogger(__name__)

DISCO_INFO: Final = "http://jabber.org/protocol/disco#info"
DISCO_ITEMS: Final = "http://jabber.org/protocol/disco#items"
MAX_COMPONENTS: Final = 50  # of our server that are asked what they are
LOOK_AGAIN_S: Final = 0.25  # for the presence of a server that is an account

Codec = TypeVar("Codec")


def speaks_for(caller: str, server: str) -> bool:
    """Whether a stanza from `caller` is from `server`: for a component the address itself, for an account any of its
    resources."""
    return server != "" and (bare(caller) if "@" in server else caller.lower()) == server


class Servers:
    """`befriend` asks to see the presence of an account. What is learned holds for one session with our server."""

    def __init__(self, client: Any, befriend: Callable[[str], None], timeout: float) -> None:
        self._client = client
        self._befriend = befriend
        self._timeout = timeout
        self._features: dict[str, frozenset[str]] = {}

    def forget(self) -> None:
        """A new session: they may be others now, or speak otherwise."""
        self._features.clear()

    async def provisioning(self, server: str) -> tuple[str, ProvisioningCodec]:
        """Where to ask it, and in which words. Raises PeerSilent when it is not there."""
        return await self._spoken(server, PROVISIONING, provisioning_xmpp.NAMESPACE)

    async def discovery(self, server: str) -> tuple[str, DiscoveryCodec]:
        return await self._spoken(server, DISCOVERY, discovery_xmpp.NAMESPACE)

    async def hosted(self) -> dict[str, frozenset[str]]:
        """The components of our own server, and what each can do."""
        domain = self._client.boundjid.domain
        result = await ask(self._client, domain, "get", Element(f"{{{DISCO_ITEMS}}}query"), self._timeout)
        listed = [item.get("jid", "") for item in result.iter(f"{{{DISCO_ITEMS}}}item") if not item.get("node")]
        jids = list(dict.fromkeys(jid.lower() for jid in listed if jid and "@" not in jid and "/" not in jid))
        features = await asyncio.gather(*map(self._info, jids[:MAX_COMPONENTS]), return_exceptions=True)
        return {jid: found for jid, found in zip(jids, features, strict=False) if isinstance(found, frozenset)}

    async def _spoken(self, server: str, table: Mapping[str, Codec], default: str) -> tuple[str, Codec]:
        where = await self._address(server, table)
        features = await self._features_of(where)
        return where, table[next((name for name in (default, *table) if name in features), default)]

    async def _address(self, server: str, table: Mapping[str, Any]) -> str:
        if "@" not in server:
            return server
        resources = await self._online(server)
        if len(resources) == 1:
            return resources[0]
        for resource in resources:
            features = await self._features_of(resource)
            if any(name in features for name in table):
                return resource
        return resources[0]

    async def _online(self, account: str) -> list[str]:
        """Its full JIDs, the highest priority first."""
        contact = self._client.client_roster[account]
        deadline = asyncio.get_running_loop().time() + self._timeout
        if not contact.resources:
            self._befriend(account)
        while not contact.resources:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                raise PeerSilent(f"{account} is not online, or does not let us see it")
            with contextlib.suppress(TimeoutError):
                await self._client.wait_until("got_online", min(left, LOOK_AGAIN_S))
        found = sorted(contact.resources.items(), key=lambda item: -int(item[1].get("priority", 0) or 0))
        return [f"{account}/{resource}" if resource else account for resource, _ in found]

    async def _features_of(self, jid: str) -> frozenset[str]:
        """Empty when it does not say."""
        if jid not in self._features:
            try:
                self._features[jid] = await self._info(jid)
            except PeerSilent:
                raise
            except PeerError as error:
                log.debug("%s does not say what it can do: %s", jid, error)
                self._features[jid] = frozenset()
        return self._features[jid]

    async def _info(self, jid: str) -> frozenset[str]:
        result = await ask(self._client, jid, "get", Element(f"{{{DISCO_INFO}}}query"), self._timeout)
        return frozenset(feature.get("var", "") for feature in result.iter(f"{{{DISCO_INFO}}}feature"))
