"""Thresholds: when an alarm begins, when it is over, and what it says.

Rules of this file
* Sans-IO; moments are seconds since 1970. The transitions are the table below, `for` and `hysteresis` the only things
  that delay them.
* Nothing is concluded from a value that is not fresh: an alarm neither begins nor ends by it, and says that it is not
  known, rather than that all is well.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hub.config.dashboard import Alarm
from hub.dashboard.view import Key


class State(enum.Enum):
    CALM = "calm"
    WAITING = "waiting"
    """Beyond the threshold, not yet for long enough."""
    RAISED = "raised"


class Event(enum.Enum):
    BEYOND = "beyond"
    LASTED = "lasted"
    """Beyond, and has been for as long as it takes."""
    BETWEEN = "between"
    """Within the threshold, but by no more than the hysteresis."""
    WITHIN = "within"


TRANSITIONS: Mapping[tuple[State, Event], State] = {
    (State.CALM, Event.BEYOND): State.WAITING,
    (State.CALM, Event.LASTED): State.RAISED,
    (State.WAITING, Event.LASTED): State.RAISED,
    (State.WAITING, Event.BETWEEN): State.CALM,
    (State.WAITING, Event.WITHIN): State.CALM,
    (State.RAISED, Event.WITHIN): State.CALM,
}
"""What is not here changes nothing."""


@dataclass
class _Watch:
    state: State = State.CALM
    since: float = 0.0
    """From when on it has been beyond."""
    above: bool = True


class Alarms:
    """The alarms of the configuration, with a state for each field that they are about."""

    def __init__(self, alarms: Sequence[Alarm]) -> None:
        self._alarms = tuple(alarms)
        self._watches: dict[tuple[int, Key], _Watch] = {}

    def about(self, key: Key) -> tuple[int, ...]:
        """The numbers of those that are about a field."""
        return tuple(
            number for number, alarm in enumerate(self._alarms)
            if (alarm.thing, alarm.field) == (key.thing, key.field) and (alarm.hub or key.hub).lower() == key.hub
        )  # fmt: skip

    def forget(self, key: Key) -> None:
        for number in self.about(key):
            self._watches.pop((number, key), None)

    def judge(self, numbers: Sequence[int], key: Key, value: float | None, now: float, unit: str, fresh: bool) -> str:
        """What there is to say of a field whose value is `value`, None while there is none; "" when all is well."""
        said = (self._judge(number, key, value, now, unit, fresh) for number in numbers)
        return "; ".join(text for text in said if text)

    def _judge(self, number: int, key: Key, value: float | None, now: float, unit: str, fresh: bool) -> str:
        alarm = self._alarms[number]
        watch = self._watches.setdefault((number, key), _Watch())
        if value is None or not fresh:
            if watch.state is State.RAISED:
                return f"{_limit(alarm, watch.above, unit)} when it was last known"
            return f"not known whether it is {_limits(alarm, unit)}"
        event = _event(alarm, watch, value, now)
        watch.state = TRANSITIONS.get((watch.state, event), watch.state)
        return _limit(alarm, watch.above, unit) if watch.state is State.RAISED else ""


def _event(alarm: Alarm, watch: _Watch, value: float, now: float) -> Event:
    above = alarm.above is not None and value > alarm.above
    if above or (alarm.below is not None and value < alarm.below):
        if watch.state is State.CALM or (watch.state is State.WAITING and above is not watch.above):
            watch.since = now
        watch.above = above
        return Event.LASTED if now - watch.since >= alarm.for_ else Event.BEYOND
    back = alarm.hysteresis
    calm = (alarm.above is None or value <= alarm.above - back) and (alarm.below is None or value >= alarm.below + back)
    return Event.WITHIN if calm else Event.BETWEEN


def _limit(alarm: Alarm, above: bool, unit: str) -> str:
    limit = alarm.above if above else alarm.below
    return f"{'above' if above else 'below'} {limit:g} {unit}".rstrip()


def _limits(alarm: Alarm, unit: str) -> str:
    there = ((True, alarm.above), (False, alarm.below))
    return " or ".join(_limit(alarm, above, unit) for above, limit in there if limit is not None)
