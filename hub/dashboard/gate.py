"""What every request passes before the page sees it, and every answer before the browser does.

Rules of this file
* Only known paths exist. Without a session there is the log-in page, its style, and nothing else.
* A request that another site's page makes is refused: no socket and no form takes a foreign Origin. NiceGUI itself
  takes sockets from everywhere, so this is where it is closed.
* A socket belongs to the session that opened its page; with another's cookie, or none any more, it does not open.
* Where nobody logs in (this machine only), the name in Host must be this machine's: a foreign name that resolves to
  127.0.0.1 would make another site's page one of ours.
* X-Forwarded-* counts only behind a proxy, and only its last word; otherwise it is taken out.
* Each page has a Content-Security-Policy: scripts from here and those inline that carry this answer's nonce. NiceGUI
  makes functions of text (Vue's templates), which needs 'unsafe-eval', and has style attributes ('unsafe-inline').
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import secrets
import urllib.parse
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from typing import Final

from nicegui import Client
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.dashboard.login import COOKIE
from hub.dashboard.sessions import Sessions
from hub.dashboard.view import Board

PREFIX: Final = re.compile(r"(?:/[A-Za-z0-9._~-]{1,64}){1,8}")
OPEN: Final = ("/login", "/assets/", "/favicon.ico")
CLOSED: Final = ("/", "/logout", "/_nicegui/", "/_nicegui_ws/")
SOCKETS: Final = "/_nicegui_ws/"
MAX_PAGES: Final = 200
"""Open at a time, in all browsers."""

POLICY: Final = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
LOGIN_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
ALWAYS: Final = (
    ("X-Frame-Options", "DENY"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
)


class Gate:
    def __init__(self, app: ASGIApp, board: Board, sessions: Sessions, behind_proxy: bool) -> None:
        self.app = app
        self._board = board
        self._sessions = sessions
        self._behind_proxy = behind_proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        (_forwarded if self._behind_proxy else _unforwarded)(scope)
        scope["hub.session"] = session_of(Headers(scope=scope))
        if (refusal := self._refusal(scope)) is None:
            nonce = secrets.token_urlsafe(16)
            await self.app(scope, receive, _Answer(send, nonce, login=scope["path"] == "/login"))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await refusal(scope, receive, _Answer(send, "", login=True))

    def _refusal(self, scope: Scope) -> Response | None:
        """What is answered instead; None: let it in."""
        path, headers = scope["path"], Headers(scope=scope)
        if not _known(path, (*OPEN, *CLOSED)):
            return PlainTextResponse("There is no such page here.", 404)
        if self._board.anonymous is not None and not _is_local(headers.get("host", "")):
            return PlainTextResponse("This page is for the machine itself: open it as http://localhost.", 421)
        if _is_foreign(scope, headers):
            return PlainTextResponse("Another site's page asked for this.", 403)
        if _known(path, OPEN):
            return None
        if self._sessions.visitor(scope["hub.session"]) is None:
            if path == "/":
                return RedirectResponse(f"{scope['hub.prefix']}/login", 303, headers={"Cache-Control": "no-store"})
            return PlainTextResponse("Log in first.", 401)
        if path == "/" and len(Client.instances) >= MAX_PAGES:
            return PlainTextResponse(f"There are {MAX_PAGES} pages open already: close some.", 503)
        if path.startswith(SOCKETS) and not _owns_page(scope):
            return PlainTextResponse("This page belongs to another session.", 403)
        return None


def session_of(headers: Headers) -> str:
    """The id of the session that the cookie names; "" without one."""
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return Sessions.id_of(morsel.value) if morsel is not None and morsel.value else ""


def _known(path: str, places: Iterable[str]) -> bool:
    return any(path == place or (len(place) > 1 and place.endswith("/") and path.startswith(place)) for place in places)


def _is_local(host: str) -> bool:
    name = urllib.parse.urlsplit("//" + host).hostname or ""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_foreign(scope: Scope, headers: Headers) -> bool:
    """Whether another site's page asks for what only ours may: sockets, and whatever changes something."""
    if scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and not scope["path"].startswith(SOCKETS):
        return False
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = headers.get("origin")
    if origin is None:  # browsers name it with each socket and each form; others have no cookie to abuse
        return bool(scope["type"] == "websocket")
    secure = scope["scheme"] in ("https", "wss")
    return origin.lower() != f"{'https' if secure else 'http'}://{headers.get('host', '').lower()}"


def _owns_page(scope: Scope) -> bool:
    query = urllib.parse.parse_qs(scope["query_string"].decode("ascii", "replace"))
    client = Client.instances.get(query.get("client_id", [""])[0])
    # A page that is gone is let in, to be told so by NiceGUI: the browser then loads it anew
    return client is None or bool(client.request.scope.get("hub.session") == scope["hub.session"])


def _unforwarded(scope: Scope) -> None:
    scope["headers"] = [(name, value) for name, value in scope["headers"] if not name.startswith(b"x-forwarded-")]
    scope["hub.prefix"] = ""


def _forwarded(scope: Scope) -> None:
    """What the proxy says of the request it got: its prefix, scheme, host and sender."""
    headers = Headers(scope=scope)

    def last(name: str) -> str:
        return ",".join(headers.getlist(f"x-forwarded-{name}")).rpartition(",")[2].strip()

    prefix = last("prefix").rstrip("/")
    prefix = prefix if PREFIX.fullmatch(prefix) else ""
    if (scheme := last("proto").lower()) in ("http", "https"):
        scope["scheme"] = scheme if scope["type"] == "http" else {"http": "ws", "https": "wss"}[scheme]
    host, sender = last("host"), last("for")
    _unforwarded(scope)
    scope["hub.prefix"] = prefix
    changed = MutableHeaders(raw=scope["headers"])
    if prefix:
        changed["x-forwarded-prefix"] = prefix  # NiceGUI's own links
    if host:
        changed["host"] = host
    scope["headers"] = changed.raw
    with contextlib.suppress(ValueError):
        scope["client"] = (str(ipaddress.ip_address(sender)), 0)


class _Answer:
    """`send` with our headers. Pages are held back until they are whole, to put the nonce into their scripts."""

    def __init__(self, send: Send, nonce: str, login: bool) -> None:
        self._send = send
        self._nonce = nonce
        self._policy = LOGIN_POLICY if login else POLICY.format(nonce=nonce)
        self._start: Message | None = None
        self._page = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=message["headers"])
            for name, value in ALWAYS:
                headers[name] = value
            message["headers"] = headers.raw
            if headers.get("content-type", "").startswith("text/html"):
                headers["Content-Security-Policy"] = self._policy
                self._start = message
                return
        elif message["type"] == "http.response.body" and self._start is not None:
            self._page += message.get("body", b"")
            if not message.get("more_body", False):
                await self._send_page()
            return
        await self._send(message)

    async def _send_page(self) -> None:
        assert self._start is not None
        page = self._page.replace(b"<script", f'<script nonce="{self._nonce}"'.encode()) if self._nonce else self._page
        headers = MutableHeaders(raw=self._start["headers"])
        headers["content-length"] = str(len(page))
        await self._send({**self._start, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": page})
        self._start = None
