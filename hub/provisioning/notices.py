"""Telling things what they have to know, until they have said that they know it.

Rules of this file
* What has to be told lies in the store and stays there until it is acknowledged, through restarts of both sides and
  cuts of either link; a component has no XEP-0198, so nothing else is an acknowledgement.
* The id of an IQ names its notice. An acknowledgement is a result with that id from the thing's own bare JID: it counts
  whichever of several instances it reaches, and after a restart too. A message (`friend`, `unfriend`) has none in the
  text, and XMPP keeps the order between two addresses: a `clearCache` with its id follows it to the same full JID, and
  who acknowledges that has the message. It waits until the thing is seen online, so that no server keeps it for later.
* IQs go to a full JID: a server answers for a bare one itself (RFC 6121 section 8.5.1). The full JID is where a thing
  was last heard from, which a component needs no subscription for (XEP-0324 section 5.1); it is kept in the store. Only
  when a thing is not there do we ask to see its presence, so that we learn of its return, and then the answer is ours
  before any timer: a thing that trusts us lets us, one that does not is tried again, more and more slowly.
* Of several instances the one that has the lease sends. What waits for a thing that is away is sent again after
  `FIRST_WAIT_S`, doubling up to `LAST_WAIT_S`; what is older than `MAX_AGE` is given up, and the log says so.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from xml.etree.ElementTree import Element

from hub.errors import NotSupported, StoreError
from hub.provisioning.model import ThingId
from hub.provisioning.store import Notice, Store
from hub.stanzas.errors import CLIENT
from hub.things.questions import bare

log = logging.getLogger(__name__)

FIRST_WAIT_S, LAST_WAIT_S = 30.0, 3600.0
LEASE_S: Final = 15.0
LOOK_EVERY_S = 15.0  # for what another instance or the command line has added
PEEK_S: Final = 0.5  # for an acknowledgement that has reached another instance
PACE_S = 0.005  # between two things: a thousand that are told at once ask again at once
MAX_AGE: Final = dt.timedelta(days=90)
MAX_DEVICES: Final = 100_000
ID_PREFIX: Final = "notice-"
AREA: Final = "addresses"
MESSAGES: Final = frozenset({"friend", "unfriend"})
FINAL: Final = frozenset({
    "feature-not-implemented", "bad-request", "not-allowed", "not-acceptable", "forbidden", "item-not-found",
    "not-authorized", "unexpected-request", "jid-malformed",
})  # fmt: skip
"""Conditions that only the thing itself answers with: it was told, and does not take it."""

Told = Callable[[Notice], Awaitable[None]]


@dataclass
class Device:
    """Where a bare JID was last heard from, and in which dialect: family ("provisioning", "discovery") → namespace."""

    full: str
    dialects: dict[str, str] = field(default_factory=dict)
    present: bool = False


class Notices:
    """`address`: who we are. `encode` makes the payload of a notice for a device, or raises NotSupported. `told`: what
    has to be done, by kind, when one is acknowledged and before it counts as done."""

    def __init__(
        self,
        store: Store,
        address: str,
        send: Callable[[Element], None],
        encode: Callable[[Notice, Device], Element],
        clock: Callable[[], float],
        wall: Callable[[], dt.datetime],
    ) -> None:
        self._store, self._address, self._send, self._encode = store, address, send, encode
        self._clock, self._wall = clock, wall
        self.told: dict[str, Told] = {}
        self._devices: OrderedDict[str, Device] = OrderedDict()
        self._unsaved: set[str] = set()
        self._due: dict[str, float] = {}  # bare JIDs that something waits for, and when it is sent again
        self._waits: dict[str, float] = {}
        self._leases: dict[int, float] = {}
        self._under_way: dict[int, str] = {}  # notices that may still be acknowledged, and by whom
        self._asked: set[str] = set()  # whose presence we have asked for on this link
        self._awaited: dict[tuple[ThingId, str], list[asyncio.Future[bool]]] = {}
        self._news = asyncio.Event()
        self._looked = float("-inf")
        self.up = False

    # ------------------------------------------------------------------ what the others say

    async def start(self) -> None:
        for jid, kept in (await self._store.items(AREA)).items():
            self._devices[jid] = Device(kept["full"], dict(kept.get("dialects", {})))
        await self._look()

    def link_changed(self, up: bool) -> None:
        """A new link: who is online is not known any more, and what was on the way is lost."""
        self.up = up
        self._asked.clear()
        self._under_way.clear()
        for device in self._devices.values():
            device.present = False
        if up:
            self._due.update(dict.fromkeys(self._due, self._clock()))
            self._news.set()

    def heard(self, full: str, family: str, namespace: str) -> None:
        """A device has spoken to us, in a dialect."""
        jid = bare(full)
        device = self._devices.get(jid)
        if device is None:
            device = self._devices[jid] = Device(full)
            if len(self._devices) > MAX_DEVICES:
                self._devices.popitem(last=False)
        if device.dialects.get(family) != namespace:
            device.dialects[family] = namespace
            self._unsaved.add(jid)
        self._seen(jid, device, full)

    def came(self, full: str) -> None:
        """Its presence says that it is online; strangers' does not matter."""
        jid = bare(full)
        if (device := self._devices.get(jid)) is not None:
            self._seen(jid, device, full)

    def went(self, full: str) -> None:
        device = self._devices.get(bare(full))
        if device is not None and device.full == full:
            device.present = False

    def device(self, jid: str) -> Device | None:
        """Where it was last heard from; None when it never was, or so long ago that it is forgotten."""
        return self._devices.get(jid)

    def _seen(self, jid: str, device: Device, full: str, *, anew: bool = True) -> None:
        """`anew`: what was sent to it before it came may be lost."""
        self._devices.move_to_end(jid)
        news = device.full != full or not device.present
        if device.full != full:
            device.full = full
            self._unsaved.add(jid)
        device.present = True
        if self._unsaved:
            self._news.set()
        if news and jid in self._due:
            if anew:
                self._under_way = {number: to for number, to in self._under_way.items() if to != jid}
            self._due[jid] = self._clock()
            self._waits.pop(jid, None)
            self._news.set()

    # ------------------------------------------------------------------ notices

    async def add(
        self, things: Sequence[ThingId], kind: str, detail: Mapping[str, Any] | None = None, delay: float = 0.0
    ) -> None:
        """Tell these things, now (or after `delay` seconds) or when they are there. Raises StoreError."""
        if not things:
            return
        await self._store.add_notices(things, kind, dict(detail or {}))
        due = self._clock() + delay
        for thing in things:
            self._due[thing.jid] = due
            self._waits.pop(thing.jid, None)
        self._news.set()

    def tell_first(self, jid: str, kind: str) -> None:
        """Tell a thing that has just spoken to us, before anything that is sent to it later. Nobody keeps this, and
        nobody waits for an acknowledgement."""
        device = self._devices.get(jid)
        if device is not None:
            payload = self._encode(Notice(0, ThingId(jid), kind, {}, self._wall()), device)
            self._send_iq(f"first-{secrets.token_hex(8)}", device, payload)

    def _send_iq(self, id_: str, device: Device, payload: Element) -> None:
        iq = Element(f"{{{CLIENT}}}iq", {"from": self._address, "to": device.full, "type": "set", "id": id_})
        iq.append(payload)
        self._send(iq)

    async def tell_now(self, thing: ThingId, kind: str, timeout: float) -> bool:
        """Whether it is there and has acknowledged within `timeout` seconds; after that it is not told any more. Raises
        StoreError."""
        if await self._found(thing.jid) is None:
            return False
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._awaited.setdefault((thing, kind), []).append(future)
        await self.add([thing], kind)
        end = self._clock() + timeout
        while not future.done() and self._clock() < end:
            await asyncio.wait([future], timeout=min(PEEK_S, max(0.0, end - self._clock())))
            if not future.done() and not await self._waits_for(thing, kind):
                return True  # another instance got the acknowledgement
        if future.done() and future.result():
            return True
        await self.withdraw(thing, kind)
        return False

    async def _waits_for(self, thing: ThingId, kind: str) -> bool:
        return any(each.to == thing and each.kind == kind for each in await self._store.notices(thing.jid))

    async def withdraw(self, thing: ThingId, kind: str) -> None:
        """It shall not be told that any more."""
        for notice in await self._store.notices(thing.jid):
            if notice.to == thing and notice.kind == kind:
                await self._store.notice_done(notice.id)
        self._awaited.pop((thing, kind), None)

    async def answered(self, sender: str, id_: str, condition: str | None) -> None:
        """An answer to an IQ of ours. `condition`: that of a stanza error, None for a result."""
        number = id_.removeprefix(ID_PREFIX)
        if not number.isdecimal() or len(number) > 18:
            return
        jid = bare(sender)
        waiting = await self._store.notices(jid)
        notice = next((each for each in waiting if each.id == int(number)), None)
        if notice is None:
            return
        if condition is None or condition in FINAL:
            if (device := self._devices.get(jid)) is not None:
                self._seen(jid, device, sender, anew=False)  # what needs no acknowledgement may have waited for that
            await self._done(notice, None if notice.kind in MESSAGES else condition)
        else:
            log.debug("%s is not there for %s (%s)", jid, notice.kind, condition)
            self.went(sender)
            await self._store.lease_notice(notice.id, 0)
            self._leases.pop(notice.id, None)  # not before: we would take our own for another's
            self._under_way.pop(notice.id, None)
            if not await self._moved(jid, sender):
                self._settle(notice, False)
                self._ask_for_presence(jid)

    async def _done(self, notice: Notice, condition: str | None) -> None:
        if condition is not None:
            log.warning("%s does not take %s: %s", notice.to.jid, notice.kind, condition)
        elif notice.kind in self.told:
            await self.told[notice.kind](notice)
        await self._store.notice_done(notice.id)
        self._leases.pop(notice.id, None)
        self._under_way.pop(notice.id, None)
        self._settle(notice, condition is None)
        log.info("%s knows: %s", notice.to.jid, notice.kind)

    async def _moved(self, jid: str, sender: str) -> bool:
        """Whether it has been heard of elsewhere since, by us or by another instance; then that is where it is told."""
        device = await self._found(jid)
        if device is None:
            return False
        if device.full == sender:
            kept = await self._store.get(AREA, jid)
            if kept is None or kept["full"] == sender:
                return False
            device.full, device.dialects = kept["full"], dict(kept.get("dialects", {}))
        self._due[jid] = self._clock()
        self._news.set()
        return True

    async def _found(self, jid: str) -> Device | None:
        """Where it was last heard from, by us or by another instance."""
        if jid not in self._devices and (kept := await self._store.get(AREA, jid)) is not None:
            self._devices[jid] = Device(kept["full"], dict(kept.get("dialects", {})))
        return self._devices.get(jid)

    def _settle(self, notice: Notice, told: bool) -> None:
        for future in self._awaited.pop((notice.to, notice.kind), []):
            if not future.done():
                future.set_result(told)

    async def stop(self) -> None:
        """Whoever comes next need not wait for our leases."""
        for number in list(self._leases):
            await self._store.lease_notice(number, 0)

    def look_again(self) -> None:
        """Another instance, or the command line, may have added something."""
        self._looked = float("-inf")
        self._news.set()

    # ------------------------------------------------------------------ sending

    async def run(self) -> None:
        """For ever: save where things are, and send what is due."""
        trouble = False
        while True:
            self._news.clear()
            try:
                await self.turn()
                trouble = False
            except StoreError as error:
                log.log(logging.DEBUG if trouble else logging.ERROR, "notices have to wait: %s", error)
                trouble = True
                await asyncio.sleep(1.0)
            await self._wait()

    async def turn(self) -> None:
        """What is to be done now. Raises StoreError."""
        await self._save()
        await self._look()
        if self.up:
            await self._send_due()

    async def _wait(self) -> None:
        now = self._clock()
        next_ = min([self._looked + LOOK_EVERY_S, *(self._due.values() if self.up else ())])
        try:
            async with asyncio.timeout(max(0.0, next_ - now)):
                await self._news.wait()
        except TimeoutError:
            pass

    async def _save(self) -> None:
        while self._unsaved:
            jid = next(iter(self._unsaved))
            if (device := self._devices.get(jid)) is not None:
                await self._store.put(AREA, jid, {"full": device.full, "dialects": device.dialects})
            self._unsaved.discard(jid)

    async def _look(self) -> None:
        now = self._clock()
        if now - self._looked < LOOK_EVERY_S:
            return
        self._looked = now
        self._leases = {number: until for number, until in self._leases.items() if until > now}
        self._under_way = {number: jid for number, jid in self._under_way.items() if number in self._leases}
        waiting = {notice.to.jid for notice in await self._store.notices()}
        for jid in waiting - self._due.keys():
            self._due[jid] = now
        for jid in self._due.keys() - waiting:
            if self._due[jid] < now:  # else it has come in the meantime
                del self._due[jid]

    async def _send_due(self) -> None:
        for jid in [jid for jid, due in self._due.items() if due <= self._clock()]:
            wait = self._waits.get(jid, FIRST_WAIT_S)
            self._waits[jid] = min(2 * wait, LAST_WAIT_S)
            again = self._due[jid] = self._clock() + wait
            if not await self._send_to(jid) and self._due.get(jid) == again:  # else more has come in the meantime
                del self._due[jid]
                self._waits.pop(jid, None)
            await asyncio.sleep(PACE_S)

    async def _send_to(self, jid: str) -> bool:
        """Whether something still waits for it."""
        waiting = await self._store.notices(jid)
        device = await self._found(jid) if waiting else None
        if waiting and (device is None or not device.present):
            self._ask_for_presence(jid)
        left = bool(waiting)
        newest = {(notice.to, notice.kind): notice.id for notice in waiting}
        for notice in waiting:
            if notice.kind == "clearCache" and notice.id != newest[notice.to, notice.kind]:
                await self._store.notice_done(notice.id)  # the later one says the same, and later
            elif self._wall() - notice.created > MAX_AGE:
                log.warning("%s was not there for %d days and is not told: %s", jid, MAX_AGE.days, notice.kind)
                await self._store.notice_done(notice.id)
            elif device is not None and not self._may_still_be_answered(notice):
                if await self._is_ours(notice):
                    await self._send_one(notice, device)
                else:  # another instance sends it; should it die of that, we do
                    self._due[jid] = min(self._due[jid], self._clock() + LEASE_S)
        return left

    def _may_still_be_answered(self, notice: Notice) -> bool:
        return notice.id in self._under_way and self._leases.get(notice.id, 0.0) > self._clock()

    async def _is_ours(self, notice: Notice) -> bool:
        now = self._clock()
        if self._leases.get(notice.id, 0.0) > now:
            return True  # sent already, and lost or refused since
        if not await self._store.lease_notice(notice.id, LEASE_S):
            return False
        self._leases[notice.id] = now + LEASE_S
        return True

    async def _send_one(self, notice: Notice, device: Device) -> None:
        is_message = notice.kind in MESSAGES
        if is_message and not device.present:
            return
        try:
            payload = self._encode(notice, device)
        except NotSupported:
            log.info("%s cannot be told in its dialect: %s", notice.to.jid, notice.kind)
            await self._store.notice_done(notice.id)
            return
        if is_message:
            message = Element(f"{{{CLIENT}}}message", {"from": self._address, "to": device.full})
            message.append(payload)
            self._send(message)
            payload = self._encode(replace(notice, kind="clearCache"), device)
        self._send_iq(f"{ID_PREFIX}{notice.id}", device, payload)
        self._under_way[notice.id] = notice.to.jid

    def _ask_for_presence(self, jid: str) -> None:
        """A probe is answered where we may see the presence already; the request is kept until somebody answers it."""
        if jid in self._asked or len(self._asked) >= MAX_DEVICES:
            return
        self._asked.add(jid)
        for type_ in ("probe", "subscribe"):
            self._send(Element(f"{{{CLIENT}}}presence", {"from": self._address, "to": jid, "type": type_}))
