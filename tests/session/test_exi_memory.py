"""Agreements across restarts: found again by the same node for the same proposal, and never in the way."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from hub import exi
from hub.session.exi_client import Agreement
from hub.session.exi_memory import Agreements
from hub.session.exi_setup import SchemaFile, Settings, Setup

SCHEMA = SchemaFile.of("urn:one", b"<one/>")
PROPOSAL = Setup(Settings(exi.Options(value_max_length=64), session_wide=True), (SCHEMA,))
AGREED = Agreement(Settings(exi.Options(value_max_length=32), session_wide=True), (SCHEMA,), "id")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "exi.json"


@pytest.fixture
def kept(path: Path) -> Path:
    Agreements(path).remember("home.example", PROPOSAL, AGREED)
    return path


def test_the_next_process_remembers(kept: Path) -> None:
    assert Agreements(kept).recall("home.example", PROPOSAL) == AGREED
    assert Agreements(kept).recall("other.example", PROPOSAL) is None


def test_another_proposal_is_another_agreement(kept: Path) -> None:
    other = Setup(PROPOSAL.settings, (SchemaFile.of("urn:one", b"<one />"),))
    assert Agreements(kept).recall("home.example", other) is None


def test_what_is_forgotten_stays_forgotten(kept: Path) -> None:
    Agreements(kept).forget("home.example")
    assert Agreements(kept).recall("home.example", PROPOSAL) is None


def test_an_agreement_without_a_name_is_none_to_remember(path: Path) -> None:
    Agreements(path).remember("home.example", PROPOSAL, Agreement(AGREED.settings, AGREED.schemas))
    assert not path.exists()


def test_without_a_file_it_lasts_as_long_as_the_process() -> None:
    agreements = Agreements(None)
    agreements.remember("home.example", PROPOSAL, AGREED)
    assert agreements.recall("home.example", PROPOSAL) == AGREED


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{", b"[" * 100_000, b'{"home.example": {"id": 1}}'])
def test_a_file_that_is_none_is_begun_anew(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    agreements = Agreements(path)
    assert agreements.recall("home.example", PROPOSAL) is None
    agreements.remember("home.example", PROPOSAL, AGREED)
    assert Agreements(path).recall("home.example", PROPOSAL) == AGREED


@pytest.mark.parametrize("agreed", ["<", "<setup xmlns='http://jabber.org/protocol/compress/exi' version='2'/>"])
def test_an_entry_that_is_none_costs_a_longer_set_up(
    kept: Path, agreed: str, caplog: pytest.LogCaptureFixture
) -> None:
    content: Any = json.loads(kept.read_text())
    content["home.example"]["agreed"] = agreed
    kept.write_text(json.dumps(content))
    assert Agreements(kept).recall("home.example", PROPOSAL) is None
    assert "cannot be used" in caplog.text


def test_a_folder_that_takes_no_file_costs_a_line_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "state").write_text("a file where a folder should be")
    with caplog.at_level(logging.WARNING):
        agreements = Agreements(tmp_path / "state" / "exi.json")
        agreements.remember("home.example", PROPOSAL, AGREED)
    assert "cannot be written" in caplog.text
    assert agreements.recall("home.example", PROPOSAL) == AGREED
