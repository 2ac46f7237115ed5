"""Node, server and broker killed at random moments under load: no reading lost, none twice, the broker ends with the
newest state of everything, no command is carried out twice. A hundred rounds and more:
`python -m tests.benchmarks.losses`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.losses import stage


@pytest.mark.parametrize("seed", [1, 2])
async def test_nothing_is_lost_and_nothing_comes_twice_when_node_server_and_broker_are_killed(
    tmp_path: Path, seed: int
) -> None:
    async with stage(tmp_path, seed) as play:
        outcome = await play.run(rounds=3)
    assert outcome.stored > 0 and set(outcome.kills.values()) == {1} and len(outcome.kills) == 3
    assert outcome.lost == [] and outcome.doubled == []
    assert outcome.old_topics == [] and outcome.executed > 0 and outcome.twice == []
