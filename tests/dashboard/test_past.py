"""Charts of what a real node remembers, over a real server: joined with what has come since, without doubles."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from devices.base import ValueType
from hub.dashboard import past
from hub.dashboard.view import Key, Series, Span
from hub.programs.node_telemetry import HISTORY_FILE
from hub.telemetry.rollups import Level
from hub.telemetry.rows import Shapes, to_moment
from hub.telemetry.store import Bounds, HistoryStore
from hub.things.model import Field, NodeRef, Reading
from tests.dashboard.watching import GREENHOUSE, Watching, text, watching
from tests.e2e.world import SAMPLED, World, running
from tests.helpers import until

KEY = Key(GREENHOUSE, "air", "value")
AIR = '[things.air]\ndriver = "simulated"\nkind = "counter"\ninterval = "200ms"\nchange = { value = 1 }\n'
TEXTS = '[things.all]\ndriver = "simulated"\nkind = "types"\n'
MINUTES = 200


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("server")) as made:
        yield made.populate("greenhouse", "owner")


def remember(state: Path, now: float) -> dict[int, list[int]]:
    """A reading every 10 s, for `MINUTES` until ten minutes ago, with a hole of an hour in the middle; what was
    measured, by the minute."""
    state.mkdir(parents=True)
    shapes, rows, minutes = Shapes(), [], dict[int, list[int]]()
    end = int(now - 600) // 60 * 60
    for at in range(end - 60 * MINUTES, end, 10):
        if end - 7200 <= at < end - 3600:
            continue
        value = at % 977
        minutes.setdefault(at // 60 * 60, []).append(value)
        field = Field("value", value, ValueType.INT)
        rows.append(shapes.row(Reading(NodeRef("air"), to_moment(at * 1000), (field,))))
    store = HistoryStore(state / HISTORY_FILE, Bounds(31 * Level.DAY, 10**9))
    store.open()
    store.write(rows, None)
    store.close()
    return minutes


@contextlib.asynccontextmanager
async def seen(world: World, state: Path, things: str = AIR) -> AsyncIterator[Watching]:
    config = world.config(things, state)
    async with running(config), watching(text(world, f'hubs = ["{GREENHOUSE}"]')) as watched:
        await watched.online(GREENHOUSE)
        yield watched


def points(series: Series) -> list[tuple[float, float, float, float]]:
    """Without the gaps."""
    rows = zip(series.times, series.mean, series.low, series.high, strict=True)
    return [(at, mean, low, high) for at, mean, low, high in rows if None not in (mean, low, high)]  # type: ignore[misc]


async def test_a_day_is_its_minutes_with_their_extremes(world: World, tmp_path: Path) -> None:
    minutes = remember(tmp_path / "state", time.time())
    async with seen(world, tmp_path / "state") as watched:
        series = await watched.hubs.series(KEY, Span.DAY, 2000)
    last = max(minutes)  # not over for the node, as nothing came behind it: its readings are there themselves
    assert [mean for at, mean, *_ in points(series) if last <= at < last + 60] == minutes.pop(last)
    there = {at - 30: (mean, low, high) for at, mean, low, high in points(series) if at - 30 in minutes}
    assert there.keys() == minutes.keys() and series.note == ""
    for start, values in minutes.items():
        mean, low, high = there[start]
        assert (low, high) == (min(values), max(values)) and abs(mean - sum(values) / len(values)) < 0.01
    gaps = [at for at, mean in zip(series.times, series.mean, strict=True) if mean is None]
    assert len(gaps) == 2  # the hole, and the ten minutes before the node came


async def test_fewer_points_keep_the_extremes(world: World, tmp_path: Path) -> None:
    minutes = remember(tmp_path / "state", time.time())
    async with seen(world, tmp_path / "state") as watched:
        series = await watched.hubs.series(KEY, Span.DAY, 50)
    assert len(series.times) <= 50
    assert max(high for *_, high in points(series)) == max(map(max, minutes.values()))


async def test_a_week_is_hours_and_behind_them_minutes(world: World, tmp_path: Path) -> None:
    minutes = remember(tmp_path / "state", time.time())
    async with seen(world, tmp_path / "state") as watched:
        series = await watched.hubs.series(KEY, Span.WEEK, 2000)
    drawn = points(series)
    hours = {start // 3600 * 3600 for start in minutes}
    whole = {hour for hour in hours if hour + 3600 <= max(minutes)}  # over for the node, as something came behind
    assert {at - 1800 for at, *_ in drawn} >= whole
    assert [at for at, *_ in drawn] == sorted({at for at, *_ in drawn})
    assert max(high for *_, high in drawn) == max(map(max, minutes.values()))


async def test_an_hour_is_its_readings_and_goes_on_live_without_doubles(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with seen(world, tmp_path / "state") as watched:
        first = await watched.hubs.series(KEY, Span.HOUR, 2000)
        count = len(points(first))
        await until(lambda: len(watched.hubs._tiles.live(KEY)) >= 12, "live values come")
        for _ in range(2):  # from what is kept and live, and then asked again from its end on
            series = await watched.hubs.series(KEY, Span.HOUR, 2000)
            drawn = points(series)
            sampled = {measured.timestamp(): values["value"] for measured, values in SAMPLED["air"]}
            assert len(drawn) > count
            assert all(after - before > 0.01 for (before, *_), (after, *_) in itertools.pairwise(drawn)), "doubles"
            assert drawn[-1][0] >= watched.hubs._tiles.live(KEY)[-2][0] - 0.001
            for at, mean, low, high in drawn:
                measured = min(sampled, key=lambda moment, at=at: abs(moment - at))  # type: ignore[misc]
                assert abs(measured - at) < 0.002 and mean == low == high == sampled[measured]
            missing = [at for at in sampled if drawn[0][0] - 0.001 <= at <= drawn[-1][0] and not any(
                abs(at - there) < 0.002 for there, *_ in drawn)]  # fmt: skip
            assert missing == []
            monkeypatch.setitem(past.STEPS, Span.HOUR, (past.Step(past.READINGS, 0.0, -1.0),))


async def test_without_its_hub_a_chart_says_so_and_shows_what_there_is(world: World, tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        config = world.config(AIR, tmp_path / "state")
        node = contextlib.AsyncExitStack()
        await node.enter_async_context(running(config))
        watched = await stack.enter_async_context(watching(text(world, f'hubs = ["{GREENHOUSE}"]')))
        await watched.online(GREENHOUSE)
        there = points(await watched.hubs.series(KEY, Span.DAY, 100))
        await node.aclose()
        await until(lambda: not watched.hub(GREENHOUSE).up, "it is gone")
        series = await watched.hubs.series(KEY, Span.DAY, 100)
        assert "not there" in series.note and len(points(series)) >= len(there) > 0
        assert "not there" in (await watched.hubs.series(KEY, Span.WEEK, 100)).note


async def test_many_who_look_at_the_same_ask_once(world: World, tmp_path: Path) -> None:
    async with seen(world, tmp_path / "state") as watched:
        asked: list[object] = []
        real = past._told

        async def told(*arguments: object) -> object:
            asked.append(arguments)
            return await real(*arguments)  # type: ignore[arg-type]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(past, "_told", told)
            await asyncio.gather(*(watched.hubs.series(KEY, Span.HOUR, 100) for _ in range(20)))
        assert len(asked) == 1


async def test_there_is_no_chart_of_words(world: World, tmp_path: Path) -> None:
    async with seen(world, tmp_path / "state", TEXTS) as watched:
        tiles = {tile.type: tile.key for tile in watched.hubs.tiles()}
        series = await watched.hubs.series(tiles[ValueType.STRING], Span.DAY, 100)
        assert series.times == () and "no chart" in series.note
        for drawn in (ValueType.NUMERIC, ValueType.BOOLEAN, ValueType.INT):
            assert points(await watched.hubs.series(tiles[drawn], Span.HOUR, 100)), drawn
        with pytest.raises(KeyError):
            await watched.hubs.series(Key(GREENHOUSE, "all", "nothing"), Span.DAY, 100)
