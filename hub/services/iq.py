"""Asking one question and getting one answer in time. slixmpp's futures have no bound of their own that we trust."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element

from slixmpp.basexmpp import BaseXMPP
from slixmpp.exceptions import IqError, IqTimeout

from hub.errors import PeerSilent
from hub.stanzas.control_xmpp import Control
from hub.stanzas.errors import decode_error

TIMEOUT_S = 15.0


async def ask(
    client: BaseXMPP,
    to: str | None,
    kind: str,
    payload: Element,
    timeout: float = TIMEOUT_S,
    control: Control | None = None,
) -> Element:
    """The whole `<iq type='result'/>`. `to` None asks our own account. Raises PeerRefused or PeerSilent.

    A component says who it is in every stanza (XEP-0114 section 3); for an account its server does.
    """
    iq: Any = client.Iq()
    iq.xml.set("type", kind)
    if to is not None:
        iq.xml.set("to", to)
    if client.is_component:
        iq.xml.set("from", client.boundjid.full)
    iq.xml.append(payload)
    try:
        result = await iq.send(timeout=timeout)
    except IqError as error:
        raise decode_error(error.iq.xml, control) from None
    except IqTimeout:
        raise PeerSilent(f"{to or 'the server'} did not answer within {timeout:g} s") from None
    answer: Element = result.xml
    return answer
