"""The backlog and the task that empties it, against a pubsub service that obeys the test."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from devices.base import FieldSpec, NotResponding
from hub.errors import PeerRefused, PeerSilent
from hub.stanzas.dialects import TELEMETRY
from hub.telemetry import outbox as outbox_module
from hub.telemetry import publisher as module
from hub.telemetry.outbox import Outbox
from hub.telemetry.pacer import Pacer
from hub.telemetry.publisher import IN_FLIGHT, Publisher, Transport
from hub.things.lanes import Lanes
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
    silence: BaseException | None = None
    """What comes instead of the answer to a publication that has arrived."""
    items: dict[str, list[Element]] = field(default_factory=dict)
    looked: list[str] = field(default_factory=list)
    under_way: int = 0
    at_once: int = 0

    async def ensure(self, thing: str) -> None:
        self.ensured.append(thing)
        await asyncio.sleep(0)
        if self.ensure_trouble is not None:
            raise self.ensure_trouble()

    async def publish(self, thing: str, item_id: str, payload: Element, timeout: float) -> None:
        self.tried.append(moment(payload))
        self.at_once = max(self.at_once, self.under_way + 1)
        self.under_way += 1
        try:
            await self._publish(thing, item_id, payload)
        finally:
            self.under_way -= 1

    async def _publish(self, thing: str, item_id: str, payload: Element) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if self.trouble is not None:
            raise self.trouble()
        values = [e.get("value", "") for e in payload.iter() if e.tag.endswith("numeric") and e.get("name") == "n"]
        self.got += [(thing, item_id, int(value)) for value in values or ["-1"]]
        self.payloads.append(payload)
        self.items[thing] = [payload]
        if self.silence is not None:
            raise self.silence

    async def newest(self, thing: str) -> list[Element]:
        self.looked.append(thing)
        await asyncio.sleep(0)
        if thing not in self.items:
            raise PeerRefused("item-not-found")
        return self.items[thing]


class Desk:
    """A publisher at work, and a thing whose every reading is worth publishing."""

    def __init__(self, path: Path, bound: int, service: Service | None = None) -> None:
        self.service = service or Service()
        transport = Transport(self.service.ensure, self.service.publish, self.service.newest, TELEMETRY.encode_answer,
                              TELEMETRY.decode_answer)  # fmt: skip
        self.lanes = Lanes()
        self.outbox = Outbox(path, bound, self.lanes)
        self.outbox.open()
        self.publisher = Publisher(transport, self.outbox)
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

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self.publisher.run()), asyncio.create_task(self.outbox.run())]

    async def stop(self) -> None:
        assert not any(task.done() for task in self._tasks), self._tasks
        await self._cancel()
        await self.outbox.close()
        self.lanes.close()

    async def kill(self) -> None:
        """Gone without a goodbye: what is not in the file is lost."""
        await self._cancel()
        self.outbox._store._database.close()
        self.lanes.close()

    async def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def values(self) -> list[int]:
        return [value for _, _, value in self.service.got]

    def up(self, fresh: bool = True) -> None:
        self.publisher.link_changed(True, fresh)

    def down(self) -> None:
        self.publisher.link_changed(False, False)


@pytest.fixture
async def desk(path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    made = Desk(path, bound=1000)
    made.start()
    yield made
    await made.stop()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"


async def test_readings_leave_in_the_order_in_which_they_came(desk: Desk) -> None:
    for n in range(3 * IN_FLIGHT):
        desk.take(n)
    desk.up()
    await until(lambda: len(desk.values) == 3 * IN_FLIGHT)
    assert desk.values == list(range(3 * IN_FLIGHT))
    await until(lambda: desk.publisher.published == 3 * IN_FLIGHT and desk.publisher.waiting == 0)


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
        await desk.outbox.write()
    assert desk.publisher.waiting == 10 and desk.publisher.dropped == 20
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 5  # at 1, 2, 4, 8, 16
    desk.up()
    await until(lambda: len(desk.values) == 10)
    assert desk.values == list(range(20, 30))


async def test_a_smaller_bound_takes_hold_at_once(desk: Desk) -> None:
    for n in range(20):
        desk.take(n)
    desk.publisher.configure({"a": Pacer(30, {"n": 0})}, 5)
    await until(lambda: desk.publisher.waiting == 5 and desk.publisher.dropped == 15)


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


async def test_what_is_under_way_counts_and_is_not_pushed_out(desk: Desk) -> None:
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
    assert sorted(desk.values) == [0, 1, *range(12, 20)]


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


# --------------------------------------------------------------------------- live and backlog


async def test_what_was_measured_without_a_link_leaves_in_few_items_of_its_own_names(desk: Desk) -> None:
    for n in range(100):
        desk.take(n)
    desk.up()
    await until(lambda: len(desk.values) == 100)
    assert desk.values == list(range(100))
    assert len(desk.service.payloads) == 2, "sixty in one item, and the rest"
    names = list(dict.fromkeys(item_id for _, item_id, _ in desk.service.got))
    assert names == ["1-1", "1-3d"] and desk.service.at_once == 1


async def test_live_readings_do_not_wait_for_the_backlog(desk: Desk) -> None:
    for n in range(100):
        desk.take(n, "a")
    desk.service.gate = asyncio.Event()
    desk.up()
    await until(lambda: desk.service.tried)  # the backlog is on its way, and stands still
    desk.take(500, "b")
    await until(lambda: len(desk.service.tried) == 2)
    desk.take(501, "a")  # of a thing only one is under way
    await turns()
    assert len(desk.service.tried) == 2
    desk.service.gate.set()
    await until(lambda: len(desk.values) == 102)
    order = [value for _, _, value in desk.service.got]
    assert order.index(500) < 100 and order.index(501) == 61, "before the rest of its backlog"
    assert {name for name, item_id, value in desk.service.got if item_id == "current"} == {"a", "b"}


async def test_a_node_that_ends_with_an_old_reading_gets_a_new_one(desk: Desk) -> None:
    for n in range(100):
        desk.take(n, "a")
    pacer = desk.publisher._pacers["a"]
    desk.service.gate = asyncio.Event()
    desk.up()
    await until(lambda: desk.service.tried)
    desk.take(500)
    assert not pacer.due(desk.things["a"], float(desk.clock))
    desk.service.gate.set()
    await until(lambda: len(desk.values) == 101)
    await until(lambda: pacer.due(desk.things["a"], float(desk.clock)))


async def test_live_readings_that_wait_too_long_become_backlog(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIVE_WAIT_S", 0.0)
    desk.service.gate = asyncio.Event()
    desk.up()
    desk.take(0)
    await until(lambda: desk.service.tried)
    for n in range(1, 50):
        desk.take(n)
    await turns()
    desk.service.gate.set()
    await until(lambda: len(desk.values) == 50)
    assert sorted(desk.values) == list(range(50)) and len(desk.service.payloads) <= 3


async def test_a_trouble_of_the_backlog_keeps_its_place(desk: Desk) -> None:
    desk.take(1)
    desk.fail("away")
    desk.take(2)
    desk.up()
    await until(lambda: len(desk.values) == 3)
    assert sorted(desk.values) == [-1, 1, 2] and desk.publisher.dropped == 0


# --------------------------------------------------------------------------- nothing lost, nothing twice


async def test_what_waits_outlives_a_kill_and_is_the_same_afterwards(path: Path) -> None:
    first = Desk(path, 100)
    first.start()
    for n in range(10):
        first.take(n)
    await until(lambda: not first.outbox._unsaved)
    await first.kill()
    again = Desk(path, 100)
    again.start()
    assert again.publisher.waiting == 10
    again.up()
    await until(lambda: len(again.values) == 10)
    assert again.values == list(range(10))
    (payload,) = again.service.payloads
    assert [e.get("value") for e in payload.iter() if e.tag.endswith("timestamp")][:1] == ["2026-11-21T08:00:01.25Z"]
    assert {e.get("name") for e in payload.iter() if e.get("momentary") == "true"} == {"n"}
    await until(lambda: again.publisher.waiting == 0)
    await again.stop()


@pytest.mark.parametrize("silence", [PeerSilent("no answer"), asyncio.CancelledError()])
async def test_what_arrived_without_an_answer_is_not_sent_again(desk: Desk, silence: BaseException) -> None:
    desk.up()
    desk.take(1)
    await until(lambda: desk.values == [1])
    desk.service.silence = silence
    desk.take(2)
    await until(lambda: desk.values == [1, 2])
    desk.service.silence = None
    desk.take(3)
    await until(lambda: desk.publisher.waiting == 0)
    assert desk.values == [1, 2, 3] and desk.publisher.published == 3
    assert desk.service.looked == ["a"]


@pytest.mark.parametrize("live", [True, False])
async def test_what_arrived_before_a_kill_is_not_sent_again_after_it(path: Path, live: bool) -> None:
    first = Desk(path, 1000)
    first.start()
    for n in range(0 if live else 100):
        first.take(n)
    first.service.silence = PeerSilent("killed before it came")
    first.up()
    for n in range(3 if live else 0):
        first.take(n)
    await until(lambda: len(first.values) == (1 if live else 60))
    await until(lambda: not first.outbox._unsaved)
    await first.kill()
    first.service.silence = None
    again = Desk(path, 1000, first.service)
    again.start()
    again.up()
    await until(lambda: again.publisher.waiting == 0)
    assert sorted(again.values) == list(range(3 if live else 100)), "each once"
    await again.stop()


async def test_a_batch_that_has_grown_since_it_arrived_is_not_sent_whole(path: Path) -> None:
    first = Desk(path, 1000)
    first.start()
    for n in range(10):
        first.take(n)
    first.service.silence = PeerSilent("killed before it came")
    first.up()
    await until(lambda: len(first.values) == 10)
    first.down()
    for n in range(10, 20):
        first.take(n)
    await until(lambda: not first.outbox._unsaved)
    await first.kill()
    first.service.silence = None
    again = Desk(path, 1000, first.service)
    again.start()
    again.up()
    await until(lambda: again.publisher.waiting == 0)
    assert again.values == list(range(20))
    await again.stop()


async def test_a_service_that_does_not_tell_gets_it_again(desk: Desk) -> None:
    desk.up()
    desk.service.silence = PeerSilent("no answer")
    desk.take(1)
    await until(lambda: desk.values == [1])
    desk.service.silence = None
    desk.service.items.clear()
    await until(lambda: desk.publisher.waiting == 0)
    assert desk.values == [1, 1] and {item_id for _, item_id, _ in desk.service.got} == {"current"}


async def test_a_disk_that_hangs_does_not_stop_what_is_live(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "SETTLE_S", 0.01)
    goes_on = threading.Event()
    desk.up()
    hanging = asyncio.create_task(desk.lanes.run("outbox", lambda: goes_on.wait(20), 30))
    await turns()
    for n in range(10):
        desk.take(n)
    await until(lambda: desk.values == list(range(10)))
    goes_on.set()
    await hanging
    await until(lambda: desk.publisher.waiting == 0)


async def test_a_broken_file_under_way_costs_what_was_in_it_and_no_more(desk: Desk) -> None:
    for n in range(10):
        desk.take(n)
    await desk.outbox.write()
    desk.outbox._store._database.move_aside("a test")
    desk.take(10)
    desk.up()
    await until(lambda: desk.values == [10])
    await until(lambda: desk.publisher.waiting == 0 and desk.publisher.dropped == 10)
