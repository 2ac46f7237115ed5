"""Tokens and users of services on the wire (XEP-0324 sections 3.1.3, 3.6 and 3.7): one table from what arrives to the
desks that answer it, in the dialect it arrived in; and challenges that we send.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final
from xml.etree.ElementTree import Element

from hub.errors import BadRequest, PeerConfused
from hub.provisioning.tokens import Challenge, TokenDesk
from hub.provisioning.users import UserDesk
from hub.services.iq import ask
from hub.services.router import Route
from hub.stanzas.dialects import PROVISIONING_REQUESTS, ProvisioningCodec
from hub.stanzas.provisioning import ProvisioningRequest

CHALLENGE_TIMEOUT_S: Final = 4.0  # less than a device waits for the answer to its question

_Answer = Callable[[ProvisioningCodec, str, Element], Awaitable[Element | None]]


class Identity:
    """A service for the Router."""

    def __init__(self, tokens: TokenDesk, users: UserDesk) -> None:
        self._tokens, self._users = tokens, users
        self._answers: Mapping[ProvisioningRequest, tuple[str, _Answer]] = {
            ProvisioningRequest.GET_TOKEN: ("get", self._get_token),
            ProvisioningRequest.CHALLENGE_RESPONSE: ("get", self._challenge_response),
            ProvisioningRequest.CAN_ACCESS: ("get", self._can_access),
            ProvisioningRequest.HAS_PRIVILEGE: ("get", self._has_privilege),
            ProvisioningRequest.DOWNLOAD_PRIVILEGES: ("get", self._download),
            ProvisioningRequest.USER_LOGGED_IN: ("normal", self._logged_in),
        }

    def features(self) -> Iterable[str]:
        return ()  # those of provisioning as a whole

    def routes(self) -> Iterable[Route]:
        for tag, (codec, request) in PROVISIONING_REQUESTS.items():
            if request in self._answers:
                kind, answer = self._answers[request]
                yield Route("message" if kind == "normal" else "iq", (kind,), tag, partial(answer, codec))

    async def _get_token(self, codec: ProvisioningCodec, caller: str, element: Element) -> Element:
        return codec.encode_challenge(*self._tokens.begin(caller, codec.decode_get_token(element)))

    async def _challenge_response(self, codec: ProvisioningCodec, caller: str, element: Element) -> Element:
        return codec.encode_token(await self._tokens.finish(caller, *codec.decode_challenge_response(element)))

    async def _can_access(self, codec: ProvisioningCodec, caller: str, element: Element) -> Element:
        return codec.encode_access_response(*await self._users.can_access(caller, codec.decode_access(element)))

    async def _has_privilege(self, codec: ProvisioningCodec, caller: str, element: Element) -> Element:
        granted = await self._users.has_privilege(caller, *codec.decode_has_privilege(element))
        return codec.encode_has_privilege_response(granted)

    async def _download(self, codec: ProvisioningCodec, caller: str, element: Element) -> Element:
        return codec.encode_privileges(await self._users.privileges(caller, codec.decode_download_privileges(element)))

    async def _logged_in(self, codec: ProvisioningCodec, caller: str, element: Element) -> None:
        await self._users.logged_in(caller, *codec.decode_user_logged_in(element))


def challenger(client: Any, codec: ProvisioningCodec, device: str, timeout: float = CHALLENGE_TIMEOUT_S) -> Challenge:
    """Challenges `device`, the full JID that has just asked in the dialect of `codec`."""

    async def challenge(token: str, encrypted: bytes) -> bytes:
        result = await ask(client, device, "get", codec.encode_token_challenge(token, encrypted), timeout)
        payload = next(iter(result), None)
        if payload is None:
            raise PeerConfused(f"{device} answered a challenge with nothing")
        try:
            return codec.decode_token_challenge_response(payload)
        except BadRequest as error:
            raise PeerConfused(f"{device} answered a challenge with something else: {error}") from None

    return challenge
