"""The node's MQTT connection as drivers see it (`devices.bus.Mqtt`): called from their threads, answered there.

It outlives connections: what is listened to is asked for again on each. Drivers wait here for the loop, the loop never
waits for them.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable
from typing import Protocol

from devices.base import BusUnavailable, NotResponding
from devices.bus import MqttHeard

AWAY = "the MQTT broker is away"
EXPIRY_S = 10  # a command for a device that sleeps at the broker is over: we have told that it failed


class Link(Protocol):
    """What it takes of a connection."""

    @property
    def up(self) -> bool: ...
    def publish(
        self, topic: str, payload: bytes, retain: bool = False, expiry: int | None = None
    ) -> asyncio.Future[None]: ...
    def subscribe(self, topic: str, commands: bool = False) -> None: ...
    def unsubscribe(self, topic: str) -> None: ...


class DriverBus:
    """Made in the loop that the connection runs in."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._heard: dict[str, list[MqttHeard]] = {}
        self._link: Link | None = None

    # ------------------------------------------------------------------ for drivers, from any thread

    @property
    def connected(self) -> bool:
        return self._link is not None and self._link.up

    def listen(self, topic: str, heard: MqttHeard) -> Callable[[], None]:
        """`heard` is called in the loop's thread and must not block. Returns what ends it."""
        with self._lock:
            listeners = self._heard.setdefault(topic, [])
            listeners.append(heard)
        self._in_loop(lambda: self._subscribe(topic))

        def end() -> None:
            with self._lock:
                if heard in listeners:
                    listeners.remove(heard)
                over = not listeners and self._heard.get(topic) is listeners
                if over:
                    del self._heard[topic]
            if over:
                self._in_loop(lambda: self._unsubscribe(topic))

        return end

    def publish(self, topic: str, payload: bytes, timeout: float) -> None:
        """Returns when the broker has it. Raises NotResponding when it does not take it in time."""
        if threading.get_ident() == self._thread:
            # The last resort of a node that is being ended: written as far as that goes at once, nobody waits
            if self._link is None or not self._link.up:
                raise NotResponding(AWAY)
            self._link.publish(topic, payload, expiry=EXPIRY_S)
            return
        try:
            asyncio.run_coroutine_threadsafe(self._publish(topic, payload), self._loop).result(timeout)
        except concurrent.futures.TimeoutError:
            raise NotResponding(f"the MQTT broker did not take a command within {timeout:g} s") from None
        except (concurrent.futures.CancelledError, RuntimeError):
            raise NotResponding(AWAY) from None

    async def _publish(self, topic: str, payload: bytes) -> None:
        if self._link is None:
            raise NotResponding(AWAY)
        await self._link.publish(topic, payload, expiry=EXPIRY_S)

    def _subscribe(self, topic: str) -> None:
        if self._link is not None:
            self._link.subscribe(topic)

    def _unsubscribe(self, topic: str) -> None:
        with self._lock:
            again = topic in self._heard
        if self._link is not None and not again:
            self._link.unsubscribe(topic)

    def _in_loop(self, call: Callable[[], object]) -> None:
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError as error:
            raise BusUnavailable("the node is ending") from error

    # ------------------------------------------------------------------ for the bridge, in the loop

    def attach(self, link: Link | None) -> None:
        self._link = link

    def came_up(self) -> None:
        with self._lock:
            topics = list(self._heard)
        for topic in topics:
            self._subscribe(topic)

    def deliver(self, topic: str, payload: bytes, retained: bool) -> bool:
        """Whether somebody listens to `topic`."""
        with self._lock:
            listeners = list(self._heard.get(topic, ()))
        for heard in listeners:
            heard(topic, payload, retained)
        return bool(listeners)
