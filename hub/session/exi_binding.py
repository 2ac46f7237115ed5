"""The binary port (XEP-0322 section "Alternative Transport Binding"): EXI from the first byte on, for either end.

Rules of this file
* Sans-IO, and the same for client and server: one object for each end of a connection.
* A stream opens with `$EXI`, an EXI header and a streamStart right behind it, in both directions and each time it opens
  anew: at the beginning, after SASL's success (RFC 6120 section 6.4.6), and after a setupResponse that agrees. The text
  shows the cookie at the beginning only and says of the later ones that they "should have EXI header"; one rule for
  all leaves nothing to guess. A header without cookie is understood, as the text only recommends one.
* A header without an options document goes on with what this connection has agreed on, or with the default set; one
  with the schemaId `c:ID` asks for, or confirms, the configuration ID. Its other options say nothing (section "Shortcut
  Setup": they SHOULD NOT be there). Every other schemaId is refused.
* The default options are those of section "Default Payload Encoding Options", with which the EXI Profile's parameters
  come: nothing is learned. Tables live for one body (sessionWideBuffers is false).
"""

from __future__ import annotations

from typing import Final
from xml.etree.ElementTree import Element

from hub import exi
from hub.errors import PeerConfused
from hub.exi.opening import Opening, begin, encode_opening, read_opening
from hub.session.exi_setup import Settings
from hub.session.exi_stream import Traffic

DEFAULT_SCHEMA_ID: Final = "urn:xmpp:exi:default"
SHORTCUT: Final = "c:"
DEFAULT_OPTIONS: Final = exi.Options(
    strict=True,
    value_max_length=64,
    value_partition_capacity=64,
    local_value_partitions=False,
    max_builtin_element_grammars=0,
    max_builtin_productions=0,
)
MAX_HEADER: Final = 2_000  # bytes


class BindingStream:
    """`grammars`: of the default schema. `limits`: of what the peer may send."""

    def __init__(self, grammars: exi.Grammars, limits: exi.Limits | None = None) -> None:
        self.settings = Settings(DEFAULT_OPTIONS.with_(limits=limits or exi.Limits()))
        self.grammars = grammars
        self.wanted = ""
        """The configuration that the peer's header asks for: `configure` or `refuse` it; nothing is read before."""
        self.confirmed = ""
        """The configuration that the peer's last header named."""
        self.sent = Traffic()
        self.received = Traffic()
        self._limits = self.settings.options.limits
        self._schema_id: str | None = None  # what our next header says
        self._data = b""
        self._opening: Opening | None = None
        self._first_heard = False  # the element behind the header
        self.restart()

    def restart(self) -> None:
        """Both directions open anew, with what was agreed on so far."""
        self._encoder: exi.Encoder | None = None
        self._decoder: exi.Decoder | None = None

    def use(self, grammars: exi.Grammars, settings: Settings, configuration_id: str = "") -> None:
        """From the next opening on; with `configuration_id` our next header names it."""
        self.grammars, self.settings = grammars, settings
        self._schema_id = SHORTCUT + configuration_id if configuration_id else None

    # ------------------------------------------------------------------ to the peer

    def encode(self, element: Element) -> bytes:
        """One element; the first behind a header. Raises EncodeError; then nothing has changed."""
        if self._encoder is None:
            encoder = exi.Encoder(self.grammars, self.settings.options, session_tables=self.settings.session_wide)
            header = exi.Options(cookie=True, header_options=self._schema_id is not None, schema_id=self._schema_id)
            body = encode_opening(encoder, element, header)
            self._encoder, self._schema_id = encoder, None
        else:
            body = self._encoder.encode(element)
        self.sent.elements += 1
        self.sent.size += len(body)
        return body

    # ------------------------------------------------------------------ from the peer

    @property
    def pending(self) -> bool:
        """Whether part of an element, or of an opening, has come."""
        if self._decoder is None:
            return bool(self._data)
        return self._decoder.pending or not self._first_heard

    def feed(self, data: bytes) -> list[Element]:
        """The elements that these bytes complete. Look at `wanted` when there are none. Raises PeerConfused."""
        self.received.size += len(data)
        if self._decoder is None:
            self._data += data
            return self._read_header() if self._opening is None else []
        return self._decode(self._decoder, data)

    def configure(self, grammars: exi.Grammars, settings: Settings) -> list[Element]:
        """What was wanted, is; our next header confirms it. The elements that were waiting. Raises PeerConfused."""
        self.use(grammars, settings, self.wanted)
        return self._accept()

    def confirm(self) -> list[Element]:
        """For the end that asked: what the peer's header names is what we use already."""
        return self._accept()

    def _read_header(self) -> list[Element]:
        try:
            opening = read_opening(self._data, self._limits)
        except exi.DecodeError as error:
            raise PeerConfused(f"what came is no opening of an EXI stream: {error}") from error
        if opening is None:
            if len(self._data) > MAX_HEADER:
                raise PeerConfused(f"an EXI header has at most {MAX_HEADER} bytes")
            return []
        self._opening, self._data = opening, b""
        schema_id = opening.options.schema_id if opening.options is not None else None
        self.confirmed = ""
        if schema_id is not None and schema_id.startswith(SHORTCUT):
            self.wanted = self.confirmed = schema_id.removeprefix(SHORTCUT)
            return []
        if schema_id not in (None, DEFAULT_SCHEMA_ID):
            raise PeerConfused(f"the schemaId {schema_id[:80]!r} names nothing here")
        return self._accept()

    def _accept(self) -> list[Element]:
        opening, self._opening, self.wanted = self._opening, None, ""
        assert opening is not None
        more, self._data = self._data, b""
        decoder = exi.Decoder(self.grammars, self.settings.options, session_tables=self.settings.session_wide)
        self._decoder, self._first_heard = decoder, False
        try:
            found = begin(decoder, opening)
        except exi.DecodeError as error:
            raise PeerConfused(f"what came is no EXI of this stream: {error}") from error
        self.received.elements += len(found)
        self._first_heard = bool(found)
        return found + self._decode(decoder, more) if more else found

    def _decode(self, decoder: exi.Decoder, data: bytes) -> list[Element]:
        try:
            found = decoder.feed(data)
        except exi.DecodeError as error:
            raise PeerConfused(f"what came is no EXI of this stream: {error}") from error
        self.received.elements += len(found)
        self._first_heard |= bool(found)
        return found
