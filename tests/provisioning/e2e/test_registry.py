"""XEP-0347 from the first registration to the last, in raw XML, on both servers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hub.programs.provisioning import ProvisioningServer
from tests.e2e.raw import RawClient, condition
from tests.e2e.world import EjabberdWorld
from tests.helpers import until

from .house import (
    DISCO,
    KEY,
    SECRET,
    SERVICE,
    TAGS,
    House,
    Server,
    claim,
    claimed,
    register,
    serving,
    settings,
    told,
    until_none_waits,
)  # fmt: skip

NF = "urn:nf:iot:disco:1.0"
INFO = "http://jabber.org/protocol/disco#info"
ITEMS = "http://jabber.org/protocol/disco#items"


async def search(client: RawClient, terms: str, more: str = "", namespace: str = DISCO) -> list[dict[str, str]]:
    iq = await client.ask(SERVICE, "get", f"<search xmlns='{namespace}'{more}>{terms}</search>")
    assert iq.get("type") == "result", condition(iq)
    assert iq[0].tag == f"{{{namespace}}}found"
    return [
        {**thing.attrib, **{tag.get("name", ""): tag.get("value", "") for tag in thing}}
        for thing in iq[0].iter(f"{{{namespace}}}thing")
    ]


async def test_it_is_found_and_says_what_it_speaks(house: House) -> None:
    async with house.client("thing") as thing:
        items = await thing.ask("localhost", "get", f"<query xmlns='{ITEMS}'/>")
        assert SERVICE in [item.get("jid") for item in items.iter(f"{{{ITEMS}}}item")]
        info = await thing.ask(SERVICE, "get", f"<query xmlns='{INFO}'/>")
    features = {feature.get("var") for feature in info.iter(f"{{{INFO}}}feature")}
    assert features >= {
        "urn:xmpp:iot:provisioning", "urn:xmpp:iot:discovery", NF, "urn:nf:iot:prov:d:1.0", "urn:nf:iot:prov:t:1.0",
        "urn:ieee:iot:disco:1.0", "urn:ieee:iot:prov:d:1.0",
    }  # fmt: skip
    assert [(i.get("category"), i.get("type")) for i in info.iter(f"{{{INFO}}}identity")] == [("automation", "rules")]


@pytest.mark.parametrize("namespace", [DISCO, NF])
async def test_a_thing_is_registered_claimed_found_and_removed(house: House, namespace: str) -> None:
    async with house.client("thing") as thing, house.client("owner") as owner, house.client("stranger") as stranger:
        assert len(await register(thing, namespace=namespace)) == 0
        assert await search(stranger, "<strEq name='SN' value='3948'/>", namespace=namespace) == []

        answer = await claim(owner, namespace=namespace)
        assert (answer[0].tag, answer[0].get("jid")) == (f"{{{namespace}}}claimed", "thing@localhost")
        notice = await told(thing, "claimed")
        assert (notice.tag, notice.get("jid")) == (f"{{{namespace}}}claimed", "owner@localhost")
        again = await register(thing, "<str name='SN' value='other'/>", namespace=namespace)
        assert again[0].get("jid") == "owner@localhost"

        found = await search(stranger, "<strEq name='sn' value='3948'/>", namespace=namespace)
        assert [(each["jid"], each["SN"], each["V"]) for each in found] == [("thing@localhost", "3948", "1.2")]
        assert "KEY" not in found[0]
        assert await search(stranger, "<strEq name='KEY' value='4857402340298342'/>", namespace=namespace) == []

        refused = await stranger.ask(SERVICE, "set", f"<remove xmlns='{namespace}' jid='thing@localhost'/>")
        assert condition(refused) == "item-not-found"
        done = await owner.ask(SERVICE, "set", f"<remove xmlns='{namespace}' jid='thing@localhost'/>")
        assert done.get("type") == "result"
        await told(thing, "removed")
        assert await search(stranger, "<strEq name='SN' value='3948'/>", namespace=namespace) == []
        update = await thing.ask(SERVICE, "set", f"<update xmlns='{namespace}'><str name='A' value='1'/></update>")
        assert condition(update) == "item-not-found"


async def test_a_thing_that_is_its_own_is_public_at_once(house: House) -> None:
    async with house.client("thing") as thing, house.client("stranger") as stranger:
        await register(thing, TAGS, " selfOwned='true'")
        (found,) = await search(stranger, "<numGt name='V' value='1'/>")
        assert found["jid"] == found["owner"] == "thing@localhost"
        assert condition(await claim(stranger, TAGS)) == "item-not-found"


async def test_a_private_thing_is_not_found(house: House) -> None:
    async with house.client("thing") as thing, house.client("owner") as owner:
        await register(thing)
        await claim(owner, more=" public='false'")
        assert (await told(thing, "claimed")).get("public") == "false"
        assert await search(owner, "<strEq name='SN' value='3948'/>") == []


async def test_things_behind_a_concentrator_are_things_of_their_own(house: House) -> None:
    async with house.client("rack") as rack, house.client("owner") as owner:
        for node in ("imc1", "imc2"):
            await register(rack, TAGS + KEY.replace("4857", node), f" nodeId='{node}' sourceId='MeteringTopology'")
        answer = await claim(owner, TAGS + KEY.replace("4857", "imc2"))
        assert (answer[0].get("nodeId"), answer[0].get("sourceId")) == ("imc2", "MeteringTopology")
        notice = await told(rack, "claimed")
        assert (notice.get("nodeId"), notice.get("sourceId")) == ("imc2", "MeteringTopology")
        where = "jid='rack@localhost' nodeId='imc1' sourceId='MeteringTopology'"
        assert condition(await owner.ask(SERVICE, "set", f"<remove xmlns='{DISCO}' {where}/>")) == "item-not-found"


async def test_tags_are_updated_by_the_thing_and_by_its_owner(house: House) -> None:
    async with house.client("thing") as thing, house.client("owner") as owner, house.client("stranger") as stranger:
        await register(thing)
        early = await thing.ask(SERVICE, "set", f"<update xmlns='{DISCO}'><str name='A' value='1'/></update>")
        assert early[0].tag == f"{{{DISCO}}}disowned"
        await claim(owner)
        tags = "<str name='KEY' value=''/><str name='CLASS' value='PLC'/><str name='MAN' value=''/>"
        done = await thing.ask(SERVICE, "set", f"<update xmlns='{DISCO}'>{tags}</update>")
        assert done.get("type") == "result" and len(done) == 0
        room = f"<update xmlns='{DISCO}' jid='thing@localhost'><str name='ROOM' value='Cellar'/></update>"
        assert condition(await stranger.ask(SERVICE, "set", room)) == "item-not-found"
        assert (await owner.ask(SERVICE, "set", room)).get("type") == "result"
        (found,) = await search(stranger, "<strEq name='ROOM' value='Cellar'/>")
        assert {name: found[name] for name in ("SN", "CLASS", "ROOM", "V")} == {
            "SN": "3948", "CLASS": "PLC", "ROOM": "Cellar", "V": "1.2"
        }  # fmt: skip
        assert "MAN" not in found


async def test_searches_come_in_pages(house: House) -> None:
    async with house.client("rack") as rack, house.client("stranger") as stranger:
        for number in range(5):
            await register(rack, f"<num name='N' value='{number}'/>", f" nodeId='n{number}' selfOwned='true'")
        ask = f"<search xmlns='{DISCO}' offset='%d' maxCount='2'><numGtEq name='N' value='0'/></search>"
        pages = [(await stranger.ask(SERVICE, "get", ask % offset))[0] for offset in (0, 2, 4)]
        assert [page.get("more") for page in pages] == ["true", "true", "false"]
        assert [thing.get("nodeId") for page in pages for thing in page] == [f"n{number}" for number in range(5)]


async def test_a_thing_unregisters_itself(house: House) -> None:
    async with house.client("thing") as thing, house.client("stranger") as stranger:
        await register(thing, TAGS, " selfOwned='true'")
        for _ in range(2):  # the answer is always the same
            assert (await thing.ask(SERVICE, "set", f"<unregister xmlns='{DISCO}'/>")).get("type") == "result"
        assert await search(stranger, "<strEq name='SN' value='3948'/>") == []


async def test_disowning_waits_for_the_thing(house: House) -> None:
    disown = f"<disown xmlns='{DISCO}' jid='thing@localhost'/>"
    async with house.client("thing") as thing, house.client("owner") as owner, house.client("stranger") as stranger:
        await claimed(thing, owner)
        assert condition(await stranger.ask(SERVICE, "set", disown)) == "item-not-found"
        asked = asyncio.create_task(owner.ask(SERVICE, "set", disown))
        await told(thing, "disowned")
        assert (await asked).get("type") == "result"
        assert condition(await claim(stranger)) == "item-not-found", "its tags are gone with its owner"
        assert len(await register(thing)) == 0
        assert (await claim(stranger)).get("type") == "result"


async def test_what_is_offline_or_refuses_cannot_be_disowned(house: House) -> None:
    disown = f"<disown xmlns='{DISCO}' jid='thing@localhost'/>"
    async with house.client("owner") as owner:
        async with house.client("thing") as thing:
            await claimed(thing, owner)
            asked = asyncio.create_task(owner.ask(SERVICE, "set", disown))
            iq = await thing.take(lambda s: len(s) > 0 and s[0].tag == f"{{{DISCO}}}disowned")
            thing.write(f"<iq type='error' to='{SERVICE}' id='{iq.get('id')}'><error type='cancel'><not-allowed "
                        "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")  # fmt: skip
            assert condition(await asked) == "not-allowed"
        assert condition(await owner.ask(SERVICE, "set", disown)) == "not-allowed"
        async with house.client("thing") as thing:
            again = await register(thing)
            assert again[0].get("jid") == "owner@localhost", "nothing has changed"


async def test_a_notice_waits_while_a_thing_is_away_and_the_service_too(server: Server, tmp_path: Path) -> None:
    async with server.client("owner") as owner:
        async with serving(server, tmp_path):
            async with server.client("thing") as thing:
                await register(thing)
            await claim(owner)
        async with serving(server, tmp_path), server.client("thing", "elsewhere") as thing:
            assert (await register(thing))[0].get("jid") == "owner@localhost"
            await told(thing, "claimed")
            await told(thing, "clearCache", answer=None)  # it goes without having acknowledged that
        async with serving(server, tmp_path) as third, server.client("thing", "elsewhere") as thing:
            await trusts(thing)  # the service has tried before it came, and is told by its presence now
            await told(thing, "clearCache")
            await until_none_waits(third)


async def test_who_lets_the_service_see_his_presence_is_told_when_he_comes(house: House) -> None:
    async with house.client("owner") as owner:
        async with house.client("thing") as thing:
            await register(thing)
            await trusts(thing, ask_first=True)
        await claim(owner)
        async with house.client("thing", "another") as thing:
            thing.write("<presence/>")
            await told(thing, "claimed")


async def trusts(thing: RawClient, ask_first: bool = False) -> None:
    """Online, and the service may see that."""
    if ask_first:  # a thing that befriends its server, as one that is no component wants it (XEP-0347 section 3.8)
        await thing.ask(None, "get", "<query xmlns='jabber:iq:roster'/>")
        thing.write(f"<presence/><presence to='{SERVICE}' type='subscribe'/>")
        await thing.take(lambda s: s.get("from") == SERVICE and s.get("type") == "subscribed", "that it may see it")
        thing.write(f"<presence to='{SERVICE}' type='subscribed'/>")
        assert (await thing.ask(SERVICE, "get", "<ping xmlns='urn:xmpp:ping'/>")).get("type") == "result"
        return
    thing.write("<presence/>")
    await thing.take(lambda s: s.get("from") == SERVICE and s.get("type") == "subscribe", "its request")
    thing.write(f"<presence to='{SERVICE}' type='subscribed'/>")


async def test_guesses_are_answered_alike_and_ever_more_slowly(house: House) -> None:
    async with house.client("thing") as thing, house.client("stranger") as guesser, house.client("owner") as owner:
        await register(thing)
        wrong = [TAGS, KEY, TAGS + KEY.replace("4857", "4858")]
        answers = [await claim(guesser, tags) for tags in wrong]
        assert {condition(answer) for answer in answers} == {"item-not-found"}
        assert len({answer[-1][1].text for answer in answers}) == 1
        await claim(guesser, TAGS)
        assert condition(await claim(guesser)) == "resource-constraint", "even the right one has to wait now"
        assert (await claim(owner)).get("type") == "result", "others do not"


async def test_a_flood_of_tags_is_refused(house: House) -> None:
    async with house.client("thing") as thing:
        many = "".join(f"<str name='T{number}' value='x'/>" for number in range(200))
        assert condition(await register(thing, many)) in ("bad-request", "resource-constraint")
        assert await house.running.store.things_at("thing@localhost") == ()


async def test_two_instances_side_by_side_are_one_service(server: Server, tmp_path: Path) -> None:
    """ejabberd lets both be the component and hands each stanza to one of them; Prosody keeps the second waiting."""
    if isinstance(server, EjabberdWorld):
        store = str(tmp_path / "store.sqlite")
        async with (
            serving(server, tmp_path / "one", store=store) as one,
            serving(server, tmp_path / "other", store=store) as other,
            server.client("owner") as owner,
            server.client("stranger") as stranger,
        ):
            for round_ in range(6):
                async with server.client("thing", f"r{round_}") as thing:
                    await claimed(thing, owner)
                    (found,) = await search(stranger, "<strEq name='SN' value='3948'/>")
                    assert found["owner"] == "owner@localhost"
                    disown = owner.ask(SERVICE, "set", f"<disown xmlns='{DISCO}' jid='thing@localhost'/>")
                    asked = asyncio.create_task(disown)
                    await told(thing, "disowned")
                    assert (await asked).get("type") == "result", round_
                    await told(thing, "clearCache")
                    await until_none_waits(one)
                    assert not [s for s in thing.pending if s.get("from") == SERVICE], "nothing was sent twice"
            assert await other.store.notices() == ()
    else:
        async with serving(server, tmp_path / "one"):
            second = ProvisioningServer(settings(server, tmp_path / "other"), SECRET)
            task = asyncio.create_task(second.run())
            try:
                await until(lambda: "conflict" in second.link.client.failure, "it is told why it has to wait")
            finally:
                second.stop()
                await task
