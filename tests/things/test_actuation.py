"""When an output changes by itself, as tables of moments (seconds of a made-up clock)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from hub.things.actuation import Guard, Policy, State

OFF: State = {"output": False}
ON: State = {"output": True}
LEASE, LINK = "its lease has ended", "the link has been away too long"


def policy(boot: State | None = OFF, safe: State | None = OFF, **times: float) -> Policy:
    return Policy(boot, safe, OFF, **times)


@dataclass(frozen=True)
class Story:
    """Steps at moments: a command, the link going or coming, and the check that something is due or is not."""

    name: str
    policy: Policy
    steps: tuple[tuple[float, str, Any], ...]


STORIES = (
    Story("a lease ends", policy(lease=10), (
        (0, "open", OFF), (0, "up", None), (5, "due", None), (5, "command", ON), (5, "due", 15.0),
        (14.9, "quiet", None), (15, "overdue", (OFF, LEASE)), (15, "end", None), (15, "due", None), (99, "quiet", None),
    )),
    Story("a new command renews the lease", policy(lease=10), (
        (0, "open", OFF), (0, "up", None), (5, "command", ON), (12, "command", ON), (15, "quiet", None),
        (21.9, "quiet", None), (22, "overdue", (OFF, LEASE)),
    )),
    Story("a command to the safe state has no lease", policy(lease=10), (
        (0, "open", OFF), (0, "up", None), (1, "command", ON), (2, "command", OFF), (2, "due", None),
        (99, "quiet", None),
    )),
    Story("a boot state that is not the safe one has a lease too", policy(boot=ON, lease=10), (
        (3, "open", ON), (3, "up", None), (12.9, "quiet", None), (13, "overdue", (OFF, LEASE)),
    )),
    Story("the link is away too long", policy(link_timeout=60), (
        (0, "open", OFF), (1, "up", None), (2, "command", ON), (2, "due", None), (10, "down", None), (10, "due", 70.0),
        (69.9, "quiet", None), (70, "overdue", (OFF, LINK)), (70, "end", None), (71, "quiet", None), (71, "due", None),
    )),
    Story("the link comes back in time", policy(link_timeout=60), (
        (0, "open", OFF), (1, "up", None), (2, "command", ON), (10, "down", None), (69, "up", None),
        (70, "quiet", None), (999, "quiet", None), (1000, "down", None), (1059, "quiet", None),
        (1060, "overdue", (OFF, LINK)),
    )),
    Story("a link that goes twice is away since the first time", policy(link_timeout=60), (
        (0, "open", OFF), (1, "up", None), (2, "command", ON), (10, "down", None), (50, "down", None),
        (70, "overdue", (OFF, LINK)),
    )),
    Story("a link that never was is away since the start", policy(boot=ON, link_timeout=60), (
        (5, "open", ON), (59.9, "quiet", None), (60, "overdue", (OFF, LINK)),
    )),
    Story("the earlier of lease and link decides: the lease", policy(lease=10, link_timeout=60), (
        (0, "open", OFF), (0, "up", None), (5, "command", ON), (6, "down", None), (15, "overdue", (OFF, LEASE)),
    )),
    Story("the earlier of lease and link decides: the link", policy(lease=100, link_timeout=60), (
        (0, "open", OFF), (0, "up", None), (5, "command", ON), (6, "down", None), (66, "overdue", (OFF, LINK)),
    )),
    Story("when it is over it is over, also when the link comes back", policy(link_timeout=60), (
        (0, "open", OFF), (0, "up", None), (5, "command", ON), (6, "down", None), (66, "overdue", (OFF, LINK)),
        (66, "end", None), (70, "up", None), (71, "open", OFF), (71, "due", None),
    )),
    Story("only a new command leaves the safe state", policy(lease=10), (
        (0, "open", OFF), (0, "up", None), (1, "command", ON), (11, "overdue", (OFF, LEASE)), (11, "end", None),
        (20, "command", ON), (29.9, "quiet", None), (30, "overdue", (OFF, LEASE)),
    )),
    Story("kept as it is: nothing is ever due", policy(boot=ON, safe=None, lease=1, link_timeout=1), (
        (0, "open", ON), (50, "due", None), (50, "quiet", None), (60, "command", OFF), (99, "quiet", None),
    )),
    Story("without times nothing is ever due", policy(boot=ON), (
        (0, "open", ON), (0, "due", None), (1e9, "quiet", None),
    )),
    Story("claimed again after a fault in the state that was in force", policy(lease=10), (
        (0, "open", OFF), (0, "up", None), (5, "command", ON), (8, "open", ON), (8, "due", 15.0),
        (15, "overdue", (OFF, LEASE)), (15, "end", None), (16, "open", OFF),
    )),
    Story("a fault does not give a new lease to the boot state", policy(boot=ON, lease=10), (
        (0, "open", ON), (0, "up", None), (9, "open", ON), (10, "overdue", (OFF, LEASE)),
    )),
    Story("a safe state may name only some parameters", policy(
        boot={"on": True, "level": 30}, safe={"on": False}, lease=10), (
        (0, "open", {"on": True, "level": 30}), (0, "up", None), (10, "overdue", ({"on": False}, LEASE)),
        (10, "end", None), (11, "due", None), (12, "open", {"on": False, "level": 30}),
        (13, "command", {"on": False, "level": 80}), (13, "due", None),
    )),
    Story("nothing is due before the output was claimed", policy(boot=ON, link_timeout=1), (
        (50, "due", None), (50, "quiet", None), (60, "open", ON), (60, "overdue", (OFF, LINK)),
    )),
)  # fmt: skip


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_the_keeper_of_an_output(story: Story) -> None:
    guard = Guard(story.policy, now=0.0)
    for now, what, value in story.steps:
        step = f"{what} at {now}"
        match what:
            case "open":
                assert guard.opening_state({}, now) == value, step
            case "command":
                guard.commanded(value, now)
            case "up":
                guard.link_up()
            case "down":
                guard.link_down(now)
            case "due":
                assert guard.due() == value, step
            case "quiet":
                assert guard.overdue(now) is None, step
            case "overdue":
                assert guard.overdue(now) == value, step
            case "end":
                guard.end()
            case _:
                raise AssertionError(what)


@pytest.mark.parametrize(("remembered", "opened"), [
    ({}, {"on": False, "level": 0}),
    ({"on": True}, {"on": True, "level": 0}),
    ({"on": True, "level": 30}, {"on": True, "level": 30}),
])  # fmt: skip
def test_restore_takes_what_is_remembered_and_the_fallback_for_the_rest(remembered: State, opened: State) -> None:
    guard = Guard(Policy(None, {"on": False}, {"on": False, "level": 0}), 0.0)
    assert guard.remembers
    assert guard.opening_state(remembered, 0.0) == opened


def test_a_restored_state_is_only_looked_up_once() -> None:
    guard = Guard(policy(boot=None), 0.0)
    assert guard.opening_state(ON, 0.0) == ON
    guard.commanded(OFF, 1.0)
    assert guard.opening_state(ON, 2.0) == OFF


def test_a_restored_state_has_lease_and_link_time_out() -> None:
    guard = Guard(policy(boot=None, lease=10), 0.0)
    guard.opening_state(ON, 0.0)
    guard.link_up()
    assert guard.overdue(10.0) == (OFF, LEASE)


def test_only_restore_remembers() -> None:
    assert not Guard(policy(boot=OFF), 0.0).remembers
    assert not Guard(policy(boot=ON, safe=None), 0.0).remembers


def test_the_end_of_a_command_tells_the_whole_state_that_is_in_force_then() -> None:
    guard = Guard(Policy(None, {"on": False}, {}), 0.0)
    guard.opening_state({"on": True, "level": 30}, 0.0)
    assert guard.end() == {"on": False, "level": 30}


DIM: State = {"on": False, "level": 0}


@pytest.mark.parametrize(
    ("safe", "state", "values", "protects"),
    [
        (OFF, ON, OFF, True),
        (OFF, OFF, OFF, True),
        (OFF, None, OFF, True),  # not claimed yet: it is claimed safe
        (OFF, ON, ON, False),
        (OFF, OFF, ON, False),
        (OFF, ON, {}, False),
        (None, ON, OFF, False),  # `keep`: nothing is safer than anything else
        (OFF, ON, {"output": False, "blink": True}, False),  # one thing more than the safe state
        (OFF, {"output": True, "blink": True}, OFF, True),  # what the safe state does not name stays as it is
        (DIM, {"on": True, "level": 50}, DIM, True),
        (DIM, {"on": True, "level": 50}, {"on": False}, False),  # half of the way is not the safe state
        (DIM, {"on": True, "level": 0}, {"on": False}, True),
        (DIM, {"on": True, "level": 50}, {"on": False, "level": 1}, False),
        (DIM, {"on": False, "level": 0}, {"level": 0}, True),
    ],
)
def test_a_command_protects_when_it_does_nothing_but_make_safe(
    safe: State | None, state: State | None, values: State, protects: bool
) -> None:
    guard = Guard(policy(safe=safe), 0)
    if state is not None:
        guard.commanded(state, 0)
    assert guard.protects(values) is protects
