"""The board of a running dashboard: hubs found and kept, the page's questions answered, its commands carried out.

Rules of this file
* Who may control is decided here, for every command, by what the configuration says now; a page is not believed.
* Our own link: while it is down nothing is fresh, and it is said why; when it is back every hub begins anew.
* Every command is logged with the name of the visitor. The hub itself knows only the dashboard's address.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from devices.base import ValueType
from hub.config.dashboard import MAX_HUBS, Dashboard
from hub.dashboard.access import Access
from hub.dashboard.alarms import Alarms
from hub.dashboard.board import Tiles
from hub.dashboard.past import Past
from hub.dashboard.view import UPDATES_PER_S, Control, HubLife, HubState, Key, Series, Span, Tile, Visitor
from hub.dashboard.watcher import Watcher, in_words, said
from hub.errors import HubError, PeerError, PeerRefused, PeerSilent
from hub.services import finding
from hub.services.commands import command_of
from hub.services.peer import Inbox, Peer
from hub.things.model import FieldTypes, NodeRef, ReadoutRequest
from hub.things.words import value_text

log = logging.getLogger(__name__)

TIMEOUT_S: Final = 10.0
COMMAND_TIMEOUT_S: Final = 30.0
FINDING_AT_ONCE: Final = 16
TICK_S: Final = 1.0
SEARCH_S: Final = 600.0
SEARCH_AGAIN_S: Final = 30.0
FORM_KEPT_S: Final = 60.0
MAX_FORMS: Final = 1_000
MAX_VALUES: Final = 200  # in one command
MAX_VALUE: Final = 10_000  # characters
DRAWN: Final = frozenset({ValueType.BOOLEAN, ValueType.INT, ValueType.LONG, ValueType.NUMERIC})


@dataclass(eq=False)
class _Page:
    """One that looks: what it has not been told of yet."""

    waiting: set[Key | None] = field(default_factory=set)
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Hubs:
    """A `hub.dashboard.view.Board`. `client` is a slixmpp client that somebody else keeps online; `link_changed` is
    told of it, and `why` says what is wrong with it."""

    def __init__(
        self, settings: Dashboard, client: Any, why: Callable[[], str], wall: Callable[[], float] = time.time
    ) -> None:
        self.settings = settings
        self.access = Access(settings.users, settings.open_control)
        self._client = client
        self._why = why
        self._wall = wall
        stale_after = None if settings.stale_after is None else float(settings.stale_after)
        self._tiles = Tiles(Alarms(settings.alarms), stale_after)
        self._past = Past(wall)
        self._inbox = Inbox(client)
        self._gate = asyncio.Semaphore(FINDING_AT_ONCE)
        self._up = False
        self._watchers: dict[str, tuple[Watcher, asyncio.Task[None]]] = {}
        self._finder: asyncio.Task[None] | None = None
        self._find_again = asyncio.Event()
        self._finder_trouble = ""
        self._trouble = ""
        self._forms: dict[tuple[str, str], tuple[float, tuple[str, tuple[Control, ...]]]] = {}
        self._pages: set[_Page] = set()
        finding.admit_nobody(client)
        client.add_event_handler("got_online", self._came)
        client.add_event_handler("presence_unavailable", self._went)
        if settings.hubs == "roster":
            client.add_event_handler("roster_update", lambda _: self._find_again.set())
        for jid in settings.named:
            self._tiles.add(jid)

    # ------------------------------------------------------------------ what the page sees

    @property
    def title(self) -> str:
        return self.settings.title

    @property
    def trouble(self) -> str:
        if not self._up:
            why = self._why()
            return f"no connection to the server of {self._client.boundjid.bare}" + (
                f": {why}; it is tried again and again, at least once a minute" if why else " yet"
            )
        return self._finder_trouble

    @property
    def anonymous(self) -> Visitor | None:
        return self.access.anonymous

    def hubs(self) -> tuple[HubState, ...]:
        return self._tiles.hubs()

    def tiles(self) -> tuple[Tile, ...]:
        return self._tiles.tiles(self._wall())

    def tile(self, key: Key) -> Tile | None:
        return self._tiles.tile(key, self._wall())

    async def changes(self) -> AsyncIterator[frozenset[Key] | None]:
        page = _Page()
        self._pages.add(page)
        try:
            while True:
                await page.news.wait()
                page.news.clear()
                news, page.waiting = page.waiting, set()
                yield None if None in news else frozenset(key for key in news if key is not None)
                await asyncio.sleep(1 / UPDATES_PER_S)
        finally:
            self._pages.discard(page)

    async def series(self, key: Key, span: Span, points: int) -> Series:
        tile = self._tiles.tile(key, self._wall())
        if tile is None:
            raise KeyError(key)
        if tile.type not in DRAWN or not key.field:
            return Series((), (), (), (), tile.unit, "there is no chart of such values")
        watcher = self._watchers.get(key.hub)
        peer = None if watcher is None else watcher[0].peer
        live = self._tiles.live(key)
        return await self._past.series(peer, key, span, points, tile.unit, live)

    async def authenticate(self, name: str, password: str, address: str) -> Visitor | None:
        return await self.access.authenticate(name, password, address)

    def visitor(self, name: str) -> Visitor | None:
        return self.access.visitor(name)

    # ------------------------------------------------------------------ controls

    async def form(self, hub: str, thing: str) -> tuple[str, tuple[Control, ...]]:
        kept = self._forms.get((hub, thing))
        if kept is not None and self._wall() - kept[0] < FORM_KEPT_S:
            return kept[1]
        try:
            title, fields = await self._online(hub).form((thing,))
        except PeerError as error:
            raise _ours(error) from None
        controls = tuple(
            Control(f.name, f.type, f.label, f.description, f.text, f.minimum, f.maximum, f.options, f.page)
            for f in fields
        )
        while len(self._forms) >= MAX_FORMS:
            del self._forms[next(iter(self._forms))]
        self._forms[hub, thing] = (self._wall(), (title, controls))
        return title, controls

    async def set(self, visitor: Visitor, hub: str, thing: str, values: Mapping[str, str]) -> Mapping[str, str]:
        now = self.anonymous or self.access.visitor(visitor.name)
        if now is None or not now.control or now.name != visitor.name:
            log.warning("%s may not control anything, and tried to set %s of %s", visitor.name, thing, hub)
            raise HubError("you may look, but not control; whoever runs this page can change that")
        if not 1 <= len(values) <= MAX_VALUES or any(len(text) > MAX_VALUE for text in values.values()):
            raise HubError(f"a command sets 1 to {MAX_VALUES} parameters, each of at most {MAX_VALUE} characters")
        peer = self._online(hub)
        shown = ", ".join(f"{name} = {text[:100]}" for name, text in values.items())
        log.info("%s sets %s of %s: %s", visitor.name, thing, hub, shown)
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S), self._watchers[hub][0].turn:
                return await self._carry_out(peer, hub, thing, values)
        except (PeerSilent, TimeoutError):
            log.warning("%s did not answer the command of %s", hub, visitor.name)
            raise HubError("the hub did not answer, so nobody knows whether this was done: see what it shows") from None
        except PeerError as error:
            log.info("the command of %s was refused: %s", visitor.name, error)
            raise _ours(error) from None
        finally:
            self._forms.pop((hub, thing), None)

    async def _carry_out(self, peer: Peer, hub: str, thing: str, values: Mapping[str, str]) -> Mapping[str, str]:
        _, fields = await peer.form((thing,))
        await peer.carry_out(command_of(thing, fields, values.items()))
        there: dict[str, str] = {}
        request = partial(ReadoutRequest, nodes=(NodeRef(thing),), types=FieldTypes.PRESENT)
        try:
            async for answer in peer.read(request):
                self._tiles.take(hub, answer, self._wall())
                there |= {each.name: value_text(each.value) for reading in answer.readings for each in reading.fields}
        except PeerError as error:
            log.info("%s did it, but cannot be read: %s", hub, error)
        self._tell()
        return {name: there.get(name, "") for name in values}

    def _online(self, hub: str) -> Peer:
        watcher = self._watchers.get(hub)
        if watcher is None or watcher[0].peer is None:
            state = next((state for state in self.hubs() if state.jid == hub), None)
            raise HubError(f"{hub} is not there now: {state.text}" if state is not None else f"there is no hub {hub}")
        return watcher[0].peer

    # ------------------------------------------------------------------ its life

    async def run(self) -> None:
        """Until it is cancelled."""
        self._offline()
        try:
            while True:
                self._tiles.tick(self._wall())
                if self.trouble != self._trouble:
                    self._trouble = self.trouble
                    if not self._up:
                        self._offline()
                    self._tiles.changed.add(None)
                self._tell()
                await asyncio.sleep(TICK_S)
        finally:
            await self._stop()

    def link_changed(self, up: bool, _: bool) -> None:
        """Our own link came up or went down. Resumed or new, every hub begins anew: it may have spoken meanwhile."""
        self._up = up
        if self._finder is not None:
            self._finder.cancel()
            self._finder = None
        for jid in list(self._watchers):
            self._leave(jid)
        if not up:
            self._offline()
            return
        for jid in self.settings.named or [state.jid for state in self._tiles.hubs()]:
            self._watch(jid, known=True)
        if not self.settings.named:
            self._finder = asyncio.create_task(self._find(), name="finder")

    def _offline(self) -> None:
        for state in self._tiles.hubs():
            self._tiles.life(state.jid, HubLife.GONE, self.trouble, self._wall())

    def _tell(self) -> None:
        changed, self._tiles.changed = self._tiles.changed, set()
        if changed:
            for page in self._pages:
                page.waiting |= changed
                page.news.set()

    async def _stop(self) -> None:
        tasks = [task for _, task in self._watchers.values()]
        if self._finder is not None:
            tasks.append(self._finder)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ------------------------------------------------------------------ hubs found and followed

    def _watch(self, jid: str, known: bool) -> None:
        if jid in self._watchers:
            return
        make = partial(Peer, self._client, timeout=TIMEOUT_S, inbox=self._inbox)
        watcher = Watcher(jid, lambda jid: make(jid=jid), self._tiles, self._wall, self._gate, known, self._found)
        if known:
            self._found(jid)
            self._tiles.life(jid, HubLife.CONNECTING, "", self._wall())
        self._watchers[jid] = (watcher, asyncio.create_task(watcher.run(), name=f"hub {jid}"))

    def _found(self, jid: str) -> None:
        self._tiles.add(jid)
        if not self.settings.named:
            self._tiles.sort()

    def _leave(self, jid: str) -> None:
        _, task = self._watchers.pop(jid)
        task.cancel()

    async def _find(self) -> None:
        """Hubs of the roster, or of the registry, as they come and go."""
        while True:
            self._find_again.clear()
            wait = SEARCH_S
            try:
                found = await self._candidates()
                self._keep_to(found[:MAX_HUBS])
                self._finder_trouble = "" if len(found) <= MAX_HUBS else f"only {MAX_HUBS} of {len(found)} are shown"
            except HubError as error:
                self._finder_trouble = f"hubs cannot be looked for: {in_words(error)[1]}; it is tried again"
                wait = SEARCH_AGAIN_S
            except Exception:
                log.exception("an error of ours, looking for hubs")
                self._finder_trouble = "hubs cannot be looked for: an error of the dashboard's own, see its log"
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._find_again.wait()

    async def _candidates(self) -> list[str]:
        if self.settings.hubs == "roster":
            return finding.contacts(self._client)
        owner = self.settings.owner or self._client.boundjid.bare
        return await finding.registered(self._client, self.settings.registry, owner, TIMEOUT_S)

    def _keep_to(self, jids: list[str]) -> None:
        for jid in set(self._watchers) - set(jids):
            self._leave(jid)
            self._tiles.drop(jid)
            self._past.forget(jid)
        for jid in jids:
            self._watch(jid, known=self.settings.hubs == "registry")

    def _came(self, presence: Any) -> None:
        watcher = self._watchers.get(presence["from"].bare)
        if watcher is not None:
            watcher[0].came()

    def _went(self, presence: Any) -> None:
        watcher = self._watchers.get(presence["from"].bare)
        if watcher is not None:
            watcher[0].went(presence["from"].full)


def _ours(error: PeerError) -> HubError:
    """What a person is told of a refusal: the hub's own words."""
    if isinstance(error, PeerRefused):
        return HubError(f"the hub refuses: {said(error)}")
    if isinstance(error, PeerSilent):
        return HubError("the hub does not answer")
    return HubError(str(error))
