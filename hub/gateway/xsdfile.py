"""One XSD file from a peer: is it one, what does it name, and the same file with every import at a place of our choice.

Rules of this file
* Sans-IO. The file is read as XML text and judged before anything else sees it: no DTD and so no entities, a bounded
  depth, `xs:schema` at its root.
* A schema names others by namespace only: `schemaLocation` is never followed, and what has no meaning without it
  (xs:include, xs:redefine) is refused.
* The copy keeps elements, attributes, prefixes and text. Comments, processing instructions, and hints for validators
  (`xsi:schemaLocation`) are gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from hub.errors import PeerError
from hub.session.exi_setup import MAX_TEXT

XSD: Final = "http://www.w3.org/2001/XMLSchema"
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
CANONICAL: Final = "urn:xmpp:exi:cs"  # XEP-0322, "Generation of Canonic Schemas"
RESERVED: Final = frozenset({XSD, XSI, CANONICAL})
KNOWN_TO_ALL: Final = frozenset({XSD, XSI})  # their components are there without an import
BY_LOCATION: Final = frozenset({"include", "redefine", "override"})


class SchemaRefused(PeerError):
    """A schema, or a set of schemas, that cannot be used; the text says why."""


@dataclass(frozen=True)
class Shape:
    """What a file may look like: elements inside each other, and prefixes declared at one place."""

    depth: int = 100
    prefixes: int = 100


@dataclass(frozen=True)
class Xsd:
    """A schema's own namespace ("" when it has none), and those that it imports."""

    namespace: str
    imports: frozenset[str]


def read(data: bytes, shape: Shape = Shape()) -> Xsd:  # it is frozen
    """Raises SchemaRefused."""
    return _Reader({}, shape).run(data).found()


def located(data: bytes, locations: Mapping[str, str], shape: Shape = Shape()) -> bytes:  # as above
    """A copy whose imports lead to `locations` (namespace → schemaLocation). Raises SchemaRefused, also for an import
    of what is not among them."""
    reader = _Reader(locations, shape).run(data)
    missing = sorted(reader.found().imports - locations.keys())
    if missing:
        raise SchemaRefused(f"it imports {missing[0]!r}, which is not in the set")
    return "".join(reader.copy).encode()


def wrapper(locations: Mapping[str, str]) -> bytes:
    """The canonical schema, which imports all of `locations` in ascending order of their namespaces."""
    lines = [f"<xs:schema xmlns:xs={quoteattr(XSD)} targetNamespace={quoteattr(CANONICAL)}>"]
    for namespace in sorted(locations):
        named = f" namespace={quoteattr(namespace)}" if namespace else ""
        lines.append(f"  <xs:import{named} schemaLocation={quoteattr(locations[namespace])}/>")
    return "\n".join([*lines, "</xs:schema>", ""]).encode()


class _Reader:
    """Walks the text once; `copy` is what it has written."""

    def __init__(self, locations: Mapping[str, str], shape: Shape) -> None:
        self.copy: list[str] = []
        self._locations = locations
        self._shape = shape
        self._scopes: list[dict[str, str]] = [{"xml": "http://www.w3.org/XML/1998/namespace"}]
        self._dropping = 0  # depth inside an import that is left out
        self._target: str | None = None
        self._imports: set[str] = set()
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text

    def run(self, data: bytes) -> _Reader:
        try:
            self._parser.Parse(data, True)
        except expat.ExpatError as error:
            raise SchemaRefused(f"it is not XML: {error}") from None
        except (LookupError, ValueError) as error:  # an encoding that Python does not know, or cannot use here
            raise SchemaRefused(f"it cannot be read: {error}") from None
        return self

    def found(self) -> Xsd:
        assert self._target is not None  # a document has a root, and _start has seen it
        return Xsd(self._target, frozenset(self._imports))

    def _doctype(self, *_: object) -> None:
        raise SchemaRefused("it has a document type declaration")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._scopes) > self._shape.depth:
            raise SchemaRefused(f"it is nested deeper than {self._shape.depth} elements")
        scope = self._declare(attributes)
        self._scopes.append(scope)
        uri, local = self._expand(name, scope)
        if self._target is None:
            self._root(uri, local, attributes)
        elif uri == XSD and local in BY_LOCATION:
            raise SchemaRefused(f"it has an xs:{local}, which names a file by its place; a set is named by namespaces")
        elif uri == XSD and local == "import" and len(self._scopes) == 3:
            namespace = attributes.get("namespace", "")
            if self._dropping or namespace in KNOWN_TO_ALL:
                self._dropping += 1
                return
            self._imports.add(namespace)
            attributes = {**attributes, "schemaLocation": self._locations.get(namespace, "")}
        if self._dropping:
            self._dropping += 1
            return
        kept = {key: value for key, value in attributes.items() if not self._is_hint(key, scope)}
        self.copy.append(f"<{name}{''.join(f' {key}={_quoted(value)}' for key, value in kept.items())}>")

    def _root(self, uri: str, local: str, attributes: Mapping[str, str]) -> None:
        if (uri, local) != (XSD, "schema"):
            raise SchemaRefused(f"its root is {local[:40]!r} of {uri[:80]!r}, not xs:schema")
        self._target = attributes.get("targetNamespace", "")
        if self._target in RESERVED:
            raise SchemaRefused(f"nobody may bring a schema for {self._target!r}")
        if len(self._target) > MAX_TEXT:
            raise SchemaRefused(f"its namespace has more than {MAX_TEXT} characters")

    def _end(self, name: str) -> None:
        self._scopes.pop()
        if self._dropping:
            self._dropping -= 1
        else:
            self.copy.append(f"</{name}>")

    def _text(self, text: str) -> None:
        if not self._dropping:
            self.copy.append(escape(text))

    def _declare(self, attributes: Mapping[str, str]) -> dict[str, str]:
        """The prefixes in scope of an element with these attributes."""
        scope = self._scopes[-1]
        for key, value in attributes.items():
            if key == "xmlns" or key.startswith("xmlns:"):
                if scope is self._scopes[-1]:
                    scope = dict(scope)
                scope[key[6:]] = value
        if len(scope) > self._shape.prefixes:
            raise SchemaRefused(f"it declares more than {self._shape.prefixes} prefixes")
        return scope

    @staticmethod
    def _expand(name: str, scope: Mapping[str, str]) -> tuple[str, str]:
        prefix, colon, local = name.rpartition(":")
        if colon and prefix not in scope:
            raise SchemaRefused(f"its prefix {prefix[:40]!r} is not declared")
        return scope.get(prefix, ""), local

    def _is_hint(self, key: str, scope: Mapping[str, str]) -> bool:
        prefix, colon, _ = key.rpartition(":")
        return bool(colon) and prefix != "xmlns" and scope.get(prefix) == XSI


def _quoted(value: str) -> str:
    return quoteattr(value, {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})
