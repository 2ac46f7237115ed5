"""`hub audit`: the log shown and checked from a terminal."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from hub.trust.audit import Record
from hub.trust.auditfiles import LogFiles
from tests.cli.conftest import hub

DAY = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
RECORDS = (
    Record(DAY, "ann@example.org", "read boiler: temperature", "[access]", "yes"),
    Record(DAY + dt.timedelta(hours=1), "bob@example.org", "control lamp: output=1", "rule 3", "refused"),
    Record(DAY + dt.timedelta(hours=2), "eve@example.com", "read boiler2\x1b[2J", "", "refused"),
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    files = LogFiles(tmp_path / "audit.jsonl")
    files.append(RECORDS)
    files.close()
    return files.path


@pytest.mark.parametrize(("options", "numbers"), [
    ((), [1, 2, 3]),
    (("--who", "*@example.org"), [1, 2]),
    (("--who", "Bob@example.org"), [2]),
    (("--thing", "boiler"), [1]),
    (("--thing", "output"), [2]),
    (("--since", "2026-05-01T00:30:00Z", "--until", "2026-05-01T01:30:00Z"), [2]),
    (("--since", "1ms"), []),
    (("--last", "1"), [3]),
    (("--last", "0"), [1, 2, 3]),
])  # fmt: skip
def test_it_shows_what_is_asked_for(log: Path, options: tuple[str, ...], numbers: list[int]) -> None:
    ran = hub("audit", "show", "--file", str(log), "--json", *options)
    assert (ran.code, [json.loads(line)["seq"] for line in ran.out.splitlines()]) == (0, numbers)


def test_the_table_lets_nobody_write_on_the_terminal(log: Path) -> None:
    ran = hub("audit", "show", "--file", str(log))
    assert ran.code == 0 and "\x1b" not in ran.out and "boiler2\\x1b[2J" in ran.out
    assert "control lamp: output=1" in ran.out and "rule 3" in ran.out


def test_a_whole_log_is_whole(log: Path) -> None:
    ran = hub("audit", "verify", "--file", str(log))
    assert (ran.code, ran.out.count("\n")) == (0, 1) and "3 lines, up to number 3: the log is whole" in ran.out


def test_a_changed_line_is_named_and_is_an_exit_code(log: Path) -> None:
    log.write_bytes(log.read_bytes().replace(b"refused", b"allowed", 1))
    ran = hub("audit", "verify", "--file", str(log))
    assert ran.code == 1
    assert "changed: audit.jsonl line 2: number 2 is not what was written" in ran.out and "NOT" in ran.out
    answer = hub("audit", "verify", "--file", str(log), "--json")
    assert (answer.code, answer.json["good"], answer.json["findings"][0]["kind"]) == (1, False, "changed")


def test_lines_that_a_running_hub_has_not_sealed_yet_are_no_alarm(log: Path) -> None:
    from hub.trust.audit import Kind
    from hub.trust.auditfiles import verify

    files = LogFiles(log)
    files.append(RECORDS)
    assert [finding.kind for finding in verify(log).findings] == [Kind.UNSEALED]
    files.sync()
    assert hub("audit", "verify", "--file", str(log)).code == 0
    files.close()


@pytest.mark.parametrize("command", ["show", "verify"])
def test_no_log_is_said(tmp_path: Path, command: str) -> None:
    ran = hub("audit", command, "--file", str(tmp_path / "audit.jsonl"))
    assert ran.code == 1 and "there is no log" in ran.err


def test_the_log_of_a_node_and_of_a_service_is_found_by_its_configuration(log: Path) -> None:
    config = log.parent / "hub.toml"
    config.write_text(f'[xmpp]\njid = "a@example.org"\npassword_file = "/x"\n[node]\nstate_dir = "{log.parent}"\n')
    assert hub("audit", "verify", "--config", str(config)).code == 0
    config.write_text(
        f'[provisioning]\njid = "p.example.org"\nsecret_file = "/x"\nstate_dir = "{log.parent}"\n'
    )
    assert hub("audit", "verify", "--provisioning", "--config", str(config)).code == 0


def test_a_time_that_is_none_is_said(log: Path) -> None:
    ran = hub("audit", "show", "--file", str(log), "--since", "yesterday")
    assert ran.code == 2 and "how long ago" in ran.err
