"""Every example of XEP-0325 (version 0.5) as vectors; the XML is in `xep0325.xml`."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from devices.base import ParameterSpec, Value, ValueType
from hub.errors import BadRequest, Forbidden, NotSupported
from hub.stanzas.forms import FormField
from hub.things.model import Assignment, Command, NodeRef, Tokens
from tests.stanzas.vector import Mend, Vector

FILE = "xep0325.xml"

_CLOSED = "paramError was closed as `error`"
_COLON = "a colon too many in the declaration of a prefix"

MENDS = (
    Mend(3, "Invalid parameter type.</error>", "Invalid parameter type.</paramError>", _CLOSED),
    *(Mend(n, f"xmlns:{p}:=", f"xmlns:{p}=", _COLON) for n in (15, 22, 28) for p in ("xdl", "xdd")),
    Mend(15, "var='FaceTimeMilliseconds'", "var='FadeTimeMilliseconds'", "the page named a field that is not there"),
    Mend(18, "Invalid parameter value.</error>", "Invalid parameter value.</paramError>", _CLOSED),
    Mend(21, "Invalid parameter type.</error>", "Invalid parameter type.</paramError>", _CLOSED),
    Mend(25, "Invalid type.</error>", "Invalid type.</paramError>", _CLOSED),
    Mend(27, "    ...\n", "", "the other features are left out without a sign"),
)

DIGITAL = tuple(NodeRef(f"DigitalOutput{n}") for n in (1, 2, 3, 4))
MIXED = (*DIGITAL, *(NodeRef(f"AnalogOutput{n}") for n in (1, 2, 3, 4)))


@dataclass(frozen=True)
class Form:
    """A control form: what it is made of, and what a peer reads in it."""

    title: str
    session: str
    parameters: tuple[ParameterSpec, ...]
    current: dict[str, Value]
    fields: tuple[FormField, ...]


def typed(type_: ValueType, name: str, value: Value, *nodes: NodeRef) -> Command:
    return Command(nodes or None, (Assignment(name, value, type_),))


def submitted(values: dict[str, str], *nodes: NodeRef) -> Command:
    return Command(nodes or None, tuple(Assignment(name, text, None) for name, text in values.items()))


LANGUAGE = (" xml:lang='en'", "")
NO_LANGUAGE = "we ask in no language, since all our texts are in one"
SESSION = "325ED0F3-9A9A-45A4-9634-4E0D41C5EA06"
_HIDDEN = (
    f"""<field var='xdd session' type='hidden'>
            <value>{SESSION}</value>
          </field>""",
    "",
)
SUBMIT = (LANGUAGE, _HIDDEN, (" type='text-single'", ""))
SUBMIT_BOOLEAN = (LANGUAGE, _HIDDEN, (" type='boolean'", ""))
PLAIN_SUBMIT = f"{NO_LANGUAGE}; a submitted field needs no type, and only a dynamic form needs its session back"

_VALIDATED = (
    "<value>true</value>",
    "<value>true</value><xdv:validate datatype='xs:boolean'><xdv:basic/></xdv:validate>",
)
ALWAYS_TYPED = "every field says its data type, also a boolean one"

DIMMER = Form(
    "Dimmer", SESSION,
    (
        ParameterSpec("FadeTimeMilliseconds", ValueType.INT, minimum=0, maximum=4095, label="Fade Time (ms):",
                      description="Time in milliseconds used to fade the light to the desired level."),
        ParameterSpec("OutputPercent", ValueType.INT, minimum=0, maximum=100, label="Output (%):",
                      description="Dimmer output, in percent."),
        ParameterSpec("MainSwitch", label="Main switch", description="If the dimmer is turned on or off."),
    ),
    {"FadeTimeMilliseconds": 300, "OutputPercent": 100, "MainSwitch": True},
    (
        FormField("FadeTimeMilliseconds", ValueType.INT, "Fade Time (ms):",
                  "Time in milliseconds used to fade the light to the desired level.", "300", "0", "4095", (),
                  "Output"),
        FormField("OutputPercent", ValueType.INT, "Output (%):", "Dimmer output, in percent.", "100", "0", "100", (),
                  "Output"),
        FormField("MainSwitch", ValueType.BOOLEAN, "Main switch", "If the dimmer is turned on or off.", "true", "", "",
                  (), "Output"),
    ),
)  # fmt: skip

_HIGH_OR_LOW = "If the digital output is high (checked) or low (uncheckd)."
OUTPUTS = Form(
    "DigitalOutput1, DigitalOutput2, ...", SESSION,
    (ParameterSpec("Output", label="Output", description=_HIGH_OR_LOW),),
    {"Output": True},
    (FormField("Output", ValueType.BOOLEAN, "Output", _HIGH_OR_LOW, "true", "", "", (), "Output"),),
)  # fmt: skip

SPOTLIGHT = Form(
    "Spotlight", SESSION,
    (
        ParameterSpec("MainSwitch", label="Main switch", description="If the spotlight is turned on or off."),
        ParameterSpec("HorizontalAngle", ValueType.NUMERIC, minimum=-180, maximum=180, label="Horizontal angle:",
                      description="Horizontal angle of the spotlight.", group="direction"),
        ParameterSpec("ElevationAngle", ValueType.NUMERIC, minimum=-90, maximum=90, label="Elevation angle:",
                      description="Elevation angle of the spotlight.", group="direction"),
    ),
    {"MainSwitch": True, "HorizontalAngle": Decimal(0), "ElevationAngle": Decimal(0)},
    (
        FormField("MainSwitch", ValueType.BOOLEAN, "Main switch", "If the spotlight is turned on or off.", "true", "",
                  "", (), "Output"),
        FormField("HorizontalAngle", ValueType.NUMERIC, "Horizontal angle:", "Horizontal angle of the spotlight.", "0",
                  "-180", "180", (), "Direction"),
        FormField("ElevationAngle", ValueType.NUMERIC, "Elevation angle:", "Elevation angle of the spotlight.", "0",
                  "-90", "90", (), "Direction"),
    ),
)  # fmt: skip

ON = typed(ValueType.BOOLEAN, "Output", True)
NO_CODEC = "answered by the discovery service from the table of dialects; there is nothing of its own to decode"


def parameter_error(name: str, text: str) -> tuple[BadRequest, str, str]:
    return (BadRequest("", {name: text}), "modify", "bad-request")


DONE = ((), (), False)
DENIED = (Forbidden("Access denied."), "cancel", "forbidden")
CANNOT_MERGE = NotSupported("Cannot merge control forms from different nodes.")

VECTORS = (
    Vector(1, "command", ON),
    Vector(2, "command", ON, (LANGUAGE,), NO_LANGUAGE),
    Vector(2, "response", DONE),
    Vector(3, "command", ON, (LANGUAGE,), NO_LANGUAGE),
    Vector(3, "error", parameter_error("Output", "Invalid parameter type.")),
    Vector(4, "command", ON),
    Vector(5, "command", typed(ValueType.INT, "Output", 50000)),
    Vector(6, "command", typed(ValueType.LONG, "Output", 500_000_000_000_000)),
    Vector(7, "command", typed(ValueType.STRING, "Row1", "Temperature: 21.4 °C")),
    Vector(8, "command", typed(ValueType.NUMERIC, "4-20mA", Decimal("8.192"))),
    Vector(9, "command", typed(ValueType.DATE, "TariffStartDate", dt.date(2013, 5, 1))),
    Vector(10, "command", typed(ValueType.TIME, "Alarm Time", dt.time(8, 0))),
    Vector(11, "command", typed(ValueType.DATETIME, "Alarm Time", dt.datetime(2013, 4, 2, 8, 0))),
    Vector(12, "command", typed(ValueType.DURATION, "Alarm Duration", dt.timedelta(minutes=3, seconds=30))),
    Vector(13, "command", typed(ValueType.COLOR, "Color", "3399FF")),
    Vector(
        14, "command",
        Command(None, (
            Assignment("FadeTimeMilliseconds", 500, ValueType.INT),
            Assignment("OutputPercent", 10, ValueType.INT),
        )),
    ),
    Vector(15, "form request", (None, Tokens()), (LANGUAGE,), NO_LANGUAGE),
    Vector(15, "form", DIMMER, (_VALIDATED,), ALWAYS_TYPED),
    Vector(16, "form request", (None, Tokens()), (LANGUAGE,), NO_LANGUAGE),
    Vector(16, "error", DENIED),
    Vector(17, "command", submitted({"FadeTimeMilliseconds": "500", "OutputPercent": "10"}), SUBMIT, PLAIN_SUBMIT),
    Vector(17, "response", DONE),
    Vector(18, "command", submitted({"FadeTimeMilliseconds": "500", "OutputPercent": "200"}), SUBMIT, PLAIN_SUBMIT),
    Vector(18, "error", parameter_error("OutputPercent", "Invalid parameter value.")),
    Vector(19, "command", typed(ValueType.BOOLEAN, "Output", False, NodeRef("DigitalOutput1"))),
    Vector(20, "command", typed(ValueType.BOOLEAN, "Output", False, *DIGITAL)),
    Vector(21, "command", typed(ValueType.BOOLEAN, "Output", True, *MIXED), (LANGUAGE,), NO_LANGUAGE),
    Vector(21, "error", parameter_error("Output", "Invalid parameter type.")),
    Vector(22, "form request", (DIGITAL, Tokens()), (LANGUAGE,), NO_LANGUAGE),
    Vector(22, "form", OUTPUTS, (_VALIDATED,), ALWAYS_TYPED),
    Vector(23, "form request", (DIGITAL, Tokens()), (LANGUAGE,), NO_LANGUAGE),
    Vector(23, "error", (CANNOT_MERGE, "cancel", "feature-not-implemented")),
    Vector(24, "command", submitted({"Output": "true"}, *DIGITAL), SUBMIT_BOOLEAN, PLAIN_SUBMIT),
    Vector(24, "response", DONE),
    Vector(25, "command", submitted({"Output": "true"}, *MIXED), SUBMIT_BOOLEAN, PLAIN_SUBMIT),
    Vector(25, "error", parameter_error("Output", "Invalid type.")),
    Vector(26, "discovery", None, because=NO_CODEC),
    Vector(27, "feature", "urn:xmpp:iot:control", because=NO_CODEC),
    Vector(28, "form request", (None, Tokens()), (LANGUAGE,), NO_LANGUAGE),
    Vector(28, "form", SPOTLIGHT, (_VALIDATED,), ALWAYS_TYPED),
)  # fmt: skip
