"""The page: NiceGUI in the caller's loop, behind our gate.

Rules of this file
* NiceGUI is one per process, and so is the page: `serve` is for once.
* The caller decides when it ends. Signals stay the caller's; uvicorn's own handling of them is off.
* Everything a browser loads comes from here; pages work without the internet.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import hashlib
import html
import mimetypes
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import uvicorn
from fastapi import FastAPI
from nicegui import Client, ui
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from hub.config.dashboard import Dashboard
from hub.dashboard import login
from hub.dashboard.gate import Gate
from hub.dashboard.sessions import Sessions
from hub.dashboard.view import Board
from hub.dashboard.wall import RELOAD, Wall
from hub.errors import LinkError

WEB: Final = Path(__file__).parent / "web"
ASSETS: Final = ("style.css", "theme.js", "icon.svg")
RECONNECT_S: Final = 5.0
"""How long a page whose browser is silent is kept; a browser that comes later loads it anew."""
LAST_ANSWERS_S: Final = 1  # for requests under way when it ends
MAX_MESSAGE: Final = 1 << 20  # bytes in one message from a browser
BACKLOG: Final = 128
YEAR_S: Final = 31_536_000


async def serve(board: Board, settings: Dashboard, stop: asyncio.Event) -> None:
    """Show `board` to browsers until `stop` is set; it ends within 2 s, whoever is looking. Raises LinkError when it
    cannot listen."""
    listener = _listen(*settings.address)
    server = _Server(uvicorn.Config(
        _site(board, settings), ws="wsproto", ws_max_size=MAX_MESSAGE, log_config=None, access_log=False,
        proxy_headers=False, server_header=False, timeout_graceful_shutdown=LAST_ANSWERS_S,
    ))  # fmt: skip
    running = asyncio.create_task(server.serve([listener]), name="dashboard")
    stopped = asyncio.create_task(stop.wait(), name="the dashboard's end")
    try:
        await asyncio.wait((running, stopped), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        server.should_exit = True
        await running
        listener.close()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        why = {
            errno.EADDRINUSE: "another program listens there already; end it, or name another port in dashboard.listen",
            errno.EACCES: "ports below 1024 are for root; name another port in dashboard.listen",
            errno.EADDRNOTAVAIL: "this machine has no such address; mend dashboard.listen",
        }.get(error.errno or 0, error.strerror or str(error))
        raise LinkError(f"the page cannot be offered at {host}:{port}: {why}") from error
    listener.setblocking(False)
    return listener


def _site(board: Board, settings: Dashboard) -> GZipMiddleware:
    """Gate, log-in and NiceGUI as one application."""
    sessions = Sessions(board, settings.users, settings.state_folder / "sessions.json")
    secure = settings.behind_proxy

    async def log_in(request: Request) -> Response:
        if request.method == "POST":
            return await login.attempt(request, board, sessions, version(), secure)
        if sessions.visitor(request.scope["hub.session"]) is not None:
            return RedirectResponse(f"{request.scope['hub.prefix']}/", 303)
        return login.page(board.title, request.scope["hub.prefix"], version())

    async def log_out(request: Request) -> Response:
        answer = login.leave(request, sessions)
        session = request.scope["hub.session"]
        for client in Client.instances.values():  # the session's other windows
            if session and client.request.scope.get("hub.session") == session:
                client.run_javascript(RELOAD)
        return answer

    async def wall(request: Request) -> None:
        _build(request, board, sessions)

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, routes=[
        Route("/login", log_in, methods=["GET", "POST"]),
        Route("/logout", log_out, methods=["POST"]),
        Route("/assets/{name}", _asset),
    ])  # fmt: skip
    ui.page("/")(wall)
    ui.run_with(
        app, title=settings.title, favicon=WEB / "icon.svg", dark=False, language="en-US", tailwind=False,
        binding_refresh_interval=None, reconnect_timeout=RECONNECT_S, gzip_middleware_factory=None,
        show_welcome_message=False,
    )  # fmt: skip
    return GZipMiddleware(Gate(app, board, sessions, settings.behind_proxy), minimum_size=1_000, compresslevel=5)


def _build(request: Request, board: Board, sessions: Sessions) -> None:
    prefix = request.scope["hub.prefix"]
    ui.page_title(board.title)
    assets = f"{html.escape(prefix)}/assets"
    ui.add_head_html(f"""
        <link rel="stylesheet" href="{assets}/style.css?{version()}">
        <script src="{assets}/theme.js?{version()}"></script>""")
    ui.add_body_html('<a class="skip" href="#things">Skip to the values</a><header id="top"></header>')
    session = request.scope["hub.session"]
    Wall(board, lambda: sessions.visitor(session), prefix)


@functools.cache
def version() -> str:
    """Of our own assets: they are kept by browsers for as long as it is the same."""
    return hashlib.sha256(b"".join((WEB / name).read_bytes() for name in ASSETS)).hexdigest()[:12]


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in ASSETS:
        return PlainTextResponse("There is no such file here.", 404)
    kept = f"public, max-age={YEAR_S}, immutable" if request.url.query == version() else "no-cache"
    return FileResponse(WEB / name, media_type=mimetypes.guess_type(name)[0], headers={"Cache-Control": kept})
