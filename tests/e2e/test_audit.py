"""What a hub with [access] writes down: who was let in and who was not, and how often."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.trust.auditfiles import entries, verify

from .commands import OLD as CONTROL
from .commands import get_form
from .raw import condition
from .readings import OLD as SENSOR
from .readings import read, request
from .world import HUB, EjabberdWorld, World, running

THINGS = """
[things.air]
driver = "simulated"
field = "temperature"
interval = "100ms"
[things.pump]
driver = "relay"
pin = 17
"""


@pytest.mark.parametrize("server", ["xml"], indirect=True)
async def test_every_decision_is_there_and_those_that_repeat_as_a_count(
    server: World | EjabberdWorld, state: Path
) -> None:
    async with (
        running(server.config(THINGS, state)), server.client("reader") as reader,
        server.client("stranger") as stranger,
    ):  # fmt: skip
        for number in range(5):
            await read(reader, SENSOR, number, "momentary='true'", "<node nodeId='air'/><field name='temperature'/>")
        for number in range(2):
            refused = await stranger.ask(HUB, "get", request(SENSOR, number, "all='true'"))
            assert condition(refused) == "forbidden"
        assert condition(await reader.ask(HUB, "get", get_form(CONTROL, "pump"))) == "forbidden"
    log = state / "audit.jsonl"
    lines = [(entry.who, entry.what, entry.rule, entry.answer) for entry in entries(log)]
    assert lines[:3] == [
        ("reader@localhost", "read air: temperature", "[access]", "allowed"),
        ("stranger@localhost", "read", "[access]", "refused"),
        ("reader@localhost", "control pump", "[access]", "refused"),
    ]
    counted = {who: answer.partition(" within")[0] for who, *_, answer in lines[3:]}
    assert counted == {"reader@localhost": "allowed, 4 times more", "stranger@localhost": "refused, once more"}
    assert verify(log).findings == []
