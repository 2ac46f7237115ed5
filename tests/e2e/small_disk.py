"""A disk of two mebibytes for a process: full, or read-only, and mended while it runs.

A file system of its own (tmpfs) in a mount namespace that only the process is in: root can make one, and so can who may
make user namespaces. Elsewhere the process may write no byte more (RLIMIT_FSIZE), which refuses in the same places with
another number.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import shutil
import subprocess
from functools import cache
from pathlib import Path

SIZE_KIB = 2048
MOUNT = 'mount -t tmpfs -o size="$1"k tmpfs "$2" && cp -a "$3"/. "$2" && mount -o remount,"$4" "$2"'


@cache
def namespaces() -> tuple[str, ...]:
    """How a process is put into namespaces of its own, where that can be done."""
    for options in ("-m", "-rm"):
        command = ["unshare", options, "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
        with contextlib.suppress(OSError):
            if subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0:
                return ("unshare", options)
    return ()


class SmallDisk:
    """At `folder`, for the process that is started `within`. `seed`: what lies on it from the beginning."""

    def __init__(self, folder: Path, seed: Path, writable: bool = True) -> None:
        folder.mkdir()
        self.folder, self._writable = folder, writable
        self._process: asyncio.subprocess.Process | None = None
        if not namespaces():
            shutil.copytree(seed, folder, dirs_exist_ok=True)
        script = MOUNT + ' && shift 4 && exec "$@"'
        how = "rw" if writable else "ro"
        arguments = (str(SIZE_KIB), str(folder), str(seed), how)
        self.within = (*namespaces(), "sh", "-c", script, "sh", *arguments) if namespaces() else (
            () if writable else ("prlimit", "--fsize=0:"))  # fmt: skip

    def belongs_to(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def is_real(self) -> bool:
        """Whether it is a disk: who asks the operating system about it is told how it is."""
        return bool(namespaces())

    @property
    def seen(self) -> Path:
        """The folder as the process sees it."""
        assert self._process is not None
        return Path(f"/proc/{self._process.pid}/root{self.folder}") if namespaces() else self.folder

    def fill(self) -> None:
        """Not one byte more."""
        if not namespaces():
            return self._limit(0)
        with (self.seen / "filler").open("ab", buffering=0) as file, contextlib.suppress(OSError):
            for size in (65_536, 4096, 1):
                with contextlib.suppress(OSError):
                    while file.write(b"\0" * size) == size:
                        pass

    def mend(self) -> None:
        """Room again, and to be written."""
        if not namespaces():
            return self._limit(resource.RLIM_INFINITY)
        if not self._writable:
            self.run("mount", "-o", "remount,rw", str(self.folder))
        (self.seen / "filler").unlink(missing_ok=True)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command that sees what the process sees."""
        assert self._process is not None
        enter: list[str] = []
        if namespaces():
            users = ["-U", "--preserve-credentials"] if "-rm" in namespaces() else []
            enter = ["nsenter", "-t", str(self._process.pid), "-m", *users, f"--wd={Path.cwd()}"]
        return subprocess.run([*enter, *command], capture_output=True, text=True, timeout=60, check=False)

    def _limit(self, size: int) -> None:
        assert self._process is not None
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


