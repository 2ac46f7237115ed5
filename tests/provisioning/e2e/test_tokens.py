"""Tokens from end to end, on both servers: a service, a thing in between and a thing that asks, with their own keepers;
and users of a service, in raw XML."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

from hub.config.file import parse
from hub.errors import HubError, PeerRefused
from hub.provisioning.certificates import KeyPair, read_pair
from hub.provisioning.model import Rule, ThingId
from hub.provisioning.users import Entrance, User, UserBook
from hub.services.iq import ask
from hub.services.router import Router
from hub.services.tokens import TokenKeeper
from hub.session.client import Account, Client
from hub.session.exi_link import ExiPolicy
from hub.session.link import Link
from hub.stanzas.dialects import PROVISIONING
from hub.things.model import FieldTypes, NodeRef, Tokens
from hub.things.questions import Question, Right, bare
from hub.trust.tokens import TokenTraffic
from tests.cli.conftest import Ran, hub
from tests.e2e.raw import RawClient, condition
from tests.e2e.world import running
from tests.helpers import until
from tests.provisioning import keys

from .house import OLD, SERVICE, House, claim, claimed, serving

NF = "urn:nf:iot:prov:d:1.0"


def key_pair(name: str) -> KeyPair:
    key = keys.rsa_key(name)
    now = keys.dt.datetime.now(keys.dt.UTC)
    der = keys.certificate(key, now - keys.dt.timedelta(days=1), now + keys.dt.timedelta(days=2))
    return read_pair(der, keys.key_pem(key), now)


class Party:
    """An account with a keeper of tokens. It asks in one dialect and understands all."""

    def __init__(self, house: House, user: str, key: KeyPair | None = None, namespace: str = OLD) -> None:
        server = (house.server.address.host, house.server.address.port)
        account = Account(f"{user}@localhost/hub", house.server.passwords[user], server=server,
                          ca_file=house.server.ca_file, exi=ExiPolicy.OFF)  # fmt: skip
        self.client: Any = Client(account, "hub")
        self.link = Link(self.client, lambda up, fresh: None)
        self.traffic = TokenTraffic()
        self.keeper = TokenKeeper(self.client, self.traffic, time.monotonic, key)
        self.codec = PROVISIONING[namespace]
        router = Router(self.client)
        router.send = self.link.send
        router.add(self.keeper)
        self.told: list[Any] = []
        path = MatchXPath(f"{{jabber:client}}iq/{{{namespace}}}clearCache")
        self.client.register_handler(Callback("clearCache", path, self.told.append))

    @property
    def jid(self) -> str:
        return str(self.client.boundjid.full)

    async def may(self, tokens: Tokens, jid: str) -> bool:
        """Asks the service whether `jid`, who has shown `tokens`, may read."""
        question = Question(Right.READ, bare(jid), (NodeRef("air"),), ("temperature",), FieldTypes.MOMENTARY, tokens)
        self.keeper.arrived(tokens, jid)
        self.keeper.passed_on(tokens, jid, SERVICE)
        result = await ask(self.client, SERVICE, "get", self.codec.encode_question(question))
        return self.codec.decode_verdict(result[0], question).allowed


@contextlib.asynccontextmanager
async def parties(*made: Party) -> AsyncIterator[None]:
    running = [asyncio.create_task(party.link.run()) for party in made]
    try:
        for party in made:
            await until(lambda party=party: party.link.up, "everybody is online")
        yield
    finally:
        for party, task in zip(made, running, strict=True):
            await party.link.stop()
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def claim_thing(house: House) -> None:
    async with house.client("thing") as thing, house.client("owner") as owner:
        await claimed(thing, owner)


@pytest.mark.parametrize("namespace", [OLD, NF])
async def test_a_token_is_passed_on_and_its_challenge_comes_back_the_whole_way(house: House, namespace: str) -> None:
    await claim_thing(house)
    service = Party(house, "reader", key_pair("one"), namespace)
    between, thing = Party(house, "rack", namespace=namespace), Party(house, "thing", namespace=namespace)
    thief = Party(house, "stranger", namespace=namespace)
    async with parties(service, between, thing, thief):
        assert await service.keeper.obtain(SERVICE, SERVICE, service.codec)
        shown = service.keeper.show(between.jid)
        await house.running.store.add_rule(Rule(Right.READ, True, tokens=(shown.device,)))
        await house.running.knowledge.look()

        assert await thing.may(service.keeper.show(thing.jid), service.jid), "of the very sender"

        between.keeper.arrived(shown, service.jid)
        between.keeper.passed_on(shown, service.jid, thing.jid)
        thing.traffic = thing.keeper._traffic = TokenTraffic()
        assert await thing.may(shown, between.jid), "thing → between → service and back"

        thing.traffic = thing.keeper._traffic = TokenTraffic()
        assert not await thing.may(shown, thief.jid), "the token of another sender"
        assert not await thing.may(Tokens(device="SERVICETOKEN1"), thief.jid)
        assert await thing.may(Tokens(device=f"SERVICETOKEN1 {shown.device}"), service.jid)

        thing.told.clear()
        await revoked_on_the_command_line(house, shown.device)
        assert not await thing.may(shown, service.jid)
        await until(lambda: thing.told, "the thing that could remember it is told to forget it")


async def revoked_on_the_command_line(house: House, token: str) -> None:
    config = house.state / "provisioning.toml"
    config.write_text(f'[provisioning]\njid = "{SERVICE}"\nsecret_file = "/unused"\nstate_dir = "{house.state}"\n')

    async def tokens(command: str, *more: str) -> Ran:
        return await asyncio.to_thread(hub, "provisioning", "tokens", command, "--config", str(config), *more)

    listed = await tokens("list", "--of", "Reader@localhost/x")
    assert f"reader@localhost: {token}\n    good until " in listed.out
    assert [each["token"] for each in json.loads((await tokens("list", "--json")).out)] == [token]
    gone = await tokens("revoke", token, "T9")
    assert (gone.code, gone.out) == (1, f"revoked: {token} of reader@localhost\n") and "no token T9" in gone.err
    assert (await tokens("list")).out == "no token has been given yet\n"


async def test_a_challenge_from_a_stranger_is_forbidden(house: House) -> None:
    service = Party(house, "reader", key_pair("one"))
    async with parties(service), house.client("stranger") as stranger:
        assert await service.keeper.obtain(SERVICE, SERVICE, service.codec)
        token = service.keeper.show("thing@localhost").device
        refused = await stranger.ask(
            service.jid, "get", f"<tokenChallenge xmlns='{OLD}' token='{token}'>QUJD</tokenChallenge>"
        )
        assert condition(refused) == "forbidden"
        service.keeper.show("stranger@localhost")
        wrong = await stranger.ask(
            service.jid, "get", f"<tokenChallenge xmlns='{OLD}' token='{token}'>QUJD</tokenChallenge>"
        )
        assert condition(wrong) == "bad-request"


async def test_a_token_and_what_it_is_for_outlive_a_restart_of_the_service(house: House) -> None:
    service = Party(house, "reader", key_pair("one"))
    async with parties(service):
        assert await service.keeper.obtain(SERVICE, SERVICE, service.codec)
        first = service.keeper.show("thing@localhost")
        house.running.stop()
        await until(lambda: house.running.link.stopped, "the service has stopped")
        async with serving(house.server, house.state) as again:
            assert await again.tokens.record(first.device) is not None
            assert await service.keeper.obtain(SERVICE, SERVICE, service.codec)
            assert service.keeper.show("thing@localhost") == first


async def test_bad_certificates_and_answers_get_the_right_errors(house: House) -> None:
    async with house.client("thing") as thing:
        for sent, said in (("QUJD", "bad-request"), ("%%%", "bad-request"), ("", "bad-request")):
            assert condition(await get(thing, f"<getToken xmlns='{OLD}'>{sent}</getToken>")) == said
        good = base64.b64encode(key_pair("one").certificate).decode()
        asked = await get(thing, f"<getToken xmlns='{OLD}'>{good}</getToken>")
        number = asked[0].get("seqnr")
        response = f"<getTokenChallengeResponse xmlns='{OLD}' seqnr='{number}'>QUJD</getTokenChallengeResponse>"
        assert condition(await get(thing, response)) == "bad-request"
        assert condition(await get(thing, response)) == "item-not-found"


async def get(client: RawClient, payload: str) -> Element:
    return await client.ask(SERVICE, "get", payload)


async def test_users_of_a_service(house: House) -> None:
    service = Party(house, "reader", key_pair("one"))
    book = UserBook(house.running.store)
    await book.set_entrances("reader@localhost", [Entrance(True, (("ip4", "10.0.0.0/8"),))])
    await book.set_user("reader@localhost", "Kermit", User((), ((False, "Sensors.Delete"), (True, "Sensors"))))
    async with parties(service):
        assert await service.keeper.obtain(SERVICE, SERVICE, service.codec)
        token = service.keeper.show(SERVICE).device
    async with house.client("reader") as reader, house.client("stranger") as stranger:
        shown = "<credentials type='IpAddress' value='10.0.0.1'/>"
        access = f"<canAccess xmlns='{OLD}' serviceToken='{token}'>{shown}</canAccess>"
        assert condition(await get(stranger, access)) == "forbidden"
        answer = (await get(reader, access))[0]
        both = f"xmlns='{OLD}' serviceToken='{token}' userToken='{answer.get('userToken')}'"
        reader.write(f"<message to='{SERVICE}'><userLoggedIn {both} userName='Kermit'/></message>")
        deadline = time.monotonic() + 10
        while (listed := (await get(reader, f"<downloadPrivileges {both}/>"))[0]) is None or not len(listed):
            assert time.monotonic() < deadline, "logged in"
        assert [(each.tag.rpartition("}")[2], each.get("id")) for each in listed] == [
            ("exclude", "Sensors.Delete"), ("include", "Sensors"),
        ]  # fmt: skip
        granted = (await get(reader, f"<hasPrivilege {both} privilegeId='Sensors.View'/>"))[0]
        assert granted.get("result") == "true"
        refused = (await get(reader, f"<hasPrivilege {both} privilegeId='Sensors.Delete.All'/>"))[0]
        assert refused.get("result") == "false"
        assert condition(await get(stranger, f"<downloadPrivileges {both}/>")) == "forbidden"


async def test_no_token_is_no_reason_to_stay_away(house: House, caplog: pytest.LogCaptureFixture) -> None:
    nobody, party = Party(house, "rack"), Party(house, "thing", key_pair("two"))
    async with parties(nobody, party):
        assert not await nobody.keeper.obtain(SERVICE, SERVICE, nobody.codec)
        assert not await party.keeper.obtain("stranger@localhost", "stranger@localhost/none", party.codec)
        with pytest.raises(HubError):
            await ask(party.client, "localhost", "get", party.codec.encode_get_token(b"x"))
    assert "no token from stranger@localhost" in caplog.text


async def test_a_node_gets_its_token_at_start_and_passes_challenges_on(house: House, tmp_path: Path) -> None:
    """The whole way: a service's token, shown to a node by somebody in between, under a rule that names it."""
    (tmp_path / "token.pem").write_bytes(keys.pem(key_pair("two").certificate))
    (tmp_path / "token.key").write_bytes(keys.key_pem(keys.rsa_key("two")))
    trust = f'server = "{SERVICE}"\ncertificate = "{tmp_path}/token.pem"\nkey = "{tmp_path}/token.key"'
    things = '[things.air]\ndriver = "simulated"\n'
    text = house.server.text(things, tmp_path / "node", user="thing", trust=trust)
    service, between, thief = Party(house, "reader", key_pair("one")), Party(house, "rack"), Party(house, "stranger")
    store = house.running.store
    async with running(parse(text)), parties(service, between, thief), house.client("owner") as owner:
        deadline = time.monotonic() + 20
        while (registered := await store.thing(ThingId("thing@localhost"))) is None or not await store.get(
            "tokens", "thing@localhost"
        ):
            assert time.monotonic() < deadline, "the node registers and gets its token"
            await asyncio.sleep(0.05)
        tags = "".join(f"<str name='{name}' value='{value}'/>" for name, value in registered.tags.items())
        assert (await claim(owner, tags)).get("type") == "result"

        assert await service.keeper.obtain(SERVICE, SERVICE, service.codec)
        shown = service.keeper.show(between.jid)
        await store.add_rule(Rule(Right.READ, True, tokens=(shown.device,)))
        await house.running.knowledge.look()
        between.keeper.arrived(shown, service.jid)
        between.keeper.passed_on(shown, service.jid, "thing@localhost/hub")

        async def reads(party: Party) -> bool:
            request = Element("{urn:xmpp:iot:sensordata}req", seqnr="1", momentary="true", deviceToken=shown.device)
            try:
                await ask(party.client, "thing@localhost/hub", "get", request)
            except PeerRefused as refused:
                assert refused.condition in ("forbidden", "not-allowed"), refused
                return False
            return True

        deadline = time.monotonic() + 20
        while not await reads(between):  # until the node knows its owner
            assert time.monotonic() < deadline, "read with the token of the service"
            await asyncio.sleep(0.1)
        assert not await reads(thief)
