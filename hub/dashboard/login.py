"""The page where one logs in, and the cookie that comes of it.

Rules of this file
* Scripts cannot read the cookie, and other sites' forms do not carry it (HttpOnly, SameSite=Lax).
* The log-in page shows nothing of the hubs, and works without scripts: its only one sets the theme.
"""

from __future__ import annotations

import html
import string
import urllib.parse
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from hub.dashboard.sessions import LIFETIME_S, Sessions
from hub.dashboard.view import Board
from hub.errors import HubError

COOKIE: Final = "hub-session"
MAX_FORM: Final = 4_096  # bytes
MAX_TEXT: Final = 256  # characters of a name or password

TEMPLATE: Final = string.Template((Path(__file__).parent / "web" / "login.html").read_text(encoding="utf-8"))


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
