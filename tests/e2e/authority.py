"""A provisioning server and registry of a page, in raw XML: it answers as the test says, and remembers what it was
asked. It is a component of the server (XEP-0114), or an account; both are written down here, and share no line with the
hub's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self
from xml.etree.ElementTree import Element, XMLPullParser
from xml.sax.saxutils import quoteattr

from .raw import CLIENT, STREAM, TIMEOUT_S, RawClient
from .world import EjabberdWorld, World

OLD, NEW = "urn:xmpp:iot:provisioning", "urn:nf:iot:prov:d:1.0"
DISCO = {OLD: "urn:xmpp:iot:discovery", NEW: "urn:nf:iot:disco:1.0"}
INFO = "http://jabber.org/protocol/disco#info"
COMPONENT = "provisioning.localhost"
ACCOUNT = "authority@localhost"
SECRET = "not a secret"
ACCEPT = "jabber:component:accept"
HUB, BARE = "greenhouse@localhost/hub", "greenhouse@localhost"


class Town:
    """What a server of the tests adds to one: a component that it knows, and people with rosters."""

    component_port: int
    ca_file: Path

    @contextlib.asynccontextmanager
    async def person(self, name: str) -> AsyncIterator[RawClient]:
        """Somebody with a roster: who has one is told of what becomes of his contacts."""
        async with self.client(name) as client:  # type: ignore[attr-defined]  # a Place has it
            await client.ask(None, "get", "<query xmlns='jabber:iq:roster'/>")
            yield client

    def component(self) -> RawComponent:
        return RawComponent("127.0.0.1", self.component_port, self.ca_file, COMPONENT, SECRET)


class TrustWorld(Town, World):
    def __init__(self, folder: Path, exi: bool = False) -> None:
        World.__init__(self, folder, exi=exi, components={COMPONENT: SECRET})


class EjabberdTrustWorld(Town, EjabberdWorld):
    def __init__(self, folder: Path) -> None:
        EjabberdWorld.__init__(self, folder, exi=False, components={COMPONENT: SECRET})


class RawComponent(RawClient):
    """XEP-0114 with the hands of a RawClient. Stanzas are given back in the namespace that clients see."""

    def __init__(self, host: str, port: int, ca_file: Path, jid: str, secret: str) -> None:
        super().__init__(host, port, ca_file, jid, secret)
        self.jid = jid

    async def __aenter__(self) -> Self:
        async with asyncio.timeout(TIMEOUT_S):
            self._reader, self._writer = await asyncio.open_connection(*self._where)
            self._parser, self._depth = XMLPullParser(["start", "end"]), 0
            self.write(f"<stream:stream to='{self.jid}' xmlns='{ACCEPT}' xmlns:stream='{STREAM[1:-1]}'>")
            stream = await self._opened()
            proof = hashlib.sha1((stream.get("id", "") + self._password).encode()).hexdigest()
            self.write(f"<handshake>{proof}</handshake>")
            answer = await self._element()
            assert answer.tag.endswith("}handshake"), answer.tag
            self._task = asyncio.create_task(self._read())
        return self

    async def _opened(self) -> Element:
        while True:
            for _, element in self._parser.read_events():
                self._depth += 1
                return element
            self._parser.feed(await self._reader.read(65536))

    async def _element(self) -> Element:
        element = await super()._element()
        for each in element.iter():
            each.tag = each.tag.replace(f"{{{ACCEPT}}}", CLIENT)
        return element

    async def ask(self, to: str | None, kind: str, payload: str) -> Element:
        assert to is not None
        id_ = self.new_id()
        self.write(f"<iq type='{kind}' id='{id_}' from='{self.jid}' to={quoteattr(to)}>{payload}</iq>")
        return await self.take(
            lambda s: s.tag == f"{CLIENT}iq" and s.get("id") == id_ and s.get("type") in ("result", "error"),
            f"the answer to {payload[:200]}",
        )


class Authority:
    """`reads` and `controls`: by bare JID what is allowed, as XML to put into the answer, "" for everything that was
    asked. `friends`: who may know the hub. `owner`: what the registry says of it. `silent`: it does not answer."""

    def __init__(self, talker: RawClient, namespace: str = OLD) -> None:
        self.talker = talker
        self.namespace, self.disco = namespace, DISCO[namespace]
        self.friends: set[str] = set()
        self.reads: dict[str, str] = {}
        self.controls: dict[str, str] = {}
        self.owner = ""
        self.silent = False
        self.update_answer = ""
        self.once = False
        """Right ahead of each verdict comes the word to forget, and it is the last that allows this."""
        self.asked: list[Element] = []
        self.last_id = ""
        """Of the last IQ that has arrived."""
        self.told: list[Element] = []
        """What the registry was told: register and update."""

    # ------------------------------------------------------------------ what tests do

    def questions(self, name: str, jid: str = "") -> list[Element]:
        return [one for one in self.asked if one.tag == f"{{{self.namespace}}}{name}" and jid in ("", one.get("jid"))]

    def tags(self, index: int = -1) -> dict[str, str]:
        return {tag.get("name", ""): tag.get("value", "") for tag in self.told[index]}

    async def claim(self, owner: str, public: bool = True) -> Element:
        self.owner = owner
        said = "" if public else " public='false'"
        return await self.talker.ask(HUB, "set", f"<claimed xmlns='{self.disco}' jid='{owner}'{said}/>")

    async def clear_cache(self) -> Element:
        return await self.talker.ask(HUB, "set", f"<clearCache xmlns='{self.namespace}'/>")

    def message(self, payload: str) -> None:
        self.talker.write(f"<message from='{self.talker.jid}' to='{HUB}'>{payload}</message>")

    # ------------------------------------------------------------------ what it does

    async def run(self) -> None:
        while True:
            stanza = await self._next()
            sender = stanza.get("from", "")
            if stanza.tag == f"{CLIENT}presence":
                for answer in ("subscribed", "subscribe"):
                    self.talker.write(f"<presence from='{self.talker.bare}' to='{BARE}' type='{answer}'/>")
                continue
            self.last_id = stanza.get("id", "")
            answer = self._answer(stanza[0])
            if answer is not None:
                kind = "error" if answer.startswith("<error") else "result"
                first = "" if not (self.once and "result='true'" in answer) else (
                    f"<iq type='set' id='{self.talker.new_id()}' from='{self.talker.jid}' to={quoteattr(sender)}>"
                    f"<clearCache xmlns='{self.namespace}'/></iq>"
                )
                self.talker.write(f"{first}<iq type='{kind}' id={quoteattr(self.last_id)} from='{self.talker.jid}' "
                                  f"to={quoteattr(sender)}>{answer}</iq>")  # fmt: skip

    async def _next(self) -> Element:
        def wanted(stanza: Element) -> bool:
            if stanza.tag == f"{CLIENT}presence":
                return stanza.get("type") == "subscribe"
            return stanza.tag == f"{CLIENT}iq" and stanza.get("type") in ("get", "set") and len(stanza) > 0

        while True:
            with contextlib.suppress(AssertionError):  # nothing for a while
                return await self.talker.take(wanted)

    def _answer(self, payload: Element) -> str | None:
        name = payload.tag.rpartition("}")[2]
        if payload.tag == f"{{{INFO}}}query":
            return f"<query xmlns='{INFO}'><feature var='{self.namespace}'/><feature var='{self.disco}'/></query>"
        if payload.tag.startswith(f"{{{self.disco}}}"):
            self.told.append(payload)
            if name == "update":
                return self.update_answer
            claimed = name == "register" and self.owner
            return f"<claimed xmlns='{self.disco}' jid='{self.owner}'/>" if claimed else ""
        if not payload.tag.startswith(f"{{{self.namespace}}}"):
            return ""  # a server that tells an account of its contacts
        self.asked.append(payload)
        if self.silent:
            return None
        return self._verdict(name, payload)

    def _verdict(self, name: str, question: Element) -> str:
        jid = question.get("jid", "")
        table: dict[str, Any] = {"isFriend": dict.fromkeys(self.friends, ""), "canRead": self.reads,
                                 "canControl": self.controls}  # fmt: skip
        inner = table[name].pop(jid, None) if self.once else table[name].get(jid)
        types = "".join(f" {key}={quoteattr(value)}" for key, value in question.items()
                        if key not in ("jid", "st", "dt", "ut") and not key.endswith("Token"))  # fmt: skip
        result = "false" if inner is None else "true"
        head = f"{name}Response xmlns='{self.namespace}' jid='{jid}' result='{result}'{types}"
        return f"<{head}>{inner or ''}</{name}Response>"


@contextlib.asynccontextmanager
async def authority(world: TrustWorld, kind: str = COMPONENT, namespace: str = OLD) -> AsyncIterator[Authority]:
    """One that is online: the component, or the account."""
    talker: RawClient = world.component() if kind == COMPONENT else world.client("authority")
    async with talker:
        if kind != COMPONENT:
            await talker.ask(None, "get", "<query xmlns='jabber:iq:roster'/>")  # who has one hears of requests
            talker.write("<presence/>")
        server = Authority(talker, namespace)
        running = asyncio.create_task(server.run())
        try:
            yield server
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
