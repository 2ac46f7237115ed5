"""Control forms: XEP-0004 data forms with validation (XEP-0122), pages (XEP-0141), colours (XEP-0331) and the
`notSame` flag (XEP-0336) that keeps a form from setting what nobody edited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from xml.etree.ElementTree import Element, SubElement

from devices.base import ParameterSpec, Value, ValueType
from hub.errors import BadRequest
from hub.things.model import Assignment
from hub.things.values import to_text

DATA = "jabber:x:data"
VALIDATE = "http://jabber.org/protocol/xdata-validate"
LAYOUT = "http://jabber.org/protocol/xdata-layout"
DYNAMIC = "urn:xmpp:xdata:dynamic"
COLOR = "urn:xmpp:xdata:color"

FEATURES = (DATA, VALIDATE, LAYOUT, DYNAMIC)
SESSION = "xdd session"
HIDDEN = (SESSION, "FORM_TYPE")
MAX_FIELDS = 200

DATATYPES: Mapping[ValueType, str] = {
    ValueType.BOOLEAN: "xs:boolean",
    ValueType.COLOR: "xdc:Color",
    ValueType.DATE: "xs:date",
    ValueType.DATETIME: "xs:dateTime",
    ValueType.DURATION: "xs:duration",
    ValueType.ENUM: "xs:string",  # before STRING, which is what a form field of this type is read as
    ValueType.INT: "xs:int",
    ValueType.LONG: "xs:long",
    ValueType.NUMERIC: "xs:double",
    ValueType.STRING: "xs:string",
    ValueType.TIME: "xs:time",
}
_TYPES = {name: type_ for type_, name in DATATYPES.items()} | {"xdc:ColorAlpha": ValueType.COLOR}


@dataclass(frozen=True)
class FormField:
    """One parameter as a form shows it. `text` is the current value, empty when it is not known."""

    name: str
    type: ValueType
    label: str
    description: str
    text: str
    minimum: str
    maximum: str
    options: tuple[str, ...]
    page: str


def encode_form(
    title: str,
    session: str,
    parameters: Sequence[ParameterSpec],
    current: Mapping[str, Value],
    group_namespace: str,
    group_element: str,
) -> Element:
    """The form of XEP-0325 section 3.3: pages by group, parameters in the order in which they are to be sent."""
    form = Element(_x("x"), type="form")
    SubElement(form, _x("title")).text = title
    for label in dict.fromkeys(_page(spec) for spec in parameters):
        page = SubElement(form, f"{{{LAYOUT}}}page", label=label)
        for spec in parameters:
            if _page(spec) == label:
                SubElement(page, f"{{{LAYOUT}}}fieldref", var=spec.name)
    hidden = SubElement(form, _x("field"), var=SESSION, type="hidden")
    SubElement(hidden, _x("value")).text = session
    for spec in parameters:
        field = _field(form, spec, current.get(spec.name))
        SubElement(field, f"{{{DYNAMIC}}}notSame")
        if spec.group:
            SubElement(field, f"{{{group_namespace}}}{group_element}",
                       {"n" if group_element == "pGroup" else "name": spec.group})  # fmt: skip
    return form


def _field(form: Element, spec: ParameterSpec, value: Value | None) -> Element:
    kind = "boolean" if spec.type is ValueType.BOOLEAN else "list-single" if spec.options else "text-single"
    unit = f" ({spec.unit})" if spec.unit else ""
    field = SubElement(form, _x("field"), var=spec.name, type=kind, label=(spec.label or spec.name) + unit)
    SubElement(field, _x("desc")).text = spec.description or f"{spec.label or spec.name}: {spec.limits()}"
    if value is not None:
        SubElement(field, _x("value")).text = to_text(value)
    for option in spec.options:
        element = SubElement(field, _x("option"), label=option)
        SubElement(element, _x("value")).text = option
    validate = SubElement(field, f"{{{VALIDATE}}}validate", datatype=DATATYPES[spec.type])
    if spec.minimum is not None or spec.maximum is not None:
        # Written out: whole numbers of XML Schema know no exponent and no point.
        limits = {name: f"{Decimal(str(limit)).normalize():f}"
                  for name, limit in (("min", spec.minimum), ("max", spec.maximum)) if limit is not None}  # fmt: skip
        SubElement(validate, f"{{{VALIDATE}}}range", limits)
    elif not spec.options:
        SubElement(validate, f"{{{VALIDATE}}}basic")
    return field


def decode_form(form: Element) -> tuple[str, tuple[FormField, ...]]:
    """A form from a peer: its title and its parameters, in order. What is no parameter is left out."""
    pages = {
        ref.get("var", ""): page.get("label", "")
        for page in form.iter(f"{{{LAYOUT}}}page")
        for ref in page.iter(f"{{{LAYOUT}}}fieldref")
    }
    fields = []
    for element in form.findall(_x("field")):
        name = element.get("var", "")
        if element.get("type") in ("hidden", "fixed") or not name:
            continue
        fields.append(_decode_field(name, element, pages.get(name, "")))
    return (form.findtext(_x("title")) or "").strip(), tuple(fields)


def _decode_field(name: str, element: Element, page: str) -> FormField:
    validate = element.find(f"{{{VALIDATE}}}validate")
    datatype = validate.get("datatype", "xs:string") if validate is not None else "xs:string"
    limits = validate.find(f"{{{VALIDATE}}}range") if validate is not None else None
    type_ = ValueType.BOOLEAN if element.get("type") == "boolean" else _TYPES.get(datatype, ValueType.STRING)
    options = [option.findtext(_x("value")) or "" for option in element.findall(_x("option"))]
    return FormField(
        name=name,
        type=type_,
        label=element.get("label", name),
        description=(element.findtext(_x("desc")) or "").strip(),
        text=element.findtext(_x("value")) or "",
        minimum=limits.get("min", "") if limits is not None else "",
        maximum=limits.get("max", "") if limits is not None else "",
        options=tuple(options),
        page=page,
    )


def decode_submit(form: Element) -> list[Assignment]:
    """The parameters of a submitted form, untyped, in the form's order. Raises BadRequest."""
    if form.get("type") != "submit":
        raise BadRequest("a form that sets something has the type 'submit'")
    fields = form.findall(_x("field"))
    if len(fields) > MAX_FIELDS:
        raise BadRequest(f"a form has at most {MAX_FIELDS} fields")
    assignments = []
    for field in fields:
        name = field.get("var", "")
        if name in HIDDEN or field.get("type") in ("hidden", "fixed"):
            continue
        values = [value.text or "" for value in field.findall(_x("value"))]
        if not name or len(values) != 1:
            raise BadRequest("", {name or "(unnamed)": "A parameter has exactly one value."})
        assignments.append(Assignment(name, values[0], None))
    return assignments


def encode_submit(assignments: Sequence[Assignment]) -> Element:
    """Only what was edited is sent back (XEP-0325 section 3.3.3)."""
    form = Element(_x("x"), type="submit")
    for assignment in assignments:
        field = SubElement(form, _x("field"), var=assignment.name)
        SubElement(field, _x("value")).text = to_text(assignment.value)
    return form


def _page(spec: ParameterSpec) -> str:
    return spec.group.capitalize() if spec.group else "Output"


def _x(name: str) -> str:
    return f"{{{DATA}}}{name}"
