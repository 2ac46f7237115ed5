"""Log-in: right, wrong, guessed at."""

from __future__ import annotations

import asyncio
import threading

import pytest
from argon2 import PasswordHasher

from hub.config.dashboard import User
from hub.dashboard import access
from hub.dashboard.access import BURSTS, MAX_REMEMBERED, WAITING, Access, Guesses, hashed, neighbourhood
from hub.dashboard.view import Visitor
from hub.errors import HubError

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
ADDRESS = "192.0.2.7"


def user(password: str, control: bool = False) -> User:
    return User(password_hash=CHEAP.hash(password), control=control)


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def door(clock: Clock) -> Access:
    return Access({"ann": user("look only"), "ben": user("may control", True)}, False, clock)


async def test_who_knows_the_password_comes_in(door: Access) -> None:
    assert await door.authenticate("ann", "look only", ADDRESS) == Visitor("ann", False)
    assert await door.authenticate("ben", "may control", ADDRESS) == Visitor("ben", True)
    assert door.visitor("ben") == Visitor("ben", True) and door.visitor("eve") is None and door.anonymous is None


@pytest.mark.parametrize(
    ("name", "password"),
    [("ann", "may control"), ("ann", ""), ("Ann", "look only"), ("eve", "look only"), ("", ""), ("ann", "x" * 10**6)],
)
async def test_nobody_else_does(door: Access, name: str, password: str) -> None:
    assert await door.authenticate(name, password, ADDRESS) is None


async def test_a_name_that_is_not_there_costs_as_much(door: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hash with the same parameters is verified, in a thread, for either."""
    verified: list[tuple[str, bool]] = []
    real = access._verify

    def verify(hash_: str, password: str) -> bool:
        verified.append((hash_.rpartition("$")[0].rpartition("$")[0], threading.current_thread() is not MAIN))
        return real(hash_, password)

    monkeypatch.setattr(access, "_verify", verify)
    for name in ("ann", "eve"):
        assert await door.authenticate(name, "wrong", ADDRESS) is None
    assert verified == [("$argon2id$v=19$m=8,t=1,p=1", True)] * 2


MAIN = threading.main_thread()


async def test_without_users_everybody_here_is_the_same() -> None:
    assert Access({}, False).anonymous == Visitor("this machine", False)
    assert Access({}, True).anonymous == Visitor("this machine", True)


async def test_guessing_is_slowed_down_and_others_are_let_in(door: Access, clock: Clock) -> None:
    burst, each = BURSTS["both"]
    for _ in range(burst):
        assert await door.authenticate("ann", "wrong", ADDRESS) is None
    for password in ("wrong", "look only"):
        with pytest.raises(HubError, match="too many attempts; try again in"):
            await door.authenticate("ann", password, ADDRESS)
    assert await door.authenticate("ann", "look only", "198.51.100.1") is not None  # from elsewhere
    assert await door.authenticate("ben", "may control", ADDRESS) is not None
    clock.now += each
    assert await door.authenticate("ann", "look only", ADDRESS) is not None
    assert await door.authenticate("ann", "look only", ADDRESS) is not None  # all is forgiven


async def test_many_names_from_one_address_are_slowed_down_too(door: Access) -> None:
    with pytest.raises(HubError, match="too many attempts"):
        for number in range(BURSTS["address"][0] + 1):
            await door.authenticate(f"name{number}", "wrong", ADDRESS)


async def test_who_logs_in_often_is_no_guesser(door: Access) -> None:
    for _ in range(2 * BURSTS["name"][0]):
        assert await door.authenticate("ann", "look only", ADDRESS) is not None


async def test_guesses_at_the_same_time_are_counted_before_they_are_known(door: Access) -> None:
    results = await asyncio.gather(
        *(door.authenticate("ann", "wrong", ADDRESS) for _ in range(WAITING)), return_exceptions=True
    )
    assert results.count(None) == BURSTS["both"][0]


async def test_only_few_may_wait_for_a_hash(door: Access) -> None:
    results = await asyncio.gather(
        *(door.authenticate("ann", "wrong", f"192.0.2.{number}") for number in range(2 * WAITING)),
        return_exceptions=True,
    )
    assert sum("too many log-ins at once" in str(result) for result in results) == WAITING


def test_what_is_remembered_of_guesses_is_bounded() -> None:
    guesses = Guesses()
    for number in range(MAX_REMEMBERED):
        guesses.wrong(f"n{number}", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0)
    assert len(guesses._spent) == MAX_REMEMBERED


def test_guesses_are_granted_again_one_by_one() -> None:
    guesses = Guesses()
    burst, each = BURSTS["both"]
    for _ in range(burst):
        assert guesses.wait("ann", ADDRESS, 0) == 0
        guesses.wrong("ann", ADDRESS, 0)
    assert guesses.wait("ann", ADDRESS, 0) == each
    assert guesses.wait("ann", ADDRESS, each) == 0
    guesses.wrong("ann", ADDRESS, each)
    assert guesses.wait("ann", ADDRESS, each) == each


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"), ("x" * 500, "x" * 100), ("", ""),
    ],
)  # fmt: skip
def test_a_household_is_one_address(address: str, counted: str) -> None:
    assert neighbourhood(address) == counted


def test_a_hash_is_one_that_the_configuration_takes() -> None:
    assert User(password_hash=hashed("correct horse"), control=False).problems() == {}
    assert access._verify(hashed("correct horse"), "correct horse")
