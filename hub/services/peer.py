"""The other side: finding a hub, reading, setting and watching it from a client.

Rules of this file
* Every wait has a bound, and what does not come is said in one sentence.
* Parts of a readout are taken from the hub that was asked and from nobody else, by full JID and id.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher.base import MatcherBase

from hub.errors import BadRequest, PeerConfused, PeerError, PeerRefused, PeerSilent
from hub.services import pubsub
from hub.services.discovery import RESOURCE
from hub.services.iq import ask
from hub.stanzas import forms
from hub.stanzas.control_xmpp import Control
from hub.stanzas.dialects import CONTROL, EVENTS, SENSOR_DATA, SensorDataCodec
from hub.stanzas.events_xmpp import Events
from hub.stanzas.sensor_data_xmpp import NAMESPACE as SENSOR_DATA_XMPP
from hub.things.model import Answer, Command, NodeRef, ReadoutRequest, Tokens

DISCO_INFO = "http://jabber.org/protocol/disco#info"
DISCO_ITEMS = "http://jabber.org/protocol/disco#items"
NONE = Tokens()
PRESENCE_S = 5.0
FIRST_IDS = 8192  # small, as EXI writes 14 bits in two bytes; what makes an answer ours is the full JID it comes from
RETRY_S = 0.25  # between two questions that only time can answer differently


@dataclass(frozen=True)
class Published:
    """Where a thing is published."""

    jid: str
    node: str
    name: str


class Peer:
    """A hub as a client sees it. `client` is online. `inbox`: one that many peers share; else each has its own."""

    def __init__(self, client: Any, jid: str, timeout: float, inbox: Inbox | None = None) -> None:
        self.client = client
        self.jid = jid
        self.timeout = timeout
        self._sensor_data: SensorDataCodec = SENSOR_DATA[SENSOR_DATA_XMPP]
        self._control: Control = next(iter(CONTROL.values()))
        self.events: Events | None = None
        """The words in which it takes event subscriptions; None: it takes none, or has not been found yet."""
        self.inbox = inbox or Inbox(client)
        self._ids = itertools.count(secrets.randbelow(FIRST_IDS))

    async def find(self) -> None:
        """Learn the full JID and the dialects of the hub. Raises PeerError when it is not there for us."""
        if "/" not in self.jid:
            self.jid = await self._full_jid(self.jid)
        info = await self._info(self.jid)
        spoken = [codec for namespace, codec in SENSOR_DATA.items() if namespace in info]
        if not spoken:
            raise PeerConfused(f"{self.jid} is there, but is no sensor hub: it does not speak sensor data")
        self._sensor_data = spoken[0]
        self._control = next((codec for ns, codec in CONTROL.items() if ns in info), self._control)
        offered = (codec for namespace, codec in EVENTS.items() if namespace in info)
        self.events = next((codec for codec in offered if codec.sensor_data == spoken[0].namespace), None)

    async def read(self, request: Callable[[str], ReadoutRequest]) -> AsyncIterator[Answer]:
        """The answer of the hub, part by part as it comes. `request` makes the request from the id chosen here."""
        codec = self._sensor_data
        id_ = self.new_id()
        asked = request(id_)
        with self.inbox.listen(self.jid) as arriving:
            result = await ask(self.client, self.jid, "get", codec.encode_request(asked), self.timeout)
            inside = next((codec.decode_answer(child) for child in result if child.tag.startswith("{")), None)
            if inside is not None:
                yield inside
                if inside.done:
                    return
            while True:
                answer = self.decode(codec, await self._next(arriving, "sent no (further) values"))
                if answer is None or answer.id != id_:
                    continue
                yield answer
                if answer.done:
                    return

    def new_id(self) -> str:
        """Of a readout or subscription."""
        return str(next(self._ids))

    async def form(self, nodes: tuple[str, ...], tokens: Tokens = NONE) -> tuple[str, tuple[forms.FormField, ...]]:
        """The control form of some nodes, or of the only controllable one: title and parameters."""
        refs = tuple(NodeRef(name) for name in nodes) or None
        payload = self._control.encode_form_request(refs, tokens)
        result = await ask(self.client, self.jid, "get", payload, self.timeout, self._control)
        form = result.find(f"{{{forms.DATA}}}x")
        if form is None:
            raise PeerConfused(f"{self.jid} answered without a form")
        return forms.decode_form(form)

    async def carry_out(self, command: Command) -> None:
        """Returns when the command has been carried out. Raises PeerRefused with what was wrong."""
        payload = self._control.encode_command(command)
        await ask(self.client, self.jid, "set", payload, self.timeout, self._control)

    async def published(self) -> list[Published]:
        """Where the hub publishes its things."""
        result = await ask(self.client, self.jid, "get", Element(f"{{{DISCO_ITEMS}}}query"), self.timeout)
        return [
            Published(item.get("jid", ""), item.get("node", ""), item.get("name", ""))
            for item in result.iter(f"{{{DISCO_ITEMS}}}item")
            if item.get("node")
        ]

    async def watch(self, places: list[Published]) -> AsyncIterator[Answer]:
        """Readings as they are published, for ever. Asks to be a contact of the hub first: that is what its
        telemetry is open to."""
        await self.befriend(self.jid.partition("/")[0])
        wanted = {(place.jid, place.node) for place in places}
        with self.inbox.listen(*{place.jid for place in places}) as arriving:
            for place in places:
                await self._subscribe(place)
            while True:
                message = await arriving.get()
                for node in pubsub.deleted(message):  # made anew when somebody's rights ended
                    for place in places:
                        if (place.jid, place.node) == (message.get("from"), node):
                            await self._subscribe(place)
                for node, payload in pubsub.notified(message):
                    if (message.get("from"), node) not in wanted:  # another hub's, where they share a service
                        continue
                    answer = self.decode(self._sensor_data, payload)
                    if answer is not None:
                        yield answer

    async def _subscribe(self, place: Published) -> None:
        """A hub that has just come online makes its nodes with its first readings: wait for that."""
        deadline = asyncio.get_running_loop().time() + self.timeout
        while True:
            try:
                return await pubsub.subscribe(self.client, place.jid, place.node)
            except PeerRefused as refused:
                if refused.condition != "item-not-found" or asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(RETRY_S)

    async def unwatch(self, places: list[Published]) -> None:
        for place in places:
            await pubsub.unsubscribe(self.client, place.jid, place.node)

    # ------------------------------------------------------------------ finding

    async def _full_jid(self, bare: str) -> str:
        """A hub binds a known resource; one that could not is found by its presence."""
        try:
            await self._info(f"{bare}/{RESOURCE}")
            return f"{bare}/{RESOURCE}"
        except PeerRefused as refused:
            if refused.condition not in ("service-unavailable", "recipient-unavailable", "item-not-found"):
                raise
        await self.befriend(bare)
        contact = self.client.client_roster[bare]
        if not await self._until("got_online", lambda: bool(contact.resources)):
            raise PeerError(f"{bare} is not online")
        return f"{bare}/{next(iter(contact.resources))}"

    async def befriend(self, bare: str) -> None:
        """Be allowed to see the hub's presence."""
        contact = self.client.client_roster[bare]
        if contact["to"]:
            return
        self.client.send_presence_subscription(pto=bare)
        if not await self._until("roster_update", lambda: bool(contact["to"])):
            raise PeerError(f"{bare} does not let you see it: ask its owner for a line in its [access]")

    async def _until(self, event: str, reached: Callable[[], bool]) -> bool:
        """Wait for `reached`, looking again at each `event`; False when it did not come in time. (slixmpp's own way to
        wait for an event loses a cancellation that comes together with it.)"""
        news = asyncio.Event()

        def happened(_: object) -> None:
            news.set()

        self.client.add_event_handler(event, happened)
        try:
            async with asyncio.timeout(min(PRESENCE_S, self.timeout)):
                while not reached():
                    news.clear()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(RETRY_S):
                            await news.wait()
        except TimeoutError:
            return reached()
        finally:
            self.client.del_event_handler(event, happened)
        return True

    async def _info(self, jid: str) -> set[str]:
        result = await ask(self.client, jid, "get", Element(f"{{{DISCO_INFO}}}query"), self.timeout)
        return {feature.get("var", "") for feature in result.iter(f"{{{DISCO_INFO}}}feature")}

    # ------------------------------------------------------------------ waiting

    async def _next(self, arriving: asyncio.Queue[Element], what: str) -> Element:
        try:
            async with asyncio.timeout(self.timeout):
                message = await arriving.get()
        except TimeoutError:
            raise PeerSilent(f"{self.jid} accepted, but {what} within {self.timeout:g} s") from None
        return message[0] if len(message) else message

    @staticmethod
    def decode(codec: SensorDataCodec, payload: Element) -> Answer | None:
        """Raises PeerConfused."""
        try:
            return codec.decode_answer(payload)
        except BadRequest as error:
            raise PeerConfused(f"the hub's answer cannot be read: {error}") from None


class Inbox(MatcherBase):
    """Messages from the addresses that someone listens to; whoever listens to the same gets the same."""

    def __init__(self, client: Any) -> None:
        super().__init__(None)
        self._queues: dict[str, list[asyncio.Queue[Element]]] = {}
        client.register_handler(Callback(f"peer {id(self)}", self, self._arrived))

    @contextlib.contextmanager
    def listen(self, *senders: str) -> Iterator[asyncio.Queue[Element]]:
        queue: asyncio.Queue[Element] = asyncio.Queue()
        for sender in senders:
            self._queues.setdefault(sender, []).append(queue)
        try:
            yield queue
        finally:
            for sender in senders:
                self._queues[sender] = [each for each in self._queues[sender] if each is not queue]
                if not self._queues[sender]:
                    del self._queues[sender]

    def match(self, stanza: Any) -> bool:
        return stanza.xml.tag.endswith("}message") and stanza.xml.get("from") in self._queues

    def _arrived(self, stanza: Any) -> None:
        for queue in self._queues.get(stanza.xml.get("from"), ()):
            queue.put_nowait(stanza.xml)
