"""The log while a hub runs: nobody waits for the disk but a command, and a disk that refuses stops only commands."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hub.errors import StoreError
from hub.services import audit as service
from hub.services.audit import Audit
from hub.trust import auditfiles
from hub.trust.audit import LOST
from hub.trust.auditfiles import entries, sealed_up_to, verify
from tests.helpers import until

WHO = ("ann@example.org", "control boiler: output", "[access]")


@contextmanager
def refusing(monkeypatch: pytest.MonkeyPatch, code: int) -> Iterator[None]:
    def refuse(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as context:
        context.setattr(auditfiles, "_write_all", refuse)
        yield


async def test_what_is_recorded_is_sealed_within_a_moment_without_waiting(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "state" / "audit.jsonl")
    audit.record(*WHO, "before the start")
    audit.start()
    audit.record(*WHO, "yes")
    await until(lambda: sealed_up_to(audit.path) == 2, "two lines sealed")
    await audit.stop()
    assert [entry.answer for entry in entries(audit.path)] == ["before the start", "yes"]
    assert verify(audit.path).findings == []


async def test_a_command_returns_when_it_is_sealed(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.jsonl")
    audit.start()
    for number in range(1, 6):
        await audit.record_now(*WHO, "begun")
        assert sealed_up_to(audit.path) == number
    await asyncio.gather(*(audit.record_now(*WHO, f"{n}") for n in range(20)))
    assert sealed_up_to(audit.path) == 25
    await audit.stop()


async def test_stopping_writes_what_is_left(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.jsonl")
    audit.start()
    for _ in range(100):
        audit.record(*WHO, "yes")
    await audit.stop()
    report = verify(audit.path)
    assert (report.findings, report.last) == ([], 100)
    with pytest.raises(StoreError, match="not running"):
        await audit.record_now(*WHO, "late")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
async def test_a_disk_that_refuses_stops_commands_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    audit = Audit(tmp_path / "audit.jsonl")
    audit.start()
    await audit.record_now(*WHO, "begun")
    with refusing(monkeypatch, code):
        with pytest.raises(StoreError, match="only those into a safe state"):
            await audit.record_now(*WHO, "begun")
        assert audit.trouble is not None and os.strerror(code) in audit.trouble
        audit.record("bob@example.org", "read boiler", "[access]", "yes")
        with pytest.raises(StoreError):
            await audit.record_now(*WHO, "begun")
    await audit.record_now(*WHO, "begun again")
    assert audit.trouble is None
    await audit.stop()
    assert sum("commands are refused" in line.getMessage() for line in caplog.records) == 1
    answers = [entry.answer for entry in entries(audit.path)]
    assert answers.count("begun") == 1 and answers[-1] == "begun again"
    assert "yes" in answers and sum(answer.startswith("not carried out") for answer in answers) == 2
    assert verify(audit.path).findings == []


async def test_a_folder_that_cannot_be_made_is_trouble_and_no_crash(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a folder should be")
    audit = Audit(tmp_path / "state" / "audit.jsonl")
    audit.start()
    audit.record(*WHO, "yes")
    await until(lambda: audit.trouble, "trouble")
    await audit.stop()


async def test_what_does_not_fit_into_the_queue_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_QUEUE", 5)
    audit = Audit(tmp_path / "audit.jsonl")
    for _ in range(9):
        audit.record(*WHO, "yes")
    audit.start()
    await audit.stop()
    found = list(entries(audit.path))
    assert [entry.answer for entry in found[:5]] == ["yes"] * 5
    assert (found[5].what, found[5].answer[:2]) == (LOST, "4 ")
    assert not verify(audit.path).broken


async def test_a_disk_that_hangs_holds_up_only_who_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "PATIENCE_S", 0.2)
    let_go = threading.Event()
    real = auditfiles._write_all

    def hang(file: int, data: bytes) -> None:
        let_go.wait(20)
        real(file, data)

    monkeypatch.setattr(auditfiles, "_write_all", hang)
    audit = Audit(tmp_path / "audit.jsonl")
    audit.start()
    with pytest.raises(StoreError, match="does not answer"):
        await audit.record_now(*WHO, "begun")
    let_go.set()
    await until(lambda: sealed_up_to(audit.path) == 2, "both lines")
    await audit.stop()
    assert [entry.answer for entry in entries(audit.path)] == ["begun", "not carried out: the disk does not answer"]


async def test_two_hubs_in_one_folder_are_told_apart(tmp_path: Path) -> None:
    first, second = Audit(tmp_path / "audit.jsonl"), Audit(tmp_path / "audit.jsonl")
    first.start()
    second.start()
    await first.record_now(*WHO, "begun")
    with pytest.raises(StoreError, match="another process"):
        await second.record_now(*WHO, "begun")
    await first.stop()
    await second.stop()
