"""Sessions: who is logged in, also after the dashboard was started anew.

Rules of this file
* A session is a random word in the browser's cookie. Only its hash is kept, here and in the file: who reads the file
  cannot log in with it.
* A session holds a name, never a right: what its visitor may do is asked of the board each time.
* It ends by logging out, after 30 days, when its user is gone, and when his password is another.
* A file that cannot be read or written costs log-ins, nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from hub.config.dashboard import User
from hub.dashboard.view import Board, Visitor

log = logging.getLogger(__name__)

LIFETIME_S: Final = 30 * 86_400
MAX_SESSIONS: Final = 1_000
"""Open at a time; the oldest ends when there is one more."""
MAX_FILE: Final = 1 << 20  # bytes


@dataclass(frozen=True)
class _Session:
    """`stamp` tells the password that it was opened with from any other."""

    name: str
    ends: float
    stamp: str


class Sessions:
    """`file` None: in memory only. `clock`: seconds since 1970."""

    def __init__(
        self, board: Board, users: Mapping[str, User], file: Path | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._board = board
        self._stamps = {name: _hash(user.password_hash) for name, user in users.items()}
        self._file = file
        self._clock = clock
        self._open = self._read()

    @staticmethod
    def id_of(token: str) -> str:
        """What we keep of a cookie."""
        return _hash(token)

    def open(self, name: str) -> str:
        """A new session's cookie."""
        while len(self._open) >= MAX_SESSIONS:
            del self._open[next(iter(self._open))]
        token = secrets.token_urlsafe(32)
        self._open[self.id_of(token)] = _Session(name, self._clock() + LIFETIME_S, self._stamps.get(name, ""))
        self._write()
        return token

    def close(self, session: str) -> None:
        if self._open.pop(session, None) is not None:
            self._write()

    def visitor(self, session: str) -> Visitor | None:
        """Who a session belongs to as things stand now; for "" and for what has ended: who needs no log-in, or None."""
        found = self._open.get(session)
        if found is None or found.ends < self._clock():
            return self._board.anonymous
        return self._board.visitor(found.name)

    def _read(self) -> dict[str, _Session]:
        if self._file is None or not self._file.exists():
            return {}
        try:
            if self._file.stat().st_size > MAX_FILE:
                raise ValueError("it is too long")
            kept = {
                str(session): _Session(str(said["name"]), float(said["ends"]), str(said["stamp"]))
                for session, said in json.loads(self._file.read_text(encoding="utf-8")).items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("who was logged in is not known any more: %s: %s", self._file, error)
            return {}
        now = self._clock()
        return {
            session: each for session, each in kept.items()
            if now < each.ends <= now + LIFETIME_S and self._stamps.get(each.name) == each.stamp
        }  # fmt: skip

    def _write(self) -> None:
        if self._file is None:
            return
        new = self._file.with_suffix(".new")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with contextlib.suppress(FileNotFoundError):
                new.unlink()
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
                json.dump({session: asdict(each) for session, each in self._open.items()}, out)
            new.replace(self._file)
        except OSError as error:
            log.warning("who is logged in will have to do so again after the next start: %s", error)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
