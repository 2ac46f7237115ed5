"""What XML cannot carry never reaches the stream: a server would end it, again and again."""

from __future__ import annotations

import datetime as dt

import pytest

from devices.base import FieldSpec, NotResponding, ValueType
from hub.config.file import parse
from hub.errors import ConfigError
from hub.things.thing import Description, Thing
from hub.things.values import mended, parse_text

NOW = dt.datetime(2026, 11, 21, 8, 0, tzinfo=dt.UTC)
ILLEGAL = ["\x00", "a\x1bb", "\x0b", "\ud800", "\ufffe", "\x7f\x08"]


@pytest.mark.parametrize("text", ILLEGAL)
def test_a_text_with_control_characters_is_no_value(text: str) -> None:
    with pytest.raises(ValueError, match="control characters"):
        parse_text(ValueType.STRING, text)


@pytest.mark.parametrize("text", ["tab\t, line\n", "°C", "\U0001f321", ""])
def test_everything_else_is(text: str) -> None:
    assert parse_text(ValueType.STRING, text) == mended(text) == text


def test_a_part_that_measures_one_has_trouble_with_that_field_only() -> None:
    thing = Thing(Description("a", fields=(FieldSpec("s", ValueType.STRING), FieldSpec("n"))))
    thing.measured_at({"s": "a\x00b", "n": 1}, NOW)
    assert set(thing.values) == {"n"}
    assert thing.trouble is not None and thing.trouble.text == "s: has control characters, which no XML can carry"


def test_the_words_of_a_failure_are_mended() -> None:
    thing = Thing(Description("a"))
    thing.failed(NotResponding("it said \x00\x1b"), NOW)
    assert thing.trouble is not None and thing.trouble.text == "it said \ufffd\ufffd"
    assert not thing.failed(NotResponding("it said \x00\x1b"), NOW)  # the same again is no news


def test_a_label_cannot_have_one() -> None:
    with pytest.raises(ConfigError, match=r"things\.a\.label: .* a text without control characters"):
        parse(
            """
            [xmpp]
            jid = "a@b"
            password_file = "/x"
            [things.a]
            driver = "simulated"
            label = "\\u001b[2J"
            """
        )
