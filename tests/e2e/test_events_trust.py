"""Event subscriptions where a provisioning server decides: narrowed, taken away and given back while they stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers import until

from .authority import Authority, TrustWorld, authority
from .event_words import Words, acquainted, silence
from .raw import condition
from .test_telemetry import Air, air
from .test_trust import ON_BOTH, OWNER, READER, claimed, config, quick, world
from .world import HUB, running

__all__ = ["air", "quick", "world"]  # fixtures

XSF = Words("xmpp")
THINGS = """
[things.air]
driver = "simulated"
field = "temperature"
interval = "50ms"
[things.attic]
driver = "simulated"
field = "temperature"
interval = "50ms"
"""
HALF = {"temperature": {"changedBy": "0.5"}}
AIR_ONLY = "<node nodeId='air'/>"


async def asked(server: Authority, before: int) -> None:
    await until(lambda: len(server.questions("canRead", READER)) > before, "it is judged again")


@ON_BOTH
async def test_what_is_sent_follows_the_rules_as_they_change(
    world: TrustWorld, air: Air, state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        authority(world) as server, running(config(world, state, things=THINGS)) as node,
        world.person("reader") as reader,
    ):  # fmt: skip
        await claimed(node, server)
        server.friends |= {OWNER, READER}
        server.reads[READER] = AIR_ONLY
        await acquainted(reader)
        iq = await reader.ask(HUB, "set", XSF.subscribe(1, HALF, ("air", "attic")))
        XSF.accepted(iq)
        await air.becomes(10, node)
        assert (await XSF.event(reader)).nodes() == ["air"]

        before = len(server.questions("canRead", READER))
        server.reads[READER] = ""
        await server.clear_cache()
        await asked(server, before)
        await air.becomes(20, node)
        assert sorted([(await XSF.event(reader)).nodes() for _ in range(2)]) == [["air"], ["attic"]], "as first asked"

        before = len(server.questions("canRead", READER))
        del server.reads[READER]
        await server.clear_cache()
        await air.becomes(30, node)
        await asked(server, before)
        events = node.events
        assert events is not None
        await until(lambda: len(events.subscriptions) == 0, "it is dropped")
        await air.becomes(40, node)
        assert await silence(reader) == [], "not even what changed while it was being judged"
        refused = await reader.ask(HUB, "set", XSF.subscribe(1, HALF, ("air", "attic")))
        assert condition(refused) == "forbidden", "he is told when he asks again"
