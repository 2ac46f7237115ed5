"""The owner's hand: he is asked what no rule answers, and what he says becomes a rule. And what he can ask us in chat.

Rules of this file
* What counts is the bare JID that the server vouches for: a reply of anybody else is about his own questions, and he
  has none. Who owns nothing gets no word of us, so that we are no echo.
* One question at a time for who wants what of which thing, at most `open_questions` of an owner; a question that nobody
  answers ends after a day, and a leave that is given once after five minutes or with the first question that uses it.
* What is allowed once, a thing shall not remember. No answer can say so, and what is told to forget it afterwards may
  have served it again by then. So the word to forget goes ahead of the answer: XMPP keeps the order, and what our own
  node has asked before it forgets counts once (`hub.trust.provisioned`). Things of others may remember it all the same:
  they are told again behind the answer.
* Whatever an answer has changed is said back, with how to undo it.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from xml.etree.ElementTree import Element, SubElement

from hub.errors import BadRequest
from hub.provisioning import questions
from hub.provisioning.budgets import Budgets
from hub.provisioning.decisions import Audit, in_words
from hub.provisioning.knowledge import Knowledge
from hub.provisioning.model import Registered, Rule, ThingId
from hub.provisioning.notices import Notices
from hub.provisioning.questions import Open, Reply, plain
from hub.provisioning.store import Store
from hub.stanzas.errors import CLIENT
from hub.stanzas.forms import DATA
from hub.things.model import FieldTypes, NodeRef
from hub.things.questions import Question, Right

log = logging.getLogger(__name__)

QUESTIONS: Final = "questions "  # and the owner: an area of the store for each
NUMBERS: Final = "question numbers"
OWNERS: Final = "asked owners"
GRANTS: Final = "grants"
GRANT_LASTS: Final = dt.timedelta(minutes=5)
QUESTION_LASTS: Final = dt.timedelta(days=1)
FORGET_GRANT_S: Final = 2.0  # after a leave was used: the device's own memory of it, when it has acted on it
MAX_LISTED: Final = 50
HELP: Final = """\
things: what you own
rules: who may do what with it
questions: what waits for your answer
N once, N always, N field, N never: your answer to question N
forget N: take rule N back
help: this"""


@dataclass(frozen=True, slots=True)
class OwnerLimits:
    open_questions: int = 20
    replies_per_minute: int = 30


class Owners:
    """`send` puts a stanza on the stream. `operators` see and forget everybody's rules."""

    def __init__(
        self,
        store: Store,
        knowledge: Knowledge,
        notices: Notices,
        audit: Audit,
        address: str,
        send: Callable[[Element], None],
        wall: Callable[[], dt.datetime],
        clock: Callable[[], float],
        operators: tuple[str, ...] = (),
        limits: OwnerLimits | None = None,
    ) -> None:
        self._store, self._knowledge, self._notices, self._audit = store, knowledge, notices, audit
        self._address, self._send, self._wall, self._clock = address, send, wall, clock
        self._operators = operators
        self._limits = limits or OwnerLimits()
        self._replies = Budgets(self._limits.replies_per_minute, self._limits.replies_per_minute / 60)

    # ------------------------------------------------------------------ for decisions

    async def grant(self, device: str, question: Question) -> Rule | None:
        """What the owner has allowed once, if it is this question that he was asked."""
        key = questions.key_of(device, question)
        kept = await self._store.get(GRANTS, key)
        if kept is None or kept["asked"] != questions.fingerprint(question):
            return None
        kept = await self._store.take(GRANTS, key)
        if kept is None or self._wall() > dt.datetime.fromisoformat(kept["until"]):
            return None
        self._notices.tell_first(device, "clearCache")
        await self._notices.add([ThingId(device)], "clearCache", delay=FORGET_GRANT_S)
        nodes = tuple(NodeRef(*parts) for parts in kept["nodes"])
        return Rule(question.right, True, owner=kept["owner"], who=(question.jid,), things=(device,), nodes=nodes,
                    names=tuple(kept["names"]), types=FieldTypes(kept["types"]), note="allowed once")  # fmt: skip

    async def ask(self, owner: str, device: str, question: Question, whole: Question) -> None:
        """Ask him, unless he has been asked this or too much already."""
        area = QUESTIONS + owner
        waiting = await self._store.items(area)
        key = questions.key_of(device, question)
        if key in waiting:
            return
        if len(waiting) >= self._limits.open_questions:
            told = in_words(device, question)
            log.warning("%s has %d open questions and is not asked: %s", owner, len(waiting), told)
            return
        number = ((await self._store.get(NUMBERS, owner)) or {"last": 0})["last"] + 1
        open_ = Open(number, device, question, self._wall(), questions.fingerprint(whole))
        if not await self._store.put_new(area, key, questions.to_json(open_)):
            return
        await self._store.put(NUMBERS, owner, {"last": number})
        await self._store.put(OWNERS, owner, {})
        log.info("%s is asked: %s", owner, in_words(device, question))
        self._say(owner, questions.body(open_), f"question-{number}", questions.form(open_))

    async def sweep(self) -> None:
        """Questions and leaves that have had their time."""
        now = self._wall()
        for owner in await self._store.items(OWNERS):
            kept = await self._store.items(QUESTIONS + owner)
            for key, value in kept.items():
                if now - dt.datetime.fromisoformat(value["created"]) > QUESTION_LASTS:
                    log.info("%s did not answer: %s", owner, key)
                    await self._store.put(QUESTIONS + owner, key, None)
            if not kept:
                await self._store.put(OWNERS, owner, None)
        for key, value in (await self._store.items(GRANTS)).items():
            if now > dt.datetime.fromisoformat(value["until"]):
                await self._store.put(GRANTS, key, None)

    # ------------------------------------------------------------------ messages

    async def message(self, owner: str, stanza: Element) -> None:
        """From a bare JID: an answer as a form or a text, or a command."""
        thread = stanza.findtext(f"{{{CLIENT}}}thread") or ""
        form = stanza.find(f"{{{DATA}}}x")
        text = (stanza.findtext(f"{{{CLIENT}}}body") or "").strip()
        if (form is None and not text) or not await self._is_heard(owner):
            return
        if not self._replies.spend(owner, self._clock()):
            log.warning("%s writes too much and is not answered", owner)
            return
        self._say(owner, await self._answer(owner, form, text[:200], thread), thread)

    async def _is_heard(self, jid: str) -> bool:
        if jid in self._operators or await self._store.things_of(jid):
            return True
        log.debug("%s owns nothing here and is not answered", jid)
        return False

    async def _answer(self, owner: str, form: Element | None, text: str, thread: str) -> str:
        try:
            said: tuple[int | None, Reply] | None = questions.read_form(form) if form is not None else None
        except BadRequest as error:
            return str(error)
        said = said or questions.read_text(text)
        if said is None:
            return await self._command(owner, text)
        number, reply = said
        if number is None and thread.startswith("question-") and thread[9:].isdecimal():
            number = int(thread[9:])
        waiting = await self._open(owner)
        open_ = questions.meant(waiting, number, self._wall())
        if isinstance(open_, str):
            return open_
        if reply not in open_.replies:
            return f"Question {open_.number} can be answered with: {', '.join(open_.replies)}."
        return await self._act(owner, open_, reply)

    async def _open(self, owner: str) -> list[Open]:
        kept = await self._store.items(QUESTIONS + owner)
        return sorted(map(questions.from_json, kept.values()), key=lambda each: each.number)

    # ------------------------------------------------------------------ answers

    async def _act(self, owner: str, open_: Open, reply: Reply) -> str:
        if await self._store.take(QUESTIONS + owner, open_.key) is None:
            return f"Question {open_.number} is answered already."
        if not await self._owns(owner, open_):
            return f"{plain(open_.device)} is not yours any more; nothing has changed."
        rule = questions.rule_of(open_, reply, owner, self._wall())
        device, asker = ThingId(open_.device), open_.question.jid
        self._audit.record(owner, f"answer {in_words(open_.device, open_.question)} for {asker}", "owner", reply.value)
        log.info("%s answers %s: %s", owner, open_.key, reply.value)
        if reply is Reply.ONCE:
            await self._store.put(GRANTS, open_.key, self._as_grant(rule, open_.asked))
            await self._notices.add([device], "clearCache")
            told = f"Allowed once, within the next 5 minutes. {_trying_again(open_.question)}"
        else:
            rule = await self._store.add_rule(rule)
            await self._knowledge.look()
            told = f'Rule {rule.id}: {in_one_line(rule)}. "forget {rule.id}" takes it back.'
        if open_.question.right is Right.FRIEND and reply is not Reply.NEVER:
            await self._introduce(device, asker)
        return told

    def _as_grant(self, rule: Rule, asked: str) -> dict[str, Any]:
        return {
            "asked": asked, "owner": rule.owner, "until": (self._wall() + GRANT_LASTS).isoformat(),
            "types": rule.types.value,
            "nodes": [[node.node_id, node.source_id, node.cache_type] for node in rule.nodes],
            "names": list(rule.names),
        }  # fmt: skip

    async def _owns(self, owner: str, open_: Open) -> bool:
        place = await self._knowledge.place(open_.device)
        nodes = open_.question.nodes
        things = [place.at(node) for node in nodes] if nodes else [place.thing, *place.behind.values()]
        return any(thing.owner == owner for thing in things)

    async def _introduce(self, device: ThingId, other: str) -> None:
        """Recommend them to each other (XEP-0324 section 3.2.4): the other too where it is a thing that knows us."""
        await self._notices.add([device], "friend", {"jid": other})
        if other in await self._store.devices():
            await self._notices.add([ThingId(other)], "friend", {"jid": device.jid})

    # ------------------------------------------------------------------ commands

    async def _command(self, owner: str, text: str) -> str:
        word, _, rest = " ".join(text.lower().split()).partition(" ")
        match word:
            case "things":
                things = await self._store.things_of(owner)
                return _lines([_thing_line(thing) for thing in things], "You own no things.")
            case "rules":
                rules = [rule for rule in self._knowledge.book.rules if self._may_see(owner, rule)]
                return _lines([f"{rule.id}: {in_one_line(rule)}" for rule in rules], "There are no rules of yours.")
            case "questions":
                waiting = await self._open(owner)
                return _lines([f"{each.number}: {questions.wish(each.device, each.question)}" for each in waiting],
                              "There is no open question.")  # fmt: skip
            case "forget":
                return await self._forget(owner, rest)
            case "help" | "?":
                return HELP
            case _:
                return f"I do not understand that.\n{HELP}"

    def _may_see(self, jid: str, rule: Rule) -> bool:
        return rule.owner == jid or jid in self._operators

    async def _forget(self, owner: str, number: str) -> str:
        rule = next((each for each in self._knowledge.book.rules if str(each.id) == number.removeprefix("#")), None)
        if rule is None or not self._may_see(owner, rule):
            return 'There is no such rule of yours; "rules" lists them.'
        if await self._store.remove_rule(rule.id) is None:
            return f"Rule {rule.id} was gone already."
        await self._knowledge.look()
        self._audit.record(owner, f"forget rule {rule.id}", in_one_line(rule), "done")
        log.info("%s has taken back rule %d", owner, rule.id)
        return f"Forgotten: {in_one_line(rule)}."

    # ------------------------------------------------------------------ on the stream

    def _say(self, to: str, text: str, thread: str, form: Element | None = None) -> None:
        message = Element(f"{{{CLIENT}}}message", {"from": self._address, "to": to, "type": "chat"})
        SubElement(message, f"{{{CLIENT}}}body").text = text
        if thread:
            SubElement(message, f"{{{CLIENT}}}thread").text = thread[:100]
        if form is not None:
            message.append(form)
        self._send(message)


def in_one_line(rule: Rule) -> str:
    """"mary@example.org may read temperature of greenhouse@example.org (air)"."""
    who = ", ".join((*rule.who, *(f"group {group}" for group in rule.groups), *(f"token {t}" for t in rule.tokens)))
    verb = {Right.FRIEND: "know", Right.READ: "read", Right.CONTROL: "set"}[rule.right]
    names = f" {', '.join(map(plain, rule.names))} of" if rule.names else ""
    things = ", ".join(map(plain, rule.things)) or ("every thing" if not rule.owner else "all that is yours")
    nodes = f" ({', '.join(plain(node.node_id) for node in rule.nodes)})" if rule.nodes else ""
    kinds = "" if rule.types == FieldTypes.ALL or rule.right is not Right.READ else \
        " as " + ", ".join(sorted((kind.name or "").lower() for kind in rule.types))  # fmt: skip
    hours = ""
    if rule.hours is not None:
        days = "" if len(rule.hours.days) == 7 else " on days " + ",".join(map(str, sorted(rule.hours.days)))
        hours = f" from {rule.hours.start:%H:%M} to {rule.hours.end:%H:%M}{days} ({rule.hours.zone})"
    note = f" [{plain(rule.note)}]" if rule.note else ""
    allowed = "may" if rule.allow else "may not"
    return f"{who or 'everybody'} {allowed} {verb}{names} {things}{nodes}{kinds}{hours}{note}"


def _thing_line(thing: Registered) -> str:
    tags = ", ".join(f"{name} {plain(str(value))}" for name, value in sorted(thing.tags.items()) if name != "KEY")
    kind = "not in the registry" if thing.removed else "public" if thing.public else "private"
    return f"{plain(thing.id.jid)} {plain(thing.id.node.node_id)}".strip() + f" ({kind}){': ' if tags else ''}{tags}"


def _lines(lines: list[str], none: str) -> str:
    more = [f"and {len(lines) - MAX_LISTED} more"] if len(lines) > MAX_LISTED else []
    return "\n".join([*lines[:MAX_LISTED], *more]) or none


def _trying_again(question: Question) -> str:
    return f"{plain(question.jid)} has to ask for the same again."

