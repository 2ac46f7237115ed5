"""One EXI stream in both directions, sans-IO: elements become bodies, and bytes, cut anywhere, become elements.

Rules of this file
* It starts where the set-up ended: options and grammars are agreed on, nothing of them is on the wire. Each element
  is one body filled up to a byte (XEP-0322, "Transmission of EXI bodies and Session-wide Buffers").
* What we cannot encode is our own error (EncodeError) and leaves the stream as it was; what we cannot decode is the
  peer's (PeerConfused) and ends it.
* White space between stanzas has no form here: a keep-alive is the business of XEP-0198, XEP-0199 or TCP.
"""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree.ElementTree import Element

from hub import exi
from hub.errors import PeerConfused
from hub.session.exi_setup import Settings


@dataclass
class Traffic:
    """Bytes and elements of one direction."""

    elements: int = 0
    size: int = 0


class ExiStream:
    """`settings`: what was agreed on, with our own limits for what the peer may send in its options."""

    def __init__(self, grammars: exi.Grammars, settings: Settings) -> None:
        self._encoder = exi.Encoder(grammars, settings.options, session_tables=settings.session_wide)
        self._decoder = exi.Decoder(grammars, settings.options, session_tables=settings.session_wide)
        self.sent = Traffic()
        self.received = Traffic()

    @property
    def pending(self) -> bool:
        """Whether part of an element has come."""
        return self._decoder.pending

    def encode(self, element: Element) -> bytes:
        """One element as it goes over the wire. Raises EncodeError; then nothing has changed."""
        body = self._encoder.encode(element)
        self.sent.elements += 1
        self.sent.size += len(body)
        return body

    def feed(self, data: bytes) -> list[Element]:
        """The elements that these bytes complete. Raises PeerConfused; then the stream is over."""
        self.received.size += len(data)
        try:
            found = self._decoder.feed(data)
        except exi.DecodeError as error:
            raise PeerConfused(f"what came is no EXI of this stream: {error}") from error
        self.received.elements += len(found)
        return found
