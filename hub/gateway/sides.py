"""The two languages of a stream: bytes to items, items to bytes.

Rules of this file
* Sans-IO. Both sides have the same methods (`Side`), so a connection does not ask which one it has.
* What came as XML and leaves as XML leaves byte for byte as it came. From EXI to XML and back goes the element
  (XEP-0322, "EXI Encoding Preprocessing and Postprocessing"): a streamStart is the opening tag, a streamEnd the closing
  one, every other first-level element a document of its own. Prefixes are made anew, which that section leaves to the
  implementation where they are not preserved.
* White space between stanzas has no form in EXI and is dropped there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol
from xml.etree.ElementTree import Element

from hub import exi
from hub.errors import PeerConfused
from hub.gateway.xmlreader import Bounds, XmlReader
from hub.gateway.xmlwriter import IN_STREAM, write_element, write_header
from hub.gateway.xmpp import CLIENT, FEATURES, LANG, Closed, Item, Opened, Space, Stanza, StreamFault
from hub.session import exi_setup
from hub.session.exi_binding import BindingStream
from hub.session.exi_stream import ExiStream

HEADER_ATTRIBUTES: Final = ("from", "to", "id", "version", LANG)  # those that streamStart has a place for
XML_PIECE: Final = 16_384  # bytes looked at in one turn
EXI_PIECE: Final = 4_096  # which are as much work


class Unsayable(Exception):
    """An element that this side has no form for; nothing was written."""


class Side(Protocol):
    piece: int

    @property
    def fault(self) -> StreamFault | None:
        """What ends the stream, behind the items that were found last."""

    @property
    def pending(self) -> bool:
        """Whether bytes have come that belong to no item yet."""

    def feed(self, data: bytes) -> list[Item]:
        """The items that these bytes complete."""

    def restart(self) -> None:
        """A new stream begins, as it does after login."""

    def say(self, item: Item) -> bytes:
        """Raises Unsayable where there is no form for it, PeerConfused where nobody has one."""


class XmlSide:
    def __init__(self, bounds: Bounds, whole: bool = False) -> None:
        self.piece = XML_PIECE
        self.reader = XmlReader(bounds, whole)
        self._default = CLIENT
        self._prefixes: Mapping[str, str] = IN_STREAM
        self._tag = "stream:stream"

    @property
    def fault(self) -> StreamFault | None:
        return self.reader.fault

    @property
    def pending(self) -> bool:
        return self.reader.pending

    def feed(self, data: bytes) -> list[Item]:
        return self.reader.feed(data)

    def restart(self) -> None:
        self.reader.restart()

    def say(self, item: Item) -> bytes:
        if isinstance(item, Opened):
            return self._open(item)
        if isinstance(item, Stanza):
            return item.raw or write_element(item.element, self._default, self._prefixes)
        if isinstance(item, Closed):
            return f"</{self._tag}>".encode()
        return item.raw

    def _open(self, item: Opened) -> bytes:
        if not item.raw:
            self._default, self._prefixes, self._tag = CLIENT, IN_STREAM, "stream:stream"
            return write_header(item.attributes)
        self._default, self._tag = item.prefixes.get("", ""), item.tag
        self._prefixes = {uri: prefix for prefix, uri in item.prefixes.items() if prefix}
        return item.raw


class ExiSide:
    """After `<compressed/>`: bodies, by what was agreed on."""

    def __init__(self, grammars: exi.Grammars, settings: exi_setup.Settings) -> None:
        self.piece = EXI_PIECE
        self._fault: StreamFault | None = None
        self._grammars = grammars
        self._settings = settings
        self.stream = ExiStream(grammars, settings)

    @property
    def fault(self) -> StreamFault | None:
        return self._fault

    @property
    def pending(self) -> bool:
        return self.stream.pending

    def feed(self, data: bytes) -> list[Item]:
        try:
            return [item_of(element) for element in self.stream.feed(data)]
        except PeerConfused as error:
            self._fault = fault_of(error)
            return before(error)

    def restart(self) -> None:
        """Nothing: only the alternative binding begins anew after login."""

    def say(self, item: Item) -> bytes:
        return say(item, self.stream, self._grammars, self._settings)


class BindingSide:
    """The binary port: as ExiSide, but that streams open with a header, and anew."""

    def __init__(self, grammars: exi.Grammars, limits: exi.Limits) -> None:
        self.piece = EXI_PIECE
        self.stream = BindingStream(grammars, limits)
        self._fault: StreamFault | None = None
        self._has_default = True

    @property
    def fault(self) -> StreamFault | None:
        return self._fault

    @property
    def pending(self) -> bool:
        return self.stream.pending

    @property
    def wanted(self) -> str:
        """The configuration that the client's header names, until `use` or an end."""
        return self.stream.wanted

    def feed(self, data: bytes) -> list[Item]:
        try:
            return [item_of(element) for element in self.stream.feed(data)]
        except PeerConfused as error:
            self._fault = fault_of(error)
            return before(error)

    def restart(self) -> None:
        self.stream.restart()

    def use(self, grammars: exi.Grammars, settings: exi_setup.Settings) -> list[Item]:
        """From the next opening on; where a configuration is wanted, that is now, and these items were waiting."""
        self._has_default = False
        if not self.stream.wanted:
            self.stream.use(grammars, settings)
            return []
        try:
            return [item_of(element) for element in self.stream.configure(grammars, settings)]
        except PeerConfused as error:
            self._fault = fault_of(error)
            return []

    def allow(self, limits: exi.Limits) -> None:
        """Other limits from the next opening on, where the default options are still used."""
        if self._has_default:
            settings = self.stream.settings
            options = settings.options.with_(limits=limits)
            self.stream.use(self.stream.grammars, exi_setup.Settings(options, settings.session_wide))

    def say(self, item: Item) -> bytes:
        return say(item, self.stream, self.stream.grammars, self.stream.settings)


def item_of(element: Element) -> Item:
    if element.tag == exi_setup.STREAM_START:
        return Opened(dict(element.attrib))
    if element.tag == exi_setup.STREAM_END:
        return Closed()
    return Stanza(element)


def before(error: PeerConfused) -> list[Item]:
    """What was complete before the body that cannot be read."""
    cause = error.__cause__
    return [item_of(element) for element in cause.elements] if isinstance(cause, exi.DecodeError) else []


def fault_of(error: PeerConfused) -> StreamFault:
    """What a body that cannot be read is, in the words of RFC 6120."""
    limit = isinstance(error.__cause__, exi.LimitError)
    return StreamFault("policy-violation" if limit else "not-well-formed", str(error))


def say(item: Item, stream: ExiStream | BindingStream, grammars: exi.Grammars, settings: exi_setup.Settings) -> bytes:
    """An item as a body. Raises Unsayable; StreamFault where the tables of a session are full, which nothing empties
    but another session."""
    if isinstance(item, Space):
        return b""
    try:
        if isinstance(item, Opened):
            return stream.encode(start_element(item, settings))
        if isinstance(item, Closed):
            return stream.encode(Element(exi_setup.STREAM_END))
        return stream.encode(item.element)
    except exi.TablesFullError:
        raise StreamFault("reset", "the string tables of this session are full") from None
    except exi.EncodeError as error:
        if isinstance(item, Stanza) and item.element.tag == FEATURES:
            return stream.encode(sayable_features(item.element, grammars, settings))
        raise Unsayable(str(error)) from None


def start_element(item: Opened, settings: exi_setup.Settings) -> Element:
    known = {name: item.attributes[name] for name in HEADER_ATTRIBUTES if name in item.attributes}
    prefixes = item.prefixes if "prefixes" in settings.options.preserve else {}
    return exi_setup.stream_start(known, prefixes)


def sayable_features(features: Element, grammars: exi.Grammars, settings: exi_setup.Settings) -> Element:
    """A feature that strict schemas have no form for is not offered; the others are, or nobody could go on."""
    kept = Element(FEATURES)
    for feature in features:
        alone = Element(FEATURES)
        alone.append(feature)
        try:
            exi.Encoder(grammars, settings.options).encode(alone)
        except exi.EncodeError:
            continue
        kept.append(feature)
    return kept
