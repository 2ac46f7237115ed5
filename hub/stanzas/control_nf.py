"""Control as the Neuro-Foundation writes it: `urn:nf:iot:ctr:1.0`, and the same words in two more namespaces.

The structure is XEP-0325's; the names are shorter, there is an enumeration type, the response always lists what was
set, and there is no command without an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element

from devices.base import ValueType
from hub.stanzas import control_xmpp
from hub.things.model import NodeRef

TYPE_NAMES: Mapping[ValueType, str] = {
    ValueType.BOOLEAN: "b",
    ValueType.COLOR: "cl",
    ValueType.DATE: "d",
    ValueType.DATETIME: "dt",
    ValueType.NUMERIC: "db",
    ValueType.DURATION: "dr",
    ValueType.ENUM: "e",
    ValueType.INT: "i",
    ValueType.LONG: "l",
    ValueType.STRING: "s",
    ValueType.TIME: "t",
}


class Control(control_xmpp.Control):
    """The codec of this dialect for one of its namespaces."""

    group_element = "pGroup"
    response_element = "resp"
    node_element, node_names, token_names = "nd", ("id", "src", "pt"), ("st", "dt", "ut")
    name_attribute, value_attribute, error_attribute = "n", "v", "n"
    type_names = TYPE_NAMES
    allows_message = False

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def encode_response(self, nodes: tuple[NodeRef, ...], parameters: tuple[str, ...], narrowed: bool) -> Element:
        element = Element(self._tag(self.response_element))
        self._put_subset(element, nodes, parameters, "p")
        return element
