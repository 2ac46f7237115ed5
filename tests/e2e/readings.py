"""Readouts in raw XML, in every dialect, with what comes back as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree.ElementTree import Element

from .raw import CLIENT, RawClient, condition
from .world import HUB

OLD = "urn:xmpp:iot:sensordata"
NEW = ("urn:nf:iot:sd:1.0", "urn:ieee:iot:sd:1.0")


@dataclass
class Readout:
    """What came back: the IQ's own payload and the payloads of the messages behind it, all in one namespace."""

    namespace: str
    accepted: Element
    parts: list[Element]

    def nodes(self) -> list[str]:
        wanted = ("node", "nodeId") if self.namespace == OLD else ("nd", "id")
        return list(dict.fromkeys(
            node.get(wanted[1], "") for part in self.parts for node in part.iter(f"{{{self.namespace}}}{wanted[0]}")
        ))  # fmt: skip

    def stamps(self) -> list[Element]:
        name = "timestamp" if self.namespace == OLD else "ts"
        return [stamp for part in self.parts for stamp in part.iter(f"{{{self.namespace}}}{name}")]

    def times(self) -> list[str]:
        return [stamp.get("value" if self.namespace == OLD else "v", "") for stamp in self.stamps()]

    def fields(self) -> list[Element]:
        return [field for stamp in self.stamps() for field in stamp if not field.tag.endswith("}err")]

    def names(self) -> list[str]:
        return [field.get("name" if self.namespace == OLD else "n", "") for field in self.fields()]

    def field(self, name: str) -> Element:
        return self.fields()[self.names().index(name)]

    def value(self, name: str) -> str:
        return self.field(name).get("value" if self.namespace == OLD else "v", "")

    def errors(self) -> dict[str, str]:
        """What could not be read: the reason by node."""
        if self.namespace == OLD:
            found = [error for part in self.parts for error in part.iter(f"{{{OLD}}}error")]
            return {error.get("nodeId", ""): error.text or "" for error in found}
        return {
            node.get("id", ""): error.text or ""
            for part in self.parts
            for node in part.iter(f"{{{self.namespace}}}nd")
            for error in node.iter(f"{{{self.namespace}}}err")
        }


def request(namespace: str, id_: str | int, attributes: str, inner: str = "") -> str:
    key = "seqnr" if namespace == OLD else "id"
    return f"<req xmlns='{namespace}' {key}='{id_}' {attributes}>{inner}</req>"


def nodes(namespace: str, *names: str) -> str:
    return "".join(f"<node nodeId='{n}'/>" if namespace == OLD else f"<nd id='{n}'/>" for n in names)


def wanted(namespace: str, *names: str) -> str:
    return "".join(f"<field name='{n}'/>" if namespace == OLD else f"<f n='{n}'/>" for n in names)


async def read(
    client: RawClient, namespace: str, id_: str | int, attributes: str, inner: str = "", to: str = HUB
) -> Readout:
    """A readout from the request to its last part."""
    iq = await client.ask(to, "get", request(namespace, id_, attributes, inner))
    assert iq.get("type") == "result", condition(iq)
    (payload,) = iq
    assert payload.tag.startswith(f"{{{namespace}}}"), "answered in another dialect"
    if namespace == OLD:
        assert payload.tag == f"{{{OLD}}}accepted"
        return Readout(OLD, payload, await parts(client, OLD, id_))
    assert payload.tag == f"{{{namespace}}}resp"
    assert payload.get("id") == str(id_)
    more = payload.get("more") in ("true", "1")
    return Readout(namespace, payload, [payload, *(await parts(client, namespace, id_) if more else [])])


async def parts(client: RawClient, namespace: str, id_: str | int) -> list[Element]:
    """Parts in messages until the last one."""
    found: list[Element] = []
    while True:
        part = await next_part(client, namespace, id_)
        found.append(part)
        kind = part.tag.rpartition("}")[2]
        if kind == "done" or (part.get("done") == "true" if namespace == OLD else part.get("more") != "true"):
            return found


async def next_part(client: RawClient, namespace: str, id_: str | int) -> Element:
    message = await client.take(lambda s: is_part(s, namespace, id_), f"a part of the readout {id_}")
    return message[0]


def is_part(stanza: Element, namespace: str, id_: str | int) -> bool:
    key = "seqnr" if namespace == OLD else "id"
    return stanza.tag == f"{CLIENT}message" and any(
        child.tag.startswith(f"{{{namespace}}}") and child.get(key) == str(id_) for child in stanza
    )
