"""A node without `[mqtt]` knows nothing of it; one with it, but without paho-mqtt, says what to install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hub.config.file import load
from hub.errors import LinkError
from tests.bridges.bench import LAMP, parsed, running, text
from tests.helpers import until
from tests.mosquitto import Mosquitto

NODE = """
import asyncio, sys
from pathlib import Path
from devices.fake import SimulatedBuses
from hub.config.file import load
from hub.programs.node import Node

async def main():
    node = Node(load(Path(sys.argv[1])), SimulatedBuses())
    task = asyncio.create_task(node.run())
    while not (node.things and node.things["lamp"].measured):
        await asyncio.sleep(0.01)
    node.stop()
    await task
    print(sorted(name for name in sys.modules if name.partition(".")[0] == "paho" or name.startswith("hub.bridges")))

asyncio.run(main())
"""


def test_nothing_of_it_is_loaded_without_the_table(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("x")
    file = tmp_path / "hub.toml"
    xmpp = f'[xmpp]\njid = "node@localhost"\npassword_file = "{tmp_path}/password"\nserver = "127.0.0.1:9"\n'
    file.write_text(f'{xmpp}[node]\nstate_dir = "{tmp_path}/state"\n{LAMP}')
    done = subprocess.run([sys.executable, "-c", NODE, str(file)], cwd=Path(__file__).parents[2], capture_output=True,
                          text=True, timeout=60, check=True)  # fmt: skip
    assert done.stdout.strip() == "[]"


async def test_paho_missing_is_said_at_the_start_and_refused_by_a_reload(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "hub.toml"
    whole = text(broker, LAMP)
    without = whole[: whole.index("[mqtt]")] + LAMP
    file.write_text(without)
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(LinkError, match=r"pip install 'xmpp-iot-hub\[mqtt\]'"):
        async with running(parsed(broker, LAMP), up=False):
            pass
    async with running(load(file), up=False) as node:
        await until(lambda: node.things and node.things["lamp"].measured, "it runs")
        file.write_text(whole)
        with pytest.raises(LinkError, match="paho-mqtt"):
            await node.reload(file)
        assert node.config.mqtt is None and node.things["lamp"].values
