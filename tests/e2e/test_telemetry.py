"""Telemetry over XEP-0060 and XEP-0163: who hears what, when, and what comes of it while there is no server."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest

from devices.base import NotResponding
from devices.simulated import Simulated
from hub.programs.node import Node
from tests.helpers import until

from .proxy import Proxy
from .raw import RawClient, condition
from .readings import OLD
from .world import ON_EJABBERD, SAMPLED, World, running

PUBSUB = "http://jabber.org/protocol/pubsub"
EVENT = f"{{{PUBSUB}#event}}"
BARE = "greenhouse@localhost"
REFUSED = {"not-authorized", "forbidden", "not-allowed", "item-not-found"}

AIR = """
[things.air]
driver = "simulated"
field = "temperature"
unit = "°C"
interval = "50ms"
change = { temperature = 0.5 }
"""
HOURLY = 'interval = "1h"'


class Air:
    """What the simulated part measures, in the hand of the test."""

    temperature = 0.0
    fault = ""

    def read(self, _: Simulated) -> Mapping[str, Any]:
        if self.fault:
            raise NotResponding(self.fault)
        return {"temperature": self.temperature}

    async def becomes(self, temperature: float, node: Node) -> None:
        """The air is `temperature`, and has been read so."""
        self.temperature = temperature
        await until(lambda: node.things["air"].values.get("temperature") == Decimal(str(temperature)), "a new reading")


@pytest.fixture
def air(monkeypatch: pytest.MonkeyPatch) -> Air:
    air = Air()
    monkeypatch.setattr(Simulated, "read", lambda part: air.read(part))
    return air


async def subscribe(client: RawClient, place: str, node: str = "hub/air") -> Element:
    return await client.ask(
        place, "set", f"<pubsub xmlns='{PUBSUB}'><subscribe node='{node}' jid='{client.jid}'/></pubsub>"
    )


async def follow(client: RawClient, place: str = BARE, node: str = "hub/air") -> None:
    """Subscribed; the node is there once the first reading has been published."""
    await client.befriend(BARE)
    while (iq := await subscribe(client, place, node)).get("type") != "result":
        assert condition(iq) == "item-not-found"


async def heard(client: RawClient, node: str = "hub/air") -> Element:
    """The payload of the next notification."""
    message = await client.take(
        lambda s: any(items.get("node") == node for items in s.iter(f"{EVENT}items")), "a notification"
    )
    (item,) = message.iter(f"{EVENT}item")
    return item[0]


async def next_values(client: RawClient) -> list[tuple[str, dt.datetime]]:
    """The next published temperatures and their moments: one, or several that come late."""
    payload = await heard(client)
    stamps = payload.findall(f"{{{OLD}}}node/{{{OLD}}}timestamp")
    assert payload.tag == f"{{{OLD}}}fields" and stamps
    return [(stamp[0].get("value", ""), dt.datetime.fromisoformat(stamp.get("value", ""))) for stamp in stamps]


async def next_value(client: RawClient) -> tuple[str, dt.datetime]:
    (value,) = await next_values(client)
    return value


async def test_a_subscriber_hears_of_changes_beyond_the_dead_band_only(
    own_server: World, air: Air, state: Path
) -> None:
    config = own_server.config(AIR, state, telemetry=HOURLY)
    async with running(config) as node, own_server.client("owner") as owner:
        await follow(owner)
        assert (await next_value(owner))[0] == "0.00", "the newest reading comes with the subscription"
        for temperature in (0.4, 0.6, 0.2, 1.0, 0.1, 0.9):
            await air.becomes(temperature, node)
        assert [(await next_value(owner))[0] for _ in range(3)] == ["0.60", "0.10", "0.90"]
        await until(lambda: node.publisher.waiting == 0, "everything is confirmed")
        assert not [s for s in owner.pending if s.tag.endswith("}message")]


@ON_EJABBERD
async def test_a_subscriber_hears_at_least_every_interval(own_server: World, air: Air, state: Path) -> None:
    config = own_server.config(AIR, state, telemetry='interval = "1s"')
    async with running(config), own_server.client("owner") as owner:
        await follow(owner)
        (first, then), (again, later) = await next_value(owner), await next_value(owner)
        assert first == again == "0.00"
        assert later - then > dt.timedelta(seconds=0.9)


async def test_a_switched_output_is_published_at_once(own_server: World, air: Air, state: Path) -> None:
    pump = '[things.pump]\ndriver = "relay"\npin = 17\ninterval = "1h"\n'
    async with running(own_server.config(pump, state, telemetry=HOURLY)) as node, own_server.client("owner") as owner:
        await follow(owner, node="hub/pump")
        for value in ("false", "true", "false"):
            await node.sampler.write("pump", {"output": value == "true"})
            (field,) = (await heard(owner, "hub/pump")).iter(f"{{{OLD}}}boolean")
            assert (field.get("name"), field.get("value"), field.get("momentary")) == ("output", value, "true")


async def test_a_fault_is_published_and_so_is_its_end(own_server: World, air: Air, state: Path) -> None:
    config = own_server.config(AIR, state, telemetry=HOURLY)
    async with running(config), own_server.client("owner") as owner:
        await follow(owner)
        await next_value(owner)
        air.fault = "no acknowledge"
        failure = await heard(owner)
        assert failure.tag == f"{{{OLD}}}failure"
        assert [(error.get("nodeId"), error.text) for error in failure] == [("air", "no acknowledge")]
        air.fault, air.temperature = "", 20.1
        assert (await next_value(owner))[0] == "20.10"


async def test_only_contacts_can_subscribe_to_or_fetch_personal_telemetry(
    own_server: World, air: Air, state: Path
) -> None:
    async with (
        running(own_server.config(AIR, state)) as node,
        own_server.client("stranger") as stranger,
        own_server.client("owner") as owner,
    ):
        await until(lambda: node.publisher.published, "something is published")
        stranger.write("<presence/><presence to='greenhouse@localhost' type='subscribe'/>")
        assert condition(await subscribe(stranger, BARE)) in REFUSED
        fetch = f"<pubsub xmlns='{PUBSUB}'><items node='hub/air'/></pubsub>"
        assert condition(await stranger.ask(BARE, "get", fetch)) in REFUSED
        forged = f"<pubsub xmlns='{PUBSUB}'><publish node='hub/air'><item><a xmlns='b'/></item></publish></pubsub>"
        assert condition(await stranger.ask(BARE, "set", forged)) in REFUSED
        await follow(owner)
        await heard(owner)
        assert not any(True for s in stranger.pending for _ in s.iter(f"{EVENT}items"))


@pytest.mark.parametrize(
    "read",
    [pytest.param('"owner@localhost"', id="named"), pytest.param('"*@friends.example", "*@LOCALHOST"', id="pattern")],
)
async def test_a_pubsub_service_is_used_when_it_is_named(own_server: World, air: Air, state: Path, read: str) -> None:
    """A service knows no contacts: who is named is a member from the start, who matches a pattern once granted."""
    config = own_server.config(AIR, state, read=read, telemetry='service = "pubsub.localhost"\n' + HOURLY)
    place, name = "pubsub.localhost", f"{BARE}/hub/air"
    async with (
        running(config) as node,
        own_server.client("owner") as owner,
        own_server.client("stranger") as stranger,
    ):
        await until(lambda: node.publisher.published, "something is published")
        assert condition(await subscribe(stranger, place, name)) in REFUSED
        await owner.befriend(BARE)
        while (iq := await subscribe(owner, place, name)).get("type") != "result":
            assert condition(iq) in REFUSED  # the service has not been told yet
        payload = await heard(owner, name)
        assert [field.get("value") for field in payload.iter(f"{{{OLD}}}numeric")] == ["0.00"]
        await air.becomes(25, node)
        payload = await heard(owner, name)
        assert [field.get("value") for field in payload.iter(f"{{{OLD}}}numeric")] == ["25.00"]


@pytest.mark.parametrize("service", [None, "pubsub.localhost"])
async def test_who_may_no_longer_read_hears_no_more(
    own_server: World, air: Air, state: Path, tmp_path: Path, service: str | None
) -> None:
    place, name = (BARE, "hub/air") if service is None else (service, f"{BARE}/hub/air")
    telemetry = HOURLY if service is None else f'{HOURLY}\nservice = "{service}"'
    file = tmp_path / "hub.toml"
    async with (
        running(own_server.config(AIR, state, telemetry=telemetry)) as node,
        own_server.client("owner") as owner,
    ):
        await owner.ask(None, "get", "<query xmlns='jabber:iq:roster'/>")
        await follow(owner, place, name)
        await heard(owner, name)
        file.write_text(own_server.text(AIR, state, telemetry=telemetry, read='"reader@localhost"', control=""))
        await node.reload(file)
        await owner.take(lambda s: s.get("type") == "unsubscribed", "the presence is taken back")
        for temperature in (10, 20):
            published = node.publisher.published
            await air.becomes(temperature, node)
            await until(lambda before=published: node.publisher.published > before, "it is published")
        await owner.ask(None, "get", "<ping xmlns='urn:xmpp:ping'/>")  # what was to come has come before its answer
        late = [item for stanza in owner.pending for item in stanza.iter(f"{{{OLD}}}numeric")]
        assert [item.get("value") for item in late] == []
        assert condition(await subscribe(owner, place, name)) in REFUSED
        fetch = f"<pubsub xmlns='{PUBSUB}'><items node='{name}'/></pubsub>"
        assert condition(await owner.ask(place, "get", fetch)) in REFUSED


@ON_EJABBERD
async def test_open_telemetry_is_open_to_everybody(own_server: World, air: Air, state: Path) -> None:
    config = own_server.config(AIR, state, read='"*"')
    async with running(config) as node, own_server.client("stranger") as stranger:
        await until(lambda: node.publisher.published, "something is published")
        assert (await subscribe(stranger, BARE)).get("type") == "result"
        stranger.write("<presence/>")
        await heard(stranger)


async def offline_then_back(own_server: World, air: Air, state: Path, backlog: int) -> tuple[list[str], list[str], int]:
    """Six readings while the server is away: the moments measured, the moments heard, how many were dropped."""
    async with Proxy(own_server.entrance) as proxy:
        telemetry = f"{HOURLY}\nbacklog = {backlog}"
        config = own_server.config(AIR, state, port=proxy.port, telemetry=telemetry)
        async with running(config) as node:
            async with own_server.client("owner") as owner:
                await follow(owner)
                await next_value(owner)
            proxy.refusing = True  # so that the subscriber is back before the node is
            own_server.stop()
            await until(lambda: node.link is not None and not node.link.up, "the node notices")
            moments = []
            for temperature in (1, 2, 3, 4, 5, 6):
                await air.becomes(temperature, node)
                moments.append(next(  # of the reading that was published: the first of its value
                    moment for moment, values in SAMPLED["air"] if values["temperature"] == temperature
                ).isoformat())  # fmt: skip
            await until(lambda: node.publisher.waiting == min(backlog, 6), "they wait")
            own_server.start()
            async with own_server.client("owner") as owner:
                owner.write("<presence/>")
                assert (await subscribe(owner, BARE)).get("type") == "result"
                proxy.refusing = False
                found = []
                while not found or found[-1][0] != "6.00":
                    found += await next_values(owner)
                await until(lambda: node.publisher.waiting == 0, "the backlog is empty")
                assert [s for s in owner.pending if s.tag.endswith("}message")] == []
    return moments, [moment.isoformat() for value, moment in found if value != "0.00"], node.publisher.dropped


async def test_what_was_measured_offline_is_delivered_later_with_its_own_moments(
    own_server: World, air: Air, state: Path, hasty: None
) -> None:
    moments, found, dropped = await offline_then_back(own_server, air, state, 100)
    assert found == moments
    assert dropped == 0


async def test_a_full_backlog_loses_the_oldest_readings_and_says_so(
    own_server: World, air: Air, state: Path, hasty: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    moments, found, dropped = await offline_then_back(own_server, air, state, 3)
    assert found == moments[3:]
    assert dropped == 3
    assert "the backlog is full" in caplog.text


async def test_what_was_on_the_way_when_the_server_died_is_sent_again(
    own_server: World, air: Air, state: Path, hasty: None
) -> None:
    config = own_server.config(AIR, state, telemetry=HOURLY)
    async with running(config) as node:
        await until(lambda: node.publisher.published == 1, "the first reading is published")
        own_server.freeze()
        await air.becomes(5, node)
        await until(lambda: node.publisher.in_flight == 1, "it is on its way")
        own_server.kill()
        await until(lambda: node.link is not None and not node.link.up, "the node notices")
        own_server.start()
        await until(lambda: node.publisher.published == 2, "it has arrived")
        async with own_server.client("owner") as owner:
            await follow(owner)
            assert (await next_value(owner))[0] == "5.00"
