"""Commands and forms in raw XML."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

OLD = "urn:xmpp:iot:control"
NEW = ("urn:nf:iot:ctr:1.0", "urn:ieee:iot:ctr:1.0")
DATA = "{jabber:x:data}"
VALIDATE = "{http://jabber.org/protocol/xdata-validate}"
LAYOUT = "{http://jabber.org/protocol/xdata-layout}"
DYNAMIC = "{urn:xmpp:xdata:dynamic}"

TYPES = {  # of parameters: the element in the old dialect → in the new
    "boolean": "b", "color": "cl", "date": "d", "dateTime": "dt", "double": "db", "duration": "dr", "int": "i",
    "long": "l", "string": "s", "time": "t",
}  # fmt: skip


def command(namespace: str, names: tuple[str, ...], *parameters: tuple[str, str, str]) -> str:
    """`<set/>` for the nodes `names`; parameters are (type as the old dialect names it, name, value)."""
    old = namespace == OLD
    inner = "".join(f"<node nodeId='{name}'/>" if old else f"<nd id='{name}'/>" for name in names)
    for kind, name, value in parameters:
        if old:
            inner += f"<{kind} name={quoteattr(name)} value={quoteattr(value)}/>"
        else:
            inner += f"<{TYPES.get(kind, kind)} n={quoteattr(name)} v={quoteattr(value)}/>"
    return f"<set xmlns='{namespace}'>{inner}</set>"


def get_form(namespace: str, *names: str) -> str:
    inner = "".join(f"<node nodeId='{n}'/>" if namespace == OLD else f"<nd id='{n}'/>" for n in names)
    return f"<getForm xmlns='{namespace}'>{inner}</getForm>"


def submit(namespace: str, names: tuple[str, ...], values: Mapping[str, str], kind: str = "submit") -> str:
    fields = "".join(
        f"<field var={quoteattr(name)}><value>{escape(value)}</value></field>" for name, value in values.items()
    )
    inner = "".join(f"<node nodeId='{n}'/>" if namespace == OLD else f"<nd id='{n}'/>" for n in names)
    return f"<set xmlns='{namespace}'>{inner}<x xmlns='jabber:x:data' type='{kind}'>{fields}</x></set>"


def parameter_errors(iq: Element, namespace: str) -> dict[str, str]:
    """The `paramError`s of a refusal: the text by parameter."""
    key = "var" if namespace == OLD else "n"
    return {error.get(key, ""): error.text or "" for error in iq.iter(f"{{{namespace}}}paramError")}


def form_of(iq: Element) -> Element:
    form = iq.find(f"{DATA}x")
    assert form is not None, "there is no form in the answer"
    return form


def form_fields(form: Element) -> dict[str, Element]:
    return {field.get("var", ""): field for field in form.findall(f"{DATA}field")}
