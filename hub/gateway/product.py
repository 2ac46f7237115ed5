"""What the product brings to every store: its own schemas, and their grammars ready to load."""

from __future__ import annotations

from hub import exi
from hub.exi import schemas
from hub.gateway.store import BuiltIn
from hub.session.exi_setup import SchemaFile


def built_in() -> BuiltIn:
    files = {set_: {SchemaFile(*file.identity): file.data for file in schemas.files(set_)} for set_ in schemas.WRAPPERS}
    return BuiltIn(
        files={schema: data for found in files.values() for schema, data in found.items()},
        sets={frozenset(files[schemas.XMPP]): schemas.grammars},
    )


def default_grammars() -> exi.Grammars:
    """Of the binary port, before anything is agreed on."""
    return schemas.grammars(schemas.DEFAULT)
