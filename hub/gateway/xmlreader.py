"""An XML stream as it comes off the wire, cut anywhere, into what passes over it.

Rules of this file
* Sans-IO. XMPP's subset of XML only (RFC 6120 section 11.1): comments, processing instructions, document types and
  entities other than the five end the stream before anything of them is kept.
* Each item carries its exact bytes, white space in front of it included: what a stream's items carry, one after the
  other, is what came.
* A fault does not take back what was complete before it: `feed` returns that, and `fault` says what ends the stream.
* Bounds: bytes of an item, depth, attributes of an element. A parser that has failed is never fed again.
* Expat gets no unfinished tag: it may put off looking at one again until much more has come (since 2.6).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from hub.gateway.xmpp import CLIENT, STREAM, Closed, Item, Opened, Space, Stanza, StreamFault

XSI_TYPE: Final = "{http://www.w3.org/2001/XMLSchema-instance}type"
_TAG: Final = re.compile(rb"""<[^>"']*(?:"[^"]*"[^>"']*|'[^']*'[^>"']*)*>""")
_SLASH: Final = ord("/")
_PLAIN: Final = f"{CLIENT}}}"
_CONDITIONS: Final = {
    expat.errors.codes[expat.errors.XML_ERROR_UNDEFINED_ENTITY]: "restricted-xml",
    expat.errors.codes[expat.errors.XML_ERROR_UNBOUND_PREFIX]: "bad-namespace-prefix",
    expat.errors.codes[expat.errors.XML_ERROR_UNKNOWN_ENCODING]: "unsupported-encoding",
    expat.errors.codes[expat.errors.XML_ERROR_INCORRECT_ENCODING]: "unsupported-encoding",
}


@dataclass(frozen=True)
class Bounds:
    """Of what one stream may hold. `size`: bytes of one item."""

    size: int = 262_144
    depth: int = 100
    attributes: int = 100


class XmlReader:
    """`whole`: build stanzas with their content; otherwise those of jabber:client are only a name and attributes, which
    is all that somebody who passes them on needs."""

    def __init__(self, bounds: Bounds, whole: bool = True) -> None:
        self.bounds = bounds
        self.whole = whole
        self.fault: StreamFault | None = None
        self._buffer = bytearray()
        self._items: list[Item] = []
        self.restart()

    def restart(self) -> None:
        """What comes next is a new stream."""
        self._base = 0  # where the buffer begins, in bytes of this stream
        self._fed = 0  # bytes of the buffer that the parser has
        self._start = 0  # where the next item begins, in bytes of the buffer
        self._depth = 0
        self._builder: TreeBuilder | None = None
        self._first: Element | None = None
        self._childless = -1  # where the open first-level element begins in the stream, while it has no child
        self._empty = False  # the stream's tag closes it too
        self._scopes: dict[str, list[str]] = {}
        parser = self._parser = expat.ParserCreate("UTF-8", "}")
        parser.buffer_size = 1024  # bytes of text that come at once; kept for as long as the stream
        parser.buffer_text = True
        if hasattr(parser, "SetReparseDeferralEnabled"):
            parser.SetReparseDeferralEnabled(False)
        parser.XmlDeclHandler = self._declaration
        parser.StartElementHandler = self._open
        parser.EndElementHandler = self._close
        parser.CharacterDataHandler = self._between
        parser.StartNamespaceDeclHandler = self._declare
        parser.EndNamespaceDeclHandler = self._undeclare
        parser.CommentHandler = _refuse("a comment")
        parser.ProcessingInstructionHandler = _refuse("a processing instruction")
        parser.StartDoctypeDeclHandler = _refuse("a document type")

    @property
    def pending(self) -> bool:
        """Whether bytes have come that belong to no item yet."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[Item]:
        """What these bytes complete. Look at `fault` afterwards."""
        if self.fault is not None:
            return []
        self._buffer += data
        if self._depth == 0 and not self._fed:
            self._skip_space()
        ready = self._buffer.rfind(b">") + 1
        try:
            if ready > self._fed:
                self._parser.Parse(bytes(self._buffer[self._fed : ready]), False)
                self._fed = ready
            self._forget()
            self._take_space()
            if len(self._buffer) > self.bounds.size:
                raise StreamFault("policy-violation", f"an element has at most {self.bounds.size} bytes")
        except expat.ExpatError as error:
            condition = _CONDITIONS.get(error.code, "not-well-formed")
            self.fault = StreamFault(condition, expat.ErrorString(error.code))
        except StreamFault as fault:
            self.fault = fault
        items, self._items = self._items, []
        return items

    # ------------------------------------------------------------------ life of a stream

    def _forget(self) -> None:
        """Drop the bytes of the items that are complete."""
        if self._start:
            del self._buffer[: self._start]
            self._base += self._start
            self._fed -= self._start
            self._start = 0

    def _skip_space(self) -> None:
        """White space before a stream: an XML declaration may stand behind it here, for the parser it may not."""
        self._fed = len(self._buffer) - len(self._buffer.lstrip())
        self._base = -self._fed

    def _take_space(self) -> None:
        """White space between two elements is passed on at once: somebody keeps a connection alive."""
        if self._depth == 1 and self._buffer and self._buffer.isspace():
            rest = bytes(self._buffer)
            self._parser.Parse(rest[self._fed :], False)
            self._items.append(Space(rest))
            self._start = self._fed = len(rest)
            self._forget()

    def _cut(self, end: int) -> bytes:
        """The bytes of the item that ends at `end` of the buffer."""
        raw = bytes(self._buffer[self._start : end])
        if len(raw) > self.bounds.size:
            raise StreamFault("policy-violation", f"an element has at most {self.bounds.size} bytes")
        self._start = end
        return raw

    def _tag_end(self, start: int) -> int:
        """Where the tag ends that begins there; both in bytes of the buffer."""
        tag = _TAG.match(self._buffer, start)
        assert tag is not None  # expat has found it
        return tag.end()

    def _element_end(self) -> int:
        """Where the element ends that is being closed. An empty one has no closing tag, and for it expat may stand
        behind its only tag already."""
        if self._childless >= 0:
            end = self._tag_end(self._childless - self._base)
            if self._buffer[end - 2] == _SLASH:
                return end
        return self._tag_end(self._parser.CurrentByteIndex - self._base)

    # ------------------------------------------------------------------ what the parser sees

    def _declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.upper() not in ("UTF-8", "UTF8"):
            raise StreamFault("unsupported-encoding", "a stream is UTF-8")

    def _open(self, name: str, attributes: dict[str, str]) -> None:
        tag = f"{{{name}" if "}" in name else name
        if len(attributes) > self.bounds.attributes:
            raise StreamFault("policy-violation", f"an element has at most {self.bounds.attributes} attributes")
        for key in [key for key in attributes if "}" in key]:
            attributes[f"{{{key}"] = attributes.pop(key)
        self._depth += 1
        if self._depth == 1:
            self._open_stream(tag, attributes)
            return
        if self._depth > self.bounds.depth:
            raise StreamFault("policy-violation", f"elements are nested at most {self.bounds.depth} deep")
        if XSI_TYPE in attributes:
            attributes[XSI_TYPE] = self._type_name(attributes[XSI_TYPE])
        self._childless = -1
        if self._depth == 2:
            self._childless = self._parser.CurrentByteIndex
            if not self.whole and name.startswith(_PLAIN):
                self._first = Element(tag, attributes)
                self._parser.CharacterDataHandler = None
                return
            self._builder = TreeBuilder()
            self._parser.CharacterDataHandler = self._builder.data
        if self._builder is not None:
            self._builder.start(tag, attributes)

    def _close(self, name: str) -> None:
        self._depth -= 1
        if self._builder is not None:
            self._builder.end(f"{{{name}" if "}" in name else name)
        if self._depth == 1:
            if self._builder is not None:
                self._items.append(Stanza(self._builder.close(), self._cut(self._element_end())))
                self._builder = None
            else:
                assert self._first is not None
                self._items.append(Stanza(self._first, self._cut(self._element_end()), whole=False))
                self._first = None
            self._parser.CharacterDataHandler = self._between
        elif self._depth == 0:
            self._items.append(Closed(b"" if self._empty else self._cut(self._element_end())))

    def _open_stream(self, tag: str, attributes: dict[str, str]) -> None:
        if tag != STREAM:
            local = tag.rpartition("}")[2]
            condition = "invalid-namespace" if local == "stream" else "bad-format"
            raise StreamFault(condition, "a stream begins with <stream:stream>")
        start = self._parser.CurrentByteIndex - self._base
        end = self._tag_end(start)
        self._empty = self._buffer[end - 2] == _SLASH
        written = re.split(rb"[\s/>]", bytes(self._buffer[start + 1 : end]), maxsplit=1)[0].decode()
        prefixes = {prefix: uris[-1] for prefix, uris in self._scopes.items()}
        self._items.append(Opened(attributes, prefixes, written, self._cut(end)))

    def _between(self, text: str) -> None:
        if not text.isspace():
            raise StreamFault("bad-format", "text stands between two elements")

    def _declare(self, prefix: str | None, uri: str | None) -> None:
        self._scopes.setdefault(prefix or "", []).append(uri or "")

    def _undeclare(self, prefix: str | None) -> None:
        uris = self._scopes[prefix or ""]
        uris.pop()
        if not uris:
            del self._scopes[prefix or ""]

    def _type_name(self, value: str) -> str:
        """The value of xsi:type, which is a name with a prefix, in Clark notation where that means something."""
        prefix, colon, local = value.strip().rpartition(":")
        uri = self._scopes.get(prefix, [""])[-1]
        return f"{{{uri}}}{local}" if uri else local if not colon else value


def _refuse(what: str) -> Callable[..., None]:
    def refuse(*_: object) -> None:
        raise StreamFault("restricted-xml", f"{what} has no place in a stream")

    return refuse
