"""Our errors as stanza errors, and stanza errors of a peer as ours (RFC 6120 section 8.3)."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement

from hub.errors import HubError, PeerRefused, RequestError, stanza_condition
from hub.stanzas import xml
from hub.stanzas.control_xmpp import Control

STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
CLIENT = "jabber:client"


def encode_error(error: HubError, control: Control | None = None) -> Element:
    """`<error/>`. What is wrong with single parameters is written in the words of `control`'s dialect.

    The text tells the caller what to mend; it never quotes what only the log should know.
    """
    type_, condition = stanza_condition(error)
    element = Element(f"{{{CLIENT}}}error", type=type_)
    SubElement(element, f"{{{STANZAS}}}{condition}")
    text = error.text if isinstance(error, RequestError) else str(error)
    if text:
        SubElement(element, f"{{{STANZAS}}}text", {"{http://www.w3.org/XML/1998/namespace}lang": "en"}).text = text
    if control is not None and isinstance(error, RequestError):
        element.extend(control.encode_parameter_errors(error.parameters))
    return element


def decode_error(stanza: Element, control: Control | None = None) -> PeerRefused:
    """The error of a stanza of type `error`."""
    error = next((child for child in stanza if xml.local(child) == "error"), None)
    if error is None:
        return PeerRefused("undefined-condition")
    condition = next(
        (xml.local(c) for c in error if xml.namespace(c) == STANZAS and xml.local(c) != "text"), "undefined-condition"
    )
    parameters = control.decode_parameter_errors(error) if control is not None else {}
    return PeerRefused(condition, (error.findtext(f"{{{STANZAS}}}text") or "").strip(), parameters)
