"""Decisions in the log: each that is new, and those that repeat as a count."""

from __future__ import annotations

from hub.services.decisions import DecisionLog
from hub.things.model import NodeRef
from hub.things.questions import REFUSED, Question, Right, Verdict

ONE = Question(Right.READ, "ann@x", (NodeRef("air"),), ("temperature", "humidity"))
MANY = Question(Right.READ, "ann@x", tuple(NodeRef(f"t{n}") for n in range(30)), ("level",))


class Recorder:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str, str]] = []
        self.now = 0.0
        self.log = DecisionLog(self, lambda: self.now)

    def record(self, who: str, what: str, rule: str, answer: str) -> None:
        self.lines.append((who, what, rule, answer))

    async def record_now(self, who: str, what: str, rule: str, answer: str) -> None:
        raise AssertionError("a decision waits for no disk")

    def decided(self, question: Question, left: Verdict, remembered: bool = True) -> None:
        self.log.decided(question, left, "cache" if remembered else "server", remembered=remembered)

    @property
    def answers(self) -> list[str]:
        return [answer for *_, answer in self.lines]


async def test_what_is_decided_anew_is_written_each_time() -> None:
    made = Recorder()
    for _ in range(3):
        made.decided(ONE, REFUSED, remembered=False)
    made.log.close()
    assert made.lines == [("ann@x", "read air: temperature, humidity", "server", "refused")] * 3


async def test_what_is_remembered_is_written_once_and_counted_within_a_minute() -> None:
    made = Recorder()
    for second in range(90):
        made.now = float(second)
        made.decided(ONE, Verdict(True, ONE.nodes, ONE.names))
    made.decided(ONE, REFUSED)
    assert made.answers == ["allowed", "allowed, 59 times more within 60 s", "refused"]
    made.log.close()
    assert made.answers[3:] == ["allowed, 30 times more within 29 s"]


async def test_what_is_left_is_told() -> None:
    made = Recorder()
    left = Verdict(True, MANY.nodes[:2] if MANY.nodes else None, MANY.names)
    for _ in range(2):
        made.decided(MANY, left)
    made.decided(MANY, Verdict(True, MANY.nodes, MANY.names))
    made.log.close()
    assert made.answers == ["in part: t0, t1: level", "allowed", "in part: t0, t1: level, once more within 0 s"]
    assert {what for _, what, *_ in made.lines} == {"read " + ", ".join(f"t{n}" for n in range(30)) + ": level"}


async def test_words_are_those_of_this_very_question_however_many_come() -> None:
    made = Recorder()
    for number in range(400):
        nodes = tuple(NodeRef(f"{number}-{n}") for n in range(20))
        question = Question(Right.READ, "ann@x", nodes, ("level",))
        made.decided(question, Verdict(True, nodes[:1], question.names), remembered=False)
        _, what, _, answer = made.lines[-1]
        assert what.startswith(f"read {number}-0, ") and answer == f"in part: {number}-0: level"
