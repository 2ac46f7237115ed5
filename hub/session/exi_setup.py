"""What two ends of a stream agree on before they speak EXI (XEP-0322 version 0.6), as values and as XML.

Rules of this file
* Sans-IO, and of neither role: the node's side of the exchange is `exi_client`, the gateway's is in `hub.gateway`.
* What came from the peer and makes no sense is a PeerConfused that names it; nothing is guessed.
* A schema is known by namespace, size and MD5 (section "Proposing compression parameters"). MD5 names a file here and
  protects nothing: a file that is uploaded under a name it does not have is stored under its own.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.etree.ElementTree import Element, SubElement

from hub import exi
from hub.errors import PeerConfused

EXI: Final = "http://jabber.org/protocol/compress/exi"
COMPRESS: Final = "http://jabber.org/protocol/compress"  # XEP-0138, the protocol
COMPRESS_FEATURE: Final = "http://jabber.org/features/compress"  # XEP-0138, the stream feature
METHOD: Final = "exi"

SETUP: Final = f"{{{EXI}}}setup"
SETUP_RESPONSE: Final = f"{{{EXI}}}setupResponse"
SCHEMA: Final = f"{{{EXI}}}schema"
MISSING_SCHEMA: Final = f"{{{EXI}}}missingSchema"
REPRESENTATION: Final = f"{{{EXI}}}datatypeRepresentationMap"
UPLOAD_SCHEMA: Final = f"{{{EXI}}}uploadSchema"
DOWNLOAD_SCHEMA: Final = f"{{{EXI}}}downloadSchema"
DOWNLOAD_RESPONSE: Final = f"{{{EXI}}}downloadSchemaResponse"
STREAM_START: Final = f"{{{EXI}}}streamStart"
STREAM_END: Final = f"{{{EXI}}}streamEnd"
COMPRESS_REQUEST: Final = f"{{{COMPRESS}}}compress"
COMPRESSED: Final = f"{{{COMPRESS}}}compressed"
COMPRESS_FAILURE: Final = f"{{{COMPRESS}}}failure"

MAX_SCHEMAS: Final = 200
MAX_TEXT: Final = 1_000  # characters of a namespace or an identifier
LARGEST: Final = 2**32 - 1  # xs:positiveInteger has no bound; the options document of EXI has this one

CONTENT_TYPES: Final = ("Text", "ExiBody", "ExiDocument")
PRESERVE: Final[Mapping[str, str]] = {
    "preserveComments": "comments",
    "preservePIs": "pis",
    "preserveDTD": "dtd",
    "preservePrefixes": "prefixes",
    "preserveLexical": "lexical",
}
# The text says "byte-alignment" where EXI says byte-packed, and makes compression a flag beside it.
ALIGNMENTS: Final[Mapping[str, str]] = {
    "bit-packed": "bit-packed",
    "byte-alignment": "byte-packed",
    "pre-compression": "pre-compression",
}
_BOOLEANS: Final[Mapping[str, bool]] = {"true": True, "1": True, "false": False, "0": False}
_MD5: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, order=True)
class SchemaFile:
    """One XSD file, as both ends name it. `size` in bytes; `md5` in lower-case hexadecimal."""

    namespace: str
    size: int
    md5: str

    @classmethod
    def of(cls, namespace: str, data: bytes) -> SchemaFile:
        return cls(namespace, len(data), hashlib.md5(data, usedforsecurity=False).hexdigest())

    def __str__(self) -> str:
        return f"{self.namespace} ({self.size} bytes, MD5 {self.md5})"


@dataclass(frozen=True)
class Settings:
    """The EXI options of a stream and XEP-0322's own: whether tables live as long as the session."""

    options: exi.Options = field(default_factory=exi.Options)
    session_wide: bool = False

    def lowered_to(self, bounds: Settings) -> Settings:
        """These settings within `bounds`, which only lower: sizes shrink, what is not allowed is switched off."""
        mine, theirs = self.options, bounds.options
        options = mine.with_(
            value_max_length=_smaller(mine.value_max_length, theirs.value_max_length),
            value_partition_capacity=_smaller(mine.value_partition_capacity, theirs.value_partition_capacity),
            block_size=min(mine.block_size, theirs.block_size),
            preserve=mine.preserve & theirs.preserve,
            self_contained=(),
            datatype_representations={},
        )
        return Settings(options, self.session_wide and bounds.session_wide)

    def allows(self, other: Settings) -> bool:
        """Whether `other` is what an answer to these settings may hold: nothing raised, nothing added."""
        return other.lowered_to(self) == other and (
            (other.options.alignment, other.options.strict) == (self.options.alignment, self.options.strict)
        )


def _smaller(one: int | None, other: int | None) -> int | None:
    """The lower of two bounds, of which None is none."""
    return other if one is None else one if other is None else min(one, other)


@dataclass(frozen=True)
class Setup:
    """`<setup/>`: either a proposal, or only the name of an earlier agreement (`configuration_id`, or the name of one
    that the server keeps in a place of its own, `configuration_location`)."""

    settings: Settings = field(default_factory=Settings)
    schemas: tuple[SchemaFile, ...] = ()
    configuration_id: str = ""
    configuration_location: str = ""

    @property
    def quick(self) -> bool:
        return bool(self.configuration_id or self.configuration_location)


@dataclass(frozen=True)
class Response:
    """`<setupResponse/>`. The answer to a quick set-up names neither settings nor schemas: `settings` is None."""

    agreement: bool
    settings: Settings | None = None
    schemas: tuple[SchemaFile, ...] = ()
    missing: tuple[SchemaFile, ...] = ()
    configuration_id: str = ""


@dataclass(frozen=True)
class Upload:
    """`<uploadSchema/>`. `size` and `md5` of the XSD file, required when `data` is EXI."""

    data: bytes
    content_type: str = "Text"
    size: int | None = None
    md5: str = ""


# ---------------------------------------------------------------------------------------------- to XML


def setup_element(setup: Setup) -> Element:
    if setup.configuration_id:
        return Element(SETUP, configurationId=setup.configuration_id)
    if setup.configuration_location:
        return Element(SETUP, configurationLocation=setup.configuration_location)
    element = Element(SETUP, _attributes(setup.settings))
    _append_representations(element, setup.settings)
    _append_schemas(element, SCHEMA, setup.schemas)
    return element


def response_element(response: Response) -> Element:
    attributes = {"agreement": "true" if response.agreement else "false"}
    if response.configuration_id:
        attributes["configurationId"] = response.configuration_id
    if response.settings is None:
        return Element(SETUP_RESPONSE, attributes)
    element = Element(SETUP_RESPONSE, _attributes(response.settings) | attributes)
    _append_representations(element, response.settings)
    _append_schemas(element, SCHEMA, response.schemas)
    _append_schemas(element, MISSING_SCHEMA, response.missing)
    return element


def upload_element(upload: Upload) -> Element:
    element = Element(UPLOAD_SCHEMA, contentType=upload.content_type)
    if upload.size is not None:
        element.set("bytes", str(upload.size))
    if upload.md5:
        element.set("md5Hash", upload.md5)
    element.text = base64.b64encode(upload.data).decode()
    return element


def compress_element() -> Element:
    element = Element(COMPRESS_REQUEST)
    SubElement(element, f"{{{COMPRESS}}}method").text = METHOD
    return element


def failure_element(condition: str) -> Element:
    """Compression does not begin, for one of the reasons of XEP-0138."""
    element = Element(COMPRESS_FAILURE)
    SubElement(element, f"{{{COMPRESS}}}{condition}")
    return element


def stream_start(attributes: Mapping[str, str], prefixes: Mapping[str, str] | None = None) -> Element:
    """What stands for the opening tag of a stream. `attributes` in Clark notation; `prefixes`: those that the text of
    the stream would declare, which only matter where prefixes are preserved."""
    element = Element(STREAM_START, dict(attributes))
    for prefix, namespace in (prefixes or {}).items():
        SubElement(element, f"{{{EXI}}}xmlns", prefix=prefix, namespace=namespace)
    return element


def _attributes(settings: Settings) -> dict[str, str]:
    """The attribute group Options, without what has its default."""
    options = settings.options
    found: dict[str, str] = {"version": "1"}
    if options.alignment == "compression":
        found["compression"] = "true"
    elif options.alignment != "bit-packed":
        found["alignment"] = next(name for name, ours in ALIGNMENTS.items() if ours == options.alignment)
    if options.strict:
        found["strict"] = "true"
    found |= {name: "true" for name, ours in PRESERVE.items() if ours in options.preserve}
    if options.block_size != exi.Options().block_size:
        found["blockSize"] = str(options.block_size)
    # xs:positiveInteger: a bound of nothing cannot be said, and 1 is next to it
    if options.value_max_length is not None:
        found["valueMaxLength"] = str(max(1, options.value_max_length))
    if options.value_partition_capacity is not None:
        found["valuePartitionCapacity"] = str(max(1, options.value_partition_capacity))
    if settings.session_wide:
        found["sessionWideBuffers"] = "true"
    return found


def _append_representations(element: Element, settings: Settings) -> None:
    for name, representation in settings.options.datatype_representations.items():
        SubElement(element, REPRESENTATION, type=name, representAs=representation)


def _append_schemas(element: Element, tag: str, schemas: Iterable[SchemaFile]) -> None:
    for each in schemas:
        SubElement(element, tag, ns=each.namespace, bytes=str(each.size), md5Hash=each.md5)


# ---------------------------------------------------------------------------------------------- from XML


def read_setup(element: Element) -> Setup:
    """Raises PeerConfused."""
    identifier = _text(element, "configurationId")
    location = _text(element, "configurationLocation")
    if identifier or location:
        if len(element.attrib) > 1 or len(element):
            raise PeerConfused("a set-up by its configuration names nothing beside it")
        return Setup(configuration_id=identifier, configuration_location=location)
    return Setup(_settings(element), _schemas(element, SCHEMA))


def read_response(element: Element) -> Response:
    """Raises PeerConfused."""
    agreement = _flag(element, "agreement")
    identifier = _text(element, "configurationId")
    if not len(element) and not set(element.attrib) - {"agreement", "configurationId", "configurationLocation"}:
        return Response(agreement, configuration_id=identifier)
    schemas, missing = _schemas(element, SCHEMA), _schemas(element, MISSING_SCHEMA)
    return Response(agreement, _settings(element), schemas, missing, identifier)


def read_upload(element: Element, largest: int) -> Upload:
    """`largest`: bytes that an upload may have. Raises PeerConfused."""
    content_type = element.get("contentType", "Text")
    if content_type not in CONTENT_TYPES:
        raise PeerConfused(f"contentType={content_type[:40]!r} is none of {', '.join(CONTENT_TYPES)}")
    text = "".join((element.text or "").split())
    if len(text) > largest // 3 * 4 + 4:
        raise PeerConfused(f"an uploaded schema has at most {largest} bytes")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise PeerConfused("an uploaded schema is base64") from None
    md5 = element.get("md5Hash", "")
    if md5 and not _MD5.fullmatch(md5):
        raise PeerConfused("md5Hash is 32 hexadecimal digits in lower case")
    size = _number(element, "bytes")
    if content_type != "Text" and not (md5 and size):
        raise PeerConfused(f"an upload of {content_type} says bytes and md5Hash of the file")
    return Upload(data, content_type, size, md5)


def wants_exi(compress: Element) -> bool:
    """Whether a `<compress/>` asks for this method."""
    return (compress.findtext(f"{{{COMPRESS}}}method") or "").strip() == METHOD


def offered_methods(features: Element) -> list[str]:
    """The compression methods in `<stream:features/>`."""
    return [
        (method.text or "").strip()
        for method in features.iterfind(f"{{{COMPRESS_FEATURE}}}compression/{{{COMPRESS_FEATURE}}}method")
    ]


def _settings(element: Element) -> Settings:
    version = _number(element, "version")
    if version not in (None, 1):
        raise PeerConfused(f"version={version}: only version 1 of EXI is known")
    name = element.get("alignment", "bit-packed")
    if name not in ALIGNMENTS:
        raise PeerConfused(f"alignment={name[:40]!r} is none of {', '.join(ALIGNMENTS)}")
    if _flag(element, "selfContained"):
        raise PeerConfused("selfContained names no elements here, so it cannot be agreed on")
    representations = {
        each.get("type", "")[:MAX_TEXT]: each.get("representAs", "")[:MAX_TEXT]
        for each in element.findall(REPRESENTATION)[:MAX_SCHEMAS]
    }
    try:
        options = exi.Options(
            alignment="compression" if _flag(element, "compression") else ALIGNMENTS[name],
            strict=_flag(element, "strict"),
            preserve=frozenset(ours for theirs, ours in PRESERVE.items() if _flag(element, theirs)),
            datatype_representations=representations,
            block_size=_number(element, "blockSize") or exi.Options().block_size,
            value_max_length=_number(element, "valueMaxLength"),
            value_partition_capacity=_number(element, "valuePartitionCapacity"),
        )
    except exi.SchemaError as error:
        raise PeerConfused(f"these options do not go together: {error}") from None
    return Settings(options, _flag(element, "sessionWideBuffers"))


def _schemas(element: Element, tag: str) -> tuple[SchemaFile, ...]:
    found = element.findall(tag)
    if len(found) > MAX_SCHEMAS:
        raise PeerConfused(f"a set has at most {MAX_SCHEMAS} schemas")
    return tuple(_schema(each) for each in found)


def _schema(element: Element) -> SchemaFile:
    size, md5 = _number(element, "bytes"), element.get("md5Hash", "")
    if size is None or not _MD5.fullmatch(md5):
        raise PeerConfused("a schema is named by ns, bytes and md5Hash (32 hexadecimal digits in lower case)")
    return SchemaFile(_text(element, "ns"), size, md5)


def _text(element: Element, name: str) -> str:
    value = element.get(name, "")
    if len(value) > MAX_TEXT:
        raise PeerConfused(f"{name} has at most {MAX_TEXT} characters")
    return value


def _flag(element: Element, name: str) -> bool:
    value = element.get(name, "false").strip()
    if value not in _BOOLEANS:
        raise PeerConfused(f"{name}={value[:40]!r} is not true or false")
    return _BOOLEANS[value]


def _number(element: Element, name: str) -> int | None:
    """An xs:positiveInteger, None when it is not there."""
    value = element.get(name)
    if value is None:
        return None
    digits = value.strip().removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 20 and 1 <= int(digits) <= LARGEST):
        raise PeerConfused(f"{name}={value[:40]!r} is not a number from 1 to {LARGEST}")
    return int(digits)
