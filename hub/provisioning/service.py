"""The service on the stream: XEP-0324 and XEP-0347 in every dialect, and what owners write.

Rules of this file
* Only bare JIDs count; the resource matters for where an answer or a notice goes. What comes without a sender does not
  come here (`hub.services.router`).
* A caller is answered in the dialect of his question, and what a thing has to be told is told in the dialect in which
  it has spoken to us last.
* Tokens and the users of services are another's business: see `Tokens` and `Users`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, Protocol
from xml.etree.ElementTree import Element

from hub.errors import NotSupported
from hub.provisioning.decisions import Decisions
from hub.provisioning.model import KEY, Ownership, Registered
from hub.provisioning.notices import Device, Notices
from hub.provisioning.owner import Owners
from hub.provisioning.registry import Registry
from hub.provisioning.store import Notice
from hub.services.router import Route
from hub.stanzas.dialects import (
    DISCOVERY,
    DISCOVERY_REQUESTS,
    PROVISIONING,
    PROVISIONING_REQUESTS,
    DiscoveryCodec,
    ProvisioningCodec,
)  # fmt: skip
from hub.stanzas.errors import CLIENT
from hub.stanzas.forms import DATA
from hub.stanzas.provisioning import AccessQuestion, DiscoveryRequest, FoundThing, ProvisioningRequest
from hub.things.model import Tokens as ShownTokens
from hub.things.questions import bare

log = logging.getLogger(__name__)

DEFAULT_PROVISIONING: Final = "urn:xmpp:iot:provisioning"
DEFAULT_DISCOVERY: Final = "urn:xmpp:iot:discovery"
BOTH: Final = ("get", "set")  # the texts and their examples differ on which it is


class Tokens(Protocol):
    """Who knows certificates (XEP-0324 section 3.1.3). `sender` is a full JID."""

    async def get_token(self, sender: str, certificate: bytes) -> tuple[int, bytes]:
        """A challenge, and its number."""
        ...

    async def challenge_response(self, sender: str, number: int, response: bytes) -> str:
        """The token."""
        ...


class Users(Protocol):
    """Who knows the users of services (XEP-0324 sections 3.6 and 3.7). `service` is a bare JID."""

    async def can_access(self, service: str, question: AccessQuestion) -> tuple[bool, str]:
        """Whether, and the user's token."""
        ...

    async def user_logged_in(self, service: str, shown: ShownTokens, user_name: str) -> None: ...
    async def has_privilege(self, service: str, shown: ShownTokens, privilege: str) -> bool: ...
    async def download_privileges(self, service: str, shown: ShownTokens) -> tuple[tuple[bool, str], ...]: ...


Handler = Callable[[Any, str, Element], Awaitable[Element | None]]
"""Gets the codec, the full JID of the caller and the payload."""


class Provisioning:
    def __init__(
        self,
        registry: Registry,
        decisions: Decisions,
        notices: Notices,
        owners: Owners,
        tokens: Tokens | None = None,
        users: Users | None = None,
    ) -> None:
        self._registry, self._decisions, self._notices, self._owners = registry, decisions, notices, owners
        self._tokens, self._users = tokens, users

    def features(self) -> Iterable[str]:
        return (*PROVISIONING, *DISCOVERY)

    def routes(self) -> Iterable[Route]:
        for tag, (codec, request) in PROVISIONING_REQUESTS.items():
            handler = self._provisioning_handlers().get(request)
            if handler is None:
                continue
            if request is ProvisioningRequest.USER_LOGGED_IN:  # the text sends it in a message
                yield Route("message", ("normal", "chat", "headline"), tag, partial(handler, codec))
            yield Route("iq", BOTH, tag, partial(handler, codec))
        for tag, (discovery, asked) in DISCOVERY_REQUESTS.items():
            answer = self._discovery_handlers().get(asked)
            if answer is not None:
                yield Route("iq", BOTH, tag, partial(answer, discovery))
        for tag in (f"{{{DATA}}}x", f"{{{CLIENT}}}body"):
            yield Route("message", ("normal", "chat"), tag, self._message, whole=True)

    # ------------------------------------------------------------------ XEP-0324

    def _provisioning_handlers(self) -> Mapping[ProvisioningRequest, Handler]:
        asked = ProvisioningRequest
        handlers: dict[ProvisioningRequest, Handler] = dict.fromkeys(
            (asked.IS_FRIEND, asked.CAN_READ, asked.CAN_CONTROL), self._question
        )
        if self._tokens is not None:
            handlers |= {asked.GET_TOKEN: self._get_token, asked.CHALLENGE_RESPONSE: self._challenge_response}
        if self._users is not None:
            handlers |= {
                asked.CAN_ACCESS: self._can_access, asked.USER_LOGGED_IN: self._user_logged_in,
                asked.HAS_PRIVILEGE: self._has_privilege, asked.DOWNLOAD_PRIVILEGES: self._download_privileges,
            }  # fmt: skip
        return handlers

    async def _question(self, codec: ProvisioningCodec, caller: str, payload: Element) -> Element:
        question = codec.decode_question(payload)
        self._notices.heard(caller, "provisioning", codec.namespaces[0])
        return codec.encode_verdict(question, await self._decisions.decide(bare(caller), question))

    async def _get_token(self, codec: ProvisioningCodec, caller: str, payload: Element) -> Element:
        assert self._tokens is not None
        certificate = codec.decode_get_token(payload)
        return codec.encode_challenge(*await self._tokens.get_token(caller, certificate))

    async def _challenge_response(self, codec: ProvisioningCodec, caller: str, payload: Element) -> Element:
        assert self._tokens is not None
        number, response = codec.decode_challenge_response(payload)
        return codec.encode_token(await self._tokens.challenge_response(caller, number, response))

    async def _can_access(self, codec: ProvisioningCodec, caller: str, payload: Element) -> Element:
        assert self._users is not None
        question = codec.decode_access(payload)
        return codec.encode_access_response(*await self._users.can_access(bare(caller), question))

    async def _user_logged_in(self, codec: ProvisioningCodec, caller: str, payload: Element) -> None:
        assert self._users is not None
        shown, name = codec.decode_user_logged_in(payload)
        await self._users.user_logged_in(bare(caller), shown, name)

    async def _has_privilege(self, codec: ProvisioningCodec, caller: str, payload: Element) -> Element:
        assert self._users is not None
        shown, privilege = codec.decode_has_privilege(payload)
        return codec.encode_has_privilege_response(await self._users.has_privilege(bare(caller), shown, privilege))

    async def _download_privileges(self, codec: ProvisioningCodec, caller: str, payload: Element) -> Element:
        assert self._users is not None
        shown = codec.decode_download_privileges(payload)
        return codec.encode_privileges(await self._users.download_privileges(bare(caller), shown))

    # ------------------------------------------------------------------ XEP-0347

    def _discovery_handlers(self) -> Mapping[DiscoveryRequest, Handler]:
        asked = DiscoveryRequest
        return {
            asked.REGISTER: self._register, asked.MINE: self._mine, asked.REMOVE: self._remove,
            asked.UPDATE: self._update, asked.SEARCH: self._search, asked.UNREGISTER: self._unregister,
            asked.DISOWN: self._disown,
        }  # fmt: skip

    async def _register(self, codec: DiscoveryCodec, caller: str, payload: Element) -> Element | None:
        node, tags, self_owned = codec.decode_register(payload)
        kept = await self._registry.register(bare(caller), node, tags, self_owned=self_owned)
        self._notices.heard(caller, "discovery", codec.namespace)
        if kept.ownership is Ownership.CLAIMED:
            return codec.encode_claimed(kept.owner, kept.id.node, public=kept.public)
        return None

    async def _mine(self, codec: DiscoveryCodec, caller: str, payload: Element) -> Element:
        tags, public = codec.decode_mine(payload)
        claimed = await self._registry.claim(bare(caller), tags, public=public)
        return codec.encode_claimed(claimed.id.jid, claimed.id.node, public=public)

    async def _remove(self, codec: DiscoveryCodec, caller: str, payload: Element) -> None:
        await self._registry.remove(bare(caller), *codec.decode_node(payload))

    async def _update(self, codec: DiscoveryCodec, caller: str, payload: Element) -> Element | None:
        jid, node, tags = codec.decode_update(payload)
        if jid and bare(jid) != bare(caller):
            await self._registry.update_as_owner(bare(caller), bare(jid), node, tags)
            return None
        self._notices.heard(caller, "discovery", codec.namespace)
        if await self._registry.update(bare(caller), node, tags):
            return None
        return codec.encode_node(DiscoveryRequest.DISOWNED, node)

    async def _search(self, codec: DiscoveryCodec, caller: str, payload: Element) -> Element:
        found = await self._registry.search(codec.decode_search(payload))
        return codec.encode_found(tuple(map(_shown, found.things)), more=found.more)

    async def _unregister(self, codec: DiscoveryCodec, caller: str, payload: Element) -> None:
        _, node = codec.decode_node(payload)
        await self._registry.unregister(bare(caller), node)

    async def _disown(self, codec: DiscoveryCodec, caller: str, payload: Element) -> None:
        await self._registry.disown(bare(caller), *codec.decode_node(payload))

    # ------------------------------------------------------------------ owners, and what is no request

    async def _message(self, caller: str, message: Element) -> None:
        await self._owners.message(bare(caller), message)

    def presence(self, stanza: Element) -> Element | None:
        """What to say to a presence stanza. Everybody may see ours: it says no more than that we are there."""
        sender = stanza.get("from", "")
        match stanza.get("type", ""):
            case "":
                self._notices.came(sender)
            case "unavailable":
                self._notices.went(sender)
            case "subscribe":
                return _presence(stanza, "subscribed")
            case "probe" | "unsubscribe":
                return _presence(stanza, "" if stanza.get("type") == "probe" else "unsubscribed")
        return None


def encode_notice(notice: Notice, device: Device) -> Element:
    """What a device is told, in its dialect. Raises NotSupported."""
    provisioning = PROVISIONING[device.dialects.get("provisioning") or DEFAULT_PROVISIONING]
    discovery = DISCOVERY[device.dialects.get("discovery") or DEFAULT_DISCOVERY]
    node = notice.to.node
    match notice.kind:
        case "clearCache":
            return provisioning.encode_clear_cache()
        case "friend":
            return provisioning.encode_friend(notice.detail["jid"])
        case "unfriend":
            return provisioning.encode_unfriend(notice.detail["jid"])
        case "claimed":
            return discovery.encode_claimed(notice.detail["owner"], node, public=notice.detail["public"])
        case "removed":
            return discovery.encode_node(DiscoveryRequest.REMOVED, node)
        case "disowned":
            return discovery.encode_node(DiscoveryRequest.DISOWNED, node)
    raise NotSupported(f"a notice {notice.kind!r}")


def _shown(thing: Registered) -> FoundThing:
    tags = {name: value for name, value in thing.tags.items() if name != KEY}
    return FoundThing(thing.id.jid, thing.owner or thing.id.jid, thing.id.node, tags)


def _presence(asked: Element, type_: str) -> Element:
    reply = Element(f"{{{CLIENT}}}presence", {"from": asked.get("to", ""), "to": bare(asked.get("from", ""))})
    if type_:
        reply.set("type", type_)
    return reply
