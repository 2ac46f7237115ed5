"""Sensor data as the Neuro-Foundation writes it: `urn:nf:iot:sd:1.0`, and the same words in two more namespaces.

What differs in meaning from XEP-0323, beside the names: a request without nodes reads none of a concentrator's; data
may come inside the IQ result; an answer says `more` instead of `done`; all historical types are one; an error of a
thing stands between its fields; a cancellation is answered by an empty result.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement

from devices.base import ValueType
from hub.errors import BadRequest
from hub.stanzas import xml
from hub.things.model import Answer, Field, FieldTypes, NodeRef, Quality, Reading, ReadoutRequest, Trouble
from hub.things.values import parse_text, to_text

log = logging.getLogger(__name__)

NODE = ("id", "src", "pt")
TOKENS = ("st", "dt", "ut")
MAX_ID = 200  # characters

VALUE_NAMES: Mapping[ValueType, str] = {
    ValueType.BOOLEAN: "b",
    ValueType.DATE: "d",
    ValueType.DATETIME: "dt",
    ValueType.DURATION: "dr",
    ValueType.ENUM: "e",
    ValueType.INT: "i",
    ValueType.LONG: "l",
    ValueType.NUMERIC: "q",
    ValueType.STRING: "s",
    ValueType.TIME: "t",
}
VALUE_TYPES: Mapping[str, ValueType] = {name: type_ for type_, name in VALUE_NAMES.items()}
TYPES: Mapping[str, FieldTypes] = {
    "m": FieldTypes.MOMENTARY,
    "p": FieldTypes.PEAK,
    "s": FieldTypes.STATUS,
    "c": FieldTypes.COMPUTED,
    "i": FieldTypes.IDENTITY,
    "h": FieldTypes.HISTORICAL,
}
QUALITIES: Mapping[str, Quality] = dict(
    zip(("ms", "pr", "ae", "me", "mr", "ar", "of", "w", "er", "so", "iv", "eos", "pf", "ic"), Quality, strict=True)
)


class SensorData:
    """The codec of this dialect for one of its namespaces."""

    answers_in_iq = True

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    # ------------------------------------------------------------------ what a device reads and writes

    def decode_request(self, element: Element) -> ReadoutRequest:
        """`<req/>`. Raises BadRequest."""
        nodes = tuple(xml.node_ref(child, NODE) for name, child in xml.children(element) if name == "nd")
        names = [xml.required(child, "n") for name, child in xml.children(element) if name == "f"]
        types = FieldTypes.ALL if xml.flag(element, "all") else FieldTypes(0)
        for attribute, meaning in TYPES.items():
            if xml.flag(element, attribute):
                types |= meaning
        return ReadoutRequest(
            id=self._id(element),
            nodes=nodes,
            names=tuple(dict.fromkeys(names)),
            types=types or FieldTypes.PRESENT,
            start=xml.moment(element, "from"),
            end=xml.moment(element, "to"),
            when=xml.moment(element, "when"),
            tokens=xml.tokens(element, TOKENS),
        )

    def decode_cancel(self, element: Element) -> str:
        return self._id(element)

    def encode_accepted(self, id_: str, queued: bool) -> Element:
        element = self._element("accepted", id_)
        if queued:
            element.set("queued", "true")
        return element

    def encode_started(self, id_: str) -> Element:
        return self._element("started", id_)

    def encode_cancelled(self, id_: str) -> Element | None:
        return None

    def encode_answer(self, answer: Answer) -> list[Element]:
        """One `<resp/>`; a trouble is an `<err/>` at its own moment under its node."""
        element = self._element("resp", answer.id)
        if not answer.done:
            element.set("more", "true")
        items: list[Reading | Trouble] = [*answer.troubles, *answer.readings]
        order = {item.node: place for place, item in reversed(list(enumerate(items)))}
        items.sort(key=lambda item: order[item.node])  # what belongs to a node together, else as it came
        node: Element | None = None
        owner: NodeRef | None = None
        for item in items:
            if node is None or item.node != owner:
                node = SubElement(element, self._tag("nd"))
                xml.put_node(node, item.node, NODE)
                owner = item.node
            stamp = SubElement(node, self._tag("ts"), v=to_text(item.timestamp))
            if isinstance(item, Trouble):
                SubElement(stamp, self._tag("err")).text = item.text
            else:
                for field in item.fields:
                    SubElement(stamp, self._tag(VALUE_NAMES[field.type]), _attributes(field))
        return [element]

    # ------------------------------------------------------------------ what a client reads and writes

    def encode_request(self, request: ReadoutRequest) -> Element:
        element = self._element("req", request.id)
        if request.types == FieldTypes.ALL:
            element.set("all", "true")
        else:
            for attribute, meaning in TYPES.items():
                if meaning & request.types:
                    element.set(attribute, "true")
        for name, value in (("from", request.start), ("to", request.end), ("when", request.when)):
            if value is not None:
                element.set(name, to_text(value))
        xml.put_tokens(element, request.tokens, TOKENS)
        for node in request.nodes or ():
            xml.put_node(SubElement(element, self._tag("nd")), node, NODE)
        for wanted in request.names:
            SubElement(element, self._tag("f"), n=wanted)
        return element

    def encode_cancel(self, id_: str) -> Element:
        return self._element("cancel", id_)

    def decode_answer(self, element: Element) -> Answer | None:
        """`<resp/>` or `<done/>`; None for what carries no data. Fields may stand directly under a moment without a
        node. Raises BadRequest when the element is malformed."""
        kind = xml.local(element)
        if kind not in ("resp", "done"):
            return None
        readings: list[Reading] = []
        troubles: list[Trouble] = []
        for name, child in xml.children(element):
            if name == "nd":
                node = xml.node_ref(child, NODE)
                for inner, stamp in xml.children(child):
                    if inner == "ts":
                        self._moment(node, stamp, readings, troubles)
            elif name == "ts":
                self._moment(NodeRef(""), child, readings, troubles)
        done = kind == "done" or not xml.flag(element, "more")
        return Answer(self._id(element), tuple(readings), tuple(troubles), done)

    def _moment(self, node: NodeRef, stamp: Element, readings: list[Reading], troubles: list[Trouble]) -> None:
        when = xml.moment(stamp, "v")
        if when is None:
            raise BadRequest("<ts/> lacks the attribute 'v'")
        fields = []
        for name, child in xml.children(stamp):
            if name == "err":
                troubles.append(Trouble(node, when, (child.text or "").strip()))
            elif (field := _field(name, child)) is not None:
                fields.append(field)
        if fields:
            readings.append(Reading(node, when, tuple(fields)))

    def _element(self, name: str, id_: str) -> Element:
        return Element(self._tag(name), id=id_)

    def _tag(self, name: str) -> str:
        return f"{{{self.namespace}}}{name}"

    @staticmethod
    def _id(element: Element) -> str:
        id_ = xml.required(element, "id")
        if len(id_) > MAX_ID:
            raise BadRequest(f"an id has at most {MAX_ID} characters")
        return id_


def _attributes(field: Field) -> dict[str, str]:
    attributes = {"n": field.name}
    attributes.update({name: "true" for name, meaning in TYPES.items() if meaning & field.types})
    attributes.update({name: "true" for name, meaning in QUALITIES.items() if meaning in field.quality})
    attributes["v"] = to_text(field.value)
    if field.type is ValueType.NUMERIC and field.unit:
        attributes["u"] = field.unit
    if field.type is ValueType.ENUM:
        attributes["t"] = field.data_type
    if field.writable is not None:
        attributes["ctr"] = "true" if field.writable else "false"
    if field.module:
        attributes["lns"] = field.module
    if field.string_ids:
        attributes["loc"] = field.string_ids
    return attributes


def _field(kind: str, element: Element) -> Field | None:
    if kind not in VALUE_TYPES:
        return None
    type_ = VALUE_TYPES[kind]
    try:
        value = parse_text(type_, xml.required(element, "v"))
    except ValueError as error:
        log.warning("a field that cannot be read is left out: %s", error)
        return None
    types, quality = FieldTypes(0), Quality(0)
    for name, meaning in TYPES.items():
        if xml.flag(element, name):
            types |= FieldTypes.HISTORICAL_OTHER if name == "h" else meaning
    for name, level in QUALITIES.items():
        if xml.flag(element, name):
            quality |= level
    return Field(
        name=xml.required(element, "n"),
        value=value,
        type=type_,
        types=types or FieldTypes.MOMENTARY,
        quality=quality or Quality.AUTOMATIC_READOUT,
        unit=element.get("u", ""),
        writable=xml.flag(element, "ctr") if "ctr" in element.attrib else None,
        data_type=element.get("t", "") if type_ is ValueType.ENUM else "",
        module=element.get("lns", ""),
        string_ids=element.get("loc", ""),
    )
