"""The one loop that calls drivers: it opens, reads and writes parts, and keeps their outputs safe.

Rules of this file
* One task per thing; no part can stop another: a driver that fails is retried with back-off, one that hangs is given
  up after `CALL_TIMEOUT_S`, one that has a bug is treated as failing.
* It is said once when a part goes and once when it comes back.
* Nothing here decides what may be written: plans come checked, boot and safe states come from `actuation.Guard`.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from devices.base import BadData, DeviceError, Driver, NotHeard, NotResponding, OutputDriver, Value, ValueType
from hub.errors import ActuatorError, Conflict
from hub.things.actuation import Guard, Policy
from hub.things.interlock import unmet
from hub.things.lanes import Lanes
from hub.things.memory import OutputMemory
from hub.things.thing import Thing

log = logging.getLogger(__name__)

CALL_TIMEOUT_S = 5.0  # the slowest part, a DS18B20 at 12 bits, takes 0.75 s; the rest is patience with a busy bus
STOP_TIMEOUT_S = 2.0  # per output on the way out: systemd waits longer than all of them together
FIRST_RETRY_S = 1.0
LAST_RETRY_S = 60.0

Listener = Callable[[Thing], None]
T = TypeVar("T")


def wall_clock() -> dt.datetime:
    """Now, in UTC, to the millisecond: no part is read faster, and each digit costs bytes in every reading."""
    now = dt.datetime.now(dt.UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


class Station:
    """One thing with its driver, its timing and, for an output, its guard."""

    def __init__(self, thing: Thing, driver: Driver, interval: float, policy: Policy | None = None) -> None:
        self.thing = thing
        self.driver = driver
        self.interval = interval
        self.policy = policy
        self.guard: Guard | None = None
        self.is_open = False
        self.claimed = False
        """Whether the driver was told to claim its part: it may hold it, also while `open` is still under way."""
        self.wake = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self.fresh: asyncio.Future[None] | None = None
        """Whoever wants a new reading waits for this."""
        self.reads = self.failures = 0
        """Since the start: how often the part was asked, and how often no answer, or a wrong one, came of it."""
        self.read_s = 0.0
        """How long that took in all, waiting for a busy bus included."""


class Sampler:
    """`on_reading` is called in the loop after each reading and each failure.

    `doubtful` says whether `wall` may be wrong.
    """

    def __init__(
        self,
        memory: OutputMemory,
        on_reading: Listener,
        wall: Callable[[], dt.datetime] = wall_clock,
        doubtful: Callable[[], bool] = lambda: False,
    ) -> None:
        self.memory = memory
        self._listener = on_reading
        self._wall = wall
        self._doubtful = doubtful
        self._lanes = Lanes()
        self._linked = False
        self.stations: dict[str, Station] = {}

    @property
    def hung(self) -> int:
        return self._lanes.hung

    # ------------------------------------------------------------------ life

    def add(self, station: Station) -> None:
        """Start sampling. The output of an OutputDriver is claimed in its boot state."""
        now = self._now()
        self.stations[station.thing.name] = station
        if station.policy is not None:
            station.guard = Guard(station.policy, now)
            if self._linked:
                station.guard.link_up()
        loop = asyncio.get_running_loop()
        station.driver.notify = lambda: _from_any_thread(loop, station.wake)
        station.task = asyncio.create_task(self._keep(station), name=f"thing {station.thing.name}")

    def retune(self, name: str, interval: float, policy: Policy | None) -> None:
        """New timing and policy for a part that stays as it is: its output is not touched."""
        station = self.stations[name]
        station.interval = interval
        station.policy = policy
        if station.guard is not None and policy is not None:
            station.guard.policy = policy
        self._check_interlock(station)
        station.wake.set()

    async def remove(self, name: str) -> None:
        """Stop sampling; an output is driven to its safe state first."""
        station = self.stations.pop(name)
        if station.task is not None:
            station.task.cancel()
            await asyncio.gather(station.task, return_exceptions=True)
        await self._make_safe(station, "it is being stopped", STOP_TIMEOUT_S)
        await self._close(station)

    async def stop(self) -> None:
        """Everything safe and closed; bounded in time however many parts hang."""
        names = list(self.stations)
        outcomes = await asyncio.gather(*(self.remove(name) for name in names), return_exceptions=True)
        for name, outcome in zip(names, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                log.error("%s: did not stop cleanly: %s", name, outcome)
        self._lanes.close()

    def link_changed(self, up: bool) -> None:
        self._linked = up
        now = self._now()
        for station in self.stations.values():
            if station.guard is not None:
                if up:
                    station.guard.link_up()
                else:
                    station.guard.link_down(now)
                station.wake.set()

    # ------------------------------------------------------------------ what services ask for

    async def refresh(self, name: str, timeout: float) -> None:
        """Wait for a new reading of `name`, at most `timeout` seconds; its outcome stands in the thing."""
        station = self.stations[name]
        if station.fresh is None:
            station.fresh = asyncio.get_running_loop().create_future()
            station.wake.set()
        await asyncio.wait({station.fresh}, timeout=timeout)

    async def write(self, name: str, values: Mapping[str, Value]) -> None:
        """Carry out checked writes and read them back. Raises ActuatorError when the output is not as told."""
        station = self.stations[name]
        driver = station.driver
        if not isinstance(driver, OutputDriver) or station.guard is None:
            raise ActuatorError(f"{name} cannot be controlled")
        if not station.is_open and station.thing.trouble is None:
            await self.refresh(name, CALL_TIMEOUT_S)  # it is still being claimed for the first time
        if not station.is_open:
            why = station.thing.trouble.text if station.thing.trouble else "it is still starting"
            raise ActuatorError(f"{name} is out of order: {why}")
        if (refusal := self.refusal(name, values)) is not None:
            raise Conflict(f"{name} stays in its safe state: {refusal}.")
        try:
            raw = await self._call(station, lambda: _write_and_read(driver, values))
            station.thing.measured_at(raw, self._moment(station), self._doubtful())
        except DeviceError as error:
            self._failed(station, error)
            # It may have switched all the same: it is claimed again in the state that is still in force.
            await self._close(station)
            station.wake.set()
            raise ActuatorError(f"{name}: {error}") from error
        finally:
            self._on_reading(station.thing)
        state = {p.name: station.thing.values[p.read_back] for p in driver.parameters
                 if p.read_back in station.thing.values}  # fmt: skip
        station.guard.commanded(state, self._now())
        station.wake.set()
        if different := _different(station.thing, values):
            raise ActuatorError(f"{name} did not take the command: {different}")
        await self._remember(station, state)

    def refusal(self, name: str, values: Mapping[str, Value]) -> str | None:
        """Why an interlock forbids these writes now; None when none does."""
        station = self.stations[name]
        self._check_interlock(station)
        return station.guard.refuses(values) if station.guard is not None else None

    def protects(self, name: str, values: Mapping[str, Value]) -> bool:
        """Whether these writes only bring an output into its safe state."""
        guard = self.stations[name].guard
        return guard is not None and guard.protects(values)

    # ------------------------------------------------------------------ the loop of one thing

    async def _keep(self, station: Station) -> None:
        retry = FIRST_RETRY_S
        while True:
            started = self._now()
            answered = await self._sample(station)
            station.read_s += self._now() - started
            station.reads += 1
            station.failures += station.thing.trouble is not None
            if answered:
                retry = FIRST_RETRY_S
                pause = station.interval
            else:
                pause, retry = retry, min(retry * 2, LAST_RETRY_S)
            await self._pause(station, started + pause)

    async def _sample(self, station: Station) -> bool:
        thing = station.thing
        try:
            if not station.is_open:
                await self._open(station)
            thing_was_well = thing.trouble is None
            raw = await self._call(station, station.driver.read)
            thing.measured_at(raw, self._moment(station), self._doubtful())
            answered = True  # also with a value among them that cannot be: the others must not wait for a retry
            if not thing_was_well and thing.trouble is None:
                log.info("%s is back", thing.name)
            elif thing_was_well and thing.trouble is not None:
                log.warning("%s: %s", thing.name, thing.trouble.text)
        except DeviceError as error:
            answered = False
            self._failed(station, error)
            if not isinstance(error, NotHeard):
                await self._close(station)
        except Exception as error:  # a bug of ours must not end this thing's task: it would stop without a word
            log.exception("%s: a bug in the hub", thing.name)
            answered = False
            self._failed(station, NotResponding(f"the hub has a bug: {error!r}"))
            await self._close(station)
        if station.fresh is not None:
            station.fresh.set_result(None)
            station.fresh = None
        self._on_reading(thing)
        return answered

    async def _pause(self, station: Station, until: float) -> None:
        """Until the next reading is due, something happens, or the guard has to act."""
        while True:
            if not await self._guard(station):
                return
            deadlines = [until] if station.guard is None else [until, station.guard.due() or until]
            try:
                async with asyncio.timeout_at(min(deadlines)):
                    await station.wake.wait()
            except TimeoutError:
                if self._now() >= until:
                    return
                continue
            station.wake.clear()
            await self._guard(station)
            return

    async def _guard(self, station: Station) -> bool:
        """Carry out what the guard asks for. False when that failed and the part has to be claimed again at once."""
        guard = station.guard
        overdue = guard.overdue(self._now()) if guard is not None else None
        if guard is None or overdue is None:
            return True
        _, reason = overdue
        done = await self._make_safe(station, reason, CALL_TIMEOUT_S)
        try:
            await self._remember(station, guard.end())
        except ActuatorError as error:
            log.error("%s", error)
        return done

    # ------------------------------------------------------------------ calls to the driver

    async def _open(self, station: Station) -> None:
        driver = station.driver
        station.claimed = True
        if isinstance(driver, OutputDriver) and station.guard is not None:
            self._check_interlock(station)
            remembered = self.memory.recall(station.thing.name, station.thing.parameters)
            state = station.guard.opening_state(remembered, self._now())
            await self._call(station, lambda: driver.open_with(state))
        else:
            await self._call(station, driver.open)
        station.is_open = True

    async def _close(self, station: Station) -> None:
        station.is_open = station.claimed = False
        try:
            await self._call(station, station.driver.close, STOP_TIMEOUT_S)
        except DeviceError as error:
            log.debug("%s: closing: %s", station.thing.name, error)

    async def _make_safe(self, station: Station, reason: str, timeout: float) -> bool:
        """Write the safe state now. False when the part did not take it; it is then closed, to be claimed again."""
        driver, guard = station.driver, station.guard
        if not isinstance(driver, OutputDriver) or guard is None or not station.claimed or not guard.policy.safe:
            return True  # nothing is claimed, or nothing is to be done; what is claimed later is claimed safe
        safe = guard.policy.safe
        try:
            raw = await self._call(station, lambda: _write_and_read(driver, safe), timeout)
            station.thing.measured_at(raw, self._moment(station), self._doubtful())
            if different := _different(station.thing, safe):
                raise BadData(different)
        except DeviceError as error:
            log.critical("%s: could NOT be driven to its safe state (%s): %s", station.thing.name, reason, error)
            self._failed(station, error)
            await self._close(station)
            return False
        log.warning("%s: driven to its safe state: %s", station.thing.name, reason)
        self._on_reading(station.thing)
        return True

    async def _call(self, station: Station, call: Callable[[], T], timeout: float = CALL_TIMEOUT_S) -> T:
        try:
            return await self._lanes.run(station.driver.lane, call, timeout)
        except DeviceError:
            raise
        except Exception as error:
            log.exception("%s: the driver has a bug", station.thing.name)
            raise NotResponding(f"the driver failed: {error!r}") from error

    def _moment(self, station: Station) -> dt.datetime:
        """When what was just read was measured."""
        return station.driver.measured or self._wall()

    def _failed(self, station: Station, error: DeviceError) -> None:
        if station.thing.failed(error, self._wall()):
            log.warning("%s: %s", station.thing.name, error)

    def _on_reading(self, thing: Thing) -> None:
        for station in self.stations.values():
            if station.policy is not None and any(c.thing == thing.name for c in station.policy.requires):
                self._check_interlock(station)
        try:
            self._listener(thing)
        except Exception:  # whoever looks on must not stop the sampling
            log.exception("a listener failed on a reading of %s", thing.name)

    def _check_interlock(self, station: Station) -> None:
        if station.guard is None or station.policy is None or not station.policy.requires:
            return
        things = {name: other.thing for name, other in self.stations.items()}
        if station.guard.interlock(unmet(station.policy.requires, things, self._wall())):
            station.wake.set()

    async def _remember(self, station: Station, state: Mapping[str, Value]) -> None:
        """Returns when the state is on the disk, for an output that restores it. Raises ActuatorError."""
        if station.guard is None or not station.guard.remembers:
            return
        name = station.thing.name
        try:
            await self._lanes.run("disk", lambda: self.memory.remember(name, state), CALL_TIMEOUT_S)
        except (OSError, DeviceError) as error:
            raise ActuatorError(f"{name}: done, but it cannot be remembered for a restart: {error}") from error

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _as_read(thing: Thing, parameter: str, value: Value) -> Value:
    """`value` as its field would report it: a field may have fewer decimals than what was asked for."""
    spec = thing.specs.get(thing.parameters[parameter].read_back)
    if spec is None or spec.type is not ValueType.NUMERIC:
        return value
    try:
        return spec.value(value)
    except BadData:  # beyond what the field can show: then it cannot have been read back either
        return value


def _different(thing: Thing, values: Mapping[str, Value]) -> str:
    """What was read back and is not as written, in words; empty when all is."""
    read = {name: thing.values.get(thing.parameters[name].read_back) for name in values}
    return ", ".join(f"{n} reads {read[n]}" for n, v in values.items() if read[n] != _as_read(thing, n, v))


def _write_and_read(driver: OutputDriver, values: Mapping[str, Value]) -> Mapping[str, Any]:
    driver.write(values)
    return driver.read()


def _from_any_thread(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    try:
        loop.call_soon_threadsafe(event.set)
    except RuntimeError:
        return  # the loop is closed: the node has stopped
