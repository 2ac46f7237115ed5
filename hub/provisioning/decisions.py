"""XEP-0324, the server's side of questions: things ask who may know, read and control them.

Rules of this file
* Values in, values out: no XML, no stream. The device that asks is the bare JID that the server vouches for, and so is
  whom it asks about.
* What the rules leave open the owner is asked about, and the answer is a refusal meanwhile. What he has allowed once
  counts for one question, the same that he was asked about, as a last rule of his: nothing that a rule refuses comes
  back through it.
* That a device asks us is kept before it is answered: its cache is cleared when rules change. Whom it has asked about
  is kept within a second: should that be lost in a crash, it is not told to unfriend somebody, and only finds out when
  it asks again.
* Every answer is recorded with the rules that made it.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

from hub.errors import BadRequest, StoreError
from hub.provisioning.knowledge import Knowledge, Place
from hub.provisioning.model import Rule
from hub.provisioning.rules import Explanation
from hub.provisioning.store import Store
from hub.things.model import NodeRef, Tokens
from hub.things.questions import Question, Right, Verdict, bare

log = logging.getLogger(__name__)

MAX_ASKED_NODES: Final = 1_000
MAX_ASKED_NAMES: Final = 1_000
MAX_UNSAVED: Final = 2_000  # pairs
MAX_REMEMBERED: Final = 100_000  # devices, and pairs of who asked about whom that need not be written again


class Audit(Protocol):
    """Who keeps the log that can be checked. `record` does not wait."""

    def record(self, who: str, what: str, rule: str, answer: str) -> None: ...


class Hand(Protocol):
    """The owner's: see `owner.py`."""

    async def grant(self, device: str, question: Question) -> Rule | None:
        """What an owner has allowed once, as a rule of his; it is used up by this."""
        ...

    async def ask(self, owner: str, device: str, question: Question, whole: Question) -> None:
        """`question` is what is his and open of the `whole` one."""
        ...


class Verifier(Protocol):
    """Who knows tokens."""

    async def shown(self, device: str, jid: str, tokens: Tokens) -> Tokens:
        """Those of `tokens`, which `jid` has shown `device`, that are what they claim to be."""
        ...


class Decisions:
    """`address`: the bare JID of the service. `wall`: now, with a zone."""

    def __init__(
        self,
        store: Store,
        knowledge: Knowledge,
        hand: Hand,
        audit: Audit,
        address: str,
        wall: Callable[[], dt.datetime],
        verifier: Verifier | None = None,
        secondary_trust: bool = False,
    ) -> None:
        self._store, self._knowledge, self._hand, self._audit = store, knowledge, hand, audit
        self._address, self._wall, self._verifier = address, wall, verifier
        self._secondary_trust = secondary_trust
        self._noted: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._devices: set[str] = set()
        self._unsaved: list[tuple[str, str]] = []

    async def decide(self, device: str, question: Question) -> Verdict:
        """The answer to the question of `device`, a bare JID. Raises BadRequest and StoreError."""
        question = checked(question)
        await self._note(device, question.jid)
        if question.right is Right.FRIEND and question.jid == self._address:
            self._record(device, question, "it is its provisioning server", True)
            return Verdict(True, secondary_trust=self._secondary_trust)
        if self._verifier is not None and question.tokens != Tokens():
            question = replace(question, tokens=await self._verifier.shown(device, question.jid, question.tokens))
        place = await self._knowledge.place(device)
        now = self._wall()
        verdict, explanation = self._knowledge.rules.decide(place.thing, question, now, place.behind)
        if explanation.unanswered:
            grant = await self._hand.grant(device, question)
            if grant is not None:
                verdict, explanation = self._knowledge.with_rule(grant).decide(
                    place.thing, question, now, place.behind
                )
            if explanation.unanswered:
                await self._ask_owners(device, place, question, explanation)
        self._record(device, question, _because(explanation), verdict.allowed)
        if question.right is Right.FRIEND and verdict.allowed:
            verdict = replace(verdict, secondary_trust=self._secondary_trust)
        return verdict

    async def _note(self, device: str, jid: str) -> None:
        pair = (device, jid)
        if pair in self._noted:
            self._noted.move_to_end(pair)
            return
        if device not in self._devices:
            await self._store.note_asker(device, jid)
            if len(self._devices) >= MAX_REMEMBERED:
                self._devices.clear()
            self._devices.add(device)
        elif len(self._unsaved) < MAX_UNSAVED:
            self._unsaved.append(pair)
        else:
            await self.save()
            self._unsaved.append(pair)
        self._noted[pair] = None
        if len(self._noted) > MAX_REMEMBERED:
            self._noted.popitem(last=False)

    async def save(self) -> None:
        """Keep who has asked about whom; to be called every second or so. Raises StoreError."""
        pairs, self._unsaved = self._unsaved, []
        try:
            await self._store.note_askers(pairs)
        except StoreError:
            self._unsaved = pairs + self._unsaved
            raise

    async def _ask_owners(self, device: str, place: Place, question: Question, explanation: Explanation) -> None:
        """Each owner about what is his and open; a thing that owns itself, or that nobody has claimed, has nobody to
        ask."""
        left = _open_part(explanation, question)
        theirs: dict[str, list[NodeRef]] = {}
        for node in left.nodes or ():
            theirs.setdefault(place.at(node).owner, []).append(node)
        if not theirs:
            theirs = {place.thing.owner: []}
        for owner, nodes in theirs.items():
            if owner and owner != device:
                await self._hand.ask(owner, device, replace(left, nodes=tuple(nodes) or None), question)

    def _record(self, device: str, question: Question, rule: str, allowed: bool) -> None:
        what = in_words(device, question)
        answer = "allowed" if allowed else "refused"
        log.debug("%s: %s → %s: %s", question.jid, what, answer, rule)
        self._audit.record(question.jid, what, rule, answer)


def checked(question: Question) -> Question:
    """With bare JIDs. Raises BadRequest for one that is too long or asks about nobody."""
    jid = bare(question.jid)
    if not jid or "*" in jid:  # a JID may have an asterisk, and as the pattern of a rule it would mean everybody
        raise BadRequest("a question names the JID that it is about, one without an asterisk")
    if len(question.nodes or ()) > MAX_ASKED_NODES or len(question.names) > MAX_ASKED_NAMES:
        raise BadRequest(f"a question names at most {MAX_ASKED_NODES} nodes and {MAX_ASKED_NAMES} fields or parameters")
    return replace(question, jid=jid)


def in_words(device: str, question: Question) -> str:
    """What is asked for: "read greenhouse@example.org pump, lamp: temperature"."""
    nodes = ", ".join(node.node_id for node in question.nodes or () if node.node_id)
    names = ", ".join(question.names)
    return f"{question.right.value} {device}" + (f" {nodes}" if nodes else "") + (f": {names}" if names else "")


def _because(explanation: Explanation) -> str:
    return "; ".join(dict.fromkeys(said.why for said in explanation.said)) or "no rule allows it"


def _open_part(explanation: Explanation, question: Question) -> Question:
    """What of a question no rule has answered."""
    last = explanation.said[-1] if explanation.said else None
    if last is None or last.rule is not None or last.allow:
        return question
    return replace(question, nodes=last.nodes or question.nodes, names=last.names or question.names)
