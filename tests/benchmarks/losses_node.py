"""A process: `hub node` that reconnects at once and keeps a diary of what it measured and what its outbox has taken.

    python -m tests.benchmarks.losses_node CONFIG DIARY

A line of the diary is written by one `write` to a file that outlives the process, as the outbox does: `measured THING
MILLISECONDS` when a reading is handed to the outbox, `stored …` when the outbox has it on the disk, `executed target
NUMBER` when a numbered command reaches the output.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

import hub.programs.node_mqtt
import hub.session.link
import hub.telemetry.publisher
from devices.base import Value
from devices.fake import SimulatedBuses
from devices.simulated import Simulated
from hub.cli.log import start_log
from hub.cli.node import serve
from hub.config.file import load
from hub.programs.node import Node
from hub.telemetry.outbox import Entry, Outbox, OutboxStore
from hub.telemetry.rows import Row, to_ms
from hub.things.model import Reading, Trouble


def main(config: Path, diary: Path) -> None:
    hub.session.link.FIRST_WAIT_S, hub.session.link.LAST_WAIT_S = 0.05, 0.2
    hub.programs.node_mqtt.FIRST_WAIT_S, hub.programs.node_mqtt.LAST_WAIT_S = 0.05, 0.2
    hub.telemetry.publisher.RETRY_S = 0.2
    file = os.open(diary, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    apply, put, write = OutboxStore.apply, Outbox.put, Simulated.write

    def noted_apply(
        self: OutboxStore, rows: Mapping[int, Row], released: Collection[int], surplus: int, kept: Collection[int]
    ) -> int:
        gone = apply(self, rows, released, surplus, kept)
        os.write(file, "".join(f"stored {self.shapes.thing(row.shape)} {row.at}\n" for row in rows.values()).encode())
        return gone

    def noted_put(self: Outbox, item: Reading | Trouble) -> Entry:
        os.write(file, f"measured {item.node.node_id} {to_ms(item.timestamp)}\n".encode())
        return put(self, item)

    def noted_write(self: Simulated, values: Mapping[str, Value]) -> None:
        if "long" in values:
            os.write(file, f"executed target {values['long']}\n".encode())
        write(self, values)

    OutboxStore.apply = noted_apply  # type: ignore[method-assign]
    Outbox.put = noted_put  # type: ignore[method-assign]
    Simulated.write = noted_write  # type: ignore[method-assign]
    start_log(verbose=False)
    asyncio.run(serve(Node(load(config), SimulatedBuses()), config))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
