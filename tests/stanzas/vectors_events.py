"""Every example of the event subscriptions' text (ProtoXEP iot-events 0.0.1) as vectors, the XML in `iot_events.xml`;
and those of its successor, with what they do not show. `NS` and `SD` stand for each of its namespaces in turn."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hub.errors import Forbidden
from hub.things.model import FieldTypes, NodeRef, ReadoutRequest, Tokens
from hub.things.subscription import Condition, Subscription
from tests.stanzas.vector import Mend, Vector

FILE = "iot_events.xml"
NEW = ("nf", "ieee", "nfi")

MENDS = (
    Mend(8, "maxInternval=", "maxInterval=", "as the schema has it"),
    Mend(8, "changeBy=", "changedBy=", "as the schema has it"),
    Mend(10, "    ...\n", "", "the other features are left out without a sign"),
)

MINUTE, SECOND = dt.timedelta(minutes=1), dt.timedelta(seconds=1)
ONE = Decimal(1)
NO_CODEC = "answered by the discovery service from the table of dialects; there is nothing of its own to decode"


def momentary(id_: str, *names: str, nodes: tuple[str, ...] = ()) -> ReadoutRequest:
    return ReadoutRequest(id_, tuple(map(NodeRef, nodes)) or None, names, FieldTypes.MOMENTARY)


HISTORY = Subscription(
    ReadoutRequest("1", None, ("Temperature", "Light", "Motion"), FieldTypes.ALL), (Condition("Motion", up=ONE),),
    MINUTE, None, 5 * MINUTE,
)  # fmt: skip

VECTORS = (
    Vector(1, "subscribe", Subscription(momentary("1"), max_interval=5 * MINUTE, at_once=True)),
    Vector(2, "accepted", "1"),
    Vector(3, "subscribe", Subscription(momentary("1"), max_interval=5 * MINUTE)),
    Vector(3, "error", (Forbidden("Access denied."), "cancel", "forbidden")),
    Vector(4, "unsubscribe", "1"),
    Vector(4, "empty", None),
    Vector(5, "subscribe", Subscription(
        momentary("1", "Light", "Motion", "Temperature"),
        (Condition("Light", Decimal(5), Decimal(5)), Condition("Motion", ONE, ONE, "0")),
        5 * SECOND, 15 * MINUTE,
    )),
    Vector(6, "subscribe", HISTORY),
    Vector(7, "subscribe", HISTORY),
    Vector(8, "subscribe", Subscription(
        momentary("1", "State", nodes=("DI1", "DI2", "DI3", "DI4")), (Condition("State", ONE, ONE, "0"),),
        5 * SECOND, 60 * MINUTE,
    )),
    Vector(9, "discovery", None, because=NO_CODEC),
    Vector(10, "feature", "urn:xmpp:iot:events", because=NO_CODEC),
)  # fmt: skip


@dataclass(frozen=True)
class NewVector:
    name: str
    kind: str
    xml: str
    meaning: Any
    written: str = ""
    """What we write for the meaning, where it is not the same."""


ID = "d4fe61155cb14e649e302092d3b406a8"
PUBLISHED = Subscription(
    ReadoutRequest(ID, (), ("Light", "Motion"), FieldTypes.MOMENTARY),
    (Condition("Light", ONE, ONE, "25.72"), Condition("Motion", ONE, ONE, "0")),
    SECOND, MINUTE,
)  # fmt: skip
FULL = Subscription(
    ReadoutRequest(
        "x", (NodeRef("air", "s", "p"), NodeRef("pump")), ("a", "b", "c"),
        FieldTypes.PRESENT | FieldTypes.HISTORICAL, tokens=Tokens("1", "2", "3"),
    ),
    (Condition("a", Decimal("0.5"), None, "off"), Condition("b", Decimal("1.50"), Decimal("2"))),
    dt.timedelta(milliseconds=500), dt.timedelta(days=1), dt.timedelta(0), True,
)  # fmt: skip

NEW_VECTORS = (
    NewVector("published", "subscribe",
              f"<subscribe xmlns='NS' id='{ID}' m='true' minInt='PT1S' maxInt='PT1M'>"
              "<f n='Light' v='25.72' by='1'/><f n='Motion' v='0' by='1'/></subscribe>", PUBLISHED),
    NewVector("accepted", "accepted", f"<accepted xmlns='SD' id='{ID}'/>", ID),
    NewVector("unsubscribe", "unsubscribe", f"<unsubscribe xmlns='NS' id='{ID}'/>", ID),
    NewVector("everything", "subscribe",
              "<subscribe xmlns='NS' id='x' all='true' minInt='PT0.5S' maxInt='P1D' maxAge='PT0S' req='true' st='1' "
              "dt='2' ut='3'><nd id='air' src='s' pt='p'/><nd id='pump'/><f n='a' v='off' up='0.5'/>"
              "<f n='b' up='1.50' dn='2'/><f n='c'/></subscribe>", FULL),
    NewVector("by goes before up and down", "subscribe",
              "<subscribe xmlns='NS' id='x' m='1' req='0' from='2026-11-21T08:00:00Z'><nd id='air'/>"
              "<f n='a' by='1' up='7' dn='9'/></subscribe>",
              Subscription(ReadoutRequest("x", (NodeRef("air"),), ("a",), FieldTypes.MOMENTARY),
                           (Condition("a", ONE, ONE),)),
              "<subscribe xmlns='NS' id='x' m='true'><nd id='air'/><f n='a' by='1'/></subscribe>"),
)  # fmt: skip
