"""XEP-0325 (version 0.5), `urn:xmpp:iot:control`: commands, control forms and their answers."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement

from devices.base import ValueType
from hub.errors import BadRequest
from hub.stanzas import forms, xml
from hub.things.model import Assignment, Command, NodeRef, Tokens
from hub.things.values import parse_text, to_text

NAMESPACE = "urn:xmpp:iot:control"

NODE = ("nodeId", "sourceId", "cacheType")
TOKENS = ("serviceToken", "deviceToken", "userToken")

TYPE_NAMES: Mapping[ValueType, str] = {
    ValueType.BOOLEAN: "boolean",
    ValueType.COLOR: "color",
    ValueType.DATE: "date",
    ValueType.DATETIME: "dateTime",
    ValueType.NUMERIC: "double",
    ValueType.DURATION: "duration",
    ValueType.ENUM: "string",  # there is no enumeration here
    ValueType.INT: "int",
    ValueType.LONG: "long",
    ValueType.STRING: "string",
    ValueType.TIME: "time",
}


class Control:
    """The codec of one control dialect: this one's words by default, another's by other tables (`control_nf`)."""

    namespace = NAMESPACE
    group_element = "parameterGroup"
    response_element = "setResponse"
    node_element, node_names, token_names = "node", NODE, TOKENS
    name_attribute, value_attribute, error_attribute = "name", "value", "var"
    type_names = TYPE_NAMES
    allows_message = True
    """Whether `<message><set/></message>`, a command without an answer, exists."""

    # ------------------------------------------------------------------ what a device reads and writes

    def decode_command(self, element: Element) -> Command:
        """`<set/>`: typed parameters in their order, or a submitted form. Raises BadRequest."""
        types = {name: type_ for type_, name in self.type_names.items()}  # STRING comes after ENUM, and stays
        assignments: list[Assignment] = []
        errors: dict[str, str] = {}
        for name, child in xml.children(element):
            if name in types:
                parameter = xml.required(child, self.name_attribute)
                try:
                    value = parse_text(types[name], xml.required(child, self.value_attribute))
                except ValueError as error:
                    errors[parameter] = str(error)
                else:
                    assignments.append(Assignment(parameter, value, types[name]))
            elif name != self.node_element:
                raise BadRequest(f"<{name}/> is no type of parameter")
        form = element.find(f"{{{forms.DATA}}}x")
        if form is not None:
            assignments.extend(forms.decode_submit(form))
        if errors:
            raise BadRequest("", errors)
        return Command(self._nodes(element), tuple(assignments), xml.tokens(element, self.token_names))

    def decode_form_request(self, element: Element) -> tuple[tuple[NodeRef, ...] | None, Tokens]:
        """`<getForm/>`: the nodes it is about and the caller's tokens. Raises BadRequest."""
        return self._nodes(element), xml.tokens(element, self.token_names)

    def encode_response(self, nodes: tuple[NodeRef, ...], parameters: tuple[str, ...], narrowed: bool) -> Element:
        """`<setResponse/>`: empty when the command was carried out as asked, else what was (section 3.1.2)."""
        element = Element(self._tag(self.response_element))
        if narrowed:
            self._put_subset(element, nodes, parameters, "parameter")
        return element

    def encode_parameter_errors(self, errors: Mapping[str, str]) -> list[Element]:
        """Children of a stanza error (section 3.1.3)."""
        elements = []
        for name, text in errors.items():
            error = Element(self._tag("paramError"), {self.error_attribute: name})
            error.text = text
            elements.append(error)
        return elements

    # ------------------------------------------------------------------ what a client reads and writes

    def encode_command(self, command: Command) -> Element:
        element = Element(self._tag("set"))
        xml.put_tokens(element, command.tokens, self.token_names)
        self._put_nodes(element, command.nodes)
        if command.assignments and all(assignment.type is None for assignment in command.assignments):
            element.append(forms.encode_submit(command.assignments))
            return element
        for assignment in command.assignments:
            assert assignment.type is not None, "a command is typed or a form, not both"
            attributes = {
                self.name_attribute: assignment.name,
                self.value_attribute: to_text(assignment.value),
            }
            SubElement(element, self._tag(self.type_names[assignment.type]), attributes)
        return element

    def encode_form_request(self, nodes: tuple[NodeRef, ...] | None, shown: Tokens) -> Element:
        element = Element(self._tag("getForm"))
        xml.put_tokens(element, shown, self.token_names)
        self._put_nodes(element, nodes)
        return element

    def decode_parameter_errors(self, error: Element) -> dict[str, str]:
        """The `paramError`s of a stanza error, by parameter."""
        found = {}
        for child in error.iter(self._tag("paramError")):
            name = child.get(self.error_attribute) or child.get("var") or child.get("n") or ""
            found[name] = (child.text or "").strip()
        return found

    # ------------------------------------------------------------------ common

    def _nodes(self, element: Element) -> tuple[NodeRef, ...] | None:
        nodes = [xml.node_ref(c, self.node_names) for name, c in xml.children(element) if name == self.node_element]
        return tuple(nodes) or None

    def _put_nodes(self, element: Element, nodes: tuple[NodeRef, ...] | None) -> None:
        for node in nodes or ():
            xml.put_node(SubElement(element, self._tag(self.node_element)), node, self.node_names)

    def _put_subset(
        self, element: Element, nodes: tuple[NodeRef, ...], parameters: tuple[str, ...], parameter: str
    ) -> None:
        self._put_nodes(element, nodes)
        for name in parameters:
            SubElement(element, self._tag(parameter), {self.name_attribute: name})

    def _tag(self, name: str) -> str:
        return f"{{{self.namespace}}}{name}"
