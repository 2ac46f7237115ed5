"""Reading attributes and children without surprises. A peer's XML is never trusted: what is malformed is a
BadRequest that names it, what is unknown is passed over."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from hub.errors import BadRequest
from hub.things.model import NodeRef, Tokens
from hub.things.values import parse_datetime

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def local(element: Element) -> str:
    """The name without its namespace."""
    return element.tag.rpartition("}")[2]


def namespace(element: Element) -> str:
    return element.tag[1:].partition("}")[0] if element.tag.startswith("{") else ""


def children(element: Element) -> Iterator[tuple[str, Element]]:
    """Children in the element's own namespace with their local names; foreign ones are extensions we do not know."""
    prefix = "{" + namespace(element) + "}"
    for child in element:
        if isinstance(child.tag, str) and child.tag.startswith(prefix):
            yield child.tag[len(prefix) :], child


def required(element: Element, name: str) -> str:
    value = element.get(name)
    if value is None:
        raise BadRequest(f"<{local(element)}/> lacks the attribute {name!r}")
    return value


def flag(element: Element, name: str) -> bool:
    """An xs:boolean attribute, false when it is not there."""
    text = element.get(name)
    if text is None:
        return False
    try:
        return _BOOLEANS[text.strip()]
    except KeyError:
        raise BadRequest(f"{name}={text[:40]!r} is not true or false") from None


def moment(element: Element, name: str) -> dt.datetime | None:
    """An xs:dateTime attribute. One without a zone is in the zone of this machine (XEP-0323 section 5.1)."""
    text = element.get(name)
    if text is None:
        return None
    try:
        value = parse_datetime(text)
    except ValueError as error:
        raise BadRequest(f"{name}: {error}") from None
    try:
        return value if value.tzinfo else value.astimezone()
    except (OverflowError, OSError, ValueError):
        raise BadRequest(f"{name}={text[:40]!r} is beyond the calendar") from None


def node_ref(element: Element, names: tuple[str, str, str]) -> NodeRef:
    node_id, source_id, cache_type = names
    return NodeRef(required(element, node_id), element.get(source_id, ""), element.get(cache_type, ""))


def put_node(element: Element, node: NodeRef, names: tuple[str, str, str]) -> None:
    for name, value in zip(names, (node.node_id, node.source_id, node.cache_type), strict=True):
        if value or name == names[0]:
            element.set(name, value)


def tokens(element: Element, names: tuple[str, str, str]) -> Tokens:
    return Tokens(*(element.get(name, "") for name in names))


def put_tokens(element: Element, shown: Tokens, names: tuple[str, str, str]) -> None:
    for name, value in zip(names, (shown.service, shown.device, shown.user), strict=True):
        if value:
            element.set(name, value)
