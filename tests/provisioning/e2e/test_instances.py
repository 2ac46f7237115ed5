"""Two instances of the service as processes over one PostgreSQL: on ejabberd both serve, on Prosody one stands by."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from hub.trust.audit import Kind
from hub.trust.auditfiles import verify
from tests.cli.conftest import hub
from tests.e2e.node_process import NodeProcess, hub_process
from tests.e2e.raw import CLIENT, RawClient
from tests.e2e.world import EjabberdWorld
from tests.postgres import Postgres
from tests.provisioning.conftest import postgres as postgres  # a fixture

from .house import OLD, SECRET, SERVICE, Server, body_of, claimed, hears, writes

AGAIN_S = 0.05  # between two questions that only time can answer differently
PATIENCE_S = 30.0
CLEAR = f"{{{OLD}}}clearCache"


def config_of(server: Server, folder: Path, store: str) -> Path:
    folder.mkdir()
    (folder / "secret").write_text(SECRET)
    file = folder / "provisioning.toml"
    file.write_text(f'[provisioning]\njid = "{SERVICE}"\nserver = "127.0.0.1:{server.component_port}"\n'
                    f'secret_file = "{folder}/secret"\nstate_dir = "{folder}"\nstore = "{store}"\n')  # fmt: skip
    return file


class Device:
    """A thing that does what it is told, and asks until it is answered as it should be."""

    def __init__(self, client: RawClient) -> None:
        self.client = client
        self.told = 0

    async def run(self) -> None:
        while True:
            iq = await self.client.take(lambda s: s.get("type") == "set" and len(s) > 0 and s[0].tag == CLEAR)
            self.told += 1
            self.client.write(f"<iq type='result' to='{SERVICE}' id='{iq.get('id')}'/>")

    async def until(self, jid: str, result: str) -> None:
        question = f"<canRead xmlns='{OLD}' jid='{jid}'><node nodeId='air'/><field name='temperature'/></canRead>"
        async with asyncio.timeout(PATIENCE_S):
            while True:
                iq = await self.client.ask(SERVICE, "get", question)
                if iq.get("type") == "result" and iq[0].get("result") == result:
                    return
                await asyncio.sleep(AGAIN_S)  # a server may still look for an instance that has died


async def answered(owner: RawClient, device: Device, jid: str) -> None:
    """The owner is asked once, whichever instance that is, and what he says counts at both."""
    await device.until(jid, "false")
    question = await hears(owner, f"{jid} wants to read")
    writes(owner, "always", question.findtext(f"{CLIENT}thread") or "")
    await hears(owner, f"{jid} may read")
    for _ in range(6):
        await device.until(jid, "true")


async def test_one_dies_and_the_other_goes_on_with_everything(
    server: Server, postgres: Postgres, tmp_path: Path
) -> None:
    store = postgres.schema()
    files = [config_of(server, tmp_path / name, store) for name in ("one", "other")]
    both = isinstance(server, EjabberdWorld)
    async with (
        hub_process("provisioning", files[0]) as one,
        hub_process("provisioning", files[1], wait_online=both) as other,
        server.client("thing") as thing, server.client("owner") as owner,
    ):  # fmt: skip
        if not both:
            await other.says("(conflict)")
        owner.write("<presence/>")
        await claimed(thing, owner)
        device = Device(thing)
        obeying = asyncio.create_task(device.run())
        try:
            for number in range(3):
                await answered(owner, device, f"r{number}@localhost")
            await device.until("late@localhost", "false")
            asked = await hears(owner, "late@localhost wants to read")

            await killed(one)
            if not both:
                await other.says("online as ")
            await device.until("late@localhost", "false")
            writes(owner, "always", asked.findtext(f"{CLIENT}thread") or "")
            assert "Rule 4" in body_of(await hears(owner, "late@localhost may read"))
            await device.until("late@localhost", "true")
            for number in range(3):
                await device.until(f"r{number}@localhost", "true")

            async with hub_process("provisioning", files[0], wait_online=both):
                gone = await asyncio.to_thread(hub, "provisioning", "rules", "remove", "1", "--config", str(files[0]))
                assert gone.code == 0, gone.err
                await device.until("r0@localhost", "false")
                for _ in range(6):
                    await device.until("r1@localhost", "true")
        finally:
            obeying.cancel()
            await asyncio.gather(obeying, return_exceptions=True)
    assert not [s for s in owner.pending if "late@" in body_of(s)], "nobody was asked twice"
    for file in files:
        findings = verify(file.with_name("audit.jsonl")).findings
        assert {finding.kind for finding in findings} <= {Kind.NOTED, Kind.UNSEALED}, "and nothing is missing"


async def killed(instance: NodeProcess) -> None:
    instance.signal(signal.SIGKILL)
    await instance.ended()
