"""Challenges of tokens on the wire (XEP-0324 section 3.1.3.2): to where a device was last heard from, in its words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from hub.errors import BadRequest, PeerConfused, PeerSilent
from hub.provisioning.notices import Device
from hub.services.iq import ask
from hub.stanzas.dialects import PROVISIONING

TIMEOUT_S: Final = 4.0
"""Less than a device waits for the answer to its question, and more than it waits for another's to a challenge."""


class Challenges:
    """`client`: the stream. `devices`: where a bare JID was last heard from."""

    def __init__(self, client: Any, devices: Callable[[str], Device | None]) -> None:
        self._client, self._devices = client, devices

    async def __call__(self, device: str, token: str, challenge: bytes) -> bytes:
        """The answer of `device`, a bare JID. Raises PeerError."""
        heard = self._devices(device)
        codec = PROVISIONING.get(heard.dialects.get("provisioning", "")) if heard is not None else None
        if heard is None or codec is None:
            raise PeerSilent(f"{device} has not been heard from")
        payload = codec.encode_token_challenge(token, challenge)
        result = await ask(self._client, heard.full, "get", payload, TIMEOUT_S)
        inside = next(iter(result), None)
        if inside is None:
            raise PeerConfused(f"{device} answered a challenge with nothing")
        try:
            return codec.decode_token_challenge_response(inside)
        except BadRequest as error:
            raise PeerConfused(f"{device} answered a challenge with something else: {error}") from None
