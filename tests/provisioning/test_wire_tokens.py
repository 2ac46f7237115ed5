"""Tokens and users on the wire: the examples of sections 3.1.3, 3.6 and 3.7, answered."""

from __future__ import annotations

import base64
import os
from xml.etree.ElementTree import Element, fromstring

import pytest

from hub.errors import BadRequest, Forbidden, NotFound
from hub.provisioning.service import Provisioning
from hub.provisioning.users import Entrance, User, UserBook, UserDesk
from tests.provisioning import test_tokens
from tests.provisioning.keys import NOW
from tests.provisioning.test_tokens import PAIR, SERVICE

OLD, NEW = "urn:xmpp:iot:provisioning", "urn:nf:iot:prov:t:1.0"


class World(test_tokens.World):
    def __init__(self) -> None:
        super().__init__()
        self.book = UserBook(self.store)  # type: ignore[arg-type]
        users = UserDesk(self.store, "provisioning.example.org", lambda: NOW, os.urandom, self.desk, self.log)  # type: ignore[arg-type]
        service = Provisioning(None, None, None, None, self.desk, users)  # type: ignore[arg-type]  # tokens only
        self.routes = {(route.stanza, route.tag): route for route in service.routes()}

    async def ask(self, text: str, stanza: str = "iq") -> Element | None:
        element = fromstring(text)
        return await self.routes[stanza, element.tag].answer(SERVICE, element)

    async def token_by_xml(self, namespace: str) -> Element:
        sent = base64.b64encode(PAIR.certificate).decode()
        asked = await self.ask(f"<getToken xmlns='{namespace}'>{sent}</getToken>")
        assert asked is not None and asked.tag == f"{{{namespace}}}getTokenChallenge"
        answer = base64.b64encode(PAIR.decrypt(base64.b64decode(asked.text or ""))).decode()
        given = await self.ask(
            f"<getTokenChallengeResponse xmlns='{namespace}' seqnr='{asked.get('seqnr')}'>{answer}"
            "</getTokenChallengeResponse>"
        )
        assert given is not None
        return given


@pytest.mark.parametrize("namespace", [OLD, NEW, "urn:ieee:iot:prov:t:1.0", "urn:nfi:iot:prov:t:1.0"])
async def test_a_token_in_every_dialect(namespace: str) -> None:
    world = World()
    given = await world.token_by_xml(namespace)
    assert given.tag == f"{{{namespace}}}getTokenResponse"
    assert await world.desk.record(given.get("token", "")) is not None


@pytest.mark.parametrize(("text", "error"), [
    (f"<getToken xmlns='{OLD}'>BASE-64 ENCODED PUBLIC X.509 CERTIFICATE</getToken>", BadRequest),
    (f"<getToken xmlns='{OLD}'/>", BadRequest),
    (f"<getTokenChallengeResponse xmlns='{OLD}' seqnr='1'>QUJD</getTokenChallengeResponse>", NotFound),
    (f"<getTokenChallengeResponse xmlns='{OLD}'>QUJD</getTokenChallengeResponse>", BadRequest),
    (f"<canAccess xmlns='{OLD}' serviceToken='SERVICETOKEN1'/>", Forbidden),
    (f"<downloadPrivileges xmlns='{OLD}' serviceToken='SERVICETOKEN1' userToken='USERTOKEN1'/>", Forbidden),
])  # fmt: skip
async def test_what_cannot_be_answered_is_the_right_error(text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        await World().ask(text)


async def test_the_examples_about_users() -> None:
    world = World()
    token = (await world.token_by_xml(OLD)).get("token", "")
    await world.book.set_entrances(SERVICE, [Entrance(True, (("ip4", "10.0.0.0/8"), ("longitude", "123..124")))])
    privileges = ((False, "Sensors.Delete"), (True, "Sensors"))
    await world.book.set_user(SERVICE, "Kermit", User((), privileges))
    access = await world.ask(
        f"<canAccess xmlns='{OLD}' serviceToken='{token}'><credentials type='IpAddress' value='10.0.0.1'/>"
        "<credentials type='Longitude' value='123.45'/><credentials type='Latitude' value='67.89'/></canAccess>"
    )
    assert access is not None and access.tag == f"{{{OLD}}}canAccessResponse" and access.get("result") == "true"
    user = access.get("userToken")
    both = f"xmlns='{OLD}' serviceToken='{token}' userToken='{user}'"
    before = await world.ask(f"<downloadPrivileges {both}/>")
    assert before is not None and list(before) == []
    assert await world.ask(f"<userLoggedIn {both} userName='Kermit'/>", "message") is None
    allowed = await world.ask(f"<hasPrivilege {both} privilegeId='Sensors.View'/>")
    assert allowed is not None and (allowed.tag, allowed.attrib) == (
        f"{{{OLD}}}hasPrivilegeResponse", {"result": "true"},
    )  # fmt: skip
    downloaded = await world.ask(f"<downloadPrivileges {both}/>")
    assert downloaded is not None and downloaded.tag == f"{{{OLD}}}downloadPrivilegesResponse"
    assert [(child.tag, child.get("id")) for child in downloaded] == [
        (f"{{{OLD}}}exclude", "Sensors.Delete"), (f"{{{OLD}}}include", "Sensors"),
    ]  # fmt: skip


async def test_who_meets_no_condition_gets_no_token() -> None:
    world = World()
    token = (await world.token_by_xml(OLD)).get("token", "")
    access = await world.ask(f"<canAccess xmlns='{OLD}' serviceToken='{token}'/>")
    assert access is not None and access.attrib == {"result": "false"}
