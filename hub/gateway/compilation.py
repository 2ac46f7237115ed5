"""Schema sets to grammars, in a process of their own: a schema that explodes ends that process and nothing else.

Rules of this file
* The child reads a folder that the parent wrote: the canonical schema and copies of its files that import one another
  there, so no name of the peer's choice becomes a path. It writes one file, and has no more CPU, memory and file size
  than `Bounds` allow.
* Exit statuses are part of the contract: REFUSED with the reason on standard error when the set is at fault.
* Run as `python -m hub.gateway.compilation FOLDER CPU_SECONDS MEMORY_BYTES FILE_BYTES`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from hub import exi
from hub.gateway import xsdfile
from hub.gateway.bounds import Bounds
from hub.gateway.xsdfile import SchemaRefused, Shape

WRAPPER: Final = "canonical.xsd"
OUTPUT: Final = "set.exig"
REFUSED: Final = 3
MAX_REASON: Final = 300  # characters
NICENESS: Final = 10  # stanzas of live connections go first
BEYOND_BOUNDS: Final = frozenset({-signal.SIGKILL, -signal.SIGXCPU, -signal.SIGXFSZ, -signal.SIGSEGV})


class NotCompiled(Exception):
    """It did not work this time, which says nothing about the set."""


def codec_version() -> str:
    """Changes with the sources of the codec: grammars that an earlier one compiled are not these."""
    digest = hashlib.sha256()
    for source in sorted(Path(exi.__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


async def compiled(files: Mapping[str, bytes], bounds: Bounds, scratch: Path) -> bytes:
    """The grammar file of the set (namespace → XSD file). `scratch`: where the folder of the child may stand. Raises
    SchemaRefused when the set is at fault, NotCompiled when it is not or may not be."""
    with tempfile.TemporaryDirectory(dir=scratch, prefix="compile-") as name:
        folder = Path(name)
        await asyncio.to_thread(_lay_out, files, folder, bounds.shape)
        limits = (bounds.compile_cpu, bounds.compile_memory, bounds.grammar_size + 4096)
        status, said = await run_child(__name__, folder, limits, bounds.compile_time)
        judged(status, said, bounds)
        data = await asyncio.to_thread((folder / OUTPUT).read_bytes)
    if len(data) > bounds.grammar_size:
        raise SchemaRefused(f"its grammars have {len(data)} bytes, more than {bounds.grammar_size}")
    return data


def judged(status: int, said: str, bounds: Bounds) -> None:
    """What a child's exit status means. Raises SchemaRefused when its input is at fault, NotCompiled when not."""
    if status == REFUSED:
        raise SchemaRefused(said or "it cannot be used")
    if status in BEYOND_BOUNDS:
        raise SchemaRefused(f"it takes more than {bounds.compile_cpu} s or {bounds.compile_memory} bytes to read")
    if status:
        raise NotCompiled(f"the process for it ended with status {status}: {said}")


def _lay_out(files: Mapping[str, bytes], folder: Path, shape: Shape) -> None:
    locations = {namespace: f"{number}.xsd" for number, namespace in enumerate(sorted(files))}
    (folder / WRAPPER).write_bytes(xsdfile.wrapper(locations))
    for namespace, location in locations.items():
        (folder / location).write_bytes(xsdfile.located(files[namespace], locations, shape))


async def run_child(module: str, folder: Path, numbers: Iterable[int], seconds: float) -> tuple[int, str]:
    """Run a module of ours on a folder; its exit status (negative: a signal) and what it said. Raises NotCompiled when
    that takes longer than `seconds`."""
    with (folder / "said").open("wb") as said:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", module, str(folder), *map(str, numbers)),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=said,
            env={"PYTHONPATH": os.pathsep.join(each for each in sys.path if each), "PATH": os.defpath},
        )  # fmt: skip
    try:
        async with asyncio.timeout(seconds):
            status = await child.wait()
    except TimeoutError:
        raise NotCompiled(f"it was not done within {seconds:g} s") from None
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    text = (folder / "said").read_bytes()[-4 * MAX_REASON :].decode(errors="replace")
    return status, one_line(text)


# ---------------------------------------------------------------------------------------------- the child


def confine(cpu: int, memory: int, size: int) -> None:
    """No more than `cpu` seconds, `memory` bytes of address space and `size` bytes in a file, and no core dump."""
    for what, most in (
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, size),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
    os.nice(NICENESS)


def main(folder: str, *limits: str) -> int:
    confine(*map(int, limits))
    try:
        exi.load_schemas([Path(folder) / WRAPPER]).write(Path(folder) / OUTPUT)
    except exi.SchemaError as error:
        print(one_line(str(error)), file=sys.stderr)
        return REFUSED
    except (MemoryError, OSError) as error:  # OSError: the file would be too large
        print(one_line(f"it needs too much memory, or too large a file: {error}"), file=sys.stderr)
        return REFUSED
    return 0


def one_line(text: str) -> str:
    """What may quote the peer, fit for a log."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:MAX_REASON]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
