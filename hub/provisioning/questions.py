"""What an owner is asked and what he may answer, in words and as a form; what becomes of it, as a rule. Pure.

Rules of this file
* What strangers have written (JIDs, names of nodes and fields) is shown as one line of plain characters, and what is
  too long to be shown is not offered: nobody allows what he cannot see.
* A rule made here speaks of one person and one thing. "Always" is about the nodes that were asked for, "never" about
  the whole thing.
* A text without the number of a question counts only where one question is open, and not at the moment it came: an
  answer must not hit a question that its owner has not read.
"""

from __future__ import annotations

import datetime as dt
import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from xml.etree.ElementTree import Element, SubElement

from hub.errors import BadRequest
from hub.provisioning.model import Rule
from hub.stanzas.forms import DATA
from hub.things.model import FieldTypes, NodeRef, Tokens
from hub.things.questions import Question, Right
from hub.trust.cache import digest

FORM_TYPE: Final = "urn:xmpp-iot-hub:owner"
MAX_SHOWN: Final = 20  # nodes or names
MAX_NAME: Final = 80  # characters of one
JUST_NOW: Final = dt.timedelta(seconds=5)


class Reply(enum.StrEnum):
    ONCE = "once"
    ALWAYS = "always"
    FIELD = "field"
    NEVER = "never"


_WORDS = {
    "1": Reply.ONCE, "once": Reply.ONCE,
    "2": Reply.ALWAYS, "always": Reply.ALWAYS,
    "3": Reply.FIELD, "field": Reply.FIELD, "only this field": Reply.FIELD, "only these fields": Reply.FIELD,
    "4": Reply.NEVER, "never": Reply.NEVER,
}  # fmt: skip
_TEXT = re.compile(r"(?:#?(\d{1,9})[\s:]+)?(" + "|".join(sorted(_WORDS, key=len, reverse=True)) + r")[.!]?")


@dataclass(frozen=True, slots=True)
class Open:
    """A question that waits for its owner. `number` is his."""

    number: int
    device: str
    question: Question
    created: dt.datetime
    asked: str
    """What the device asked, of which `question` is the part that is this owner's: see `fingerprint`."""

    @property
    def key(self) -> str:
        return key_of(self.device, self.question)

    @property
    def replies(self) -> tuple[Reply, ...]:
        names = self.question.names
        if self.question.right is Right.FRIEND or not names or len(names) > MAX_SHOWN:
            return (Reply.ONCE, Reply.ALWAYS, Reply.NEVER)
        return tuple(Reply)


def fingerprint(question: Question) -> str:
    """The same for the same question, whatever is shown with it."""
    return digest("", replace(question, tokens=Tokens())).hex()


def key_of(device: str, question: Question) -> str:
    """One question at a time for this: who wants what of which thing."""
    return f"{question.right.value} {device} {question.jid}"


# --------------------------------------------------------------------------- kept in a store


def to_json(open_: Open) -> dict[str, Any]:
    question = open_.question
    return {
        "number": open_.number, "device": open_.device, "created": open_.created.isoformat(),
        "right": question.right.value, "jid": question.jid, "names": list(question.names),
        "nodes": None if question.nodes is None else [[n.node_id, n.source_id, n.cache_type] for n in question.nodes],
        "types": question.types.value, "asked": open_.asked,
    }  # fmt: skip


def from_json(kept: dict[str, Any]) -> Open:
    nodes = None if kept["nodes"] is None else tuple(NodeRef(*parts) for parts in kept["nodes"])
    question = Question(Right(kept["right"]), kept["jid"], nodes, tuple(kept["names"]), FieldTypes(kept["types"]))
    return Open(kept["number"], kept["device"], question, dt.datetime.fromisoformat(kept["created"]), kept["asked"])


# --------------------------------------------------------------------------- what the owner sees


def plain(text: str) -> str:
    """One line of characters that can be seen."""
    line = "".join(c if c.isprintable() else "\ufffd" for c in " ".join(text.split()))
    return line if len(line) <= MAX_NAME else line[: MAX_NAME - 1] + "…"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(plain(name) for name in names[:MAX_SHOWN])
    return shown if len(names) <= MAX_SHOWN else f"{shown} and {len(names) - MAX_SHOWN} more"


def wish(device: str, question: Question) -> str:
    """"mary@example.org wants to read temperature of greenhouse@example.org (air)"."""
    who, thing = plain(question.jid), plain(device)
    if question.right is Right.FRIEND:
        return f"{who} wants to know {thing}, and to see when it is online"
    verb = "read" if question.right is Right.READ else "set"
    what = f"{_listed(question.names)} of " if question.names else "" if verb == "read" else "everything of "
    return f"{who} wants to {verb} {what}{thing}{_nodes(question)}"


def _nodes(question: Question) -> str:
    nodes = [node.node_id for node in question.nodes or () if node.node_id]
    return f" ({_listed(nodes)})" if nodes else ""


def _label(open_: Open, reply: Reply) -> str:
    question, thing = open_.question, plain(open_.device)
    if reply is Reply.ONCE:
        return "once, within the next 5 minutes"
    if question.right is Right.FRIEND:
        return reply.value
    verb = "read" if question.right is Right.READ else "set"
    if reply is Reply.NEVER:
        return f"never: nothing there is to {verb} of {thing}"
    if reply is Reply.ALWAYS:
        return f"always: all there is to {verb} of {thing}{_nodes(question)}"
    return f"always, but only {'this field' if len(question.names) == 1 else 'these fields'}: {_listed(question.names)}"


def body(open_: Open) -> str:
    numbers = {reply: number for number, reply in _WORDS.items() if number.isdigit()}
    lines = [f"{wish(open_.device, open_.question)}.", "Answer with a number or a word:"]
    lines += [f"{numbers[reply]} {_label(open_, reply)}" + (' (or "field")' if reply is Reply.FIELD else "")
              for reply in open_.replies]  # fmt: skip
    lines.append(f"This is question {open_.number}: with others open, answer \"{open_.number} always\" and so on. "
                 "Until you answer it is refused, and the question ends after a day.")  # fmt: skip
    return "\n".join(lines)


def form(open_: Open) -> Element:
    """The same as a form (XEP-0004)."""
    made = Element(_x("x"), type="form")
    SubElement(made, _x("title")).text = f"Question {open_.number}"
    SubElement(made, _x("instructions")).text = f"{wish(open_.device, open_.question)}."
    for var, value in (("FORM_TYPE", FORM_TYPE), ("question", str(open_.number))):
        SubElement(SubElement(made, _x("field"), var=var, type="hidden"), _x("value")).text = value
    field = SubElement(made, _x("field"), var="answer", type="list-single", label="Your answer")
    SubElement(field, _x("required"))
    for reply in open_.replies:
        SubElement(SubElement(field, _x("option"), label=_label(open_, reply)), _x("value")).text = reply.value
    return made


# --------------------------------------------------------------------------- what he answers


def read_form(submitted: Element) -> tuple[int, Reply] | None:
    """(question, reply); None for a form that is not ours or was cancelled. Raises BadRequest for one that is no
    answer."""
    if submitted.get("type") != "submit":
        return None
    values = {field.get("var", ""): field.findtext(_x("value")) or "" for field in submitted.findall(_x("field"))[:20]}
    number, answer = values.get("question", ""), values.get("answer", "")
    if values.get("FORM_TYPE", FORM_TYPE) != FORM_TYPE or not number:
        return None
    if not (number.isdecimal() and len(number) < 10) or answer not in list(Reply):
        raise BadRequest("That form does not answer a question.")
    return int(number), Reply(answer)


def read_text(text: str) -> tuple[int | None, Reply] | None:
    """(question or None, reply); None for a text that is none."""
    found = _TEXT.fullmatch(" ".join(text.lower().split()))
    return (int(found[1]) if found[1] else None, _WORDS[found[2]]) if found else None


def meant(questions: Sequence[Open], number: int | None, now: dt.datetime) -> Open | str:
    """The question that a reply is about, or what to say to the owner instead."""
    if number is not None:
        named = [each for each in questions if each.number == number]
        return named[0] if len(named) == 1 else f"There is no open question {number}."
    if not questions:
        return "There is no open question."
    if len(questions) > 1 or now - questions[0].created < JUST_NOW:
        lines = [f"{each.number}: {wish(each.device, each.question)}" for each in questions]
        asked = f'Which one? Answer with its number first, like "{questions[-1].number} always".'
        return "\n".join([asked, *lines])
    return questions[0]


# --------------------------------------------------------------------------- what becomes of it


def rule_of(open_: Open, reply: Reply, owner: str, now: dt.datetime) -> Rule:
    """The rule that a reply means; of ONCE, one that is used up."""
    question = open_.question
    rule = Rule(question.right, reply is not Reply.NEVER, owner=owner, who=(question.jid,), things=(open_.device,),
                nodes=question.nodes or (), note=f"{reply.value}, answered on {now:%Y-%m-%d}")  # fmt: skip
    if reply is Reply.NEVER:
        return Rule(rule.right, False, owner=owner, who=rule.who, things=rule.things, note=rule.note)
    if reply is Reply.ALWAYS:
        return rule
    return Rule(rule.right, True, owner=owner, who=rule.who, things=rule.things, nodes=rule.nodes,
                names=question.names, types=question.types or FieldTypes.ALL, note=rule.note)  # fmt: skip


def _x(name: str) -> str:
    return f"{{{DATA}}}{name}"
