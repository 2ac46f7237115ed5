"""Verdicts of provisioning servers, kept on disk: bounded, least recently used out first (XEP-0324 section 4.2).

A file that is only appended to, and now and then written anew: a verdict costs the SD card one line, which the kernel
writes when it likes, where a database would cost it pages and a flush. What is read costs it nothing.

Rules of this file
* A verdict that is lost is asked for again; a verdict that was withdrawn must never come back. So a line is only
  written, which outlives the death of the process, and forgetting returns when it is on the disk.
* Every line carries a checksum: what a power cut has torn is no verdict. A file for another account or other servers
  is no file (XEP-0324: a new trust relationship begins with an empty cache).
* Refusals have a quarter of the room: strangers, who can ask what they like, push each other out and nobody else.
* A question is kept as its digest: what is remembered stays small, however many nodes it names.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import zlib
from collections import OrderedDict, deque
from pathlib import Path
from typing import Any, Final

from hub.errors import StoreError
from hub.things.memory import remove_durably, write_durably
from hub.things.model import FieldTypes, NodeRef
from hub.things.questions import REFUSED, Question, Verdict

log = logging.getLogger(__name__)

MAX_VERDICT_BYTES: Final = 16_384
"""A longer one, with hundreds of nodes left over, is asked for each time."""
MAX_FILE_BYTES: Final = 64 * 1024 * 1024
REFUSED_SHARE: Final = 4  # a quarter of the entries
TRY_AGAIN_EVERY: Final = 50  # verdicts that a disk did not take
SPARE_LINES: Final = 500  # lines beyond the entries that live, before the file is written anew
DIGEST_BYTES: Final = 16
VERSION: Final = 2
LONG: Final = 16  # nodes and names whose digest is kept at hand
MAX_SCOPES: Final = 4

_ALLOWED: Final = Verdict(True)
_FRIENDLY: Final = Verdict(True, secondary_trust=True)
_SEPARATOR: Final = "\x00"  # in no XML, so in no name


class VerdictCache:
    """`path` None: in memory only. `trusting`: the account and its servers; a file that was written under another one
    is emptied. `capacity`: entries; 0 remembers nothing. Raises StoreError when such a file cannot be emptied."""

    def __init__(self, path: Path | None, capacity: int, trusting: str = "") -> None:
        self._path = path
        self._trusting = trusting
        self._refused_room = capacity // REFUSED_SHARE
        self._allowed_room = capacity - self._refused_room
        self._allowed: OrderedDict[bytes, Verdict] = OrderedDict()
        self._refused: OrderedDict[bytes, Verdict] = OrderedDict()
        self._scopes: deque[tuple[tuple[NodeRef, ...], tuple[str, ...], bytes]] = deque(maxlen=MAX_SCOPES)
        self._file: int | None = None
        self._lines = 0
        self._why_broken = ""
        self._missed = 0
        self.generation = 0
        """Grows when everything is forgotten: an answer to a question asked before is not to be kept."""
        if path is not None:
            self._load(path)

    @property
    def trouble(self) -> str:
        """Why verdicts are in memory only; empty when all is well."""
        return self._why_broken

    def __len__(self) -> int:
        return len(self._allowed) + len(self._refused)

    def get(self, server: str, question: Question) -> Verdict | None:
        """None when it is not known."""
        return self.look(self.key(server, question))

    def key(self, server: str, question: Question) -> bytes:
        """`digest`, sooner for nodes and names that are the same objects as a moment ago: everything of a hub is."""
        nodes, names = question.nodes or (), question.names
        if len(nodes) + len(names) < LONG:
            return digest(server, question)
        scope = next((known for of, named, known in self._scopes if of is question.nodes and named is names), None)
        if scope is None:
            scope = _scope(question)
            self._scopes.append((nodes, names, scope))
        return digest(server, question, scope)

    def look(self, key: bytes) -> Verdict | None:
        """By the digest of server and question; the very same object until it changes."""
        verdict = self._allowed.get(key)
        if verdict is not None:
            self._allowed.move_to_end(key)
            return verdict
        verdict = self._refused.get(key)
        if verdict is not None:
            self._refused.move_to_end(key)
        return verdict

    def put(self, server: str, question: Question, verdict: Verdict) -> None:
        text = _encode(verdict)
        if len(text) > MAX_VERDICT_BYTES:
            return
        key = self.key(server, question)
        if self._keep(key, verdict):
            self._append(f"{key.hex()} {text}")

    def clear(self) -> None:
        """Forget everything. Returns when it is forgotten on the disk too. Raises StoreError when it may not be: it is
        forgotten here, and the one who asked for it must ask again."""
        self._allowed.clear()
        self._refused.clear()
        self.generation += 1
        if self._path is None:
            return
        try:
            self._rewrite()
        except OSError as error:
            self._give_up(error)
            try:
                remove_durably(self._path)
            except OSError:
                raise StoreError(f"{self._path} cannot be emptied: {error}") from error

    def close(self) -> None:
        """Also written anew, so that what was used last stays longest."""
        if self._path is not None and not self._why_broken:
            try:
                self._rewrite()
            except OSError as error:
                self._give_up(error)
        self._drop_file()

    # ------------------------------------------------------------------ entries

    def _keep(self, key: bytes, verdict: Verdict) -> bool:
        """Whether it is news."""
        mine, other, room = (
            (self._allowed, self._refused, self._allowed_room)
            if verdict.allowed
            else (self._refused, self._allowed, self._refused_room)
        )
        other.pop(key, None)
        news = mine.get(key) != verdict
        mine[key] = verdict
        mine.move_to_end(key)
        while len(mine) > room:
            mine.popitem(last=False)
        return news

    # ------------------------------------------------------------------ the file

    def _load(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                lines = file.read(MAX_FILE_BYTES).split(b"\n")
        except FileNotFoundError:
            return
        except OSError as error:
            log.warning("%s cannot be read (%s): the servers are asked again", path, error)
            return
        if _unsealed(lines[0]) != self._header():
            self.clear()  # not left lying: who trusts the old servers again later must not find it
            return
        torn = 0
        for line in lines[1:-1]:
            self._lines += 1
            try:
                key, _, text = _unsealed(line).partition(" ")
                if len(key) != 2 * DIGEST_BYTES:
                    raise ValueError("no line of ours")
                self._keep(bytes.fromhex(key), _decode(text))
            except (ValueError, TypeError, KeyError, RecursionError):
                torn += 1
        if torn or lines[-1]:
            log.warning("%s: %d torn lines are asked for again", path, torn + bool(lines[-1]))
            return  # nothing is appended to a torn line: the next verdict writes the file anew
        self._open(path)

    def _append(self, text: str) -> None:
        if self._path is None:
            return
        if self._why_broken:
            self._missed += 1
            if self._missed % TRY_AGAIN_EVERY:
                return
        try:
            if self._file is None or self._lines > SPARE_LINES + len(self):
                self._rewrite()
                return
            line = _sealed(text)
            if os.write(self._file, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._lines += 1
        except OSError as error:
            self._give_up(error)

    def _rewrite(self) -> None:
        assert self._path is not None
        self._drop_file()
        entries = [*self._refused.items(), *self._allowed.items()]
        lines = [self._header(), *(f"{key.hex()} {_encode(verdict)}" for key, verdict in entries)]
        write_durably(self._path, b"".join(map(_sealed, lines)))
        self._lines = len(entries)
        if self._why_broken:
            log.warning("%s is written again", self._path)
        self._why_broken = ""
        self._open(self._path)

    def _open(self, path: Path) -> None:
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except OSError as error:
            self._give_up(error)

    def _drop_file(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _give_up(self, error: OSError) -> None:
        self._drop_file()
        if not self._why_broken:
            log.error("%s cannot be written (%s): verdicts are remembered only until this hub stops, or it can",
                      self._path, error)  # fmt: skip
        self._why_broken = str(error)

    def _header(self) -> str:
        return json.dumps({"verdicts": VERSION, "trusting": self._trusting})


def digest(server: str, question: Question, scope: bytes | None = None) -> bytes:
    """The same for the same question to the same server, in any process. Every part has its place: no name can stand
    for two. `scope`: that of its nodes and names, if it is known."""
    tokens = question.tokens
    text = _SEPARATOR.join((
        server, question.right, question.jid, str(question.types.value), tokens.service, tokens.device, tokens.user,
    ))  # fmt: skip
    return _hashed(text, scope or _scope(question))


def _scope(question: Question) -> bytes:
    nodes = question.nodes
    return _hashed(_SEPARATOR.join((
        "all" if nodes is None else str(len(nodes)), str(len(question.names)), *question.names,
        *[f"{node.node_id}{_SEPARATOR}{node.source_id}{_SEPARATOR}{node.cache_type}" for node in nodes or ()],
    )))  # fmt: skip


def _hashed(text: str, more: bytes = b"") -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass") + more, digest_size=DIGEST_BYTES).digest()


def _encode(verdict: Verdict) -> str:
    """`0`, `1`, `2` (with secondary trust), or what is left as JSON."""
    if not verdict.allowed:
        return "0"
    if verdict.nodes is None and not verdict.names and not verdict.types:
        return "2" if verdict.secondary_trust else "1"
    nodes = verdict.nodes
    left: list[Any] = [
        None if nodes is None else [[node.node_id, node.source_id, node.cache_type] for node in nodes],
        list(verdict.names), verdict.types.value, verdict.secondary_trust,
    ]  # fmt: skip
    return json.dumps(left, separators=(",", ":"))


_PLAIN: Final = {"0": REFUSED, "1": _ALLOWED, "2": _FRIENDLY}


def _decode(text: str) -> Verdict:
    """Raises ValueError or TypeError."""
    plain = _PLAIN.get(text)
    if plain is not None:
        return plain
    nodes, names, types, secondary_trust = json.loads(text)
    return Verdict(
        True, None if nodes is None else tuple(NodeRef(*map(str, node)) for node in nodes), tuple(map(str, names)),
        FieldTypes(types), secondary_trust is True,
    )  # fmt: skip


def _sealed(text: str) -> bytes:
    data = text.encode("ascii")
    return b"%08x %b\n" % (zlib.crc32(data), data)


def _unsealed(line: bytes) -> str:
    """The text of a line, "" of one that is torn."""
    checksum, _, data = line.partition(b" ")
    return data.decode("ascii") if checksum == b"%08x" % zlib.crc32(data) else ""
