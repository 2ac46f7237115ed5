"""The backlog and the task that empties it, against a pubsub service that obeys the test."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

import pytest

from devices.base import FieldSpec, NotResponding
from hub.errors import PeerRefused, PeerSilent
from hub.stanzas.dialects import TELEMETRY
from hub.telemetry import publisher as module
from hub.telemetry.pacer import Pacer
from hub.telemetry.publisher import IN_FLIGHT, Publisher, Transport
from hub.things.thing import Description, Thing
from tests.helpers import turns, until

NOW = dt.datetime(2026, 11, 21, 8, 0, 0, 250_000, tzinfo=dt.UTC)


def moment(payload: Element) -> str:
    """When what is published was measured."""
    stamps = (each.get("timestamp") or (each.get("value") if each.tag.endswith("}timestamp") else None)
              for each in payload.iter())  # fmt: skip
    return next(filter(None, stamps))


@dataclass
class Service:
    """What arrives, in order. `trouble` is raised instead while it is not None."""

    got: list[tuple[str, str, int]] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    ensured: list[str] = field(default_factory=list)
    payloads: list[Element] = field(default_factory=list)
    trouble: Callable[[], BaseException] | None = None
    ensure_trouble: Callable[[], BaseException] | None = None
    gate: asyncio.Event | None = None

    async def ensure(self, thing: str) -> None:
        self.ensured.append(thing)
        await asyncio.sleep(0)
        if self.ensure_trouble is not None:
            raise self.ensure_trouble()

    async def publish(self, thing: str, item_id: str, payload: Element, timeout: float) -> None:
        self.tried.append(moment(payload))
        if self.gate is not None:
            await self.gate.wait()
        if self.trouble is not None:
            raise self.trouble()
        values = [element.get("value", "") for element in payload.iter() if element.tag.endswith("numeric")]
        self.got.append((thing, item_id, int(values[0]) if values else -1))
        self.payloads.append(payload)


class Desk:
    """A publisher at work, and a thing whose every reading is worth publishing."""

    def __init__(self, bound: int) -> None:
        self.service = Service()
        transport = Transport(self.service.ensure, self.service.publish, TELEMETRY.encode_answer)
        self.publisher = Publisher(transport, bound)
        self.things = {name: Thing(Description(name, fields=(FieldSpec("n", maximum=1000), FieldSpec("m", maximum=9))))
                       for name in ("a", "b")}  # fmt: skip
        self.publisher.configure({name: Pacer(30, {"n": 0}) for name in self.things}, bound)
        self.clock = 0

    def take(self, value: int, thing: str = "a", **more: int) -> None:
        self.clock += 1
        moment = NOW + dt.timedelta(seconds=self.clock)
        self.things[thing].measured_at({"n": value, **more}, moment)
        self.publisher.take(self.things[thing], float(self.clock))

    def fail(self, text: str, thing: str = "a") -> None:
        self.clock += 1
        self.things[thing].failed(NotResponding(text), NOW + dt.timedelta(seconds=self.clock))
        self.publisher.take(self.things[thing], float(self.clock))

    @property
    def values(self) -> list[int]:
        return [value for _, _, value in self.service.got]

    def up(self, fresh: bool = True) -> None:
        self.publisher.link_changed(True, fresh)

    def down(self) -> None:
        self.publisher.link_changed(False, False)


@pytest.fixture
async def desk(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    made = Desk(bound=100)
    task = asyncio.create_task(made.publisher.run())
    yield made
    assert not task.done(), task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_readings_leave_in_the_order_in_which_they_came(desk: Desk) -> None:
    for n in range(3 * IN_FLIGHT):
        desk.take(n)
    desk.up()
    await until(lambda: len(desk.values) == 3 * IN_FLIGHT)
    assert desk.values == list(range(3 * IN_FLIGHT))
    assert desk.publisher.published == 3 * IN_FLIGHT and desk.publisher.waiting == 0


async def test_nothing_leaves_while_the_link_is_down(desk: Desk) -> None:
    desk.take(1)
    await turns()
    assert not desk.service.tried and desk.publisher.waiting == 1
    desk.up()
    await until(lambda: desk.values == [1])
    desk.down()
    desk.take(2)
    await turns()
    assert desk.values == [1] and desk.publisher.waiting == 1


async def test_a_reading_keeps_its_moment_however_late_it_leaves(desk: Desk) -> None:
    desk.take(1)
    desk.take(2)
    desk.up()
    await until(lambda: len(desk.values) == 2)
    stamps = [e.get("value") for p in desk.service.payloads for e in p.iter() if e.tag.endswith("}timestamp")]
    assert stamps == ["2026-11-21T08:00:01.25Z", "2026-11-21T08:00:02.25Z"]
    assert all(payload.get("seqnr") == "0" and payload.get("done") == "true" for payload in desk.service.payloads)


async def test_a_newer_reading_replaces_the_older_one_and_no_trouble(desk: Desk) -> None:
    desk.up()
    desk.take(1)
    desk.fail("nothing answers")
    desk.take(2)
    await until(lambda: len(desk.service.got) == 3)
    readings, trouble, again = (item_id for _, item_id, _ in desk.service.got)
    assert readings == again != trouble


async def test_a_full_backlog_loses_the_oldest_counts_them_and_says_so_now_and_then(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.publisher.configure({"a": Pacer(30, {"n": 0})}, 10)
    for n in range(30):
        desk.take(n)
    assert desk.publisher.waiting == 10 and desk.publisher.dropped == 20
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 5  # at 1, 2, 4, 8, 16
    desk.up()
    await until(lambda: len(desk.values) == 10)
    assert desk.values == list(range(20, 30))


async def test_a_smaller_bound_takes_hold_at_once(desk: Desk) -> None:
    for n in range(20):
        desk.take(n)
    desk.publisher.configure({"a": Pacer(30, {"n": 0})}, 5)
    assert desk.publisher.waiting == 5 and desk.publisher.dropped == 15


async def test_two_readings_of_a_thing_are_never_in_flight_together(desk: Desk) -> None:
    desk.service.gate = asyncio.Event()
    desk.up()
    for n in range(5):
        desk.take(n, "a")
        desk.take(n + 100, "b")
    await until(lambda: len(desk.service.tried) == 2)
    await turns()
    assert len(desk.service.tried) == 2
    desk.service.gate.set()
    await until(lambda: len(desk.values) == 10)
    for thing, first in (("a", 0), ("b", 100)):
        assert [value for name, _, value in desk.service.got if name == thing] == [first + n for n in range(5)]


async def test_what_comes_back_unconfirmed_does_not_break_the_bound(desk: Desk) -> None:
    desk.publisher.configure({name: Pacer(30, {"n": 0}) for name in desk.things}, 10)
    desk.service.gate = asyncio.Event()
    desk.service.trouble = lambda: PeerSilent("nothing came back")
    desk.up()
    desk.take(0, "a")
    desk.take(1, "b")
    await until(lambda: len(desk.service.tried) == 2)
    for n in range(10, 20):
        desk.take(n)
    desk.down()
    desk.service.gate.set()
    await until(lambda: desk.publisher.dropped == 2)
    assert desk.publisher.waiting == 10
    desk.service.trouble = None
    desk.up()
    await until(lambda: len(desk.values) == 10)
    assert desk.values == list(range(10, 20))


@pytest.mark.parametrize("trouble", [
    lambda: PeerSilent("nothing came back"), lambda: PeerRefused("item-not-found"),
    lambda: PeerRefused("resource-constraint"), lambda: PeerRefused("remote-server-timeout"),
])  # fmt: skip
async def test_what_is_not_confirmed_is_sent_again(
    desk: Desk, trouble: Callable[[], BaseException]
) -> None:
    desk.service.trouble = trouble
    desk.up()
    desk.take(1)
    desk.take(2)
    await until(lambda: len(desk.service.tried) >= 4)
    assert desk.publisher.published == 0 and not desk.values
    desk.service.trouble = None
    await until(lambda: len(desk.values) == 2)
    assert desk.values == [1, 2]
    assert len(set(desk.service.tried)) == 2 and desk.publisher.dropped == 0


async def test_a_node_that_is_gone_is_made_again(desk: Desk) -> None:
    desk.up()
    desk.take(1)
    await until(lambda: desk.values == [1])
    assert desk.service.ensured == ["a"]
    desk.service.trouble = lambda: PeerRefused("item-not-found")
    desk.take(2)
    await until(lambda: len(desk.service.ensured) >= 2)
    desk.service.trouble = None
    await until(lambda: desk.values == [1, 2])


async def test_a_refusal_for_good_drops_what_was_refused_says_it_once_and_goes_on(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.service.trouble = lambda: PeerRefused("forbidden", "Not you.")
    desk.up()
    desk.take(1)
    await until(lambda: desk.publisher.dropped == 1)
    desk.take(2)
    await until(lambda: desk.publisher.dropped == 2)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "Not you." in caplog.text and desk.publisher.waiting == 0
    desk.service.trouble = None
    desk.take(3)
    await until(lambda: desk.values == [3])


async def test_a_node_that_cannot_be_made_now_is_tried_again(desk: Desk) -> None:
    desk.service.ensure_trouble = lambda: PeerSilent("nothing came back")
    desk.up()
    desk.take(1)
    await until(lambda: len(desk.service.ensured) >= 3)
    assert not desk.service.tried
    desk.service.ensure_trouble = None
    await until(lambda: desk.values == [1])


async def test_a_bug_with_one_reading_does_not_end_the_telemetry(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.service.trouble = lambda: ZeroDivisionError("a bug")
    desk.up()
    desk.take(1)
    await until(lambda: desk.publisher.dropped == 1)
    desk.service.trouble = None
    desk.take(2, "b")
    await until(lambda: desk.values == [2])
    assert "a bug" in caplog.text


async def test_each_node_is_made_once_per_session(desk: Desk) -> None:
    desk.up()
    for n in range(5):
        desk.take(n, "a")
        desk.take(n, "b")
    await until(lambda: len(desk.values) == 10)
    assert sorted(desk.service.ensured) == ["a", "b"]
    desk.down()
    desk.up(fresh=False)  # resumed: the server knows us still
    desk.take(9)
    await until(lambda: len(desk.values) == 11)
    assert sorted(desk.service.ensured) == ["a", "b"]
    desk.down()
    desk.up(fresh=True)
    desk.take(10)
    await until(lambda: len(desk.values) == 12)
    assert sorted(desk.service.ensured) == ["a", "a", "b"]


async def test_what_was_asked_in_a_session_that_is_over_is_asked_again(desk: Desk) -> None:
    desk.service.gate = asyncio.Event()
    desk.up()
    desk.take(1)
    await until(lambda: desk.service.tried)
    desk.down()
    desk.service.gate = None  # the answer to the first never comes
    desk.up(fresh=True)
    await until(lambda: desk.values == [1])
    assert len(set(desk.service.tried)) == 1


async def test_a_trouble_is_published_and_the_values_that_come_back_after_it(desk: Desk) -> None:
    desk.up()
    desk.take(1)
    desk.fail("nothing answers")
    desk.take(1)
    await until(lambda: len(desk.service.payloads) == 3)
    kinds = [payload.tag.rpartition("}")[2] for payload in desk.service.payloads]
    assert kinds == ["fields", "failure", "fields"]
    assert desk.service.payloads[1][0].text == "nothing answers"


async def test_good_values_beside_a_bad_one_are_published_too(desk: Desk) -> None:
    desk.up()
    desk.take(7, m=99)
    await until(lambda: len(desk.service.payloads) == 2)
    assert [payload.tag.rpartition("}")[2] for payload in desk.service.payloads] == ["failure", "fields"]
    assert desk.values == [-1, 7]
    assert len({item_id for _, item_id, _ in desk.service.got}) == 2  # the one does not replace the other


async def test_a_thing_without_a_pacer_is_not_published(desk: Desk) -> None:
    desk.publisher.configure({}, 10)
    desk.up()
    desk.take(1)
    await turns()
    assert not desk.service.tried and desk.publisher.waiting == 0
