"""Events of a hub, from a client: subscribed to, and subscribed to again whenever they stop coming.

Rules of this file
* A hub keeps subscriptions in memory and sends events only to who shows it a presence. So each is renewed when the hub
  comes online (again), and when the maximum interval and a margin have passed without an event (section "Power-down and
  persistence of subscriptions").
* What is subscribed to follows what is read: the fields of each thing, each with the change that is worth a word.
  Things alike share a subscription. What comes with fields that were not known is subscribed to anew.
* The same reading is told once: a renewal asks for the newest values, in case something was missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from typing import Any
from xml.etree.ElementTree import Element

from devices.base import Value
from hub.errors import PeerError, PeerRefused, PeerSilent
from hub.services.iq import ask
from hub.services.peer import Peer
from hub.stanzas.dialects import SENSOR_DATA
from hub.stanzas.events_xmpp import Events
from hub.things.model import Answer, FieldTypes, NodeRef, Reading, ReadoutRequest
from hub.things.subscription import Condition, Subscription

MARGIN_S = 10.0  # after the maximum interval: networks are slow, and hubs too
AGAIN_S = 30.0  # until a hub that did not take a renewal is asked again, unless it shows up before
GONE = ("service-unavailable", "recipient-unavailable", "remote-server-timeout", "remote-server-not-found",
        "gone", "item-not-found", "resource-constraint", "internal-server-error")  # fmt: skip
"""Conditions with which a renewal may be refused and a later one not. A hub that has just started may not have its
things yet; `forbidden` is meant."""
SMALLEST = Decimal("0.000001")

Limits = Mapping[tuple[str, str], Decimal]
"""The change worth a word by thing and field."""


@dataclass
class Wish:
    """What of a hub is watched: `limits` where they are named, any change else; not more often than `shortest`, and at
    least every `longest`."""

    limits: Limits = field(default_factory=dict)
    shortest: dt.timedelta = dt.timedelta(seconds=1)
    longest: dt.timedelta = dt.timedelta(minutes=5)
    known: dict[NodeRef, dict[str, Decimal]] = field(default_factory=dict)

    def learn(self, answer: Answer) -> list[NodeRef]:
        """The nodes of which more is known than before."""
        changed: dict[NodeRef, None] = {}
        for trouble in answer.troubles:
            if trouble.node not in self.known:
                self.known[trouble.node] = {}
                changed[trouble.node] = None
        for reading in answer.readings:
            node = NodeRef(reading.node.node_id, reading.node.source_id, reading.node.cache_type)
            fields = self.known.setdefault(node, {})
            for found in reading.fields:
                if found.name not in fields:
                    fields[found.name] = self.limits.get((node.node_id, found.name)) or step(found.value)
                    changed[node] = None
        return list(changed)

    def check(self) -> None:
        """Raises PeerError when a thing that is there lacks a field of `limits`."""
        for thing, name in self.limits:
            fields = self.known.get(NodeRef(thing))
            if fields and name not in fields:
                raise PeerError(f"{thing} has no field {name!r}; it has {', '.join(fields)}")

    def subscriptions(self, nodes: list[NodeRef]) -> list[Subscription]:
        """Of things alike, together. Ids are the caller's to choose."""
        alike: dict[tuple[Condition, ...], list[NodeRef]] = {}
        for node in nodes:
            alike.setdefault(self._conditions(node), []).append(node)
        return [
            Subscription(
                ReadoutRequest("", tuple(group), tuple(each.name for each in conditions), FieldTypes.PRESENT),
                conditions, self.shortest, self.longest, None, True,
            )
            for conditions, group in alike.items()
        ]  # fmt: skip

    def _conditions(self, node: NodeRef) -> tuple[Condition, ...]:
        """Where fields of a thing are named, only they call for an event, and the others come with it."""
        fields = self.known[node]
        named = {name for thing, name in self.limits if thing == node.node_id} or fields.keys()
        return tuple(
            Condition(name, limit, limit) if name in named else Condition(name) for name, limit in fields.items()
        )


def step(value: Value) -> Decimal:
    """The smallest change that shows: the last decimal of a number, any change of something else."""
    if isinstance(value, Decimal):
        exponent = value.as_tuple().exponent
        return Decimal(1).scaleb(exponent) if isinstance(exponent, int) else SMALLEST
    return Decimal(1) if isinstance(value, bool | int | str) else SMALLEST


class Watch:
    """`async for answer in Watch(peer, wish).answers()`, for ever. The peer was found and offers events."""

    def __init__(self, peer: Peer, wish: Wish) -> None:
        assert peer.events is not None
        self._peer, self._wish = peer, wish
        self._codec: Events = peer.events
        self._standing: dict[str, Subscription] = {}
        self._deadlines: dict[str, float] = {}
        self._told: dict[tuple[NodeRef, frozenset[str]], Reading] = {}
        self.renewals = 0

    async def answers(self) -> AsyncGenerator[Answer, None]:
        """Raises PeerError when the hub cannot be read, or does not take the subscription at all."""
        with self._listening() as arriving:
            read = [answer async for answer in self._peer.read(partial(ReadoutRequest, types=FieldTypes.PRESENT))]
            for answer in read:
                self._wish.learn(answer)
            self._wish.check()
            for answer in read:
                yield self._news(answer)
            await self._peer.befriend(self._peer.jid.partition("/")[0])
            try:
                await self._subscribe(self._wish.subscriptions(list(self._wish.known)))
                while True:
                    async for news in self._next(arriving):
                        yield news
            finally:
                await asyncio.shield(self._unsubscribe())

    async def _next(self, arriving: asyncio.Queue[Element]) -> AsyncIterator[Answer]:
        """What the next stanza tells, or the end of someone's patience."""
        try:
            async with asyncio.timeout_at(min(self._deadlines.values(), default=None)):
                stanza = await arriving.get()
        except TimeoutError:
            now = asyncio.get_running_loop().time()
            await self._renew([id_ for id_, deadline in self._deadlines.items() if deadline <= now])
            return
        if stanza.tag.endswith("}presence"):
            if stanza.get("type") is None:
                await self._renew(list(self._standing))
            return
        for payload in stanza:
            if payload.tag.startswith(f"{{{self._codec.sensor_data}}}"):
                answer = self._peer.decode(SENSOR_DATA[self._codec.sensor_data], payload)
                if answer is not None and answer.id in self._standing:
                    self._heard(answer.id)
                    await self._subscribe_anew(self._wish.learn(answer))
                    yield self._news(answer)

    def _news(self, answer: Answer) -> Answer:
        """Without the readings that were told already."""
        fresh = []
        for reading in answer.readings:
            key = (reading.node, frozenset(each.name for each in reading.fields))
            if self._told.get(key) != reading:
                self._told[key] = reading
                fresh.append(reading)
        return replace(answer, readings=tuple(fresh))

    # ------------------------------------------------------------------ subscriptions

    async def _subscribe(self, wanted: list[Subscription]) -> None:
        self._peer.client.send_presence(pto=self._peer.jid)  # whoever does not let it see him otherwise
        for subscription in wanted:
            id_ = self._peer.new_id()
            await self._ask(id_, subscription)
            self._standing[id_] = subscription

    async def _ask(self, id_: str, subscription: Subscription) -> None:
        asked = replace(subscription, request=replace(subscription.request, id=id_))
        payload = self._codec.encode_subscribe(asked)
        await ask(self._peer.client, self._peer.jid, "set", payload, self._peer.timeout)
        self._heard(id_)

    async def _subscribe_anew(self, nodes: list[NodeRef]) -> None:
        """The hub takes these out of the subscriptions in which they were; so do we."""
        if not nodes:
            return
        for id_, old in list(self._standing.items()):
            left = tuple(node for node in old.request.nodes or () if node not in nodes)
            if not left:
                del self._standing[id_], self._deadlines[id_]
            else:
                self._standing[id_] = replace(old, request=replace(old.request, nodes=left))
        await self._subscribe(self._wish.subscriptions(nodes))

    async def _renew(self, ids: list[str]) -> None:
        self._peer.client.send_presence(pto=self._peer.jid)
        self.renewals += 1
        for id_ in ids:
            try:
                await self._ask(id_, self._standing[id_])
            except (PeerRefused, PeerSilent) as error:
                if isinstance(error, PeerRefused) and error.condition not in GONE:
                    raise
                self._deadlines[id_] = asyncio.get_running_loop().time() + AGAIN_S

    async def _unsubscribe(self) -> None:
        for id_ in self._standing:
            with contextlib.suppress(PeerError):
                payload = self._codec.encode_unsubscribe(id_)
                await ask(self._peer.client, self._peer.jid, "set", payload, min(self._peer.timeout, 2.0))

    def _heard(self, id_: str) -> None:
        longest = self._wish.longest.total_seconds()
        self._deadlines[id_] = asyncio.get_running_loop().time() + longest + max(MARGIN_S, longest / 10)

    @contextlib.contextmanager
    def _listening(self) -> Iterator[asyncio.Queue[Element]]:
        """Messages and presences of the hub."""
        with self._peer.inbox.listen(self._peer.jid) as arriving:

            def presence(stanza: Any) -> None:
                if self._standing and stanza.xml.get("from") == self._peer.jid:
                    arriving.put_nowait(stanza.xml)

            self._peer.client.add_event_handler("presence", presence)
            try:
                yield arriving
            finally:
                self._peer.client.del_event_handler("presence", presence)
