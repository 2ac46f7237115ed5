"""One client and the stream that is opened to the server for it.

Rules of this file
* What may happen when is in `life`; bytes and languages are in `wire` and `sides`. Two tasks pull: one from the client,
  one from the server; neither takes more before what it has is on its way (back-pressure in both directions).
* The gateway never speaks for the server, nor for the client: it answers the set-up of EXI and TLS, and passes on the
  rest. A stanza that the client's schemas have no form for is dropped (XEP-0322, "Alternative Transport Binding").
* A client that is lost, or erred, leaves the server without a closing tag, so that XEP-0198 can resume. A server that
  is lost ends its client's stream with `remote-connection-failed`.
* Servers ask for an acknowledgement after every stanza (XEP-0198), which would be a tenth of what a node sends and
  hears. Their requests wait up to `ack_delay` for each other and go to an EXI client as one; the answer is its own.
* Set-up and compression are offered after login and belong to it: before, nothing of it costs us work.
* Once EXI is spoken on the ordinary port, it stays as agreed: another `<compress/>` is refused as setup-failed. On the
  binary port every agreement opens the stream anew, with us and not with the server (`hub.session.exi_binding`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from typing import Final
from xml.etree.ElementTree import Element

from hub.errors import PeerConfused
from hub.gateway.domains import Served
from hub.gateway.features import passed_on
from hub.gateway.figures import Flow
from hub.gateway.life import TALKING, TIME_LIMITS, TRANSITIONS, Event, State
from hub.gateway.patience import Patience
from hub.gateway.shared import Agreed, Negotiates, Port, Shared
from hub.gateway.sides import BindingSide, ExiSide, Side, Unsayable, XmlSide
from hub.gateway.upstream import reach
from hub.gateway.wire import Lost, Wire
from hub.gateway.xmpp import (
    ACK_REQUEST,
    FEATURES,
    LANG,
    STARTTLS,
    STREAM,
    SUCCESS,
    SUCCESS2,
    TLS,
    Closed,
    Item,
    Opened,
    Space,
    Stanza,
    StreamFault,
    error_element,
    tls_features,
)
from hub.session import exi_setup

log = logging.getLogger("hub.gateway")

NEGOTIATION = frozenset({
    exi_setup.SETUP, exi_setup.UPLOAD_SCHEMA, exi_setup.DOWNLOAD_SCHEMA, exi_setup.COMPRESS_REQUEST
})  # fmt: skip


class Connection:
    def __init__(self, shared: Shared, client: Wire, port: Port = Port.ORDINARY) -> None:
        self.state = _FIRST[port]
        self.client = client
        self.kind = "xml" if port is Port.ORDINARY else "exi"
        self._shared = shared
        self._limits = shared.limits
        self._figures = shared.figures
        self._negotiator: Negotiates | None = None
        self._logged_in = False
        self._server: Wire | None = None
        self._server_task: asyncio.Task[None] | None = None
        self._agreed: Agreed | None = None
        limits = self._limits
        self._side: Side
        if port is Port.ORDINARY:
            self._side = XmlSide(limits.xml(limits.stanza_size_before_login))
        else:
            assert shared.default_grammars is not None
            self._side = BindingSide(shared.default_grammars, limits.exi(limits.stanza_size_before_login))
        self._server_side = XmlSide(limits.xml(limits.server_stanza_size), whole=port is not Port.ORDINARY)
        self._header_due = True  # we owe the client the opening of a stream
        self._header: Opened | None = None  # the server's last
        self._features: Element | None = None  # the server's last, as the client may know them
        self._timer: asyncio.TimerHandle | None = None
        self._switched: asyncio.Event | None = None
        self._told = False
        self._asking: asyncio.TimerHandle | None = None  # a request for an acknowledgement waits
        self._unclaimed = 0  # bytes from the client that belong to no item yet
        self._patience = Patience(limits.stanza_timeout)

    async def run(self) -> None:
        """From accepted to closed; never raises but CancelledError."""
        self._figures.open[self.kind] += 1
        self._figures.opened += 1
        self._watch()
        try:
            if self.state is State.HANDSHAKE:
                await self.client.start_tls(self._shared.domains.first.accepting)
                self._go(Event.SECURED)
            await self._from_client()
        except Lost as lost:
            log.debug("%s: %s", self.client.peer, lost)
        except PeerConfused as error:
            self.fail(error if isinstance(error, StreamFault) else StreamFault("policy-violation", str(error)))
        except Exception:
            log.exception("%s: a connection ended by an error of ours", self.client.peer)
            self.fail(StreamFault("internal-server-error"))
        finally:
            self._finish()
            if self._server_task is not None:
                await asyncio.gather(self._server_task, return_exceptions=True)
            self._figures.open[self.kind] -= 1

    def fail(self, fault: StreamFault) -> None:
        """Tell the client why, and end."""
        if self._over:
            return
        self._figures.faults[fault.condition] += 1
        log.info("%s: %s", self.client.peer, fault)
        if self.state is not State.HANDSHAKE:
            self._say_if_possible(self._own_header() if self._header_due else None)
            if not self._say_if_possible(Stanza(error_element(fault))):  # full tables may still take a shorter one
                self._say_if_possible(Stanza(error_element(StreamFault(fault.condition))))
            self._say_if_possible(Closed())
        self._finish()

    @property
    def _over(self) -> bool:
        return self.state is State.OVER

    def _finish(self) -> None:
        self._go(Event.OVER)
        if self._asking is not None:
            self._asking.cancel()
        if self._switched is not None:
            self._switched.set()
        self.client.close()
        if self._server is not None:
            self._server.close()

    # ------------------------------------------------------------------ from the client

    async def _from_client(self) -> None:
        while not self._over:
            data = await self._more()
            if not data:
                return
            self._figures.from_clients[self.kind] += len(data)
            self._unclaimed += len(data)
            side = self._side
            items = side.feed(data)
            if isinstance(side, BindingSide) and side.wanted:
                items += await self._recall(side)
            if items:
                self._patience.restore()
            for index, item in enumerate(items):
                if side is not self._side and not isinstance(item, Space):
                    raise StreamFault("policy-violation", "nothing may come before the answer to <compress/>")
                if self.state is State.SECURING and (len(items) > index + 1 or side.pending):
                    raise StreamFault("policy-violation", "nothing may come in the clear behind <starttls/>")
                share = self._unclaimed // (len(items) - index)
                self._unclaimed -= share
                await self._on_client(item, share)
                if self._over:
                    return
            if side.fault is not None:
                raise side.fault
            if self._server is not None and self._server.full:
                await self._server.drain(self._limits.stall_timeout)

    async def _more(self) -> bytes:
        coming = self.client.receive(self._side.piece)
        return await (self._patience.wait(coming) if self._side.pending else coming)

    async def _on_client(self, item: Item, size: int) -> None:
        if isinstance(item, Opened):
            await self._client_opens(item)
        elif isinstance(item, Stanza):
            await self._client_sends(item, size)
        elif isinstance(item, Closed):
            await self._client_closes(item)
        else:
            self._to_server(item)

    async def _client_opens(self, item: Opened) -> None:
        state = self.state
        if state is State.OPENING:
            served = self._served(item)
            self._go(Event.HEADER)
            self._open_to_client(self._own_header(served.domain.name))
            self._say(Stanza(tls_features()))
        elif state is State.ARRIVING:
            self._header_due = True
            await self._reach(item)
        elif state is State.SWITCHING:
            assert self._header is not None and self._switched is not None
            self._open_to_client(Opened(self._header.attributes, self._header.prefixes))
            if self._features is not None:
                self._say(Stanza(self._features))
            self._go(Event.HEADER)
            self._switched.set()
        else:
            self._go(Event.HEADER)
            self._header_due = True
            self._to_server(item)

    async def _client_sends(self, item: Stanza, size: int) -> None:
        tag = item.element.tag
        if tag == STARTTLS and self.state is State.SECURING:
            await self._secure()
        elif self.state not in TALKING:
            raise StreamFault("not-authorized", "this is not the time for it")
        elif tag in NEGOTIATION:
            await self._negotiate(item.element)
        elif tag == STARTTLS:
            self._say(Stanza(Element(f"{{{TLS}}}failure")))  # RFC 6120 section 5.4.2.2
            self._say(Closed())
            self._finish()
        elif tag == STREAM:
            raise StreamFault("invalid-xml", "a stream inside a stream")
        else:
            self._figures.stanzas += 1
            said = self._to_server(item)
            if not item.raw:
                self._translated(self._figures.up, item.element, size, said)

    async def _client_closes(self, item: Closed) -> None:
        if (self.state, Event.END) not in TRANSITIONS or self._server_task is None:
            self._say(Closed())
            self._finish()
            return
        self._go(Event.END)
        self._to_server(item)
        await asyncio.gather(self._server_task, return_exceptions=True)
        self._finish()

    async def _secure(self) -> None:
        self._say(Stanza(Element(f"{{{TLS}}}proceed")))
        self._go(Event.STARTTLS)
        await self.client.start_tls(self._chosen.accepting)
        self._side.restart()
        self._header_due = True
        self._go(Event.SECURED)

    async def _reach(self, item: Opened) -> None:
        """The client's own stream, opened again after TLS, is the one that the server sees."""
        served = self._served(item)
        self._go(Event.HEADER)
        try:
            self._server = await reach(served, self._limits)
        except Lost as lost:
            log.warning("the server of %s: %s", served.domain.name, lost)
            raise StreamFault("remote-connection-failed", "the server cannot be reached") from None
        if self._over:
            self._server.abort()
            return
        self._to_server(item)
        self._server_task = asyncio.create_task(self._from_server(self._server))

    def _served(self, item: Opened) -> Served:
        served = self._shared.domains.find(item.attributes.get("to", ""))
        if served is None:
            raise StreamFault("host-unknown", "this gateway does not stand for that domain")
        self._chosen = served
        return served

    # ------------------------------------------------------------------ the set-up of EXI

    async def _recall(self, side: BindingSide) -> list[Item]:
        """A stream that begins with an earlier agreement (XEP-0322, "Shortcut Setup for Alternative Transport
        Binding"). A client whose agreement is forgotten gets a streamEnd in the default encoding."""
        found = await self._shared.recall(side.wanted) if self._shared.recall is not None else None
        if self._over:
            return []
        if found is None:
            self._header_due = False
            self._say(Closed())
            self._finish()
            return []
        self._agreed = found
        return side.use(found.grammars, found.settings)

    async def _negotiate(self, element: Element) -> None:
        compress = element.tag == exi_setup.COMPRESS_REQUEST
        if not self._logged_in or (compress and self.kind == "exi"):
            if compress:
                self._say(Stanza(exi_setup.failure_element("setup-failed")))
            elif element.tag == exi_setup.SETUP:
                self._say(Stanza(exi_setup.response_element(exi_setup.Response(False))))
            else:
                raise StreamFault("not-authorized", "schemas are taken after login")
            return
        if compress and not exi_setup.wants_exi(element):
            self._say(Stanza(exi_setup.failure_element("unsupported-method")))
            return
        if self._negotiator is None:
            self._negotiator = self._shared.negotiator()
        answer = await self._negotiator.answer(element)
        if answer is not None and self.state in TALKING:
            self._say(Stanza(answer))
            if answer.tag == exi_setup.COMPRESSED:
                self._switch(self._negotiator.agreement)
            elif isinstance(self._side, BindingSide) and answer.get("agreement") == "true":
                self._switch(self._negotiator.agreed)

    def _switch(self, agreed: Agreed | None) -> None:
        """What was said last was in the old language."""
        assert agreed is not None
        if self._side.pending:
            raise StreamFault("policy-violation", "nothing may come before the answer to a set-up")
        self._go(Event.COMPRESSED)
        self._agreed = agreed
        self._switched = asyncio.Event()
        self._header_due = True
        if isinstance(self._side, BindingSide):
            self._side.use(agreed.grammars, agreed.settings)
            self._side.restart()
            return
        self._side = ExiSide(agreed.grammars, agreed.settings)
        self._server_side.reader.whole = True
        if self._features is not None:
            passed_on(self._features, ())
        self._become("exi")

    def _become(self, kind: str) -> None:
        self._figures.open[self.kind] -= 1
        self.kind = kind
        self._figures.open[kind] += 1

    # ------------------------------------------------------------------ from the server

    async def _from_server(self, server: Wire) -> None:
        try:
            while data := await server.receive():
                self._figures.from_servers += len(data)
                for item in self._server_side.feed(data):
                    if self.state is State.SWITCHING and self._switched is not None:
                        await self._switched.wait()
                    if self._over:
                        return
                    self._on_server(item)
                if self._server_side.fault is not None:
                    raise Lost(f"it sends no XMPP: {self._server_side.fault}")
                await self.client.drain(self._limits.stall_timeout)
            raise Lost(server.reason)
        except Lost as lost:
            if self.state is State.ENDING:
                with contextlib.suppress(Unsayable):
                    self._say(Closed())
            else:
                self.fail(StreamFault("remote-connection-failed", f"the server is lost: {lost}"))
        except StreamFault as fault:
            self.fail(fault)
        except Exception:
            log.exception("%s: a connection ended by an error of ours", self.client.peer)
            self.fail(StreamFault("internal-server-error"))
        self._finish()

    def _on_server(self, item: Item) -> None:
        if isinstance(item, Opened):
            if self.state is State.REACHING:
                self._go(Event.REACHED)
            self._header = item
            self._open_to_client(item if self.kind == "xml" else Opened(item.attributes, item.prefixes))
        elif isinstance(item, Stanza):
            self._server_sends(item)
        elif isinstance(item, Closed):
            self._say(item)
            if self._server is not None and self.state is not State.ENDING:
                self._server.write(self._server_side.say(Closed()))
            self._finish()
        else:
            self._say(item)

    def _server_sends(self, item: Stanza) -> None:
        element = item.element
        if element.tag == FEATURES:
            methods: tuple[str, ...] = ()
            if self._logged_in and self.kind == "xml":
                methods = ("exi", f"exi:{self._shared.exi_port}") if self._shared.exi_port else ("exi",)
            changed = passed_on(element, methods)
            self._features = element
            item = Stanza(element, b"" if changed else item.raw)
        if element.tag == ACK_REQUEST and self.kind == "exi" and self._limits.ack_delay:
            if self._asking is None:
                self._asking = asyncio.get_running_loop().call_later(self._limits.ack_delay, self._ask, item)
            return
        self._pass_to_client(item)
        if element.tag in (SUCCESS, SUCCESS2) and self.state is State.LOGIN:
            self._log_in(restart=element.tag == SUCCESS)

    def _ask(self, item: Stanza) -> None:
        self._asking = None
        if not self._over:
            self._pass_to_client(item)

    def _pass_to_client(self, item: Stanza) -> None:
        self._figures.stanzas += 1
        try:
            said = self._say(item)
        except Unsayable as error:
            self._drop(error)
            return
        if self.kind != "xml":
            self._translated(self._figures.down, item.element, said, len(item.raw))

    def _log_in(self, restart: bool) -> None:
        """RFC 6120 section 6.4.6: both streams begin anew; XEP-0388 has no such thing."""
        self._logged_in = True
        self._go(Event.LOGIN)
        if isinstance(self._side, XmlSide):
            self._side.reader.bounds = self._limits.xml(self._limits.stanza_size)
        elif isinstance(self._side, BindingSide):
            self._side.allow(self._limits.exi(self._limits.stanza_size))
        if restart:
            self._server_side.restart()
            self._side.restart()

    def _drop(self, error: Exception) -> None:
        self._figures.dropped += 1
        if not self._told:
            self._told = True
            log.warning("%s: a stanza for it was dropped, its schemas have no form for it (said once): %s",
                        self.client.peer, error)  # fmt: skip

    def _translated(self, flow: Flow, element: Element, exi: int, xml: int) -> None:
        flow.count(exi, xml)
        if self._shared.watch is not None:
            self._shared.watch(element, exi, xml)

    # ------------------------------------------------------------------ saying

    def _own_header(self, domain: str | None = None) -> Opened:
        name = domain or self._shared.domains.first.domain.name
        return Opened({"from": name, "id": secrets.token_hex(8), "version": "1.0", LANG: "en"})

    def _open_to_client(self, item: Opened) -> None:
        self._header_due = False
        self._say(item)

    def _say(self, item: Item) -> int:
        """To the client; the bytes it took. Raises Unsayable."""
        data = self._side.say(item)
        self.client.write(data)
        self._figures.to_clients[self.kind] += len(data)
        return len(data)

    def _say_if_possible(self, item: Item | None) -> bool:
        try:
            return item is None or self._say(item) >= 0
        except (Unsayable, PeerConfused):
            return False

    def _to_server(self, item: Item) -> int:
        """To the server; the bytes it took. Raises PeerConfused for what XML has no form for."""
        if self._server is None:
            return 0
        try:
            data = self._server_side.say(item)
        except PeerConfused as error:
            raise StreamFault("invalid-xml", str(error)) from None
        self._server.write(data)
        self._figures.to_servers += len(data)
        return len(data)

    # ------------------------------------------------------------------ states and their time

    def _go(self, event: Event) -> None:
        after = TRANSITIONS.get((self.state, event))
        if after is None:
            raise StreamFault("policy-violation", f"{event.value} has no place in {self.state.value}")
        if after is not self.state:
            self.state = after
            self._watch()

    def _watch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        limit = TIME_LIMITS.get(self.state)
        if limit is not None:
            self._timer = asyncio.get_running_loop().call_later(getattr(self._limits, limit), self._too_late)

    def _too_late(self) -> None:
        if self.state is State.ENDING:
            self._finish()
        else:
            condition = _TOO_LATE.get(self.state, "connection-timeout")
            self.fail(StreamFault(condition, f"{self.state.value} took too long"))


_FIRST: Final = {
    Port.ORDINARY: State.OPENING,
    Port.BINARY: State.HANDSHAKE,
    Port.BINARY_IN_THE_CLEAR: State.ARRIVING,
}
_TOO_LATE: Final = {State.LOGIN: "policy-violation", State.REACHING: "remote-connection-failed"}
