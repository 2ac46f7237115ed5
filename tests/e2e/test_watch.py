"""`Watch`, what `hub watch` follows a hub by: over restarts, lost subscriptions, and things that come and go."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pytest

from hub.cli.account import logged_in
from hub.errors import PeerError, PeerRefused
from hub.programs.node import Node
from hub.services.peer import Peer
from hub.services.peer_events import Watch, Wish
from hub.things.model import Answer, ReadoutRequest
from tests.helpers import until

from .event_words import BARE
from .test_telemetry import AIR, HOURLY, Air, air
from .world import ON_EJABBERD, World, running

__all__ = ["air"]  # a fixture

ATTIC = AIR.replace("things.air", "things.attic")
IN_XML = pytest.mark.parametrize("own_server", ["xml"], indirect=True)
SECOND = dt.timedelta(seconds=1)


@dataclass
class Seen:
    """What a watch has told so far. `ended`: why there is no more."""

    watch: Watch
    answers: list[Answer] = field(default_factory=list)
    ended: Exception | None = None

    def values(self, thing: str = "air") -> list[str]:
        return [
            str(each.value) for answer in self.answers for reading in answer.readings
            if reading.node.node_id == thing for each in reading.fields
        ]  # fmt: skip

    @property
    def troubles(self) -> list[str]:
        return [trouble.text for answer in self.answers for trouble in answer.troubles]

    async def shows(self, value: str, thing: str = "air") -> None:
        await until(lambda: value in self.values(thing) or self.ended, f"{value} of {thing}")
        assert self.ended is None, self.ended


@contextlib.asynccontextmanager
async def watching(server: World, wish: Wish) -> AsyncIterator[Seen]:
    """The owner's; the hub is online."""
    account = server.folder / "owner.toml"
    account.write_text(server.text("", server.folder / "unused", user="owner"))
    async with logged_in(account) as client:
        peer = Peer(client, BARE, 15)
        await peer.find()
        seen = Seen(Watch(peer, wish))
        task = asyncio.create_task(follow(seen))
        try:
            yield seen
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def follow(seen: Seen) -> None:
    try:
        async with contextlib.aclosing(seen.watch.answers()) as answers:
            async for answer in answers:
                seen.answers.append(answer)
    except PeerError as error:
        seen.ended = error


def subscriptions(node: Node) -> int:
    return 0 if node.events is None else len(node.events.subscriptions)


async def test_things_alike_share_a_subscription_and_any_change_is_told(
    own_server: World, air: Air, state: Path
) -> None:
    config = own_server.config(AIR + ATTIC, state, telemetry=HOURLY)
    async with running(config) as node:
        async with watching(own_server, Wish(shortest=dt.timedelta(0))) as seen:
            await seen.shows("0.00", "attic")
            await until(lambda: subscriptions(node) == 1, "one for both")
            await air.becomes(0.01, node)
            await seen.shows("0.01")
            await seen.shows("0.01", "attic")
            moments = [(r.node, r.timestamp) for answer in seen.answers for r in answer.readings]
            assert len(set(moments)) == len(moments), "each reading once"
        await until(lambda: subscriptions(node) == 0, "whoever goes takes it off")


@IN_XML
async def test_only_a_change_as_large_as_wished_is_told(own_server: World, air: Air, state: Path) -> None:
    async with (
        running(own_server.config(AIR, state, telemetry=HOURLY)) as node,
        watching(own_server, Wish({("air", "temperature"): Decimal(5)}, dt.timedelta(0))) as seen,
    ):
        await until(lambda: subscriptions(node) == 1, "it is subscribed")
        for temperature in (1, 2, 3, 6, 8, 12):
            await air.becomes(temperature, node)
        await seen.shows("12.00")
        assert [value for value in seen.values() if value != "0.00"] == ["6.00", "12.00"]


@ON_EJABBERD
async def test_it_goes_on_when_the_hub_was_started_anew(own_server: World, air: Air, state: Path) -> None:
    config = own_server.config(AIR, state, telemetry=HOURLY)
    async with contextlib.AsyncExitStack() as stack:
        async with running(config) as node:
            seen = await stack.enter_async_context(watching(own_server, Wish(longest=3600 * SECOND)))
            await until(lambda: subscriptions(node) == 1, "it is subscribed")
            await air.becomes(1, node)
            await seen.shows("1.00")
        air.temperature = 2
        async with running(config) as node:
            await seen.shows("2.00")
            await air.becomes(3, node)
            await seen.shows("3.00")


@IN_XML
async def test_a_subscription_that_is_lost_is_made_again_after_the_maximum_interval(
    own_server: World, air: Air, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.services.peer_events.MARGIN_S", 0.3)
    async with (
        running(own_server.config(AIR, state, telemetry=HOURLY)) as node,
        watching(own_server, Wish(longest=SECOND)) as seen,
    ):
        await until(lambda: subscriptions(node) == 1, "it is subscribed")
        assert node.events is not None
        node.events.subscriptions.friendship_ended("owner@localhost")
        await until(lambda: subscriptions(node) == 1, "it is subscribed again")
        assert seen.watch.renewals == 1
        await air.becomes(1, node)
        await seen.shows("1.00")


@IN_XML
async def test_a_thing_that_begins_to_work_is_watched_by_its_fields_then(
    own_server: World, air: Air, state: Path
) -> None:
    air.fault = "no acknowledge"
    wish = Wish(shortest=dt.timedelta(0), longest=3600 * SECOND)
    async with running(own_server.config(AIR, state, telemetry=HOURLY)) as node, watching(own_server, wish) as seen:
        await until(lambda: subscriptions(node) == 1, "it is subscribed")
        assert seen.troubles
        air.fault = ""
        await seen.shows("0.00")
        await until(lambda: node.events and node.events.subscriptions.standing[0].subscription.conditions, "anew")
        await air.becomes(1, node)
        await seen.shows("1.00")


@IN_XML
async def test_rights_that_end_end_the_watch_with_words(
    own_server: World, air: Air, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.services.peer_events.MARGIN_S", 0.3)
    file = tmp_path / "hub.toml"
    async with (
        running(own_server.config(AIR, state, telemetry=HOURLY)) as node,
        watching(own_server, Wish(longest=SECOND)) as seen,
    ):
        await until(lambda: subscriptions(node) == 1, "it is subscribed")
        file.write_text(own_server.text(AIR, state, telemetry=HOURLY, read='"reader@localhost"', control=""))
        await node.reload(file)
        await until(lambda: seen.ended, "it ends")
        assert isinstance(seen.ended, PeerRefused) and seen.ended.condition == "forbidden"


@IN_XML
async def test_several_may_ask_one_hub_at_the_same_time(own_server: World, air: Air, state: Path) -> None:
    async with (
        running(own_server.config(AIR, state, telemetry=HOURLY)) as node,
        watching(own_server, Wish(shortest=dt.timedelta(0))) as seen,
    ):
        await until(lambda: subscriptions(node) == 1, "it is subscribed")
        peer = seen.watch._peer
        for temperature in (1, 2, 3):
            await air.becomes(temperature, node)
            read = [answer async for answer in peer.read(ReadoutRequest)]
            assert [str(f.value) for a in read for r in a.readings for f in r.fields] == [f"{temperature}.00"]
            await seen.shows(f"{temperature}.00")
