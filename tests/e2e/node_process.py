"""`hub node`, on simulated buses whose pins outlive it, and `hub provisioning`, each in a process of its own that is
gone with the test."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hub.demo.prosody import end_with_parent
from tests.helpers import until

from .raw import TIMEOUT_S

ROOT = Path(__file__).parents[2]


@dataclass
class NodeProcess:
    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)
    """What it has said so far."""

    @property
    def said(self) -> str:
        return "\n".join(self.lines)

    async def says(self, text: str, times: int = 1) -> None:
        await until(lambda: self.said.count(text) >= times or self.process.returncode is not None, f"{text!r} is said")
        assert self.said.count(text) >= times, f"it ended without saying {text!r}:\n{self.said}"

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self) -> int:
        async with asyncio.timeout(TIMEOUT_S):
            return await self.process.wait()


def node_process(
    config: Path, pin_trace: Path, wait_online: bool = True, within: Sequence[str] = ()
) -> contextlib.AbstractAsyncContextManager[NodeProcess]:
    arguments = ("node", "--config", config, "--simulate", "--pin-trace", pin_trace)
    return hub_process(*arguments, wait_online=wait_online, within=within)


@contextlib.asynccontextmanager
async def hub_process(
    *arguments: str | Path, wait_online: bool = True, within: Sequence[str] = ()
) -> AsyncIterator[NodeProcess]:
    """A command of `hub` that runs until it is stopped. `within`: a command that executes another one."""
    process = await asyncio.create_subprocess_exec(
        *within, sys.executable, "-m", "hub", *map(str, arguments),
        cwd=ROOT, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE, preexec_fn=end_with_parent,
    )  # fmt: skip
    node = NodeProcess(process)
    listening = asyncio.create_task(_listen(node))
    try:
        if wait_online:
            await node.says("online as ")
        yield node
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await node.ended()
            except TimeoutError:
                process.kill()
                await process.wait()
        await listening


async def _listen(node: NodeProcess) -> None:
    assert node.process.stderr is not None
    async for line in node.process.stderr:
        node.lines.append(line.decode().rstrip("\n"))


def levels(pin_trace: Path, pin: int) -> list[str]:
    """What became of one pin, in order: `output 1` …"""
    changes = [line.split() for line in pin_trace.read_text().splitlines()] if pin_trace.exists() else []
    return [f"{function} {level}" for _, number, function, level in changes if int(number) == pin]
