"""What is in a vector of provisioning or discovery: which methods read and write a kind of payload.

A meaning is the tuple of what the encoder takes; `read` gives it back.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hub.stanzas.provisioning import DiscoveryRequest, ProvisioningRequest

Meaning = tuple[Any, ...]


@dataclass(frozen=True)
class Kind:
    """`read` takes the codec, the payload and what is expected (a verdict is read for its question)."""

    read: Callable[[Any, ET.Element, Meaning], Meaning]
    write: Callable[[Any, Meaning], ET.Element]
    request: ProvisioningRequest | DiscoveryRequest | None = None
    """What the tag says it is; None for answers."""


def one(name: str, request: ProvisioningRequest | None = None, decoder: str = "") -> Kind:
    """Encoder and decoder of one value."""
    return Kind(
        lambda codec, element, _: (getattr(codec, f"decode_{decoder or name}")(element),),
        lambda codec, meaning: getattr(codec, f"encode_{name}")(*meaning),
        request,
    )


def several(name: str, request: ProvisioningRequest | None = None) -> Kind:
    """Encoder and decoder of a tuple."""
    return Kind(
        lambda codec, element, _: getattr(codec, f"decode_{name}")(element),
        lambda codec, meaning: getattr(codec, f"encode_{name}")(*meaning),
        request,
    )


def nothing(name: str, request: ProvisioningRequest | None = None) -> Kind:
    return Kind(lambda codec, element, _: (), lambda codec, _: getattr(codec, f"encode_{name}")(), request)


_P, _D = ProvisioningRequest, DiscoveryRequest

PROVISIONING_KINDS: Mapping[str, Kind] = {
    "question": one("question"),
    "verdict": Kind(
        lambda codec, element, meaning: (meaning[0], codec.decode_verdict(element, meaning[0])),
        lambda codec, meaning: codec.encode_verdict(*meaning),
    ),
    "clear cache": nothing("clear_cache", _P.CLEAR_CACHE),
    "clear cache done": nothing("clear_cache_done"),
    "friend": one("friend", _P.FRIEND),
    "unfriend": one("unfriend", _P.UNFRIEND, "friend"),
    "get token": one("get_token", _P.GET_TOKEN),
    "challenge": several("challenge"),
    "challenge response": several("challenge_response", _P.CHALLENGE_RESPONSE),
    "token": one("token"),
    "token challenge": several("token_challenge", _P.TOKEN_CHALLENGE),
    "token challenge response": one("token_challenge_response"),
    "access": one("access", _P.CAN_ACCESS),
    "access response": several("access_response"),
    "user logged in": several("user_logged_in", _P.USER_LOGGED_IN),
    "has privilege": several("has_privilege", _P.HAS_PRIVILEGE),
    "has privilege response": one("has_privilege_response"),
    "download privileges": one("download_privileges", _P.DOWNLOAD_PRIVILEGES),
    "privileges": one("privileges"),
}

DISCOVERY_KINDS: Mapping[str, Kind] = {
    "register": Kind(
        lambda codec, element, _: codec.decode_register(element),
        lambda codec, m: codec.encode_register(m[0], m[1], self_owned=m[2]),
        _D.REGISTER,
    ),
    "mine": Kind(
        lambda codec, element, _: codec.decode_mine(element),
        lambda codec, m: codec.encode_mine(m[0], public=m[1]),
        _D.MINE,
    ),
    "claimed": Kind(
        lambda codec, element, _: codec.decode_claimed(element),
        lambda codec, m: codec.encode_claimed(m[0], m[1], public=m[2]),
        _D.CLAIMED,
    ),
    "node": Kind(
        lambda codec, element, _: (codec.requests[element.tag], *reversed(codec.decode_node(element))),
        lambda codec, m: codec.encode_node(*m),
    ),
    "update": Kind(
        lambda codec, element, _: codec.decode_update(element), lambda codec, m: codec.encode_update(*m), _D.UPDATE
    ),
    "search": Kind(
        lambda codec, element, _: (codec.decode_search(element),), lambda codec, m: codec.encode_search(*m), _D.SEARCH
    ),
    "found": Kind(
        lambda codec, element, _: codec.decode_found(element), lambda codec, m: codec.encode_found(m[0], more=m[1])
    ),
}
