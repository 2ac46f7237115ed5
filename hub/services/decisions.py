"""Decisions in the log while a hub runs: each is there, and those that repeat are there as a count.

Rules of this file
* What somebody decided anew is written each time. What comes out of a memory and is the same as a moment ago is
  counted (`hub.trust.folded`): an SD card survives a reader who asks every second. A kill costs a minute of counts.
* The words of many nodes and names are made once while they are the same objects: a decision takes microseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Final

from hub.errors import Forbidden
from hub.things.model import Command, NodeRef, ReadoutRequest, Tokens
from hub.things.questions import REFUSED, Question, Right, Verdict, bare, is_whole
from hub.trust.access import FormScope, Judge
from hub.trust.audit import Recorder, words
from hub.trust.folded import WINDOW_S, Folded

MAX_WORDED: Final = 100  # of which the words are kept
LONG: Final = 16  # nodes and names whose words are kept

Line = tuple[str, str, str, str]
"""Who, what, rule and answer, as they are recorded."""


class DecisionLog:
    """`clock`: seconds that only grow."""

    def __init__(self, recorder: Recorder, clock: Callable[[], float]) -> None:
        self._recorder, self._clock = recorder, clock
        self._folded: Folded[Line] = Folded()
        self._scopes: dict[tuple[Right, int, int], tuple[tuple[NodeRef, ...], tuple[str, ...], str]] = {}
        self._parts: dict[int, tuple[Verdict, str]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def decided(self, question: Question, left: Verdict, rule: str, *, remembered: bool) -> None:
        """`remembered`: it is what was decided before."""
        line = (question.jid, self._asked(question), rule, self._answer(question, left))
        if not remembered:
            self._recorder.record(*line)
            return
        now = self._clock()
        self._write(self._folded.due(now))
        if self._folded.first(line, now):
            self._recorder.record(*line)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WINDOW_S, self._look)

    def close(self) -> None:
        """What was counted is written."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._write(self._folded.rest(self._clock()))

    def _look(self) -> None:
        self._write(self._folded.due(self._clock()))
        self._timer = asyncio.get_running_loop().call_later(WINDOW_S, self._look) if self._folded else None

    def _write(self, counted: list[tuple[Line, int, float]]) -> None:
        for (who, what, rule, answer), count, seconds in counted:
            times = "once more" if count == 1 else f"{count} times more"
            self._recorder.record(who, what, rule, f"{answer}, {times} within {seconds:.0f} s")

    def _asked(self, question: Question) -> str:
        nodes, names = question.nodes or (), question.names
        if len(nodes) + len(names) < LONG:
            return asked_in_words(question)
        key = (question.right, id(question.nodes), id(names))
        known = self._scopes.get(key)
        if known is None:
            if len(self._scopes) >= MAX_WORDED:
                self._scopes.clear()
            known = self._scopes[key] = (nodes, names, asked_in_words(question))  # kept, so that no id is another's
        return known[2]

    def _answer(self, question: Question, left: Verdict) -> str:
        if not left.allowed:
            return "refused"
        if is_whole(question, left):
            return "allowed"
        known = self._parts.get(id(left))
        if known is None:
            if len(self._parts) >= MAX_WORDED:
                self._parts.clear()
            part = words("", [node.node_id for node in left.nodes or ()], left.names)
            known = self._parts[id(left)] = (left, f"in part: {part}")
        return known[1]


class Recorded:
    """A judge that asks nobody, with every decision of his in the log."""

    def __init__(self, judge: Judge, log: DecisionLog) -> None:
        self._judge, self._log = judge, log

    @property
    def name(self) -> str:
        return self._judge.name

    async def may_read(self, caller: str, request: ReadoutRequest) -> ReadoutRequest:
        question = Question(Right.READ, bare(caller), request.nodes, request.names, request.types)
        with self._deciding(question):
            return await self._judge.may_read(caller, request)

    async def may_control(self, caller: str, command: Command) -> Command:
        return await self._judge.may_control(caller, command)  # every command is logged with its values and who decided

    async def may_see_form(self, caller: str, nodes: tuple[NodeRef, ...] | None, shown: Tokens) -> FormScope:
        with self._deciding(Question(Right.CONTROL, bare(caller), nodes)):
            return await self._judge.may_see_form(caller, nodes, shown)

    async def may_know(self, caller: str) -> bool:
        return self._decided(Question(Right.FRIEND, bare(caller)), await self._judge.may_know(caller))

    async def may_follow(self, caller: str) -> bool:
        return self._decided(Question(Right.FRIEND, bare(caller)), await self._judge.may_follow(caller))

    async def may_watch(self, caller: str, thing: str) -> bool:
        question = Question(Right.READ, bare(caller), (NodeRef(thing),))
        return self._decided(question, await self._judge.may_watch(caller, thing))

    async def may_stay(self, caller: str, thing: str | None = None) -> bool:
        question = Question(Right.FRIEND if thing is None else Right.READ, bare(caller),
                            None if thing is None else (NodeRef(thing),))  # fmt: skip
        return self._decided(question, await self._judge.may_stay(caller, thing))

    @contextlib.contextmanager
    def _deciding(self, question: Question) -> Iterator[None]:
        try:
            yield
        except Forbidden:
            self._decided(question, False)
            raise
        self._decided(question, True)

    def _decided(self, question: Question, allowed: bool) -> bool:
        left = Verdict(True, question.nodes, question.names, question.types) if allowed else REFUSED
        self._log.decided(question, left, self.name, remembered=True)
        return allowed


def asked_in_words(question: Question) -> str:
    return words(question.right, [node.node_id for node in question.nodes or ()], question.names)
