"""One open page: what its browser has got, and what it asks for.

Rules of this file
* What a browser sends is a stranger's: shapes are checked, things are named by what we sent, and who asks is known
  from the session, looked up anew each time. The board decides what he may.
* Changes go out as the board tells them, at most `UPDATES_PER_S` times a second, and only what is new.
* Nothing that a hub takes its time for holds up the rest; a page may have `MAX_ASKED` questions open.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from nicegui import background_tasks, ui
from nicegui.events import GenericEventArguments

from hub.dashboard.view import Board, Span, Visitor
from hub.dashboard.wire import MAX_WORDS, Screen, control_json, series_json, shown
from hub.errors import HubError

MAX_ASKED: Final = 8
MAX_POINTS: Final = 1_500
MAX_TEXT: Final = 2_000  # characters of a value
RELOAD: Final = "window.location.reload()"


class Wall(ui.element, component="web/wall.js", esm={"hub-dashboard": "web"}):
    """`who`: the visitor of the page's session, None when it has ended."""

    def __init__(self, board: Board, who: Callable[[], Visitor | None], prefix: str) -> None:
        super().__init__()
        self._board = board
        self._who = who
        self._screen = Screen(board)
        self._asked = 0
        self._pump: asyncio.Task[None] | None = None
        visitor = who()
        self._props["model"] = self._screen.whole(time.time())
        self._props["title"] = shown(board.title)
        self._props["visitor"] = "" if visitor is None or visitor == board.anonymous else shown(visitor.name)
        self._props["control"] = visitor is not None and visitor.control
        self._props["prefix"] = prefix
        self.on("chart", self._chart)
        if visitor is not None and visitor.control:
            self.on("form", self._form)
            self.on("set", self._set)
        self.client.on_connect(self._begin)
        self.client.on_delete(self._end)

    # ------------------------------------------------------------ to the browser

    def _begin(self) -> None:
        if self._pump is None:
            self._pump = background_tasks.create(self._send_changes(), name="changes for a page")

    def _end(self) -> None:
        if self._pump is not None:
            self._pump.cancel()

    async def _send_changes(self) -> None:
        self._send_news(None)  # of what has been since the page was written
        async for keys in self._board.changes():
            if self._who() is None:
                self.client.run_javascript(RELOAD)
                return
            self._send_news(keys)

    def _send_news(self, keys: Any) -> None:
        news = self._screen.changed(keys, time.time())
        if news["tiles"] or "layout" in news:
            self.run_method("news", news)

    # ------------------------------------------------------------ from the browser

    def _ask(self, work: Callable[[], Awaitable[None]]) -> None:
        """`work` beside everything else; not at all when too much is open."""

        async def asked() -> None:
            self._asked += 1
            try:
                await work()
            finally:
                self._asked -= 1

        if self._asked < MAX_ASKED:
            background_tasks.create(asked(), name="a page's question")

    def _chart(self, event: GenericEventArguments) -> None:
        """{tile, span, points}: answered by `series(tile, span, what)`."""
        asked = _table(event.args)
        key, span = self._screen.key(asked.get("tile")), asked.get("span")
        points = asked.get("points")
        if key is None or not isinstance(span, str) or span not in Span.__members__ or not isinstance(points, int):
            return

        async def draw() -> None:
            try:
                series = await self._board.series(key, Span[span], max(10, min(points, MAX_POINTS)))
            except KeyError:
                self.run_method("series", asked["tile"], span, {"gone": True})
            else:
                self.run_method("series", asked["tile"], span, series_json(series))

        self._ask(draw)

    def _form(self, event: GenericEventArguments) -> None:
        """{hub, thing}: answered by `form(hub, thing, what)`."""
        asked = _table(event.args)
        hub, thing = (_text(asked.get(name)) for name in ("hub", "thing"))
        if hub is None or thing is None:
            return

        async def tell() -> None:
            try:
                _, controls = await self._board.form(hub, thing)
            except HubError as error:
                self.run_method("form", hub, thing, {"error": shown(str(error), MAX_WORDS)})
            else:
                self.run_method("form", hub, thing, {"controls": [control_json(control) for control in controls]})

        self._ask(tell)

    def _set(self, event: GenericEventArguments) -> None:
        """{hub, thing, name, value}: answered by `answer(hub, thing, name, what)`."""
        asked = _table(event.args)
        hub, thing, name, value = (_text(asked.get(part)) for part in ("hub", "thing", "name", "value"))
        if hub is None or thing is None or name is None or value is None:
            return

        async def command() -> None:
            visitor = self._who()
            if visitor is None:
                self.client.run_javascript(RELOAD)
                return
            try:
                states = await self._board.set(visitor, hub, thing, {name: value})
            except HubError as error:
                self.run_method("answer", hub, thing, name, {"error": shown(str(error), MAX_WORDS)})
            else:
                self.run_method("answer", hub, thing, name, {"state": shown(states.get(name, ""), MAX_TEXT)})

        self._ask(command)


def _table(args: object) -> dict[str, Any]:
    return args if isinstance(args, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and len(value) <= MAX_TEXT else None
