"""XEP-0347 (version 0.5), `urn:xmpp:iot:discovery`: registering, claiming, updating, finding and disowning things.

Deviations: JIDs of things are bare in what is read and written; three examples (claiming, removing and disowning
behind a concentrator) have a resource, which the prose around them rules out. `claimed` without `public` means a public
thing, as in the examples and the prose; the schema's default is false. An operator of a search that is not known is
refused: passed over, it would find more than was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final
from xml.etree.ElementTree import Element, SubElement

from hub.errors import BadRequest, NotSupported
from hub.stanzas import bounded, xml
from hub.stanzas.provisioning import DiscoveryRequest, FoundThing, SearchQuery, SearchTerm, TagValues
from hub.stanzas.sensor_data_xmpp import NODE
from hub.things.model import NodeRef
from hub.things.questions import bare
from hub.things.values import to_text

NAMESPACE = "urn:xmpp:iot:discovery"

MAX_TERMS: Final = 32  # in one search
MAX_TERM_VALUE: Final = 512  # characters: a mask or an expression may be longer than what it finds
MAX_WILDCARD: Final = 16  # characters
MAX_FOUND: Final = 1000  # things in one answer
MAX_OFFSET: Final = (1 << 31) - 1

COMPARISONS = ("Eq", "NEq", "Gt", "GtEq", "Lt", "LtEq")
RANGES = ("Range", "NRange")
OPERATORS = frozenset({kind + name for kind in ("str", "num") for name in COMPARISONS + RANGES} | {"strMask"})

_OF_JID = frozenset({DiscoveryRequest.REMOVE, DiscoveryRequest.DISOWN})
_OF_NODE = _OF_JID | {DiscoveryRequest.REMOVED, DiscoveryRequest.UNREGISTER, DiscoveryRequest.DISOWNED}


class Discovery:
    """The codec of one dialect of discovery: this one's words by default, another's by other tables
    (`discovery_nf`)."""

    namespace = NAMESPACE
    node_names = NODE
    operators = OPERATORS
    always_says_public = False
    """Whether `claimed` says `public` also where it is true."""
    names_owner = True
    """Whether what a search finds names its owner."""

    def __init__(self) -> None:
        self.requests: Mapping[str, DiscoveryRequest] = {self._tag(kind.value): kind for kind in DiscoveryRequest}

    # ------------------------------------------------------------------ registering and claiming

    def encode_register(self, node: NodeRef, tags: TagValues, *, self_owned: bool) -> Element:
        element = self._element(DiscoveryRequest.REGISTER, node)
        if self_owned:
            element.set("selfOwned", "true")
        bounded.put_tags(element, tags)
        return element

    def decode_register(self, element: Element) -> tuple[NodeRef, dict[str, str | Decimal], bool]:
        self._expect(element, DiscoveryRequest.REGISTER)
        return bounded.node(element, self.node_names), bounded.tags(element), xml.flag(element, "selfOwned")

    def encode_mine(self, tags: TagValues, *, public: bool) -> Element:
        element = Element(self._tag("mine"))
        if not public:
            element.set("public", "false")
        bounded.put_tags(element, tags)
        return element

    def decode_mine(self, element: Element) -> tuple[dict[str, str | Decimal], bool]:
        self._expect(element, DiscoveryRequest.MINE)
        return bounded.tags(element), _public(element)

    def encode_claimed(self, jid: str, node: NodeRef, *, public: bool = True) -> Element:
        element = self._element(DiscoveryRequest.CLAIMED, node, jid)
        if self.always_says_public or not public:
            element.set("public", "true" if public else "false")
        return element

    def decode_claimed(self, element: Element) -> tuple[str, NodeRef, bool]:
        """The JID is the owner's where a thing is told, the thing's where its owner is."""
        self._expect(element, DiscoveryRequest.CLAIMED)
        return bounded.jid(element), bounded.node(element, self.node_names), _public(element)

    # ------------------------------------------------------------------ what is about one thing, and nothing else

    def encode_node(self, request: DiscoveryRequest, node: NodeRef, jid: str = "") -> Element:
        if request not in _OF_NODE or (request in _OF_JID) != bool(jid):
            raise ValueError(f"<{request.value}/> is not made of this")
        return self._element(request, node, jid)

    def decode_node(self, element: Element) -> tuple[str, NodeRef]:
        """The JID is "" where the dialect has none (removed, unregister, disowned)."""
        self._expect(element, *_OF_NODE)
        jid = bounded.jid(element) if self.requests[element.tag] in _OF_JID else ""
        return jid, bounded.node(element, self.node_names)

    def encode_update(self, jid: str, node: NodeRef, tags: TagValues) -> Element:
        element = self._element(DiscoveryRequest.UPDATE, node, jid)
        bounded.put_tags(element, tags)
        return element

    def decode_update(self, element: Element) -> tuple[str, NodeRef, dict[str, str | Decimal]]:
        self._expect(element, DiscoveryRequest.UPDATE)
        jid = bounded.jid(element) if "jid" in element.attrib else ""
        return jid, bounded.node(element, self.node_names), bounded.tags(element)

    # ------------------------------------------------------------------ searches

    def encode_search(self, search: SearchQuery) -> Element:
        element = Element(self._tag("search"), offset=str(search.offset))
        if search.count is not None:
            element.set("maxCount", str(search.count))
        for term in search.terms:
            if term.operator not in self.operators:
                raise NotSupported(f"searching by {term.operator} does not exist in {self.namespace}")
            SubElement(element, self._tag(term.operator), _term_attributes(term))
        return element

    def decode_search(self, element: Element) -> SearchQuery:
        self._expect(element, DiscoveryRequest.SEARCH)
        if not 1 <= len(element) <= MAX_TERMS:
            raise BadRequest(f"a search has 1 to {MAX_TERMS} comparisons")
        prefix = self._tag("")
        for child in element:
            if not (child.tag.startswith(prefix) and child.tag[len(prefix) :] in self.operators):
                raise BadRequest(f"<{xml.local(child)}/> is no comparison that is known here")
        offset = bounded.number(element, "offset", 0, MAX_OFFSET) if "offset" in element.attrib else 0
        count = bounded.number(element, "maxCount", 1, MAX_OFFSET) if "maxCount" in element.attrib else None
        return SearchQuery(tuple(_term(xml.local(child), child) for child in element), offset, count)

    def encode_found(self, things: tuple[FoundThing, ...], *, more: bool) -> Element:
        element = Element(self._tag("found"), more="true" if more else "false")
        for thing in things:
            child = SubElement(element, self._tag("thing"))
            if self.names_owner:
                child.set("owner", thing.owner)
            child.set("jid", bare(thing.jid))
            bounded.put_node(child, thing.node, self.node_names)
            bounded.put_tags(child, thing.tags)
        return element

    def decode_found(self, element: Element) -> tuple[tuple[FoundThing, ...], bool]:
        if element.tag != self._tag("found"):
            raise BadRequest(f"<{xml.local(element)}/> is not what a search finds")
        bounded.count(element, MAX_FOUND, "things")
        things = tuple(
            FoundThing(
                bounded.jid(child),
                bounded.jid(child, "owner") if child.get("owner") else "",
                bounded.node(child, self.node_names),
                bounded.tags(child),
            )
            for name, child in xml.children(element)
            if name == "thing"
        )
        return things, xml.flag(element, "more")

    # ------------------------------------------------------------------ common

    def _element(self, request: DiscoveryRequest, node: NodeRef, jid: str = "") -> Element:
        element = Element(self._tag(request.value))
        if jid:
            element.set("jid", bare(jid))
        bounded.put_node(element, node, self.node_names)
        return element

    def _expect(self, element: Element, *requests: DiscoveryRequest) -> None:
        if self.requests.get(element.tag) not in requests:
            raise BadRequest(f"<{xml.local(element)}/> is not what belongs here")

    def _tag(self, name: str) -> str:
        return f"{{{self.namespace}}}{name}"


def _public(element: Element) -> bool:
    return xml.flag(element, "public") if "public" in element.attrib else True


def _term_attributes(term: SearchTerm) -> dict[str, str]:
    attributes = {"name": bounded.tag_name(term.name)}
    if not term.operator.endswith(RANGES):
        if term.value is None:
            raise ValueError(f"{term.operator} compares with a value")
        attributes["value"] = to_text(term.value)
        if term.operator == "strMask":
            attributes["wildcard"] = term.wildcard
        return attributes
    for name, bound, included in (("min", term.value, term.low_included), ("max", term.high, term.high_included)):
        if bound is not None:
            attributes[name] = to_text(bound)
            attributes[f"{name}Included"] = "true" if included else "false"
    return attributes


def _term(operator: str, element: Element) -> SearchTerm:
    name = bounded.tag_name(xml.required(element, "name"))
    if not operator.endswith(RANGES):
        wildcard = bounded.text(element, "wildcard", MAX_WILDCARD) if operator == "strMask" else ""
        return SearchTerm(operator, name, _term_value(operator, element, "value"), wildcard=wildcard)
    low, high = (_term_value(operator, element, bound) if bound in element.attrib else None for bound in ("min", "max"))
    if low is None and high is None:
        raise BadRequest(f"<{operator}/> lacks the attributes 'min' and 'max'")
    return SearchTerm(operator, name, low, high, _included(element, "min"), _included(element, "max"))


def _included(element: Element, bound: str) -> bool:
    name = f"{bound}Included"
    return xml.flag(element, name) if name in element.attrib else True


def _term_value(operator: str, element: Element, attribute: str) -> str | Decimal:
    value = xml.required(element, attribute)
    if operator.startswith("num"):
        return bounded.tag_number(element.get("name", "")[:40], value)
    if len(value) > MAX_TERM_VALUE:
        raise BadRequest(f"what is searched for has at most {MAX_TERM_VALUE} characters")
    return value
