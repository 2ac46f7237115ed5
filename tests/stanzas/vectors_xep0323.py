"""Every example of XEP-0323 (version 0.6) as vectors; the XML is in `xep0323.xml`."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from devices.base import ValueType
from hub.errors import Forbidden
from hub.things.model import Answer, Field, FieldTypes, NodeRef, Quality, Reading, ReadoutRequest, Trouble
from tests.stanzas.vector import Mend, Vector, local, zoned

FILE = "xep0323.xml"

MENDS = (
    Mend(6, "      ...\n", "", "the hours in between are left out without a sign"),
    Mend(11, "    ...\n", "", "the other features are left out without a sign"),
)

READOUT = Quality.AUTOMATIC_READOUT
DEVICE01 = NodeRef("Device01")


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def number(name: str, value: str, unit: str, types: FieldTypes = FieldTypes.MOMENTARY, string_ids: str = "") -> Field:
    return Field(name, Decimal(value), ValueType.NUMERIC, types, READOUT, unit,
                 module="Whatchamacallit" if string_ids else "", string_ids=string_ids)  # fmt: skip


def one(node: str, moment: str, *fields: Field) -> Reading:
    return Reading(NodeRef(node), at(moment), fields)


def hour(moment: str, value: str, types: FieldTypes = FieldTypes.HISTORICAL_HOUR) -> Reading:
    return one("Device01", moment, number("Temperature", value, "°C", types))


def momentary(seqnr: str, *nodes: str, names: tuple[str, ...] = ()) -> ReadoutRequest:
    refs = tuple(NodeRef(node) for node in nodes)
    return ReadoutRequest(seqnr, nodes=refs or None, names=names, types=FieldTypes.MOMENTARY)


ZONE = "what we write carries a zone"
NO_CODEC = "answered by the discovery service from the table of dialects; there is nothing of its own to decode"
DENIED = (Forbidden("Access denied."), "cancel", "forbidden")

VECTORS = (
    Vector(1, "request", momentary("1")),
    Vector(2, "accepted", ("1", False)),
    Vector(
        3, "answer",
        Answer("1", (one("Device01", "2013-03-07T16:24:30", number("Temperature", "23.4", "°C")),), (), True),
    ),
    Vector(4, "request", momentary("2")),
    Vector(4, "accepted", ("2", False)),
    Vector(
        4, "answer", Answer("2", (), (Trouble(DEVICE01, local("2013-03-07T17:13:30"), "Timeout."),), True),
        (zoned("2013-03-07T17:13:30"),), ZONE,
    ),
    Vector(5, "request", momentary("3")),
    Vector(5, "error", DENIED),
    Vector(
        6, "request", ReadoutRequest("4", types=FieldTypes.ALL, when=local("2013-03-07T19:00:00")),
        (zoned("2013-03-07T19:00:00"),), ZONE,
    ),
    Vector(6, "accepted", ("4", True)),
    Vector(6, "started", "4"),
    Vector(
        6, "answer",
        Answer("4", (one(
            "Device01", "2013-03-07T19:00:00",
            number("Temperature", "23.4", "°C"),
            number("Runtime", "12345", "h", FieldTypes.STATUS),
            Field("Device ID", "Device01", ValueType.STRING, FieldTypes.IDENTITY, READOUT),
        ),), (), False),
        (("identification=", "identity="),), "the schema of the text says `identity`, and so do we",
    ),
    Vector(
        6, "answer",
        Answer("4", (one(
            "Device01", "2013-03-07T19:00:00",
            number("Temperature, Max", "25.9", "°C", FieldTypes.PEAK),
            number("Temperature, Min", "18.7", "°C", FieldTypes.PEAK),
            number("Temperature, Mean", "22.5", "°C", FieldTypes.COMPUTED),
        ),), (), False),
    ),
    Vector(
        6, "answer",
        Answer("4", (
            hour("2013-03-07T18:00:00", "24.5"),
            hour("2013-03-07T17:00:00", "25.1"),
            hour("2013-03-07T16:00:00", "25.2"),
            hour("2013-03-07T00:00:00", "25.2", FieldTypes.HISTORICAL_HOUR | FieldTypes.HISTORICAL_DAY),
        ), (), False),
    ),
    Vector(6, "answer", Answer("4", (), (), True)),
    Vector(7, "request", momentary("5", "Device02", "Device03")),
    Vector(7, "accepted", ("5", False)),
    Vector(
        7, "answer",
        Answer("5", (one("Device02", "2013-03-07T19:31:15", number("Temperature", "23.4", "°C")),), (), False),
    ),
    Vector(
        7, "answer",
        Answer("5", (one("Device03", "2013-03-07T19:31:16", number("Temperature", "22.8", "°C")),), (), True),
    ),
    Vector(8, "request", momentary("6", "Device04", names=("Energy", "Power"))),
    Vector(8, "accepted", ("6", False)),
    Vector(
        8, "answer",
        Answer("6", (one(
            "Device04", "2013-03-07T22:03:15", number("Energy", "12345.67", "MWh"), number("Power", "239.4", "W"),
        ),), (), True),
    ),
    Vector(
        9, "request", ReadoutRequest("8", types=FieldTypes.ALL, when=local("2013-03-09T23:30:00")),
        (zoned("2013-03-09T23:30:00"),), ZONE,
    ),
    Vector(9, "accepted", ("8", True)),
    Vector(9, "cancel", "8"),
    Vector(9, "cancelled", "8"),
    Vector(10, "discovery", None, because=NO_CODEC),
    Vector(11, "feature", "urn:xmpp:iot:sensordata", because=NO_CODEC),
    Vector(12, "request", ReadoutRequest("7", types=FieldTypes.ALL)),
    Vector(12, "accepted", ("7", False)),
    Vector(
        12, "answer",
        Answer("7", (one(
            "Device05", "2013-03-07T22:20:45",
            number("Temperature", "23.4", "°C", string_ids="1"),
            number("Temperature, Min", "23.4", "°C", string_ids="1,2"),
            number("Temperature, Max", "23.4", "°C", string_ids="1,3"),
            number("Temperature, Mean", "23.4", "°C", string_ids="1,4"),
        ),), (), True),
    ),
)  # fmt: skip
