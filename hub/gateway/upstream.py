"""From nothing to a verified TLS connection with a domain's server, before the client's own stream goes over it."""

from __future__ import annotations

import asyncio
from xml.etree.ElementTree import Element

from hub.gateway.domains import Served
from hub.gateway.limits import Limits
from hub.gateway.sides import XmlSide
from hub.gateway.wire import Lost, Wire, connect
from hub.gateway.xmlreader import Bounds
from hub.gateway.xmlwriter import write_element
from hub.gateway.xmpp import FEATURES, PROCEED, STARTTLS, Opened, Stanza


async def reach(served: Served, limits: Limits) -> Wire:
    """A wire that TLS protects, and over which nothing has gone yet. Raises Lost."""
    domain, limit = served.domain, limits.connect_timeout
    wire: Wire | None = None
    try:
        async with asyncio.timeout(limit):
            wire = await connect(*domain.server, limits)
            if not domain.direct_tls:
                await _ask_for_tls(wire, domain.name, limits.xml(limits.server_stanza_size))
            await wire.start_tls(served.connecting, domain.name)
            return wire
    except TimeoutError:
        _drop(wire)
        raise Lost(f"it did not answer within {limit:g} s") from None
    except BaseException:
        _drop(wire)
        raise


def _drop(wire: Wire | None) -> None:
    if wire is not None:
        wire.abort()


async def _ask_for_tls(wire: Wire, domain: str, bounds: Bounds) -> None:
    """RFC 6120 section 5.4."""
    side = XmlSide(bounds, whole=True)
    wire.write(side.say(Opened({"to": domain, "version": "1.0"})))
    features = await _stanza(wire, side)
    if features.tag != FEATURES or features.find(STARTTLS) is None:
        raise Lost("it offers no TLS")
    wire.write(write_element(Element(STARTTLS)))
    if (await _stanza(wire, side)).tag != PROCEED or side.pending:
        raise Lost("it refuses TLS")


async def _stanza(wire: Wire, side: XmlSide) -> Element:
    while data := await wire.receive():
        found = [item.element for item in side.feed(data) if isinstance(item, Stanza)]
        if side.fault is not None:
            raise Lost(f"it sends no XMPP: {side.fault}")
        if len(found) > 1:
            raise Lost("it sends more than was asked for")
        if found:
            return found[0]
    raise Lost(wire.reason)
