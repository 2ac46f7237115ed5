"""Event subscriptions on real servers, in the words of each dialect: what is sent, when, to whom, and what ends it."""

from __future__ import annotations

import datetime as dt
import logging
from pathlib import Path

import pytest

from hub.programs.node import Node
from hub.things.events import Bounds
from tests.helpers import until

from .event_words import BARE, FAMILIES, Words, acquainted, silence
from .proxy import Proxy
from .raw import RawClient, condition, error_text
from .test_telemetry import AIR, HOURLY, Air, air
from .world import HUB, ON_EJABBERD, World, running

__all__ = ["air"]  # a fixture

NF = Words("nf")
XSF = Words("xmpp")
ATTIC = AIR.replace("things.air", "things.attic")
HALF = {"temperature": {"changedBy": "0.5"}}
IN_XML = pytest.mark.parametrize("own_server", ["xml"], indirect=True)
"""For what no transport has a part in."""
IN_BOTH = pytest.mark.parametrize("words", [XSF, NF], ids=["xmpp", "nf"])


async def subscribed(client: RawClient, words: Words, xml: str, id_: int = 1) -> None:
    words.accepted(await client.ask(HUB, "get", xml), id_)


@ON_EJABBERD
async def test_a_subscription_from_its_first_event_to_its_end(own_server: World, air: Air, state: Path) -> None:
    async with running(own_server.config(AIR, state, telemetry=HOURLY)) as node, own_server.client("owner") as owner:
        info = await owner.ask(HUB, "get", "<query xmlns='http://jabber.org/protocol/disco#info'/>")
        assert {Words(family).events for family in FAMILIES} <= {feature.get("var") for feature in info[0]}
        await acquainted(owner)
        for words in map(Words, FAMILIES):
            await from_first_to_last(words, owner, air, node)


async def from_first_to_last(words: Words, owner: RawClient, air: Air, node: Node) -> None:
    await air.becomes(20, node)
    await subscribed(owner, words, words.subscribe(7, HALF, req="true"), 7)
    event = await words.event(owner, 7)
    assert (event.nodes(), event.names(), event.value("temperature")) == (["air"], ["temperature"], "20.00")
    for temperature in (20.4, 20.5, 20.9, 21.0):
        await air.becomes(temperature, node)
    assert [await words.value(owner, 7) for _ in range(2)] == ["20.50", "21.00"]
    iq = await owner.ask(HUB, "set", words.unsubscribe(7))
    assert iq.get("type") == "result" and len(iq) == 0
    await air.becomes(30, node)
    assert await silence(owner) == []
    assert (await owner.ask(HUB, "set", words.unsubscribe(7))).get("type") == "result", "it was none any more"


@IN_XML
@IN_BOTH
async def test_a_change_that_was_held_back_is_sent_when_the_interval_ends(
    own_server: World, air: Air, state: Path, words: Words
) -> None:
    slow = AIR.replace('"50ms"', '"1h"')
    async with running(own_server.config(slow, state, telemetry=HOURLY)) as node, own_server.client("owner") as owner:
        await acquainted(owner)
        await subscribed(owner, words, words.subscribe(1, HALF, minInterval="PT1.5S", req="true"))
        await words.event(owner)
        began = dt.datetime.now(dt.UTC)
        air.temperature = 21
        await node.sampler.refresh("air", 5)  # the only reading in an hour
        assert await silence(owner) == []
        assert await words.value(owner) == "21.00"
        assert dt.datetime.now(dt.UTC) - began > dt.timedelta(seconds=1)


@IN_XML
async def test_the_maximum_interval_brings_what_has_not_changed(own_server: World, air: Air, state: Path) -> None:
    async with running(own_server.config(AIR, state, telemetry=HOURLY)), own_server.client("owner") as owner:
        await acquainted(owner)
        await subscribed(owner, XSF, XSF.subscribe(nodes=(), maxInterval="PT1S"))
        first, then = [(await XSF.event(owner)).times()[0] for _ in range(2)]
        assert dt.datetime.fromisoformat(then) - dt.datetime.fromisoformat(first) > dt.timedelta(seconds=0.8)


@IN_XML
@IN_BOTH
async def test_each_node_tells_of_itself_and_a_newer_subscription_takes_it_over(
    own_server: World, air: Air, state: Path, words: Words
) -> None:
    config = own_server.config(AIR + ATTIC, state, telemetry=HOURLY)
    async with running(config) as node, own_server.client("owner") as owner, own_server.client("owner", "2") as phone:
        await acquainted(owner)
        await acquainted(phone)
        await subscribed(owner, words, words.subscribe(1, HALF, ("air", "attic")))
        await subscribed(phone, words, words.subscribe(1, HALF, ("air",)))
        await air.becomes(5, node)
        assert sorted([(await words.event(owner)).nodes() for _ in range(2)]) == [["air"], ["attic"]]
        assert (await words.event(phone)).nodes() == ["air"]
        await subscribed(owner, words, words.subscribe(2, {"temperature": {"changedUp": "1"}}, ("air",)), 2)
        await air.becomes(10, node)
        assert (await words.event(owner, 1)).nodes() == ["attic"]
        assert (await words.event(owner, 2)).nodes() == ["air"]
        assert (await words.event(phone)).nodes() == ["air"]
        assert await silence(owner) == []
    assert node.events is not None


@IN_XML
async def test_a_current_value_is_what_a_change_is_measured_from(own_server: World, air: Air, state: Path) -> None:
    async with running(own_server.config(AIR, state, telemetry=HOURLY)) as node, own_server.client("owner") as owner:
        await acquainted(owner)
        await air.becomes(20, node)
        known = {"temperature": {"changedDown": "5", "currentValue": "25"}}
        await subscribed(owner, XSF, XSF.subscribe(1, known))
        assert await XSF.value(owner) == "20.00"


@IN_XML
async def test_a_thing_that_fails_tells_so_and_that_it_is_well_again(own_server: World, air: Air, state: Path) -> None:
    async with running(own_server.config(AIR, state, telemetry=HOURLY)), own_server.client("owner") as owner:
        await acquainted(owner)
        await subscribed(owner, XSF, XSF.subscribe(1, {"temperature": {"changedBy": "1000"}}))
        air.fault = "no acknowledge"
        assert (await XSF.event(owner)).errors() == {"air": "no acknowledge"}
        air.fault = ""
        assert (await XSF.event(owner)).errors() == {}


@IN_XML
@IN_BOTH
async def test_history_comes_with_an_event_as_far_back_as_was_asked(
    own_server: World, air: Air, state: Path, words: Words
) -> None:
    async with running(own_server.config(AIR, state, telemetry=HOURLY)) as node, own_server.client("owner") as owner:
        await acquainted(owner)
        for temperature in (1, 2, 3):
            await air.becomes(temperature, node)
        rise = {"temperature": {"changedUp": "10"}}
        await subscribed(owner, words, words.subscribe(1, rise, all="true", maxAge="PT1H"))
        await air.becomes(50, node)
        fields = (await words.event(owner)).fields()
        told = [field.get("value" if words is XSF else "v") for field in fields]
        assert told[0] == "50.00" and {"1.00", "2.00", "3.00"} <= set(told)
        await air.becomes(3, node)
        await subscribed(owner, words, words.subscribe(1, rise, all="true"))
        await air.becomes(60, node)
        fields = (await words.event(owner)).fields()
        told = [field.get("value" if words is XSF else "v") for field in fields]
        assert told[0] == "60.00" and not {"1.00", "2.00", "50.00"} & set(told), "since it was told last, or asked"


# --------------------------------------------------------------------------- who


@ON_EJABBERD
async def test_who_is_away_is_told_nothing_and_what_is_new_when_he_is_back(
    own_server: World, air: Air, state: Path
) -> None:
    async with running(own_server.config(AIR, state, telemetry=HOURLY)) as node, own_server.client("owner") as owner:
        await acquainted(owner)
        for words in (XSF, NF):
            await air.becomes(0, node)
            await subscribed(owner, words, words.subscribe(1, HALF))
            owner.write(f"<presence to='{HUB}' type='unavailable'/>")
            assert node.events is not None
            (standing,) = node.events.subscriptions.standing
            await until(lambda one=standing: not one.online, "the hub sees that he leaves")
            for temperature in (10, 20):
                await air.becomes(temperature, node)
            assert await silence(owner) == []
            owner.write(f"<presence to='{HUB}'/>")
            assert await words.value(owner) == "20.00"
            await owner.ask(HUB, "set", words.unsubscribe(1))
            assert await silence(owner) == []


@IN_XML
async def test_who_is_said_not_to_be_there_is_away_until_he_shows_himself(
    own_server: World, air: Air, state: Path
) -> None:
    async with running(own_server.config(AIR, state, telemetry=HOURLY)) as node, own_server.client("owner") as owner:
        await acquainted(owner)
        await subscribed(owner, XSF, XSF.subscribe(1, HALF, req="true"))
        await XSF.event(owner)
        assert node.events is not None
        (standing,) = node.events.subscriptions.standing
        error = "<error type='{}'><{} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
        owner.write(f"<message to='{HUB}' type='error'>{error.format('wait', 'resource-constraint')}</message>")
        await air.becomes(10, node)
        assert await XSF.value(owner) == "10.00", "too much at once is not away"
        owner.write(f"<message to='{HUB}' type='error'>{error.format('cancel', 'service-unavailable')}</message>")
        await until(lambda: not standing.online, "the hub has understood")
        await air.becomes(20, node)
        assert await silence(owner) == []
        owner.write(f"<presence to='{HUB}'/>")
        assert await XSF.value(owner) == "20.00"


@ON_EJABBERD
async def test_a_contact_who_lets_the_hub_see_him_needs_nothing_more(own_server: World, air: Air, state: Path) -> None:
    async with running(own_server.config(AIR, state, telemetry=HOURLY)) as node, own_server.client("owner") as owner:
        await owner.ask(None, "get", "<query xmlns='jabber:iq:roster'/>")
        await owner.befriend(BARE)
        refused = await owner.ask(HUB, "set", XSF.subscribe(1, HALF))
        assert condition(refused) == "forbidden" and "let it see your presence" in error_text(refused)
        await owner.take(lambda s: s.get("type") == "subscribe", "the hub asks to see him")
        owner.write(f"<presence to='{BARE}' type='subscribed'/>")
        while (iq := await owner.ask(HUB, "set", XSF.subscribe(1, HALF))).get("type") != "result":
            assert condition(iq) == "forbidden"
        await air.becomes(10, node)
        assert await XSF.value(owner) == "10.00"
        owner.write("<presence type='unavailable'/>")
        assert node.events is not None
        (standing,) = node.events.subscriptions.standing
        await until(lambda: not standing.online, "the hub sees that he leaves")
        await air.becomes(20, node)
        owner.write("<presence/>")
        assert await XSF.value(owner) == "20.00"


@IN_XML
async def test_strangers_and_who_may_not_read_are_refused_with_words(own_server: World, air: Air, state: Path) -> None:
    config = own_server.config(AIR, state, read='"owner@localhost", "stranger@localhost"', telemetry=HOURLY)
    async with running(config) as node, own_server.client("stranger") as stranger:
        stranger.write(f"<presence/><presence to='{HUB}'/>")
        refused = await stranger.ask(HUB, "set", XSF.subscribe(1, HALF))
        assert condition(refused) == "forbidden" and "ask to see this hub's presence" in error_text(refused)
        assert node.events is not None and len(node.events.subscriptions) == 0
    async with (
        running(own_server.config(AIR, state, read='"owner@localhost"')), own_server.client("stranger") as stranger,
    ):  # fmt: skip
        stranger.write(f"<presence/><presence to='{HUB}'/>")
        assert condition(await stranger.ask(HUB, "set", XSF.subscribe(1, HALF))) == "forbidden"
        assert (await stranger.ask(HUB, "set", XSF.unsubscribe())).get("type") == "result", "there is none"


@ON_EJABBERD
async def test_a_friendship_that_ends_ends_its_subscriptions(own_server: World, air: Air, state: Path) -> None:
    removed = f"<query xmlns='jabber:iq:roster'><item jid='{BARE}' subscription='remove'/></query>"
    async with running(own_server.config(AIR, state, telemetry=HOURLY)) as node, own_server.client("owner") as owner:
        await owner.ask(None, "get", "<query xmlns='jabber:iq:roster'/>")
        for kind in ("unsubscribe", "remove"):
            await acquainted(owner)
            await air.becomes(0, node)
            await subscribed(owner, XSF, XSF.subscribe(1, HALF))
            engine = node.events.subscriptions if node.events is not None else None
            assert engine is not None and len(engine) == 1
            if kind == "unsubscribe":
                owner.write(f"<presence to='{BARE}' type='unsubscribe'/>")
            else:
                await owner.ask(None, "set", removed)
            await until(lambda standing=engine: len(standing) == 0, "the subscription ends")
            await air.becomes(10, node)
            assert await silence(owner) == []


@IN_XML
async def test_a_reload_that_takes_the_right_away_ends_it_without_a_word(
    own_server: World, air: Air, state: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    file = tmp_path / "hub.toml"
    async with running(own_server.config(AIR, state, telemetry=HOURLY)) as node, own_server.client("owner") as owner:
        await acquainted(owner)
        await subscribed(owner, XSF, XSF.subscribe(1, HALF))
        file.write_text(own_server.text(AIR, state, telemetry=HOURLY))
        await node.reload(file)
        await air.becomes(10, node)
        assert await XSF.value(owner) == "10.00", "who may go on goes on"
        file.write_text(own_server.text(AIR, state, telemetry=HOURLY, read='"reader@localhost"', control=""))
        await node.reload(file)
        await air.becomes(20, node)
        assert node.events is not None
        await until(lambda: node.events is not None and len(node.events.subscriptions) == 0, "it is dropped")
        assert "the subscription of owner@localhost/raw has ended" in caplog.text
        await owner.ask(None, "get", "<ping xmlns='urn:xmpp:ping'/>")
        assert not [s for s in owner.pending if s.tag.endswith("}message") and s.get("from") == HUB]


@IN_XML
async def test_a_thing_that_is_gone_leaves_the_others_of_its_subscription(
    own_server: World, air: Air, state: Path, tmp_path: Path
) -> None:
    file = tmp_path / "hub.toml"
    config = own_server.config(AIR + ATTIC, state, telemetry=HOURLY)
    async with running(config) as node, own_server.client("owner") as owner:
        await acquainted(owner)
        await subscribed(owner, XSF, XSF.subscribe(1, HALF, ("air", "attic")))
        file.write_text(own_server.text(AIR, state, telemetry=HOURLY))
        await node.reload(file)
        await air.becomes(10, node)
        assert (await XSF.event(owner)).nodes() == ["air"]


# --------------------------------------------------------------------------- what goes wrong


WRONG = (
    (XSF.subscribe(1, HALF, ("nope",)), "item-not-found", "no such node"),
    (XSF.subscribe(1, {"nope": {"changedBy": "1"}}), "item-not-found", "no such field"),
    (XSF.subscribe(1, HALF, minInterval="PT5S", maxInterval="PT1S"), "bad-request", "shorter than the minimum"),
    (XSF.subscribe(1, {"temperature": {"changedBy": "-1"}}), "bad-request", "more than 0"),
    (XSF.subscribe(1), "bad-request", "nothing would ever be sent"),
    (NF.subscribe(1, HALF, ()), "bad-request", "name those you want"),
    (NF.subscribe(1, {"temperature": {"changedBy": "1", "currentValue": "warm"}}), "bad-request", "current value"),
)


@IN_XML
async def test_what_cannot_be_is_refused_and_changes_nothing(own_server: World, air: Air, state: Path) -> None:
    async with running(own_server.config(AIR, state, telemetry=HOURLY)) as node, own_server.client("owner") as owner:
        await acquainted(owner)
        await subscribed(owner, XSF, XSF.subscribe(1, HALF))
        for xml, refused, says in WRONG:
            iq = await owner.ask(HUB, "set", xml)
            assert condition(iq) == refused and says in error_text(iq)
        await air.becomes(10, node)
        assert await XSF.value(owner) == "10.00"


@IN_XML
async def test_more_than_the_bound_is_refused(own_server: World, air: Air, state: Path) -> None:
    config = own_server.config(AIR + ATTIC, state, telemetry=HOURLY)
    async with running(config) as node, own_server.client("owner") as owner:
        assert node.events is not None
        node.events.subscriptions._bounds = Bounds(subscriptions_each=1)
        await acquainted(owner)
        await subscribed(owner, XSF, XSF.subscribe(1, HALF))
        refused = await owner.ask(HUB, "set", XSF.subscribe(2, HALF, ("attic",)))
        assert condition(refused) == "resource-constraint" and "unsubscribe from others" in error_text(refused)


async def test_what_happens_while_the_link_is_down_is_told_as_it_is_afterwards(
    own_server: World, air: Air, state: Path, hasty: None
) -> None:
    async with Proxy(own_server.entrance) as proxy:
        config = own_server.config(AIR, state, port=proxy.port, telemetry=HOURLY)
        async with running(config) as node, own_server.client("owner") as owner:
            await acquainted(owner)
            await subscribed(owner, XSF, XSF.subscribe(1, HALF))
            proxy.refusing = True
            proxy.cut()
            await until(lambda: node.link is not None and not node.link.up, "the node notices")
            for temperature in (10, 20, 30):
                await air.becomes(temperature, node)
            proxy.refusing = False
            await until(lambda: node.link is not None and node.link.up, "the node is back")
            assert await XSF.value(owner) == "30.00"
            assert await silence(owner) == []


async def test_a_server_that_does_not_keep_up_gets_no_pile_of_events(
    own_server: World, air: Air, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.session.link.MAX_UNCONFIRMED", 30)
    monkeypatch.setattr("hub.services.events.CONGESTED_S", 0.1)
    async with running(own_server.config(AIR, state, telemetry=HOURLY)) as node, own_server.client("owner") as owner:
        await acquainted(owner)
        await subscribed(owner, XSF, XSF.subscribe(1, HALF))
        own_server.freeze()
        assert node.link is not None
        link = node.link
        temperature = 0
        while not link.congested:
            temperature += 1
            await air.becomes(temperature, node)
        waiting = len(link.client.plugin["xep_0198"].unacked_queue)
        for _ in range(10):
            temperature += 1
            await air.becomes(temperature, node)
        assert len(link.client.plugin["xep_0198"].unacked_queue) == waiting
        own_server.thaw()
        values = []
        while not values or values[-1] != f"{temperature}.00":
            values.append(await XSF.value(owner))
        assert len(values) <= waiting + 1
