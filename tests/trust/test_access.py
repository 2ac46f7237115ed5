"""The `[access]` lists: nobody by default, bare addresses only."""

from __future__ import annotations

import pytest

from hub.errors import Forbidden
from hub.things.model import Assignment, Command, NodeRef, ReadoutRequest, Tokens
from hub.trust.access import AccessLists, FormScope, exact, matches

REQUEST = ReadoutRequest("1", (NodeRef("air"),))
COMMAND = Command(None, (Assignment("output", "true", None),))

YES: list[tuple[str, str]] = [
    ("owner@example.org", "owner@example.org"),
    ("owner@example.org/phone", "owner@example.org"),
    ("owner@example.org/", "owner@example.org"),
    ("owner@example.org/a/b@c", "owner@example.org"),
    ("Owner@Example.ORG", "owner@example.org"),
    ("owner@example.org", "Owner@EXAMPLE.org"),
    ("ÅSA@example.org", "åsa@example.org"),
    ("anyone@example.org", "*@example.org"),
    ("anyone@example.org/home", "*@Example.Org"),
    ("anyone@example.org", "*"),
    ("example.org", "*"),
    ("example.org", "example.org"),
    ("pubsub.example.org/x", "pubsub.example.org"),
    ("a.b+c@example.org", "a.b+c@example.org"),
]
NO: list[tuple[str, str]] = [
    ("", "*"), ("", ""), ("/", "*"), ("/owner@example.org", "owner@example.org"), ("/x", "*@example.org"),
    ("owner@example.org", ""),
    ("other@example.org", "owner@example.org"),
    ("owner@example.org.evil.net", "owner@example.org"),
    ("owner@sub.example.org", "owner@example.org"), ("owner@sub.example.org", "*@example.org"),
    ("owner@evilexample.org", "*@example.org"), ("owner@example.org.evil.net", "*@example.org"),
    ("evil.net/owner@example.org", "owner@example.org"), ("evil.net/owner@example.org", "*@example.org"),
    ("a@evil.net/@example.org", "*@example.org"),
    ("owner@example.org@evil.net", "*@example.org"), ("owner@example.org@evil.net", "owner@example.org"),
    ("owner@example.org", "owner"), ("owner@example.org", "example.org"), ("owner", "owner@example.org"),
    ("@example.org", "*@example.org"), ("example.org", "*@example.org"), ("*@example.org", "owner@example.org"),
    ("owner@example.org", "*@*"), ("owner@example.org", "own*@example.org"), ("owner@example.org", "owner@*"),
    ("owner@example.org", ".*@example.org"), ("ownerXexample.org", "owner@example.org"),
    ("owner@exampleXorg", "owner@example.org"),
    (" owner@example.org", "owner@example.org"), ("owner@example.org ", "owner@example.org"),
    ("owner@example.org\n", "owner@example.org"), ("owner@example.org\0/x", "owner@example.org"),
    ("owner@example.org.", "owner@example.org"),
    ("оwner@example.org", "owner@example.org"),  # a Cyrillic letter that looks the same
    ("owner\u200b@example.org", "owner@example.org"),
    ("owner＠example.org", "*@example.org"),  # a wide at sign
]  # fmt: skip


@pytest.mark.parametrize(("address", "pattern"), YES)
def test_an_address_that_matches(address: str, pattern: str) -> None:
    assert matches(address, (pattern,))
    assert matches(address, ("nobody@example.net", pattern))


@pytest.mark.parametrize(("address", "pattern"), NO)
def test_an_address_that_does_not_match(address: str, pattern: str) -> None:
    assert not matches(address, (pattern,))


@pytest.mark.parametrize("caller", ["owner@example.org", "example.org", "", "*", "a@b/c"])
async def test_nobody_may_do_anything_by_default(caller: str) -> None:
    judge = AccessLists()
    assert not await judge.may_know(caller)
    assert not await judge.may_follow(caller)
    assert not await judge.may_watch(caller, "air")
    assert not await judge.may_stay(caller)
    with pytest.raises(Forbidden):
        await judge.may_read(caller, REQUEST)
    with pytest.raises(Forbidden):
        await judge.may_control(caller, COMMAND)
    with pytest.raises(Forbidden):
        await judge.may_see_form(caller, None, Tokens())


LISTS = AccessLists(read=("*@example.org",), control=("owner@example.net",))


async def test_who_may_read_gets_the_request_back_whole_and_may_not_control() -> None:
    caller = "reader@example.org/phone"
    assert await LISTS.may_read(caller, REQUEST) is REQUEST
    assert await LISTS.may_know(caller)
    with pytest.raises(Forbidden):
        await LISTS.may_control(caller, COMMAND)
    with pytest.raises(Forbidden):
        await LISTS.may_see_form(caller, None, Tokens())


async def test_who_may_control_gets_the_command_back_whole_sees_forms_and_may_not_read() -> None:
    caller = "owner@example.net/phone"
    assert await LISTS.may_control(caller, COMMAND) is COMMAND
    assert await LISTS.may_see_form(caller, (NodeRef("pump"),), Tokens()) == FormScope((NodeRef("pump"),))
    assert await LISTS.may_know(caller)
    with pytest.raises(Forbidden):
        await LISTS.may_read(caller, REQUEST)


async def test_what_a_caller_shows_changes_nothing() -> None:
    shown = ReadoutRequest("1", tokens=Tokens("owner@example.net", "owner@example.net", "owner@example.net"))
    with pytest.raises(Forbidden):
        await LISTS.may_read("stranger@evil.net", shown)


async def test_a_refusal_does_not_say_who_would_be_allowed() -> None:
    with pytest.raises(Forbidden) as caught:
        await LISTS.may_control("stranger@evil.net", COMMAND)
    assert str(caught.value) == "Access denied."


def test_only_patterns_without_a_star_are_addresses() -> None:
    assert exact(("*", "*@example.org", "owner@example.org", "example.net")) == ["owner@example.org", "example.net"]
