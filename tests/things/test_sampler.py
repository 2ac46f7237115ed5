"""The one loop that calls drivers: parts that fail, hang, have bugs and come back, and nothing else noticing."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Mapping
from typing import Any

import pytest

from devices.base import FieldSpec, NotHeard
from devices.ds18b20 import DS18B20
from devices.simulated import Simulated
from hub.errors import ActuatorError
from hub.things import sampler as module
from hub.things.model import Quality
from tests.helpers import PATIENCE_S, until
from tests.things.conftest import NEVER, Bench

NAME = "hub.things.sampler"


def said(caplog: pytest.LogCaptureFixture, *levels: int) -> list[str]:
    wanted = levels or (logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)
    return [r.getMessage() for r in caplog.records if r.name == NAME and r.levelno in wanted]


def count(bench: Bench, name: str) -> int:
    return sum(1 for told, _, _ in bench.told if told == name)


async def more(bench: Bench, name: str, readings: int = 3) -> None:
    """Wait until a thing has been sampled a few times from now on."""
    wanted = count(bench, name) + readings
    await until(lambda: count(bench, name) >= wanted)


async def test_a_thing_is_read_again_and_again(bench: Bench) -> None:
    thing = bench.add(bench.simulated(kind="counter"))
    await until(lambda: thing.values.get("value") and int(str(thing.values["value"])) >= 3)
    assert thing.trouble is None


@pytest.mark.parametrize(("fault", "quality", "text"), [
    ("missing", Quality.MISSING, "does not answer"), ("error", Quality.ERROR, "checksum"),
])  # fmt: skip
async def test_a_fault_is_said_once_marks_the_values_and_its_end_is_said_once(
    bench: Bench, caplog: pytest.LogCaptureFixture, fault: str, quality: Quality, text: str
) -> None:
    caplog.set_level(logging.INFO)
    driver = bench.simulated()
    thing = bench.add(driver)
    await until(lambda: thing.measured)
    driver.fault = fault
    await until(lambda: thing.trouble)
    await more(bench, "thing", 5)
    last = thing.measured
    reading = thing.reading()
    assert reading is not None and reading.timestamp == last and reading.fields[0].quality is quality
    assert [text in message for message in said(caplog)] == [True]
    driver.fault = "none"
    await until(lambda: thing.trouble is None)
    await more(bench, "thing", 3)
    assert [("is back" in message) for message in said(caplog)] == [False, True]
    assert thing.measured != last


async def test_a_part_that_is_missing_from_the_start_is_found_when_it_comes(bench: Bench) -> None:
    driver = bench.simulated(fault="missing")
    thing = bench.add(driver)
    await until(lambda: thing.trouble)
    assert thing.measured is None and thing.reading() is None
    driver.fault = "none"
    await until(lambda: thing.measured and thing.trouble is None)


async def test_a_part_that_speaks_when_it_wants_is_not_closed_while_it_is_silent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    driver = bench.simulated(kind="counter")
    opened: list[bool] = []
    heard: list[int] = []

    def read() -> Mapping[str, Any]:
        if not heard:
            raise NotHeard("nothing has been heard")
        return {"value": heard[-1]}

    monkeypatch.setattr(driver, "read", read)
    monkeypatch.setattr(driver, "open", lambda: opened.append(True))
    monkeypatch.setattr(driver, "open_with", lambda initial: opened.append(True))
    thing = bench.add(driver)
    await more(bench, "thing", 5)
    assert thing.trouble is not None and thing.trouble.text == "nothing has been heard"
    driver.measured = moment
    heard.append(7)
    driver.notify()
    await until(lambda: thing.values)
    await more(bench, "thing", 5)
    assert opened == [True]
    assert thing.measured == moment  # read often, heard once


async def test_retries_are_further_and_further_apart_up_to_a_bound(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_RETRY_S", 1.0)
    monkeypatch.setattr(module, "LAST_RETRY_S", 4.0)
    pauses: list[float] = []

    async def pause(station: Any, until: float) -> None:
        pauses.append(round(until - began[-1], 3))
        began.append(until)
        now[0] = until
        await asyncio.sleep(0)
        if len(pauses) == 5:
            driver.fault = "none"
        if len(pauses) == 7:
            driver.fault = "missing"
        if len(pauses) >= 9:
            await asyncio.Event().wait()

    now, began = [0.0], [0.0]
    driver = bench.simulated(fault="missing")
    monkeypatch.setattr(bench.sampler, "_pause", pause)
    monkeypatch.setattr(bench.sampler, "_now", lambda: now[0])
    bench.add(driver, interval=10.0)
    await until(lambda: len(pauses) >= 9)
    assert pauses == [1, 2, 4, 4, 4, 10, 10, 1, 2]


async def test_a_hanging_part_is_given_up_and_stops_nobody_else(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bad = bench.simulated()
    hanging = bench.add(bad, "bad")
    others = [bench.add(bench.simulated(kind="counter"), f"good {n}") for n in range(5)]
    await until(lambda: all(thing.measured for thing in (hanging, *others)))
    bad.fault = "hang"
    await until(lambda: hanging.trouble)
    assert bench.sampler.hung == 1
    for thing in others:
        await more(bench, thing.name)
        assert thing.trouble is None
    bad.fault = "none"
    bad.released.set()
    await until(lambda: hanging.trouble is None and bench.sampler.hung == 0)
    assert not said(caplog, logging.ERROR, logging.CRITICAL)


class Buggy(Simulated):
    """Misbehaves as told."""

    answer: Any = None

    def read(self) -> Mapping[str, Any]:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer if self.answer is not None else super().read()


@pytest.mark.parametrize("answer", [
    ZeroDivisionError("oops"), StopIteration(), KeyError("value"), {"undeclared": 1}, 5, ["value"], {"value": "text"},
    {"value": float("nan")}, {"value": 1e9},
], ids=repr)  # fmt: skip
async def test_a_driver_with_a_bug_is_treated_as_failing_and_can_recover(bench: Bench, answer: Any) -> None:
    driver = Buggy(Simulated.Config(), bench.buses)
    thing = bench.add(driver)
    await until(lambda: thing.measured)
    driver.answer = answer
    await until(lambda: thing.trouble)
    await more(bench, "thing")
    driver.answer = None
    await until(lambda: thing.trouble is None)


class Pair(Simulated):
    """Two values, of which one may be impossible."""

    bad = False
    reads = 0

    @property
    def fields(self) -> tuple[FieldSpec, ...]:
        return (FieldSpec("good"), FieldSpec("bad", maximum=10))

    def read(self) -> Mapping[str, Any]:
        self.reads += 1
        return {"good": self.reads, "bad": 99 + self.reads if self.bad else 1}


async def test_one_impossible_value_is_said_once_and_does_not_hold_the_others_back(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_RETRY_S", NEVER)
    caplog.set_level(logging.INFO)
    driver = Pair(Simulated.Config(), bench.buses)
    thing = bench.add(driver)
    await until(lambda: thing.measured)
    driver.bad = True
    await until(lambda: thing.trouble)
    before = driver.reads
    await until(lambda: driver.reads >= before + 5)  # at the interval of the thing, not at that of retries
    assert set(thing.values) == {"good"}
    driver.bad = False
    await until(lambda: thing.trouble is None)
    assert ["outside what the part can report" in message for message in said(caplog)] == [True, False]


async def test_a_change_is_read_at_once_when_the_driver_tells(bench: Bench) -> None:
    driver = bench.simulated(kind="counter")
    thing = bench.add(driver, interval=NEVER)
    await until(lambda: thing.values.get("value") == 1)
    await asyncio.to_thread(driver.notify)  # drivers tell from any thread
    await until(lambda: thing.values.get("value") == 2)


async def test_who_wants_a_new_reading_waits_for_it_together_with_others(bench: Bench) -> None:
    thing = bench.add(bench.simulated(kind="counter"), interval=NEVER)
    await until(lambda: thing.values.get("value") == 1)
    await asyncio.gather(*(bench.sampler.refresh("thing", PATIENCE_S) for _ in range(10)))
    assert thing.values["value"] == 2


async def test_who_wants_a_new_reading_does_not_wait_for_ever(bench: Bench) -> None:
    driver = bench.simulated(fault="hang")
    thing = bench.add(driver, interval=NEVER)
    await bench.sampler.refresh("thing", 0.01)
    assert thing.measured is None


async def test_a_thing_that_is_removed_is_read_no_more(bench: Bench) -> None:
    bench.add(bench.simulated(), "a")
    bench.add(bench.simulated(), "b")
    await until(lambda: count(bench, "a") and count(bench, "b"))
    await bench.sampler.remove("a")
    seen = count(bench, "a")
    await more(bench, "b")
    assert count(bench, "a") == seen and set(bench.sampler.stations) == {"b"}


async def test_a_stop_ends_although_parts_hang(bench: Bench) -> None:
    drivers = [bench.simulated(kind="lamp", fault="hang", seed=n) for n in range(5)]
    things = [bench.add(driver, f"lamp {n}") for n, driver in enumerate(drivers)]
    await until(lambda: all(thing.trouble for thing in things))
    async with asyncio.timeout(PATIENCE_S):
        await bench.sampler.stop()
    assert not bench.sampler.stations
    for driver in drivers:
        driver.released.set()


async def test_new_timing_takes_hold_at_once(bench: Bench) -> None:
    thing = bench.add(bench.simulated(kind="counter"), interval=NEVER)
    await until(lambda: thing.measured)
    bench.sampler.retune("thing", 0.005, None)
    await more(bench, "thing", 3)


async def test_a_thing_without_parameters_cannot_be_written(bench: Bench) -> None:
    bench.add(DS18B20(DS18B20.Config(serial="28-0316a4be59ff"), bench.buses))
    with pytest.raises(ActuatorError, match="cannot be controlled"):
        await bench.sampler.write("thing", {"output": True})
