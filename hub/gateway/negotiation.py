"""The server's side of the EXI set-up (XEP-0322, "Stream Compression"), one object for each connection.

    OPEN ──set-up agreed──▶ AGREED ──<compress/>──▶ COMPRESSED
      ▲ └──not agreed──┐      │
      └────────────────┴──────┘ any other set-up: the last one counts

Rules of this file
* An answer lists exactly the schemas that the client named, as `schema` or as `missingSchema`, and settings that are
  the client's or lower. There is an agreement when nothing is missing and nothing had to be lowered.
* A schema that imports what the set does not hold is listed as missing: we have it, but as things are we cannot use
  it, and a client that leaves out what is missing gets an agreement. When the set as a whole does not work, nothing is
  missing, and `agreement` is false.
* A set need not hold the schemas of XMPP itself. Elements that no schema of the set knows take EXI's built-in
  grammars, also in strict mode: longer, and right.
* A set-up that makes no sense gets `agreement` false and no settings; an upload that is refused is not stored, which
  the next answer says. What ends the stream, as PeerConfused, is only what would never end: too many of either.
* Deviation: a schema that is uploaded as ExiBody or ExiDocument is known to the connection that brought it and to the
  agreements made of it, not to others: its size and hash are the client's word, which nobody can check.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final
from xml.etree.ElementTree import Element, SubElement

from hub.errors import PeerConfused
from hub.gateway.bounds import Bounds
from hub.gateway.compilation import NotCompiled
from hub.gateway.download import Downloader, DownloadFailed
from hub.gateway.store import Agreement, Known, Store
from hub.gateway.xsdfile import SchemaRefused
from hub.session import exi_setup
from hub.session.exi_setup import Response, SchemaFile, Setup

__all__ = ["Agreement", "Bounds", "Negotiator"]

log = logging.getLogger(__name__)

UNSUPPORTED_METHOD: Final = "unsupported-method"
SETUP_FAILED: Final = "setup-failed"

# "Default Payload Encoding Options for EXI/XMPP": as attributes, and what has none (EXI Profile)
ALTERNATIVE_DEFAULTS: Final = {"strict": "true", "valueMaxLength": "64", "valuePartitionCapacity": "64"}
ALTERNATIVE_PROFILE: Final = {
    "local_value_partitions": False, "max_builtin_element_grammars": 0, "max_builtin_productions": 0,
}  # fmt: skip


class Negotiator:
    """Its questions are answered one after the other.

    `agreed`: what the last set-up came to, None when to nothing. `agreement`: the same once the client was told that
    compression begins. Where a new stream follows the set-up at once (the alternative binding) it is `agreed` that
    counts. `downloader`: the store's when None. `alternative`: whether this is the alternative binding, where a set-up
    that does not mention an option means another default."""

    def __init__(
        self, store: Store, bounds: Bounds, downloader: Downloader | None = None, *, alternative: bool = False
    ) -> None:
        self.agreed: Agreement | None = None
        self.agreement: Agreement | None = None
        self._store = store
        self._bounds = bounds
        self._downloader = downloader or store.downloader
        self._alternative = alternative
        self._counts: Counter[str] = Counter()
        self._claims: dict[SchemaFile, Known] = {}
        self._answers: Mapping[str, Callable[[Element], Awaitable[Element | None]]] = {
            exi_setup.SETUP: self._set_up,
            exi_setup.UPLOAD_SCHEMA: self._upload,
            exi_setup.DOWNLOAD_SCHEMA: self._download,
            exi_setup.COMPRESS_REQUEST: self._compress,
        }

    def handles(self, element: Element) -> bool:
        """Whether `answer` is for this element."""
        return element.tag in self._answers

    async def answer(self, element: Element) -> Element | None:
        """What to send back, if anything. Raises PeerConfused for what must end the stream."""
        if not self.handles(element):
            raise PeerConfused(f"{element.tag[:100]!r} is no part of the set-up of EXI")
        return await self._answers[element.tag](element)

    # ------------------------------------------------------------------ set-up

    async def _set_up(self, element: Element) -> Element:
        self._count("set-ups", self._bounds.setups_per_connection)
        self.agreed = None
        try:
            setup = _with_defaults(element) if self._alternative else exi_setup.read_setup(element)
            if len(setup.schemas) > self._bounds.schemas_per_set:
                raise PeerConfused(f"a set has at most {self._bounds.schemas_per_set} schemas")
        except PeerConfused as error:
            log.info("a set-up makes no sense: %s", error)
            return exi_setup.response_element(Response(False))
        response = await (self._recall(setup) if setup.quick else self._propose(setup))
        answer = exi_setup.response_element(response)
        if self._alternative and response.settings is not None and not response.settings.options.strict:
            answer.set("strict", "false")
        return answer

    async def _recall(self, setup: Setup) -> Response:
        """A `configuration_location` names nothing here: no configuration is put here by hand."""
        if setup.configuration_id:
            self.agreed = await self._store.recall(setup.configuration_id)
        return Response(self.agreed is not None, configuration_id=setup.configuration_id)

    async def _propose(self, setup: Setup) -> Response:
        settings = self._bounds.lowered(setup.settings)
        claims = {each: self._claims[each] for each in setup.schemas if each in self._claims}
        known = await self._store.claimed(claims) | await self._store.known(setup.schemas)
        namespaces = {each.namespace for each in setup.schemas}
        usable = {each for each in known if known[each].imports <= namespaces}
        self._say_unusable(known, usable)
        schemas = tuple(each for each in setup.schemas if each in usable)
        missing = tuple(each for each in setup.schemas if each not in usable)
        if not missing and settings == setup.settings:
            try:
                _check_namespaces(known)
                self.agreed = await self._store.agree(settings, known)
            except (SchemaRefused, NotCompiled) as error:
                log.info("no agreement on a set of %d schemas: %s", len(known), error)
        agreed = self.agreed
        return Response(agreed is not None, settings, schemas, missing, agreed.configuration_id if agreed else "")

    @staticmethod
    def _say_unusable(known: Mapping[SchemaFile, Known], usable: set[SchemaFile]) -> None:
        for each in known.keys() - usable:
            log.info("the schema %r is here, but what it imports is not in the set", each.namespace)

    # ------------------------------------------------------------------ schemas

    async def _upload(self, element: Element) -> None:
        self._count("schemas", self._bounds.uploads_per_connection)
        try:
            if not self._bounds.uploads:
                raise SchemaRefused("uploads are off")
            upload = exi_setup.read_upload(element, self._bounds.schema_size)
            if upload.content_type == "Text":
                schema = await self._store.add(upload.data)
            else:
                schema, self._claims[schema] = await self._store.claim(upload)
        except (PeerConfused, SchemaRefused, NotCompiled) as error:
            log.info("an uploaded schema is not stored: %s", error)
        else:
            log.info("a schema for %r has been uploaded (%d bytes)", schema.namespace, schema.size)

    async def _download(self, element: Element) -> Element:
        self._count("schemas", self._bounds.uploads_per_connection)
        url = element.get("url", "")
        try:
            schema = await self._store.add(await self._downloader.fetch(url))
        except DownloadFailed as error:
            log.info("%r is not downloaded: %s", url[:200], error)
            return _not_downloaded(url, error.condition, error.attributes)
        except SchemaRefused as error:
            log.info("what is at %r is not stored: %s", url[:200], error)
            return _not_downloaded(url, "error", {"message": f"Not stored: {error}."})
        log.info("a schema for %r has been downloaded (%d bytes)", schema.namespace, schema.size)
        return Element(exi_setup.DOWNLOAD_RESPONSE, url=url, result="true")

    # ------------------------------------------------------------------ compress

    async def _compress(self, element: Element) -> Element:
        if not exi_setup.wants_exi(element):
            return _failure(UNSUPPORTED_METHOD)
        if self.agreed is None:
            return _failure(SETUP_FAILED)
        self.agreement = self.agreed
        return Element(exi_setup.COMPRESSED)

    def _count(self, what: str, most: int) -> None:
        self._counts[what] += 1
        if self._counts[what] > most:
            raise PeerConfused(f"more than {most} {what} on one connection")


def _with_defaults(element: Element) -> Setup:
    """A set-up where what it does not mention has the default of the alternative binding. Raises PeerConfused."""
    setup = exi_setup.read_setup(element)
    if setup.quick:
        return setup
    full = Element(element.tag, {**ALTERNATIVE_DEFAULTS, **element.attrib})
    full.extend(element)
    setup = exi_setup.read_setup(full)
    options = setup.settings.options.with_(**ALTERNATIVE_PROFILE)
    return replace(setup, settings=replace(setup.settings, options=options))


def _check_namespaces(schemas: Mapping[SchemaFile, Known]) -> None:
    twice = [name for name, count in Counter(each.namespace for each in schemas).items() if count > 1]
    if twice:
        raise SchemaRefused(f"two schemas are for {twice[0]!r}")


def _not_downloaded(url: str, condition: str, attributes: Mapping[str, str]) -> Element:
    response = Element(exi_setup.DOWNLOAD_RESPONSE, url=url, result="false")
    SubElement(response, f"{{{exi_setup.EXI}}}{condition}", dict(attributes))
    return response


def _failure(condition: str) -> Element:
    failure = Element(exi_setup.COMPRESS_FAILURE)
    SubElement(failure, f"{{{exi_setup.COMPRESS}}}{condition}")
    return failure
