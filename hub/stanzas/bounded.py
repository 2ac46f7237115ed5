"""What provisioning and discovery take from strangers, and how much of it. Beyond a limit it is a BadRequest that
names the limit.

The texts bound the tags only (XEP-0347 section "Meta Tags"); RFC 7622 bounds JIDs; the rest is ours, far above what
their examples need and below what hurts a small machine.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sized
from decimal import Decimal
from typing import Final
from xml.etree.ElementTree import Element, SubElement

from devices.base import ValueType
from hub.errors import BadRequest
from hub.stanzas import xml
from hub.stanzas.provisioning import MAX_TAG_NAME, MAX_TAG_VALUE, TagValues
from hub.things.model import NodeRef, Tokens
from hub.things.questions import bare
from hub.things.values import is_legal, parse_text, to_text

MAX_JID: Final = 3071  # characters; RFC 7622 says bytes: 1023 for each part, and two separators
MAX_ID: Final = 1024  # characters in each part of a node's address
MAX_NAME: Final = 256  # characters in the name of a field or parameter
MAX_NODES: Final = 1000  # in one question or answer, as in a readout
MAX_NAMES: Final = 1000  # in one question or answer
MAX_TOKENS: Final = 16  # in one attribute, separated by spaces (XEP-0324 section 3.1.5)
MAX_TOKEN: Final = 512  # characters
MAX_TAGS: Final = 64  # of one thing; the text predefines 22

_BARE = re.compile(r"(?:[^\s@/]{1,1023}@)?[^\s@/]{1,1023}")
_INTEGER = re.compile(r"[+-]?\d{1,10}", re.ASCII)
_NO_TAG_NAME = re.compile(r"[:#\s]")


def text(element: Element, name: str, limit: int) -> str:
    """An attribute that has to be there and not to be empty."""
    value = xml.required(element, name)
    if not value or len(value) > limit:
        raise BadRequest(f"{name!r} of <{xml.local(element)}/> has 1 to {limit} characters")
    return value


def jid(element: Element, name: str = "jid") -> str:
    """An address without its resource, which does not count (XEP-0324 section 3.2.1), in lower case."""
    address = bare(text(element, name, MAX_JID))
    if not _BARE.fullmatch(address):
        raise BadRequest(f"{name}={address[:60]!r} is no JID")
    return address


def number(element: Element, name: str, lowest: int, highest: int) -> int:
    """A whole number that has to be there."""
    value = xml.required(element, name).strip()
    if not _INTEGER.fullmatch(value) or not lowest <= int(value) <= highest:
        raise BadRequest(f"{name}={value[:40]!r} is not a whole number from {lowest} to {highest}")
    return int(value)


def answer(element: Element, name: str) -> bool:
    """A boolean that has to be there."""
    xml.required(element, name)
    return xml.flag(element, name)


def tokens(element: Element, names: tuple[str, str, str]) -> Tokens:
    shown = xml.tokens(element, names)
    for each in (shown.service, shown.device, shown.user):
        parts = each.split(maxsplit=MAX_TOKENS)
        if len(parts) > MAX_TOKENS or any(len(part) > MAX_TOKEN for part in parts):
            raise BadRequest(f"at most {MAX_TOKENS} tokens of {MAX_TOKEN} characters can be shown at once")
    return shown


def node(element: Element, names: tuple[str, str, str]) -> NodeRef:
    """The address of a node; without attributes it is the thing itself."""
    values = [element.get(name, "") for name in names]
    if any(len(value) > MAX_ID for value in values):
        raise BadRequest(f"each part of a node's address has at most {MAX_ID} characters")
    return NodeRef(*values)


def put_node(element: Element, node: NodeRef, names: tuple[str, str, str]) -> None:
    for name, value in zip(names, (node.node_id, node.source_id, node.cache_type), strict=True):
        if value:
            element.set(name, value)


def binary(element: Element, limit: int) -> bytes:
    """The base64 content of an element (xs:base64Binary: white space may stand in it); `limit` in characters."""
    content = element.text or ""
    if len(content) > 2 * limit:
        raise BadRequest(f"<{xml.local(element)}/> holds at most {limit} characters of base64")
    content = "".join(content.split())
    if not content or len(content) > limit or len(element):
        raise BadRequest(f"<{xml.local(element)}/> holds 1 to {limit} characters of base64")
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest(f"what <{xml.local(element)}/> holds is not base64") from None


def put_binary(element: Element, data: bytes) -> Element:
    element.text = base64.b64encode(data).decode("ascii")
    return element


def count(items: Sized, limit: int, what: str) -> None:
    if len(items) > limit:
        raise BadRequest(f"at most {limit} {what} can be named at once")


# --------------------------------------------------------------------------- tags


def tag_name(name: str) -> str:
    """In upper case, in which names are compared. Raises BadRequest."""
    upper = name.upper()
    if not 1 <= len(upper) <= MAX_TAG_NAME or _NO_TAG_NAME.search(upper) or not is_legal(upper):
        raise BadRequest(
            f"the name of a tag has 1 to {MAX_TAG_NAME} characters, no colon, hash sign or white space: {name[:40]!r}"
        )
    return upper


def tag_value(name: str, value: str | Decimal) -> str | Decimal:
    """A value as it may be sent. Raises BadRequest."""
    if isinstance(value, Decimal):
        return tag_number(name, str(value))
    if len(value) > MAX_TAG_VALUE or not is_legal(value):
        raise BadRequest(f"the value of the tag {name} has at most {MAX_TAG_VALUE} characters, without controls")
    return value


def tag_number(name: str, text: str) -> Decimal:
    """With as many decimals as are written. Raises BadRequest."""
    try:
        value = parse_text(ValueType.NUMERIC, text)
    except ValueError as error:
        raise BadRequest(f"the tag {name}: {error}") from None
    assert isinstance(value, Decimal)
    return value


def checked_tags(values: TagValues) -> dict[str, str | Decimal]:
    """Tags by upper-case names, each within the bounds of the text. Raises BadRequest."""
    found: dict[str, str | Decimal] = {}
    for name, value in values.items():
        _add(found, name, value)
    return found


def tags(element: Element) -> dict[str, str | Decimal]:
    """`<str/>` and `<num/>`, the same in all dialects. A tag that is given twice is refused, not guessed at."""
    found: dict[str, str | Decimal] = {}
    for kind, child in xml.children(element):
        if kind not in ("str", "num"):
            continue
        name, value = xml.required(child, "name"), xml.required(child, "value")
        _add(found, name, value if kind == "str" else tag_number(name[:40], value))
    return found


def put_tags(element: Element, values: Mapping[str, str | Decimal]) -> None:
    prefix = "{" + xml.namespace(element) + "}"
    for name, value in checked_tags(values).items():
        kind = "num" if isinstance(value, Decimal) else "str"
        SubElement(element, prefix + kind, name=name, value=to_text(value))


def _add(found: dict[str, str | Decimal], name: str, value: str | Decimal) -> None:
    upper = tag_name(name)
    if upper in found:
        raise BadRequest(f"the tag {upper} is given twice")
    if len(found) == MAX_TAGS:
        raise BadRequest(f"a thing has at most {MAX_TAGS} tags")
    found[upper] = tag_value(upper, value)
