"""Sessions, without a browser."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from hub.config.dashboard import User
from hub.dashboard.sessions import LIFETIME_S, MAX_SESSIONS, Sessions
from hub.dashboard.view import Visitor
from tests.dashboard.scripted import ScriptedBoard

ANN = Visitor("ann", True)


class Clock:
    def __init__(self) -> None:
        self.now = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "sessions.json"


def sessions(file: Path | None, clock: Clock, password: str = "hash", users: tuple[str, ...] = ("ann",)) -> Sessions:
    board = ScriptedBoard("x", {name: ("secret", True) for name in users} or {"nobody": ("", False)})
    return Sessions(board, {name: User(password_hash=password) for name in users}, file, clock)


def test_what_is_kept_does_not_open_a_session(file: Path, clock: Clock) -> None:
    token = sessions(file, clock).open("ann")
    assert token not in file.read_text()
    (kept,) = json.loads(file.read_text())
    assert sessions(file, clock).visitor(Sessions.id_of(kept)) is None
    assert file.stat().st_mode & 0o777 == 0o600


def test_it_outlives_a_start_but_not_its_time_its_user_or_his_password(file: Path, clock: Clock) -> None:
    session = Sessions.id_of(sessions(file, clock).open("ann"))
    assert sessions(file, clock).visitor(session) == ANN
    assert sessions(file, clock, password="other").visitor(session) is None
    assert sessions(file, clock, users=()).visitor(session) is None
    late = sessions(file, clock)
    clock.now += LIFETIME_S + 1
    assert late.visitor(session) is None
    assert sessions(file, clock).visitor(session) is None


def test_logging_out_is_kept(file: Path, clock: Clock) -> None:
    first = sessions(file, clock)
    session = Sessions.id_of(first.open("ann"))
    first.close(session)
    assert first.visitor(session) is None
    assert sessions(file, clock).visitor(session) is None


def test_there_is_an_end_to_them(clock: Clock) -> None:
    many = sessions(None, clock)
    tokens = [many.open("ann") for _ in range(MAX_SESSIONS + 1)]
    assert many.visitor(Sessions.id_of(tokens[0])) is None
    assert many.visitor(Sessions.id_of(tokens[1])) == many.visitor(Sessions.id_of(tokens[-1])) == ANN


BROKEN = ("", "[]", "{", '{"a": 1}', '{"a": {"name": "ann", "ends": "x", "stamp": ""}}', "\0" * 9)


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_file_costs_log_ins_only(
    file: Path, clock: Clock, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    file.parent.mkdir()
    file.write_text(text)
    anew = sessions(file, clock)
    assert "who was logged in is not known any more" in caplog.text
    session = Sessions.id_of(anew.open("ann"))
    assert sessions(file, clock).visitor(session) == ANN


def test_a_folder_that_cannot_be_written_costs_log_ins_only(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    caplog.set_level(logging.WARNING)
    here = sessions(tmp_path / "file" / "sessions.json", clock)
    assert here.visitor(Sessions.id_of(here.open("ann"))) == ANN
    assert "again after the next start" in caplog.text
