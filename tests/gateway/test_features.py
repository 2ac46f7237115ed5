"""Exactly this is changed in a server's features, and nothing else."""

from __future__ import annotations

from xml.etree.ElementTree import Element, fromstring, tostring

import pytest

from hub import exi
from hub.exi import schemas
from hub.gateway.features import passed_on
from hub.gateway.sides import sayable_features
from hub.session.exi_setup import Settings, offered_methods

SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
BIND = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
SM = "<sm xmlns='urn:xmpp:sm:3'><optional/></sm>"


def features(*inside: str) -> Element:
    names = "xmlns:s='http://etherx.jabber.org/streams' xmlns='jabber:client'"
    return fromstring(f"<s:features {names}>{''.join(inside)}</s:features>")


UNCHANGED = [
    "",
    BIND + SM,
    f"<mechanisms xmlns='{SASL}'><mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism></mechanisms>",
    "<authentication xmlns='urn:xmpp:sasl:2'><mechanism>PLAIN</mechanism><inline><sm xmlns='urn:xmpp:sm:3'/></inline>"
    "</authentication>",
]


@pytest.mark.parametrize("inside", UNCHANGED)
def test_what_is_left_alone(inside: str) -> None:
    element = features(inside)
    assert passed_on(element, ()) is False
    assert tostring(element) == tostring(features(inside))


CHANGED = [
    ("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>" + BIND, BIND),
    ("<compression xmlns='http://jabber.org/features/compress'><method>zlib</method></compression>" + SM, SM),
    ("<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding type='a'/></sasl-channel-binding>", ""),
    (
        f"<mechanisms xmlns='{SASL}'><mechanism>SCRAM-SHA-1-PLUS</mechanism><mechanism> SCRAM-SHA-1 </mechanism>"
        "<mechanism>\nSCRAM-SHA-512-PLUS </mechanism></mechanisms>",
        f"<mechanisms xmlns='{SASL}'><mechanism> SCRAM-SHA-1 </mechanism></mechanisms>",
    ),
    (
        "<authentication xmlns='urn:xmpp:sasl:2'><mechanism>SCRAM-SHA-256-PLUS</mechanism><mechanism>PLAIN</mechanism>"
        "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'/><inline/></authentication>",
        "<authentication xmlns='urn:xmpp:sasl:2'><mechanism>PLAIN</mechanism><inline/></authentication>",
    ),
]


@pytest.mark.parametrize(("inside", "left"), CHANGED)
def test_what_is_removed(inside: str, left: str) -> None:
    element = features(inside)
    assert passed_on(element, ()) is True
    assert tostring(element) == tostring(features(left))


def test_what_is_added() -> None:
    element = features(CHANGED[1][0])
    assert passed_on(element, ("exi", "exi:5224"))
    assert offered_methods(element) == ["exi", "exi:5224"]


def test_a_feature_without_a_form_in_the_schemas_is_not_offered() -> None:
    """Strict schemas know no such attribute."""
    offered = features(BIND.replace("/>", " strange='1'/>"), SM, "<ver xmlns='urn:x'/>")
    strict = Settings(exi.Options(strict=True))
    with pytest.raises(exi.EncodeError):
        exi.Encoder(schemas.grammars(), strict.options).encode(offered)
    left = sayable_features(offered, schemas.grammars(), strict)
    assert [child.tag for child in left] == ["{urn:xmpp:sm:3}sm", "{urn:x}ver"]
    exi.Encoder(schemas.grammars(), strict.options).encode(left)
