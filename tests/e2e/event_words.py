"""Event subscriptions in raw XML, in every dialect, and what comes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from .raw import RawClient, condition
from .readings import OLD, Readout, parts
from .world import HUB

BARE = "greenhouse@localhost"
FAMILIES = ("xmpp", "nf", "ieee")


@dataclass(frozen=True)
class Words:
    """A dialect by the second part of its namespaces. Attributes are written in the XSF's words."""

    family: str

    @property
    def events(self) -> str:
        return "urn:xmpp:iot:events" if self.family == "xmpp" else f"urn:{self.family}:iot:events:1.0"

    @property
    def data(self) -> str:
        return OLD if self.family == "xmpp" else f"urn:{self.family}:iot:sd:1.0"

    def __call__(self, name: str) -> str:
        if self.family == "xmpp":
            return name
        return {
            "seqnr": "id", "node": "nd", "nodeId": "id", "field": "f", "name": "n", "momentary": "m",
            "changedBy": "by", "changedUp": "up", "changedDown": "dn", "currentValue": "v", "minInterval": "minInt",
            "maxInterval": "maxInt",
        }.get(name, name)  # fmt: skip

    def subscribe(
        self, id_: int = 1, fields: Mapping[str, Mapping[str, str]] | None = None, nodes: tuple[str, ...] = ("air",),
        **attributes: str,
    ) -> str:  # fmt: skip
        """`fields`: conditions by the name of the field."""
        types = {} if {"momentary", "all"} & attributes.keys() else {"momentary": "true"}
        said = "".join(f" {self(name)}='{value}'" for name, value in {**types, **attributes}.items())
        inner = "".join(f"<{self('node')} {self('nodeId')}='{node}'/>" for node in nodes)
        for name, conditions in (fields or {}).items():
            limits = "".join(f" {self(key)}='{value}'" for key, value in conditions.items())
            inner += f"<{self('field')} {self('name')}='{name}'{limits}/>"
        return f"<subscribe xmlns='{self.events}' {self('seqnr')}='{id_}'{said}>{inner}</subscribe>"

    def unsubscribe(self, id_: int = 1) -> str:
        return f"<unsubscribe xmlns='{self.events}' {self('seqnr')}='{id_}'/>"

    # ------------------------------------------------------------------ what comes

    def accepted(self, iq: Element, id_: int = 1) -> None:
        assert iq.get("type") == "result", condition(iq)
        (payload,) = iq
        assert (payload.tag, payload.get(self("seqnr"))) == (f"{{{self.data}}}accepted", str(id_))

    async def event(self, client: RawClient, id_: int = 1) -> Readout:
        """The next event, with all its parts."""
        found = await parts(client, self.data, id_)
        return Readout(self.data, found[0], found)

    async def value(self, client: RawClient, id_: int = 1, name: str = "temperature") -> str:
        return (await self.event(client, id_)).value(name)


async def acquainted(client: RawClient) -> None:
    """A contact of the hub, which sees that he is online."""
    await client.befriend(BARE)
    client.write(f"<presence to='{HUB}'/>")


async def silence(client: RawClient) -> list[Element]:
    """What has arrived from the hub in messages, once everything that was on its way is here."""
    await client.ask(HUB, "get", "<query xmlns='http://jabber.org/protocol/disco#info'/>")
    return [s for s in client.pending if s.tag.endswith("}message") and s.get("from") == HUB]
