"""A component on real servers: up, answering, refused, lost and back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from hub.errors import PeerRefused
from hub.services.iq import ask
from hub.services.router import Route, Router
from hub.session.component import Component, ComponentAccount, ComponentLink
from tests.e2e.raw import condition
from tests.e2e.world import EjabberdWorld, World
from tests.helpers import until

NAME, SECRET = "service.localhost", "a secret"
PING = "<ping xmlns='urn:xmpp:ping'/>"
INFO = "http://jabber.org/protocol/disco#info"
TAG = "{urn:example}hello"


@pytest.fixture(scope="module", params=["prosody", "ejabberd"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World | EjabberdWorld]:
    folder = tmp_path_factory.mktemp("server")
    made = World(folder, components={NAME: SECRET}) if request.param == "prosody" else \
        EjabberdWorld(folder, exi=False, components={NAME: SECRET})  # fmt: skip
    with made as world:
        yield world.populate("owner")


class Greeter:
    """Answers an iq, and keeps what it was told in messages."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def features(self) -> Iterable[str]:
        return ()

    def routes(self) -> Iterable[Route]:
        yield Route("iq", ("get",), TAG, self._hello)
        yield Route("message", ("chat", "normal"), "{jabber:client}body", self._told, whole=True)

    async def _hello(self, caller: str, payload: Element) -> Element:
        return Element(TAG, who=caller)

    async def _told(self, caller: str, message: Element) -> None:
        self.told.append((caller, message.findtext("{jabber:client}body") or ""))


@contextlib.asynccontextmanager
async def component(server: World | EjabberdWorld, greeter: Greeter, **changed: str) -> AsyncIterator[ComponentLink]:
    account = ComponentAccount(changed.get("jid", NAME), changed.get("secret", SECRET),
                               ("127.0.0.1", server.component_port))  # fmt: skip
    link = ComponentLink(Component(account), lambda up, fresh: None)
    router = Router(link.client)
    router.send = link.send
    router.add(greeter)
    running = asyncio.create_task(link.run())
    try:
        yield link
    finally:
        await link.stop()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_it_answers_for_its_own_address_and_asks_others(server: World | EjabberdWorld) -> None:
    greeter = Greeter()
    async with component(server, greeter) as link, server.client("owner") as owner:
        await until(lambda: link.up, "it is online")
        answer = await owner.ask(NAME, "get", "<hello xmlns='urn:example'/>")
        assert (answer.get("from"), answer[0].get("who")) == (NAME, owner.jid)
        assert (await owner.ask(NAME, "get", f"<query xmlns='{INFO}'/>")).get("type") == "result"
        assert (await owner.ask(NAME, "get", PING)).get("type") == "result"
        assert condition(await owner.ask(f"somebody@{NAME}", "get", "<hello xmlns='urn:example'/>"))
        owner.write(f"<message to='{NAME}' type='chat'><body>good day</body></message>")
        await until(lambda: greeter.told == [(owner.jid, "good day")], "the message came")

        asked = asyncio.create_task(ask(link.client, owner.jid, "get", Element(TAG)))
        question = await owner.take(lambda s: s.find(TAG) is not None)
        assert question.get("from") == NAME
        owner.write(f"<iq type='error' to='{NAME}' id='{question.get('id')}'><error type='cancel'><forbidden "
                    "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")  # fmt: skip
        with pytest.raises(PeerRefused, match="forbidden"):
            await asked


async def test_a_wrong_secret_is_said_in_words_and_tried_again(
    server: World | EjabberdWorld, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.session.component.FIRST_WAIT_S", 0.02)
    caplog.set_level(logging.DEBUG, "hub.session")
    async with component(server, Greeter(), secret="another") as link:
        await until(lambda: caplog.text.count("does not take us as its component") >= 2, "it was refused twice")
        assert not link.up
    assert caplog.text.count("WARNING") == 1, "the same failure is said aloud once"
    assert "another" not in caplog.text


async def test_it_sees_that_a_dead_server_is_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in {"FIRST_WAIT_S": 0.02, "LAST_WAIT_S": 0.1, "PING_EVERY_S": 0.1, "PING_TIMEOUT_S": 0.5,
                        "ATTEMPT_TIMEOUT_S": 1.0}.items():  # fmt: skip
        monkeypatch.setattr(f"hub.session.link.{name}", value)
    with World(tmp_path / "server", components={NAME: SECRET}) as server:
        async with component(server, Greeter()) as link:
            await until(lambda: link.up, "it is online")
            server.freeze()
            await until(lambda: not link.up, "it noticed")
            server.thaw()
            await until(lambda: link.up, "it is back")
            server.stop()
            await until(lambda: not link.up, "it noticed that too")
            server.start()
            await until(lambda: link.up, "it is back again")


async def test_who_is_nobody_is_not_served(server: World | EjabberdWorld) -> None:
    """A stanza without `from` cannot come through a server; one that could is passed over."""
    greeter = Greeter()
    async with component(server, greeter) as link, server.client("owner") as owner:
        await until(lambda: link.up, "it is online")
        link.client.data_received(f"<message to='{NAME}'><body>who am I</body></message>".encode())
        owner.write(f"<message to='{NAME}'><body>I am</body></message>")
        await until(lambda: greeter.told == [(owner.jid, "I am")], "one message counted")


def test_a_secret_is_never_shown() -> None:
    assert SECRET not in repr(ComponentAccount(NAME, SECRET, ("127.0.0.1", 5347)))


def test_a_port_out_in_the_open_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    async def made(host: str) -> None:
        Component(ComponentAccount(NAME, SECRET, (host, 5347)))

    for host in ("127.0.0.1", "::1", "10.0.0.3", "localhost", "xmpp"):
        asyncio.run(made(host))
    assert "nothing that passes there is encrypted" not in caplog.text
    asyncio.run(made("9.9.9.9"))
    asyncio.run(made("xmpp.example.org"))
    assert caplog.text.count("nothing that passes there is encrypted") == 2


