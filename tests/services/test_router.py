"""What comes without an address: refused, logged, and no service ever sees it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from types import SimpleNamespace
from typing import Any

import pytest

from hub.services.router import Route, Router
from hub.stanzas.errors import CLIENT

SET = "<set xmlns='urn:test'/>"


class Counting:
    """A service that counts what reaches it."""

    def __init__(self) -> None:
        self.reached = 0

    def features(self) -> list[str]:
        return []

    def routes(self) -> list[Route]:
        kinds = (("iq", "set"), ("message", "normal"))
        return [Route(stanza, (kind,), "{urn:test}set", self._set) for stanza, kind in kinds]

    async def _set(self, caller: str, payload: ET.Element) -> None:
        self.reached += 1


def arrive(stanza: str, is_component: bool) -> tuple[Counting, list[ET.Element]]:
    handlers: list[Any] = []
    client: Any = SimpleNamespace(is_component=is_component, boundjid=SimpleNamespace(full="hub.localhost"),
                                  register_handler=handlers.append)  # fmt: skip
    router, service = Router(client), Counting()
    sent: list[ET.Element] = []
    router.send = sent.append
    router.add(service)
    arrived = SimpleNamespace(xml=ET.fromstring(stanza))
    assert router.match(arrived)
    handlers[0].run(arrived)
    return service, sent


def test_a_request_from_nobody_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    service, sent = arrive(f"<iq xmlns='{CLIENT}' type='set' id='7'>{SET}</iq>", is_component=False)
    assert service.reached == 0
    (reply,) = sent
    assert (reply.get("type"), reply.get("id"), reply.get("to")) == ("error", "7", None)
    assert reply.find(".//{urn:ietf:params:xml:ns:xmpp-stanzas}forbidden") is not None
    assert "without an address" in caplog.text


@pytest.mark.parametrize(("stanza", "is_component"), [
    (f"<message xmlns='{CLIENT}'>{SET}</message>", False),
    (f"<iq xmlns='{CLIENT}' type='set' id='7' to='hub.localhost'>{SET}</iq>", True),
])  # fmt: skip
def test_where_nobody_can_be_answered_it_is_logged(
    stanza: str, is_component: bool, caplog: pytest.LogCaptureFixture
) -> None:
    service, sent = arrive(stanza, is_component)
    assert (service.reached, sent) == (0, [])
    assert "without an address" in caplog.text
