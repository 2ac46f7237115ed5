"""A node with [trust] whose folder takes nothing: nobody may do anything, all else goes on, and it mends itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from devices.fake import SimulatedBuses
from hub.config.file import parse
from hub.errors import RequestError
from hub.programs.node import Node
from hub.things.model import Command, NodeRef, ReadoutRequest
from tests.helpers import until

TEXT = """
[xmpp]
jid = "node@localhost"
password_file = "{folder}/password"
server = "127.0.0.1:9"
[trust]
server = "provisioning.localhost"
[node]
state_dir = "{folder}/state"
[things.air]
driver = "simulated"
interval = "50ms"
"""


async def test_nobody_is_let_in_until_there_is_a_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("hub.programs.node.TRUST_AGAIN_S", 0.05)
    (tmp_path / "password").write_text("x")
    (tmp_path / "state").write_text("a file where a folder should be")
    node = Node(parse(TEXT.format(folder=tmp_path)), SimulatedBuses())
    running = asyncio.create_task(node.run())
    try:
        await until(lambda: running.done() or (node.things and node.things["air"].measured), "sampling goes on")
        assert not running.done(), running
        first = node.things["air"].measured
        await until(lambda: node.things["air"].measured != first, "and on")
        for asked in (
            node._judge.may_read("owner@localhost", ReadoutRequest("1")),
            node._judge.may_control("owner@localhost", Command((NodeRef("air"),), ())),
        ):
            with pytest.raises(RequestError):
                await asked
        (tmp_path / "state").unlink()
        await until(lambda: node.authority is not None, "a judge")
        assert node._judge is node.authority.judge  # type: ignore[union-attr]  # there is one now
        await until(lambda: "kept again" in caplog.text, "it is said")
    finally:
        node.stop()
        await asyncio.wait_for(running, 20)
    assert caplog.text.count("nobody may read or control anything") == 1
