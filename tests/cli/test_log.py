"""The log: nobody else writes lines into it, and the journal gets its levels."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from hub.cli.log import start_log
from hub.errors import ConfigError, Fault, NotFound


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """The root logger as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("sent", ["a\n2026 INFO well", "a\r\x1b[2Jb", "a\u2028b", NotFound("no such node: a\nb")])
def test_what_a_peer_sent_stays_in_its_line(sent: object, capsys: pytest.CaptureFixture[str]) -> None:
    start_log(verbose=False)
    logging.getLogger("hub.commands").warning("%s: %s", "owner@example.org", sent)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_what_is_ours_may_have_several_lines(capsys: pytest.CaptureFixture[str]) -> None:
    start_log(verbose=False)
    faults = ConfigError("hub.toml", [Fault("a", "1", "2"), Fault("b", "1", "2")])
    logging.getLogger("hub").error("not reloaded:\n%s", faults)
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_letters_of_the_world_are_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    start_log(verbose=False)
    logging.getLogger("hub").warning("%s", "Gewächshaus 21.5 °C")
    assert "Gewächshaus 21.5 °C" in capsys.readouterr().err


def test_the_journal_gets_a_level_for_every_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    start_log(verbose=False)
    logging.getLogger("hub").error("one\ntwo")
    assert capsys.readouterr().err == "<3>one\n<3>two\n"
