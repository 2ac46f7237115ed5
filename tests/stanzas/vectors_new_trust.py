"""Vectors of provisioning and discovery in the newer dialect. FAMILY in the XML stands for each family in turn."""

from __future__ import annotations

from decimal import Decimal

from hub.stanzas.provisioning import DiscoveryRequest, FoundThing, SearchQuery, SearchTerm
from hub.things.model import FieldTypes, NodeRef, Tokens
from hub.things.questions import REFUSED, Question, Right, Verdict
from tests.stanzas.vectors_new_dialect import Vector

FAMILIES = ("nf", "ieee", "nfi")
PROVISIONING = tuple(f"urn:{family}:iot:prov:{part}:1.0" for family in FAMILIES for part in "dt")
DISCOVERY = tuple(f"urn:{family}:iot:disco:1.0" for family in FAMILIES)

D = "xmlns='urn:FAMILY:iot:prov:d:1.0'"
T = "xmlns='urn:FAMILY:iot:prov:t:1.0'"
N = "xmlns='urn:FAMILY:iot:disco:1.0'"

WHO = "amr@example.org"
PLC = NodeRef("plc1", "MeteringTopology", "P")
_ALL = Question(Right.READ, WHO, types=FieldTypes.ALL)
_READ = Question(
    Right.READ, WHO, (PLC, NodeRef("plc2")), ("Energy", "Power"), FieldTypes.MOMENTARY | FieldTypes.HISTORICAL,
    Tokens("S1 S2", "D", "U"),
)  # fmt: skip
_CONTROL = Question(Right.CONTROL, WHO, (PLC,), ("On", "Level"), tokens=Tokens(user="U"))
_FRIEND = Question(Right.FRIEND, WHO)

_TWO_WORDS = "both words for a parameter are written"

PROVISIONING_VECTORS: tuple[Vector, ...] = (
    Vector("a friend", "question", f"<isFriend {D} jid='{WHO}'/>", (_FRIEND,)),
    Vector("a friend it is", "verdict", f"<isFriendResponse {D} jid='{WHO}' result='true'/>", (_FRIEND, Verdict(True))),
    Vector("no friend it is", "verdict", f"<isFriendResponse {D} jid='{WHO}' result='false'/>", (_FRIEND, REFUSED)),
    Vector("everything", "question", f"<canRead {D} jid='{WHO}' all='true'/>", (_ALL,)),
    Vector(
        "nodes, fields, types and tokens", "question",
        f"<canRead {D} jid='{WHO}' m='true' h='true' st='S1 S2' dt='D' ut='U'>"
        "<nd id='plc1' src='MeteringTopology' pt='P'/><nd id='plc2'/><f n='Energy'/><f n='Power'/></canRead>",
        (_READ,),
    ),
    Vector(
        "fewer nodes and fields", "verdict",
        f"<canReadResponse {D} jid='{WHO}' m='true' h='true' result='true'><nd id='plc2'/><f n='Power'/>"
        "</canReadResponse>",
        (_READ, Verdict(True, (NodeRef("plc2"),), ("Power",))),
    ),
    Vector(
        "fewer types", "verdict", f"<canReadResponse {D} jid='{WHO}' m='true' result='true'/>",
        (_READ, Verdict(True, types=FieldTypes.MOMENTARY)),
    ),
    Vector("nothing to read", "verdict", f"<canReadResponse {D} jid='{WHO}' m='true' h='true' result='false'/>",
           (_READ, REFUSED)),
    Vector(
        "parameters as the schema lists them", "question",
        f"<canControl {D} jid='{WHO}' ut='U'><nd id='plc1' src='MeteringTopology' pt='P'/><p n='On'/><p n='Level'/>"
        "</canControl>",
        (_CONTROL,),
        f"<canControl {D} jid='{WHO}' ut='U'><nd id='plc1' src='MeteringTopology' pt='P'/><parameter name='On'/>"
        "<parameter name='Level'/><p n='On'/><p n='Level'/></canControl>",
        _TWO_WORDS,
    ),
    Vector(
        "parameters as the peers list them", "verdict",
        f"<canControlResponse {D} jid='{WHO}' result='true'><parameter name='On'/></canControlResponse>",
        (_CONTROL, Verdict(True, names=("On",))),
        f"<canControlResponse {D} jid='{WHO}' result='true'><parameter name='On'/><p n='On'/></canControlResponse>",
        _TWO_WORDS,
    ),
    Vector("new rules", "clear cache", f"<clearCache {D}/>", ()),
    Vector("a suggestion", "friend", f"<friend {D} jid='{WHO}'/>", (WHO,)),
    Vector("the end of it", "unfriend", f"<unfriend {D} jid='{WHO}'/>", (WHO,)),
    Vector("a certificate", "get token", f"<getToken {T}>MIIB+zCCAWQ=</getToken>", (b"0\x82\x01\xfb0\x82\x01d",)),
    Vector("a challenge", "challenge", f"<getTokenChallenge {T} seqnr='7'>Q2hhbGxlbmdl</getTokenChallenge>",
           (7, b"Challenge")),
    Vector("its answer", "challenge response",
           f"<getTokenChallengeResponse {T} seqnr='7'>UmVzcG9uc2U=</getTokenChallengeResponse>", (7, b"Response")),
    Vector("a token", "token", f"<getTokenResponse {T} token='provisioning.example.org:x'/>",
           ("provisioning.example.org:x",)),
    Vector("a token challenged", "token challenge", f"<tokenChallenge {T} token='TOKEN'>Q2hhbGxlbmdl</tokenChallenge>",
           ("TOKEN", b"Challenge")),
    Vector("the answer to that", "token challenge response",
           f"<tokenChallengeResponse {T}>UmVzcG9uc2U=</tokenChallengeResponse>", (b"Response",)),
)  # fmt: skip

_TAGS = {"SN": "98734238472634", "MAN": "www.example.org", "V": Decimal("1.0"), "KEY": "3453485763440213840928"}
_TAGS_XML = (
    "<str name='SN' value='98734238472634'/><str name='MAN' value='www.example.org'/><num name='V' value='1.0'/>"
    "<str name='KEY' value='3453485763440213840928'/>"
)
_AT = "id='plc1' src='MeteringTopology' pt='P'"
_ITSELF = NodeRef("")
_PUBLIC = "it always says whether the thing is public"
_NOBODY = "nobody's address is told to strangers"
_NUMBERS = tuple(f"num{name}" for name in ("Eq", "NEq", "Gt", "GtEq", "Lt", "LtEq"))
_STRINGS = tuple(f"str{name}" for name in ("Eq", "NEq", "Gt", "GtEq", "Lt", "LtEq", "RegEx"))

DISCOVERY_VECTORS: tuple[Vector, ...] = (
    Vector("a thing", "register", f"<register {N}>{_TAGS_XML}</register>", (_ITSELF, _TAGS, False)),
    Vector("a thing of its own behind a concentrator", "register",
           f"<register {N} {_AT} selfOwned='true'>{_TAGS_XML}</register>", (PLC, _TAGS, True)),
    Vector("mine", "mine", f"<mine {N}>{_TAGS_XML}</mine>", (_TAGS, True)),
    Vector("mine, and nobody else's business", "mine", f"<mine {N} public='false'>{_TAGS_XML}</mine>", (_TAGS, False)),
    Vector("claimed", "claimed", f"<claimed {N} jid='owner@example.org'/>", ("owner@example.org", _ITSELF, True),
           f"<claimed {N} jid='owner@example.org' public='true'/>", _PUBLIC),
    Vector("claimed in private", "claimed", f"<claimed {N} jid='owner@example.org' public='false' {_AT}/>",
           ("owner@example.org", PLC, False)),
    *(
        Vector(f"{name} {address.node_id}", "node",
               f"<{name} {N} {'' if address is _ITSELF else _AT} {jid and f'jid={jid!r}'}/>",
               (DiscoveryRequest(name), address, jid))
        for name, jid in (("remove", WHO), ("disown", WHO), ("removed", ""), ("disowned", ""), ("unregister", ""))
        for address in (_ITSELF, PLC)
    ),
    Vector("an update of oneself", "update", f"<update {N}><str name='CLASS' value=''/></update>",
           ("", _ITSELF, {"CLASS": ""})),
    Vector("an update by the owner", "update",
           f"<update {N} jid='{WHO}' {_AT}><num name='LON' value='-71.519722'/></update>",
           (WHO, PLC, {"LON": Decimal("-71.519722")})),
    Vector(
        "every comparison", "search",
        f"<search {N} offset='20' maxCount='10'>"
        + "".join(f"<{name} name='A' value='b'/>" for name in _STRINGS)
        + "".join(f"<{name} name='A' value='1.50'/>" for name in _NUMBERS)
        + "<strMask name='A' value='a*' wildcard='*'/>"
        + "".join(f"<str{name} name='A' min='a' minIncluded='false' max='b' maxIncluded='true'/>"
                  f"<num{name} name='A' min='1' minIncluded='true' max='2.0' maxIncluded='false'/>"
                  for name in ("Range", "NRange"))
        + "</search>",
        (SearchQuery((
            *(SearchTerm(name, "A", "b") for name in _STRINGS),
            *(SearchTerm(name, "A", Decimal("1.50")) for name in _NUMBERS),
            SearchTerm("strMask", "A", "a*", wildcard="*"),
            *(term for name in ("Range", "NRange") for term in (
                SearchTerm(f"str{name}", "A", "a", "b", low_included=False),
                SearchTerm(f"num{name}", "A", Decimal(1), Decimal("2.0"), high_included=False),
            )),
        ), 20, 10),),
    ),
    Vector("found", "found",
           f"<found {N} more='true'><thing jid='{WHO}' {_AT}><str name='CLASS' value='PLC'/></thing>"
           f"<thing jid='{WHO}'/></found>",
           ((FoundThing(WHO, "", PLC, {"CLASS": "PLC"}), FoundThing(WHO, "")), True)),
)  # fmt: skip
