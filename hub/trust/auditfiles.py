"""The log of `audit.py` in files: `audit.jsonl`, older ones beside it by the number of their first line, and the seal.

Rules of this file
* A line is sealed only after it is on the disk. After a power cut the seal may be behind the log, never ahead of it.
* A start goes on from the seal. Lines behind it that continue it were written before a kill or a power cut: they are
  taken over, and a line says so. What is left of an unfinished one is cut off, and a line says so. Whatever does not
  fit is left where it is, for `verify`.
* When a file is full the chain goes on in the next. Before the oldest is deleted a line says up to where.
* One process writes a log; a second is refused.
* A write that fails leaves the chain where it was. The next one starts from what the disk holds.

It blocks: whoever must not wait calls it from a thread. It knows no clock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from hub.errors import StoreError
from hub.trust.audit import (
    FORGOTTEN,
    MAX_LINE,
    MENDED,
    RESEALED,
    SELF,
    Chain,
    Checker,
    Entry,
    Finding,
    Kind,
    Record,
    Report,
    Seal,
    read_line,
)  # fmt: skip

MAX_BYTES: Final = 4 * 1024 * 1024
"""Of one file: some 15,000 lines."""
KEEP: Final = 24
"""Files beside the newest: with the above, at most 100 MB."""

_MODE: Final = 0o600  # it says who was where and when


class Busy(StoreError):
    """Another process writes this log."""


def seal_of(path: Path) -> Path:
    return path.with_suffix(".seal")


def older_files(path: Path) -> list[Path]:
    """Those that were rotated away, oldest first."""
    name = re.compile(re.escape(path.stem) + r"-(\d{12,})" + re.escape(path.suffix))
    with contextlib.suppress(FileNotFoundError):
        found = [(int(match[1]), file) for file in path.parent.iterdir() if (match := name.fullmatch(file.name))]
        return [file for _, file in sorted(found)]
    return []


class LogFiles:
    """The writer. `append` makes lines, `sync` puts them on the disk and seals them. Both raise OSError, and
    StoreError when another process writes the same log."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES, keep: int = KEEP) -> None:
        self.path = path
        self._max_bytes, self._keep = max_bytes, keep
        self._chain: Chain | None = None
        """None: what the disk holds has to be looked at first."""
        self._written = 0
        """Number of the last line that this process wrote: no surprise when it is found unsealed."""
        self._first = 1
        """Number of the first line of the newest file."""
        self._size = 0
        self._log = self._seal = -1

    def append(self, records: Sequence[Record]) -> None:
        """Write them all or, with OSError, have the chain go on without them."""
        if not records:
            return
        try:
            for record in self._open(records[0]) if self._chain is None else ():
                self._write([record])
            if self._size >= self._max_bytes:
                self._rotate(records[0])
            self._write(records)
        except OSError:
            self._abandon()
            raise

    def sync(self) -> None:
        """Returns when everything that was appended is on the disk, and sealed."""
        if self._chain is None:
            return
        try:
            os.fdatasync(self._log)
            self._put_seal(Seal(self._chain, self._size))
        except OSError:
            self._abandon()
            raise

    def close(self) -> None:
        try:
            self.sync()
        finally:
            self._abandon()
            if self._seal >= 0:
                os.close(self._seal)
                self._seal = -1

    # ------------------------------------------------------------------ writing

    def _write(self, records: Sequence[Record]) -> None:
        assert self._chain is not None
        chain, lines = self._chain, bytearray()
        for record in records:
            chain, line = chain.add(record)
            lines += line
        try:
            _write_all(self._log, bytes(lines))
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._log, self._size)  # half a batch must not be taken for one that was kept
            raise
        self._chain, self._size, self._written = chain, self._size + len(lines), chain.seq

    def _put_seal(self, seal: Seal) -> None:
        os.pwrite(self._seal, seal.encode(), 0)
        os.ftruncate(self._seal, Seal.LENGTH)
        os.fdatasync(self._seal)

    def _abandon(self) -> None:
        self._chain = None
        if self._log >= 0:
            with contextlib.suppress(OSError):
                os.close(self._log)
            self._log = -1

    # ------------------------------------------------------------------ a full file

    def _rotate(self, at: Record) -> None:
        assert self._chain is not None
        self.sync()
        self.path.rename(self.path.with_name(f"{self.path.stem}-{self._first:012d}{self.path.suffix}"))
        os.close(self._log)
        self._log = _create(self.path)
        self._first, self._size = self._chain.seq + 1, 0
        _sync_folder(self.path.parent)
        self.sync()
        self._forget(at)

    def _forget(self, at: Record) -> None:
        """Delete the oldest files that are too many, after having said so."""
        older = older_files(self.path)
        for file in older[: max(0, len(older) - self._keep)]:
            last = _last_entry(file)
            if last is None:
                return  # it was tampered with: better keep it
            self._write([Record(at.time, SELF, FORGOTTEN, "rotation", f"{last.seq} {last.hash}")])
            self.sync()
            file.unlink()
        _sync_folder(self.path.parent)

    # ------------------------------------------------------------------ going on with what is there

    def _open(self, at: Record) -> list[Record]:
        """Returns what has to be noted of what was found."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock()
        self._log = _create(self.path)
        older = older_files(self.path)
        data = os.pread(self._seal, Seal.LENGTH + 1, 0)
        seal = Seal.decode(data)
        notes: list[str] = []
        found = _Found(*_last_of([*older, self.path])) if seal is None else self._behind(seal)
        self._mend(found, notes)
        self._chain, self._size = found.chain, os.fstat(self._log).st_size
        self._first = self._first_number(found.chain.seq + 1)
        _sync_folder(self.path.parent)
        if found.chain.seq > self._written and seal is not None and found.chain != seal.chain:
            notes.insert(0, f"numbers {seal.chain.seq + 1} to {found.chain.seq} were written, and not yet sealed")
        made = [Record(at.time, SELF, MENDED, "start", note) for note in notes]
        if seal is None and found.chain.seq:
            text = f"the seal was missing or damaged; what stood after number {found.chain.seq} may have been cut off"
            made.insert(0, Record(at.time, SELF, RESEALED, "start", text))
        elif seal is None:
            self.sync()  # a new log: from its first line on, its end is known
        return made

    def _lock(self) -> None:
        if self._seal < 0:
            self._seal = _create(seal_of(self.path), os.O_RDWR)
        try:
            fcntl.flock(self._seal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._seal)
            self._seal = -1
            raise Busy(f"{self.path} is written by another process: only one hub may use this folder") from None

    def _behind(self, seal: Seal) -> _Found:
        """What continues the seal in the newest file."""
        if os.fstat(self._log).st_size < seal.size:
            return _Found(seal.chain, None)  # rotated away just before a cut, or tampered with: `verify` tells which
        with self.path.open("rb") as file:
            file.seek(seal.size)
            return _Found(*_continued(file, seal.chain))

    def _mend(self, found: _Found, notes: list[str]) -> None:
        """Have the newest file end with a whole line."""
        size = os.fstat(self._log).st_size
        if found.end is not None and found.end < size:
            rest = os.pread(self._log, MAX_LINE + 1, found.end)
            if len(rest) <= MAX_LINE and found.chain.could_begin(rest):
                os.ftruncate(self._log, found.end)
                notes.append(f"{size - found.end} bytes of an unfinished line were cut off")
                return
        if size and os.pread(self._log, 1, size - 1) != b"\n":
            _write_all(self._log, b"\n")

    def _first_number(self, otherwise: int) -> int:
        with self.path.open("rb") as file:
            entry = read_line(file.readline(MAX_LINE).rstrip(b"\n"))
        return entry.seq if entry is not None else otherwise


@dataclass(frozen=True, slots=True)
class _Found:
    chain: Chain
    end: int | None
    """Where in the newest file its last line ends; None: unknown."""


def _create(path: Path, mode: int = os.O_RDWR | os.O_APPEND) -> int:
    return os.open(path, mode | os.O_CREAT | os.O_CLOEXEC, _MODE)


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def lines_of(file: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """Each line without its newline, and whether it had one. One that is too long to be ours comes in pieces."""
    while line := file.readline(MAX_LINE + 1):
        ended = line.endswith(b"\n")
        yield (line[:-1], True) if ended else (line, len(line) > MAX_LINE)


def _continued(file: BinaryIO, chain: Chain) -> tuple[Chain, int]:
    """As far as lines continue `chain`: the last of them, and where it ends."""
    end = file.tell()
    for line, ended in lines_of(file):
        entry = read_line(line) if ended else None
        if entry is None or not chain.precedes(entry):
            break
        chain, end = Chain(entry.seq, entry.hash), end + len(line) + 1
    return chain, end


def _last_of(files: Sequence[Path]) -> tuple[Chain, int | None]:
    """Without a seal: the last line of all, and where it ends if that is in the newest file."""
    for file in reversed(files):
        last, end = _last_with_end(file)
        if last is not None:
            return Chain(last.seq, last.hash), end if file is files[-1] else None
    return Chain(), 0


def _last_entry(file: Path) -> Entry | None:
    return _last_with_end(file)[0]


def _last_with_end(file: Path) -> tuple[Entry | None, int]:
    last, last_end, end = None, 0, 0
    with file.open("rb") as opened:
        for line, ended in lines_of(opened):
            end += len(line) + 1
            entry = read_line(line) if ended else None
            if entry is not None:
                last, last_end = entry, end
    return last, last_end


# --------------------------------------------------------------------------- reading


def _opened(path: Path, stack: ExitStack) -> list[tuple[str, BinaryIO]]:
    """Every file of the log, oldest first, opened: what is rotated or deleted meanwhile is still read."""
    newest = stack.enter_context(path.open("rb")) if path.exists() else None
    seen = None if newest is None else os.fstat(newest.fileno()).st_ino
    files: list[tuple[str, BinaryIO]] = []
    for file in older_files(path):
        opened = stack.enter_context(file.open("rb"))
        if os.fstat(opened.fileno()).st_ino != seen:
            files.append((file.name, opened))
    return [*files, (path.name, newest)] if newest is not None else files


def entries(path: Path) -> Iterator[Entry]:
    """Everything that can be read, oldest first, checked by nobody. Raises OSError."""
    with ExitStack() as stack:
        for _, file in _opened(path, stack):
            for line, _ in lines_of(file):
                entry = read_line(line)
                if entry is not None:
                    yield entry


def sealed_up_to(path: Path) -> int:
    """Number of the last sealed line; 0 when there is no seal."""
    try:
        seal = Seal.decode(seal_of(path).read_bytes())
    except FileNotFoundError:
        return 0
    return seal.chain.seq if seal is not None else 0


def verify(path: Path) -> Report:
    """Read the whole log and check it. Raises OSError when it cannot be read."""
    try:
        data = seal_of(path).read_bytes()
    except FileNotFoundError:
        data = b""
    checker = Checker(Seal.decode(data))
    misnamed: list[Finding] = []
    with ExitStack() as stack:
        for name, file in _opened(path, stack):
            for number, (line, ended) in enumerate(lines_of(file), 1):
                checker.line(f"{name} line {number}", line, ended)
                entry = read_line(line) if number == 1 and name != path.name else None
                if entry is not None and f"-{entry.seq:012d}." not in name:
                    misnamed.append(Finding(Kind.CHANGED, name, f"begins with number {entry.seq}: it was renamed"))
    report = checker.done()
    report.findings += misnamed
    return report
