"""What the sticker on a thing says to its owner: its tags as a text (XEP-0347 section 3.8) or as an `iotdisco:` URI.

    IoTDisco;SN:394872348732948723;MAN:www.ktc.se;MODEL:IMC;#V:1.2;KEY:4857402340298342
    iotdisco:SN=394872348732948723;MAN=www.ktc.se;MODEL=IMC;#V=1.2;KEY=4857402340298342;R=discovery.example.org

A hash sign makes a tag numeric; semicolons and backslashes of a value follow a backslash. The URI may name the registry
(R). Sources of the URI: Discovery.md of the Neuro-Foundation and the peers that exist, which do not encode anything
by per cents; so neither do we. Such URIs can also be searches, which are refused here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from hub.errors import BadRequest
from hub.stanzas import bounded
from hub.stanzas.provisioning import TagValues
from hub.things.values import to_text

TEXT: Final = "IoTDisco;"
URI: Final = "iotdisco:"
MAX_LENGTH: Final = 20_000  # characters: a thing with all tags there may be, everything escaped, fits

_PIECE = re.compile(r"(?:[^;\\]|\\.)*", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SPECIAL = re.compile(r"([;\\])")
_NOT_IN_TEXT = re.compile(r"[;\\]")
_NOT_IN_URI = re.compile(r"[;\\=<>~]")
_SEARCH = re.compile(r"[^=<>~]*[<>~]")


@dataclass(frozen=True, slots=True)
class Claim:
    """What has to be said to become the owner. `registry`: where, "" when it is not named."""

    tags: TagValues
    registry: str = ""


def encode_text(tags: TagValues) -> str:
    """For a QR code. Raises BadRequest for tags that cannot be registered, or not be written so."""
    return TEXT + ";".join(_encoded(tags, ":", _NOT_IN_TEXT))


def encode_uri(tags: TagValues, registry: str = "") -> str:
    """For a QR code or a link. Raises BadRequest as above."""
    pieces = list(_encoded(tags, "=", _NOT_IN_URI))
    if registry:
        pieces.append("R=" + _SPECIAL.sub(r"\\\1", registry))
    return URI + ";".join(pieces)


def decode(text: str) -> Claim:
    """Either form; line breaks around it do not count. Raises BadRequest, in words for who scanned or typed it."""
    text = text.lstrip().rstrip("\r\n\t")
    if len(text) > MAX_LENGTH:
        raise BadRequest(f"a claim has at most {MAX_LENGTH} characters")
    start = text[: len(TEXT)].lower()
    if start not in (TEXT.lower(), URI):
        raise BadRequest("a claim begins with IoTDisco; or iotdisco:")
    separator = ":" if start == TEXT.lower() else "="
    tags: dict[str, str | Decimal] = {}
    for piece in _pieces(text[len(start) :].removeprefix(";")):
        name, value = _decoded(piece, separator)
        if name in tags:
            raise BadRequest(f"the tag {name} is given twice")
        tags[name] = value
    registry = tags.pop("R", "")
    if not isinstance(registry, str):
        raise BadRequest("the registry (R) is an address, no number")
    return Claim(bounded.checked_tags(tags), registry)


def _encoded(tags: TagValues, separator: str, never: re.Pattern[str]) -> Iterator[str]:
    for name, value in bounded.checked_tags(tags).items():
        if name == "R" or never.search(name):
            raise BadRequest(f"the tag {name} cannot be written into a claim: choose another name")
        number = "#" if isinstance(value, Decimal) else ""
        yield f"{number}{name}{separator}" + _SPECIAL.sub(r"\\\1", to_text(value))


def _pieces(text: str) -> Iterator[str]:
    """What stands between semicolons that follow no backslash."""
    place = 0
    while True:
        match = _PIECE.match(text, place)
        assert match is not None, "the pattern matches the empty text"
        yield match[0]
        place = match.end() + 1
        if place > len(text):
            return
        if text[place - 1] != ";":
            raise BadRequest("a claim does not end with a backslash: is it whole?")


def _decoded(piece: str, separator: str) -> tuple[str, str | Decimal]:
    if separator == "=" and _SEARCH.match(piece):
        raise BadRequest("this URI is a search for things, and claims none")
    name, found, value = piece.partition(separator)
    if not found:
        raise BadRequest(f"{piece[:40]!r} is no tag: a name, {separator!r} and a value")
    numeric = name.startswith("#")
    name = bounded.tag_name(name.removeprefix("#"))
    value = _ESCAPED.sub(r"\1", value)
    return name, bounded.tag_number(name, value) if numeric else value
