"""A hub whose rights a provisioning server decides, on a real Prosody: from its first start to its revocation."""

from __future__ import annotations

import asyncio
import datetime as dt
import stat
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from devices.fake import SimulatedBuses
from hub.config.file import parse
from hub.config.node import Config
from hub.programs.node import Node
from hub.stanzas import iotdisco
from tests.cli.conftest import hub
from tests.helpers import until

from .authority import ACCOUNT, BARE, COMPONENT, HUB, NEW, OLD, Authority, EjabberdTrustWorld, TrustWorld, authority
from .commands import OLD as CONTROL
from .commands import command, form_fields, form_of, get_form
from .raw import CLIENT, RawClient, condition
from .readings import NEW as SENSOR_NEW
from .readings import OLD as SENSOR
from .readings import Readout, nodes, parts, read, request
from .test_telemetry import EVENT, follow, heard, subscribe
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
    kind, folder = getattr(request, "param", "xml"), tmp_path / "server"
    made = EjabberdTrustWorld(folder) if kind == "ejabberd" else TrustWorld(folder, exi=kind == "exi")
    with made as world:
        world.populate("greenhouse", "owner", "reader", "stranger", "authority")
        yield made  # type: ignore[misc]  # they can do the same


OVER_EXI = pytest.mark.parametrize("world", ["xml", "exi"], indirect=True)
ON_BOTH = pytest.mark.parametrize("world", ["xml", "ejabberd"], indirect=True)
"""Where servers differ: ejabberd's start takes seconds."""


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


NOT_FOUND = ("<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>")


async def test_who_is_not_in_the_registry_any_more_has_been_taken_out_by_its_owner(
    world: TrustWorld, state: Path
) -> None:
    async with authority(world) as server, running(config(world, state)) as node:
        server.update_answer = NOT_FOUND
        await claimed(node, server)
        assert node.authority is not None
        assert (node.authority.ownership.record.state, node.authority.trust.owner) == ("removed", OWNER)


async def test_who_learns_from_an_update_that_nobody_owns_it_registers_anew(world: TrustWorld, state: Path) -> None:
    async with authority(world) as server, running(config(world, state)) as node:
        server.update_answer = f"<disowned xmlns='{server.disco}'/>"
        await until(lambda: server.told, "the hub has registered")
        first = server.tags()["KEY"]
        await server.claim(OWNER)
        server.owner = ""
        await until(lambda: len(server.told) >= 3, "it registers anew")
        assert server.told[-1].tag == f"{{{DELIVERED}}}register" and server.tags()["KEY"] not in ("", first)
        assert node.authority is not None and node.authority.trust.owner == ""


CLAIMS = [
    ("jid='owner@localhost' nodeId='air'", "item-not-found"),
    ("jid='greenhouse@localhost'", "bad-request"),
    ("jid=''", "bad-request"),
    ("", "bad-request"),
]


@pytest.mark.parametrize(("attributes", "refusal"), CLAIMS)
async def test_a_claim_that_cannot_be_is_refused_and_changes_nothing(
    attributes: str, refusal: str, world: TrustWorld, state: Path
) -> None:
    async with authority(world) as server, running(config(world, state)) as node:
        await until(lambda: server.told, "the hub has registered")
        assert node.authority is not None
        await until(lambda: node.authority and node.authority.ownership.record.state == "unclaimed", "unclaimed")
        before = node.authority.ownership.record
        iq = await server.talker.ask(HUB, "set", f"<claimed xmlns='{server.disco}' {attributes}/>")
        assert condition(iq) == refusal
        iq = await server.talker.ask(HUB, "set", f"<removed xmlns='{server.disco}'/>")
        assert condition(iq) == "bad-request", "it has no owner who could do that"
        assert node.authority.ownership.record == before


async def test_another_owner_is_another_trust(world: TrustWorld, state: Path) -> None:
    async with (
        authority(world) as server, running(config(world, state)) as node, world.person("owner") as owner,
    ):  # fmt: skip
        await claimed(node, server)
        server.reads[OWNER] = ""
        await read(owner, SENSOR, 1, "momentary='true'")
        del server.reads[OWNER]
        await server.claim(READER)
        assert condition(await owner.ask(HUB, "get", request(SENSOR, 2, "momentary='true'"))) == "forbidden"
        assert node.authority is not None and node.authority.trust.owner == READER
        done = await server.claim(READER)
        assert done.get("type") == "result", "said again"


async def test_what_cannot_be_forgotten_for_good_is_not_acknowledged(
    world: TrustWorld, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError("read-only file system")

    async with authority(world) as server, running(config(world, state)) as node:
        await claimed(node, server)
        with monkeypatch.context() as disk:
            disk.setattr("hub.trust.cache.write_durably", broken)
            disk.setattr("hub.trust.cache.remove_durably", broken)
            assert condition(await server.clear_cache()) == "internal-server-error"
        assert (await server.clear_cache()).get("type") == "result"


async def test_a_reload_brings_a_provisioning_server_and_takes_it_away(world: TrustWorld, state: Path) -> None:
    file = state.parent / "hub.toml"
    lists = world.text(THINGS.replace('offline = "allow-owner"', ""), state, read=f'"{READER}"', control="")
    async with (
        authority(world) as server, running(parse(lists)) as node, world.person("reader") as reader,
    ):  # fmt: skip
        await read(reader, SENSOR, 1, "momentary='true'")
        file.write_text(world.text(THINGS, state, trust=f'server = "{COMPONENT}"'))
        await node.reload(file)
        await until(lambda: node.link and node.link.up, "it is online again")
        assert condition(await reader.ask(HUB, "get", request(SENSOR, 2, "momentary='true'"))) == "forbidden"
        await claimed(node, server)
        server.reads[READER] = ""
        await read(reader, SENSOR, 3, "momentary='true'")
        file.write_text(lists)
        await node.reload(file)
        await until(lambda: node.link and node.link.up, "it is online again")
        await server.clear_cache()
        asked = len(server.asked)
        await read(reader, SENSOR, 4, "momentary='true'")
        assert len(server.asked) == asked


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


async def test_of_two_servers_the_more_forgiving_counts(world: TrustWorld, state: Path) -> None:
    servers = f'{COMPONENT}", "{ACCOUNT}'
    async with (
        authority(world) as first, authority(world, ACCOUNT) as second, world.person("reader") as reader,
        running(parse(world.text(THINGS, state, trust=f'server = ["{servers}"]\ntimeout = "1s"'))) as node,
    ):  # fmt: skip
        await claimed(node, first)
        first.reads[READER] = "<node nodeId='air'/>"
        second.reads[READER] = "<node nodeId='air'/><node nodeId='pump'/>"
        assert set((await read(reader, SENSOR, 1, "momentary='true'")).nodes()) == {"air", "pump"}
        assert second.told == [], "the first is the registry"
        iq = await second.talker.ask(HUB, "set", f"<claimed xmlns='{first.disco}' jid='{READER}'/>")
        assert condition(iq) == "forbidden"
        second.silent = True
        await second.clear_cache()
        assert (await read(reader, SENSOR, 2, "momentary='true'")).nodes() == ["air"]


async def test_tokens_go_to_the_server_and_its_challenge_to_who_has_shown_them(
    world: TrustWorld, state: Path
) -> None:
    async with (
        authority(world) as server, running(config(world, state)) as node, world.person("reader") as reader,
    ):  # fmt: skip
        await claimed(node, server)
        server.reads[READER] = ""
        await read(reader, SENSOR, 1, "momentary='true' serviceToken='TOKEN'")
        assert [asked.get("serviceToken") for asked in server.questions("canRead")] == ["TOKEN"]
        challenge = f"<tokenChallenge xmlns='{OLD}' token='TOKEN'>AAEC</tokenChallenge>"
        asking = asyncio.create_task(server.talker.ask(HUB, "get", challenge))
        passed = await reader.take(lambda s: s.find(f"{{{OLD}}}tokenChallenge") is not None, "the challenge")
        assert passed.get("from") == HUB and passed[0].text == "AAEC"
        reader.write(f"<iq type='result' id='{passed.get('id')}' to='{HUB}'>"
                     f"<tokenChallengeResponse xmlns='{OLD}'>AwQF</tokenChallengeResponse></iq>")  # fmt: skip
        assert (await asking)[0].text == "AwQF"


async def test_a_readout_that_was_put_off_is_judged_again_when_it_is_due(world: TrustWorld, state: Path) -> None:
    async with (
        authority(world) as server, running(config(world, state)) as node, world.person("reader") as reader,
    ):  # fmt: skip
        await claimed(node, server)
        server.reads[READER] = ""
        due = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1)
        asked = request(SENSOR, 1, f"momentary='true' when='{due:%Y-%m-%dT%H:%M:%S.%fZ}'")
        assert (await reader.ask(HUB, "get", asked)).get("type") == "result"
        del server.reads[READER]
        await server.clear_cache()
        readout = Readout(SENSOR, Element("accepted"), await parts(reader, SENSOR, 1))
        assert readout.names() == []
        assert any("Access denied" in (error.text or "") for part in readout.parts for error in part.iter())


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


@ON_BOTH
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


async def hears_on(client: RawClient) -> dt.datetime:
    """When the next reading of the air was measured. Who is told that the place is gone subscribes to the new one."""
    while True:
        message = await client.take(lambda s: s.find(f"{EVENT}event") is not None, "a notification")
        if message.find(f"{EVENT}event/{EVENT}delete") is not None:
            while (await subscribe(client, BARE)).get("type") != "result":
                pass
        elif any(items.get("node") == "hub/air" for items in message.iter(f"{EVENT}items")):
            (stamp,) = message.iter(f"{{{SENSOR}}}timestamp")
            return dt.datetime.fromisoformat(stamp.get("value", ""))


@pytest.mark.parametrize("still_a_friend", [False, True])
@ON_BOTH
async def test_after_a_revocation_nothing_more_is_heard(
    world: TrustWorld, state: Path, still_a_friend: bool
) -> None:
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
        await hears_on(reader)
        if not still_a_friend:
            server.friends.discard(READER)
        del server.reads[READER]
        await server.clear_cache()
        if not still_a_friend:
            await reader.take(
                lambda s: s.tag == f"{CLIENT}presence" and s.get("type") == "unsubscribed", "the end of the contact"
            )
        assert condition(await reader.ask(HUB, "get", request(SENSOR, 7, "momentary='true'"))) == "forbidden"
        cleared = dt.datetime.now(dt.UTC)
        while await hears_on(owner) < cleared:
            pass  # it was on its way; what was measured later has been judged
        reader.pending.clear()
        for _ in range(2):
            await hears_on(owner)
        assert not [stanza for stanza in reader.pending if stanza.find(f"{EVENT}event/{EVENT}items") is not None]


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


async def test_what_is_allowed_once_is_allowed_once(world: TrustWorld, state: Path) -> None:
    async with (
        authority(world) as server, running(config(world, state)) as node, world.person("reader") as reader,
    ):  # fmt: skip
        await claimed(node, server)
        server.once = True
        for number in range(1, 11):
            server.reads[READER] = ""
            await read(reader, SENSOR, number, "momentary='true'")
            refused = await reader.ask(HUB, "get", request(SENSOR, 100 + number, "momentary='true'"))
            assert condition(refused) == "forbidden"
            await server.clear_cache()


async def test_of_several_who_wait_for_what_is_allowed_once_one_gets_it(world: TrustWorld, state: Path) -> None:
    async with (
        authority(world) as server, running(config(world, state)) as node, world.person("reader") as reader,
    ):  # fmt: skip
        await claimed(node, server)
        server.once = True
        for turn in range(10):
            server.reads[READER] = ""
            asking = [reader.ask(HUB, "get", request(SENSOR, 10 * turn + n, "momentary='true'")) for n in range(5)]
            answers = [iq.get("type") for iq in await asyncio.gather(*asking)]
            assert sorted(answers) == ["error"] * 4 + ["result"]
            await server.clear_cache()


async def test_what_somebody_shows_on_his_command_line_comes_along(world: TrustWorld, state: Path) -> None:
    account = state.parent / "reader.toml"
    account.write_text(f'[xmpp]\njid = "{READER}"\npassword_file = "{world.folder}/reader.password"\n'
                       f'server = "127.0.0.1:{world.address.port}"\nca_file = "{world.ca_file}"\n')  # fmt: skip
    shown = ("--device-token", "T1", "--device-token", "T2", "--service-token", "S", "--user-token", "U")
    async with authority(world) as server, running(config(world, state)) as node:
        await claimed(node, server)
        server.reads[READER] = server.controls[READER] = ""
        for arguments in (("read", BARE, "air"), ("form", BARE, "pump"), ("set", BARE, "pump.output=on")):
            ran = await asyncio.to_thread(hub, *arguments, *shown, account=account)
            assert ran.code == 0, ran.err
    asked = server.questions("canRead", READER) + server.questions("canControl", READER)
    assert len(asked) >= 3
    for question in asked:
        assert [question.get(f"{kind}Token") for kind in ("device", "service", "user")] == ["T1 T2", "S", "U"]


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


@ON_BOTH
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


