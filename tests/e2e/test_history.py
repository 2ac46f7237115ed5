"""The past, as a node that was restarted tells it: readings and roll-ups, in every dialect, in parts, within bounds."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from devices.base import ValueType
from hub.programs.node_telemetry import HISTORY_FILE, OUTBOX_FILE
from hub.telemetry.rollups import Level
from hub.telemetry.rows import Shapes, to_moment, to_ms
from hub.telemetry.store import Bounds, HistoryStore
from hub.things.model import Field, NodeRef, Reading
from tests.helpers import until

from .raw import RawClient, condition
from .readings import NEW, OLD, nodes, read, request, wanted
from .world import HUB, World, running

THINGS = '[things.air]\ndriver = "simulated"\nfield = "temperature"\nunit = "°C"\ninterval = "1h"\n'
BEGIN = to_ms(dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0) - dt.timedelta(hours=30))
DIALECTS = (OLD, *NEW)


@pytest.fixture
def past(state: Path) -> None:
    """A reading each minute of 28 hours: 0 at the full hour, 59 a minute before the next."""
    shapes = Shapes()
    store = HistoryStore(state / HISTORY_FILE, Bounds(31 * Level.DAY, 10**9))
    store.write([
        shapes.row(Reading(NodeRef("air"), to_moment(BEGIN + n * Level.MINUTE + 1), (
            Field("temperature", Decimal(n % 60), ValueType.NUMERIC, unit="°C"),)))
        for n in range(28 * 60 + 1)
    ], None)  # fmt: skip
    store.close()


@pytest.fixture
async def owner(server: World, state: Path, past: None) -> AsyncIterator[RawClient]:
    async with running(server.config(THINGS, state)), server.client("owner") as client:
        yield client


@pytest.mark.parametrize("namespace", DIALECTS)
async def test_the_past_before_a_restart_is_told_in_parts_whole_and_once(owner: RawClient, namespace: str) -> None:
    historical = "historical='true'" if namespace == OLD else "h='true'"
    bounds = f"from='{to_moment(BEGIN).isoformat()}' to='{to_moment(BEGIN + 28 * Level.HOUR).isoformat()}'"
    readout = await read(owner, namespace, 1, f"{historical} {bounds}", nodes(namespace, "air"))
    assert len(readout.parts) == 28
    assert [dt.datetime.fromisoformat(t) for t in readout.times()] == [
        to_moment(BEGIN + n * Level.MINUTE + 1) for n in range(28 * 60 - 1, -1, -1)]  # fmt: skip


async def test_hours_come_with_what_was_lowest_highest_and_usual_in_them(owner: RawClient) -> None:
    readout = await read(owner, OLD, 2, "historicalHour='true'", nodes(OLD, "air"))
    hours = [dt.datetime.fromisoformat(text) for text in readout.times()]
    assert hours == [to_moment(BEGIN + n * Level.HOUR) for n in range(28, 0, -1)]
    for name, value, type_ in (("temperature", "59", None), ("temperature, min", "0", "peak"),
                               ("temperature, max", "59", "peak"), ("temperature, mean", "29.50", "computed"),
                               ("temperature, count", "60", "computed")):  # fmt: skip
        field = readout.field(name)
        assert field.get("value") == value and field.get("historicalHour") == "true", name
        assert {kind for kind in ("peak", "computed", "momentary") if field.get(kind)} == ({type_} if type_ else set())


async def test_one_figure_of_the_minutes_within_bounds(owner: RawClient) -> None:
    bounds = f"from='{to_moment(BEGIN + 600_000).isoformat()}' to='{to_moment(BEGIN + 720_000).isoformat()}'"
    inner = nodes(OLD, "air") + wanted(OLD, "temperature, mean")
    readout = await read(owner, OLD, 3, f"historicalMinute='true' {bounds}", inner)
    assert [(f.get("name"), f.get("value")) for f in readout.fields()] == [
        ("temperature, mean", value) for value in ("11.00", "10.00", "9.00")]  # fmt: skip


async def test_a_figure_that_is_none_is_not_found(owner: RawClient) -> None:
    asked = request(OLD, 4, "historicalHour='true'", nodes(OLD, "air") + wanted(OLD, "temperature, sum"))
    assert condition(await owner.ask(HUB, "get", asked)) == "item-not-found"


async def test_a_folder_that_takes_no_files_is_said_and_everything_else_goes_on(
    server: World, state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in (HISTORY_FILE, OUTBOX_FILE):
        (state / name).mkdir(parents=True)
    things = THINGS.replace("1h", "50ms")
    async with running(server.config(things, state)) as node, server.client("owner") as owner:
        await until(lambda: node.publisher.published > 0, "telemetry goes on")
        await node.memory.history.write()
        readout = await read(owner, OLD, 6, "historical='true'", nodes(OLD, "air"))
        assert readout.times(), "what is in memory is told"
    said = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len([text for text in said if "no history can be written" in text]) == 1
    assert len([text for text in said if "the outbox cannot be written" in text]) == 1


async def test_a_stranger_is_told_nothing_of_the_past(server: World, state: Path, past: None) -> None:
    async with running(server.config(THINGS, state)), server.client("stranger") as stranger:
        asked = request(OLD, 5, "historical='true'", nodes(OLD, "air"))
        assert (await stranger.ask(HUB, "get", asked)).get("type") == "error"
