"""What the dialects of XEP-0324 and XEP-0347 carry beside questions and verdicts: plain values, shared by both ends."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from hub.things.model import NodeRef

MAX_TAG_NAME: Final = 32  # characters (XEP-0347 section "Meta Tags")
MAX_TAG_VALUE: Final = 128  # characters (same)

TagValues = Mapping[str, str | Decimal]


class ProvisioningRequest(enum.Enum):
    IS_FRIEND = "isFriend"
    CAN_READ = "canRead"
    CAN_CONTROL = "canControl"
    CLEAR_CACHE = "clearCache"
    FRIEND = "friend"
    UNFRIEND = "unfriend"
    GET_TOKEN = "getToken"
    CHALLENGE_RESPONSE = "getTokenChallengeResponse"
    TOKEN_CHALLENGE = "tokenChallenge"
    CAN_ACCESS = "canAccess"
    USER_LOGGED_IN = "userLoggedIn"
    HAS_PRIVILEGE = "hasPrivilege"
    DOWNLOAD_PRIVILEGES = "downloadPrivileges"


class DiscoveryRequest(enum.Enum):
    REGISTER = "register"
    MINE = "mine"
    CLAIMED = "claimed"
    REMOVE = "remove"
    REMOVED = "removed"
    UPDATE = "update"
    SEARCH = "search"
    UNREGISTER = "unregister"
    DISOWN = "disown"
    DISOWNED = "disowned"


@dataclass(frozen=True, slots=True)
class AccessQuestion:
    """`canAccess`: may somebody with these credentials use the service that shows this token? `credentials`: (type,
    value) with the types of the table in section 3.6.2: jid, ip4, ip6, hostName, x509Certificate,
    x509CertificateThumbprint, userName, longitude, latitude, altitude, sso, protocol."""

    service_token: str
    credentials: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SearchTerm:
    """One comparison of a search, as it stands on the wire: `operator` is the old dialect's element name, or
    "strRegEx". `value` is the lower bound of a range; a bound that is None is open."""

    operator: str
    name: str
    value: str | Decimal | None
    high: str | Decimal | None = None
    low_included: bool = True
    high_included: bool = True
    wildcard: str = ""


@dataclass(frozen=True, slots=True)
class SearchQuery:
    terms: tuple[SearchTerm, ...]
    offset: int = 0
    count: int | None = None


@dataclass(frozen=True, slots=True)
class FoundThing:
    jid: str
    owner: str
    node: NodeRef = field(default_factory=lambda: NodeRef(""))
    tags: TagValues = field(default_factory=dict)
