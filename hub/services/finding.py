"""Hubs that a client may be interested in: contacts of its account, and things that a registry knows (XEP-0347)."""

from __future__ import annotations

from typing import Any, Final

from hub.errors import BadRequest, PeerConfused, PeerError
from hub.services.iq import ask
from hub.services.servers import Servers
from hub.stanzas.dialects import DISCOVERY
from hub.stanzas.provisioning import FoundThing, SearchQuery, SearchTerm

MAX_FOUND: Final = 1_000
PAGE: Final = 100

EVERYTHING: Final = SearchTerm("strMask", "MODEL", "*", wildcard="*")
"""A search needs a comparison; this one holds for whatever says its model, as all our hubs do."""


def admit_nobody(client: Any) -> None:
    """Let nobody become a contact by asking, and ask nobody back: a client that only looks has no reason to. Requests
    stay with the server, for whoever else uses the account."""
    client.roster.auto_authorize = None
    client.roster.auto_subscribe = False


def contacts(client: Any) -> list[str]:
    """Bare JIDs of those whose presence our account sees, ourselves left out; in alphabetical order."""
    roster = client.client_roster
    return sorted(jid for jid in list(roster) if "@" in jid and roster[jid]["to"] and jid != client.boundjid.bare)


async def registered(client: Any, registry: str | None, owner: str, timeout: float) -> list[str]:
    """Bare JIDs of the public things of `owner` in a registry (None: what our server hosts), in alphabetical order.
    Raises PeerError with what is wrong."""
    servers = Servers(client, lambda jid: client.send_presence_subscription(pto=jid), timeout)
    where, codec = await servers.discovery((registry or await hosted_registry(servers, client)).lower())
    found: list[FoundThing] = []
    more = True
    while more and len(found) < MAX_FOUND:
        payload = codec.encode_search(SearchQuery((EVERYTHING,), len(found), PAGE))
        result = await ask(client, where, "get", payload, timeout)
        try:
            some, more = codec.decode_found(result[0])
        except (BadRequest, IndexError) as error:
            raise PeerConfused(f"{where} cannot be understood: {error}") from None
        found += some
        more = more and bool(some)
    if found and not any(thing.owner for thing in found):
        raise PeerError(f"{where} does not say whose things are: list the hubs in dashboard.hubs")
    return sorted({thing.jid.lower() for thing in found if thing.owner.lower() == owner.lower()})


async def hosted_registry(servers: Servers, client: Any) -> str:
    """The registry of the account's own server. Raises PeerError."""
    for jid, features in (await servers.hosted()).items():
        if features & DISCOVERY.keys():
            return jid
    raise PeerError(f"{client.boundjid.domain} hosts no registry: name one with --registry, or dashboard.registry")
