"""What a gateway knows of schemas and agreements: shared by all its connections, and by all gateways on one folder.

    schemas/        XSD files that clients brought, each under the three things that name it
    grammars/       compiled sets, so that nothing is compiled twice
    configurations/ agreements that a client may name instead of proposing them again
    claims/         XSD text of schemas that came as EXI, each under the name that its client gave it, and its own hash
    aside/          what did not belong there

Rules of this file
* A schema is known by namespace, size and MD5, which are computed from its bytes. The first file under a name stays,
  and what the product brings stays before all: a client can add to what others use, and change nothing of it.
* MD5 protects nothing. Behind each name stands the SHA-256 of the file that is meant, in every record.
* A schema that comes as EXI has lost the bytes that its name is made of, so the client says the name (XEP-0322,
  "Uploading compressed schema files"). Nobody can check that, so nobody else gets it: it is a claim, which counts for
  the connection that made it, and for agreements that hold it. Where the file of that name is here, that one counts.
* A set is closed: what a file imports is in the set, or the set is refused. Two files of one namespace make no set.
* A set is compiled once however many wait for it, one set at a time, and in a process of its own (`compilation`).
* Live is what a connection still holds; that is never dropped to make room.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from hub import exi
from hub.exi.grammarfile import loads
from hub.gateway import product, records, xsdfile
from hub.gateway.bounds import Bounds
from hub.gateway.compilation import NotCompiled, codec_version, compiled
from hub.gateway.download import Downloader
from hub.gateway.folder import Folder, Full
from hub.gateway.product import BuiltIn
from hub.gateway.records import Configuration
from hub.gateway.unpacking import unpacked
from hub.gateway.xsdfile import SchemaRefused, Shape
from hub.session.exi_setup import SchemaFile, Settings, Upload

__all__ = ["Agreement", "BuiltIn", "Known", "Store"]

log = logging.getLogger(__name__)

SCHEMAS: Final = "schemas"
GRAMMARS: Final = "grammars"
CONFIGURATIONS: Final = "configurations"
IDENTIFIER: Final = re.compile(rf"[0-9a-f]{{{records.DIGITS}}}")
CLAIMS: Final = "claims"
KINDS: Final = {
    CLAIMS: re.compile(r"[0-9a-f]{64}\.xsd"),
    SCHEMAS: re.compile(r"[0-9a-f]{64}\.xsd"),
    GRAMMARS: re.compile(r"[0-9a-f]{64}-[0-9a-f]{16}\.exig"),
    CONFIGURATIONS: re.compile(rf"{IDENTIFIER.pattern}\.json"),
}


class Compiled:
    """The grammars of a set. An object of its own, so that the store sees when the last connection drops it."""

    def __init__(self, grammars: exi.Grammars) -> None:
        self.grammars = grammars


@dataclass(frozen=True)
class Agreement:
    """What a stream speaks. `contents`: as in a Configuration.
    `settings` carry the operator's limits for what the client sends."""

    settings: Settings
    contents: Mapping[SchemaFile, str]
    configuration_id: str
    compiled: Compiled = field(repr=False)
    set_id: str = ""

    @property
    def schemas(self) -> tuple[SchemaFile, ...]:
        return tuple(sorted(self.contents))

    @property
    def grammars(self) -> exi.Grammars:
        return self.compiled.grammars


@dataclass(frozen=True)
class Known:
    """A schema that is here: the SHA-256 of its file, and the namespaces that it imports."""

    sha256: str
    imports: frozenset[str]


class Store:
    """`folder` is made when it is not there; nobody but its owner may read it. `built_in`: what is known though
    nobody brought it; the product's schemas when None. Raises OSError."""

    def __init__(self, folder: Path, bounds: Bounds, built_in: BuiltIn | None = None) -> None:
        self.bounds = bounds
        self._folder = Folder(folder, KINDS, bounds.store_size)
        self._built_in = product.built_in() if built_in is None else built_in
        self._index = {schema: _known(data) for schema, data in self._built_in.files.items()}
        self._shipped = {
            self._set_id({each: self._index[each] for each in files}): load
            for files, load in self._built_in.sets.items()
        }  # fmt: skip
        self._codec = codec_version()
        self._live: WeakValueDictionary[str, Agreement] = WeakValueDictionary()
        self._live_sets: WeakValueDictionary[str, Compiled] = WeakValueDictionary()
        self._kept: OrderedDict[str, Compiled] = OrderedDict()
        self._refused: OrderedDict[str, str] = OrderedDict()
        self._tasks: dict[str, asyncio.Task[Compiled]] = {}
        self._turn = asyncio.Lock()
        self._unpacking = 0  # uploads that wait for their turn, or are at it
        self.downloader = Downloader(bounds)
        self.can_compile = find_spec("xmlschema") is not None
        if not self.can_compile:
            log.warning("the library xmlschema is not installed: only sets that are compiled already can be agreed on")

    async def close(self) -> None:
        """Ends what is being compiled or looked up."""
        self.downloader.close()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ------------------------------------------------------------------ schemas

    async def add(self, data: bytes) -> SchemaFile:
        """The name of an XSD file that is here from now on, and may have been before. Raises SchemaRefused."""
        if len(data) > self.bounds.schema_size:
            raise SchemaRefused(f"it has more than {self.bounds.schema_size} bytes")
        schema = SchemaFile.of((await asyncio.to_thread(xsdfile.read, data, self.bounds.shape)).namespace, data)
        known = (await self.known([schema])).get(schema)
        if known is None:
            await self._keep(_schema_path(schema), data)
            known = (await self.known([schema])).get(schema)
        if known is not None and known.sha256 != _sha256(data):
            raise SchemaRefused("another file has its namespace, size and MD5, and was first")
        return schema

    async def claim(self, upload: Upload) -> tuple[SchemaFile, Known]:
        """A schema that came as EXI, under the name that its client gives it: for that client. Raises SchemaRefused,
        NotCompiled."""
        if self._unpacking >= self.bounds.compiles_waiting:
            raise NotCompiled("too many schemas are being unpacked")
        self._unpacking += 1
        try:
            async with self._turn:
                data = await unpacked(upload.data, upload.content_type, self.bounds, self._folder.scratch)
        finally:
            self._unpacking -= 1
        xsd = await asyncio.to_thread(xsdfile.read, data, self.bounds.shape)
        schema = SchemaFile(xsd.namespace, upload.size or 0, upload.md5)
        known = (await self.known([schema])).get(schema)
        if known is None:
            known = Known(_sha256(data), xsd.imports)
            await self._keep(_claim_path(schema, known.sha256), data)
        return schema, known

    async def claimed(self, claims: Mapping[SchemaFile, Known]) -> dict[SchemaFile, Known]:
        """Those of `claims` that are still here. Counts as use."""
        paths = {each: _claim_path(each, known.sha256) for each, known in claims.items()}
        here = await asyncio.to_thread(lambda: {each for each, path in paths.items() if self._folder.has(path)})
        return {each: known for each, known in claims.items() if each in here}

    async def _keep(self, path: str, data: bytes) -> None:
        """Raises SchemaRefused."""
        try:
            await asyncio.to_thread(self._folder.add, path, data, self._in_use())
        except Full:
            raise SchemaRefused("the store is full of what is in use") from None
        except OSError as error:
            log.error("a schema cannot be stored: %s", error)
            raise SchemaRefused("it cannot be stored now") from None

    async def known(self, schemas: Iterable[SchemaFile]) -> dict[SchemaFile, Known]:
        """Those of `schemas` that are here. Counts as use."""
        return await asyncio.to_thread(self._known_of, list(schemas))

    def _known_of(self, schemas: list[SchemaFile]) -> dict[SchemaFile, Known]:
        found: dict[SchemaFile, Known] = {}
        for schema in schemas:
            if schema not in self._built_in.files and not (
                schema in self._index and self._folder.has(_schema_path(schema))
            ):
                self._index.pop(schema, None)
                self._read(schema)
            known = self._index.get(schema)
            if known is not None:
                found[schema] = known
        return found

    def _read(self, schema: SchemaFile) -> bytes | None:
        """The file of a schema, which has the name that it stands under."""
        if schema in self._built_in.files:
            return self._built_in.files[schema]
        path = _schema_path(schema)
        data = self._folder.read(path, self.bounds.schema_size)
        if data is None:
            return None
        try:
            if SchemaFile.of(xsdfile.read(data, self.bounds.shape).namespace, data) != schema:
                raise SchemaRefused("it is not the file that its name says")
            self._index[schema] = _known(data, self.bounds.shape)
        except SchemaRefused as error:
            self._folder.set_aside(path, str(error))
            return None
        return data

    # ------------------------------------------------------------------ agreements

    async def agree(self, settings: Settings, schemas: Mapping[SchemaFile, Known]) -> Agreement:
        """The agreement on these, remembered. Raises SchemaRefused when the set is at fault, NotCompiled when not."""
        configuration = Configuration(settings, {each: known.sha256 for each, known in schemas.items()})
        agreement = self._live.get(configuration.identifier)
        if agreement is None:
            set_id = configuration.set_identifier
            agreement = self._agreement(configuration, set_id, await self._grammars(set_id, configuration))
        await self._remember(configuration)
        await asyncio.to_thread(self._use, agreement)
        return agreement

    async def recall(self, configuration_id: str) -> Agreement | None:
        """An earlier agreement, or None when it is forgotten, no longer allowed, or cannot be compiled again."""
        agreement = self._live.get(configuration_id) or await self._restored(configuration_id)
        if agreement is not None:
            await asyncio.to_thread(self._use, agreement)
        return agreement

    async def _restored(self, configuration_id: str) -> Agreement | None:
        configuration = await asyncio.to_thread(self._recorded, configuration_id)
        if configuration is None or self.bounds.lowered(configuration.settings) != configuration.settings:
            return None
        set_id = configuration.set_identifier
        try:
            return self._agreement(configuration, set_id, await self._grammars(set_id, configuration))
        except (SchemaRefused, NotCompiled) as error:
            log.warning("configuration %s is remembered, but of no use: %s", configuration_id, error)
            return None

    def _agreement(self, configuration: Configuration, set_id: str, grammars: Compiled) -> Agreement:
        identifier = configuration.identifier
        options = configuration.settings.options.with_(limits=self.bounds.limits)
        settings = Settings(options, configuration.settings.session_wide)
        made = Agreement(settings, configuration.contents, identifier, grammars, set_id)
        return self._live.setdefault(identifier, made)

    def _recorded(self, identifier: str) -> Configuration | None:
        if not IDENTIFIER.fullmatch(identifier):
            return None
        path = _configuration_path(identifier)
        data = self._folder.read(path, records.MAX_RECORD)
        if data is None:
            return None
        try:
            return records.read(data, identifier)
        except ValueError as error:
            self._folder.set_aside(path, str(error))
            return None

    async def _remember(self, configuration: Configuration) -> None:
        path = _configuration_path(configuration.identifier)
        try:
            if not await asyncio.to_thread(self._folder.has, path):
                await asyncio.to_thread(self._folder.put, path, records.written(configuration), self._in_use())
        except (OSError, Full) as error:
            log.error("a configuration is not remembered: %s", error or "the store is full of what is in use")

    def _use(self, agreement: Agreement) -> None:
        for path in self._paths(agreement):
            self._folder.has(path)

    def _in_use(self) -> set[str]:
        return {path for agreement in list(self._live.values()) for path in self._paths(agreement)}

    def _paths(self, agreement: Agreement) -> set[str]:
        """What has to be here for an agreement to be recalled after a restart."""
        brought = {each: sha for each, sha in agreement.contents.items() if each not in self._built_in.files}
        return {
            _configuration_path(agreement.configuration_id),
            self._grammar_path(agreement.set_id),
            *map(_schema_path, brought),
            *(_claim_path(each, sha256) for each, sha256 in brought.items()),
        }

    # ------------------------------------------------------------------ grammars

    async def _grammars(self, set_id: str, configuration: Configuration) -> Compiled:
        found = self._live_sets.get(set_id)
        if found is None:
            if set_id in self._refused:
                raise SchemaRefused(self._refused[set_id])
            task = self._tasks.get(set_id)
            if task is None:
                if len(self._tasks) >= self.bounds.compiles_waiting:
                    raise NotCompiled("too many sets are being compiled")
                task = self._tasks[set_id] = asyncio.create_task(self._make(set_id, configuration))
                task.add_done_callback(lambda done: self._made(set_id, done))
            found = await asyncio.shield(task)
        self._kept[set_id] = found
        self._kept.move_to_end(set_id)
        while len(self._kept) > self.bounds.grammars_kept:
            self._kept.popitem(last=False)
        return found

    def _made(self, set_id: str, task: asyncio.Task[Compiled]) -> None:
        del self._tasks[set_id]
        if not task.cancelled() and isinstance(error := task.exception(), SchemaRefused):
            self._refused[set_id] = str(error)
            while len(self._refused) > self.bounds.refusals_kept:
                self._refused.popitem(last=False)

    async def _make(self, set_id: str, configuration: Configuration) -> Compiled:
        path = self._grammar_path(set_id)
        try:
            grammars = await asyncio.to_thread(self._shipped.get(set_id) or partial(self._cached, path))
            if grammars is None:
                async with self._turn:
                    grammars = await self._compile(path, configuration)
        except (OSError, exi.SchemaError) as error:
            log.error("a set cannot be compiled or loaded: %s", error)
            raise NotCompiled(str(error)) from None
        made = self._live_sets[set_id] = Compiled(grammars)
        return made

    def _cached(self, path: str) -> exi.Grammars | None:
        data = self._folder.read(path, self.bounds.grammar_size)
        if data is None:
            return None
        try:
            return loads(data)
        except exi.SchemaError as error:
            self._folder.set_aside(path, str(error))
            return None

    async def _compile(self, path: str, configuration: Configuration) -> exi.Grammars:
        if not self.can_compile:
            raise NotCompiled("the library xmlschema is not installed")
        files = await asyncio.to_thread(self._files, configuration)
        data = await compiled(files, self.bounds, self._folder.scratch)
        try:
            await asyncio.to_thread(self._folder.put, path, data, self._in_use())
        except (OSError, Full) as error:
            log.error("a compiled set is not kept: %s", error or "the store is full of what is in use")
        return await asyncio.to_thread(loads, data)

    def _files(self, configuration: Configuration) -> dict[str, bytes]:
        """Namespace → file. Raises NotCompiled when one is no longer here."""
        found = {}
        for schema, sha256 in configuration.contents.items():
            data = self._read(schema)
            if data is None or _sha256(data) != sha256:
                data = self._folder.read(_claim_path(schema, sha256), self.bounds.schema_size)
            if data is None or _sha256(data) != sha256:
                raise NotCompiled(f"the schema {schema.namespace!r} is no longer here")
            found[schema.namespace] = data
        return found

    def _grammar_path(self, set_id: str) -> str:
        return f"{GRAMMARS}/{set_id}-{self._codec}.exig"

    @staticmethod
    def _set_id(schemas: Mapping[SchemaFile, Known]) -> str:
        return records.set_identifier((each.namespace, known.sha256) for each, known in schemas.items())


def _schema_path(schema: SchemaFile) -> str:
    return f"{SCHEMAS}/{records.content_name(schema)}.xsd"


def _claim_path(schema: SchemaFile, sha256: str) -> str:
    return f"{CLAIMS}/{records.claim_name(schema, sha256)}.xsd"


def _configuration_path(identifier: str) -> str:
    return f"{CONFIGURATIONS}/{identifier}.json"


def _known(data: bytes, shape: Shape = Shape()) -> Known:  # noqa: B008  # it is frozen
    return Known(_sha256(data), xsdfile.read(data, shape).imports)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
