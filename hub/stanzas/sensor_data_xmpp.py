"""XEP-0323 (version 0.6), `urn:xmpp:iot:sensordata`: requests, answers and everything between them.

Deviations: `identification` is accepted where the schema says `identity` (the examples of the text write it); a
request without any field type means everything but history, because peers send it so.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement

from devices.base import ValueType
from hub.errors import BadRequest
from hub.stanzas import xml
from hub.things.model import Answer, Field, FieldTypes, NodeRef, Quality, Reading, ReadoutRequest, Trouble
from hub.things.values import parse_datetime, parse_text, to_text

log = logging.getLogger(__name__)

NAMESPACE = "urn:xmpp:iot:sensordata"

NODE = ("nodeId", "sourceId", "cacheType")
TOKENS = ("serviceToken", "deviceToken", "userToken")


def _camel(name: str) -> str:
    first, *rest = name.lower().split("_")
    return first + "".join(word.capitalize() for word in rest)


TYPE_ATTRIBUTES: Mapping[str, FieldTypes] = {_camel(str(t.name)): t for t in FieldTypes}
QUALITY_ATTRIBUTES: Mapping[str, Quality] = {_camel(str(q.name)): q for q in Quality}
REQUEST_TYPES: Mapping[str, FieldTypes] = {
    **TYPE_ATTRIBUTES,
    "identification": FieldTypes.IDENTITY,
    "historical": FieldTypes.HISTORICAL,
    "all": FieldTypes.ALL,
}
_FLAG_CACHE: dict[tuple[FieldTypes, Quality], dict[str, str]] = {}
_SEQNR = re.compile(r"[+-]?\d{1,10}", re.ASCII)


class SensorData:
    """The codec of this dialect."""

    namespace = NAMESPACE
    answers_in_iq = False
    """Data always comes in messages; the IQ result only says that the request was accepted."""

    # ------------------------------------------------------------------ what a device reads and writes

    def decode_request(self, element: Element) -> ReadoutRequest:
        """`<req/>`. Raises BadRequest."""
        nodes: list[NodeRef] = []
        names: list[str] = []
        for name, child in xml.children(element):
            if name == "node":
                nodes.append(xml.node_ref(child, NODE))
            elif name == "field":
                names.append(xml.required(child, "name"))
        types = FieldTypes(0)
        for attribute, meaning in REQUEST_TYPES.items():
            if xml.flag(element, attribute):
                types |= meaning
        return ReadoutRequest(
            id=self._seqnr(element),
            nodes=tuple(nodes) or None,
            names=tuple(dict.fromkeys(names)),
            types=types or FieldTypes.PRESENT,
            start=xml.moment(element, "from"),
            end=xml.moment(element, "to"),
            when=xml.moment(element, "when"),
            tokens=xml.tokens(element, TOKENS),
        )

    def decode_cancel(self, element: Element) -> str:
        """`<cancel/>`: the id of the request to cancel. Raises BadRequest."""
        return self._seqnr(element)

    def encode_accepted(self, id_: str, queued: bool) -> Element:
        element = self._element("accepted", id_)
        if queued:
            element.set("queued", "true")
        return element

    def encode_started(self, id_: str) -> Element:
        return self._element("started", id_)

    def encode_cancelled(self, id_: str) -> Element | None:
        return self._element("cancelled", id_)

    def encode_answer(self, answer: Answer) -> list[Element]:
        """One element per message: `<fields/>` for readings, `<failure/>` for troubles; the last one is `done`."""
        elements = []
        if answer.troubles:
            failure = self._element("failure", answer.id)
            for trouble in answer.troubles:
                error = SubElement(failure, f"{{{NAMESPACE}}}error", timestamp=to_text(trouble.timestamp))
                xml.put_node(error, trouble.node, NODE)
                error.text = trouble.text
            elements.append(failure)
        if answer.readings:
            elements.append(self.encode_fields(answer.id, answer.readings))
        if answer.done:
            if not elements:
                elements.append(self._element("done", answer.id))
            else:
                elements[-1].set("done", "true")
        return elements

    def encode_fields(self, id_: str, readings: tuple[Reading, ...]) -> Element:
        """`<fields/>`; also the payload of telemetry, then with the id 0."""
        fields = self._element("fields", id_)
        node: Element | None = None
        owner: NodeRef | None = None
        for reading in readings:
            if node is None or reading.node != owner:
                node = SubElement(fields, f"{{{NAMESPACE}}}node")
                xml.put_node(node, reading.node, NODE)
                owner = reading.node
            stamp = SubElement(node, f"{{{NAMESPACE}}}timestamp", value=to_text(reading.timestamp))
            for value in reading.fields:
                SubElement(stamp, f"{{{NAMESPACE}}}{value.type.value}", self._attributes(value))
        return fields

    # ------------------------------------------------------------------ what a client reads and writes

    def encode_request(self, request: ReadoutRequest) -> Element:
        element = self._element("req", request.id)
        if request.types == FieldTypes.ALL:
            element.set("all", "true")
        else:
            types: FieldTypes = request.types
            if FieldTypes.HISTORICAL in types:
                element.set("historical", "true")
                types &= ~FieldTypes.HISTORICAL
            for attribute, meaning in TYPE_ATTRIBUTES.items():
                if meaning in types:
                    element.set(attribute, "true")
        for name, value in (("from", request.start), ("to", request.end), ("when", request.when)):
            if value is not None:
                element.set(name, to_text(value))
        xml.put_tokens(element, request.tokens, TOKENS)
        for node in request.nodes or ():
            xml.put_node(SubElement(element, f"{{{NAMESPACE}}}node"), node, NODE)
        for wanted in request.names:
            SubElement(element, f"{{{NAMESPACE}}}field", name=wanted)
        return element

    def encode_cancel(self, id_: str) -> Element:
        return self._element("cancel", id_)

    def decode_answer(self, element: Element) -> Answer | None:
        """`<fields/>`, `<failure/>` or `<done/>`; None for what carries no data (`<started/>` …).

        A value that is not of its type is left out and logged: one bad field must not hide the others.
        Raises BadRequest when the element itself is malformed.
        """
        kind = xml.local(element)
        if kind not in ("fields", "failure", "done"):
            return None
        readings: list[Reading] = []
        troubles: list[Trouble] = []
        for name, child in xml.children(element):
            if name == "node":
                readings.extend(self._readings(child))
            elif name == "error":
                stamp = xml.moment(child, "timestamp")
                if stamp is None:
                    raise BadRequest("<error/> lacks the attribute 'timestamp'")
                troubles.append(Trouble(xml.node_ref(child, NODE), stamp, (child.text or "").strip()))
        done = kind == "done" or xml.flag(element, "done")
        return Answer(self._seqnr(element), tuple(readings), tuple(troubles), done)

    def _readings(self, node: Element) -> list[Reading]:
        ref = xml.node_ref(node, NODE)
        readings = []
        for name, stamp in xml.children(node):
            if name == "timestamp":
                fields = [self._field(kind, child) for kind, child in xml.children(stamp)]
                try:
                    when = parse_datetime(xml.required(stamp, "value"))
                except ValueError as error:
                    raise BadRequest(f"timestamp: {error}") from None
                readings.append(Reading(ref, when, tuple(f for f in fields if f is not None)))
        return readings

    def _field(self, kind: str, element: Element) -> Field | None:
        try:
            type_ = ValueType(kind)
            value = parse_text(type_, xml.required(element, "value"))
        except ValueError as error:
            log.warning("a field that cannot be read is left out: %s", error)
            return None
        types, quality = FieldTypes(0), Quality(0)
        for attribute, text in element.attrib.items():
            if text.strip() not in ("true", "1"):
                continue
            if attribute in TYPE_ATTRIBUTES or attribute == "identification":
                types |= REQUEST_TYPES[attribute]
            elif attribute in QUALITY_ATTRIBUTES:
                quality |= QUALITY_ATTRIBUTES[attribute]
        return Field(
            name=xml.required(element, "name"),
            value=value,
            type=type_,
            types=types or FieldTypes.MOMENTARY,
            quality=quality or Quality.AUTOMATIC_READOUT,
            unit=element.get("unit", ""),
            writable=xml.flag(element, "writable") if "writable" in element.attrib else None,
            data_type=element.get("dataType", ""),
            module=element.get("module", ""),
            string_ids=element.get("stringIds", ""),
        )

    # ------------------------------------------------------------------ common

    def _element(self, name: str, id_: str) -> Element:
        return Element(f"{{{NAMESPACE}}}{name}", seqnr=id_)

    def _seqnr(self, element: Element) -> str:
        text = xml.required(element, "seqnr").strip()
        if not _SEQNR.fullmatch(text) or not -(1 << 31) <= int(text) < 1 << 31:
            raise BadRequest(f"seqnr={text[:40]!r} is not a whole number of 32 bits")
        return str(int(text))

    @staticmethod
    def _attributes(field: Field) -> dict[str, str]:
        attributes = {"name": field.name, **_flags(field.types, field.quality), "value": to_text(field.value)}
        if field.type is ValueType.NUMERIC:
            attributes["unit"] = field.unit
        if field.type is ValueType.ENUM:
            attributes["dataType"] = field.data_type
        if field.writable is not None:
            attributes["writable"] = "true" if field.writable else "false"
        if field.module:
            attributes["module"] = field.module
        if field.string_ids:
            attributes["stringIds"] = field.string_ids
        return attributes


def _flags(types: FieldTypes, quality: Quality) -> Mapping[str, str]:
    """The attributes that are true; there are few combinations, so each is made once."""
    if (types, quality) not in _FLAG_CACHE:
        true = [name for name, meaning in TYPE_ATTRIBUTES.items() if meaning in types]
        true += [name for name, meaning in QUALITY_ATTRIBUTES.items() if meaning in quality]
        _FLAG_CACHE[types, quality] = dict.fromkeys(true, "true")
    return _FLAG_CACHE[types, quality]
