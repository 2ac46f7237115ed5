"""Provisioning as the Neuro-Foundation writes it: `urn:nf:iot:prov:d:1.0` (devices) and `urn:nf:iot:prov:t:1.0`
(tokens), and the same words in two more families of namespaces.

The structure is XEP-0324's. Names are shorter, there are no users of services and no secondary trust, an emptied cache
is acknowledged by an empty result, and all historical types are one. So a verdict that allows some of them and not
all that were asked for allows none here: it must not say more than it means.

Sources: ProvisioningDevice.xsd, ProvisioningTokens.xsd, DecisionSupport.md and Tokens.md of the Neuro-Foundation.
Deviation: the schema lists parameters as `<p n=…>`, the peers that exist write and read `<parameter name=…>` and pass
over the other. Both are read, and both are written: a restriction that is not seen would be an allowance.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element

from hub.stanzas import provisioning_xmpp
from hub.stanzas.sensor_data_nf import NODE, TOKENS, TYPES
from hub.things.model import FieldTypes
from hub.things.questions import Right


class Provisioning(provisioning_xmpp.Provisioning):
    """The codec of this dialect for one of its families: "nf", "ieee" or "nfi"."""

    node_element, node_names, token_names = "nd", NODE, TOKENS
    names: Mapping[Right, tuple[tuple[str, str], ...]] = {
        Right.READ: (("f", "n"),),
        Right.CONTROL: (("parameter", "name"), ("p", "n")),
    }
    types_read: Mapping[str, FieldTypes] = {**TYPES, "all": FieldTypes.ALL}
    types_written = TYPES
    has_secondary_trust = has_users = False

    def __init__(self, family: str) -> None:
        self.device_namespace = f"urn:{family}:iot:prov:d:1.0"
        self.token_namespace = f"urn:{family}:iot:prov:t:1.0"
        self.namespaces = (self.device_namespace, self.token_namespace)
        super().__init__()

    def encode_clear_cache_done(self) -> Element | None:
        return None

    def _put_types(self, element: Element, types: FieldTypes) -> None:
        super()._put_types(element, types | FieldTypes.HISTORICAL if types & FieldTypes.HISTORICAL else types)

    def _sayable(self, types: FieldTypes, asked: FieldTypes) -> FieldTypes:
        left_out = asked & FieldTypes.HISTORICAL & ~types
        return types & ~FieldTypes.HISTORICAL if left_out else types
