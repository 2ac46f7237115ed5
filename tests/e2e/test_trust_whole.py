"""Everything real: a node, the provisioning server, a server of XMPP, an owner at his command line, people who chat."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.config.file import load
from hub.programs.provisioning import ProvisioningServer
from hub.provisioning.model import Rule
from hub.things.questions import Right
from hub.trust.audit import Kind
from hub.trust.auditfiles import entries, verify
from tests.cli.conftest import Ran, hub
from tests.helpers import until
from tests.provisioning.e2e.house import SECRET, SERVICE, body_of, hears, serving, until_none_waits, writes

from .commands import OLD as CONTROL
from .commands import command
from .node_process import NodeProcess, hub_process, node_process
from .raw import CLIENT, RawClient, condition
from .readings import OLD as SENSOR
from .readings import read, request
from .world import HUB, EjabberdWorld, World, running

BARE = "greenhouse@localhost"

THINGS = """
[things.air]
driver = "simulated"
field = "temperature"
interval = "100ms"
[things.pump]
driver = "relay"
pin = 17
offline = "allow-owner"
"""

Town = World | EjabberdWorld


@pytest.fixture(params=["prosody", "ejabberd"])
def town(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Town]:
    folder, components = tmp_path / "server", {SERVICE: SECRET}
    made: Town = (World(folder, components=components) if request.param == "prosody"
                  else EjabberdWorld(folder, exi=False, components=components))  # fmt: skip
    with made as town:
        yield town.populate("greenhouse", "owner", "reader", "stranger")


def config_file(town: Town, folder: Path, server: str = SERVICE) -> Path:
    text = town.text(THINGS, folder / "state", trust=f'server = "{server}"\ntimeout = "2s"\nmeta = {{ SN = "7" }}')
    file = folder / "hub.toml"
    file.write_text(text)
    return file


def account_file(town: Town, folder: Path, user: str) -> Path:
    file = folder / f"{user}.toml"
    file.write_text(f'[xmpp]\njid = "{user}@localhost"\npassword_file = "{town.folder}/{user}.password"\n'
                    f'server = "127.0.0.1:{town.address.port}"\nca_file = "{town.ca_file}"\n')  # fmt: skip
    return file


async def told(*arguments: str, account: Path | None = None) -> Ran:
    """A command of a person, while the others go on."""
    return await asyncio.to_thread(hub, *arguments, account=account)


async def registered(file: Path) -> str:
    """What `hub claim --show` shows when the hub has registered."""
    while (ran := await told("claim", "--show", "--config", str(file))).code:
        assert "not registered yet" in ran.err
    return ran.out.strip().splitlines()[-1]


async def reads(client: RawClient, number: int) -> str:
    """The condition of the refusal, "" when it was answered."""
    iq = await client.ask(HUB, "get", request(SENSOR, number, "momentary='true'"))
    return condition(iq) if iq.get("type") == "error" else ""


async def until_it_reads(client: RawClient) -> None:
    number = 1000
    while await reads(client, number):
        number += 1
        await asyncio.sleep(0.02)


async def test_from_first_start_over_claim_and_the_owners_word_to_the_absence_of_the_service(
    town: Town, tmp_path: Path
) -> None:
    file, mine = config_file(town, tmp_path), account_file(town, tmp_path, "owner")
    async with town.client("owner") as owner, town.client("reader") as reader:
        owner.write("<presence/>")
        async with node_process(file, tmp_path / "pins") as node:
            async with serving(town, tmp_path / "service") as service:
                uri = await registered(file)
                assert uri.startswith("iotdisco:") and uri.endswith(f";R={SERVICE}")
                assert (tmp_path / "state" / "claim.png").stat().st_mode & 0o777 == 0o600
                assert uri.split("KEY=")[1][:40] not in node.said, "it goes into no log"
                assert await reads(owner, 1) == "forbidden"

                wrong = await told("claim", uri.replace("SN=7", "SN=8"), account=mine)
                assert wrong.code == 1 and f"{SERVICE} says no: there is nothing of that kind" in wrong.err
                done = await told("claim", uri, account=mine)
                assert (done.code, done.out) == (0, f"{BARE} is yours\n"), done.err
                await node.says("this hub belongs to owner@localhost")
                await until(lambda: not (tmp_path / "state" / "claim.png").exists(), "the code is gone")
                again = await told("claim", "--show", "--config", str(file))
                assert again.code == 1 and "belongs to owner@localhost already" in again.err

                await until_it_reads(owner)
                assert await reads(reader, 2) == "forbidden"
                question = await hears(owner, "reader@localhost wants to read")
                writes(owner, "once", question.findtext(f"{CLIENT}thread") or "")
                await until_it_reads(reader)
                assert await reads(reader, 7) == "forbidden", "once is once"
                question = await hears(owner, "reader@localhost wants to read")
                writes(owner, "always", question.findtext(f"{CLIENT}thread") or "")
                await until_it_reads(reader)
                refused = await reader.ask(HUB, "set", command(CONTROL, ("pump",), ("boolean", "output", "true")))
                assert condition(refused) == "forbidden"
                assert "pump" in body_of(await hears(owner, "reader@localhost wants to"))
                await narrowed_and_revoked(town, service)
                await until_none_waits(service)
                await until_it_reads(reader)

            node.signal(signal.SIGKILL)
            await node.ended()
        async with node_process(file, tmp_path / "pins") as node:  # no service there any more
            assert await reads(reader, 3) == "", "what was decided is remembered, through a kill"
            done = await owner.ask(HUB, "set", command(CONTROL, ("pump",), ("boolean", "output", "true")))
            assert done.get("type") == "result", "the pump obeys its owner"
            assert await reads(owner, 4) == ""
            await given_up(town, tmp_path, node, mine, owner)
    log = tmp_path / "state" / "audit.jsonl"
    assert {finding.kind for finding in verify(log).findings} <= {Kind.NOTED}, "a kill is noted, and nothing is missing"
    lines = [(entry.who, entry.what, entry.answer) for entry in entries(log)]
    remembered = [entry for entry in entries(log) if entry.rule == "provisioning: cache" and entry.answer == "allowed"]
    assert "reader@localhost" in {entry.who for entry in remembered}, "also what was decided without a server"
    assert ("owner@localhost/raw", "set pump: output=true", "done") in lines
    assert any(who == "reader@localhost" and what.startswith("read air, pump") for who, what, _ in lines)


async def narrowed_and_revoked(town: Town, service: ProvisioningServer) -> None:
    """A rule of the operator's lets a stranger read one field; then there is no such rule any more."""
    async with town.client("stranger") as stranger:
        assert await reads(stranger, 1) == "forbidden"
        rule = await service.store.add_rule(Rule(Right.READ, True, who=("stranger@localhost",), names=("temperature",)))
        await until_it_reads(stranger)
        readout = await read(stranger, SENSOR, 2, "momentary='true'")
        assert (readout.nodes(), set(readout.names())) == (["air"], {"temperature"})
        await service.store.remove_rule(rule.id)
        await until_refused(stranger)


async def given_up(town: Town, folder: Path, node: NodeProcess, mine: Path, owner: RawClient) -> None:
    """The service is back; its owner takes it out of the registry, and then gives it up."""
    async with serving(town, folder / "service"):
        gone = await told("remove", BARE, "--registry", SERVICE, account=mine)
        assert gone.code == 0, gone.err
        await node.says("has taken us out of the registry")
        assert await reads(owner, 5) == ""
        gone = await told("disown", BARE, "--registry", SERVICE, account=mine)
        assert gone.code == 0, gone.err
        await node.says("has no owner any more")
        assert await reads(owner, 6) == "forbidden"
        uri = await registered(folder / "hub.toml")
        done = await told("claim", uri, "--private", account=mine)
        assert done.code == 0, done.err
        await until_it_reads(owner)


async def test_servers_are_found_by_node_and_owner_alike(town: Town, tmp_path: Path) -> None:
    file, mine = config_file(town, tmp_path, "discover"), account_file(town, tmp_path, "owner")
    async with serving(town, tmp_path / "service"), running(load(file)), town.client("owner") as owner:
        uri = await registered(file)
        done = await told("claim", uri.rpartition(";R=")[0], account=mine)
        assert done.code == 0, done.err
        await until_it_reads(owner)
        assert set((await read(owner, SENSOR, 1, "momentary='true'")).nodes()) == {"air", "pump"}


# --------------------------------------------------------------------------- whatever dies, and whenever


class Parts:
    """A node, a provisioning server and Prosody, each a process that can be killed and is started again."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.config = config_file(world, folder)
        (folder / "secret").write_text(SECRET)
        self.service_config = folder / "provisioning.toml"
        self.service_config.write_text(
            f'[provisioning]\njid = "{SERVICE}"\nserver = "127.0.0.1:{world.component_port}"\n'
            f'secret_file = "{folder}/secret"\nstate_dir = "{folder}/service"\n'
        )
        self._commands = {
            "service": lambda: hub_process("provisioning", self.service_config),
            "node": lambda: node_process(self.config, folder / "pins"),
        }
        self._running: dict[str, tuple[contextlib.AsyncExitStack, NodeProcess]] = {}

    async def start(self, part: str) -> None:
        stack = contextlib.AsyncExitStack()
        self._running[part] = stack, await stack.enter_async_context(self._commands[part]())

    async def stop(self) -> None:
        for stack, _ in self._running.values():
            await stack.aclose()

    async def kill(self, part: str) -> None:
        """At once, and it is there again when this returns."""
        if part == "server":
            heard = {name: process.said.count("online as ") for name, (_, process) in self._running.items()}
            self.world.kill()
            self.world.start()
            for name, (_, process) in self._running.items():
                await process.says("online as ", heard[name] + 1)
            return
        stack, process = self._running[part]
        process.signal(signal.SIGKILL)
        await process.ended()
        await stack.aclose()
        await self.start(part)


async def until_refused(client: RawClient) -> None:
    number = 5000
    while not await reads(client, number):
        number += 1
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("part", ["service", "node", "server"])
async def test_whichever_part_is_killed_at_every_step_nothing_is_lost(part: str, tmp_path: Path) -> None:
    with World(tmp_path / "server", components={SERVICE: SECRET}) as world:
        world.populate("greenhouse", "owner", "reader")
        mine = account_file(world, tmp_path, "owner")
        parts = Parts(world, tmp_path)
        await parts.start("service")
        await parts.start("node")
        try:
            uri = await registered(parts.config)
            await parts.kill(part)  # a hub that has registered

            done = await told("claim", uri, account=mine)
            assert done.code == 0, done.err
            await parts.kill(part)  # a hub that somebody owns

            async with world.client("owner") as owner, world.client("reader") as reader:
                owner.write("<presence/>")
                await until_it_reads(owner)
                assert await reads(reader, 1) == "forbidden"
                asked = await hears(owner, "reader@localhost wants to read")
            await parts.kill(part)  # a question that waits for an answer

            async with world.client("owner") as owner, world.client("reader") as reader:
                owner.write("<presence/>")
                writes(owner, "always", asked.findtext(f"{CLIENT}thread") or "")
                await until_it_reads(reader)
            await parts.kill(part)  # a rule

            listed = await told("provisioning", "rules", "list", "--config", str(parts.service_config))
            assert listed.code == 0 and "reader@localhost may read" in listed.out, listed.err
            async with world.client("reader") as reader:
                await until_it_reads(reader)
                gone = await told("provisioning", "rules", "remove", listed.out.split()[0],
                                  "--config", str(parts.service_config))  # fmt: skip
                assert gone.code == 0, gone.err
                await until_refused(reader)
            await parts.kill(part)  # a right that was taken back

            async with world.client("owner") as owner, world.client("reader") as reader:
                assert await reads(reader, 2) == "forbidden"
                await until_it_reads(owner)
        finally:
            await parts.stop()
    for log in (tmp_path / "state" / "audit.jsonl", tmp_path / "service" / "audit.jsonl"):
        assert {finding.kind for finding in verify(log).findings} <= {Kind.NOTED}
