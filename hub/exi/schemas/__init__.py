"""The XML schemas of this product as XEP-0322 negotiates them, and their grammars, compiled beforehand.

    from hub.exi import schemas

    for file in schemas.files():                     # the whole set, in ascending order of namespaces
        file.namespace, file.size, file.md5          # what <schema ns="" bytes="" md5Hash=""/> says
    grammars = schemas.grammars()                    # from the package; needs no schema library

Rules of this package
* One XSD file per namespace, written for this product; what is mended against the published ones is said in each file.
  What was weighed and measured stands in README.md beside this file.
* A set is closed: it holds every file that one of its files imports. Both ends of a connection need the same set to
  the byte, as each file adds to the first event code of every stanza. So a set is named by all its files and never by
  a part of them: `set_of` knows a whole set and no subset.
* What ships is what the XSD files compile to: `python -m hub.exi.schemas` writes it anew, a test compares.

The set `xmpp` is for the bodies after negotiation; `default` for the set-up of the alternative transport binding,
before anything is agreed on (schemaId `urn:xmpp:exi:default`). XEP-0322 wants the default set to be of the published
files; ours are other files, so only a peer that has this package understands that binding. Negotiated sets know no
such limit.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final
from xml.sax.saxutils import quoteattr

from hub.exi.errors import SchemaError
from hub.exi.grammarfile import loads
from hub.exi.grammars import Grammars

XMPP: Final = "xmpp"
DEFAULT: Final = "default"

SETS: Final = (XMPP, DEFAULT)

SCHEMA_OF_SCHEMAS: Final = "http://www.w3.org/2001/XMLSchema.xsd"
"""What XSD files are written in, and the schemaId of streams that hold one (XEP-0322, "Uploading compressed schema
files"). It is W3C's and no set of ours; only its grammars ship, as `xsd.exig`."""

DEFAULT_SCHEMA_ID: Final = "urn:xmpp:exi:default"
"""What the header of a stream names for the set `default`. The namespace of its wrapper is that of all sets."""

WRAPPER_NAMESPACE: Final = "urn:xmpp:exi:cs"
"""Target namespace of the wrapper schema of every set (XEP-0322, "Generation of Canonic Schemas")."""

_DEFAULT_FILES: Final = frozenset({"exi.xsd", "stream-errors.xsd", "streams.xsd", "xml.xsd"})
_TARGET: Final = re.compile(rb'\btargetNamespace="([^"]+)"')

Identity = tuple[str, int, str]
"""Namespace, size in bytes, MD5 in hexadecimal digits: what a peer says of a file."""


@dataclass(frozen=True)
class SchemaFile:
    """One XSD file. `size` in bytes, `md5` as 32 hexadecimal digits, both of the bytes of `data`."""

    name: str
    namespace: str
    size: int
    md5: str

    @property
    def identity(self) -> Identity:
        return self.namespace, self.size, self.md5

    @property
    def data(self) -> bytes:
        """The file itself, to upload it."""
        return _read(self.name)


def files(set_: str = XMPP) -> tuple[SchemaFile, ...]:
    """The files of a set, in ascending order of namespaces. Raises SchemaError for a set that is not known."""
    _check(set_)
    return tuple(file for file in _all_files() if set_ == XMPP or file.name in _DEFAULT_FILES)


def grammars(set_: str = XMPP) -> Grammars:
    """The grammars of a set: loaded when first asked for, then shared. Raises SchemaError for an unknown set."""
    _check(set_)
    return _grammars(set_)


@cache
def schema_of_schemas() -> Grammars:
    """The grammars of SCHEMA_OF_SCHEMAS, with the namespace of XML that it imports."""
    return loads(_read("xsd.exig"))


def set_of(offered: Iterable[Identity]) -> str | None:
    """The set that consists of exactly these files; None when there is no such set. Order and repeats do not count."""
    wanted = frozenset(offered)
    return next((name for name in SETS if wanted == {file.identity for file in files(name)}), None)


def fingerprint(set_: str = XMPP) -> str:
    """A short name for a set and its present files, of 32 hexadecimal digits: other files, another name."""
    lines = (f"{file.namespace} {file.size} {file.md5}\n" for file in files(set_))
    return _md5("".join(lines).encode("utf-8"))


def canonical_schema(imported: Iterable[tuple[str, str]]) -> str:
    """The wrapper schema of a negotiated set. `imported`: (namespace, location) of each file.

    The imports stand in ascending order of namespaces, as both ends have to make the same schema of the same files.
    """
    imports = "".join(
        f"  <xs:import namespace={quoteattr(namespace)} schemaLocation={quoteattr(location)}/>\n"
        for namespace, location in sorted(imported)
    )
    return (
        '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" '
        f'targetNamespace={quoteattr(WRAPPER_NAMESPACE)} elementFormDefault="qualified">\n{imports}</xs:schema>\n'
    )


def _check(set_: str) -> None:
    if set_ not in SETS:
        raise SchemaError(f"there is no set of schemas {set_!r}; known are {', '.join(SETS)}")


@cache
def _grammars(set_: str) -> Grammars:
    return loads(_read(f"{set_}.exig"))


@cache
def _all_files() -> tuple[SchemaFile, ...]:
    found = []
    for entry in resources.files(__name__).iterdir():
        if not entry.name.endswith(".xsd"):
            continue
        data = entry.read_bytes()
        target = _TARGET.search(data)
        if target is None:
            raise SchemaError(f"{entry.name} names no target namespace")
        found.append(SchemaFile(entry.name, target[1].decode("utf-8"), len(data), _md5(data)))
    return tuple(sorted(found, key=lambda file: file.namespace))


def _read(name: str) -> bytes:
    return resources.files(__name__).joinpath(name).read_bytes()


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
