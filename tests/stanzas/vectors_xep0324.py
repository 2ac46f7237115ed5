"""Every example of XEP-0324 (version 0.5) as vectors; the XML is in `xep0324.xml`."""

from __future__ import annotations

from base64 import b64decode

from devices.base import ValueType
from hub.errors import BadRequest, Forbidden, NotFound
from hub.stanzas.provisioning import AccessQuestion
from hub.things.model import Assignment, Command, FieldTypes, NodeRef, ReadoutRequest, Tokens
from hub.things.questions import REFUSED, Question, Right, Verdict
from tests.stanzas.vector import Mend, Vector

FILE = "xep0324.xml"

_PLACEHOLDER = "a placeholder that is no base64"
_ELSE = "what else is there is left out without a sign"
_RESULT = "an error was of the type `result`"

MENDS = (
    *(Mend(n, "...", "", _ELSE) for n in (1, 2, 3, 26)),
    *(Mend(n, "BASE-64 ENCODED PUBLIC X.509 CERTIFICATE", "MIIB+zCCAWQ=", _PLACEHOLDER) for n in (4, 21)),
    *(Mend(n, "BASE-64 ENCODED CHALLENGE", "Q2hhbGxlbmdl", _PLACEHOLDER) for n in (4, 21)),
    *(Mend(n, "BASE-64 ENCODED RESPONSE", "UmVzcG9uc2U=", _PLACEHOLDER) for n in (4, 21)),
    *(Mend(n, "<iq type='result'", "<iq type='error'", _RESULT) for n in (5, 6)),
    Mend(7, "BASE-64 encoded challenge", "Q2hhbGxlbmdl", _PLACEHOLDER),
    Mend(7, "BASE-64 encoded response", "UmVzcG9uc2U=", _PLACEHOLDER),
    Mend(9, "from='\n  primary", "from='primary", "a line break in an address"),
    Mend(24, "<downloadPrivilegesResponse>", "<downloadPrivilegesResponse xmlns='urn:xmpp:iot:provisioning'>",
         "the namespace was left out"),
)  # fmt: skip

CERTIFICATE = b64decode("MIIB+zCCAWQ=")
CHALLENGE, RESPONSE = b"Challenge", b"Response"
PRIMARY = "primary@example.org"
SHOWN = Tokens(service="SERVICETOKEN1", user="USERTOKEN1")
SEVERAL = Tokens(service="SERVICETOKEN1 SERVICETOKEN2", user="USERTOKEN1")
MOMENTARY = FieldTypes.MOMENTARY

D2, D3 = NodeRef("Device02"), NodeRef("Device03")
OUTPUTS = tuple(NodeRef(f"DigitalOutput{n}") for n in (1, 2, 3, 4))
DIGITAL = tuple(node.node_id for node in OUTPUTS)
ANALOG = tuple(f"AnalogOutput{n}" for n in (1, 2, 3, 4))

_READ = Question(Right.READ, PRIMARY, types=MOMENTARY, tokens=SHOWN)
_READ_SEVERAL = Question(Right.READ, PRIMARY, types=MOMENTARY, tokens=SEVERAL)
_READ_NODES = Question(Right.READ, PRIMARY, (D2, D3), types=MOMENTARY, tokens=SHOWN)
_CONTROL = Question(Right.CONTROL, PRIMARY, names=("Output",), tokens=SHOWN)
_CONTROL_NODES = Question(Right.CONTROL, PRIMARY, OUTPUTS, ("Output",), tokens=SHOWN)
_CONTROL_PARAMETERS = Question(
    Right.CONTROL, PRIMARY, names=DIGITAL + ANALOG, tokens=Tokens(service="SERVICETOKEN1", user="user0001")
)
_FRIEND_1 = Question(Right.FRIEND, "client1@example.org")
_FRIEND_2 = Question(Right.FRIEND, "client2@example.org")

_DISCO = "XEP-0030 is not ours to read and write"
_LANGUAGE = ((" xml:lang='en'", ""),)
_NO_LANGUAGE = "we ask in no language, since all our texts are in one"
_OLDER = "an answer of an older version of XEP-0323 or 0325, which has become a stanza error or lost its code"


def readout(seqnr: str, tokens: Tokens, *nodes: NodeRef) -> ReadoutRequest:
    return ReadoutRequest(seqnr, nodes or None, types=MOMENTARY, tokens=tokens)


def output(*nodes: NodeRef) -> Command:
    return Command(nodes or None, (Assignment("Output", True, ValueType.BOOLEAN),))


def token(example: int) -> tuple[Vector, ...]:
    return (
        Vector(example, "get token", (CERTIFICATE,)),
        Vector(example, "challenge", (1, CHALLENGE)),
        Vector(example, "challenge response", (1, RESPONSE)),
        Vector(example, "token", ("TOKEN",)),
    )


def access(example: int) -> tuple[Vector, ...]:
    return (
        Vector(
            example, "access", (AccessQuestion("SERVICETOKEN1", (
                ("ip4", "10.0.0.1"), ("longitude", "123.45"), ("latitude", "67.89"),
            )),),
            tuple((f"<credentials type='{kind}'", f"<{element}") for kind, element in (
                ("IpAddress", "ip4"), ("Longitude", "longitude"), ("Latitude", "latitude"))),
            "the schema has an element per credential",
        ),
        Vector(example, "access response", (True, "USERTOKEN1")),
        Vector(example, "user logged in", (SHOWN, "Kermit")),
    )  # fmt: skip


VECTORS = (
    *(Vector(n, "discovery", None, because=_DISCO) for n in (1, 1, 2, 2, 3)),
    Vector(3, "feature", "urn:xmpp:iot:provisioning", because=_DISCO),
    *token(4),
    Vector(5, "error", (BadRequest(""), "modify", "bad-request")),
    Vector(6, "error", (NotFound(""), "cancel", "item-not-found")),
    Vector(7, "token challenge", ("TOKEN", CHALLENGE)),
    Vector(7, "token challenge response", (RESPONSE,)),
    Vector(8, "error", (Forbidden(""), "cancel", "forbidden")),
    Vector(9, "readout", readout("4", SEVERAL)),
    Vector(9, "question", (_READ_SEVERAL,)),
    Vector(9, "verdict", (_READ_SEVERAL, Verdict(True))),
    Vector(9, "accepted", ("4", False)),
    Vector(10, "question", (_FRIEND_1,)),
    Vector(10, "verdict", (_FRIEND_1, Verdict(True))),
    Vector(11, "question", (_FRIEND_2,)),
    Vector(11, "verdict", (_FRIEND_2, REFUSED)),
    Vector(12, "unfriend", ("client2@example.org",)),
    Vector(13, "friend", ("client2@example.org",)),
    Vector(14, "readout", readout("1", SHOWN)),
    Vector(14, "question", (_READ,)),
    Vector(14, "verdict", (_READ, REFUSED)),
    Vector(14, "older", None, because=_OLDER),
    Vector(15, "readout", readout("2", SHOWN, D2, D3)),
    Vector(15, "question", (_READ_NODES,)),
    Vector(15, "verdict", (_READ_NODES, Verdict(True, (D2,)))),
    Vector(15, "accepted", ("2", False)),
    Vector(16, "readout", readout("3", SHOWN)),
    Vector(16, "question", (_READ,)),
    Vector(16, "verdict", (_READ, Verdict(True, names=("Energy", "Power")))),
    Vector(16, "accepted", ("3", False)),
    Vector(17, "command", output(), _LANGUAGE, _NO_LANGUAGE),
    Vector(17, "question", (_CONTROL,)),
    Vector(17, "verdict", (_CONTROL, REFUSED)),
    Vector(17, "older", None, because=_OLDER),
    Vector(18, "command", output(*OUTPUTS), _LANGUAGE, _NO_LANGUAGE),
    Vector(18, "question", (_CONTROL_NODES,)),
    Vector(18, "verdict", (_CONTROL_NODES, Verdict(True, OUTPUTS[1:3]))),
    Vector(18, "older", None, because=_OLDER),
    Vector(19, "command", Command(None, (
        *(Assignment(name, True, ValueType.BOOLEAN) for name in DIGITAL),
        *(Assignment(name, 65535, ValueType.INT) for name in ANALOG),
    )), _LANGUAGE, _NO_LANGUAGE),
    Vector(19, "question", (_CONTROL_PARAMETERS,)),
    Vector(19, "verdict", (_CONTROL_PARAMETERS, Verdict(True, names=DIGITAL))),
    Vector(19, "older", None, because=_OLDER),
    Vector(20, "clear cache", ()),
    Vector(20, "clear cache done", ()),
    *token(21),
    *access(22),
    Vector(23, "has privilege", (SHOWN, "Sensors.View")),
    Vector(23, "has privilege response", (True,)),
    *access(24),
    Vector(24, "download privileges", (SHOWN,)),
    Vector(24, "privileges", (((False, "Sensors.Delete"), (True, "Sensors")),)),
    Vector(25, "discovery", None, because=_DISCO),
    Vector(26, "feature", "urn:xmpp:iot:provisioning", because=_DISCO),
)  # fmt: skip
