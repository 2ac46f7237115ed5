"""What somebody wants to be told of, and when: subscriptions to events (`iot-events`, ProtoXEP 0.0.1), as values.

Rules of this file
* Sans-IO. It knows how large a change is (section "Change conditions"), not who may ask or how it is written.
* What could never fire, or would fire without end, is refused with the words of what would be right.
* Changes are told apart exactly: numbers are decimals here, so that 20.1 is 0.1 above 20.0.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from devices.base import FieldSpec, Value, ValueType
from hub.errors import BadRequest
from hub.things import readout
from hub.things.model import FieldTypes, ReadoutRequest
from hub.things.values import parse_text

MAX_FIELDS = 200  # named in one subscription
MAX_TEXT = 16_384  # characters of everything that a subscription keeps: it stays in memory as long as it stands
SHORTEST_MAX_INTERVAL = dt.timedelta(seconds=1)
LONGEST_INTERVAL = dt.timedelta(days=366)
LONGEST_AGE = dt.timedelta(days=3660)
HISTORY_PAUSE = dt.timedelta(seconds=1)  # at least between two events that carry history

_DAY_S = 86_400
_MICROSECOND = dt.timedelta(microseconds=1)
_TEXTS = (ValueType.STRING, ValueType.ENUM, ValueType.COLOR)


@dataclass(frozen=True, slots=True)
class Condition:
    """How far a field has to move. `up` and `down` are positive, in the field's unit; None: not in this direction.
    `current`: what the subscriber takes the value to be, as text, since its type is known only by the field; None: the
    value when the subscription arrives."""

    name: str
    up: Decimal | None = None
    down: Decimal | None = None
    current: str | None = None


@dataclass(frozen=True, slots=True)
class Subscription:
    """`request`: whose id each event bears and whose fields it carries. `max_age` bounds the history in it.
    `at_once`: the first event right after it is accepted."""

    request: ReadoutRequest
    conditions: tuple[Condition, ...] = ()
    min_interval: dt.timedelta | None = None
    max_interval: dt.timedelta | None = None
    max_age: dt.timedelta | None = None
    at_once: bool = False

    @property
    def pause(self) -> float:
        """Seconds between two events at least."""
        shortest = HISTORY_PAUSE if self.request.types & FieldTypes.HISTORICAL else dt.timedelta(0)
        return max(self.min_interval or dt.timedelta(0), shortest).total_seconds()

    @property
    def longest(self) -> float | None:
        """Seconds between two events at most."""
        return None if self.max_interval is None else max(self.max_interval.total_seconds(), self.pause)


def check(subscription: Subscription) -> None:
    """Raises BadRequest for what could never fire, or too often."""
    readout.check(subscription.request)
    if len(subscription.request.names) > MAX_FIELDS:
        raise BadRequest(f"at most {MAX_FIELDS} fields can be named in one subscription")
    if _length(subscription) > MAX_TEXT:
        raise BadRequest(f"a subscription has at most {MAX_TEXT} characters of names, tokens and values")
    if subscription.request.nodes == ():
        raise BadRequest("this hub has several nodes: name those you want to hear of")
    shortest, longest = subscription.min_interval, subscription.max_interval
    _within("the minimum interval", shortest, dt.timedelta(0), LONGEST_INTERVAL)
    _within("the maximum interval", longest, SHORTEST_MAX_INTERVAL, LONGEST_INTERVAL)
    _within("the maximum age", subscription.max_age, dt.timedelta(0), LONGEST_AGE)
    if shortest is not None and longest is not None and longest < shortest:
        raise BadRequest("the maximum interval is shorter than the minimum interval")
    names = [condition.name for condition in subscription.conditions]
    if len(set(names)) != len(names):
        raise BadRequest("a field has conditions twice")
    if longest is None and not any(fires(condition) for condition in subscription.conditions):
        raise BadRequest("nothing would ever be sent: give a field a change to wait for, or a maximum interval")


def fires(condition: Condition) -> bool:
    """Whether it is one to wait for; one with a current value only is none."""
    return condition.up is not None or condition.down is not None


def _length(subscription: Subscription) -> int:
    request = subscription.request
    tokens = request.tokens
    texts = [tokens.service, tokens.device, tokens.user, *request.names]
    texts += [condition.current or "" for condition in subscription.conditions]
    texts += [part for node in request.nodes or () for part in (node.node_id, node.source_id, node.cache_type)]
    return sum(map(len, texts))


def _within(what: str, given: dt.timedelta | None, low: dt.timedelta, high: dt.timedelta) -> None:
    if given is not None and not low <= given <= high:
        raise BadRequest(f"{what} lies between {low.total_seconds():g} s and {high.days} days")


# --------------------------------------------------------------------------- magnitudes


def difference(before: Value, after: Value) -> Decimal:
    """By how much a value has changed, with its direction: numbers by themselves, false to true by 1, moments, times
    and durations in seconds, texts by 1 in lexical order (section "Change conditions", table). Both are values of the
    same field; of a number either may be whole."""
    if before == after:
        return Decimal(0)
    if isinstance(after, str) or isinstance(before, str):
        return Decimal(1 if str(after) > str(before) else -1)
    return _magnitude(after) - _magnitude(before)


def _magnitude(value: Value) -> Decimal:
    if isinstance(value, bool | int | Decimal):
        return Decimal(value)
    if isinstance(value, dt.datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
        return _seconds(aware - dt.datetime(1970, 1, 1, tzinfo=dt.UTC))
    if isinstance(value, dt.date):
        return Decimal(value.toordinal() * _DAY_S)
    if isinstance(value, dt.timedelta):
        return _seconds(value)
    assert isinstance(value, dt.time), value
    offset = value.utcoffset() or dt.timedelta(0)
    clock = dt.timedelta(hours=value.hour, minutes=value.minute, seconds=value.second, microseconds=value.microsecond)
    return _seconds(clock - offset)


def _seconds(duration: dt.timedelta) -> Decimal:
    return Decimal(duration // _MICROSECOND).scaleb(-6)


def moved(condition: Condition, before: Value, after: Value) -> bool:
    """Whether a change is as large as the condition wants it: the text says "more than 5 units", and means 1 where a
    detector goes from 0 to 1, so as large is enough."""
    by = difference(before, after)
    if by > 0:
        return condition.up is not None and by >= condition.up
    return by < 0 and condition.down is not None and -by >= condition.down


def baseline(condition: Condition, spec: FieldSpec) -> Value | None:
    """`current` as a value of the field; None when none is given. Raises BadRequest when it cannot be one, or when the
    condition could never hold for such a field."""
    smallest = min((limit for limit in (condition.up, condition.down) if limit is not None), default=Decimal(0))
    if smallest > 1 and spec.type in (*_TEXTS, ValueType.BOOLEAN):
        raise BadRequest(f"{spec.name} changes by 1 at most, as it is no number")
    if condition.current is None:
        return None
    try:
        return _current(spec.type, condition.current)
    except (ValueError, OverflowError):
        shown = condition.current[:40]
        raise BadRequest(f"the current value of {spec.name}, {shown!r}, is none that it can have") from None


def _current(type_: ValueType, text: str) -> Value:
    """By the field's own lexical form; or as a number, which is all that the XSF's dialect has (xs:double)."""
    if type_ in (ValueType.NUMERIC, ValueType.INT, ValueType.LONG):
        return parse_text(ValueType.NUMERIC, text)
    try:
        return parse_text(type_, text)
    except ValueError:
        number = parse_text(ValueType.NUMERIC, text)
    assert isinstance(number, Decimal)
    if type_ is ValueType.BOOLEAN and number in (0, 1):
        return bool(number)
    if type_ is ValueType.DURATION:
        return dt.timedelta(seconds=float(number))
    if type_ is ValueType.TIME and 0 <= number < _DAY_S:
        return (dt.datetime.min + dt.timedelta(seconds=float(number))).time()
    raise ValueError(f"no {type_.value} is a number")
