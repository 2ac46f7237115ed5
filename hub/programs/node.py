"""A node, built and joined: configuration → parts → things → services → stream. It decides nothing by itself.

`run` lives until it is told to stop; `reload` re-reads the file and changes only what changed. Whatever ends it, the
outputs are driven to their safe states on the way out.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import devices
from devices.base import DeviceError, Driver, OutputDriver
from devices.bus import Buses
from hub import notify
from hub.config.file import load
from hub.config.node import Config, ThingConfig
from hub.config.things import interval_of
from hub.errors import Conflict, StoreError
from hub.programs.account import account_for
from hub.programs.node_telemetry import Remembering
from hub.services.audit import Audit
from hub.services.contacts import Contacts
from hub.services.control import Control
from hub.services.decisions import DecisionLog, Recorded
from hub.services.discovery import RESOURCE, announce
from hub.services.events import Events
from hub.services.followers import Followers, Publication
from hub.services.router import Router, Service
from hub.services.sensor_data import SensorData
from hub.session.client import Account, Client
from hub.session.link import Link
from hub.stanzas.dialects import TELEMETRY
from hub.telemetry.pacer import Pacer
from hub.telemetry.publisher import Publisher, Transport
from hub.things.actuation import Policy
from hub.things.memory import OutputMemory
from hub.things.model import Command
from hub.things.sampler import Sampler, Station
from hub.things.thing import Description, Thing
from hub.trust.access import AccessLists, Judge

if TYPE_CHECKING:
    from hub.bridges.mqtt import Bridge
    from hub.programs.node_metrics import Exposed
    from hub.programs.node_trust import Authority, Search

log = logging.getLogger(__name__)

Watcher = Callable[[Thing], None]
TRUST_AGAIN_S = 10.0


class Node:
    """`on_reading` lets a view look on; it must not change anything. `search` is told what claims this hub while an
    owner is looked for."""

    def __init__(
        self, config: Config, buses: Buses, on_reading: Watcher | None = None, search: Search = lambda _: None
    ) -> None:
        self.config = config
        self.buses = buses
        self.things: dict[str, Thing] = {}
        self._on_reading = on_reading
        self._search = search
        self._stop = asyncio.Event()
        self.audit = Audit(state_dir(config) / "audit.jsonl")
        self.authority: Authority | None = None
        self._decisions = DecisionLog(self.audit, time.monotonic)
        self._judge: Judge = AccessLists()
        self._unjudged_said = False
        self._reconnecting = asyncio.Lock()
        with contextlib.suppress(StoreError):  # which is said; then nobody may do anything, and it is tried again
            self._decide_by(config)
        self.memory = Remembering(state_dir(config), config.history, config.telemetry.backlog)
        self.sampler = Sampler(OutputMemory(state_dir(config) / "outputs.json"), self._reading,
                               doubtful=lambda: self.memory.clock.doubtful)  # fmt: skip
        self.followers = Followers(_publication(config), self.things, lambda: self._judge, self._client,
                                   lambda: [] if self._contacts is None else self._contacts.followers())  # fmt: skip
        transport = Transport(
            self.followers.ensure, self.followers.publish, self.followers.newest, TELEMETRY.encode_answer,
            TELEMETRY.decode_answer,
        )  # fmt: skip
        self.publisher = Publisher(transport, self.memory.outbox)
        self._account: Account | None = None
        self.link: Link | None = None
        self._link_task: asyncio.Task[None] | None = None
        self._contacts: Contacts | None = None
        self._sensor_data: SensorData | None = None
        self._control: Control | None = None
        self.events: Events | None = None
        self._bridge: Bridge | None = None
        self.sessions = Counter(fresh=0, resumed=0)
        self._exposed: Exposed | None = None

    # ------------------------------------------------------------------ life

    async def run(self) -> None:
        """Raises LinkError when the credentials cannot even be read; everything later is tried for ever."""
        account = account_of(self.config)
        exposed = self._make_exposed(self.config)
        self.memory.outbox.open()
        await self._set_bridge(self._make_bridge(self.config))
        for thing in self.config.things.values():
            self._add(thing)
        self._show_on_broker()
        self.publisher.configure(self._pacers(), self.config.telemetry.backlog)
        self.audit.start()
        publishing = asyncio.create_task(self.publisher.run(), name="telemetry")
        remembering = asyncio.create_task(self.memory.run(), name="memory")
        await self._expose(exposed)
        judging = asyncio.create_task(self._find_judge(), name="trust")
        try:
            self._connect(account)
            notify.ready(f"{len(self.things)} things, connecting")
            await self._stop.wait()
        finally:
            notify.stopping()
            await self.sampler.stop()  # first of all: outputs are safe before anything else is taken down
            for task in (publishing, remembering, judging):
                task.cancel()
            await asyncio.gather(publishing, remembering, judging, return_exceptions=True)
            await self._set_bridge(None)
            await self._disconnect()
            await self._expose(None)
            await self.memory.close()
            if self.authority is not None:
                self.authority.close()
            self._decisions.close()
            await self.audit.stop()
            self.buses.close()

    def stop(self) -> None:
        self._stop.set()

    def last_resort(self) -> None:
        """From a signal handler, when the loop may hang: write the safe states from this very thread. A part that a
        hung call holds may refuse; the others are safe."""
        for station in self.sampler.stations.values():
            driver, safe = station.driver, station.policy.safe if station.policy is not None else None
            if safe and station.is_open and isinstance(driver, OutputDriver):
                try:
                    driver.write(safe)
                except DeviceError as error:
                    log.critical("%s: could NOT be driven to its safe state: %s", station.thing.name, error)

    async def reload(self, path: Path) -> None:
        """Take the file as it is now. A broken one is refused and the old one goes on (raises ConfigError)."""
        new = load(path)
        account = account_of(new)  # reads the password file: a new password is a new account
        same_bridge = (new.mqtt, new.xmpp.jid) == (self.config.mqtt, self.config.xmpp.jid)
        bridge = self._bridge if same_bridge else self._make_bridge(new)
        exposed = self._exposed if new.metrics == self.config.metrics else self._make_exposed(new)
        old, self.config = self.config, new
        if bridge is not self._bridge:
            await self._set_bridge(bridge)
        if exposed is not self._exposed:
            await self._expose(exposed)
        for name in list(self.things):
            before, after = old.things[name], new.things.get(name)
            if after is not None and (before.driver, before.settings) == (after.driver, after.settings):
                self._retune(after)
            else:
                await self.sampler.remove(name)
                del self.things[name]
        for name, thing in new.things.items():
            if name not in self.things:
                self._add(thing)
        self._sort_things()
        self._show_on_broker()
        self.followers.publication = _publication(new)
        if account != self._account or old.trust != new.trust:
            async with self._reconnecting:
                await self._disconnect()
                try:
                    self._decide_by(new)
                finally:  # without a place for what it needs a judge refuses everybody; the outputs keep their link
                    self._connect(account)
        else:
            if new.trust is None:
                self._judge = self._lists(new)
            self._review()
        if old.telemetry != new.telemetry or old.things != new.things or old.access != new.access:
            self.publisher.configure(self._pacers(), new.telemetry.backlog)
        self.memory.configure(new.history)
        log.info("configuration reloaded: %d things", len(self.things))

    # ------------------------------------------------------------------ things

    def _add(self, config: ThingConfig) -> None:
        driver = devices.build(config.driver, config.settings, self.buses)
        thing = Thing(_describe(config, driver))
        self.things[config.name] = thing
        self.sampler.add(Station(thing, driver, interval_of(config), _policy(config, driver)))

    def _retune(self, config: ThingConfig) -> None:
        driver = self.sampler.stations[config.name].driver
        self.things[config.name].describe(_describe(config, driver))
        self.sampler.retune(config.name, interval_of(config), _policy(config, driver))

    def _sort_things(self) -> None:
        """In the file's order; the dictionary itself stays, others hold it."""
        ordered = {name: self.things[name] for name in self.config.things}
        self.things.clear()
        self.things.update(ordered)

    def _pacers(self) -> dict[str, Pacer]:
        return {
            name: Pacer(self.config.telemetry.interval, thing.keys.change)
            for name, thing in self.config.things.items()
        }

    def _reading(self, thing: Thing) -> None:
        now = asyncio.get_running_loop().time()
        self.memory.history.take(thing)
        self.publisher.take(thing, now)
        if self._bridge is not None:
            self._bridge.reading(thing, now)
        if self.events is not None:
            self.events.reading(thing)
        if self._on_reading is not None:
            self._on_reading(thing)

    # ------------------------------------------------------------------ trust

    def _decide_by(self, config: Config) -> None:
        """Raises StoreError when there is no place for what a provisioning server needs kept."""
        if self.authority is not None:
            self.authority.close()
        self.authority, self._judge = None, self._lists(config)
        if config.trust is not None:
            from hub.programs.node_trust import Authority  # a mebibyte that a hub with [access] does without

            try:
                self.authority = Authority(config.trust, config.xmpp.jid, state_dir(config), self.things, self._lenient,
                                           self._search, self._review, self.audit)  # fmt: skip
            except StoreError as error:
                log.log(logging.DEBUG if self._unjudged_said else logging.CRITICAL,
                        "nobody may read or control anything: [trust] has no place for what it needs kept (%s)", error)
                self._unjudged_said = True
                raise
            self._judge = self.authority.judge
        self._unjudged_said = False

    async def _find_judge(self) -> None:
        """While a disk refuses what [trust] needs, all else goes on; once it is mended, so does that."""
        while True:
            await asyncio.sleep(TRUST_AGAIN_S)
            async with self._reconnecting:
                if self.config.trust is None or self.authority is not None or self._account is None:
                    continue
                with contextlib.suppress(StoreError):
                    self._decide_by(self.config)
                    log.warning("[trust] has a place for what it needs kept again")
                    await self._disconnect()
                    self._connect(self._account)

    def _lists(self, config: Config) -> Judge:
        return Recorded(AccessLists(config.access.read, config.access.control), self._decisions)

    def _lenient(self, thing: str) -> bool:
        return thing in self.config.things and self.config.things[thing].keys.offline == "allow-owner"

    def _review(self) -> None:
        """Whoever follows us is judged again: contacts now, watchers before anything more is published."""
        self.publisher.renew()
        if self.events is not None:
            self.events.review()
        if self._contacts is not None and self.link is not None and self.link.up:
            self._contacts.review()

    # ------------------------------------------------------------------ stream

    def _connect(self, account: Account) -> None:
        self._account = account
        client = Client(account, RESOURCE)
        self.link = link = Link(client, self._link_changed)
        self._contacts = Contacts(client, lambda: self._judge)
        self._contacts.admit = self.followers.admit
        self._sensor_data = SensorData(self.things, self.sampler, self.memory.history, lambda: self._judge, link.send)
        self._control = Control(self.things, self.sampler, lambda: self._judge, self.audit)
        self.events = Events(client, link, self.things, self._sensor_data.parts, lambda: self._judge,
                             self._contacts.befriend)  # fmt: skip
        services: list[Service] = [
            self._sensor_data,
            self._control,
            self.events,
            *(self.authority.connect(client, self._contacts) if self.authority is not None else ()),
        ]
        router = Router(client)
        router.send = link.send
        for service in services:
            router.add(service)
        features = [feature for service in services for feature in service.features()]
        announce(client, features, self.things, lambda: self._judge, self.followers.place)
        self._link_task = asyncio.create_task(link.run(), name="link")
        self._link_task.add_done_callback(self._link_ended)

    async def _disconnect(self) -> None:
        if self._sensor_data is not None:
            self._sensor_data.stop()
        if self.events is not None:
            self.events.stop()
        if self._contacts is not None:
            self._contacts.stop()
        if self.authority is not None:
            self.authority.disconnect()
        if self.link is not None:
            await self.link.stop()
        if self._link_task is not None:
            self._link_task.cancel()
            await asyncio.gather(self._link_task, return_exceptions=True)
        self.publisher.link_changed(up=False, fresh=False)
        self.sampler.link_changed(up=False)

    def _link_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            log.critical("the link has a bug; stopping, so that it can be started again", exc_info=task.exception())
            self.stop()

    def _link_changed(self, up: bool, fresh: bool) -> None:
        if up:
            self.sessions["fresh" if fresh else "resumed"] += 1
        self.sampler.link_changed(up)
        self.publisher.link_changed(up, fresh)
        notify.status(f"{len(self.things)} things, {'online' if up else 'offline'}")
        if self.authority is not None:
            self.authority.link_changed(up, fresh)
        if self.events is not None:
            self.events.link_changed(up)
        if up and fresh and self._contacts is not None:
            self._contacts.review()

    # ------------------------------------------------------------------ MQTT

    def _make_bridge(self, config: Config) -> Bridge | None:
        """Nothing of MQTT is loaded by a node without `[mqtt]`."""
        if config.mqtt is None:
            return None
        from hub.programs.node_mqtt import make_bridge

        return make_bridge(config, self.buses, self._carry_out)

    async def _set_bridge(self, bridge: Bridge | None) -> None:
        old, self._bridge = self._bridge, bridge
        if old is not None:
            await old.stop()

    def _show_on_broker(self) -> None:
        if self._bridge is not None:
            from hub.programs.node_mqtt import shown

            self._bridge.show(shown(self.config, self.things))

    async def _carry_out(self, caller: str, command: Command) -> None:
        """A command that did not come over XMPP, by the rules of those that do."""
        if self._control is None:
            raise Conflict("the node is still starting")
        await self._control.carry_out(caller, command)

    # ------------------------------------------------------------------ OpenMetrics

    @property
    def bridge(self) -> Bridge | None:
        return self._bridge

    @property
    def commands(self) -> Mapping[str, int]:
        """By what came of them; see `Control.counted`."""
        return {} if self._control is None else self._control.counted

    def _make_exposed(self, config: Config) -> Exposed | None:
        """Nothing of OpenMetrics is loaded by a node without `[metrics]`."""
        if config.metrics is None:
            return None
        from hub.programs.node_metrics import Exposed

        return Exposed(self, state_dir(config), config.metrics)

    async def _expose(self, exposed: Exposed | None) -> None:
        old, self._exposed = self._exposed, exposed
        if old is not None:
            await old.stop()
        if exposed is not None:
            exposed.start()

    def _client(self) -> Any:
        assert self.link is not None
        return self.link.client


def _publication(config: Config) -> Publication:
    readers = config.access.read if config.trust is None else None
    return Publication(config.xmpp.jid.partition("/")[0], config.telemetry.service, readers)


def _describe(config: ThingConfig, driver: Driver) -> Description:
    keys = config.keys
    parameters = driver.parameters if isinstance(driver, OutputDriver) else ()
    return Description(config.name, keys.label, driver.fields, parameters, keys.module, keys.string_ids)


def _policy(config: ThingConfig, driver: Driver) -> Policy | None:
    if not isinstance(driver, OutputDriver):
        return None
    output = config.output
    if output is None:
        return Policy({}, None, {})
    return Policy(
        config.boot, config.safe, driver.states["off"], output.link_timeout, output.lease, config.requires
    )


def state_dir(config: Config) -> Path:
    """Where the node keeps what must survive it: the file's choice, systemd's, or the user's."""
    if config.node.state_dir is not None:
        return config.node.state_dir
    if systemd := os.environ.get("STATE_DIRECTORY"):
        return Path(systemd.partition(":")[0])
    base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
    return base / "hub" / config.xmpp.jid.partition("/")[0]


def account_of(config: Config) -> Account:
    """Raises LinkError when the password file cannot be read."""
    return account_for(config.xmpp, state_dir(config) / "exi.json")
