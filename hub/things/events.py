"""When a subscription fires: for every subscriber and every thing, by what he knows and when he was last told.

Rules of this file
* Sans-IO: `now` is seconds of a monotonic clock. Whoever calls sends what is due, and comes again at `wake_at`.
* Each thing of a subscription waits by itself ("Requesting subscription of nodes behind a concentrator"). One fires
  when a field has moved far enough from what its subscriber knows, when the thing begins to fail, fails otherwise or
  is well again, and when the maximum interval ends; never before the minimum interval has ended, and only while the
  subscriber is online and may have it.
* A change that comes too early waits: when the minimum interval ends it is looked at again, as it is then.
* A full JID has one subscription for a thing: a newer one takes the thing over ("Overriding subscriptions"). The text
  says "subscriber"; ids belong to full JIDs (XEP-0323 section 3), so two programs of one person are two.
* Everything that a subscriber can make large is bounded. Subscriptions whose subscriber is away give way first.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from devices.base import Value
from hub.errors import Overload
from hub.things.model import ReadoutRequest
from hub.things.questions import bare
from hub.things.subscription import Condition, Subscription, baseline, fires, moved
from hub.things.thing import Thing

AWAY_S = 86_400.0  # after which the subscription of somebody who does not come back is forgotten


class Key(NamedTuple):
    """Whose and which subscription. `dialect`: the namespace it came in; an id is unique within it."""

    jid: str
    dialect: str
    id: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """Subscriptions and the things they wait for, of everybody and of one bare JID."""

    subscriptions: int = 500
    watches: int = 2000
    subscriptions_each: int = 100
    watches_each: int = 500


class Watch:
    """What a subscription waits for at one thing."""

    __slots__ = ("_known", "_longest", "_pause", "_trouble", "begun", "busy", "conditions", "fired", "forced", "owner",
                 "scheduled", "thing")  # fmt: skip

    def __init__(self, owner: Standing, thing: Thing, conditions: Sequence[Condition], now: float) -> None:
        """Raises BadRequest when a condition makes no sense for its field."""
        self.owner = owner
        self.thing = thing
        self.conditions = tuple(c for c in conditions if c.name in thing.specs and fires(c))
        self._pause, self._longest = owner.subscription.pause, owner.subscription.longest
        self._known: dict[str, Value] = {}
        for condition in self.conditions:
            value = baseline(condition, thing.specs[condition.name])
            if value is None:
                value = thing.values.get(condition.name)
            if value is not None:
                self._known[condition.name] = value
        self._trouble: str | None = None
        self.begun = now
        self.fired: float | None = None
        self.forced = owner.subscription.at_once
        """An event is owed whatever has changed."""
        self.busy = False
        """An event is being sent; the next has to wait for it."""
        self.scheduled: float | None = None

    def take_over(self, before: Watch) -> None:
        """Go on where another left off: what the subscriber knows stays known."""
        self._known.update({name: value for name, value in before._known.items() if name in self._known})
        self._trouble, self.begun, self.fired = before._trouble, before.begun, before.fired
        self.forced = before.forced

    @property
    def since(self) -> float:
        """When its subscriber was told last, or asked."""
        return self.begun if self.fired is None else self.fired

    def due(self, now: float) -> bool:
        if self.busy or (self.fired is not None and now < self.fired + self._pause):
            return False
        if self.forced or (self._longest is not None and now >= self.since + self._longest):
            return True
        return self.has_news()

    def fire(self, now: float) -> None:
        """An event with the thing as it is now is sent."""
        self._known.update({c.name: self.thing.values[c.name] for c in self.conditions if c.name in self.thing.values})
        self._trouble = self.thing.trouble.text if self.thing.trouble else None
        self.fired, self.forced = now, False

    def next_look(self) -> float | None:
        """When it has to be looked at though nothing new comes."""
        if self.busy:
            return None
        if self.fired is not None and self._pause and (self.forced or self.has_news()):
            return self.fired + self._pause
        return None if self._longest is None else self.since + self._longest

    def has_news(self) -> bool:
        """Whether its subscriber knows something that is not so any more, far enough."""
        thing = self.thing
        if (thing.trouble.text if thing.trouble else None) != self._trouble:
            return True
        for condition in self.conditions:
            value = thing.values.get(condition.name)
            if value is None:
                continue
            before = self._known.get(condition.name)
            if before is None or moved(condition, before, value):
                return True
        return False


class Due(NamedTuple):
    """An event to send. `since`: when its subscriber was told last. `asked`: it is sent because it was asked for or its
    time has come, and not because there is something new."""

    watch: Watch
    since: float
    asked: bool


@dataclass(slots=True, eq=False)
class Standing:
    """A subscription that stands. `granted`: what is left of its request after it was judged. `online`: its subscriber
    is; `on_trial`: it is being judged again, and silent until it is. `taken`: what a newer one has taken over."""

    key: Key
    subscription: Subscription
    granted: ReadoutRequest
    online: bool = True
    on_trial: bool = False
    left: float = 0.0
    watches: dict[str, Watch] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    @property
    def live(self) -> bool:
        return self.online and not self.on_trial


class Subscriptions:
    def __init__(self, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._standing: dict[Key, Standing] = {}
        self._by_thing: dict[str, dict[Watch, None]] = {}
        self._heap: list[tuple[float, int, Watch]] = []
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._standing)

    @property
    def standing(self) -> tuple[Standing, ...]:
        return tuple(self._standing.values())

    # ------------------------------------------------------------------ subscriptions come and go

    def subscribe(
        self, key: Key, subscription: Subscription, granted: ReadoutRequest, things: Iterable[Thing], now: float
    ) -> Standing:
        """Of an online subscriber, for `things`; replaces what stands for them. Raises BadRequest for conditions that
        make no sense, Overload beyond the bounds; nobody who is online has lost anything then."""
        made = Standing(key, subscription, granted)
        self._watch(made, things, now)
        self._make_room(made, now)
        self.unsubscribe(key)
        for other in [one for one in self._standing.values() if one.key.jid == key.jid]:
            other.taken |= made.watches.keys()
            for name in other.watches.keys() & made.watches.keys():
                self._drop(other, name)
        self._standing[key] = made
        self._enter(made)
        return made

    def unsubscribe(self, key: Key) -> None:
        """Whether it stands or not."""
        standing = self._standing.pop(key, None)
        if standing is not None:
            for name in list(standing.watches):
                self._drop(standing, name)

    def grant(self, standing: Standing, granted: ReadoutRequest, things: Iterable[Thing], now: float) -> None:
        """It was judged again. Raises BadRequest when conditions make no sense any more."""
        before, standing.watches = dict(standing.watches), {}
        for name in before:
            self._leave(before[name])
        standing.granted, standing.on_trial = granted, False
        self._watch(standing, (thing for thing in things if thing.name not in standing.taken), now)
        for name, watch in standing.watches.items():
            if name in before and before[name].thing is watch.thing:
                watch.take_over(before[name])
        self._enter(standing)
        if not standing.watches:
            self._standing.pop(standing.key, None)

    def friendship_ended(self, jid: str) -> None:
        """With a bare JID."""
        for key in [key for key in self._standing if bare(key.jid) == jid]:
            self.unsubscribe(key)

    def came(self, jid: str) -> list[Watch]:
        """A full JID is online: what has to be looked at. Who was away is told how things are: what was sent while he
        left may not have reached him."""
        found = [one for one in self._standing.values() if one.key.jid == jid]
        watches = [watch for standing in found for watch in standing.watches.values()]
        for watch in watches:
            watch.forced = watch.forced or not watch.owner.online
        for standing in found:
            standing.online = True
        return watches

    def went(self, jid: str, now: float) -> None:
        for standing in self._standing.values():
            if standing.key.jid == jid and standing.online:
                standing.online, standing.left = False, now

    # ------------------------------------------------------------------ what is due

    def of_thing(self, name: str) -> Iterable[Watch]:
        return self._by_thing.get(name, ())

    def look(self, watches: Iterable[Watch], now: float) -> list[Due]:
        """Those that are due. Each counts as fired now, and is busy until `sent`."""
        due = []
        for watch in tuple(watches):
            if not self.stands(watch) or not watch.owner.live:
                continue
            if watch.due(now):
                due.append(Due(watch, watch.since, not watch.has_news()))
                watch.fire(now)
                watch.busy = True
            else:
                self._schedule(watch)
        return due

    def sent(self, watch: Watch, now: float) -> list[Due]:
        """Its event has been sent: what is due by now."""
        watch.busy = False
        return self.look((watch,), now)

    def stands(self, watch: Watch) -> bool:
        """Whether nobody has taken it off or over."""
        return watch.owner.watches.get(watch.thing.name) is watch and watch.owner.key in self._standing

    def expired(self, now: float) -> list[Watch]:
        """What has to be looked at because its time has come."""
        found = []
        while self._heap and self._heap[0][0] <= now:
            at, _, watch = heapq.heappop(self._heap)
            if watch.scheduled == at:
                watch.scheduled = None
                found.append(watch)
        return found

    def wake_at(self) -> float | None:
        """When the next one expires."""
        while self._heap and self._heap[0][2].scheduled != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _schedule(self, watch: Watch) -> None:
        """A later look than the one that is planned needs no plan of its own: that one makes it."""
        at = watch.next_look()
        if at is None or (watch.scheduled is not None and watch.scheduled <= at):
            return
        watch.scheduled = at
        heapq.heappush(self._heap, (at, next(self._numbers), watch))
        if len(self._heap) > 64 + 2 * sum(map(len, self._by_thing.values())):
            self._heap = [entry for entry in self._heap if entry[2].scheduled == entry[0]]
            heapq.heapify(self._heap)

    # ------------------------------------------------------------------ the table

    def _watch(self, standing: Standing, things: Iterable[Thing], now: float) -> None:
        names = standing.granted.names
        conditions = [c for c in standing.subscription.conditions if not names or c.name in names]
        for thing in things:
            standing.watches[thing.name] = Watch(standing, thing, conditions, now)

    def _enter(self, standing: Standing) -> None:
        for name, watch in standing.watches.items():
            self._by_thing.setdefault(name, {})[watch] = None

    def _drop(self, standing: Standing, name: str) -> None:
        self._leave(standing.watches.pop(name))
        if not standing.watches:
            self._standing.pop(standing.key, None)

    def _leave(self, watch: Watch) -> None:
        watch.scheduled = None
        name = watch.thing.name
        self._by_thing[name].pop(watch, None)
        if not self._by_thing[name]:
            del self._by_thing[name]

    def _make_room(self, made: Standing, now: float) -> None:
        """Raises Overload. What `made` replaces does not count."""
        for key in [k for k, s in self._standing.items() if not s.online and now - s.left > AWAY_S]:
            self.unsubscribe(key)
        self._fit(made, bare(made.key.jid), self._bounds.subscriptions_each, self._bounds.watches_each)
        self._fit(made, "", self._bounds.subscriptions, self._bounds.watches)

    def _fit(self, made: Standing, whose: str, subscriptions: int, watches: int) -> None:
        """`whose`: of this bare JID only, or of everybody."""
        others = [one for one in self._standing.values() if whose in ("", bare(one.key.jid)) and one.key != made.key]
        kept = {one.key: _left_of(one, made) for one in others}
        count, size = sum(1 for n in kept.values() if n) + 1, sum(kept.values()) + len(made.watches)
        away = sorted((one for one in others if not one.online and kept[one.key]), key=lambda one: one.left)
        gone = []
        while (count > subscriptions or size > watches) and away:
            one = away.pop(0)
            count, size = count - 1, size - kept[one.key]
            gone.append(one.key)
        if count > subscriptions or size > watches:
            raise Overload("Too many subscriptions; unsubscribe from others first, or name fewer nodes.")
        for key in gone:
            self.unsubscribe(key)


def _left_of(one: Standing, made: Standing) -> int:
    """How many watches of `one` stay when `made` takes over its things."""
    if one.key.jid != made.key.jid:
        return len(one.watches)
    return len(one.watches.keys() - made.watches.keys())
