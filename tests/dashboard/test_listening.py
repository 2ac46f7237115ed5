"""Where it cannot begin. Apart from tests with a browser, whose loop and these tests' own do not go together."""

from __future__ import annotations

import asyncio
import socket

import pytest

from hub.config.dashboard import Dashboard
from hub.dashboard.page import serve
from hub.errors import LinkError
from tests.dashboard.scripted import ScriptedBoard


async def test_a_port_that_is_taken_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LinkError, match=f"127.0.0.1:{port}: another program listens there already"):
            await serve(ScriptedBoard("x", {}), Dashboard(listen=f"127.0.0.1:{port}"), asyncio.Event())


async def test_an_address_that_is_not_ours_is_said() -> None:
    settings = Dashboard(listen="192.0.2.1:8080", users={})
    with pytest.raises(LinkError, match="this machine has no such address"):
        await serve(ScriptedBoard("x", {}), settings, asyncio.Event())
