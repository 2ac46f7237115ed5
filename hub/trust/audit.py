"""A log that shows when it was changed: every decision and command, each line chained to the one before it.

A line is a JSON object: seq, time (UTC), who, what, rule, answer, and prev, the SHA-256 of the bytes of the line before
it without its newline (64 zeros in the first). The chain alone says nothing about its own end, so a seal beside the log
names the last line that is safely on the disk. `auditfiles.py` keeps both; this file does no input or output.

Rules of this file
* Whatever single change is made to a log, `Checker` finds it and says which line: changed, missing, added or moved.
* Lines that the log writes about itself are from `SELF`, which is nobody's address. An empty front is right only when
  such a line says up to where the log was forgotten.
* The chain has no secret: who can write the files and knows this format can make another log that is right in itself.
  Copy the seal elsewhere from time to time to hold against that.
* Memory is bounded, whatever the length of the log and whatever has been done to it.
"""

from __future__ import annotations

import datetime as dt
import enum
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Final, Protocol

NOTHING: Final = "0" * 64
SELF: Final = "this log"
FORGOTTEN: Final = "forgotten"
MENDED: Final = "mended"
LOST: Final = "lost"
RESEALED: Final = "resealed"

MAX_TEXT: Final = 2048  # characters of each of who, what, rule and answer
MAX_LINE: Final = 64 * 1024  # bytes; four texts of six bytes a character, and the rest
MAX_FINDINGS: Final = 100  # of each kind; more are counted
MAX_PENDING: Final = 64  # lines that do not fit, held until it is clear what they are

_KEYS: Final = ("seq", "time", "who", "what", "rule", "answer", "prev")
_HASH: Final = re.compile(r"[0-9a-f]{64}")


class Recorder(Protocol):
    """Whoever keeps the log. `what`: see `words`. `rule`: what decided, in words. `answer`: what came of it."""

    def record(self, who: str, what: str, rule: str, answer: str) -> None:
        """At once, without waiting: it is on the disk within a second or so."""
        ...

    async def record_now(self, who: str, what: str, rule: str, answer: str) -> None:
        """Returns when it is on the disk. Raises StoreError when it cannot be put there."""
        ...


def words(action: str, things: Iterable[str] = (), names: Iterable[str] = ()) -> str:
    """What somebody wants, as `hub audit show --thing` understands it: "read boiler, lamp: temperature"."""
    where, which = ", ".join(things), ", ".join(names)
    return " ".join(part for part in (action, where) if part) + (f": {which}" if which else "")


@dataclass(frozen=True, slots=True)
class Record:
    time: dt.datetime
    """With a zone."""
    who: str
    what: str
    rule: str
    answer: str


@dataclass(frozen=True, slots=True)
class Entry(Record):
    """A line that was read. `hash`: of its own bytes."""

    seq: int
    prev: str
    hash: str


@dataclass(frozen=True, slots=True)
class Chain:
    """Where a log has got to: number and hash of its last line."""

    seq: int = 0
    hash: str = NOTHING

    def add(self, record: Record) -> tuple[Chain, bytes]:
        """The chain with `record` as its last line, and that line with its newline."""
        texts = [_bounded(text) for text in (record.who, record.what, record.rule, record.answer)]
        time = record.time.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        values = dict(zip(_KEYS, (self.seq + 1, time, *texts, self.hash), strict=True))
        text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
        line = text.encode("utf-8", "backslashreplace")  # a lone surrogate becomes its JSON escape
        return Chain(self.seq + 1, sha256(line).hexdigest()), line + b"\n"

    def could_begin(self, piece: bytes) -> bool:
        """Whether `piece` is how the next line of this chain begins: what a power cut leaves of it, with blocks that
        were never written as zeros."""
        piece = piece.partition(b"\0")[0]
        start = b'{"seq":%d,"time":"' % (self.seq + 1)
        return piece[: len(start)] == start[: len(piece)] and b"\n" not in piece

    def precedes(self, entry: Entry) -> bool:
        return entry.seq == self.seq + 1 and entry.prev == self.hash


def _bounded(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 32]}… ({len(text)} characters)"


def read_line(line: bytes) -> Entry | None:
    """A line without its newline; None when it is none of ours."""
    try:
        values = json.loads(line) if len(line) <= MAX_LINE else None
        if not isinstance(values, dict) or tuple(values) != _KEYS:
            return None
        seq, time, who, what, rule, answer, prev = values.values()
        if type(seq) is not int or seq < 1 or not _HASH.fullmatch(prev):
            return None
        if not all(isinstance(text, str) for text in (who, what, rule, answer)):
            return None
        when = dt.datetime.fromisoformat(time)
    except (ValueError, TypeError, RecursionError):
        return None
    return Entry(when, who, what, rule, answer, seq, prev, sha256(line).hexdigest()) if when.tzinfo else None


@dataclass(frozen=True, slots=True)
class Seal:
    """The last line that is on the disk, and the bytes of the newest file up to it."""

    chain: Chain
    size: int

    LENGTH = 192  # bytes: less than a sector, so that it is replaced in one piece

    def encode(self) -> bytes:
        body = {"seq": self.chain.seq, "hash": self.chain.hash, "size": self.size}
        check = sha256(json.dumps(body).encode()).hexdigest()[:16]
        return json.dumps({**body, "check": check}).encode().ljust(self.LENGTH - 1) + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> Seal | None:
        """None when it is not, to the byte, what `encode` made."""
        try:
            values = json.loads(data)
            seal = cls(Chain(values["seq"], values["hash"]), values["size"])
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        ours = type(seal.chain.seq) is int and type(seal.size) is int and isinstance(seal.chain.hash, str)
        return seal if ours and seal.encode() == data else None


# --------------------------------------------------------------------------- checking


class Kind(enum.StrEnum):
    CHANGED = "changed"
    MISSING = "missing"
    ADDED = "added"
    MOVED = "moved"
    UNSEALED = "unsealed"
    SEAL = "seal"
    TORN = "torn"
    NOTED = "noted"


NOTES: Final = frozenset({Kind.TORN, Kind.NOTED})
"""What is told, and is no reason for distrust."""


@dataclass(frozen=True, slots=True)
class Finding:
    kind: Kind
    where: str
    """File and line, or what of the log."""
    text: str


@dataclass(slots=True)
class Report:
    lines: int = 0
    last: int = 0
    """Number of the last line that fits."""
    unsealed: int = 0
    """Lines at the end that fit and that no seal covers."""
    findings: list[Finding] = field(default_factory=list)
    more: int = 0
    """Findings that are not listed."""

    @property
    def broken(self) -> bool:
        return self.more > 0 or any(finding.kind not in NOTES for finding in self.findings)


@dataclass(frozen=True, slots=True)
class _Line:
    where: str
    chain: Chain
    """Number and hash of it; 0 when it has no number."""
    entry: Entry | None
    reported: bool = False


class Checker:
    """Fed with every line in order; `done` tells what was found.

    It holds on to the last line that fits (the anchor). Lines that do not continue it are held back until a later line
    says what they are: one that continues the anchor makes them added, two that continue each other mean that
    something happened at the anchor.
    """

    def __init__(self, seal: Seal | None) -> None:
        self._seal = seal
        self._anchor = _Line("the beginning", Chain(), None)
        self._pending: list[_Line] = []
        self._front: Chain | None = None
        self._front_excused = False
        self._at_seal: str | None = None
        self._strays: list[_Line] = []
        self._gaps: list[tuple[int, int, str]] = []
        self._torn: tuple[str, bytes] | None = None
        self._report = Report()

    def line(self, where: str, line: bytes, ended: bool = True) -> None:
        """`line` without its newline; `ended`: it had one. Only the last one of all may have none."""
        if self._torn is not None:
            (before, torn), self._torn = self._torn, None
            self._find(Kind.CHANGED, before, "its end is cut off")
            self._take(self._read(before, torn))
        self._report.lines += 1
        if ended:
            self._take(self._read(where, line))
        else:
            self._torn = (where, line)

    @staticmethod
    def _read(where: str, line: bytes) -> _Line:
        entry = read_line(line)
        return _Line(where, Chain(entry.seq if entry else 0, sha256(line).hexdigest()), entry)

    def _take(self, line: _Line) -> None:
        entry, before, pending = line.entry, self._anchor.chain, self._pending
        if entry is not None and before.seq == 0 and not pending and entry.seq > 1 and entry.prev != NOTHING:
            before = self._front = Chain(entry.seq - 1, entry.prev)
            self._anchor = _Line("the beginning", before, None, reported=True)
        if entry is not None and before.precedes(entry):
            self._stray(pending)
        elif entry is not None and entry.prev == before.hash:
            self._stray(pending)
            self._changed(line, f"its number should be {before.seq + 1}")
            line = replace(line, chain=Chain(before.seq + 1, line.chain.hash), reported=True)
        elif entry is not None and pending and self._follows(pending[-1], entry):
            self._explain_break()
        elif entry is not None and pending and entry.seq == before.seq + 1 + len(pending):
            for each in pending:
                self._changed(each)
        else:
            self._hold(line)
            return
        self._pending = []
        self._settle(line)

    def _follows(self, last: _Line, entry: Entry) -> bool:
        return last.chain.seq > self._anchor.chain.seq and last.chain.precedes(entry)

    def _hold(self, line: _Line) -> None:
        if len(self._pending) >= MAX_PENDING:
            self._stray(self._pending)
            self._pending = []
        self._pending.append(line)

    def _explain_break(self) -> None:
        """The last of the pending lines is as it was written, and does not continue the anchor."""
        *before, first = self._pending
        anchor = self._anchor.chain
        gap = first.chain.seq - anchor.seq - 1
        if gap == 0:
            self._stray(before)
            self._changed(self._anchor if anchor.seq else first)
        elif gap == len(before):
            for each in before:
                self._changed(each)
        else:
            self._stray(before)
            self._gap(anchor.seq + 1, first.chain.seq - 1, f"before {first.where}")
        self._settle(first)

    def _settle(self, line: _Line) -> None:
        """`line` is the new anchor."""
        self._anchor = line
        if self._seal is not None and line.chain.seq == self._seal.chain.seq:
            self._at_seal = line.chain.hash
        if line.entry is not None and line.entry.who == SELF:
            self._note(line, line.entry)

    def _note(self, line: _Line, entry: Entry) -> None:
        if entry.what == FORGOTTEN:
            front = self._front
            self._front_excused |= front is not None and entry.answer == f"{front.seq} {front.hash}"
        else:
            self._find(Kind.SEAL if entry.what == RESEALED else Kind.NOTED, line.where, f"{entry.what}: {entry.answer}")

    # ------------------------------------------------------------------ the end

    def done(self) -> Report:
        self._end_of_pending()
        if self._front is not None and not self._front_excused:
            self._gap(1, self._front.seq, "at the beginning")
        self._end_of_torn()
        self._against_seal()
        self._sort_out_moved()
        self._report.last = self._anchor.chain.seq
        return self._report

    def _end_of_pending(self) -> None:
        pending, seal = self._pending, self._seal
        if not pending:
            return
        if seal is not None and pending[-1].chain == seal.chain and seal.chain.seq > self._anchor.chain.seq:
            self._explain_break()
        elif seal is not None and seal.chain.seq - self._anchor.chain.seq == len(pending):
            for each in pending:
                self._changed(each)
            self._anchor = replace(pending[-1], chain=seal.chain, reported=True)
            self._at_seal = seal.chain.hash
        else:
            self._stray(pending)

    def _end_of_torn(self) -> None:
        if self._torn is None:
            return
        where, piece = self._torn
        anchor = self._anchor.chain
        if self._seal is not None and self._seal.chain.seq > anchor.seq:
            self._find(Kind.CHANGED, where, "its end is cut off, and it was whole on the disk")
            number = anchor.seq + 1
            if number == self._seal.chain.seq:
                self._at_seal = self._seal.chain.hash
            self._anchor = _Line(where, Chain(number, sha256(piece).hexdigest()), None, reported=True)
        elif anchor.could_begin(piece):
            self._find(Kind.TORN, where, "an unfinished line, as a power cut leaves one; the next start mends it")
        else:
            self._find(Kind.ADDED, where, "does not continue the line before it")

    def _against_seal(self) -> None:
        seal, last = self._seal, self._anchor
        if seal is None:
            if self._report.lines:
                self._find(Kind.SEAL, "the seal", "is missing or damaged: lines may have been cut off at the end")
            return
        if seal.chain.seq > last.chain.seq:
            self._gap(last.chain.seq + 1, seal.chain.seq, "at the end")
        elif self._at_seal is not None and self._at_seal != seal.chain.hash:
            if seal.chain.seq == last.chain.seq:
                self._changed(last)
            else:
                self._find(Kind.SEAL, "the seal", f"does not fit line number {seal.chain.seq}")
        self._report.unsealed = max(0, last.chain.seq - seal.chain.seq)
        if self._report.unsealed:
            self._find(Kind.UNSEALED, f"numbers {seal.chain.seq + 1} to {last.chain.seq}",
                       "written after the last seal: the hub was killed, or somebody added them")  # fmt: skip

    def _sort_out_moved(self) -> None:
        """A line that stands where it does not belong, and is missing where it does, was moved."""
        missing = {number for first, last, _ in self._gaps if last - first < MAX_FINDINGS
                   for number in range(first, last + 1)}  # fmt: skip
        moved = {line.chain.seq for line in self._strays} & missing
        for line in self._strays:
            number = line.chain.seq
            kind = Kind.MOVED if number in moved else Kind.ADDED
            text = f"number {number} does not belong here" if number else "is no line of this log"
            self._find(kind, line.where, text)
        for first, last, where in self._gaps:
            if last - first >= MAX_FINDINGS or not moved.issuperset(range(first, last + 1)):
                self._find(Kind.MISSING, where, f"number {first}" + (f" to {last}" if last > first else ""))

    # ------------------------------------------------------------------ noting what was found

    def _changed(self, line: _Line, why: str = "") -> None:
        if not line.reported:
            number = f"number {line.chain.seq} " if line.chain.seq else ""
            self._find(Kind.CHANGED, line.where, f"{number}is not what was written" + (f": {why}" if why else ""))

    def _stray(self, lines: list[_Line]) -> None:
        room = MAX_FINDINGS - len(self._strays)
        self._strays += lines[:room]
        self._report.more += len(lines[room:])

    def _gap(self, first: int, last: int, where: str) -> None:
        if len(self._gaps) < MAX_FINDINGS:
            self._gaps.append((first, last, where))
        else:
            self._report.more += 1

    def _find(self, kind: Kind, where: str, text: str) -> None:
        findings = self._report.findings
        if sum(finding.kind is kind for finding in findings) < MAX_FINDINGS:
            findings.append(Finding(kind, where, text))
        elif kind not in NOTES:
            self._report.more += 1
