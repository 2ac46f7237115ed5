"""The schemas and grammars that the product brings, as the store takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from hub import exi
from hub.exi import schemas
from hub.session.exi_setup import SchemaFile

NEGOTIATED: Final = (schemas.XMPP,)
"""Sets under the canonical schema. The default set of the alternative binding has a wrapper of another name, and so
other grammars: they are not what a set-up that names its files means."""


@dataclass(frozen=True)
class BuiltIn:
    """Files, and how to load the grammars of whole sets of them."""

    files: Mapping[SchemaFile, bytes] = field(default_factory=dict)
    sets: Mapping[frozenset[SchemaFile], Callable[[], exi.Grammars]] = field(default_factory=dict)


def built_in() -> BuiltIn:
    """All files that ship, and the sets that need not be compiled."""
    files = {_named(file): file.data for name in schemas.WRAPPERS for file in schemas.files(name)}
    sets = {
        frozenset(map(_named, schemas.files(name))): partial(schemas.grammars, name)
        for name in NEGOTIATED
    }  # fmt: skip
    return BuiltIn(files, sets)


def default_grammars() -> exi.Grammars:
    """What the binary port of the alternative binding speaks before anything is agreed on."""
    return schemas.grammars(schemas.DEFAULT)


def _named(file: schemas.SchemaFile) -> SchemaFile:
    return SchemaFile(*file.identity)
