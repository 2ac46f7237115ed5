"""Names of XMPP Core that the gateway knows, what passes over a stream, and what a stream says when it ends.

Rules of this file
* Sans-IO, and of neither side: the same items come from XML text (`xmlreader`) and from EXI bodies (`sides`).
* A StreamFault is what ends one stream; its condition is one of RFC 6120 section 4.9.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.etree.ElementTree import Element, SubElement

from hub.errors import PeerConfused

CLIENT: Final = "jabber:client"
STREAMS: Final = "http://etherx.jabber.org/streams"
TLS: Final = "urn:ietf:params:xml:ns:xmpp-tls"
SASL: Final = "urn:ietf:params:xml:ns:xmpp-sasl"
SASL2: Final = "urn:xmpp:sasl:2"  # XEP-0388
CHANNEL_BINDING: Final = "urn:xmpp:sasl-cb:0"  # XEP-0440
CONDITIONS: Final = "urn:ietf:params:xml:ns:xmpp-streams"
XML: Final = "http://www.w3.org/XML/1998/namespace"

ACK_REQUEST: Final = "{urn:xmpp:sm:3}r"
STREAM: Final = f"{{{STREAMS}}}stream"
FEATURES: Final = f"{{{STREAMS}}}features"
ERROR: Final = f"{{{STREAMS}}}error"
STARTTLS: Final = f"{{{TLS}}}starttls"
PROCEED: Final = f"{{{TLS}}}proceed"
SUCCESS: Final = f"{{{SASL}}}success"
SUCCESS2: Final = f"{{{SASL2}}}success"
LANG: Final = f"{{{XML}}}lang"


class StreamFault(PeerConfused):
    """What ends a stream. `condition` as RFC 6120 section 4.9.3 names it; the text goes to the peer too."""

    def __init__(self, condition: str, text: str = "") -> None:
        super().__init__(f"{condition}: {text}" if text else condition)
        self.condition = condition
        self.text = text


@dataclass(frozen=True, slots=True)
class Opened:
    """A stream was opened. `attributes` in Clark notation; `prefixes` by name, "" is the default namespace; `tag` as it
    was written. `raw`: the exact bytes, with what stood in front of them; none where it did not come as XML."""

    attributes: Mapping[str, str]
    prefixes: Mapping[str, str] = field(default_factory=dict)
    tag: str = "stream:stream"
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class Stanza:
    """One first-level element. `raw` as above; `whole`: the element has its content, not only its name."""

    element: Element
    raw: bytes = b""
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Closed:
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class Space:
    """White space between two elements: a keep-alive."""

    raw: bytes


Item = Opened | Stanza | Closed | Space


def error_element(fault: StreamFault) -> Element:
    element = Element(ERROR)
    SubElement(element, f"{{{CONDITIONS}}}{fault.condition}")
    if fault.text:
        text = SubElement(element, f"{{{CONDITIONS}}}text", {LANG: "en"})
        text.text = fault.text[:500]
    return element


def tls_features() -> Element:
    """What is offered before TLS: nothing else."""
    features = Element(FEATURES)
    SubElement(SubElement(features, STARTTLS), f"{{{TLS}}}required")
    return features
