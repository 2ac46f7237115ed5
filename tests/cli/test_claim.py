"""`hub claim`, `remove` and `disown`: what is said where nothing comes of it. What does is in `tests/e2e`."""

from __future__ import annotations

import io
import itertools
import os
from pathlib import Path

import pytest

from hub.cli import claim_code
from hub.cli.claim_code import PICTURES
from hub.programs.node_trust import RECORD
from hub.trust.ownership import Event, Ownership
from tests.cli.conftest import House, hub

URI = "iotdisco:MODEL=xmpp-iot-hub;KEY=0123456789;R=provisioning.localhost"


@pytest.mark.parametrize(("arguments", "code", "says"), [
    (["claim"], 2, "name the URI"),
    (["claim", "--show"], 2, "--show takes --config FILE"),
    (["claim", "--show", URI, "--config", "x"], 2, "--show takes --config FILE"),
    (["claim", "https://example.org"], 2, "a claim begins with IoTDisco; or iotdisco:"),
    (["claim", "iotdisco:MODEL~x;KEY=1"], 2, "is a search"),
    (["claim", "iotdisco:MODEL=x"], 2, "quotes"),
    (["claim", URI], 1, "not-allowed"),  # Prosody does not talk to other servers here
    (["claim", "iotdisco:MODEL=x;KEY=1"], 1, "localhost hosts no registry: name one with --registry"),
    (["disown", "greenhouse@localhost"], 1, "localhost hosts no registry"),
    (["remove", "a@localhost", "--registry", "pubsub.localhost"], 1, "pubsub.localhost says no: it is no registry"),
])  # fmt: skip
def test_an_error_is_one_sentence_and_an_exit_code(house: House, arguments: list[str], code: int, says: str) -> None:
    ran = hub(*arguments, "--timeout", "5", account=house.owner)
    assert (ran.code, ran.out) == (code, ""), ran
    assert says in ran.err
    assert "Traceback" not in ran.err


# --------------------------------------------------------------------------- what a hub shows


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "hub.toml"
    made.write_text(
        f'[xmpp]\njid = "greenhouse@example.org"\npassword_file = "p"\n[node]\nstate_dir = "{tmp_path}/state"\n'
        '[trust]\nserver = "Provisioning.example.org"\nmeta = { sn = "0001", V = 1.50 }\n'
    )
    return made


def ownership(file: Path) -> Ownership:
    numbers = itertools.count(1)
    return Ownership(file.parent / "state" / RECORD, lambda: f"key{next(numbers)}")


def test_what_claims_a_hub_is_shown_by_the_hub_while_nobody_owns_it(file: Path) -> None:
    early = hub("claim", "--show", "--config", str(file))
    assert early.code == 1 and "has not registered yet" in early.err
    owned = ownership(file)
    owned.apply(Event.REGISTERED)
    shown = hub("claim", "--show", "--config", str(file))
    assert shown.code == 0
    *picture, uri = shown.out.strip().splitlines()
    assert uri == "iotdisco:MODEL=xmpp-iot-hub;SN=0001;#V=1.5;KEY=key1;R=provisioning.example.org"
    assert len([line for line in picture if "█" in line or "▀" in line or "▄" in line or "\x1b[" in line]) > 10
    assert "Whoever scans this code" in shown.err
    owned.apply(Event.CLAIMED, "owner@example.org")
    late = hub("claim", "--show", "--config", str(file))
    assert (late.code, late.out) == (1, "") and "belongs to owner@example.org already" in late.err


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("encoding", "columns", "hidden"), [
    ("utf-8", 80, ""), ("utf-8", 40, "columns, and there are 40"), ("latin-1", 80, "no block characters (latin-1)"),
])  # fmt: skip
def test_a_terminal_that_cannot_show_the_code_shows_the_uri(
    encoding: str, columns: int, hidden: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", Terminal(written, encoding))
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((columns, 24)))
    claim_code.show(URI)
    *picture, uri = written.getvalue().decode(encoding).splitlines()
    assert uri == URI and bool(picture) == (not hidden)
    assert all(len(line) <= columns for line in picture)
    assert hidden in capsys.readouterr().err


def test_a_hub_with_access_lists_has_nothing_to_show(file: Path) -> None:
    file.write_text(file.read_text().partition("[trust]")[0])
    ran = hub("claim", "--show", "--config", str(file))
    assert ran.code == 1 and "has no [trust]" in ran.err


def test_the_pictures_are_for_the_hubs_user_alone_and_go_with_the_search(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    claim_code.searching(tmp_path, tmp_path / "hub.toml", URI)
    assert (tmp_path / "claim.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "claim.svg").read_bytes()
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in PICTURES} == {0o600}
    assert "hub claim --show" in caplog.text and "0123456789" not in caplog.text
    claim_code.searching(tmp_path, tmp_path / "hub.toml", None)
    claim_code.searching(tmp_path, tmp_path / "hub.toml", None)
    assert list(tmp_path.iterdir()) == []
