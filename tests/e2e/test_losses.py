"""Node and server killed at random moments under load: no reading lost, none twice. A hundred rounds and more:
`python -m tests.benchmarks.losses`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.losses import stage


@pytest.mark.parametrize("seed", [1, 2])
async def test_nothing_is_lost_and_nothing_comes_twice_when_node_and_server_are_killed(
    tmp_path: Path, seed: int
) -> None:
    async with stage(tmp_path, seed) as play:
        outcome = await play.run(rounds=3)
    assert outcome.stored > 0 and sum(outcome.kills.values()) == 3
    assert outcome.lost == [] and outcome.doubled == []
