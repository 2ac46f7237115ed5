"""Users of services (XEP-0324 sections 3.6 and 3.7): whom a service lets in, and what he may do there.

Rules of this file
* A service is the bare JID that its service token was given to. It asks with its own token; another's is refused.
  Privileges, users, roles and rules belong to one service and are never looked at for another.
* Whom a service lets in is decided by its list of `Entrance`s, from the first on; nobody else comes in.
* A user token belongs to the service that asked for it, and dies after a while. Until the service says under which
  name its user logged in, and for names that nobody knows, only the service's default privileges hold.
  (Deviation: a service that is not what it says is refused, where section 3.7.2 would give it the default ones.)
* Privileges are a list of included and excluded ids; the first that reaches an id decides, and what none reaches is
  refused. An id reaches itself and everything below it ("Databases" reaches "Databases.Energy.Select").
  A user's own list comes first, then those of his roles in their order, then the service's default.
* What a service is told about a privilege is what it works out from the list that it can download.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import hashlib
import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from hub.errors import BadRequest, Forbidden, NotFound, Overload
from hub.provisioning.store import Store, TokenRecord
from hub.stanzas.provisioning import AccessQuestion
from hub.stanzas.provisioning_xmpp import CREDENTIALS
from hub.things.model import Tokens
from hub.things.questions import bare
from hub.trust.access import matches

SERVICES: Final = "services"
"""Of the store: what holds for all users of a service, by its JID."""
USERS: Final = "users"
"""By JID of the service and name of the user, with a space between them: no JID has one."""
USER_TOKENS: Final = "user-tokens"

TOKEN_BYTES: Final = 24
LIFETIME: Final = dt.timedelta(days=1)
MAX_TOKENS: Final = 10_000  # user tokens of one service at once
LOOK_AGAIN: Final = dt.timedelta(minutes=1)  # for tokens that are over, while a service has too many
MAX_LIST: Final = 100  # lines of one list; with the next, a user has at most 1000 privileges, which a list may have
MAX_ROLES: Final = 8  # of one user
MAX_ALL_ROLES: Final = 1000  # of one service
MAX_TEXT: Final = 256  # characters of a name, an id or a pattern

Privileges = tuple[tuple[bool, str], ...]
"""(included, id) in the order in which they count."""


class Audit(Protocol):
    def record(self, who: str, what: str, rule: str, answer: str) -> None: ...


class TokenRecords(Protocol):
    async def record(self, token: str) -> TokenRecord | None: ...


# --------------------------------------------------------------------------- values


@dataclass(frozen=True, slots=True)
class Entrance:
    """Lets in, or keeps out, whoever shows credentials that meet every condition: (type, pattern). JIDs are compared
    as in rules, IP addresses with networks ("10.0.0.0/8"), host names may begin with "*.", certificates are known by
    their SHA-1 or SHA-256 thumbprint, places lie in a range ("59.1..59.5"); all others are equal or not."""

    allow: bool
    conditions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class User:
    roles: tuple[str, ...] = ()
    privileges: Privileges = ()


@dataclass(frozen=True, slots=True)
class ServiceRules:
    """What holds for all users of one service. `default`: what everybody may do who was let in."""

    entrances: tuple[Entrance, ...] = ()
    default: Privileges = ()
    roles: Mapping[str, Privileges] = field(default_factory=dict)

    def privileges(self, user: User) -> Privileges:
        """The whole list of a user."""
        lists = (user.privileges, *(self.roles.get(role, ()) for role in user.roles), self.default)
        return tuple(dict.fromkeys(each for part in lists for each in part))


NOBODY: Final = User()
"""Who has not logged in, or is not known."""


def is_granted(privileges: Iterable[tuple[bool, str]], privilege: str) -> bool:
    """The algorithm of section 3.7.1: the first that reaches it decides."""
    return next((included for included, id_ in privileges if _reaches(id_, privilege)), False)


def _reaches(id_: str, privilege: str) -> bool:
    return privilege == id_ or privilege.startswith(id_ + ".")


def lets_in(entrances: Iterable[Entrance], credentials: Iterable[tuple[str, str]]) -> bool:
    shown = tuple(credentials)
    for entrance in entrances:
        if all(any(kind == type_ and _meets(kind, value, pattern) for type_, value in shown)
               for kind, pattern in entrance.conditions):  # fmt: skip
            return entrance.allow
    return False


def _meets(kind: str, value: str, pattern: str) -> bool:
    """Whether a credential meets a condition; what cannot be read meets none."""
    try:
        match kind:
            case "jid":
                return matches(value, (pattern,))
            case "ip4" | "ip6":
                return ipaddress.ip_address(value) in ipaddress.ip_network(pattern, strict=False)
            case "hostName":
                name, wanted = value.lower().rstrip("."), pattern.lower().rstrip(".")
                return name.endswith(wanted[1:]) if wanted.startswith("*.") else name == wanted
            case "x509CertificateThumbprint":
                return base64.b64decode(value, validate=True).hex() == _hex(pattern)
            case "x509Certificate":
                der = base64.b64decode(value, validate=True)
                return _hex(pattern) in (hashlib.sha256(der).hexdigest(), hashlib.sha1(der).hexdigest())
            case "longitude" | "latitude" | "altitude":
                low, _, high = pattern.partition("..")
                return float(low) <= float(value) <= float(high)
            case _:
                return value == pattern
    except ValueError:
        return False


def _hex(pattern: str) -> str:
    return pattern.replace(":", "").lower()


# --------------------------------------------------------------------------- keeping them


def encode_rules(rules: ServiceRules) -> dict[str, Any]:
    return {
        "entrances": [{"allow": each.allow, "if": list(each.conditions)} for each in rules.entrances],
        "default": list(rules.default),
        "roles": {name: list(privileges) for name, privileges in rules.roles.items()},
    }


def decode_rules(kept: Mapping[str, Any]) -> ServiceRules:
    return ServiceRules(
        tuple(Entrance(each["allow"], tuple((kind, pattern) for kind, pattern in each["if"]))
              for each in kept["entrances"]),
        _pairs(kept["default"]),
        {name: _pairs(privileges) for name, privileges in kept["roles"].items()},
    )  # fmt: skip


def _pairs(kept: Iterable[Any]) -> Privileges:
    return tuple((included, id_) for included, id_ in kept)


class UserBook:
    """The operator's hand on it. Every change is one transaction of the store. Raises BadRequest for what cannot be
    kept, NotFound for what is not there."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def services(self) -> tuple[str, ...]:
        users = {key.partition(" ")[0] for key in await self._store.items(USERS)}
        return tuple(sorted(users.union(await self._store.items(SERVICES))))

    async def rules(self, service: str) -> ServiceRules:
        kept = await self._store.get(SERVICES, bare(service))
        return decode_rules(kept) if kept is not None else ServiceRules()

    async def set_entrances(self, service: str, entrances: Iterable[Entrance]) -> None:
        await self._keep(service, replace(await self.rules(service), entrances=tuple(entrances)))

    async def set_default(self, service: str, privileges: Privileges) -> None:
        await self._keep(service, replace(await self.rules(service), default=privileges))

    async def set_role(self, service: str, name: str, privileges: Privileges | None) -> None:
        """None removes it; who has it keeps its name, and nothing by it."""
        rules = await self.rules(service)
        if privileges is None and name not in rules.roles:
            raise NotFound(f"there is no role {name!r} at {bare(service)}")
        others = {each: kept for each, kept in rules.roles.items() if each != name}
        await self._keep(service, replace(rules, roles=others if privileges is None else {**others, name: privileges}))

    async def users(self, service: str) -> dict[str, User]:
        every = await self._store.items(USERS)
        start = f"{bare(service)} "
        return {key.removeprefix(start): _user(kept) for key, kept in sorted(every.items()) if key.startswith(start)}

    async def user(self, service: str, name: str) -> User:
        """NOBODY when he is not known."""
        kept = await self._store.get(USERS, f"{bare(service)} {name}") if name else None
        return _user(kept) if kept is not None else NOBODY

    async def set_user(self, service: str, name: str, user: User | None) -> None:
        """None removes him."""
        key = f"{bare(service)} {name}"
        if user is None:
            if await self._store.get(USERS, key) is None:
                raise NotFound(f"there is no user {name!r} at {bare(service)}")
            return await self._store.put(USERS, key, None)
        _check_name(name)
        _check_privileges(user.privileges)
        if len(user.roles) > MAX_ROLES:
            raise BadRequest(f"a user has at most {MAX_ROLES} roles")
        roles = (await self.rules(service)).roles
        for role in user.roles:
            if role not in roles:
                raise NotFound(f"there is no role {role!r} at {bare(service)}")
        await self._store.put(USERS, key, {"roles": list(user.roles), "privileges": list(user.privileges)})

    async def _keep(self, service: str, rules: ServiceRules) -> None:
        if len(rules.entrances) > MAX_LIST or len(rules.roles) > MAX_ALL_ROLES:
            raise BadRequest(f"a service has at most {MAX_LIST} entrances and {MAX_ALL_ROLES} roles")
        for name in rules.roles:
            _check_name(name)
        for privileges in (rules.default, *rules.roles.values()):
            _check_privileges(privileges)
        for entrance in rules.entrances:
            for kind, pattern in entrance.conditions:
                _check_condition(kind, pattern)
        await self._store.put(SERVICES, bare(service), encode_rules(rules) if rules != ServiceRules() else None)


def _user(kept: Mapping[str, Any]) -> User:
    return User(tuple(kept["roles"]), _pairs(kept["privileges"]))


def _check_name(name: str) -> None:
    if not 0 < len(name) <= MAX_TEXT or not name.isprintable():
        raise BadRequest(f"{name[:40]!r} is no name: 1 to {MAX_TEXT} characters that can be printed")


def _check_privileges(privileges: Privileges) -> None:
    if len(privileges) > MAX_LIST:
        raise BadRequest(f"a list has at most {MAX_LIST} privileges: name a part of the tree instead")
    for _, id_ in privileges:
        if not all(id_.split(".")) or len(id_) > MAX_TEXT or not id_.isprintable():
            raise BadRequest(f'{id_[:40]!r} is no privilege: parts with periods between them, like "Sensors.View"')


def _check_condition(kind: str, pattern: str) -> None:
    if kind not in CREDENTIALS:
        raise BadRequest(f"{kind!r} is no type of credentials: {', '.join(CREDENTIALS)}")
    try:
        if kind in ("ip4", "ip6"):
            if ipaddress.ip_network(pattern, strict=False).version != int(kind[2]):
                raise ValueError("it is of the other version of IP")
        elif kind in ("longitude", "latitude", "altitude"):
            low, dots, high = pattern.partition("..")
            if not dots or not float(low) <= float(high):
                raise ValueError('a range like "59.1..59.5" is wanted')
        elif kind.startswith("x509"):
            if len(bytes.fromhex(_hex(pattern))) not in (20, 32):
                raise ValueError("a thumbprint in hex, of SHA-1 or SHA-256, is wanted")
        elif not 0 < len(pattern) <= MAX_TEXT:
            raise ValueError(f"1 to {MAX_TEXT} characters are wanted")
    except ValueError as error:
        raise BadRequest(f"{kind} = {pattern!r}: {error}") from None


# --------------------------------------------------------------------------- what services ask


class UserDesk:
    """`address`: of this service. `wall`: now, with a zone; `random`: that many bytes nobody can guess."""

    def __init__(
        self,
        store: Store,
        address: str,
        wall: Callable[[], dt.datetime],
        random: Callable[[int], bytes],
        tokens: TokenRecords,
        audit: Audit,
    ) -> None:
        self._store, self._address, self._tokens, self._audit = store, address, tokens, audit
        self._wall, self._random = wall, random
        self._book = UserBook(store)
        self._counts: Counter[str] = Counter()
        self._counted: dt.datetime | None = None
        self._counting = asyncio.Lock()

    async def can_access(self, caller: str, question: AccessQuestion) -> tuple[bool, str]:
        """`canAccess`: whether, and the user token. Raises Forbidden for the service token of another, Overload."""
        service, token = await self._service(caller, question.service_token)
        allowed = lets_in((await self._book.rules(service)).entrances, question.credentials)
        shown = ", ".join(f"{kind}={value[:100]}" for kind, value in question.credentials if kind != "sso")
        self._audit.record(service, f"canAccess {shown}", "entrances", "allowed" if allowed else "refused")
        if not allowed:
            return False, ""
        random = base64.urlsafe_b64encode(self._random(TOKEN_BYTES)).decode("ascii")
        user_token = f"{self._address}:u:{random}"
        async with self._counting:
            await self._make_room(service)
            expires = (self._wall() + LIFETIME).isoformat()
            await self._store.put(USER_TOKENS, user_token,
                                  {"service": service, "token": token, "user": "", "expires": expires})  # fmt: skip
            self._counts[service] += 1
        return True, user_token

    async def user_logged_in(self, caller: str, tokens: Tokens, user: str) -> None:
        """`userLoggedIn`. Raises Forbidden and NotFound, for the log: a message has no answer."""
        service, _ = await self._service(caller, tokens.service)
        user_token, kept = await self._user_token(service, tokens.user)
        if user_token is None:
            raise NotFound("there is no such user token of this service")
        await self._store.put(USER_TOKENS, user_token, {**kept, "user": user[:MAX_TEXT]})
        self._audit.record(service, f"userLoggedIn {user[:100]}", "user token", "noted")

    async def has_privilege(self, caller: str, tokens: Tokens, privilege: str) -> bool:
        """`hasPrivilege`. Raises Forbidden for the service token of another."""
        service, _ = await self._service(caller, tokens.service)
        user, privileges = await self._privileges(service, tokens.user)
        granted = is_granted(privileges, privilege)
        self._audit.record(service, f"hasPrivilege {user or '(nobody)'}: {privilege}", "privileges",
                           "allowed" if granted else "refused")  # fmt: skip
        return granted

    async def download_privileges(self, caller: str, tokens: Tokens) -> Privileges:
        """`downloadPrivileges`. Who has not logged in, and who shows no good user token, gets the default ones."""
        service, _ = await self._service(caller, tokens.service)
        return (await self._privileges(service, tokens.user))[1]

    async def is_bound(self, user_token: str, service_tokens: frozenset[str]) -> bool:
        kept = await self._store.get(USER_TOKENS, user_token)
        return kept is not None and not self._is_over(kept) and kept["token"] in service_tokens

    async def _service(self, caller: str, shown: str) -> tuple[str, str]:
        """The service that asks, and which of the tokens it shows is its own."""
        jid = bare(caller)
        for token in shown.split():
            record = await self._tokens.record(token)
            if record is not None and record.subject == jid:
                return jid, token
        self._audit.record(jid, "a service token", "service token", "refused: it is not its own, or has expired")
        raise Forbidden("This is no service token of yours: ask for one with getToken.")

    async def _privileges(self, service: str, user_tokens: str) -> tuple[str, Privileges]:
        """Of several user tokens, one that somebody logged in with counts most."""
        found, kept = await self._user_token(service, user_tokens)
        user = str(kept["user"]) if found is not None else ""
        return user, (await self._book.rules(service)).privileges(await self._book.user(service, user))

    async def _user_token(self, service: str, shown: str) -> tuple[str | None, dict[str, Any]]:
        good: tuple[str | None, dict[str, Any]] = (None, {})
        for token in shown.split():
            kept = await self._store.get(USER_TOKENS, token)
            if kept is None or kept["service"] != service or self._is_over(kept):
                continue
            if kept["user"]:
                return token, kept
            good = (token, kept)
        return good

    def _is_over(self, kept: Mapping[str, Any]) -> bool:
        return dt.datetime.fromisoformat(kept["expires"]) <= self._wall()

    async def _make_room(self, service: str) -> None:
        """Drop what is over when a service has too many, and at the start."""
        now = self._wall()
        full = self._counts[service] >= MAX_TOKENS
        if self._counted is None or (full and now - self._counted >= LOOK_AGAIN):
            self._counts, self._counted = Counter(), now
            for token, kept in (await self._store.items(USER_TOKENS)).items():
                if self._is_over(kept):
                    await self._store.put(USER_TOKENS, token, None)
                else:
                    self._counts[kept["service"]] += 1
        if self._counts[service] >= MAX_TOKENS:
            raise Overload(f"{service} has {MAX_TOKENS} users at once: try again when some have gone")
