"""When a subscription fires: magnitudes, intervals, presence, overriding, bounds; and all of it against a model that
looks at everything all the time."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.base import FieldSpec, NotResponding, Value, ValueType
from hub.errors import BadRequest, Overload
from hub.things.events import AWAY_S, Bounds, Key, Standing, Subscriptions
from hub.things.model import FieldTypes, NodeRef, ReadoutRequest
from hub.things.subscription import Condition, Subscription, baseline, difference
from hub.things.thing import Description, Thing

MOMENT = dt.datetime(2026, 11, 21, 8, 0, tzinfo=dt.UTC)
OWNER, PHONE, OTHER = "owner@x/pc", "owner@x/phone", "other@x/pc"
HALF = Decimal("0.5")
FIELDS = (
    FieldSpec("temperature", decimals=1), FieldSpec("motion", ValueType.BOOLEAN), FieldSpec("mode", ValueType.STRING),
)  # fmt: skip


def thing(name: str = "air", **values: Any) -> Thing:
    made = Thing(Description(name, fields=FIELDS))
    if values:
        made.measured_at(values, MOMENT)
    return made


def subscription(
    *conditions: Condition, low: float | None = None, high: float | None = None, at_once: bool = False,
    types: FieldTypes = FieldTypes.MOMENTARY, nodes: tuple[str, ...] = (),
) -> Subscription:  # fmt: skip
    names = tuple(condition.name for condition in conditions)
    low_, high_ = (None if s is None else dt.timedelta(seconds=s) for s in (low, high))
    request = ReadoutRequest("1", tuple(map(NodeRef, nodes)) or None, names, types)
    return Subscription(request, conditions, low_, high_, None, at_once)


def by(limit: str, name: str = "temperature", current: str | None = None) -> Condition:
    return Condition(name, Decimal(limit), Decimal(limit), current)


class Desk:
    """The engine with one clock, and what has fired since it was asked last."""

    def __init__(self, *things: Thing, bounds: Bounds | None = None) -> None:
        self.engine = Subscriptions(bounds)
        self.things = things
        self.now = 0.0

    def subscribe(self, wanted: Subscription, jid: str = OWNER, id_: str = "1", things: Any = None) -> Standing:
        key = Key(jid, "d", id_)
        return self.engine.subscribe(key, wanted, wanted.request, things or self.things, self.now)

    def becomes(self, now: float, which: int = 0, **values: Any) -> list[str]:
        self.now = now
        self.things[which].measured_at(values, MOMENT)
        return self.fired(self.engine.of_thing(self.things[which].name))

    def fails(self, now: float, text: str) -> list[str]:
        self.now = now
        self.things[0].failed(NotResponding(text), MOMENT)
        return self.fired(self.engine.of_thing("air"))

    def waits(self, now: float) -> list[str]:
        """Time passes; the engine is called when it has asked for it, and not else."""
        found = []
        while (at := self.engine.wake_at()) is not None and at <= now:
            self.now = at
            found += self.fired(self.engine.expired(at))
        self.now = now
        return found

    def fired(self, watches: Any) -> list[str]:
        due = self.engine.look(watches, self.now)
        again = [each for one in due for each in self.engine.sent(one.watch, self.now)]
        assert not again, "what has just been told is no news"
        return [one.watch.owner.key.jid for one in due]

    def stand(self) -> list[str]:
        return [standing.key.jid for standing in self.engine.standing]


# --------------------------------------------------------------------------- how large a change is

DAY = dt.timedelta(days=1)


@pytest.mark.parametrize(
    ("before", "after", "by"),
    [
        (False, True, 1), (True, False, -1), (True, True, 0),
        (Decimal("20.0"), Decimal("20.1"), Decimal("0.1")), (3, -4, -7), (2**62, 2**62 + 1, 1),
        ("auto", "off", 1), ("off", "auto", -1), ("off", "off", 0), ("a", "aa", 1),
        (dt.date(2026, 2, 28), dt.date(2026, 3, 1), 86_400),
        (MOMENT, MOMENT + dt.timedelta(milliseconds=1500), Decimal("1.5")),
        (MOMENT, MOMENT.astimezone(dt.timezone(dt.timedelta(hours=5))), 0),
        (dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + DAY, 86_400),
        (dt.timedelta(minutes=1), dt.timedelta(seconds=30), -30),
        (dt.time(8, 0), dt.time(8, 0, 0, 250_000), Decimal("0.25")),
        (dt.time(8, 0, tzinfo=dt.timezone(dt.timedelta(hours=1))), dt.time(8, 0, tzinfo=dt.UTC), 3600),
    ],
)  # fmt: skip
def test_the_magnitude_of_a_change(before: Value, after: Value, by: Decimal) -> None:
    assert difference(before, after) == by


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        (ValueType.NUMERIC, "20.50", Decimal("20.5")), (ValueType.INT, "20.5", Decimal("20.5")),
        (ValueType.BOOLEAN, "0", False), (ValueType.BOOLEAN, "1.0", True), (ValueType.BOOLEAN, "true", True),
        (ValueType.STRING, "off", "off"), (ValueType.ENUM, "0", "0"), (ValueType.DURATION, "90", dt.timedelta(0, 90)),
        (ValueType.DURATION, "PT90S", dt.timedelta(0, 90)), (ValueType.TIME, "3600.5", dt.time(1, 0, 0, 500_000)),
        (ValueType.DATE, "2026-11-21", dt.date(2026, 11, 21)),
    ],
)  # fmt: skip
def test_a_current_value_is_of_the_type_of_its_field(type_: ValueType, text: str, value: Value) -> None:
    assert baseline(by("1", "x", text), FieldSpec("x", type_)) == value


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (ValueType.NUMERIC, "warm"), (ValueType.BOOLEAN, "2"), (ValueType.DATE, "0"), (ValueType.DATETIME, "17"),
        (ValueType.TIME, "86400"), (ValueType.TIME, "-1"), (ValueType.DURATION, "1" + "0" * 300), (ValueType.LONG, ""),
    ],
)  # fmt: skip
def test_a_current_value_that_a_field_cannot_have_is_refused(type_: ValueType, text: str) -> None:
    with pytest.raises(BadRequest, match="the current value of x"):
        baseline(by("1", "x", text), FieldSpec("x", type_))


@pytest.mark.parametrize("name", ["motion", "mode"])
def test_a_change_that_can_never_be_so_large_is_refused(name: str) -> None:
    desk = Desk(thing(motion=False))
    with pytest.raises(BadRequest, match="by 1 at most"):
        desk.subscribe(subscription(by("2", name)))
    assert desk.stand() == []


# --------------------------------------------------------------------------- when it fires


def test_only_a_change_that_is_large_enough_fires_and_what_was_told_counts_from_then_on() -> None:
    desk = Desk(thing(temperature=20))
    desk.subscribe(subscription(by("0.5")))
    told = [len(desk.becomes(n, temperature=t)) for n, t in enumerate([20, 20.4, 20.5, 20.9, 21.0, 20.6, 20.5])]
    assert told == [0, 0, 1, 0, 1, 0, 1]


def test_up_and_down_are_ways_of_their_own() -> None:
    desk = Desk(thing(temperature=20, mode="b"))
    desk.subscribe(subscription(Condition("temperature", up=HALF), Condition("mode", down=Decimal(1))))
    assert not desk.becomes(1, temperature=10, mode="c")
    assert not desk.becomes(2, temperature=20.4, mode="b"), "measured from what the subscriber knows"
    assert desk.becomes(3, temperature=20.5, mode="b")
    assert desk.becomes(4, temperature=20.5, mode="a")


def test_a_current_value_is_what_a_change_is_measured_from() -> None:
    desk = Desk(thing(temperature=20))
    standing = desk.subscribe(subscription(by("0.5", current="20.1")))
    assert not desk.fired(standing.watches.values())
    standing = desk.subscribe(subscription(by("0.5", current="19.5")))
    assert desk.fired(standing.watches.values()) == [OWNER]


def test_the_first_value_that_a_thing_ever_has_is_news() -> None:
    desk = Desk(thing())
    desk.subscribe(subscription(by("100")))
    assert desk.becomes(1, temperature=20)
    assert not desk.becomes(2, temperature=20)


def test_a_thing_that_fails_is_news_and_so_is_its_end() -> None:
    desk = Desk(thing(temperature=20))
    desk.subscribe(subscription(by("100"), low=10))
    assert desk.fails(1, "no answer")
    assert not desk.fails(2, "no answer")
    assert not desk.fails(3, "the checksum is wrong")
    assert desk.waits(11), "it fails in another way, and that was held back"
    assert not desk.becomes(12, temperature=20) and desk.waits(21)
    assert not desk.waits(1000)


def test_a_change_that_comes_too_early_is_sent_when_the_interval_ends() -> None:
    desk = Desk(thing(temperature=20))
    desk.subscribe(subscription(by("1"), low=10))
    assert desk.becomes(1, temperature=21)
    assert not desk.becomes(2, temperature=25)
    assert not desk.waits(10.9)
    assert desk.waits(11) == [OWNER]
    assert not desk.waits(100)


def test_a_change_that_is_gone_when_the_interval_ends_was_none() -> None:
    desk = Desk(thing(temperature=20))
    desk.subscribe(subscription(by("1"), low=10))
    assert desk.becomes(1, temperature=21)
    assert not desk.becomes(2, temperature=25)
    assert not desk.becomes(3, temperature=21) and not desk.waits(100)


def test_something_comes_at_least_every_maximum_interval() -> None:
    desk = Desk(thing(temperature=20))
    standing = desk.subscribe(subscription(high=60))
    desk.fired(standing.watches.values())
    assert len(desk.waits(59)) == 0
    assert len(desk.waits(185)) == 3
    desk = Desk(thing(temperature=20))
    desk.subscribe(subscription(by("1"), low=5, high=60))
    assert desk.becomes(30, temperature=30)
    assert not desk.waits(89) and desk.waits(90), "counted from the last event"


def test_what_is_asked_for_at_once_comes_once() -> None:
    desk = Desk(thing(temperature=20))
    standing = desk.subscribe(subscription(by("1"), low=10, at_once=True))
    assert desk.fired(standing.watches.values())
    assert not desk.fired(standing.watches.values())
    assert not desk.becomes(1, temperature=30), "the minimum interval counts from it"


def test_history_has_a_pause_of_its_own() -> None:
    desk = Desk(thing(temperature=20))
    desk.subscribe(subscription(by("1"), types=FieldTypes.ALL))
    assert desk.becomes(1, temperature=30)
    assert not desk.becomes(1.5, temperature=40)
    assert desk.waits(2)


def test_the_next_event_waits_until_the_one_before_has_been_sent() -> None:
    desk = Desk(thing(temperature=20))
    desk.subscribe(subscription(by("1"), high=5))
    desk.things[0].measured_at({"temperature": 30}, MOMENT)
    (due,) = desk.engine.look(desk.engine.of_thing("air"), 1)
    assert due.since == 0
    assert not desk.becomes(2, temperature=40) and not desk.waits(30)
    (again,) = desk.engine.sent(due.watch, 30)
    assert again.since == 1


# --------------------------------------------------------------------------- who


def test_nothing_is_sent_to_who_is_away_and_it_is_looked_at_when_he_comes() -> None:
    desk = Desk(thing(temperature=20))
    desk.subscribe(subscription(by("1"), high=60))
    desk.engine.went(OWNER, 1)
    assert not desk.becomes(2, temperature=30) and not desk.waits(500)
    assert desk.engine.came(PHONE) == [], "a full JID counts"
    assert desk.fired(desk.engine.came(OWNER)) == [OWNER]
    assert not desk.fired(desk.engine.came(OWNER)), "he was not away"
    desk.engine.went(OWNER, 501)
    assert desk.fired(desk.engine.came(OWNER)) == [OWNER], "what was sent while he left may not have reached him"


def test_what_is_on_trial_is_silent_until_it_is_granted_and_goes_on_where_it_was() -> None:
    air = thing(temperature=20)
    desk = Desk(air)
    standing = desk.subscribe(subscription(by("1"), Condition("motion", Decimal(1))))
    standing.on_trial = True
    assert not desk.becomes(1, temperature=30, motion=True)
    narrowed = ReadoutRequest("1", None, ("temperature",))
    desk.engine.grant(standing, narrowed, [air], 2)
    assert standing.granted is narrowed
    assert desk.fired(standing.watches.values()) == [OWNER]
    assert not desk.becomes(3, temperature=30, motion=False)
    assert not desk.becomes(4, temperature=30, motion=True), "a field that may not be read tells nothing by its moving"


def test_a_new_subscription_takes_over_the_things_it_names() -> None:
    desk = Desk(thing("air", temperature=20), thing("attic", temperature=20))
    desk.subscribe(subscription(by("1")), id_="1")
    desk.subscribe(subscription(by("1")), PHONE, "1")
    desk.subscribe(subscription(by("5")), id_="2", things=[desk.things[0]])
    assert desk.becomes(1, 0, temperature=22) == [PHONE]
    assert desk.becomes(1, 1, temperature=22) == [OWNER, PHONE], "only for the thing that it names"
    desk.subscribe(subscription(by("7")), id_="2", things=[desk.things[1]])
    assert desk.becomes(2, 0, temperature=90) == [PHONE], "the same id is the same subscription"
    assert sorted(desk.stand()) == [OWNER, PHONE], "nothing is left of the first"


def test_what_was_narrowed_comes_back_but_not_what_a_newer_one_has_taken_over() -> None:
    desk = Desk(thing("air", temperature=20), thing("attic", temperature=20))
    air, attic = desk.things
    first = desk.subscribe(subscription(by("1")), id_="1")
    desk.engine.grant(first, first.granted, [air], 1)
    assert not desk.becomes(2, 1, temperature=30)
    desk.engine.grant(first, first.granted, [air, attic], 3)
    assert desk.becomes(4, 1, temperature=40) == [OWNER]
    desk.subscribe(subscription(by("1")), id_="2", things=[attic])
    desk.engine.grant(first, first.granted, [air, attic], 5)
    assert desk.becomes(6, 1, temperature=50) == [OWNER], "once"
    assert desk.becomes(7, 0, temperature=50) == [OWNER]


def test_it_ends_when_it_is_taken_off_or_the_friendship_ends() -> None:
    desk = Desk(thing(temperature=20))
    for jid in (OWNER, PHONE, OTHER):
        desk.subscribe(subscription(by("1")), jid)
    desk.engine.unsubscribe(Key(OWNER, "d", "1"))
    desk.engine.unsubscribe(Key(OWNER, "d", "9"))
    assert sorted(desk.becomes(1, temperature=30)) == [OTHER, PHONE]
    desk.engine.friendship_ended("owner@x")
    assert desk.becomes(2, temperature=40) == [OTHER]
    desk.engine.unsubscribe(Key(OTHER, "d", "1"))
    assert not desk.becomes(3, temperature=50) and desk.engine.wake_at() is None and len(desk.engine) == 0


# --------------------------------------------------------------------------- bounds


def test_each_has_his_bound_and_all_have_theirs() -> None:
    desk = Desk(thing("a"), thing("b"), bounds=Bounds(4, 100, 2, 100))
    a, b = ([one] for one in desk.things)
    wanted = subscription(high=60)
    desk.subscribe(wanted, OWNER, "1", a)
    desk.subscribe(wanted, OWNER, "2", b)
    with pytest.raises(Overload):
        desk.subscribe(wanted, PHONE, "3", b)
    desk.subscribe(wanted, OWNER, "3", b)  # replaces one
    desk.subscribe(wanted, OWNER, "3", [thing("c")])  # the same id is the same subscription
    desk.subscribe(wanted, "x@x/1", "1", a)
    desk.subscribe(wanted, "y@x/1", "1", a)
    with pytest.raises(Overload):
        desk.subscribe(wanted, "z@x/1", "1", a)
    assert len(desk.engine) == 4


def test_things_are_counted_too_and_the_oldest_of_those_away_give_way() -> None:
    desk = Desk(thing("a"), thing("b"), thing("c"), bounds=Bounds(100, 100, 100, 4))
    wanted = subscription(high=60)
    for n, left in ((1, 5.0), (2, 4.0)):
        desk.subscribe(wanted, f"owner@x/{n}", "1", desk.things[:2])
        desk.engine.went(f"owner@x/{n}", left)
    desk.subscribe(wanted, "owner@x/3", "1", desk.things[:1])
    assert sorted(desk.stand()) == ["owner@x/1", "owner@x/3"]
    with pytest.raises(Overload, match="fewer nodes"):
        desk.subscribe(wanted, "owner@x/4", "1", [*desk.things, thing("d"), thing("e")])


def test_who_does_not_come_back_is_forgotten() -> None:
    desk = Desk(thing("a"))
    desk.subscribe(subscription(high=60), OWNER)
    desk.subscribe(subscription(high=60), PHONE)
    desk.engine.went(OWNER, 1)
    desk.now = AWAY_S + 2
    desk.subscribe(subscription(high=60), OTHER)
    assert desk.stand() == [PHONE, OTHER]


def test_what_is_planned_stays_small_however_often_it_changes() -> None:
    desk = Desk(thing(temperature=20))
    standing = desk.subscribe(subscription(by("1"), low=1, high=1000))
    desk.fired(standing.watches.values())
    for n in range(1, 2000):
        desk.becomes(n / 2, temperature=n % 100)
        desk.waits(n / 2)
    assert len(desk.engine._heap) < 200


# --------------------------------------------------------------------------- against a model

STEP = 0.25  # seconds; exact in binary
steps = st.integers(0, 12)


class Naive:
    """Looks at everything at every step, and remembers what it has said."""

    def __init__(self, low: float, high: float | None, limit: Decimal, now: float, value: int | None) -> None:
        self.low, self.high, self.limit = low, high, limit
        self.known, self.last, self.said, self.online = value, now, False, True
        self.trouble = ""
        self.owed = False

    def look(self, now: float, value: int | None, trouble: str) -> bool:
        if not self.online or (self.said and now < self.last + self.low):
            return False
        changed = value is not None and (self.known is None or abs(value - self.known) >= self.limit)
        late = self.high is not None and now >= self.last + self.high
        if not (self.owed or changed or late or trouble != self.trouble):
            return False
        self.known, self.last, self.said, self.trouble = value if value is not None else self.known, now, True, trouble
        self.owed = False
        return True


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.sampled_from(["value", "value", "fail", "away", "back"]),
                       st.integers(-5, 5)), max_size=30),
    steps, st.none() | st.integers(4, 30), st.integers(1, 4), st.none() | st.integers(-5, 5),
)  # fmt: skip
def test_it_fires_when_a_model_that_looks_all_the_time_does(
    course: list[tuple[int, str, int]], low: int, high: int | None, limit: int, first: int | None
) -> None:
    air = thing() if first is None else thing(temperature=first)
    if high is not None:
        high = max(high, low)
    desk = Desk(air)
    seconds = None if high is None else high * STEP
    standing = desk.subscribe(subscription(by(str(limit)), low=low * STEP, high=seconds))
    model = Naive(low * STEP, seconds, Decimal(limit), 0.0, first)
    value, trouble, at = first, "", 0
    expected: list[tuple[float, int | None, str]] = []
    found: list[tuple[float, int | None, str]] = []

    def looked(until: int) -> None:
        """The model looks at each step in between; the engine when it has asked for it."""
        nonlocal at
        for step in range(at + 1, until + 1):
            if model.look(step * STEP, value, trouble):
                expected.append((step * STEP, value, trouble))
            if desk.waits(step * STEP):
                found.append((step * STEP, value, trouble))
        at = until

    desk.fired(standing.watches.values())
    for wait, what, number in course:
        looked(at + wait)
        now = desk.now = at * STEP
        fired: list[str] = []
        if what == "value":
            value, trouble = number, ""
            fired = desk.becomes(now, temperature=number)
        elif what == "fail":
            trouble = f"fault {number}"
            fired = desk.fails(now, trouble)
        elif what == "away":
            model.online = False
            desk.engine.went(OWNER, now)
        else:
            model.owed, model.online = model.owed or not model.online, True
            fired = desk.fired(desk.engine.came(OWNER))
        if model.look(now, value, trouble):
            expected.append((now, value, trouble))
        found += [(now, value, trouble)] * len(fired)
    looked(at + 80)
    assert found == expected
