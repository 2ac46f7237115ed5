"""What hubs remember, as charts: asked for in the coarseness that a chart can show, kept for a moment.

Rules of this file
* A day is asked for as minutes and a week as hours, each with minimum, maximum and mean: a day measured every second
  is 1,440 points on the wire, not 86,400. Behind the last full hour come minutes, behind the last full minute readings,
  and behind those what has come live.
* What is kept is asked for again from its end on. Of one chart one question is under way, of one hub
  `QUESTIONS_OF_HUB`, each with a bound in time and size.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from hub.dashboard.board import number, seconds_of
from hub.dashboard.charts import Point, joined, series, single
from hub.dashboard.view import Key, Series, Span
from hub.dashboard.watcher import in_words, moment
from hub.errors import HubError, PeerRefused, PeerSilent
from hub.services.peer import Peer
from hub.things.model import MAX, MEAN, MIN, FieldTypes, NodeRef, Reading, ReadoutRequest, rolled_name
from hub.things.readout import MAX_HISTORY

log = logging.getLogger(__name__)

TIMEOUT_S: Final = 30.0
MAX_READINGS: Final = 20_000  # of one answer: twice of what a hub of ours tells at a time
CHARTS_KEPT: Final = 32
QUESTIONS_OF_HUB: Final = 2
READINGS_SPAN_S: Final = 3_600.0
"""Readings themselves are asked for no further back than this, where minutes or hours were asked for first."""
RESOLUTION_S: Final = 0.001
"""Of the moments that a hub of ours remembers."""
READINGS: Final = FieldTypes.HISTORICAL_SECOND | FieldTypes.HISTORICAL_OTHER
NOT_KNOWN: Final = frozenset({"item-not-found", "feature-not-implemented", "bad-request"})


@dataclass(frozen=True)
class Step:
    """`apart`: the length of what is rolled up, in seconds; 0: readings. `keep`: for how many seconds what was told is
    taken for new enough."""

    types: FieldTypes
    apart: float
    keep: float


HOURS: Final = Step(FieldTypes.HISTORICAL_HOUR, 3_600.0, 120.0)
MINUTES: Final = Step(FieldTypes.HISTORICAL_MINUTE, 60.0, 30.0)
RAW: Final = Step(READINGS, 0.0, 10.0)
STEPS: Final[dict[Span, tuple[Step, ...]]] = {
    Span.HOUR: (RAW,), Span.DAY: (MINUTES, RAW), Span.WEEK: (HOURS, MINUTES, RAW)
}  # fmt: skip
LEAST_APART_S: Final = 30.0
"""Readings that are published no more often than by default are no gaps in the line."""


@dataclass
class _Kept:
    """`points` of the first step know everything before `until`; `rest`, of the finer ones behind, before
    `rest_until`."""

    points: list[Point] = field(default_factory=list)
    until: float = 0.0
    rest: list[Point] = field(default_factory=list)
    rest_until: float = 0.0
    asked: float = float("-inf")
    plain: bool = False
    """The hub knows no roll-ups."""
    full: bool = False
    """It remembers more than it tells at a time."""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Past:
    """`wall`: seconds since 1970."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._kept: OrderedDict[tuple[Key, Span], _Kept] = OrderedDict()
        self._turns: dict[str, asyncio.Semaphore] = {}

    def forget(self, hub: str) -> None:
        for key in [key for key in self._kept if key[0].hub == hub]:
            del self._kept[key]
        self._turns.pop(hub, None)

    async def series(
        self, peer: Peer | None, key: Key, span: Span, points: int, unit: str, live: list[tuple[float, float]]
    ) -> Series:
        """`peer` None: the hub is not there, and what is kept has to do."""
        kept = self._kept.setdefault((key, span), _Kept())
        self._kept.move_to_end((key, span))
        while len(self._kept) > CHARTS_KEPT:
            self._kept.popitem(last=False)
        note = "its hub is not there: what it remembers of late is missing" if peer is None else ""
        if peer is not None:
            async with kept.turn:
                if self._wall() - kept.asked > STEPS[span][0].keep:
                    note = await self._renew(peer, key, span, kept)
        if kept.full and not note:
            note = "the hub tells only the newest readings of this time"
        now = self._wall()
        whole = joined([*kept.points, *kept.rest], max(kept.until, kept.rest_until), live)
        apart = LEAST_APART_S if kept.plain else max(STEPS[span][0].apart, LEAST_APART_S)
        return series(whole, now - span.value, now, points, apart, unit, note)

    async def _renew(self, peer: Peer, key: Key, span: Span, kept: _Kept) -> str:
        """What is wrong, "" when nothing is."""
        turn = self._turns.setdefault(key.hub, asyncio.Semaphore(QUESTIONS_OF_HUB))
        try:
            async with asyncio.timeout(TIMEOUT_S), turn:
                await self._steps(peer, key, span, kept)
        except TimeoutError:
            return f"the hub did not tell all that it remembers within {TIMEOUT_S:g} s"
        except HubError as error:
            return f"what the hub remembers cannot be had: {in_words(error)[1]}"
        kept.asked = self._wall()
        return ""

    async def _steps(self, peer: Peer, key: Key, span: Span, kept: _Kept) -> None:
        now = self._wall()
        first, *others = STEPS[span]
        begin = now - span.value
        kept.points = [point for point in kept.points if point.at >= begin]
        start = max(begin, kept.until)
        if first.apart and not kept.plain:
            try:
                new, until = await _told(peer, key, first, start)
            except PeerRefused as refused:
                if refused.condition not in NOT_KNOWN:
                    raise
                kept.plain = True
        if kept.plain or not first.apart:
            new, until = await _told(peer, key, RAW, start)
            kept.full = kept.full or len(new) >= MAX_HISTORY
            others = []
        kept.points += [point for point in new if not kept.points or point.at > kept.points[-1].at]
        kept.until = max(kept.until, min(until, now))  # a hub whose clock is ahead remembers what is still to come
        rest: list[Point] = []
        edge = kept.until
        for step in others:
            start = max(edge, begin if step.apart else now - READINGS_SPAN_S)
            new, until = await _told(peer, key, step, start)
            rest += new
            edge = max(edge, min(until, now))
        kept.rest, kept.rest_until = rest, edge


async def _told(peer: Peer, key: Key, step: Step, begin: float) -> tuple[list[Point], float]:
    """What a hub remembers from `begin` on, in order of time, and before which moment that is everything. Of roll-ups
    only those that begin there or later, so that nothing is told twice."""
    names: tuple[str, ...] = (key.field,)
    if step.apart:
        names = tuple(rolled_name(key.field, what) for what in (MEAN, MIN, MAX))
    start = begin + step.apart
    request = partial(ReadoutRequest, nodes=(NodeRef(key.thing),), names=names, types=step.types, start=moment(start))
    found: dict[float, Point] = {}
    end = begin
    async for answer in peer.read(request):
        for reading in answer.readings:
            at = seconds_of(reading.timestamp)
            point = _point(reading, key, step, at)
            if point is not None and at > start - RESOLUTION_S:
                found[at] = point
                end = max(end, at if step.apart else at + RESOLUTION_S)
        if len(found) > MAX_READINGS:
            raise PeerSilent(f"{key.hub} tells more than it was asked for")
    return [found[at] for at in sorted(found)], end


def _point(reading: Reading, key: Key, step: Step, at: float) -> Point | None:
    """A reading as a point; a roll-up stands in the middle of its time, of which its moment is the end."""
    values = {each.name: number(each.value) for each in reading.fields}
    if not step.apart:
        value = values.get(key.field)
        return None if value is None else single(at, value)
    mean, low, high = (values.get(rolled_name(key.field, what)) for what in (MEAN, MIN, MAX))
    if mean is None or low is None or high is None:
        return None
    return Point(at - step.apart / 2, mean, low, high)
