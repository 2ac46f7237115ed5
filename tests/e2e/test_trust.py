"""A hub whose rights a provisioning server decides, on a real Prosody: from its first start to its revocation."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from devices.fake import SimulatedBuses
from hub.config import Config, parse
from hub.node import Node
from hub.stanzas import iotdisco
from tests.helpers import until

from .authority import ACCOUNT, BARE, COMPONENT, HUB, NEW, OLD, Authority, TrustWorld, authority
from .commands import OLD as CONTROL
from .commands import command, form_fields, form_of, get_form
from .raw import CLIENT, condition
from .readings import NEW as SENSOR_NEW
from .readings import OLD as SENSOR
from .readings import nodes, read, request
from .test_telemetry import follow, heard, subscribe
from .world import running

OWNER, READER, STRANGER = "owner@localhost", "reader@localhost", "stranger@localhost"
ITEMS = "http://jabber.org/protocol/disco#items"
DELIVERED = "urn:xmpp:iot:discovery"

THINGS = """
[things.air]
driver = "simulated"
field = "temperature"
interval = "100ms"
[things.pump]
driver = "relay"
pin = 17
offline = "allow-owner"
[things.lamp]
driver = "relay"
pin = 18
"""


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TrustWorld]:
    with TrustWorld(tmp_path / "server", exi=getattr(request, "param", "xml") == "exi") as world:
        yield world.populate("greenhouse", "owner", "reader", "stranger", "authority")  # type: ignore[misc]


OVER_EXI = pytest.mark.parametrize("world", ["xml", "exi"], indirect=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for what is only politeness between programs."""
    monkeypatch.setattr("hub.services.registration.FIRST_WAIT_S", 0.05)
    monkeypatch.setattr("hub.services.registration.LAST_WAIT_S", 0.2)
    monkeypatch.setattr("hub.services.provisioning.AWAY_S", 0.0)
    monkeypatch.setattr("hub.services.contacts.REVIEW_AGAIN_S", 0.1)


def config(world: TrustWorld, state: Path, server: str = COMPONENT, more: str = "", things: str = THINGS) -> Config:
    trust = f'server = "{server}"\ntimeout = "1s"\n{more}\nmeta = {{ SN = "0001", V = 1.2 }}'
    return parse(world.text(things, state, trust=trust, telemetry='interval = "1s"'))


async def claimed(node: Node, server: Authority, owner: str = OWNER) -> None:
    await until(lambda: server.told, "the hub has registered")
    assert (await server.claim(owner)).get("type") == "result"
    await until(lambda: node.authority and not node.authority.ownership.record.key, "the KEY is gone")


def items_of(iq: Element) -> list[str]:
    return [item.get("node", "") for item in iq.iter(f"{{{ITEMS}}}item")]


# --------------------------------------------------------------------------- from first start to an owner


@OVER_EXI
async def test_a_new_hub_registers_refuses_everybody_and_obeys_from_its_claim_on(
    world: TrustWorld, state: Path
) -> None:
    async with (
        authority(world) as server, running(config(world, state)) as node, world.person("owner") as owner,
        world.person("reader") as reader,
    ):  # fmt: skip
        await until(lambda: server.told, "the hub has registered")
        assert server.told[0].tag == f"{{{DELIVERED}}}register"
        assert {**server.tags(), "KEY": ""} == {"SN": "0001", "V": "1.2", "MODEL": "xmpp-iot-hub", "KEY": ""}
        assert len(server.tags()["KEY"]) == 40
        assert stat.S_IMODE((state / "trust.json").stat().st_mode) == 0o600
        server.reads[OWNER] = server.controls[OWNER] = ""
        refused = await owner.ask(HUB, "get", request(SENSOR, 1, "momentary='true'"))
        assert condition(refused) == "forbidden"
        refused = await owner.ask(HUB, "set", command(CONTROL, ("pump",), ("boolean", "output", "true")))
        assert condition(refused) == "forbidden"
        assert items_of(await owner.ask(HUB, "get", f"<query xmlns='{ITEMS}'/>")) == []
        owner.write("<presence/>")
        owner.write(f"<presence to='{BARE}' type='subscribe'/>")
        await owner.take(lambda s: s.get("type") == "unsubscribed", "the refusal of a contact")
        assert server.asked == [], "nobody to ask for: no owner"

        await claimed(node, server)
        server.friends.add(OWNER)
        assert server.told[-1].tag == f"{{{DELIVERED}}}update" and server.tags()["KEY"] == ""
        readout = await read(owner, SENSOR, 2, "momentary='true'")
        assert set(readout.nodes()) == {"air", "pump", "lamp"}
        done = await owner.ask(HUB, "set", command(CONTROL, ("pump",), ("boolean", "output", "true")))
        assert done.get("type") == "result"
        refused = await reader.ask(HUB, "get", request(SENSOR, 3, "momentary='true'"))
        assert condition(refused) == "forbidden"
        assert set(items_of(await owner.ask(HUB, "get", f"<query xmlns='{ITEMS}'/>"))) == {
            "hub/air", "hub/pump", "hub/lamp"
        }  # fmt: skip
        (asked,) = server.questions("canRead", OWNER)
        assert [child.get("nodeId") for child in asked if child.tag == f"{{{OLD}}}node"] == ["air", "pump", "lamp"]
        assert [child.get("name") for child in asked if child.tag == f"{{{OLD}}}field"] == ["temperature", "output"]


async def test_what_claims_a_hub_is_shown_while_it_has_no_owner(world: TrustWorld, state: Path) -> None:
    shown: list[str | None] = []
    node = Node(config(world, state), SimulatedBuses(), search=shown.append)
    async with authority(world) as server:
        task = asyncio.create_task(node.run())
        await until(lambda: shown, "a code is shown")
        assert shown[0] is not None
        said = iotdisco.decode(shown[0])
        assert said.registry == COMPONENT
        assert {name: str(value) for name, value in said.tags.items()} == server.tags()
        await claimed(node, server)
        assert shown[1:] == [None]
        node.stop()
        await task
        assert server.owner == OWNER


async def test_a_hub_that_was_claimed_stays_so_through_a_restart_and_registers_no_more(
    world: TrustWorld, state: Path
) -> None:
    async with authority(world) as server:
        async with running(config(world, state)) as node:
            await claimed(node, server)
        server.reads[OWNER] = ""
        told = len(server.told)
        async with running(config(world, state)) as node, world.person("owner") as owner:
            await read(owner, SENSOR, 1, "momentary='true'")
            assert node.authority is not None and node.authority.trust.owner == OWNER
        assert len(server.told) == told


async def test_a_hub_that_lost_its_memory_learns_from_the_registry_whose_it_is(
    world: TrustWorld, state: Path, tmp_path: Path
) -> None:
    async with authority(world) as server, running(config(world, state)) as node:
        server.owner = OWNER
        await until(lambda: node.authority and node.authority.trust.owner == OWNER, "it knows its owner")


async def test_a_disowned_hub_refuses_everybody_and_looks_for_an_owner_with_a_new_key(
    world: TrustWorld, state: Path
) -> None:
    async with (
        authority(world) as server, running(config(world, state)) as node, world.person("owner") as owner,
    ):  # fmt: skip
        await claimed(node, server)
        first = server.tags(0)["KEY"]
        server.friends.add(OWNER)
        server.reads[OWNER] = ""
        await owner.befriend(BARE)
        await read(owner, SENSOR, 1, "momentary='true'")
        told = len(server.told)  # the registry still says he owns it, until it has the acknowledgement
        answer = await server.talker.ask(HUB, "set", f"<disowned xmlns='{server.disco}'/>")
        assert answer.get("type") == "result"
        await until(lambda: len(server.told) > told, "it registers anew")
        assert node.authority is not None and node.authority.trust.owner == "", "it does not take the old owner's word"
        server.owner = ""
        await until(lambda: node.authority and node.authority.ownership.record.state == "unclaimed", "unclaimed")
        assert server.tags()["KEY"] not in ("", first)
        refused = await owner.ask(HUB, "get", request(SENSOR, 2, "momentary='true'"))
        assert condition(refused) == "forbidden"
        await owner.take(lambda s: s.get("type") == "unsubscribed", "the end of the contact")


async def test_a_removed_hub_keeps_its_owner_and_leaves_the_registry_alone(world: TrustWorld, state: Path) -> None:
    async with authority(world) as server:
        async with running(config(world, state)) as node:
            await claimed(node, server)
            answer = await server.talker.ask(HUB, "set", f"<removed xmlns='{server.disco}'/>")
            assert answer.get("type") == "result"
        told = len(server.told)
        server.reads[OWNER] = ""
        async with running(config(world, state, more='cache = 100')), world.person("owner") as owner:
            await read(owner, SENSOR, 1, "momentary='true'")
        assert len(server.told) == told


async def test_servers_are_found_among_the_components_of_our_own(world: TrustWorld, state: Path) -> None:
    async with authority(world) as server:
        async with running(config(world, state, "discover")) as node:
            await claimed(node, server)
            server.reads[OWNER] = ""
            async with world.person("owner") as owner:
                await read(owner, SENSOR, 1, "momentary='true'")
        async with running(config(world, state, "discover")) as node:
            assert node.authority is not None
            assert (node.authority.trust.servers, node.authority.trust.registry) == ((COMPONENT,), COMPONENT)


async def test_a_server_that_comes_later_is_found_then(world: TrustWorld, state: Path) -> None:
    async with running(config(world, state, "discover")) as node:
        async with world.person("owner") as owner:
            refused = await owner.ask(HUB, "get", request(SENSOR, 1, "momentary='true'"))
            assert condition(refused) == "forbidden"
        async with authority(world) as server:
            await claimed(node, server)


# --------------------------------------------------------------------------- every kind of server


@pytest.mark.parametrize("namespace", [OLD, NEW])
@pytest.mark.parametrize("kind", [COMPONENT, ACCOUNT])
async def test_components_and_accounts_are_asked_in_their_own_words(
    kind: str, namespace: str, world: TrustWorld, state: Path
) -> None:
    async with (
        authority(world, kind, namespace) as server, running(config(world, state, kind)) as node,
        world.person("owner") as owner,
    ):  # fmt: skip
        await claimed(node, server)
        server.friends.add(OWNER)
        server.reads[OWNER] = "<node nodeId='air'/>" if namespace == OLD else "<nd id='air'/>"
        server.controls[OWNER] = ""
        await owner.befriend(BARE)
        assert (await read(owner, SENSOR, 1, "momentary='true'")).nodes() == ["air"]
        both = nodes(SENSOR_NEW[0], "pump", "air")
        assert (await read(owner, SENSOR_NEW[0], 2, "m='true'", both)).nodes() == ["air"]
        done = await owner.ask(HUB, "set", command(CONTROL, ("pump",), ("boolean", "output", "true")))
        assert done.get("type") == "result"
        answer = await server.clear_cache()
        assert answer.get("type") == "result"
        assert [child.tag for child in answer] == ([f"{{{OLD}}}clearCacheResponse"] if namespace == OLD else [])


# --------------------------------------------------------------------------- narrowed


@OVER_EXI
async def test_answers_narrow_what_is_read_set_and_shown(world: TrustWorld, state: Path) -> None:
    async with (
        authority(world) as server, running(config(world, state)) as node, world.person("reader") as reader,
    ):  # fmt: skip
        await claimed(node, server)
        server.reads[READER] = "<node nodeId='pump'/><node nodeId='secret'/>"
        assert (await read(reader, SENSOR, 1, "momentary='true'")).nodes() == ["pump"]
        server.reads[READER] = "<field name='temperature'/>"
        await server.clear_cache()
        readout = await read(reader, SENSOR, 2, "momentary='true'")
        assert (readout.nodes(), set(readout.names())) == (["air"], {"temperature"})
        server.controls[READER] = "<node nodeId='lamp'/>"
        both = command(CONTROL, ("pump", "lamp"), ("boolean", "output", "true"))
        done = await reader.ask(HUB, "set", both)
        (response,) = done
        assert [(child.tag.rpartition("}")[2], child.get("nodeId") or child.get("name")) for child in response] == [
            ("node", "lamp"), ("parameter", "output"),
        ]  # fmt: skip
        assert node.things["lamp"].values["output"] is True
        assert node.things["pump"].values["output"] is False
        form = await reader.ask(HUB, "get", get_form(CONTROL, "lamp", "pump"))
        assert "output" in form_fields(form_of(form))
        refused = await reader.ask(HUB, "get", get_form(CONTROL, "pump"))
        assert condition(refused) == "forbidden"


async def test_who_may_have_a_part_of_a_thing_hears_nothing_of_the_rest(world: TrustWorld, state: Path) -> None:
    """Telemetry is all or nothing: a friend who may read one thing is not told about the others."""
    async with (
        authority(world) as server, running(config(world, state)) as node, world.person("reader") as reader,
    ):  # fmt: skip
        await claimed(node, server)
        server.friends.add(READER)
        server.reads[READER] = "<node nodeId='air'/>"
        await follow(reader)
        assert (await heard(reader)).tag == f"{{{SENSOR}}}fields"
        refused = await subscribe(reader, BARE, "hub/pump")
        assert refused.get("type") == "error"


async def test_after_a_revocation_nothing_more_is_heard_nor_seen(world: TrustWorld, state: Path) -> None:
    async with (
        authority(world) as server, running(config(world, state)) as node, world.person("reader") as reader,
        world.person("owner") as owner,
    ):  # fmt: skip
        await claimed(node, server)
        for jid in (READER, OWNER):
            server.friends.add(jid)
            server.reads[jid] = ""
        await follow(reader)
        await follow(owner)
        await heard(reader)
        later = request(SENSOR, 7, "momentary='true' when='2030-01-01T00:00:00Z'")
        server.friends.discard(READER)
        del server.reads[READER]
        await server.clear_cache()
        await reader.take(
            lambda s: s.tag == f"{CLIENT}presence" and s.get("type") == "unsubscribed", "the end of the contact"
        )
        refused = await reader.ask(HUB, "get", later)
        assert condition(refused) == "forbidden"
        owner.pending.clear()
        await heard(owner)  # what is published from now on has been judged
        reader.pending.clear()
        for _ in range(2):
            await heard(owner)
        assert not [stanza for stanza in reader.pending if stanza.tag == f"{CLIENT}message"]


# --------------------------------------------------------------------------- remembered, and offline


async def test_what_was_decided_holds_without_the_server_and_through_a_restart(world: TrustWorld, state: Path) -> None:
    async with authority(world) as server, running(config(world, state)) as node, world.person("reader") as reader:
        await claimed(node, server)
        server.reads[READER] = ""
        await read(reader, SENSOR, 1, "momentary='true'")
    async with running(config(world, state)), world.person("reader") as reader, world.person("owner") as owner:
        await read(reader, SENSOR, 2, "momentary='true'")
        refused = await reader.ask(HUB, "set", command(CONTROL, ("pump",), ("boolean", "output", "true")))
        assert condition(refused) == "forbidden", "nobody knows, and he is not the owner"
        done = await owner.ask(HUB, "set", command(CONTROL, ("pump",), ("boolean", "output", "true")))
        assert done.get("type") == "result", "the pump obeys its owner"
        refused = await owner.ask(HUB, "set", command(CONTROL, ("lamp",), ("boolean", "output", "true")))
        assert condition(refused) == "forbidden", "the lamp does not"


async def test_silence_is_a_refusal_that_is_not_remembered(world: TrustWorld, state: Path) -> None:
    async with (
        authority(world) as server, running(config(world, state)) as node, world.person("reader") as reader,
    ):  # fmt: skip
        await claimed(node, server)
        server.reads[READER] = ""
        server.silent = True
        refused = await reader.ask(HUB, "get", request(SENSOR, 1, "momentary='true'"))
        assert condition(refused) == "forbidden"
        server.silent = False
        await read(reader, SENSOR, 2, "momentary='true'")


async def test_a_server_that_is_away_when_rights_are_judged_again_ends_no_contact(
    world: TrustWorld, state: Path
) -> None:
    async with (
        authority(world) as server, running(config(world, state)) as node, world.person("reader") as reader,
    ):  # fmt: skip
        await claimed(node, server)
        server.friends.add(READER)
        await reader.befriend(BARE)
        server.silent = True
        asked = len(server.asked)
        await server.clear_cache()
        await until(lambda: len(server.asked) > asked, "the contact is judged again")
        server.friends.discard(READER)
        await until(lambda: len(server.asked) > asked + 1, "and again")
        assert not [s for s in reader.pending if s.get("type") == "unsubscribed"]
        server.silent = False
        await reader.take(lambda s: s.get("type") == "unsubscribed", "the end of the contact, by a verdict")


async def test_the_same_question_is_asked_once(world: TrustWorld, state: Path) -> None:
    async with (
        authority(world) as server, running(config(world, state)) as node, world.person("reader") as reader,
    ):  # fmt: skip
        await claimed(node, server)
        server.reads[READER] = ""
        asking = [reader.ask(HUB, "get", request(SENSOR, number, "momentary='true'")) for number in range(10)]
        answers = await asyncio.gather(*asking)
        assert {iq.get("type") for iq in answers} == {"result"}
        assert len(server.questions("canRead", READER)) == 1


# --------------------------------------------------------------------------- forged


FORGED = [
    "<clearCache xmlns='urn:xmpp:iot:provisioning'/>",
    "<clearCache xmlns='urn:nf:iot:prov:d:1.0'/>",
    "<claimed xmlns='urn:xmpp:iot:discovery' jid='stranger@localhost'/>",
    "<claimed xmlns='urn:nf:iot:disco:1.0' jid='stranger@localhost'/>",
    "<disowned xmlns='urn:xmpp:iot:discovery'/>",
    "<removed xmlns='urn:xmpp:iot:discovery'/>",
]


async def test_strangers_clear_nothing_claim_nothing_and_make_no_friends(
    world: TrustWorld, state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        authority(world) as server, running(config(world, state)) as node, world.person("stranger") as stranger,
        world.person("reader") as reader,
    ):  # fmt: skip
        await claimed(node, server)
        server.reads[READER] = ""
        await read(reader, SENSOR, 1, "momentary='true'")
        assert node.authority is not None
        before = node.authority.ownership.record
        with caplog.at_level("INFO"):
            for payload in FORGED:
                refused = await stranger.ask(HUB, "set", payload)
                assert condition(refused) == "forbidden", payload
            for name in ("friend", "unfriend"):
                stranger.write(f"<message to='{HUB}'><{name} xmlns='{OLD}' jid='{READER}'/></message>")
            await until(lambda: "unfriend from stranger@localhost/raw refused" in caplog.text, "it is said")
        assert caplog.text.count("from stranger@localhost/raw refused: Forbidden") == len(FORGED) + 2
        assert node.authority.ownership.record == before
        await read(reader, SENSOR, 2, "momentary='true'")
        assert len(server.questions("canRead", READER)) == 1, "still remembered"


SPOILED = [
    "<canReadResponse xmlns='urn:xmpp:iot:provisioning' jid='owner@localhost' result='true'/>",
    "<canControlResponse xmlns='urn:xmpp:iot:provisioning' jid='reader@localhost' result='true'/>",
    "<isFriendResponse xmlns='urn:xmpp:iot:provisioning' jid='reader@localhost' result='true'/>",
    "<canReadResponse xmlns='urn:xmpp:iot:provisioning' jid='reader@localhost'/>",
    "<canReadResponse xmlns='urn:xmpp:iot:provisioning' jid='reader@localhost' result='perhaps'/>",
    "<canReadResponse xmlns='urn:xmpp:iot:provisioning' jid='reader@localhost' result='true'><only/></canReadResponse>",
    "<canReadResponse xmlns='urn:xmpp:iot:other' jid='reader@localhost' result='true'/>",
    "<canReadResponse xmlns='urn:xmpp:iot:provisioning' jid='reader@localhost' momentary='true' result='true'>"
    "<node nodeId='secret'/></canReadResponse>",
    "",
]


async def test_answers_that_answer_something_else_allow_nothing(
    world: TrustWorld, state: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        authority(world) as server, running(config(world, state)) as node, world.person("reader") as reader,
    ):  # fmt: skip
        await claimed(node, server)
        for number, spoiled in enumerate(SPOILED):
            caplog.clear()
            monkeypatch.setattr(server, "_verdict", lambda *_, said=spoiled: said)
            refused = await reader.ask(HUB, "get", request(SENSOR, number, "momentary='true'"))
            assert condition(refused) == "forbidden", spoiled
            assert f"{COMPONENT} gave no verdict" in caplog.text or "what was not asked for" in caplog.text, spoiled
            await server.clear_cache()


async def test_only_the_server_that_was_asked_can_answer(world: TrustWorld, state: Path) -> None:
    async with (
        authority(world) as server, running(config(world, state)) as node, world.person("reader") as reader,
        world.person("stranger") as stranger,
    ):  # fmt: skip
        await claimed(node, server)
        server.silent = True
        asking = asyncio.create_task(reader.ask(HUB, "get", request(SENSOR, 1, "momentary='true'")))
        await until(lambda: server.questions("canRead", READER), "the server is asked")
        yes = f"<canReadResponse xmlns='{OLD}' jid='{READER}' momentary='true' result='true'/>"
        for _ in range(3):
            stranger.write(f"<iq type='result' id='{server.last_id}' to='{HUB}'>{yes}</iq>")
        ping = await stranger.ask(HUB, "get", "<ping xmlns='urn:xmpp:ping'/>")
        assert ping.get("type") in ("result", "error"), "what was sent before has arrived"
        assert not asking.done()
        assert condition(await asking) == "forbidden"


async def test_a_friend_that_the_server_recommends_is_asked_and_one_it_ends_is_gone(
    world: TrustWorld, state: Path
) -> None:
    async with (
        authority(world) as server, running(config(world, state)) as node, world.person("reader") as reader,
    ):  # fmt: skip
        await claimed(node, server)
        reader.write("<presence/>")
        server.friends.add(READER)
        server.message(f"<friend xmlns='{OLD}' jid='{READER}'/>")
        await reader.take(lambda s: s.get("type") == "subscribe" and s.get("from") == BARE, "an invitation")
        reader.write(f"<presence to='{BARE}' type='subscribed'/>")
        await reader.befriend(BARE)
        server.friends.discard(READER)
        server.message(f"<unfriend xmlns='{OLD}' jid='{READER}'/>")
        for kind in ("unsubscribed", "unsubscribe"):
            await reader.take(lambda s, kind=kind: s.get("type") == kind and s.get("from") == BARE, kind)
        reader.write(f"<presence to='{BARE}' type='subscribe'/>")
        await reader.take(lambda s: s.get("type") == "unsubscribed", "the refusal")
        server.message(f"<unfriend xmlns='{OLD}' jid='{COMPONENT}'/>")
        server.message(f"<friend xmlns='{OLD}' jid='{BARE}'/>")
        server.reads[READER] = ""
        await read(reader, SENSOR, 1, "momentary='true'")


