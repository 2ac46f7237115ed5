"""The MQTT bridge: readings out, commands in, on one connection that a node's MQTT things share.

Rules of this file
* Commands have the way that they have over XMPP: judged as one address (`control_as`), planned and carried out by what
  `carry_out` is, with the same limits, interlocks and log. Without `control_as` every command is refused: the default
  moves nothing. MQTT does not tell who published, so that address stands for everybody whom the broker lets publish to
  the command topics; its own access list decides who that is.
* A command is carried out at once or not at all. One that the broker kept (retained) never is, one that came twice on
  a connection (duplicate) is once, one from before the connection does not exist (clean session). With MQTT 3.1.1 a
  broker does not mark a retained command that is published while we listen: it is one like any other then, and never
  again.
* Commands wait in a bounded queue, one is carried out at a time; what the bound refuses is counted and said.
* The broker away is no news for the node: readings replace each other in `board.py`, and the newest are sent when it is
  back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from hub.bridges import homeassistant, topics
from hub.bridges.board import Board
from hub.bridges.bus import DriverBus
from hub.bridges.connection import Connection, Message, Waits, Will
from hub.bridges.homeassistant import Hub
from hub.bridges.topics import Topics
from hub.config.mqtt import Mqtt as Settings
from hub.errors import BadRequest, Forbidden, HubError, NotFound
from hub.things.model import Command
from hub.things.thing import Thing

log = logging.getLogger(__name__)

WAITING_COMMANDS = 100
RESULT_TIMEOUT_S = 5.0
DRAIN_TIMEOUT_S = 2.0  # on the way out, for the last states

CarryOut = Callable[[str, Command], Awaitable[object]]
"""Judges and carries out a command of a caller, by its address. Raises HubError; then nothing has been written."""


class Pace(Protocol):
    """When a thing's reading is worth sending (hub.telemetry.pacer)."""

    def due(self, thing: Thing, now: float) -> bool: ...
    def published(self, thing: Thing, now: float) -> None: ...


@dataclass(frozen=True)
class Shown:
    """A thing on the broker."""

    thing: Thing
    pace: Pace


class Bridge:
    """`show` it things, which starts it; tell it of each `reading`; `show` others after a reload; `stop` it when the
    outputs are safe."""

    def __init__(self, settings: Settings, hub: Hub, bus: DriverBus, carry_out: CarryOut, waits: Waits) -> None:
        self._settings, self._hub, self._bus, self._carry_out = settings, hub, bus, carry_out
        self._topics = Topics(settings.base or topics.default_base(hub.id))
        self._shown: dict[str, Shown] = {}
        self._board = Board()
        self._commands: asyncio.Queue[tuple[str, str | None, bytes]] = asyncio.Queue(WAITING_COMMANDS)
        self._tasks: list[asyncio.Task[None]] = []
        self._drained = asyncio.Event()
        self._tidying = False
        self._complained: set[str] = set()
        self.dropped = 0
        """Commands that found the queue full."""
        self._connection = Connection(
            settings, f"hub-{hub.node_id}", Will(self._topics.status, topics.OFFLINE), waits, self
        )

    @property
    def up(self) -> bool:
        return self._connection.up

    @property
    def waiting(self) -> int:
        """Topics of which the broker does not have the newest yet."""
        return self._board.waiting

    # ------------------------------------------------------------------ life

    def _start(self) -> None:
        self._bus.attach(self._connection)
        for work, name in ((self._connection.run(), "MQTT"), (self._carry_out_commands(), "MQTT commands")):
            task = asyncio.create_task(work, name=name)
            task.add_done_callback(_ended)
            self._tasks.append(task)

    async def stop(self) -> None:
        """The broker is told that we go; bounded in time."""
        if self._connection.up:
            for name in self._shown:
                self._board.put(self._topics.availability(name), topics.OFFLINE)
            self._board.put_last(self._topics.status, topics.OFFLINE)
            self._drained.clear()
            self._send()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_TIMEOUT_S):
                    await self._drained.wait()
            await self._connection.leave()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._bus.attach(None)

    def show(self, shown: Mapping[str, Shown]) -> None:
        """These things, and no others, are on the broker from now on."""
        self._shown = dict(shown)
        wanted: dict[str, bytes] = {}
        for name, each in self._shown.items():
            wanted |= self._discovery(each.thing)
            if each.thing.measured is not None or each.thing.trouble is not None:  # else what was last known stays
                wanted[self._topics.state(name)] = topics.state(each.thing)
            wanted[self._topics.availability(name)] = _availability(each.thing)
        for topic in self._board.topics():
            if topic not in wanted and topic != self._topics.status:
                self._board.put(topic, b"")
        for topic, payload in wanted.items():
            self._board.put(topic, payload)
        if not self._tasks:  # not before: what it does not know it would take off the broker as a leftover
            self._start()
        self._send()

    def reading(self, thing: Thing, now: float) -> None:
        """A thing has a new reading or a new trouble; `now` in seconds of a monotonic clock."""
        each = self._shown.get(thing.name)
        if each is None or not each.pace.due(thing, now):
            return
        each.pace.published(thing, now)
        self._board.put(self._topics.state(thing.name), topics.state(thing))
        self._board.put(self._topics.availability(thing.name), _availability(thing))
        self._send()

    def _discovery(self, thing: Thing) -> Mapping[str, bytes]:
        if not self._settings.discovery:
            return {}
        controllable = self._settings.control_as is not None
        return homeassistant.messages(
            self._settings.discovery, self._hub, self._topics, thing.description, controllable, self._settings.qos
        )

    # ------------------------------------------------------------------ the connection's events

    def came_up(self) -> None:
        self._board.begin()
        self._board.put_last(self._topics.status, topics.ONLINE)
        for each in self._topics.commands:
            self._connection.subscribe(each, commands=True)
        for each in self._leftovers():
            self._connection.subscribe(each, qos=0)  # all at once, before the broker answers what we send
        self._tidying = True
        self._complained.clear()
        self._bus.came_up()
        self._send()

    def went_down(self) -> None:
        """Commands that still wait are over: whoever sent them sees us offline."""
        while not self._commands.empty():
            self._commands.get_nowait()

    def heard(self, message: Message) -> None:
        self._bus.deliver(message.topic, message.payload, message.retained)
        addressed = self._topics.addressed(message.topic)
        if addressed is None:
            self._clear(message)
            return
        if message.retained:
            self._complain("a retained command is not carried out: send it without retain", message.topic)
            return
        if message.duplicate or addressed[0] not in self._shown:
            log.debug("MQTT: %r: a duplicate, or no thing of ours", message.topic)
            return
        try:
            self._commands.put_nowait((*addressed, message.payload))
        except asyncio.QueueFull:
            self.dropped += 1
            if self.dropped & (self.dropped - 1) == 0:  # said at 1, 2, 4, 8 …
                log.warning("MQTT: commands come faster than they are carried out; %d dropped so far", self.dropped)

    def _complain(self, text: str, topic: str) -> None:
        """Once a connection: who may publish could fill the log else."""
        if text not in self._complained:
            self._complained.add(text)
            log.warning("MQTT: %s (%r; said once a connection)", text, topic)

    def _leftovers(self) -> list[str]:
        """Filters for what an earlier configuration may have left on the broker."""
        filters = [self._topics.state("+"), self._topics.availability("+")]
        return [homeassistant.own_messages(self._settings.discovery, self._hub), *filters] if (
            self._settings.discovery) else filters  # fmt: skip

    def _clear(self, message: Message) -> None:
        """Take a thing off the broker that is not shown any more. Only what `_leftovers` asks for is ours: a thing of
        this node may live on any other topic of the broker."""
        if not message.retained or not message.payload or self._board.wanted(message.topic) is not None:
            return
        kept = {topic for name in self._shown for topic in (self._topics.state(name), self._topics.availability(name))}
        if message.topic not in kept and any(_matches(message.topic, each) for each in self._leftovers()):
            self._board.put(message.topic, b"")
            self._send()

    # ------------------------------------------------------------------ out

    def _send(self) -> None:
        while self._connection.up and (entry := self._board.take()) is not None:
            topic, payload = entry
            answer = self._connection.publish(topic, payload, retain=True)
            answer.add_done_callback(partial(self._sent, topic))

    def _sent(self, topic: str, answer: asyncio.Future[None]) -> None:
        if not answer.cancelled():  # else the connection is over, and the board begins anew with the next
            self._board.settled(topic)
            self._send()
            if self._tidying and self._board.is_settled:
                self._tidying = False  # what was left is off; from now on we would only hear ourselves
                for each in self._leftovers():
                    self._connection.unsubscribe(each)
        if answer.cancelled() or self._board.is_settled:
            self._drained.set()

    # ------------------------------------------------------------------ in

    async def _carry_out_commands(self) -> None:
        while True:
            thing, parameter, payload = await self._commands.get()
            names: list[str] = [parameter] if parameter is not None else []
            try:
                names = await self._command(thing, parameter, payload)
                result = topics.done(names)
            except HubError as error:
                result = topics.refused(names, error)
            except Exception as error:  # one command must not end all others
                log.exception("MQTT: a bug: a command for %s could not be carried out", thing)
                result = topics.refused(names, HubError(f"the hub has a bug: {error!r}"))
            answer = self._connection.publish(self._topics.result(thing), result)
            await asyncio.wait({answer}, timeout=RESULT_TIMEOUT_S)

    async def _command(self, name: str, parameter: str | None, payload: bytes) -> list[str]:
        """The parameters that were set."""
        identity = self._settings.control_as
        if identity is None:
            self._complain("a command is refused: mqtt.control_as names nobody", self._topics.result(name))
            raise Forbidden("nothing can be controlled over MQTT: name an address in mqtt.control_as, and let it")
        if name not in self._shown:
            raise NotFound(f"no such thing: {name}")
        try:
            command = topics.command(self._shown[name].thing, parameter, payload)
        except BadRequest as error:
            log.warning("%s (MQTT): %s: a command that cannot be read: %s", identity, name, error)
            raise
        await self._carry_out(identity, command)
        return [assignment.name for assignment in command.assignments]


def _availability(thing: Thing) -> bytes:
    return topics.ONLINE if topics.is_well(thing) else topics.OFFLINE


def _matches(topic: str, pattern: str) -> bool:
    """Whether `topic` fits a filter that has no #."""
    levels, wanted = topic.split("/"), pattern.split("/")
    return len(levels) == len(wanted) and all(want in ("+", level) for want, level in zip(wanted, levels, strict=True))


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.critical("the MQTT bridge has a bug and is off", exc_info=task.exception())
