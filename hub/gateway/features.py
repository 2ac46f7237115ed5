"""What the gateway changes in a server's stream features, and nothing else (RFC 6120 section 4.3.2).

Rules of this file
* Sans-IO. Removed: STARTTLS, which is done; the server's compression, which would work behind our back; channel binding
  (SCRAM-…-PLUS, XEP-0440), because the client's TLS ends here and not at the server. A client and a server that insist
  on it cannot meet through a gateway; nor can those that hash the list of mechanisms (XEP-0474).
* Added: the compression methods that we have, and only after login (XEP-0138 section 7).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from xml.etree.ElementTree import Element, SubElement

from hub.gateway.xmpp import CHANNEL_BINDING, SASL, SASL2, STARTTLS
from hub.session.exi_setup import COMPRESS_FEATURE

COMPRESSION: Final = f"{{{COMPRESS_FEATURE}}}compression"
_REMOVED: Final = frozenset({STARTTLS, COMPRESSION, f"{{{CHANNEL_BINDING}}}sasl-channel-binding"})
_MECHANISM_LISTS: Final = (f"{{{SASL}}}mechanisms", f"{{{SASL2}}}authentication")
_MECHANISMS: Final = frozenset({f"{{{SASL}}}mechanism", f"{{{SASL2}}}mechanism"})
_BINDING: Final = "-PLUS"


def passed_on(features: Element, methods: Sequence[str]) -> bool:
    """Change `features` into what the client may know; `methods` of compression are added. Whether anything changed."""
    changed = False
    for child in list(features):
        if child.tag in _REMOVED:
            features.remove(child)
            changed = True
        elif child.tag in _MECHANISM_LISTS:
            changed |= _without_binding(child)
    if methods:
        compression = SubElement(features, COMPRESSION)
        for method in methods:
            SubElement(compression, f"{{{COMPRESS_FEATURE}}}method").text = method
        changed = True
    return changed


def _without_binding(mechanisms: Element) -> bool:
    bound = [
        child
        for child in mechanisms
        if child.tag in _REMOVED or (child.tag in _MECHANISMS and (child.text or "").strip().endswith(_BINDING))
    ]
    for child in bound:
        mechanisms.remove(child)
    return bool(bound)
