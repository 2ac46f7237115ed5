"""Bytes of one XMPP client, element by element, as they stand inside TLS: written ones and received ones."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element

from hub.session.client import Client


class Counting:
    """A transport that counts what is written to it; everything else is the transport's own."""

    def __init__(self, transport: Any, meter: Meter) -> None:
        self._transport = transport
        self._meter = meter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        self._meter.written += data
        self._transport.write(data)


class Meter:
    """Hooks itself into a client before it connects. `sent` and `received` hold the root of each element and its bytes
    on the wire, in the order of the wire."""

    def __init__(self, client: Client) -> None:
        self.sent: list[tuple[Element, bytes]] = []
        self.received: list[tuple[Element, bytes]] = []
        self.written = bytearray()
        self.read = bytearray()
        self._client: Any = client
        self._made, self._fed, self._event = client.connection_made, client.data_received, client._spawn_event
        self._element, self._raw = client.send_element, client.send_raw
        self._read_before = 0
        hooks: dict[str, Any] = {
            "connection_made": self._connection_made, "data_received": self._data_received,
            "_spawn_event": self._spawn_event, "send_element": self._send_element, "send_raw": self._send_raw,
        }  # fmt: skip
        for name, hook in hooks.items():
            setattr(client, name, hook)

    def clear(self) -> None:
        """Begin anew: what was is forgotten."""
        self.sent.clear()
        self.received.clear()
        self.written.clear()
        self.read.clear()
        self._read_before = 0

    def _connection_made(self, transport: Any, *args: Any, **more: Any) -> None:
        if transport.get_extra_info("ssl_object") is not None:
            self.clear()  # TLS is up: what went before is not ours to shrink
            transport = Counting(transport, self)
        self._made(transport, *args, **more)

    def _data_received(self, data: bytes) -> None:
        for byte in bytes(data):  # one by one, so that it is known which byte completes an element
            self.read.append(byte)
            self._fed(bytes((byte,)))

    def _send_element(self, element: Element) -> None:
        before, known = len(self.written), len(self.sent)
        self._element(element)
        if len(self.sent) == known:  # or it went through `send_raw`, which has noted it
            self.sent.append((element, bytes(self.written[before:])))

    def _send_raw(self, data: str | bytes) -> None:
        before, known = len(self.written), len(self.sent)
        self._raw(data)
        text = data.decode() if isinstance(data, bytes) else data
        if len(self.sent) == known and text.lstrip().startswith("<") and "stream:stream" not in text:
            self.sent.append((ET.fromstring(text), bytes(self.written[before:])))

    def _spawn_event(self, element: Element) -> None:
        self.received.append((element, bytes(self.read[self._read_before :])))
        self._read_before = len(self.read)
        self._event(element)

