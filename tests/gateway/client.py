"""An XMPP client that speaks EXI, scripted: the tests' own XML client (`tests.e2e.raw`) with a set-up behind login.

It shares the codec and the values of the set-up with the product, and nothing of the gateway's or the node's tables.
"""

from __future__ import annotations

import asyncio
import functools
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring, tostring

from hub import exi
from hub.gateway.product import default_grammars
from hub.gateway.xsdfile import located, wrapper
from hub.session import exi_setup
from hub.session.exi_binding import BindingStream
from hub.session.exi_setup import Response, SchemaFile, Settings, Setup, Upload
from hub.session.exi_stream import ExiStream
from tests.e2e.raw import STREAM, TIMEOUT_S, TLS, RawClient

SESSION_WIDE = Settings(exi.Options(value_max_length=64, value_partition_capacity=100), session_wide=True)


@functools.cache
def _compiled(files: frozenset[tuple[str, bytes]]) -> exi.Grammars:
    locations = {namespace: f"{number}.xsd" for number, (namespace, _) in enumerate(sorted(files))}
    with tempfile.TemporaryDirectory() as name:
        for namespace, data in files:
            (Path(name) / locations[namespace]).write_bytes(located(data, locations))
        (Path(name) / "set.xsd").write_bytes(wrapper(locations))
        return exi.load_schemas([Path(name) / "set.xsd"])


def grammars_of(files: Mapping[SchemaFile, bytes]) -> exi.Grammars:
    """The grammars of a set, as both ends derive them from the files."""
    return _compiled(frozenset((schema.namespace, data) for schema, data in files.items()))


def elements(xml: str) -> list[Element]:
    """Stanzas of jabber:client, as they would stand in a stream."""
    return list(fromstring(f"<s xmlns='jabber:client'>{xml}</s>"))


class ExiClient(RawClient):
    """`async with ExiClient(host, port, ca_file, "owner@localhost", password) as owner:` is bound, in EXI. `files`: the
    set to propose, uploaded where it is missing; `known`: a configuration to name instead. `grammars`: of the set,
    where they are not derived from `files`."""

    def __init__(
        self, host: str, port: int, ca_file: Path, bare: str, password: str, resource: str = "exi", *,
        settings: Settings = SESSION_WIDE, files: Mapping[SchemaFile, bytes] | None = None, known: str = "",
        grammars: exi.Grammars | None = None,
    ) -> None:  # fmt: skip
        super().__init__(host, port, ca_file, bare, password, resource)
        self.settings = settings
        self.files = files or {}
        self.configuration_id = known
        self.stream: ExiStream | None = None
        self.features: Element | None = None
        self.started: Element | None = None
        """The gateway's streamStart."""
        self.ended = False
        self._grammars = grammars
        self._decoded: list[Element] = []

    async def __aenter__(self) -> ExiClient:
        async with asyncio.timeout(TIMEOUT_S):
            await self.log_in()
            await self.set_up()
            await self.compress()
            await self.open()
            await self.bind()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self.stream is not None and not self._writer.is_closing():
            self.send(Element(exi_setup.STREAM_END))
        await self.disconnect()

    # ------------------------------------------------------------------ step by step

    async def log_in(self) -> Element:
        """Connected, secured, authenticated, the stream opened again; the features."""
        self._reader, self._writer = await asyncio.open_connection(*self._where)
        await self._open_stream()
        self.write(f"<starttls xmlns='{TLS}'/>")
        assert (await self._element()).tag == f"{{{TLS}}}proceed"
        await self._writer.start_tls(self._context, server_hostname=self._domain)
        await self._open_stream()
        await self._authenticate()
        self.features = await self._open_stream()
        return self.features

    async def set_up(self) -> Response:
        """Until there is an agreement: by name, then by a proposal, then with what was missing."""
        if self.configuration_id:
            response = await self.propose(Setup(configuration_id=self.configuration_id))
            if response.agreement:
                return response
        proposal = Setup(self.settings, tuple(self.files))
        response = await self.propose(proposal)
        if response.missing:
            for schema in response.missing:
                self.send(exi_setup.upload_element(Upload(self.files[schema])))
            response = await self.propose(proposal)
        assert response.agreement, response
        self.configuration_id = response.configuration_id
        return response

    async def propose(self, setup: Setup) -> Response:
        self.send(exi_setup.setup_element(setup))
        return exi_setup.read_response(await self.next())

    async def compress(self) -> None:
        self.send(exi_setup.compress_element())
        answer = await self.next()
        assert answer.tag == exi_setup.COMPRESSED, answer.tag
        self.stream = ExiStream(self._grammars or grammars_of(self.files), self.settings)

    async def open(self) -> Element:
        """The stream, in EXI; the features."""
        self.send(exi_setup.stream_start({"to": self._domain, "version": "1.0"}))
        self.started = await self.next()
        assert self.started.tag == exi_setup.STREAM_START, self.started.tag
        self.features = await self.next()
        assert self.features.tag == f"{STREAM}features", self.features.tag
        return self.features

    async def bind(self) -> None:
        self._task = asyncio.create_task(self._read())
        resource = f"<resource>{self.jid.partition('/')[2]}</resource>"
        answer = await self.ask(None, "set", f"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>{resource}</bind>")
        assert answer.get("type") == "result"

    async def disconnect(self) -> None:
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)

    # ------------------------------------------------------------------ what goes and what comes

    def write(self, xml: str) -> None:
        if self.stream is None:
            super().write(xml)
            return
        for element in elements(xml):
            self.send(element)

    def send(self, element: Element) -> None:
        if self.stream is None:
            super().write(_text(element))
        else:
            self.send_bytes(self.stream.encode(element))

    def send_bytes(self, data: bytes) -> None:
        self._writer.write(data)

    async def next(self) -> Element:
        """The next element, whichever it is. Raises ConnectionError at the end."""
        return await self._element()

    async def rest(self) -> list[Element]:
        """Everything until the connection is closed."""
        found = []
        async with asyncio.timeout(TIMEOUT_S):
            try:
                while True:
                    found.append(await self._element())
            except ConnectionError:
                return found

    async def _element(self) -> Element:
        if self.stream is None:
            return await super()._element()
        while not self._decoded:
            data = await self._reader.read(65536)
            if not data:
                self.ended = True
                raise ConnectionError("the gateway closed the connection")
            self._decoded = self.stream.feed(data)
        return self._decoded.pop(0)


class BinaryClient(ExiClient):
    """The same on the binary port: EXI from its first byte, login included. `propose` False: stay with the default."""

    def __init__(self, *arguments: Any, clear: bool = False, propose: bool = True, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.binding = BindingStream(default_grammars())
        self._clear = clear
        self._propose = propose

    async def __aenter__(self) -> BinaryClient:
        async with asyncio.timeout(TIMEOUT_S):
            await self.connect()
            if self.configuration_id:
                self.binding.use(self._grammars or grammars_of(self.files), self.settings, self.configuration_id)
            await self.open()
            await self._authenticate()
            self.binding.restart()
            await self.open()
            if self._propose and not self.configuration_id:
                await self.set_up()
                self.binding.use(self._grammars or grammars_of(self.files), self.settings)
                self.binding.restart()
                await self.open()
            await self.bind()
        return self

    async def connect(self) -> None:
        tls = None if self._clear else self._context
        host = None if self._clear else self._domain
        self._reader, self._writer = await asyncio.open_connection(*self._where, ssl=tls, server_hostname=host)
        self.stream = self.binding  # type: ignore[assignment]  # the same methods

    async def _element(self) -> Element:
        while not self._decoded:
            data = await self._reader.read(65536)
            if not data:
                raise ConnectionError("the gateway closed the connection")
            self._decoded = self.binding.feed(data)
            if self.binding.wanted:
                self._decoded += self.binding.confirm()
        return self._decoded.pop(0)


def _text(element: Element) -> str:
    return tostring(element, encoding="unicode")
