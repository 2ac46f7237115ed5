"""The one handler on the stream: it finds the service for a stanza, and turns every error into the right answer.

Rules of this file
* What a service answers is a table, (stanza, type, element) → method; the services themselves never touch the stream.
* Every request gets exactly one answer, whatever happens while it is being made; nothing a peer sends ends the loop.
* What arrives without a sender is refused and logged: nobody vouches for it. An answer nobody waits for is dropped.
* A component answers for its own address and for no other of its domain, and says who it is (XEP-0114 section 3).
* A message is served at once or not at all: servers keep messages while a node is away, and nobody expects the heater
  to go on because of what was said last week. IQs are kept only for a resumption, and have no room to say so.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol
from xml.etree.ElementTree import Element

from slixmpp.basexmpp import BaseXMPP
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher.base import MatcherBase

from hub.errors import Forbidden, HubError, Overload, RequestError
from hub.stanzas.control_xmpp import Control
from hub.stanzas.delay import refuse_late
from hub.stanzas.errors import CLIENT, encode_error

log = logging.getLogger(__name__)

MAX_BUSY = 200
"""Requests in hand at once; the next is told to wait. A node serves people and panels, not crowds; a service that
serves crowds says how many."""

Answer = Callable[[str, Element], Awaitable[Element | None]]
"""Gets the caller's full JID and the payload; returns the payload of the result, None for an empty one."""


@dataclass(frozen=True)
class Route:
    """What a service answers. `stanza` is iq or message; a message gets no answer. `control` names the dialect in
    which errors of single parameters are written. `keeps_log`: the service says itself what it refuses. `whole`: the
    service wants the stanza and not the child that called for it."""

    stanza: str
    types: tuple[str, ...]
    tag: str
    answer: Answer
    control: Control | None = None
    keeps_log: bool = False
    whole: bool = False


class Service(Protocol):
    def routes(self) -> Iterable[Route]: ...
    def features(self) -> Iterable[str]: ...


class Router(MatcherBase):
    """Also the matcher: a stanza is ours when the tag of a child is in the table."""

    def __init__(self, client: BaseXMPP, busy: int | None = None) -> None:
        super().__init__(None)
        self._busy = busy
        self._address = client.boundjid.full if client.is_component else ""
        self._routes: dict[tuple[str, str], Route] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.send: Callable[[Element], None] = lambda _: None
        client.register_handler(Callback("hub", self, self._handle))

    def add(self, service: Service) -> None:
        for route in service.routes():
            self._routes[route.stanza, route.tag] = route

    def match(self, stanza: Any) -> bool:
        return self._find(stanza.xml) is not None

    def _find(self, xml: Element) -> tuple[Route, Element] | None:
        kind = xml.tag.rpartition("}")[2]
        if kind not in ("iq", "message") or (self._address and xml.get("to") != self._address):
            return None
        for child in xml:
            route = self._routes.get((kind, child.tag))
            if route is not None and xml.get("type", "normal" if kind == "message" else "") in route.types:
                return route, child
        return None

    def _handle(self, stanza: Any) -> None:
        found = self._find(stanza.xml)
        sender = stanza.xml.get("from")
        if found is None:
            return
        if not sender:  # only our own server may leave `from` out, and it has nothing to ask of a thing
            log.warning("%s without an address it comes from is refused", found[1].tag)
            if found[0].stanza == "iq" and not self._address:  # a component's answer has to name somebody
                nobody = Forbidden("A request has to say whom it comes from.")
                self.send(_reply(stanza.xml, None, None, nobody, found[0].control))
            return
        try:
            refuse_late(stanza.xml, dt.datetime.now(dt.UTC))
        except RequestError as error:
            log.warning("%s from %s dropped: %s", found[1].tag, sender, error)
            return
        too_many = len(self._tasks) >= (self._busy or MAX_BUSY)  # decided on arrival, so that who came first is served
        task = asyncio.create_task(self._serve(*found, stanza.xml, sender, too_many))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, route: Route, payload: Element, stanza: Element, sender: str, too_many: bool) -> None:
        result: Element | None = None
        failure: HubError | None = None
        try:
            if too_many:
                raise Overload("Too many requests at once; try again in a moment.")
            result = await route.answer(sender, stanza if route.whole else payload)
        except HubError as error:
            failure = error
            if not route.keeps_log:
                name = payload.tag.rpartition("}")[2]
                log.info("%s from %s refused: %s: %s", name, sender, type(error).__name__, error)
        except Exception:
            log.exception("a bug: %s from %s could not be answered", payload.tag, sender)
            failure = HubError("This hub could not carry out the request; its log says why.")
        if route.stanza == "iq":
            reply = _reply(stanza, sender, result, failure, route.control)
            if self._address:
                reply.set("from", self._address)
            self.send(reply)


def _reply(
    stanza: Element, sender: str | None, result: Element | None, failure: HubError | None, control: Control | None
) -> Element:
    """`sender` None: to our own server."""
    reply = Element(f"{{{CLIENT}}}iq", id=stanza.get("id", ""), type="error" if failure else "result")
    if sender is not None:
        reply.set("to", sender)
    if failure is not None:
        reply.append(encode_error(failure, control))
    elif result is not None:
        reply.append(result)
    return reply
