"""Schema components as the grammar compiler wants them: XML Schema part 1 without its syntax.

`xsd` fills this model from XSD files; the options document of the header is written down in it directly. The
model says nothing about EXI: states and codes are `compiler`'s and `content`'s business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from .datatypes import Datatype

SEQUENCE: Final = "sequence"
CHOICE: Final = "choice"
ALL: Final = "all"


@dataclass(eq=False)
class Type:
    """A simple type (`particle` None, `datatype` set) or a complex one."""

    name: str | None = None  # {uri}local, None if anonymous
    base: Type | None = None
    datatype: Datatype | None = None  # of a simple type, or of simple content
    simple: bool = False
    mixed: bool = False
    particle: Particle | None = None
    attributes: list[Attribute] = field(default_factory=list)
    wildcard: Wildcard | None = None
    union: bool = False


@dataclass(eq=False)
class Element:
    """An element declaration; the members of its substitution group exclude itself."""

    name: str
    type: Type
    nillable: bool = False
    members: list[Element] = field(default_factory=list)


@dataclass(eq=False)
class Attribute:
    """An attribute use or a global attribute declaration."""

    name: str
    type: Type
    required: bool = False


@dataclass(frozen=True)
class Wildcard:
    """Any name (`uris` None, also for "other"), or any name of some namespaces."""

    uris: tuple[str, ...] | None = None


@dataclass(eq=False)
class Group:
    """A model group."""

    kind: str
    particles: list[Particle]


@dataclass(eq=False)
class Particle:
    """A term that occurs between `least` and `most` times; None is unbounded."""

    term: Element | Wildcard | Group
    least: int = 1
    most: int | None = 1


@dataclass
class Schema:
    """One closed schema set."""

    elements: list[Element] = field(default_factory=list)
    attributes: list[Attribute] = field(default_factory=list)
    types: list[Type] = field(default_factory=list)  # named ones, the built-in ones included
    uris: set[str] = field(default_factory=set)  # target namespaces
