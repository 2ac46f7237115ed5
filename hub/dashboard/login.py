"""Who sits in front of the browser: sessions, and the page where one logs in.

Rules of this file
* A session is a random word in a cookie that scripts cannot read and that other sites' forms do not carry
  (HttpOnly, SameSite=Lax). We keep only its hash, in memory: who restarts the dashboard logs everybody out.
* A session holds a name, never a right: what its visitor may do is asked of the board each time.
* The log-in page has no script, and shows nothing of the hubs.
"""

from __future__ import annotations

import hashlib
import html
import secrets
import string
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from hub.dashboard.view import Board, Visitor
from hub.errors import HubError

COOKIE: Final = "hub-session"
LIFETIME_S: Final = 30 * 86_400
MAX_SESSIONS: Final = 1_000
"""Open at a time; the oldest ends when there is one more."""
MAX_FORM: Final = 4_096  # bytes
MAX_TEXT: Final = 256  # characters of a name or password

TEMPLATE: Final = string.Template((Path(__file__).parent / "web" / "login.html").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class _Session:
    name: str
    ends: float


class Sessions:
    def __init__(self, board: Board, clock: Callable[[], float] = time.monotonic) -> None:
        self._board = board
        self._clock = clock
        self._open: dict[str, _Session] = {}

    @staticmethod
    def id_of(token: str) -> str:
        """What we keep of a cookie."""
        return hashlib.sha256(token.encode()).hexdigest()

    def open(self, name: str) -> str:
        """A new session's cookie."""
        while len(self._open) >= MAX_SESSIONS:
            del self._open[next(iter(self._open))]
        token = secrets.token_urlsafe(32)
        self._open[self.id_of(token)] = _Session(name, self._clock() + LIFETIME_S)
        return token

    def close(self, session: str) -> None:
        self._open.pop(session, None)

    def visitor(self, session: str) -> Visitor | None:
        """Who a session belongs to as things stand now; for "" and for what has ended: who needs no log-in, or None."""
        found = self._open.get(session)
        if found is None:
            return self._board.anonymous
        if found.ends < self._clock():
            self.close(session)
            return self._board.anonymous
        return self._board.visitor(found.name)


def page(title: str, prefix: str, version: str, said: str = "", name: str = "", status: int = 200) -> Response:
    """The page where one logs in; `said`: why the last attempt failed."""
    values = {"title": title, "prefix": prefix, "version": version, "said": said, "name": name}
    text = TEMPLATE.substitute({key: html.escape(value) for key, value in values.items()})
    return HTMLResponse(text, status, headers={"Cache-Control": "no-store"})


async def fields(request: Request) -> dict[str, str]:
    """A form as it was sent; {} for one that is too long or no form."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_FORM:
            return {}
    try:
        pairs = urllib.parse.parse_qsl(body.decode(), strict_parsing=True, max_num_fields=10)
    except ValueError:
        return {}
    return {key: value for key, value in pairs if len(value) <= MAX_TEXT}


async def attempt(request: Request, board: Board, sessions: Sessions, version: str, secure: bool) -> Response:
    """Name and password, looked at: the board's page with a cookie, or the log-in page with what is wrong."""
    prefix = str(request.scope["hub.prefix"])
    form = await fields(request)
    name, password = form.get("name", ""), form.get("password", "")
    address = request.client.host if request.client else ""
    try:
        visitor = await board.authenticate(name, password, address)
    except HubError as error:
        return page(board.title, prefix, version, str(error), name, 429)
    if visitor is None:
        return page(board.title, prefix, version, "That name and password do not belong together.", name, 401)
    sessions.close(str(request.scope["hub.session"]))
    answer = RedirectResponse(prefix + "/", 303)
    token = sessions.open(visitor.name)
    answer.set_cookie(COOKIE, token, LIFETIME_S, path=prefix or "/", secure=secure, httponly=True, samesite="lax")
    return answer


def leave(request: Request, sessions: Sessions) -> Response:
    prefix = str(request.scope["hub.prefix"])
    sessions.close(str(request.scope["hub.session"]))
    answer = RedirectResponse(prefix + "/login", 303)
    answer.delete_cookie(COOKIE, path=prefix or "/")
    return answer
