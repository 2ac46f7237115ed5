"""Files of a bounded folder that several processes share, and that survives a crash at any moment.

Rules of this file
* A file appears whole or not at all: written beside under a name of its own, synced, then linked or renamed.
* `add` never replaces: the first wins, whichever process it came from. `put` replaces what is equal in meaning.
* When the folder is full the least recently used files go (XEP-0322, "Caching schema files"); being used is a file's
  modification time, so all processes see it. Files that a process says are in use stay, as far as that process decides.
* What does not belong here, or is damaged, is moved aside and said, never read again, never deleted unseen: it counts,
  and goes like any file that nobody uses.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

ASIDE: Final = "aside"
SCRATCH: Final = "scratch"
SMALLEST: Final = 4096  # bytes that any file counts for: it takes a block
STALE_S: Final = 3600.0  # age of a half-written file whose writer is gone


class Full(Exception):
    """There is no room, and nothing that may go."""


class Folder:
    """`kinds`: sub-folders, and what the names of their files look like. Paths are `kind/name`. `size`: bytes.
    Blocking: for a thread. Raises OSError."""

    def __init__(
        self, path: Path, kinds: Mapping[str, re.Pattern[str]], size: int, now: Callable[[], float] = time.time
    ) -> None:
        self.path = path
        self.scratch = path / SCRATCH
        self._kinds = (*kinds, ASIDE)
        self._size = size
        self._now = now
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        for kind in (*self._kinds, SCRATCH):
            (path / kind).mkdir(mode=0o700, exist_ok=True)
        self._sweep()
        for kind, pattern in kinds.items():
            for each in sorted((path / kind).iterdir()):
                if each.is_symlink() or not each.is_file() or not pattern.fullmatch(each.name):
                    self.set_aside(f"{kind}/{each.name}", "no file of ours has such a name")

    def read(self, name: str, most: int) -> bytes | None:
        """None when it is not there, or has more than `most` bytes. Counts as use."""
        path = self.path / name
        try:
            with path.open("rb") as file:
                data = file.read(most + 1)
            os.utime(path, (self._now(),) * 2)
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("%s cannot be read: %s", path, error)
            return None
        return data if len(data) <= most else None

    def has(self, name: str) -> bool:
        """Whether it is there. Counts as use."""
        try:
            os.utime(self.path / name, (self._now(),) * 2)
        except OSError:
            return False
        return True

    def add(self, name: str, data: bytes, in_use: Collection[str] = ()) -> bool:
        """False when there is one already, which stays. Raises Full, OSError."""
        return self._write(name, data, in_use, replace=False)

    def put(self, name: str, data: bytes, in_use: Collection[str] = ()) -> None:
        """Raises Full, OSError."""
        self._write(name, data, in_use, replace=True)

    def set_aside(self, name: str, why: str) -> None:
        source = self.path / name
        with contextlib.suppress(FileNotFoundError):
            source.rename(self.path / ASIDE / f"{source.name[:80]}.{secrets.token_hex(4)}")
            log.warning("%s is moved aside: %s", source, why)

    def _write(self, name: str, data: bytes, in_use: Collection[str], replace: bool) -> bool:
        self._make_room(max(len(data), SMALLEST), {*in_use, name})
        target = self.path / name
        temporary = self.scratch / secrets.token_hex(16)
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if replace:
                temporary.replace(target)
            else:
                os.link(temporary, target)
        except FileExistsError:
            return False
        finally:
            temporary.unlink(missing_ok=True)
        os.utime(target, (self._now(),) * 2)
        directory = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        return True

    def _make_room(self, size: int, in_use: Collection[str]) -> None:
        files = sorted(self._files())
        excess = sum(counted for _, counted, _ in files) + size - self._size
        for _, counted, name in files:
            if excess <= 0:
                return
            if name not in in_use:
                (self.path / name).unlink(missing_ok=True)
                log.info("%s made room", name)
                excess -= counted
        if excess > 0:
            raise Full

    def _files(self) -> Iterator[tuple[float, int, str]]:
        """(last use, bytes that it counts for, name) of each file."""
        for kind in self._kinds:
            with os.scandir(self.path / kind) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):
                        if entry.is_file(follow_symlinks=False):
                            status = entry.stat(follow_symlinks=False)
                            yield status.st_mtime, max(status.st_size, SMALLEST), f"{kind}/{entry.name}"

    def _sweep(self) -> None:
        """What a writer left behind that was ended half-way."""
        for each in self.scratch.iterdir():
            with contextlib.suppress(OSError):
                if self._now() - each.lstat().st_mtime > STALE_S:
                    if each.is_dir():
                        for inner in each.iterdir():
                            inner.unlink()
                        each.rmdir()
                    else:
                        each.unlink()
