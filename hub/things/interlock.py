"""Conditions that must hold for an output to leave its safe state: `valve.output`, `not tank_full.input`.

Rules of this file
* Sans-IO and fail-safe: what is not known, not well or too old does not hold.
* A condition is about a boolean field of any thing of this hub, an output's or a sensor's.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from hub.things.thing import Thing

PATTERN = r"(?:not )?[A-Za-z0-9_][A-Za-z0-9_.\-]*\.[A-Za-z0-9_]+"


@dataclass(frozen=True)
class Condition:
    """`max_age` in seconds: how old the value may be; three of the thing's sampling intervals."""

    thing: str
    field: str
    wanted: bool
    max_age: float = float("inf")

    @classmethod
    def parse(cls, text: str) -> Condition:
        """`text` matches PATTERN."""
        name = text.removeprefix("not ")
        thing, _, field = name.rpartition(".")
        return cls(thing, field, wanted=name == text)

    def __str__(self) -> str:
        return f"{'' if self.wanted else 'not '}{self.thing}.{self.field}"


def unmet(conditions: tuple[Condition, ...], things: Mapping[str, Thing], now: dt.datetime) -> str | None:
    """Why an output may not leave its safe state, None when it may."""
    for condition in conditions:
        thing = things.get(condition.thing)
        value = thing.values.get(condition.field) if thing is not None else None
        if thing is None or value is None or thing.measured is None:
            return f"{condition} is not known"
        if thing.trouble is not None:
            return f"{condition} is not known: {thing.trouble.text}"
        if (now - thing.measured).total_seconds() > condition.max_age:
            return f"{condition} has not been measured lately"
        if value is not condition.wanted:
            return f"{condition} does not hold"
    return None
