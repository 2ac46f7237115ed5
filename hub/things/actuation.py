"""When an output must change by itself: at boot, when its lease ends, the link is away too long, or an interlock opens.

Rules of this file
* Sans-IO: moments are seconds of a monotonic clock and come in as `now`; what must be written comes out.
* An output never rests in a state that nobody answers for. A command answers for it until its lease ends or the link
  has been away for `link_timeout`; then the command is over for good, and only a new one leaves the safe state.
* What `restore` remembers is the last command that is still in force: a stop or a power cut does not end a command,
  a lease or a lost link does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from devices.base import Value
from hub.things.interlock import Condition

State = Mapping[str, Value]


@dataclass(frozen=True)
class Policy:
    """States as parameter values; times in seconds. `boot` None: restore. `safe` None: keep as it is.

    A state may name only some parameters: the driver leaves the others as they are (at boot: at its own defaults).
    """

    boot: State | None
    safe: State | None
    fallback: State
    """What `restore` uses when nothing is remembered."""
    link_timeout: float | None = None
    lease: float | None = None
    requires: tuple[Condition, ...] = ()


class Guard:
    """The keeper of one output."""

    def __init__(self, policy: Policy, now: float) -> None:
        self.policy = policy
        self._lease_ends: float | None = None
        self._link_lost: float | None = now  # there is no link before the first one
        self._state: State | None = None
        self._interlock: str | None = None

    @property
    def remembers(self) -> bool:
        """Whether commands must be stored durably before they are answered."""
        return self.policy.boot is None

    def opening_state(self, remembered: State, now: float) -> State:
        """The state in which the output is claimed: the boot state the first time (the safe one while an interlock is
        open); after a fault, when the part is claimed again, what was in force before it."""
        if self._state is None and self._interlock is not None:
            self._state = self.policy.fallback
            self.end()
        if self._state is None:
            boot = {**self.policy.fallback, **remembered} if self.policy.boot is None else self.policy.boot
            self.commanded(boot, now)
            return boot
        return self._state

    def commanded(self, state: State, now: float) -> None:
        """`state` is in force from now on."""
        self._state = state
        self._lease_ends = None if self.is_safe or self.policy.lease is None else now + self.policy.lease

    def link_up(self) -> None:
        self._link_lost = None

    def link_down(self, now: float) -> None:
        if self._link_lost is None:
            self._link_lost = now

    def interlock(self, reason: str | None) -> bool:
        """Tell whether an interlock is open, and why; True when that means the output has to be made safe now."""
        self._interlock = reason
        return reason is not None and self._state is not None and not self.is_safe

    def refuses(self, values: State) -> str | None:
        """Why these values may not be written now: they would leave the safe state while an interlock is open."""
        if self._interlock is None:
            return None
        return None if self._safe_after(values) else self._interlock

    def protects(self, values: State) -> bool:
        """Whether writing these values does nothing but bring the output into its safe state, or leave it there: each
        is the safe one, and what the safe state names beside them is there already. Never, where `safe` is keep."""
        safe = self.policy.safe
        if not safe or not values:
            return False
        return all(name in safe and safe[name] == value for name, value in values.items()) and self._safe_after(values)

    def due(self) -> float | None:
        """When `overdue` should be asked next; None: not before something happens."""
        if self._state is None or self.policy.safe is None or self.is_safe:
            return None
        ends = [end for end in (self._lease_ends, self._link_ends()) if end is not None]
        return min(ends, default=None)

    def overdue(self, now: float) -> tuple[State, str] | None:
        """The safe state to write and the reason, when it is time."""
        if self.policy.safe is not None and self.interlock(self._interlock):
            return self.policy.safe, f"interlock: {self._interlock}"
        due = self.due()
        if due is None or now < due or self.policy.safe is None:
            return None
        reason = "its lease has ended" if due == self._lease_ends else "the link has been away too long"
        return self.policy.safe, reason

    def end(self) -> State:
        """The command is over; from now on the safe state is in force, also when the part is claimed again. Returns
        the whole state: what the safe one does not name stays as it was."""
        self._state = {**(self._state or {}), **(self.policy.safe or {})}
        self._lease_ends = None
        return self._state

    def _safe_after(self, values: State) -> bool:
        after = {**(self._state or {}), **values}
        return all(after.get(name) == value for name, value in (self.policy.safe or {}).items())

    @property
    def is_interlocked(self) -> bool:
        return self._interlock is not None

    @property
    def is_safe(self) -> bool:
        safe, state = self.policy.safe, self._state
        return safe is not None and state is not None and all(state.get(n) == v for n, v in safe.items())

    def _link_ends(self) -> float | None:
        if self._link_lost is None or self.policy.link_timeout is None:
            return None
        return self._link_lost + self.policy.link_timeout
