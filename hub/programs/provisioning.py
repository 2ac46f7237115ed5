"""The provisioning server, built and joined: configuration → store → rules → service → component. It decides nothing by
itself.

`run` lives until it is told to stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import logging
import secrets
import time
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from hub import notify
from hub.config.provisioning import Provisioning as Settings
from hub.errors import LinkError, StoreError
from hub.provisioning.challenges import Challenges
from hub.provisioning.changes import Changes
from hub.provisioning.decisions import Decisions
from hub.provisioning.knowledge import Knowledge
from hub.provisioning.notices import Notices
from hub.provisioning.owner import OwnerLimits, Owners
from hub.provisioning.registry import Registry, RegistryLimits
from hub.provisioning.service import Provisioning, encode_notice
from hub.provisioning.sql import Limits
from hub.provisioning.store import Store
from hub.provisioning.stores import store_at
from hub.provisioning.stream import Incoming
from hub.provisioning.tokens import TokenDesk
from hub.provisioning.users import UserDesk
from hub.services.audit import Audit
from hub.services.router import Router
from hub.session.component import Component, ComponentAccount, ComponentLink

log = logging.getLogger(__name__)

IDENTITY: Final = ("automation", "rules", "xmpp-iot-hub provisioning server and thing registry")
"""Category and type for what decides by rules, and our name: no registrar has one for either text."""
NAME: Final = ("service", "name")
"""Area and key in the store: whose it is."""
CLOCK_S: Final = 5.0  # how late the hours of a rule may begin
SAVE_S: Final = 0.5
SWEEP_S: Final = 60.0

T = TypeVar("T")


def _wall() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class ProvisioningServer:
    """`settings` and the secret that the server knows us by. `renamed`: what another name has kept in the store is this
    one's now."""

    def __init__(self, settings: Settings, secret: str, store: Store | None = None, *, renamed: bool = False) -> None:
        self.settings = settings
        self._renamed = renamed
        self.store = store or store_of(settings)
        self.audit = Audit(settings.state_folder / "audit.jsonl")
        self._stop = asyncio.Event()
        jid = settings.jid.lower()
        host, _, port = settings.server.rpartition(":")
        component = Component(ComponentAccount(jid, secret, (host.strip("[]"), int(port))))
        self.link = ComponentLink(component, self._link_changed)
        self.notices = Notices(self.store, jid, self.link.send, encode_notice, time.monotonic, _wall)
        self.changes = Changes(self.store, self.notices, self.audit, jid, _wall)
        self.knowledge = self.changes.knowledge = Knowledge(self.store, self.changes.rules_changed)
        self.knowledge.news = self.notices.look_again
        self.registry = Registry(self.store, self.knowledge, self.notices, self.audit, time.monotonic,
                                 taken(RegistryLimits, settings))  # fmt: skip
        self.notices.told["disowned"] = lambda notice: self.registry.disowned(notice.to)
        self.owners = Owners(
            self.store, self.knowledge, self.notices, self.audit, jid, self.link.send, _wall, time.monotonic,
            tuple(map(str.lower, settings.operators)), taken(OwnerLimits, settings),
        )  # fmt: skip
        self.tokens = TokenDesk(self.store, jid, _wall, time.monotonic, secrets.token_bytes,
                                Challenges(component, self.notices.device), self.audit)  # fmt: skip
        self.users = self.tokens.users = UserDesk(self.store, jid, _wall, secrets.token_bytes, self.tokens, self.audit)
        self.decisions = Decisions(self.store, self.knowledge, self.owners, self.audit, jid, _wall, self.tokens,
                                   settings.secondary_trust)  # fmt: skip
        self.changes.decisions = self.decisions
        service = Provisioning(self.registry, self.decisions, self.notices, self.owners, self.tokens, self.users)
        router = Router(component, settings.requests_at_once)
        router.send = self.link.send
        router.add(service)
        Incoming(component, service, self.notices, self.link.send)
        disco: Any = component.plugin["xep_0030"]
        category, kind, name = IDENTITY
        disco.add_identity(category=category, itype=kind, name=name)
        for feature in service.features():
            disco.add_feature(feature)

    async def run(self) -> None:
        """Raises StoreError when the store cannot be opened; everything later is tried for ever."""
        self.settings.state_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        await self.store.open()
        await self._own_store()
        self.audit.start()
        tasks: list[asyncio.Task[None]] = []
        try:
            await self.knowledge.look()
            await self.notices.start()
            log.info("%d rules; %s", len(self.knowledge.book.rules), self.settings.jid)
            jobs: dict[str, Coroutine[Any, Any, None]] = {
                "link": self.link.run(), "rules": self.knowledge.run(), "notices": self.notices.run(),
                "hours": self._regularly(CLOCK_S, self.changes.look_at_clock),
                "askers": self._regularly(SAVE_S, self.decisions.save),
                "questions": self._regularly(SWEEP_S, self.owners.sweep),
                "tokens": self._regularly(SWEEP_S, self.tokens.sweep),
            }  # fmt: skip
            for name, job in jobs.items():
                tasks.append(asyncio.create_task(job, name=name))
                tasks[-1].add_done_callback(self._ended)
            notify.ready("connecting")
            await self._stop.wait()
        finally:
            notify.stopping()
            await self.link.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with contextlib.suppress(StoreError):
                await self.decisions.save()
                await self.notices.stop()
            await self.audit.stop()
            await self.store.close()

    async def _own_store(self) -> None:
        """Things take word from the one address they trust: of two names over one store, one would send the notices of
        the other, in vain. Raises StoreError."""
        jid = self.settings.jid.lower()
        if self._renamed:
            await self.store.put(*NAME, {"jid": jid})
        kept = await self.store.get(*NAME) if not await self.store.put_new(*NAME, {"jid": jid}) else None
        if kept is not None and kept["jid"] != jid:
            await self.store.close()
            raise StoreError(f"this store is that of {kept['jid']}: instances side by side have one jid, and {jid} "
                             "takes a store of its own. If it is only a new name, start it once with --renamed.")

    def stop(self) -> None:
        self._stop.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            log.critical("%s has a bug; stopping, so that it can be started again", task.get_name(),
                         exc_info=task.exception())  # fmt: skip
            self.stop()

    def _link_changed(self, up: bool, fresh: bool) -> None:
        self.notices.link_changed(up)
        notify.status("online" if up else "offline")

    @staticmethod
    async def _regularly(seconds: float, job: Any) -> None:
        while True:
            try:
                await job()
            except StoreError as error:
                log.error("%s", error)
            await asyncio.sleep(seconds)


def store_of(settings: Settings) -> Store:
    """The store that is configured, not opened yet. Raises StoreError when a library is missing."""
    where = settings.store or str(settings.state_folder / "provisioning.sqlite")
    return store_at(where, taken(Limits, settings))


def secret_of(settings: Settings) -> str:
    """Raises LinkError when the file cannot be read."""
    try:
        secret = settings.secret_file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise LinkError(f"provisioning.secret_file cannot be read: {error}") from error
    if not secret:
        raise LinkError(f"provisioning.secret_file is empty: put the secret of the component {settings.jid} into "
                        f"{settings.secret_file}")  # fmt: skip
    return secret


def taken(kind: type[T], settings: Settings) -> T:
    """A `kind` with every field that the settings have under the same name."""
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]  # dataclasses only
    return kind(**{field.name: getattr(settings, field.name)
                   for field in dataclasses.fields(settings) if field.name in names})  # fmt: skip
