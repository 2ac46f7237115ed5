"""A client that no one here wrote: slixmpp's own xep_0323 and xep_0325, in a process of their own."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hub.demo.prosody import end_with_parent
from hub.programs.node import Node

from .raw import TIMEOUT_S
from .world import HUB, World, running

THINGS = """
[things.air]
driver = "simulated"
field = "temperature"
unit = "°C"
[things.everything]
driver = "simulated"
kind = "types"
[things.pump]
driver = "relay"
pin = 17
[things.fan]
driver = "relay"
pin = 27
"""


class ForeignClient:
    """The process; one question and its answers at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, **request: Any) -> list[dict[str, Any]]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        async with asyncio.timeout(TIMEOUT_S):
            line = await self._process.stdout.readline()
        assert line, "the foreign client has ended; see its stderr above"
        said: list[dict[str, Any]] = json.loads(line)
        return said


@pytest.fixture
async def node(server: World, state: Path) -> AsyncIterator[Node]:
    async with running(server.config(THINGS, state)) as node:
        yield node


@pytest.fixture
async def foreign(server: World, node: Node) -> AsyncIterator[ForeignClient]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__).with_name("foreign_client.py")),
        server.address.host, str(server.address.port), str(server.ca_file),
        "owner@localhost", server.passwords["owner"], HUB,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, preexec_fn=end_with_parent,
    )  # fmt: skip
    try:
        yield ForeignClient(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                status = await process.wait()
        except TimeoutError:
            process.kill()
            status = await process.wait()
    assert status == 0


def fields_of(said: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {field["name"]: field for part in said if part["result"] == "fields" for field in part["fields"]}


async def test_it_reads_a_field_of_one_node(foreign: ForeignClient, node: Node) -> None:
    said = await foreign.ask(read={"nodeIds": ["air"], "fields": ["temperature"], "flags": {"momentary": "true"}})
    assert [part["result"] for part in said] == ["accepted", "fields", "done"]
    assert (said[1]["from_jid"], said[1]["nodeId"]) == (HUB, "air")
    field = fields_of(said)["temperature"]
    assert (field["typename"], field["unit"]) == ("numeric", "°C")
    assert field["flags"]["automaticReadout"] == "true"


async def test_it_reads_all_nodes_and_every_type_that_it_knows(foreign: ForeignClient, node: Node) -> None:
    said = await foreign.ask(read={"flags": {"momentary": "true"}})
    assert {part["nodeId"] for part in said if part["result"] == "fields"} == {"air", "everything", "pump", "fan"}
    fields = fields_of(said)
    assert {name: fields[name]["value"] for name in ("double", "boolean", "dateTime", "enum", "output")} == {
        "double": "21.50", "boolean": "false", "dateTime": "2026-01-01T08:00:00Z", "enum": "auto", "output": "false",
    }  # fmt: skip


async def test_it_is_told_of_a_node_that_does_not_exist(foreign: ForeignClient, node: Node) -> None:
    said = await foreign.ask(read={"nodeIds": ["cellar"], "flags": {"momentary": "true"}})
    assert [(part["result"], part.get("condition")) for part in said] == [("rejected", "item-not-found")]


async def test_it_switches_an_output_and_reads_it_back(foreign: ForeignClient, node: Node) -> None:
    for value, text in ((True, "true"), (False, "false")):
        said = await foreign.ask(set={"fields": [["output", "boolean", text]], "nodes": ["pump", "fan"]})
        assert [(part["from_jid"], part["error_msg"]) for part in said] == [(HUB, None)]
        assert [node.things[name].values["output"] for name in ("pump", "fan")] == [value, value]
        said = await foreign.ask(read={"nodeIds": ["pump"], "flags": {"momentary": "true"}})
        assert fields_of(said)["output"]["value"] == text


async def test_it_is_refused_what_an_output_does_not_know(foreign: ForeignClient, node: Node) -> None:
    said = await foreign.ask(set={"fields": [["speed", "int", "3"]], "nodes": ["pump"]})
    assert [(part["result"], part.get("condition")) for part in said] == [("rejected", "item-not-found")]
