"""Vectors of the new dialect, for sensor data and control. `NS` in the XML stands for each namespace in turn."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from devices.base import Value, ValueType
from hub.things.model import (
    Answer,
    Assignment,
    Command,
    Field,
    FieldTypes,
    NodeRef,
    Quality,
    Reading,
    ReadoutRequest,
    Tokens,
    Trouble,
)

SENSOR_DATA = ("urn:nf:iot:sd:1.0", "urn:ieee:iot:sd:1.0", "urn:nfi:iot:sd:1.0")
CONTROL = ("urn:nf:iot:ctr:1.0", "urn:ieee:iot:ctr:1.0", "urn:nfi:iot:ctr:1.0")

MOMENT = dt.datetime(2026, 11, 21, 8, 0, 0, tzinfo=dt.UTC)
AIR = NodeRef("air")


@dataclass(frozen=True)
class Vector:
    """`written`: what we write for the meaning, where it is not the same XML, and `because` says why."""

    name: str
    kind: str
    xml: str
    meaning: Any
    written: str = ""
    because: str = ""


# --------------------------------------------------------------------------- sensor data

_VALUES: tuple[tuple[str, str, ValueType, Value], ...] = (
    ("b", "true", ValueType.BOOLEAN, True),
    ("d", "2026-11-21", ValueType.DATE, dt.date(2026, 11, 21)),
    ("dt", "2026-11-21T08:00:00Z", ValueType.DATETIME, MOMENT),
    ("dr", "PT3M30S", ValueType.DURATION, dt.timedelta(minutes=3, seconds=30)),
    ("e", "auto", ValueType.ENUM, "auto"),
    ("i", "-7", ValueType.INT, -7),
    ("l", "5000000000", ValueType.LONG, 5_000_000_000),
    ("q", "21.50", ValueType.NUMERIC, Decimal("21.50")),
    ("s", "Größe <1", ValueType.STRING, "Größe <1"),
    ("t", "08:00:00", ValueType.TIME, dt.time(8, 0)),
)
_TYPES = {
    "m": FieldTypes.MOMENTARY, "p": FieldTypes.PEAK, "s": FieldTypes.STATUS, "c": FieldTypes.COMPUTED,
    "i": FieldTypes.IDENTITY, "h": FieldTypes.HISTORICAL_OTHER,
}  # fmt: skip
_QUALITIES = {
    "ms": Quality.MISSING, "pr": Quality.IN_PROGRESS, "ae": Quality.AUTOMATIC_ESTIMATE,
    "me": Quality.MANUAL_ESTIMATE, "mr": Quality.MANUAL_READOUT, "ar": Quality.AUTOMATIC_READOUT,
    "of": Quality.TIME_OFFSET, "w": Quality.WARNING, "er": Quality.ERROR, "so": Quality.SIGNED,
    "iv": Quality.INVOICED, "eos": Quality.END_OF_SERIES, "pf": Quality.POWER_FAILURE, "ic": Quality.INVOICE_CONFIRMED,
}  # fmt: skip


def one(*fields: Field) -> Answer:
    return Answer("x1", (Reading(AIR, MOMENT, fields),), (), True)


def resp(inner: str, attributes: str = "") -> str:
    return f"<resp xmlns='NS' id='x1'{attributes}>{inner}</resp>"


def in_air(inner: str) -> str:
    return resp(f"<nd id='air'><ts v='2026-11-21T08:00:00Z'>{inner}</ts></nd>")


def _value(element: str, text: str, type_: ValueType, value: Value) -> Vector:
    extra, unit, data_type = "", "", ""
    if element == "q":
        extra, unit = " u='°C'", "°C"
    if element == "e":
        extra, data_type = " t='Mode'", "Mode"
    escaped = text.replace("<", "&lt;")
    xml = in_air(f"<{element} n='f' m='true' ar='true' v='{escaped}'{extra}/>")
    field = Field("f", value, type_, unit=unit, data_type=data_type)
    return Vector(f"a value of type {element}", "answer", xml, one(field))


_NUMBER = "<i n='f' m='true' ar='true' v='1'/>"
F = Field("f", 1, ValueType.INT)

SENSOR_DATA_VECTORS: tuple[Vector, ...] = (
    *(_value(*row) for row in _VALUES),
    *(
        Vector(
            f"the category {name}", "answer", in_air(f"<i n='f' {name}='true' ar='true' v='1'/>"),
            one(Field("f", 1, ValueType.INT, types)),
        )
        for name, types in _TYPES.items()
    ),
    *(
        Vector(
            f"the quality {name}", "answer", in_air(f"<i n='f' m='true' {name}='true' v='1'/>"),
            one(Field("f", 1, ValueType.INT, quality=quality)),
        )
        for name, quality in _QUALITIES.items()
    ),
    Vector(
        "all that a field can carry", "answer",
        in_air("<q n='T' s='true' p='true' so='true' w='true' v='1' u='V' ctr='true' lns='M' loc='1,2'/>"),
        one(Field("T", Decimal(1), ValueType.NUMERIC, FieldTypes.STATUS | FieldTypes.PEAK,
                  Quality.SIGNED | Quality.WARNING, "V", True, "", "M", "1,2")),
    ),
    Vector(
        "a field that cannot be controlled", "answer", in_air("<i n='f' m='1' ar='1' v='1' ctr='0'/>"),
        one(Field("f", 1, ValueType.INT, writable=False)),
        in_air("<i n='f' m='true' ar='true' v='1' ctr='false'/>"), "a boolean has two spellings; ours is the longer",
    ),
    Vector(
        "a field without category and quality", "answer", in_air("<i n='f' v='1'/>"), one(F), in_air(_NUMBER),
        "what is not said is taken as momentary and read by a machine",
    ),
    Vector("the last part: no `more`", "answer", in_air(_NUMBER), one(F)),
    Vector(
        "more to come", "answer", in_air(_NUMBER).replace("id='x1'", "id='x1' more='true'"),
        Answer("x1", (Reading(AIR, MOMENT, (F,)),), (), False),
    ),
    Vector(
        "more said to be false", "answer", in_air(_NUMBER).replace("id='x1'", "id='x1' more='false'"), one(F),
        in_air(_NUMBER), "false is what no attribute means",
    ),
    Vector("nothing, and more to come", "answer", resp("", " more='true'"), Answer("x1", (), (), False)),
    Vector("zero nodes: nothing, and that is all", "answer", resp(""), Answer("x1", (), (), True)),
    Vector(
        "done by a word", "answer", "<done xmlns='NS' id='x1'/>", Answer("x1", (), (), True), resp(""),
        "an empty answer without `more` says the same",
    ),
    Vector(
        "an error of a thing", "answer", in_air("<err>Timeout.</err>"),
        Answer("x1", (), (Trouble(AIR, MOMENT, "Timeout."),), True),
    ),
    Vector(
        "an error between fields", "answer",
        in_air(f"<err>One channel is broken.</err>{_NUMBER}"),
        Answer("x1", (Reading(AIR, MOMENT, (F,)),), (Trouble(AIR, MOMENT, "One channel is broken."),), True),
        resp("<nd id='air'><ts v='2026-11-21T08:00:00Z'><err>One channel is broken.</err></ts>"
             f"<ts v='2026-11-21T08:00:00Z'>{_NUMBER}</ts></nd>"),
        "each moment of the model is a `ts` of its own",
    ),
    Vector(
        "a moment without a node", "answer", resp(f"<ts v='2026-11-21T08:00:00Z'>{_NUMBER}</ts>"),
        Answer("x1", (Reading(NodeRef(""), MOMENT, (F,)),), (), True),
        resp(f"<nd id=''><ts v='2026-11-21T08:00:00Z'>{_NUMBER}</ts></nd>"), "every thing of ours has a name",
    ),
    Vector(
        "several nodes, sources and moments", "answer",
        resp(f"<nd id='a' src='s' pt='p'><ts v='2026-11-21T08:00:00Z'>{_NUMBER}</ts>"
             f"<ts v='2026-11-21T07:00:00+01:00'>{_NUMBER}</ts></nd>"
             f"<nd id='b'><ts v='2026-11-21T08:00:00Z'>{_NUMBER}</ts></nd>"),
        Answer("x1", (
            Reading(NodeRef("a", "s", "p"), MOMENT, (F,)),
            Reading(NodeRef("a", "s", "p"), dt.datetime(2026, 11, 21, 7, 0, tzinfo=dt.timezone(dt.timedelta(hours=1))),
                    (F,)),
            Reading(NodeRef("b"), MOMENT, (F,)),
        ), (), True),
    ),
    Vector(
        "a value that is not of its type is left out", "answer", in_air(f"<i n='bad' v='one'/>{_NUMBER}"), one(F),
        in_air(_NUMBER), "one bad field must not hide the others",
    ),
    Vector(
        "a foreign element and an unknown value type are passed over", "answer",
        in_air(f"<x xmlns='urn:other' v='1'/><zz n='z' v='1'/>{_NUMBER}"), one(F), in_air(_NUMBER), "it is not ours",
    ),
    Vector(
        "a request without nodes: none of a concentrator's", "request", "<req xmlns='NS' id='x1' m='true'/>",
        ReadoutRequest("x1", nodes=(), types=FieldTypes.MOMENTARY),
    ),
    *(
        Vector(
            f"a request for {name}", "request", f"<req xmlns='NS' id='x1' {name}='true'><nd id='air'/></req>",
            ReadoutRequest("x1", (AIR,), types=FieldTypes.HISTORICAL if name == "h" else types),
        )
        for name, types in _TYPES.items()
    ),
    Vector(
        "a request for everything", "request", "<req xmlns='NS' id='x1' all='true'><nd id='air'/></req>",
        ReadoutRequest("x1", (AIR,), types=FieldTypes.ALL),
    ),
    Vector(
        "a request that names no category", "request", "<req xmlns='NS' id='x1'><nd id='air'/></req>",
        ReadoutRequest("x1", (AIR,), types=FieldTypes.PRESENT),
        "<req xmlns='NS' id='x1' m='true' p='true' s='true' c='true' i='true'><nd id='air'/></req>",
        "everything but history is meant",
    ),
    Vector(
        "a request with all there is", "request",
        "<req xmlns='NS' id='x1' m='true' h='true' from='2026-11-20T00:00:00Z' to='2026-11-21T00:00:00Z'"
        " when='2026-11-21T08:00:00Z' st='S' dt='D' ut='U'><nd id='air' src='s' pt='p'/><nd id='b'/>"
        "<f n='temperature'/><f n='humidity'/></req>",
        ReadoutRequest(
            "x1", (NodeRef("air", "s", "p"), NodeRef("b")), ("temperature", "humidity"),
            FieldTypes.MOMENTARY | FieldTypes.HISTORICAL, dt.datetime(2026, 11, 20, tzinfo=dt.UTC),
            dt.datetime(2026, 11, 21, tzinfo=dt.UTC), MOMENT, Tokens("S", "D", "U"),
        ),
    ),
    Vector(
        "a field asked for twice is asked for once", "request",
        "<req xmlns='NS' id='x1' m='true'><nd id='air'/><f n='a'/><f n='b'/><f n='a'/></req>",
        ReadoutRequest("x1", (AIR,), ("a", "b")),
        "<req xmlns='NS' id='x1' m='true'><nd id='air'/><f n='a'/><f n='b'/></req>", "once is enough",
    ),
    Vector("a cancellation", "cancel", "<cancel xmlns='NS' id='x1'/>", "x1"),
    Vector("accepted", "accepted", "<accepted xmlns='NS' id='x1'/>", ("x1", False)),
    Vector("accepted for later", "accepted", "<accepted xmlns='NS' id='x1' queued='true'/>", ("x1", True)),
    Vector("started", "started", "<started xmlns='NS' id='x1'/>", "x1"),
)  # fmt: skip

# --------------------------------------------------------------------------- control

_PARAMETERS: tuple[tuple[str, str, ValueType, Value], ...] = (
    ("b", "true", ValueType.BOOLEAN, True),
    ("cl", "3399FF", ValueType.COLOR, "3399FF"),
    ("d", "2013-05-01", ValueType.DATE, dt.date(2013, 5, 1)),
    ("dt", "2013-04-02T08:00:00", ValueType.DATETIME, dt.datetime(2013, 4, 2, 8, 0)),
    ("db", "8.1920", ValueType.NUMERIC, Decimal("8.1920")),
    ("dr", "PT3M30S", ValueType.DURATION, dt.timedelta(minutes=3, seconds=30)),
    ("e", "auto", ValueType.ENUM, "auto"),
    ("i", "50000", ValueType.INT, 50000),
    ("l", "500000000000000", ValueType.LONG, 500_000_000_000_000),
    ("s", "21.4 °C", ValueType.STRING, "21.4 °C"),
    ("t", "08:00:00", ValueType.TIME, dt.time(8, 0)),
)


def command(*assignments: Assignment, nodes: tuple[NodeRef, ...] | None = None, shown: Tokens | None = None) -> Command:
    return Command(nodes, assignments, shown or Tokens())


CONTROL_VECTORS: tuple[Vector, ...] = (
    *(
        Vector(
            f"a parameter of type {element}", "command", f"<set xmlns='NS'><{element} n='P' v='{text}'/></set>",
            command(Assignment("P", value, type_)),
        )
        for element, text, type_, value in _PARAMETERS
    ),
    Vector(
        "several parameters, in their order, for several nodes, with tokens", "command",
        "<set xmlns='NS' st='S' dt='D' ut='U'><nd id='a' src='s' pt='p'/><nd id='b'/>"
        "<i n='Fade' v='500'/><i n='Output' v='10'/><b n='On' v='true'/></set>",
        command(
            Assignment("Fade", 500, ValueType.INT), Assignment("Output", 10, ValueType.INT),
            Assignment("On", True, ValueType.BOOLEAN), nodes=(NodeRef("a", "s", "p"), NodeRef("b")),
            shown=Tokens("S", "D", "U"),
        ),
    ),
    Vector(
        "a submitted form", "command",
        "<set xmlns='NS'><nd id='a'/><x xmlns='jabber:x:data' type='submit'><field var='Output'><value>10</value>"
        "</field></x></set>",
        command(Assignment("Output", "10", None), nodes=(NodeRef("a"),)),
    ),
    Vector("an answer lists what was set", "response", "<resp xmlns='NS'><nd id='a'/><p n='Output'/></resp>",
           ((NodeRef("a"),), ("Output",), False)),
    Vector("a narrowed answer lists what was set", "response", "<resp xmlns='NS'><nd id='a'/><p n='Output'/></resp>",
           ((NodeRef("a"),), ("Output",), True)),
    Vector("a form request", "form request", "<getForm xmlns='NS'/>", (None, Tokens())),
    Vector("a form request for nodes", "form request", "<getForm xmlns='NS' ut='U'><nd id='a'/><nd id='b'/></getForm>",
           ((NodeRef("a"), NodeRef("b")), Tokens(user="U"))),
    Vector("errors of parameters", "parameter errors",
           "<error xmlns='jabber:client'><paramError xmlns='NS' n='P'>Too large.</paramError>"
           "<paramError xmlns='NS' n='Q'>No such.</paramError></error>",
           {"P": "Too large.", "Q": "No such."}),
)  # fmt: skip
