"""Which fields answer a request, and how they are cut into parts."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from devices.base import FieldSpec, NotResponding
from hub.errors import BadRequest, NotFound, RequestError
from hub.things import readout
from hub.things.model import Answer, FieldTypes, NodeRef, Reading, ReadoutRequest, Trouble
from hub.things.readout import TRANSITIONS, Event, State, addressed, check, collect, parts
from hub.things.thing import Description, Thing

NOW = dt.datetime(2026, 11, 21, 8, 0, 0, 1, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


class Memory:
    """Everything that was measured, told two readings at a time."""

    def __init__(self) -> None:
        self.kept: dict[str, list[Reading]] = {}
        self.told = 0

    async def read(
        self, thing: Thing, names: Sequence[str], types: FieldTypes, start: dt.datetime | None, end: dt.datetime | None
    ) -> AsyncIterator[Sequence[Reading]]:
        assert types and not types & FieldTypes.PRESENT
        kept = [r for r in self.kept[thing.name][::-1] if (start or r.timestamp) <= r.timestamp <= (end or r.timestamp)]
        for n in range(0, len(kept), 2):
            self.told += len(kept[n : n + 2])
            some = [dataclasses.replace(r, fields=tuple(f for f in r.fields if not names or f.name in names))
                    for r in kept[n : n + 2]]  # fmt: skip
            yield [reading for reading in some if reading.fields]


MEMORY = Memory()


def make(name: str, *fields: str, readings: int = 1) -> Thing:
    thing = Thing(Description(name, fields=tuple(FieldSpec(field) for field in fields)))
    MEMORY.kept[name] = []
    for n in range(readings):
        thing.measured_at(dict.fromkeys(fields, n), NOW + n * SECOND)
        newest = thing.reading()
        assert newest is not None
        MEMORY.kept[name].append(newest)
    return thing


async def collected(wanted: ReadoutRequest, things: Sequence[Thing]) -> list[Reading | Trouble]:
    return [item async for some in collect(wanted, things, MEMORY) for item in some]


AIR, SOIL = make("air", "temperature", "humidity"), make("soil", "moisture")
THINGS = {"air": AIR, "soil": SOIL}


def request(*nodes: str, names: tuple[str, ...] = (), types: FieldTypes = FieldTypes.ALL, **more: dt.datetime
            ) -> ReadoutRequest:  # fmt: skip
    return ReadoutRequest("1", tuple(map(NodeRef, nodes)) or None, names, types, **more)


@pytest.mark.parametrize(("wanted", "found"), [
    (request(), ["air", "soil"]),
    (request("soil"), ["soil"]),
    (request("soil", "air"), ["soil", "air"]),
    (request("soil", "air", "soil"), ["soil", "air"]),
    (request(names=("moisture",)), ["air", "soil"]),
    (request("air", names=("temperature", "humidity")), ["air"]),
    (request("air", names=("temperature, mean", "humidity, max")), ["air"]),
    (ReadoutRequest("1", nodes=()), []),
    (ReadoutRequest("1", nodes=(), names=("anything",)), []),
    (ReadoutRequest("1", nodes=(NodeRef("air", "source", "type"),)), ["air"]),
])  # fmt: skip
def test_a_request_is_about_these_things_in_its_order(wanted: ReadoutRequest, found: list[str]) -> None:
    assert [thing.name for thing in addressed(wanted, THINGS)] == found


@pytest.mark.parametrize(("wanted", "named"), [
    (request("ghost"), "ghost"), (request("air", "ghost"), "ghost"), (request(names=("pressure",)), "pressure"),
    (request("soil", names=("temperature",)), "temperature"), (request(names=("moisture", "pressure")), "pressure"),
    (request(names=("pressure, mean",)), "pressure"), (request(names=("temperature, sum",)), "temperature, sum"),
    (request(names=("temperature, mean",), types=FieldTypes.PRESENT), "temperature, mean"),
    (request("Air"), "Air"), (request(""), "no such node"),
])  # fmt: skip
def test_what_is_not_here_is_said_by_name(wanted: ReadoutRequest, named: str) -> None:
    with pytest.raises(NotFound, match=named):
        addressed(wanted, THINGS)


@pytest.mark.parametrize("wanted", [
    lambda: request(*["air"] * (readout.MAX_NODES + 1)),
    lambda: request(start=NOW, end=NOW - SECOND),
    lambda: request(types=FieldTypes(0)),
])  # fmt: skip
def test_what_no_thing_could_answer_is_refused(wanted: Callable[[], ReadoutRequest]) -> None:
    with pytest.raises(RequestError) as caught:
        check(wanted())
    assert type(caught.value) is BadRequest


def test_the_bounds_themselves_are_allowed() -> None:
    check(request(*["air"] * readout.MAX_NODES))
    check(request(start=NOW, end=NOW))


async def test_a_thing_answers_with_its_trouble_then_its_values_then_its_history() -> None:
    thing = make("air", "temperature", readings=3)
    thing.failed(NotResponding("away"), NOW + 5 * SECOND)
    trouble, newest, *past = await collected(request(), [thing])
    assert isinstance(trouble, Trouble) and trouble.text == "away"
    assert isinstance(newest, Reading) and newest.fields[0].types is FieldTypes.MOMENTARY
    assert [item.timestamp for item in past] == [NOW + n * SECOND for n in (1, 0)]  # the newest is there once


@pytest.mark.parametrize(("types", "count"), [
    (FieldTypes.MOMENTARY, 1), (FieldTypes.HISTORICAL, 3), (FieldTypes.ALL, 3), (FieldTypes.IDENTITY, 0),
])  # fmt: skip
async def test_only_the_categories_asked_for_answer(types: FieldTypes, count: int) -> None:
    assert len(await collected(request(types=types), [make("air", "temperature", readings=3)])) == count


async def test_from_and_to_bound_the_history_and_not_the_present() -> None:
    thing = make("air", "temperature", readings=5)
    found = await collected(request(start=NOW + SECOND, end=NOW + 2 * SECOND), [thing])
    assert [item.timestamp for item in found] == [NOW + n * SECOND for n in (4, 2, 1)]


async def test_a_field_filter_holds_for_the_present_and_the_past() -> None:
    found = await collected(request(names=("humidity",)), [AIR, SOIL])
    assert found and all([f.name for f in item.fields] == ["humidity"] for item in found if isinstance(item, Reading))


async def test_the_history_of_all_things_together_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readout, "MAX_HISTORY", 5)
    MEMORY.told = 0
    things = [make("a", "f", readings=3), make("b", "f", readings=3), make("c", "f", readings=3)]
    found = await collected(request(types=FieldTypes.HISTORICAL), things)
    assert [item.node.node_id for item in found] == ["a"] * 3 + ["b"] * 2
    assert MEMORY.told < 9, "not more is read than is answered"
    with_present = await collected(request(), things)
    assert [item.node.node_id for item in with_present].count("c") == 1  # its newest value still


def reading(size: int, name: str = "air") -> Reading:
    thing = make(name, *(f"f{n}" for n in range(size)))
    found = thing.reading()
    assert found is not None
    return found


TROUBLE = Trouble(NodeRef("air"), NOW, "away")


@pytest.mark.parametrize(("items", "size", "cut"), [
    ([], 10, [0]),
    ([reading(10)], 10, [10]),
    ([reading(5), reading(5)], 10, [10]),
    ([reading(5), reading(6)], 10, [5, 6]),
    ([reading(25)], 10, [25]),  # a single reading is never cut
    ([reading(3), reading(25), reading(3)], 10, [3, 25, 3]),
    ([TROUBLE, reading(9)], 10, [10]),
    ([TROUBLE, reading(10)], 10, [1, 10]),
    ([reading(1)] * 25, 10, [10, 10, 5]),
])  # fmt: skip
def test_parts_have_these_sizes_and_only_the_last_is_done(
    items: list[Reading | Trouble], size: int, cut: list[int]
) -> None:
    found = list(parts("7", items, size))
    assert [sum(len(r.fields) for r in part.readings) + len(part.troubles) for part in found] == cut
    assert [part.done for part in found] == [False] * (len(cut) - 1) + [True]
    assert all(part.id == "7" for part in found)
    assert [r for part in found for r in part.readings] == [item for item in items if isinstance(item, Reading)]


def test_nothing_to_say_is_one_empty_last_part() -> None:
    assert list(parts("7", [])) == [Answer("7", (), (), True)]


def test_parts_are_made_one_by_one() -> None:
    """A long history must not be held in memory at once, nor hold the loop."""
    taken = 0

    def endless() -> object:
        nonlocal taken
        while True:
            taken += 1
            yield TROUBLE

    stream = parts("7", endless(), 10)  # type: ignore[arg-type]
    next(stream)
    assert taken == 11


def test_the_life_of_a_readout_is_this_table_and_nothing_else() -> None:
    assert dict(TRANSITIONS) == {
        (State.QUEUED, Event.DUE): State.RUNNING,
        (State.QUEUED, Event.CANCEL): State.ENDED,
        (State.RUNNING, Event.CANCEL): State.ENDED,
        (State.RUNNING, Event.LAST_PART): State.ENDED,
    }
