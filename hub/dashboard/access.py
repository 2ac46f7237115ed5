"""Who may look and who may control, and how often somebody may guess a password.

Rules of this file
* Whether a name is known cannot be told from the outside: a wrong name costs a hash too, and takes as long.
* Hashing is done in a thread, one at a time: it takes memory and processor time on purpose. Few may wait for it.
* Guesses are counted by name and address together, by address, and by name, each with patience of its own: somebody
  far away must not be able to lock anybody out for long.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError

from hub.config.dashboard import User
from hub.dashboard.view import Visitor
from hub.errors import HubError

HASHER: Final = PasswordHasher(time_cost=3, memory_cost=19_456, parallelism=1)
"""OWASP's memory (19 MiB), which a Pi has, and a pass more."""
MAX_PASSWORD: Final = 1_000  # characters
MAX_NAME: Final = 64
WAITING: Final = 8
"""Log-ins that may wait for their turn."""
MAX_REMEMBERED: Final = 10_000

BURSTS: Final[Mapping[str, tuple[int, float]]] = {"both": (5, 60.0), "address": (20, 20.0), "name": (50, 10.0)}
"""Wrong guesses at once, and seconds until one more is granted."""


class Guesses:
    """Sans-IO: moments come in, in seconds of any clock that does not jump."""

    def __init__(self) -> None:
        self._spent: OrderedDict[tuple[str, str, str], tuple[float, float]] = OrderedDict()

    def wait(self, name: str, address: str, now: float) -> float:
        """Seconds until another guess is allowed; 0: now."""
        return max(self._wait(key, now) for key in _keys(name, address))

    def wrong(self, name: str, address: str, now: float) -> None:
        for key in _keys(name, address):
            self._spent[key] = (self._left(key, now) + 1, now)
            self._spent.move_to_end(key)
        while len(self._spent) > MAX_REMEMBERED:
            self._spent.popitem(last=False)

    def right(self, name: str, address: str, now: float) -> None:
        """It was none: what was counted as one is taken back, and all is forgiven to whoever knows the password."""
        for key in _keys(name, address):
            if key[0] == "both":
                self._spent.pop(key, None)
            elif key in self._spent:
                self._spent[key] = (max(0.0, self._left(key, now) - 1), now)

    def _left(self, key: tuple[str, str, str], now: float) -> float:
        """Guesses that still count."""
        spent, since = self._spent.get(key, (0.0, now))
        return max(0.0, spent - (now - since) / BURSTS[key[0]][1])

    def _wait(self, key: tuple[str, str, str], now: float) -> float:
        burst, each = BURSTS[key[0]]
        return max(0.0, (self._left(key, now) - (burst - 1)) * each)


def _keys(name: str, address: str) -> tuple[tuple[str, str, str], ...]:
    name, where = name[:MAX_NAME], neighbourhood(address)
    return ("both", name, where), ("address", "", where), ("name", name, "")


def neighbourhood(address: str) -> str:
    """An IPv4 address, and of an IPv6 address the /64 that a single household has."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:100]
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)


class Access:
    """`users` by name; without any, whoever is on this machine is `anonymous`."""

    def __init__(
        self, users: Mapping[str, User], open_control: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._users = users
        self._clock = clock
        self._guesses = Guesses()
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._nobody = _hash_of_nobody(users)
        self.anonymous = None if users else Visitor("this machine", open_control)

    def visitor(self, name: str) -> Visitor | None:
        user = self._users.get(name)
        return None if user is None else Visitor(name, user.control)

    async def authenticate(self, name: str, password: str, address: str) -> Visitor | None:
        """See `hub.dashboard.view.Board`."""
        wait = self._guesses.wait(name, address, self._clock())
        if wait > 0:
            raise HubError(f"too many attempts; try again in {_in_words(wait)}")
        if self._waiting >= WAITING:
            raise HubError("too many log-ins at once; try again in a moment")
        user = self._users.get(name)
        self._guesses.wrong(name, address, self._clock())  # counted before it is known, or many at once would be free
        self._waiting += 1
        try:
            async with self._turn:
                hashed = self._nobody if user is None else user.password_hash
                good = await asyncio.to_thread(_verify, hashed, password)
        finally:
            self._waiting -= 1
        if user is None or not good:
            return None
        self._guesses.right(name, address, self._clock())
        return Visitor(name, user.control)


def _verify(hashed: str, password: str) -> bool:
    try:
        return HASHER.verify(hashed, password[:MAX_PASSWORD]) and len(password) <= MAX_PASSWORD
    except (VerificationError, InvalidHashError):
        return False


def _hash_of_nobody(users: Mapping[str, User]) -> str:
    """Of a password that nobody knows, as dear as those of the users."""
    like = [extract_parameters(user.password_hash) for user in users.values()]
    hasher = PasswordHasher.from_parameters(max(like, key=lambda p: p.memory_cost * p.time_cost)) if like else HASHER
    return hasher.hash(secrets.token_urlsafe(32)) if like else ""


def hashed(password: str) -> str:
    """What stands in the configuration for a password."""
    return HASHER.hash(password)


def _in_words(seconds: float) -> str:
    return f"{max(1, round(seconds))} s" if seconds < 90 else f"{seconds / 60:.0f} min"
