"""What a client's side of a hub does when it is told to stop."""

from __future__ import annotations

import asyncio

import pytest
from slixmpp import ClientXMPP

from hub.services.peer import Peer
from tests.helpers import turns


@pytest.mark.parametrize("together", [True, False])
async def test_whoever_waits_for_an_event_can_be_stopped_also_when_it_comes(together: bool) -> None:
    client = ClientXMPP("owner@localhost/pc", "")
    waiting = asyncio.create_task(Peer(client, "greenhouse@localhost", 60)._until("news", lambda: False))
    await turns()
    if together:
        client.event("news", None)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, 5)
