"""Names and where they are numbered: the URI, local-name and prefix partitions (section 7.3.1, appendix D).

What a schema set declares is fixed and shared by all sessions (`NameSpace` and `QName` objects built once per
`Grammars`); what a stream adds belongs to one `NameTable`. A session that meets a new name under a known URI
gets its own copy of that `NameSpace`, so nothing shared is ever written to.

`Journal` is how a table forgets: every addition is noted, and `rollback` takes the latest additions back. An
encoder that fails and a decoder that runs out of input both leave their tables as they were (`Tables.begin`,
`Tables.rollback`).
"""

from __future__ import annotations

import re
from typing import Any, Final

from .native import i64

XML_URI: Final = "http://www.w3.org/XML/1998/namespace"
XMLNS_URI: Final = "http://www.w3.org/2000/xmlns/"
XSI_URI: Final = "http://www.w3.org/2001/XMLSchema-instance"
XSD_URI: Final = "http://www.w3.org/2001/XMLSchema"
EXI_URI: Final = "http://www.w3.org/2009/exi"

XSI_TYPE: Final = "{http://www.w3.org/2001/XMLSchema-instance}type"
XSI_NIL: Final = "{http://www.w3.org/2001/XMLSchema-instance}nil"

# Appendix D.3: the local names that the URI partitions start with.
INITIAL_LOCAL_NAMES: Final = {
    "": (),
    XML_URI: ("base", "id", "lang", "space"),
    XSI_URI: ("nil", "type"),
}
# Appendix D.2: the prefixes.
INITIAL_PREFIXES: Final = {"": ("",), XML_URI: ("xml",), XSI_URI: ("xsi",)}


_NAME_START = (
    "A-Z_a-z\xc0-\xd6\xd8-\xf6\xf8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f\u2c00-\u2fef"
)
_NAME_START += "\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
_NCNAME = f"[{_NAME_START}][{_NAME_START}\\-.0-9\xb7\u0300-\u036f\u203f\u2040]*"
_NAME = re.compile(f"{_NCNAME}(?::{_NCNAME})?")


def is_name(text: str) -> bool:
    """Whether a text is an NCName of XML, or two of them with a colon.

    The colon is only for values of xsi:type that name no known prefix; elements and attributes have none.
    """
    return _NAME.fullmatch(text) is not None


def clark(uri: str, local: str) -> str:
    """The name in ElementTree's spelling."""
    return f"{{{uri}}}{local}" if uri else local


def split_clark(tag: str) -> tuple[str, str]:
    """(uri, local name) of a name in ElementTree's spelling."""
    if tag[:1] == "{":
        uri, _, local = tag.rpartition("}")
        return uri[1:], local
    return "", tag


def attribute_order(uri: str, local: str) -> str:
    """Sort key of attributes: xsi:nil first, then by local name, then by URI (8.5.4.1.4)."""
    return "" if uri == XSI_URI and local == "nil" else f"{local}\0{uri}"


class Journal:
    """Additions to tables, in order, so that the latest can be taken back."""

    def __init__(self) -> None:
        self.notes: list[tuple[int, Any, Any, Any]] = []
        self.values: i64 = 0  # how many values the table had when the transaction began; they need no notes

    def appended(self, target: list[Any]) -> None:
        """The last item of `target` is new."""
        self.notes.append((0, target, None, None))

    def added(self, target: dict[Any, Any], key: Any) -> None:
        """`key` is new in `target`."""
        self.notes.append((1, target, key, None))

    def replaced(self, target: Any, key: Any, old: Any) -> None:
        """`target[key]` was `old`."""
        self.notes.append((2, target, key, old))

    def changed(self, target: Any, attribute: str, old: Any) -> None:
        """The attribute of `target` was `old`."""
        self.notes.append((3, target, attribute, old))

    def learnt(self, state: Any) -> None:
        """The built-in grammar state has a new production."""
        self.notes.append((4, state, None, None))

    def rollback(self, mark: int = 0) -> None:
        """Take back everything after the first `mark` notes, the latest first."""
        notes = self.notes
        while len(notes) > mark:
            kind, target, key, old = notes.pop()
            if kind == 0:
                target.pop()
            elif kind == 1:
                del target[key]
            elif kind == 2:
                target[key] = old
            elif kind == 3:
                setattr(target, key, old)
            else:
                target.unlearn()


class QName:
    """One qualified name. The index fields point into the grammars; -1 where nothing is declared."""

    def __init__(self, uri_id: int, local_id: int, uri: str, local: str) -> None:
        self.uri_id: i64 = uri_id
        self.local_id: i64 = local_id
        self.uri = uri
        self.local = local
        self.tag = f"{{{uri}}}{local}" if uri else local
        self.element_state: i64 = -1  # first state of the global element's grammar
        self.attribute_type: i64 = -1  # datatype of the global attribute
        self.type_state: i64 = -1  # first state of the named type's grammar


class NameSpace:
    """One URI partition: its local names and its prefixes, both by number and by text."""

    def __init__(self, uri_id: int, uri: str) -> None:
        self.uri_id: i64 = uri_id
        self.uri = uri
        self.names: list[QName] = []
        self.by_local: dict[str, QName] = {}
        self.prefixes: list[str] = list(INITIAL_PREFIXES.get(uri, ()))

    def add(self, local: str) -> QName:
        """Number a new local name."""
        qname = QName(self.uri_id, len(self.names), self.uri, local)
        self.names.append(qname)
        self.by_local[local] = qname
        return qname

    def copy(self) -> NameSpace:
        """A copy that one session may add to."""
        twin = NameSpace(self.uri_id, self.uri)
        twin.names = self.names.copy()
        twin.by_local = self.by_local.copy()
        twin.prefixes = self.prefixes.copy()
        return twin


def initial_namespaces() -> list[NameSpace]:
    """The partitions of a schema-less stream (appendix D.1, D.3)."""
    spaces: list[NameSpace] = []
    for uri, locals_ in INITIAL_LOCAL_NAMES.items():
        space = NameSpace(len(spaces), uri)
        for local in locals_:
            space.add(local)
        spaces.append(space)
    return spaces


class NameTable:
    """The names of one body or session: the shared ones of the grammars plus what the stream added."""

    def __init__(
        self, spaces: list[NameSpace], by_uri: dict[str, NameSpace], by_tag: dict[str, QName]
    ) -> None:
        self.spaces = spaces.copy()
        self.shared_by_uri = by_uri
        self.shared_by_tag = by_tag
        self.by_uri: dict[str, NameSpace] = {}
        self.by_tag: dict[str, QName] = {}
        self.prefix_count: i64 = 0  # prefixes added by the stream
        self.characters: i64 = 0  # of all URIs, names and prefixes added

    def space(self, uri: str) -> NameSpace | None:
        """The partition of a URI, if it has one."""
        found = self.by_uri.get(uri)
        if found is None:
            found = self.shared_by_uri.get(uri)
        return found

    def find(self, tag: str) -> QName | None:
        """The qualified name in ElementTree's spelling, if it is numbered."""
        found = self.shared_by_tag.get(tag)
        if found is None:
            found = self.by_tag.get(tag)
        return found

    def add_uri(self, uri: str, journal: Journal) -> NameSpace:
        """Number a new URI."""
        space = NameSpace(len(self.spaces), uri)
        self.spaces.append(space)
        journal.appended(self.spaces)
        self.by_uri[uri] = space
        journal.added(self.by_uri, uri)
        self.count_characters(uri, journal)
        return space

    def own(self, space: NameSpace, journal: Journal) -> NameSpace:
        """The partition as this table's own copy."""
        if space.uri in self.by_uri:
            return self.by_uri[space.uri]
        twin = space.copy()
        journal.replaced(self.spaces, int(space.uri_id), space)
        self.spaces[space.uri_id] = twin
        self.by_uri[space.uri] = twin
        journal.added(self.by_uri, space.uri)
        return twin

    def add_local(self, space: NameSpace, local: str, journal: Journal) -> QName:
        """Number a new local name under a URI."""
        mine = self.own(space, journal)
        qname = mine.add(local)
        journal.appended(mine.names)
        journal.added(mine.by_local, local)
        self.by_tag[qname.tag] = qname
        journal.added(self.by_tag, qname.tag)
        self.count_characters(qname.tag, journal)
        return qname

    def add_prefix(self, space: NameSpace, prefix: str, journal: Journal) -> None:
        """Number a new prefix under a URI."""
        mine = self.own(space, journal)
        mine.prefixes.append(prefix)
        journal.appended(mine.prefixes)
        journal.changed(self, "prefix_count", int(self.prefix_count))
        self.prefix_count += 1
        self.count_characters(prefix, journal)

    def count_characters(self, text: str, journal: Journal) -> None:
        """Note how much the tables hold."""
        journal.changed(self, "characters", int(self.characters))
        self.characters += len(text)

    def size(self) -> i64:
        """How many URIs, names and prefixes the stream has added."""
        return len(self.by_uri) + len(self.by_tag) + self.prefix_count
