"""Discovery as the Neuro-Foundation writes it: `urn:nf:iot:disco:1.0`, and the same words in two more namespaces.

The structure and the names of elements are XEP-0347's. A node's address is named as in its sensor data, strings can be
searched by regular expressions, and what a search finds does not name owners.

Sources: Discovery.xsd and Discovery.md of the Neuro-Foundation. Deviations: the schema wants an owner in what is found,
the text beside it took him out; nothing is written, and one that is there is read. `claimed` always says whether the
thing is public: the text means yes where it says nothing, the schema and the peers that exist mean no.
"""

from __future__ import annotations

from hub.stanzas import discovery_xmpp
from hub.stanzas.sensor_data_nf import NODE


class Discovery(discovery_xmpp.Discovery):
    """The codec of this dialect for one of its namespaces."""

    node_names = NODE
    operators = discovery_xmpp.OPERATORS | {"strRegEx"}
    always_says_public = True
    names_owner = False

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        super().__init__()
