"""Whose a hub is: a table of what can happen, and a file that nobody else can read."""

from __future__ import annotations

import itertools
import stat
from pathlib import Path

import pytest

from hub.errors import BadRequest, StoreError
from hub.trust.ownership import TRANSITIONS, Event, Ownership, State

OWNER = "owner@example.org"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "trust.json"


def ownership(path: Path) -> Ownership:
    numbers = itertools.count(len(list(path.parent.glob("*"))) * 100)
    return Ownership(path, lambda: f"key{next(numbers)}")


def brought_to(state: State, path: Path) -> Ownership:
    found = ownership(path)
    way = {
        State.UNREGISTERED: (), State.UNCLAIMED: (Event.REGISTERED,), State.CLAIMED: (Event.REGISTERED, Event.CLAIMED),
        State.REMOVED: (Event.REGISTERED, Event.CLAIMED, Event.REMOVED),
    }  # fmt: skip
    for event in way[state]:
        found.apply(event, OWNER)
    assert found.record.state is state
    return found


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("state", State)
def test_what_happens_is_kept_and_what_cannot_changes_nothing(state: State, event: Event, path: Path) -> None:
    found = brought_to(state, path)
    before = found.record
    if (state, event) in TRANSITIONS:
        found.apply(event, OWNER)
        assert found.record.state is TRANSITIONS[state, event]
    else:
        with pytest.raises(BadRequest, match=f"is {state}: it cannot be {event.value}"):
            found.apply(event, OWNER)
        assert found.record == before
    assert ownership(path).record == found.record, "as it is on the disk"
    assert found.searching == (found.record.owner == "") == (found.record.state in ("unregistered", "unclaimed"))


def test_the_key_is_there_from_the_first_start_and_for_nobody_else_to_read(path: Path) -> None:
    found = ownership(path)
    assert found.record.key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = ownership(path)
    assert again.record.key == found.record.key
    again.apply(Event.REGISTERED)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_claim_says_whose_it_is_and_keeps_the_key_until_the_registry_has_forgotten_it(path: Path) -> None:
    found = brought_to(State.UNCLAIMED, path)
    key = found.record.key
    found.apply(Event.CLAIMED, OWNER, public=False)
    assert (found.record.owner, found.record.public, found.record.key) == (OWNER, False, key)
    found.keep(key="")
    assert ownership(path).record.key == "", "and makes no new one while it is claimed"


def test_who_is_disowned_looks_for_an_owner_with_another_key(path: Path) -> None:
    found = brought_to(State.UNCLAIMED, path)
    first = found.record.key
    found.apply(Event.CLAIMED, OWNER)
    found.keep(key="")
    found.apply(Event.DISOWNED)
    assert found.record.key not in ("", first)
    assert (found.record.owner, found.record.previous) == ("", OWNER)
    found.apply(Event.DISOWNED)
    assert found.record.previous == OWNER, "said again"
    found.apply(Event.REGISTERED)
    assert found.record.previous == ""


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'"', b"\xff", b"[" * 60_000,
                                     b'{"state": "mine", "owner": "evil@example.org"}'])  # fmt: skip
def test_a_broken_file_is_put_aside_and_makes_nobody_an_owner(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    found = ownership(path)
    assert (found.record.state, found.record.owner) == (State.UNREGISTERED, "")
    assert path.with_suffix(".broken").read_bytes() == content
    assert ownership(path).record == found.record


def test_what_cannot_be_kept_does_not_count(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = brought_to(State.UNCLAIMED, path)

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("hub.trust.ownership.write_durably", full)
    with pytest.raises(StoreError, match="no space left"):
        found.apply(Event.CLAIMED, OWNER)
    assert found.record.owner == ""
