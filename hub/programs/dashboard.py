"""A dashboard, built and joined: configuration → account → hubs → page. It decides nothing by itself.

`run` lives until it is told to stop, or until the page ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from hub import notify
from hub.config.dashboard import Dashboard, DashboardConfig
from hub.errors import HubError
from hub.programs.account import account_for
from hub.session.client import Account, Client
from hub.session.link import Link

log = logging.getLogger(__name__)

RESOURCE: Final = "dashboard"
"""A fixed one: subscriptions of the session before are taken up again. Each dashboard has an account of its own."""
MISSING: Final = "the dashboard takes some more packages: `pip install 'xmpp-iot-hub[dashboard]'`"


def account_of(config: DashboardConfig) -> Account:
    """Raises LinkError when the password file cannot be read."""
    return account_for(config.xmpp, config.dashboard.state_folder / "exi.json")


class DashboardServer:
    """`up` is called once the page can be opened. Raises HubError when a package is missing."""

    def __init__(self, settings: Dashboard, account: Account, up: Callable[[], None] = lambda: None) -> None:
        try:
            from hub.dashboard.hubs import Hubs  # argon2
            from hub.dashboard.page import serve  # NiceGUI: nobody but a dashboard loads it
        except ImportError as error:
            raise HubError(f"{MISSING} ({error})") from None
        self.settings = settings
        self._serve = serve
        self._up = up
        self._stop = asyncio.Event()
        client = Client(account, RESOURCE)
        self.link = Link(client, self._link_changed)
        self.hubs = Hubs(settings, client, lambda: client.failure)

    async def run(self) -> None:
        """Raises HubError when the page cannot be served. The server being away is no error: it is said on the page."""
        jobs: dict[str, Coroutine[Any, Any, None]] = {
            "page": self._serve(self.hubs, self.settings, self._stop),
            "link": self.link.run(),
            "hubs": self.hubs.run(),
        }
        tasks = [asyncio.create_task(job, name=name) for name, job in jobs.items()]
        page = tasks[0]
        try:
            await self._listening(page)
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # the link and the hubs end only by an error of ours
        finally:
            notify.stopping()
            self._stop.set()
            await asyncio.gather(page, self.link.stop(), return_exceptions=True)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def stop(self) -> None:
        self._stop.set()

    async def _listening(self, page: asyncio.Task[None]) -> None:
        """The port is taken at the first step of `serve`, or it has failed."""
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if not page.done():
            log.info("the page is at %s", address_of(self.settings))
            self._up()
            notify.ready("connecting")

    def _link_changed(self, up: bool, fresh: bool) -> None:
        self.hubs.link_changed(up, fresh)
        notify.status("online" if up else "offline")


def address_of(settings: Dashboard) -> str:
    """What a browser on this machine opens."""
    host, port = settings.address
    host = {"0.0.0.0": "127.0.0.1", "::": "localhost"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{host}:{port}/"


def password_hash(password: str) -> str:
    """Raises HubError when a package is missing."""
    try:
        from hub.dashboard.access import hashed
    except ImportError as error:
        raise HubError(f"{MISSING} ({error})") from None
    return hashed(password)


