"""What follows when rules change: caches are cleared, and who may not know each other any more is told so.

Rules of this file
* Only devices that a change can reach are told. Which rules were last told of is kept in the store: a change that was
  made while no service ran is found at the next start, and then everybody is told. What changed is in the audit.
* A rule with hours changes when its hours begin and end.
* Friends are taken apart where a device has asked about somebody whom it may not know any more (XEP-0324 section
  3.2.3), and has been allowed to before.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import logging
import zoneinfo
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from hub.provisioning.decisions import Audit, Decisions
from hub.provisioning.knowledge import Knowledge
from hub.provisioning.model import Rule, RuleBook, ThingId
from hub.provisioning.notices import Notices
from hub.provisioning.owner import in_one_line
from hub.provisioning.rules import RuleIndex, within_hours
from hub.provisioning.store import Store
from hub.things.questions import Question, Right

log = logging.getLogger(__name__)

AREA: Final = "service"
KEY: Final = "told of"
OPERATOR: Final = "operator"
MAX_PAIRS: Final = 50_000  # of friends looked at for one change


class Changes:
    def __init__(
        self, store: Store, notices: Notices, audit: Audit, address: str, wall: Callable[[], dt.datetime]
    ) -> None:
        self._store, self._notices, self._audit = store, notices, audit
        self._address, self._wall = address, wall
        self._then = wall()
        self.knowledge: Knowledge
        self.decisions: Decisions

    async def rules_changed(self, before: RuleBook | None, book: RuleBook) -> None:
        """For `Knowledge`: gets the rules before (None: of an earlier life) and now. Raises StoreError."""
        now = self._wall()
        digest = _digest(book, now)
        if before is None:
            told_of = await self._store.get(AREA, KEY)
            if told_of is not None and told_of["digest"] == digest:
                return
            if told_of is not None:
                self._audit.record(OPERATOR, "rules", "changed while no service ran", f"{len(book.rules)} rules")
            changed = list(book.rules)
            devices = list(await self._store.devices())
        else:
            changed = _changed_rules(before, book)
            self._note(before, book)
            devices = await self._reached(changed)
        await self._tell(devices, changed, RuleIndex(before) if before is not None else None, now, now)
        await self._store.put(AREA, KEY, {"digest": digest})

    def _note(self, before: RuleBook, book: RuleBook) -> None:
        """Whoever made it: an owner in his chat, or the operator's command line, which has no part in the log."""
        old, new = {rule.id: rule for rule in before.rules}, {rule.id: rule for rule in book.rules}
        for number in sorted(old.keys() ^ new.keys()):
            rule = old.get(number) or new[number]
            done = "removed" if number in old else "added"
            self._audit.record(rule.owner or OPERATOR, f"rule {number}", in_one_line(rule), done)
        for name in sorted(before.groups.keys() | book.groups.keys()):
            if before.groups.get(name) != book.groups.get(name):
                members = ", ".join(book.groups.get(name, ()))
                self._audit.record(OPERATOR, f"group {name}", members, "set" if members else "removed")

    async def look_at_clock(self) -> None:
        """Rules whose hours have begun or ended since the last look. Raises StoreError."""
        then, now = self._then, self._wall()
        book = self.knowledge.book
        changed = [rule for rule in book.rules if _holds(rule, then) != _holds(rule, now)]
        if changed:
            log.info("the hours of %d rules have begun or ended", len(changed))
            await self._tell(await self._reached(changed), changed, self.knowledge.rules, then, now)
            await self._store.put(AREA, KEY, {"digest": _digest(book, now)})
        self._then = now

    async def _reached(self, rules: Sequence[Rule]) -> list[str]:
        """Devices that have asked and that one of `rules` is about."""
        named = {jid for rule in rules for jid in rule.things}
        owners = {rule.owner for rule in rules if not rule.things}
        found = []
        for device in await self._store.devices():
            if "" in owners or device in named:
                found.append(device)
            elif owners:
                place = await self.knowledge.place(device)
                if place.thing.owner in owners or any(thing.owner in owners for thing in place.behind.values()):
                    found.append(device)
        return found

    async def _tell(
        self, devices: Sequence[str], changed: Iterable[Rule], before: RuleIndex | None,
        then: dt.datetime, now: dt.datetime,
    ) -> None:  # fmt: skip
        if devices:
            log.info("rules have changed: %d devices clear their caches", len(devices))
        await self._notices.add([ThingId(device) for device in devices], "clearCache")
        if any(rule.right is Right.FRIEND for rule in changed):
            await self._take_apart(devices, before, then, now)

    async def _take_apart(
        self, devices: Sequence[str], before: RuleIndex | None, then: dt.datetime, now: dt.datetime
    ) -> None:
        await self.decisions.save()
        looked_at = 0
        for device in devices:
            place = await self.knowledge.place(device)
            for jid in await self._store.asked_by(device):
                looked_at += 1
                if looked_at > MAX_PAIRS:
                    log.warning("more than %d pairs of friends; the others hear of it when they ask", MAX_PAIRS)
                    return
                question = Question(Right.FRIEND, jid)
                if jid == self._address or self.knowledge.rules.decide(place.thing, question, now)[0].allowed:
                    continue
                if before is None or before.decide(place.thing, question, then)[0].allowed:
                    log.info("%s and %s may not know each other any more", device, jid)
                    await self._notices.add([ThingId(device)], "unfriend", {"jid": jid})
            await asyncio.sleep(0)


def _changed_rules(before: RuleBook, after: RuleBook) -> list[Rule]:
    """Rules that came, went, or speak of a group that is another now."""
    groups = {
        name for name in before.groups.keys() | after.groups.keys() if before.groups.get(name) != after.groups.get(name)
    }
    old, new = {rule.id: rule for rule in before.rules}, {rule.id: rule for rule in after.rules}
    found = []
    for number in old.keys() | new.keys():
        one, other = old.get(number), new.get(number)
        if one != other or (other is not None and groups.intersection(other.groups)):
            found += [rule for rule in (one, other) if rule is not None]
    return found


def _holds(rule: Rule, now: dt.datetime) -> bool:
    """Whether its hours are; a rule without them always holds."""
    try:
        return rule.hours is None or within_hours(rule.hours, now)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False


def _digest(book: RuleBook, now: dt.datetime) -> str:
    hash_ = hashlib.sha256()
    for rule in sorted(book.rules, key=lambda rule: rule.id):
        shown = {
            name: sorted(value) if isinstance(value, frozenset) else value
            for name, value in ((name, getattr(rule, name)) for name in Rule.__dataclass_fields__ if name != "hours")
        }
        hours = rule.hours
        span = (hours.start, hours.end, sorted(hours.days), hours.zone) if hours is not None else None
        hash_.update(repr((sorted(shown.items(), key=str), span, _holds(rule, now))).encode())
    hash_.update(repr(sorted(book.groups.items())).encode())
    return hash_.hexdigest()
