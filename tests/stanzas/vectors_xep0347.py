"""Every example of XEP-0347 (version 0.5) as vectors; the XML is in `xep0347.xml`."""

from __future__ import annotations

from decimal import Decimal

from hub.errors import NotAllowed, NotFound
from hub.stanzas.provisioning import DiscoveryRequest, FoundThing, SearchQuery, SearchTerm
from hub.things.model import NodeRef
from tests.stanzas.vector import Mend, Vector

FILE = "xep0347.xml"

_ELSE = "what else is there is left out without a sign"

MENDS = tuple(Mend(n, "...", "", _ELSE) for n in (41, 42, 55, 57, 59, 61))

_LOCAL = "how a client finds its server on the local network: DHCP and DNS, no stanza"
NOT_STANZAS = {**dict.fromkeys(range(1, 10), _LOCAL), 14: "the text of a QR code; `test_iotdisco.py` has it"}

ITSELF = NodeRef("")
BEHIND = NodeRef("imc1", "MeteringTopology")
THING, RACK, OWNER = "thing@example.org", "rack@example.org", "owner@example.org"
TAGS: dict[str, str | Decimal] = {
    "SN": "394872348732948723", "MAN": "www.ktc.se", "MODEL": "IMC", "V": Decimal("1.2"), "KEY": "4857402340298342",
}  # fmt: skip
UPDATE: dict[str, str | Decimal] = {
    "KEY": "", "CLASS": "PLC", "LON": Decimal("-71.519722"), "LAT": Decimal("-33.008055"),
}  # fmt: skip
FOUND: dict[str, str | Decimal] = {name: value for name, value in (TAGS | UPDATE).items() if name != "KEY"}
ADDRESS = dict.fromkeys(
    ("ROOM", "APT", "BLD", "STREET", "STREETNR", "AREA", "CITY", "REGION", "COUNTRY"), "..."
)  # fmt: skip
SEARCH = SearchQuery(
    (
        SearchTerm("strEq", "MAN", "www.ktc.se"),
        SearchTerm("strEq", "MODEL", "IMC"),
        SearchTerm("strMask", "SN", "39487*", wildcard="*"),
        SearchTerm("numRange", "V", Decimal(1), Decimal(2), high_included=False),
        SearchTerm("numRange", "LON", Decimal(-72), Decimal(-70)),
        SearchTerm("numRange", "LAT", Decimal(-34), Decimal(-33)),
    ),
    0,
    20,
)
NOT_FOUND = (NotFound(""), "cancel", "item-not-found")

_DISCO = "XEP-0030 is not ours to read and write"
_RESOURCE = ((f"{RACK}/plcs' nodeId", f"{RACK}' nodeId"),)
_BARE = "the address of a thing has no resource, as the text around says"


def node(example: int, request: str, address: NodeRef = ITSELF, jid: str = "") -> Vector:
    meaning = (DiscoveryRequest(request), address, jid)
    if jid == RACK:
        return Vector(example, "node", meaning, _RESOURCE, _BARE)
    return Vector(example, "node", meaning)


VECTORS = (
    Vector(10, "register", (ITSELF, TAGS, False)),
    Vector(10, "empty", None),
    Vector(11, "claimed", (OWNER, ITSELF, True)),
    Vector(12, "register", (ITSELF, TAGS, True)),
    Vector(12, "empty", None),
    Vector(13, "register", (BEHIND, TAGS, False)),
    Vector(13, "empty", None),
    Vector(15, "mine", (TAGS, True)),
    Vector(16, "mine", (TAGS, False)),
    Vector(17, "claimed", (THING, ITSELF, True)),
    Vector(18, "claimed", (RACK, BEHIND, True), _RESOURCE, _BARE),
    Vector(19, "error", NOT_FOUND),
    Vector(20, "claimed", (OWNER, ITSELF, True)),
    Vector(21, "claimed", (OWNER, ITSELF, False)),
    Vector(22, "claimed", (OWNER, BEHIND, True)),
    Vector(23, "empty", None),
    node(24, "remove", jid=THING),
    node(25, "remove", BEHIND, RACK),
    Vector(26, "empty", None),
    Vector(27, "error", NOT_FOUND),
    node(28, "removed"),
    Vector(28, "empty", None),
    node(29, "removed", BEHIND),
    Vector(30, "empty", None),
    Vector(31, "update", ("", ITSELF, UPDATE)),
    Vector(32, "update", ("", BEHIND, UPDATE)),
    Vector(33, "empty", None),
    Vector(34, "error", NOT_FOUND),
    node(35, "disowned"),
    Vector(36, "update", (THING, ITSELF, ADDRESS)),
    Vector(37, "update", (RACK, BEHIND, ADDRESS)),
    Vector(38, "empty", None),
    Vector(39, "error", NOT_FOUND),
    Vector(40, "search", (SEARCH,)),
    Vector(41, "found", ((FoundThing(THING, OWNER, ITSELF, FOUND),), False)),
    Vector(42, "found", ((FoundThing(RACK, OWNER, BEHIND, FOUND),), False)),
    node(43, "unregister"),
    node(44, "unregister", BEHIND),
    Vector(45, "empty", None),
    node(46, "disown", jid=THING),
    node(47, "disown", BEHIND, RACK),
    Vector(48, "error", NOT_FOUND),
    Vector(49, "error", (NotAllowed(""), "cancel", "not-allowed")),
    node(50, "disowned"),
    node(51, "disowned", BEHIND),
    Vector(52, "empty", None),
    Vector(53, "empty", None),
    Vector(54, "discovery", None, because=_DISCO),
    Vector(55, "feature", "urn:xmpp:iot:discovery", because=_DISCO),
    *(Vector(n, "discovery", None, because=_DISCO) for n in (56, 57, 58, 59, 60)),
    Vector(61, "feature", "urn:xmpp:iot:discovery", because=_DISCO),
)
