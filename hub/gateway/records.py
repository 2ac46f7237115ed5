"""What an agreement is called, and how it is written down.

Rules of this file
* Sans-IO. A name is derived from what it names: the same options over the same files have the same configuration
  identifier everywhere, so a fleet shares one, and gateways that share nothing but a schema find the same.
* The name covers the SHA-256 of each file: two files that one MD5 hides behind give two configurations.
* What is read back must have the name it stands under.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hub import exi
from hub.session.exi_setup import MAX_TEXT, SchemaFile, Settings

VERSION: Final = 1
DIGITS: Final = 32  # hexadecimal; 128 bits
MAX_RECORD: Final = 1 << 20  # bytes

_OPTIONS: Final = (
    "alignment", "strict", "block_size", "value_max_length", "value_partition_capacity", "local_value_partitions",
    "max_builtin_element_grammars", "max_builtin_productions",
)  # fmt: skip


@dataclass(frozen=True)
class Configuration:
    """`contents`: SHA-256 of the file behind each schema, in hexadecimal; there is one schema per namespace."""

    settings: Settings
    contents: Mapping[SchemaFile, str]

    @property
    def schemas(self) -> tuple[SchemaFile, ...]:
        return tuple(sorted(self.contents))

    @property
    def identifier(self) -> str:
        return _digest(_plain(self))[:DIGITS]

    @property
    def set_identifier(self) -> str:
        """Names the canonical schema alone: options do not matter to its grammars."""
        return set_identifier((each.namespace, content) for each, content in self.contents.items())


def set_identifier(files: Iterable[tuple[str, str]]) -> str:
    """`files`: namespace and SHA-256 of each."""
    return _digest(sorted(files))


def content_name(schema: SchemaFile) -> str:
    """A file name for a schema by the three things that name it."""
    return _digest([schema.namespace, schema.size, schema.md5])


def claim_name(schema: SchemaFile, sha256: str) -> str:
    """A file name for what a client says is that schema. `sha256`: of what it brought."""
    return _digest([schema.namespace, schema.size, schema.md5, sha256])


def written(configuration: Configuration) -> bytes:
    return json.dumps(_plain(configuration), indent=1, sort_keys=True).encode()


def read(data: bytes, identifier: str) -> Configuration:
    """Raises ValueError when it is not the record of that name."""
    try:
        configuration = _configuration(json.loads(data))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, exi.SchemaError) as error:
        raise ValueError(f"it is no record of a configuration: {error}") from None
    if configuration.identifier != identifier:
        raise ValueError("it does not have the name it stands under")
    return configuration


def _plain(configuration: Configuration) -> dict[str, Any]:
    options = configuration.settings.options
    return {
        "version": VERSION,
        "options": {name: getattr(options, name) for name in _OPTIONS} | {"preserve": sorted(options.preserve)},
        "session_wide": configuration.settings.session_wide,
        "schemas": [
            {"namespace": each.namespace, "bytes": each.size, "md5": each.md5, "sha256": configuration.contents[each]}
            for each in configuration.schemas
        ],
    }


def _configuration(plain: Any) -> Configuration:
    if plain["version"] != VERSION:
        raise ValueError(f"version {plain['version']!r} is not {VERSION}")
    options = dict(plain["options"])
    settings = Settings(exi.Options(**{**options, "preserve": frozenset(options["preserve"])}), plain["session_wide"])
    contents = {
        SchemaFile(each["namespace"][:MAX_TEXT], each["bytes"], each["md5"]): each["sha256"]
        for each in plain["schemas"]
    }  # fmt: skip
    return Configuration(settings, contents)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
