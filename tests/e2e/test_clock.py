"""A Pi without a clock of its own: what it measures before anybody has told it the time is marked, and mended after."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from devices.fake import SimulatedBuses
from hub.programs.node import Node
from hub.stanzas.sensor_data_xmpp import NAMESPACE
from hub.telemetry import clock
from hub.things.values import parse_datetime
from tests.helpers import until

from .proxy import Proxy
from .raw import TIMEOUT_S, RawClient
from .readings import OLD, nodes, read
from .test_telemetry import follow
from .world import World

THINGS = '[things.air]\ndriver = "simulated"\nkind = "counter"\ninterval = "50ms"\nchange = { value = 0 }\n'
WRONG_BY = dt.timedelta(days=3)


class Time:
    """The clock of the machine, which is behind until it is set."""

    def __init__(self) -> None:
        self.wrong_by = WRONG_BY

    def now(self) -> dt.datetime:
        moment = dt.datetime.now(dt.UTC) - self.wrong_by
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Time:
    """On a board without an RTC; the kernel says that the clock is kept once it is right."""
    time = Time()
    (tmp_path / "model").write_text("Raspberry Pi Zero 2 W")
    monkeypatch.setattr(clock, "BOARD", tmp_path / "model")
    monkeypatch.setattr(clock, "RTC", tmp_path / "rtc")
    monkeypatch.setattr(clock, "_wall", time.now)
    monkeypatch.setattr(clock, "synchronised", lambda: not time.wrong_by)
    return time


def told(stanzas: list[Element]) -> list[tuple[dt.datetime, int, bool]]:
    """Of each reading in notifications: its moment, its number, and whether its moment is in doubt."""
    found = []
    for stanza in stanzas:
        for stamp in stanza.iter(f"{{{NAMESPACE}}}timestamp"):
            (value,) = stamp
            in_doubt = value.get("timeOffset") == "true"
            found.append((parse_datetime(stamp.get("value", "")), int(value.get("value", "")), in_doubt))
    return found


@pytest.mark.parametrize("own_server", ["xml"], indirect=True)
async def test_readings_before_the_first_time_sync_are_marked_and_mended(
    own_server: World, state: Path, time: Time, hasty: None
) -> None:
    began = dt.datetime.now(dt.UTC)
    async with Proxy(own_server.entrance) as proxy, own_server.client("owner") as owner:
        await owner.ask(None, "get", "<query xmlns='jabber:iq:roster'/>")
        owner.write("<presence/>")
        node = Node(own_server.config(THINGS, state, port=proxy.port), SimulatedBuses())
        node.sampler._wall = time.now
        task = asyncio.create_task(node.run())
        try:
            await follow(owner)
            await until(lambda: told(owner.pending), "live readings come")
            assert all(doubtful and moment < began for moment, _, doubtful in told(owner.pending))
            proxy.refusing = True
            proxy.cut()
            await until(lambda: node.link is not None and not node.link.up, "the node is offline")
            before = int(str(node.things["air"].values["value"]))
            await until(lambda: node.publisher.waiting >= 20, "readings wait, their moments in doubt")
            time.wrong_by = dt.timedelta(0)
            last = int(str(node.things["air"].values["value"]))
            await until(lambda: not node.memory.clock.doubtful, "the clock is believed")
            await until(lambda: node.publisher.waiting >= 60, "more wait, their moments right")
            owner.pending.clear()
            proxy.refusing = False
            await until(lambda: {n for _, n, _ in told(owner.pending)} >= set(range(before + 1, last)), "all have come")
            await _all_is_mended(owner, began, before)
        finally:
            node.stop()
            async with asyncio.timeout(TIMEOUT_S):
                await task


async def _all_is_mended(owner: RawClient, began: dt.datetime, before: int) -> None:
    """What was in doubt, and what came after it, is where it belongs: in the order of measuring, and not marked."""
    ended = dt.datetime.now(dt.UTC)
    late = sorted((n, moment, doubtful) for moment, n, doubtful in told(owner.pending) if n > before)
    assert not any(doubtful for *_, doubtful in late)
    moments = [moment for _, moment, _ in late]
    assert moments == sorted(moments) and began < moments[0] and moments[-1] <= ended
    past = await read(owner, OLD, 7, "historical='true'", nodes(OLD, "air"))
    values = {int(field.get("value", "")): field.get("timeOffset") == "true" for field in past.fields()}
    assert set(range(1, before)) <= values.keys() and not any(values.values())
    times = [parse_datetime(text) for text in past.times()]
    assert times == sorted(times, reverse=True) and began < times[-1] and times[0] <= dt.datetime.now(dt.UTC)
