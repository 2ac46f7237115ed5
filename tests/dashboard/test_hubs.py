"""Hubs found, followed, asked and commanded, on a real server with real nodes."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hub.dashboard import watcher
from hub.dashboard.access import hashed
from hub.dashboard.view import UPDATES_PER_S, Freshness, HubLife, Key, Visitor
from hub.errors import HubError
from hub.programs.node import Node
from hub.services import finding
from hub.services.peer import Published
from tests.dashboard.watching import CELLAR, GREENHOUSE, THINGS, text, watching
from tests.e2e.node_process import hub_process
from tests.e2e.world import World, running
from tests.helpers import PATIENCE_S, until
from tests.provisioning.e2e.house import KEY, SECRET, SERVICE, claimed, serving

ANYBODY = Visitor("this machine", True)
LIST = f'hubs = ["{GREENHOUSE}", "{CELLAR}"]'


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.session.link.FIRST_WAIT_S", 0.05)
    monkeypatch.setattr("hub.session.link.LAST_WAIT_S", 0.2)
    monkeypatch.setattr(watcher, "FIRST_WAIT_S", 0.1)
    monkeypatch.setattr(watcher, "LAST_WAIT_S", 0.5)
    monkeypatch.setattr(watcher, "LOOK_S", 0.2)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "server") as made:
        yield made.populate("greenhouse", "cellar", "owner", "reader", "stranger")


@contextlib.asynccontextmanager
async def nodes(world: World, tmp_path: Path, *users: str) -> AsyncIterator[dict[str, Node]]:
    async with contextlib.AsyncExitStack() as stack:
        yield {
            user: await stack.enter_async_context(running(world.config(THINGS, tmp_path / user, user=user)))
            for user in users
        }


async def test_hubs_of_a_list_are_shown_and_followed(world: World, tmp_path: Path) -> None:
    async with nodes(world, tmp_path, "greenhouse", "cellar"), watching(text(world, LIST)) as seen:
        await seen.online(GREENHOUSE, CELLAR)
        assert [state.jid for state in seen.hubs.hubs()] == [GREENHOUSE, CELLAR]
        assert seen.hub(CELLAR).things == ("air", "pump")
        pump = seen.tile(GREENHOUSE, "pump", "output")
        assert (pump.label, pump.text, pump.writable, pump.freshness) == ("Pump", "off", True, Freshness.LIVE)
        before = seen.tile(CELLAR, "air", "value")
        await seen.followed(CELLAR)
        after = seen.tile(CELLAR, "air", "value")
        assert after.moment and before.moment and after.moment > before.moment
        assert not after.writable


async def test_hubs_of_the_roster_are_found_and_people_are_not(world: World, tmp_path: Path) -> None:
    async with nodes(world, tmp_path, "greenhouse"), world.client("owner") as owner:
        await owner.befriend(GREENHOUSE)
        async with world.client("stranger") as stranger:
            await stranger.ask(None, "get", "<query xmlns='jabber:iq:roster'/>")
            stranger.write("<presence/>")
            owner.write("<presence to='stranger@localhost' type='subscribe'/>")
            await stranger.take(lambda s: s.get("type") == "subscribe")
            stranger.write("<presence to='owner@localhost' type='subscribed'/>")
            async with watching(text(world, "")) as seen:
                await seen.online(GREENHOUSE)
                await until(lambda: "stranger@localhost" in seen.hubs._watchers, "the contact is looked at")
                async with nodes(world, tmp_path, "cellar"):
                    await owner.befriend(CELLAR)  # while the dashboard runs
                    await seen.online(GREENHOUSE, CELLAR)
                assert [state.jid for state in seen.hubs.hubs()] == [CELLAR, GREENHOUSE]
                owner.write("<presence to='cellar@localhost' type='unsubscribe'/>")
                await until(lambda: len(seen.hubs.hubs()) == 1, "who is no contact any more is not shown")
                assert {tile.key.hub for tile in seen.hubs.tiles()} == {GREENHOUSE}


async def test_hubs_of_the_registry_are_those_of_the_owner(tmp_path: Path) -> None:
    with World(tmp_path / "server", components={SERVICE: SECRET}) as world:
        world.populate("greenhouse", "cellar", "owner", "stranger")
        async with serving(world, tmp_path / "registry"), contextlib.AsyncExitStack() as stack:
            for thing, owner in (("greenhouse", "owner"), ("cellar", "stranger")):
                async with world.client(thing) as one, world.client(owner) as other:
                    await claimed(one, other, f"<str name='MODEL' value='{thing}'/>{KEY}")
            await stack.enter_async_context(nodes(world, tmp_path, "greenhouse", "cellar"))
            seen = await stack.enter_async_context(watching(text(world, 'hubs = "registry"')))
            await seen.online(GREENHOUSE)
            assert [state.jid for state in seen.hubs.hubs()] == [GREENHOUSE]


async def test_without_a_registry_it_is_said(world: World) -> None:
    async with watching(text(world, 'hubs = "registry"')) as seen:
        await until(lambda: "hosts no registry" in seen.hubs.trouble, "it is said")


async def test_a_stranger_does_not_get_onto_the_page(world: World) -> None:
    """By asking to be a contact."""
    async with world.client("stranger") as stranger, watching(text(world, "")) as seen:
        await until(lambda: seen.link.up, "online")
        asked = asyncio.Event()
        seen.link.client.add_event_handler("presence_subscribe", lambda _: asked.set())
        stranger.write("<presence/><presence to='owner@localhost' type='subscribe'/>")
        await asked.wait()
        answer = await stranger.ask(None, "get", "<query xmlns='jabber:iq:roster'/>")
        assert [item.get("subscription") for item in answer[0]] == ["none"]
        await seen.link.client.get_roster()
        assert finding.contacts(seen.link.client) == [] and seen.hubs.hubs() == ()


async def test_while_the_server_is_away_nothing_is_fresh_and_it_is_said(world: World, tmp_path: Path) -> None:
    async with nodes(world, tmp_path, "greenhouse"), watching(text(world, LIST)) as seen:
        await seen.online(GREENHOUSE)
        world.stop()
        await seen.fresh(GREENHOUSE, "air", "value", Freshness.GONE)
        await until(lambda: "no connection to the server" in seen.hub(GREENHOUSE).text, "why")
        await until(lambda: "cannot be reached" in seen.hubs.trouble, seen.hubs.trouble)
        with pytest.raises(HubError, match="not there now: no connection"):
            await seen.hubs.set(ANYBODY, GREENHOUSE, "pump", {"output": "on"})
        world.start()
        await seen.online(GREENHOUSE)
        assert seen.hubs.trouble == ""
        old = seen.tile(GREENHOUSE, "air", "value").moment
        await until(lambda: seen.tile(GREENHOUSE, "air", "value").moment != old, "it goes on")
        assert seen.tile(GREENHOUSE, "air", "value").freshness is Freshness.LIVE


async def test_a_server_that_was_never_there_is_said(world: World) -> None:
    world.stop()
    async with watching(text(world, LIST)) as seen:
        await until(lambda: "cannot be reached" in seen.hub(CELLAR).text, "why")
        assert seen.hub(CELLAR).life is HubLife.GONE and "tried again" in seen.hub(CELLAR).text


async def test_a_hub_that_leaves_is_gone_and_one_that_comes_is_back(world: World, tmp_path: Path) -> None:
    async with watching(text(world, f'hubs = ["{GREENHOUSE}"]')) as seen:
        await seen.becomes(GREENHOUSE, HubLife.GONE)
        for _ in range(2):
            async with nodes(world, tmp_path, "greenhouse"):
                await seen.online(GREENHOUSE)
                assert seen.tile(GREENHOUSE, "pump", "output").freshness is Freshness.LIVE
            await seen.becomes(GREENHOUSE, HubLife.GONE)
            assert "offline" in seen.hub(GREENHOUSE).text or "not online" in seen.hub(GREENHOUSE).text
            assert seen.tile(GREENHOUSE, "pump", "output").freshness is Freshness.GONE


async def test_a_hub_that_hangs_is_stale_then_gone_then_back(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its stream is up and its presence says that it is there: only its silence tells."""
    monkeypatch.setattr(watcher, "QUIET_S", 2.5)
    monkeypatch.setattr("hub.dashboard.hubs.TIMEOUT_S", 2.0)
    (tmp_path / "hub.toml").write_text(world.text(THINGS, tmp_path / "state"))
    command = ("node", "--simulate", "--config", tmp_path / "hub.toml")
    async with hub_process(*command) as node, watching(text(world, f'{LIST}\nstale_after = "1s"')) as seen:
        await seen.followed(GREENHOUSE)
        node.signal(signal.SIGSTOP)
        try:
            await seen.fresh(GREENHOUSE, "air", "value", Freshness.STALE)
            assert seen.hub(GREENHOUSE).up
            await seen.becomes(GREENHOUSE, HubLife.GONE)
            assert "does not answer" in seen.hub(GREENHOUSE).text
        finally:
            node.signal(signal.SIGCONT)
        await seen.online(GREENHOUSE)
        await seen.fresh(GREENHOUSE, "air", "value", Freshness.LIVE)


async def test_a_killed_hub_is_not_fresh(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its server keeps its session for a while, and its presence with it."""
    monkeypatch.setattr(watcher, "QUIET_S", 2.5)
    monkeypatch.setattr("hub.dashboard.hubs.TIMEOUT_S", 2.0)
    (tmp_path / "hub.toml").write_text(world.text(THINGS, tmp_path / "state"))
    command = ("node", "--simulate", "--config", tmp_path / "hub.toml")
    async with watching(text(world, f'{LIST}\nstale_after = "1s"')) as seen:
        async with hub_process(*command) as node:
            await seen.followed(GREENHOUSE)
            node.signal(signal.SIGKILL)
            await node.ended()
            await seen.fresh(GREENHOUSE, "air", "value", Freshness.STALE)
            await seen.becomes(GREENHOUSE, HubLife.GONE)
        async with hub_process(*command):
            await seen.online(GREENHOUSE)


async def test_a_command_is_carried_out_and_read_back(world: World, tmp_path: Path) -> None:
    async with nodes(world, tmp_path, "greenhouse") as there, watching(text(world, LIST)) as seen:
        await seen.online(GREENHOUSE)
        title, controls = await seen.hubs.form(GREENHOUSE, "pump")
        assert [(c.name, c.text) for c in controls] == [("output", "false")] and "Pump" in title
        assert await seen.hubs.set(ANYBODY, GREENHOUSE, "pump", {"output": "on"}) == {"output": "on"}
        assert there["greenhouse"].things["pump"].values == {"output": True}
        assert seen.tile(GREENHOUSE, "pump", "output").text == "on"
        _, controls = await seen.hubs.form(GREENHOUSE, "pump")
        assert controls[0].text == "true"


PUBSUB = "http://jabber.org/protocol/pubsub"
TOLD = (
    "<fields xmlns='urn:xmpp:iot:sensordata' seqnr='1'><node nodeId='air'><timestamp value='2026-11-21T08:00:00Z'>"
    "<numeric name='told' value='7' unit=''/></timestamp></node></fields>"
)
REFUSED = [
    ("pump", {"output": "perhaps"}, "output: 'perhaps' is not true or false"),
    ("pump", {"speed": "1"}, "has no parameter 'speed'"),
    ("fan", {"duty": "400"}, "duty"),
    ("air", {"value": "1"}, "the hub refuses"),
    ("none", {"output": "on"}, "no such node: none"),
    ("pump", {}, "sets 1 to"),
]


async def test_what_is_refused_says_why_and_moves_nothing(world: World, tmp_path: Path) -> None:
    things = THINGS + '[things.fan]\ndriver = "pwm"\npin = 18\n'
    async with (
        running(world.config(things, tmp_path / "state")) as node,
        watching(text(world, LIST)) as seen,
    ):
        await seen.online(GREENHOUSE)
        before = {name: dict(node.things[name].values) for name in ("pump", "fan")}
        for thing, values, words in REFUSED:
            with pytest.raises(HubError, match=words):
                await seen.hubs.set(ANYBODY, GREENHOUSE, thing, values)
        with pytest.raises(HubError, match="not there now"):
            await seen.hubs.set(ANYBODY, CELLAR, "pump", {"output": "on"})
        assert {name: dict(node.things[name].values) for name in ("pump", "fan")} == before


async def test_who_may_not_control_is_refused_here_and_there(world: World, tmp_path: Path) -> None:
    users = 'open_control = false\n[dashboard.users.ann]\npassword_hash = "{hash}"\n' \
            '[dashboard.users.ben]\npassword_hash = "{hash}"\ncontrol = true\n'
    page = text(world, LIST, user="reader").replace("open_control = true\n", "")
    page += users.replace("open_control = false\n", "").replace("{hash}", hashed("secret secret"))
    async with nodes(world, tmp_path, "greenhouse") as there, watching(page) as seen:
        await seen.online(GREENHOUSE)
        ann = await seen.hubs.authenticate("ann", "secret secret", "192.0.2.1")
        ben = await seen.hubs.authenticate("ben", "secret secret", "192.0.2.1")
        assert ann == Visitor("ann", False) and ben == Visitor("ben", True)
        for nobody in (ann, Visitor("ann", True), Visitor("eve", True), ANYBODY):
            with pytest.raises(HubError, match="you may look, but not control"):
                await seen.hubs.set(nobody, GREENHOUSE, "pump", {"output": "on"})
        with pytest.raises(HubError, match="the hub refuses"):  # the dashboard's own account may only read
            await seen.hubs.set(ben, GREENHOUSE, "pump", {"output": "on"})
        assert there["greenhouse"].things["pump"].values == {"output": False}


async def test_a_hub_that_lets_us_do_nothing_is_refused(world: World, tmp_path: Path) -> None:
    async with nodes(world, tmp_path, "greenhouse"), watching(text(world, LIST, user="stranger")) as seen:
        await seen.becomes(GREENHOUSE, HubLife.REFUSED)
        assert "it refuses us" in seen.hub(GREENHOUSE).text


async def test_a_part_in_trouble_is_shown_before_it_was_ever_read(world: World, tmp_path: Path) -> None:
    sick = THINGS + '[things.sick]\ndriver = "simulated"\nfault = "error"\n'
    async with running(world.config(sick, tmp_path / "state")), watching(text(world, LIST)) as seen:
        await seen.online(GREENHOUSE)
        tile = seen.tile(GREENHOUSE, "sick", "")
        assert (tile.freshness, tile.value) == (Freshness.NEVER, None) and tile.trouble


async def test_hubs_on_one_pubsub_service_are_told_apart(world: World, tmp_path: Path) -> None:
    world.populate("node")
    telemetry = 'service = "pubsub.localhost"\n'
    async with contextlib.AsyncExitStack() as stack:
        for user, kind in (("greenhouse", "pump"), ("node", "lamp")):
            things = f'[things.{kind}]\ndriver = "simulated"\nkind = "counter"\ninterval = "200ms"\n' \
                     "change = { value = 1 }\n"
            config = world.config(things, tmp_path / user, user=user, telemetry=telemetry)
            await stack.enter_async_context(running(config))
        page = text(world, f'hubs = ["{GREENHOUSE}", "node@localhost"]')
        seen = await stack.enter_async_context(watching(page))
        await seen.online(GREENHOUSE, "node@localhost")
        for jid, kind in ((GREENHOUSE, "pump"), ("node@localhost", "lamp")):
            await until(lambda jid=jid, kind=kind: len(seen.tile(jid, kind, "value").trend) > 3, f"{jid} is followed")
            assert seen.hub(jid).things == (kind,) and seen.hub(jid).text == ""


async def test_a_hub_that_tells_nothing_is_asked_until_it_tells(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may make no nodes on the service that it is to publish on; in the end somebody makes one."""
    monkeypatch.setattr("hub.dashboard.hubs.TIMEOUT_S", 1.0)
    monkeypatch.setattr(watcher, "POLL_S", 0.3)
    monkeypatch.setattr(watcher, "FOLLOW_AGAIN_S", 0.3)
    air = '[things.air]\ndriver = "simulated"\nkind = "counter"\ninterval = "200ms"\n'
    config = world.config(air, tmp_path / "state", user="cellar", telemetry='service = "pubsub.localhost"\n')
    async with running(config), watching(text(world, f'hubs = ["{CELLAR}"]')) as seen:
        await seen.online(CELLAR)
        await until(lambda: "it is asked every 0.3 s" in seen.hub(CELLAR).text, "it is asked")
        before = seen.tile(CELLAR, "air", "value").moment
        await until(lambda: seen.tile(CELLAR, "air", "value").moment != before, "it is asked again")
        async with world.client("greenhouse") as maker:
            node = "cellar@localhost/hub/air"
            create, publish = f"<create node='{node}'/>", f"<publish node='{node}'><item id='x'>{TOLD}</item></publish>"
            made = await maker.ask("pubsub.localhost", "set", f"<pubsub xmlns='{PUBSUB}'>{create}</pubsub>")
            assert made.get("type") == "result"
            async with asyncio.timeout(PATIENCE_S):
                while seen.hub(CELLAR).text:  # who subscribes after it was published does not get it
                    await maker.ask("pubsub.localhost", "set", f"<pubsub xmlns='{PUBSUB}'>{publish}</pubsub>")
        assert seen.tile(CELLAR, "air", "told").text == "7"


def test_a_hub_sends_us_neither_to_people_nor_everywhere() -> None:
    here, service = Published(CELLAR, "hub/air", "Air"), Published("pubsub.localhost", "cellar@localhost/hub/air", "")
    elsewhere = Published("victim@localhost", "hub/air", "")
    assert watcher.followable(CELLAR, [here, elsewhere, service]) == [here, service]
    assert len(watcher.followable(CELLAR, [here] * 100_000)) == watcher.MAX_PLACES


async def test_pages_hear_of_changes_and_not_too_often(world: World, tmp_path: Path) -> None:
    async with nodes(world, tmp_path, "greenhouse"), watching(text(world, LIST)) as seen:
        await seen.online(GREENHOUSE)
        heard: list[tuple[float, frozenset[Key] | None]] = []

        async def look() -> None:
            async for change in seen.hubs.changes():
                heard.append((asyncio.get_running_loop().time(), change))

        page = asyncio.create_task(look())
        await until(lambda: len([1 for _, change in heard if change]) > 3, "changes are told")
        page.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await page
        assert Key(GREENHOUSE, "air", "value") in frozenset().union(*(change or () for _, change in heard))
        gaps = [after - before for (before, _), (after, _) in itertools.pairwise(heard)]
        assert min(gaps) >= 1 / UPDATES_PER_S * 0.9
        await until(lambda: not seen.hubs._pages, "a page that has gone is forgotten")
