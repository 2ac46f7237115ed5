"""What an owner is shown and what his answer means."""

from __future__ import annotations

import datetime as dt
from xml.etree.ElementTree import Element, SubElement

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import BadRequest
from hub.provisioning import questions
from hub.provisioning.plain import plain, rule_of
from hub.provisioning.questions import MAX_SHOWN, Open, Reply
from hub.things.model import FieldTypes, NodeRef
from hub.things.questions import Question, Right
from tests.provisioning.desk import NOON

TEXTS = st.text(max_size=200)
QUESTIONS = st.builds(
    Question, st.sampled_from(Right), TEXTS, st.none() | st.lists(st.builds(NodeRef, TEXTS), max_size=30).map(tuple),
    st.lists(TEXTS, max_size=30).map(tuple), st.sampled_from([FieldTypes(0), FieldTypes.MOMENTARY, FieldTypes.ALL]),
)  # fmt: skip


def open_(number: int = 1, age: float = 60, **more: object) -> Open:
    question = Question(Right.READ, "ann@x", **more)  # type: ignore[arg-type]  # tests know
    return Open(number, "thing@x", question, NOON - dt.timedelta(seconds=age), "")


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("always", (None, Reply.ALWAYS)), (" Always. ", (None, Reply.ALWAYS)), ("2", (None, Reply.ALWAYS)),
        ("7 always", (7, Reply.ALWAYS)), ("#7 never!", (7, Reply.NEVER)), ("7: once", (7, Reply.ONCE)),
        ("7 2", (7, Reply.ALWAYS)), ("only this field", (None, Reply.FIELD)), ("3", (None, Reply.FIELD)),
        ("7", None), ("yes", None), ("always not", None), ("not always", None), ("", None), ("5", None),
        ("rules", None), ("forget 2", None), ("1" * 30 + " always", None),
    ],
)  # fmt: skip
def test_texts_are_read(text: str, meaning: object) -> None:
    assert questions.read_text(text) == meaning


def test_a_text_without_a_number_needs_one_question_that_has_been_there_for_a_while() -> None:
    one, other, fresh = open_(1), open_(2), open_(3, age=1)
    assert questions.meant([one], None, NOON) == one
    assert "Which one?" in str(questions.meant([one, other], None, NOON))
    assert "Which one?" in str(questions.meant([fresh], None, NOON))
    assert questions.meant([fresh], 3, NOON) == fresh
    assert questions.meant([one, other], 2, NOON) == other
    assert questions.meant([one], 9, NOON) == "There is no open question 9."
    assert questions.meant([], None, NOON) == "There is no open question."


@given(QUESTIONS, st.integers(1, 10**8))
def test_whatever_strangers_write_is_shown_as_plain_lines_and_kept_as_it_was(question: Question, number: int) -> None:
    made = Open(number, "thing@x", question, NOON, "f")
    shown = questions.body(made)
    first, *rest = shown.split("\n")
    assert all(line.isprintable() for line in (first, *rest))
    assert rest[0] == "Answer with a number or a word:" and len(rest) == len(made.replies) + 2
    assert questions.from_json(questions.to_json(made)) == made
    questions.form(made)


def test_what_cannot_be_shown_is_not_offered() -> None:
    names = tuple(f"f{number}" for number in range(MAX_SHOWN + 1))
    assert Reply.FIELD in open_(names=names[:-1]).replies
    assert Reply.FIELD not in open_(names=names).replies and Reply.FIELD not in open_().replies


def test_what_answers_mean_as_rules() -> None:
    asked = open_(nodes=(NodeRef("air"),), names=("temperature",), types=FieldTypes.MOMENTARY)
    made = {reply: questions.rule_of(asked, reply, "owner@x", NOON) for reply in Reply}
    for reply, rule in made.items():
        assert (rule.owner, rule.who, rule.things) == ("owner@x", ("ann@x",), ("thing@x",))
        assert rule.allow == (reply is not Reply.NEVER)
        assert rule_of(plain(rule)) == rule, "the store can keep it"
    assert made[Reply.NEVER].nodes == () and made[Reply.NEVER].names == ()
    assert made[Reply.ALWAYS].nodes == (NodeRef("air"),) and made[Reply.ALWAYS].names == ()
    for reply in (Reply.ONCE, Reply.FIELD):
        assert made[reply].names == ("temperature",) and made[reply].types is FieldTypes.MOMENTARY


def submitted(**values: str) -> Element:
    form = Element("{jabber:x:data}x", type="submit")
    for var, value in values.items():
        SubElement(SubElement(form, "{jabber:x:data}field", var=var), "{jabber:x:data}value").text = value
    return form


def test_forms_are_read() -> None:
    assert questions.read_form(submitted(FORM_TYPE=questions.FORM_TYPE, question="7", answer="never")) == (7, "never")
    assert questions.read_form(submitted(FORM_TYPE="another", question="7", answer="never")) is None
    assert questions.read_form(Element("{jabber:x:data}x", type="cancel")) is None
    for wrong in ({"question": "7", "answer": "perhaps"}, {"question": "x", "answer": "once"}, {"question": "²"}):
        with pytest.raises(BadRequest):
            questions.read_form(submitted(**wrong))
