"""The chained log as files: what a writer leaves, and what a reader finds out about any change of it."""

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.trust import auditfiles
from hub.trust.audit import MAX_LINE, MAX_TEXT, SELF, Chain, Checker, Kind, Record, Seal, read_line, words
from hub.trust.auditfiles import Busy, LogFiles, entries, older_files, seal_of, verify

NOON = dt.datetime(2026, 5, 1, 12, 0, tzinfo=dt.UTC)


def record(number: int, who: str = "ann@example.org") -> Record:
    return Record(NOON + dt.timedelta(seconds=number), who, f"read boiler: field {number}", "[access]", "yes")


def written(folder: Path, count: int, max_bytes: int = 1 << 20, keep: int = 100) -> Path:
    path = folder / "audit.jsonl"
    files = LogFiles(path, max_bytes, keep)
    for number in range(count):
        files.append([record(number)])
    files.close()
    return path


def content(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(path.parent.iterdir())}


def kinds(path: Path) -> list[Kind]:
    return [finding.kind for finding in verify(path).findings]


# --------------------------------------------------------------------------- writing and going on


def test_an_untouched_log_is_whole_and_reads_back(tmp_path: Path) -> None:
    path = written(tmp_path, 30, max_bytes=2000)
    assert len(older_files(path)) == 2
    report = verify(path)
    assert (report.broken, report.findings, report.lines, report.last) == (False, [], 30, 30)
    assert [entry.seq for entry in entries(path)] == list(range(1, 31))
    assert [(e.time, e.who, e.what, e.rule, e.answer) for e in entries(path)] == [
        (r.time, r.who, r.what, r.rule, r.answer) for r in map(record, range(30))
    ]


def test_the_chain_is_the_hash_of_the_bytes_of_the_line_before(tmp_path: Path) -> None:
    path = written(tmp_path, 2)
    first, second = path.read_bytes().splitlines()
    assert json.loads(first)["prev"] == "0" * 64
    assert json.loads(second)["prev"] == hashlib.sha256(first).hexdigest()
    assert list(json.loads(first)) == ["seq", "time", "who", "what", "rule", "answer", "prev"]
    assert json.loads(first)["time"] == "2026-05-01T12:00:00.000Z"


def test_a_restart_goes_on_with_the_chain(tmp_path: Path) -> None:
    for _ in range(4):
        path = written(tmp_path, 7, max_bytes=1500)
    report = verify(path)
    assert (report.findings, report.last) == ([], 28)


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    first = LogFiles(path)
    first.append([record(1)])
    second = LogFiles(path)
    with pytest.raises(Busy, match="another process"):
        second.append([record(2)])
    first.close()
    second.append([record(2)])
    second.close()
    assert verify(path).findings == []


def test_old_files_are_forgotten_with_a_word(tmp_path: Path) -> None:
    path = written(tmp_path, 60, max_bytes=1500, keep=2)
    assert len(older_files(path)) == 2
    assert next(entries(path)).seq > 10
    assert verify(path).findings == []
    older_files(path)[0].unlink()
    assert Kind.MISSING in kinds(path)


def test_a_missing_seal_is_told_for_ever(tmp_path: Path) -> None:
    path = written(tmp_path, 5)
    seal_of(path).unlink()
    assert kinds(path) == [Kind.SEAL]
    written(tmp_path, 3)
    assert kinds(path) == [Kind.SEAL]
    assert [entry.what for entry in entries(path) if entry.who == SELF] == ["resealed"]


@pytest.mark.parametrize("text", ["a\nb", "\x00\x1b[2J", "Küche 🔥", "\ud800", '"},{"', "\u2028", "x" * 100_000])
def test_whatever_text_comes_fits_into_a_line(text: str) -> None:
    _, line = Chain().add(Record(NOON, text, text, text, text))
    assert line.endswith(b"\n") and line.count(b"\n") == 1 and len(line) <= MAX_LINE
    entry = read_line(line[:-1])
    assert entry is not None
    assert entry.what == text if len(text) <= MAX_TEXT else entry.what.endswith("… (100000 characters)")


def test_what_is_wanted_in_words() -> None:
    assert words("read", ("boiler", "lamp"), ("temperature",)) == "read boiler, lamp: temperature"
    assert words("friend") == "friend"


# --------------------------------------------------------------------------- power cuts and kills


def killed(folder: Path, sealed: int, unsealed: int) -> Path:
    """What a kill leaves: lines that are written, and no seal for the last of them."""
    path = folder / "audit.jsonl"
    files = LogFiles(path)
    files.append([record(number) for number in range(sealed)])
    files.sync()
    files.append([record(number) for number in range(sealed, sealed + unsealed)])
    os.close(files._seal)
    os.close(files._log)
    return path


def test_lines_that_no_seal_covers_are_told_and_taken_over(tmp_path: Path) -> None:
    path = killed(tmp_path, 3, 2)
    report = verify(path)
    assert ([f.kind for f in report.findings], report.unsealed, report.broken) == ([Kind.UNSEALED], 2, True)
    written(tmp_path, 1)
    report = verify(path)
    assert ([f.kind for f in report.findings], report.broken) == ([Kind.NOTED], False)
    assert "numbers 4 to 5" in report.findings[0].text


@pytest.mark.parametrize("zeros", [0, 300])
def test_a_line_torn_by_a_power_cut_is_no_tampering_and_is_mended(tmp_path: Path, zeros: int) -> None:
    whole = content(killed(tmp_path, 3, 1))
    log, end = whole["audit.jsonl"], whole["audit.jsonl"].rindex(b'{"seq":4')
    path = tmp_path / "audit.jsonl"
    for cut in range(end + 1, len(log)):
        path.write_bytes(log[:cut] + bytes(zeros))
        seal_of(path).write_bytes(whole["audit.seal"])
        report = verify(path)
        assert ([f.kind for f in report.findings], report.broken) == ([Kind.TORN], False), log[end:cut]
    written(tmp_path, 1)
    report = verify(path)
    assert ([f.kind for f in report.findings], report.broken, report.last) == ([Kind.NOTED], False, 5)
    assert "unfinished line" in report.findings[0].text


def test_a_sealed_line_that_is_cut_is_tampering_and_stays_as_it_is(tmp_path: Path) -> None:
    path = written(tmp_path, 3)
    path.write_bytes(path.read_bytes()[:-20])
    report = verify(path)
    assert [f.kind for f in report.findings] == [Kind.CHANGED] and "line 3" in report.findings[0].where
    written(tmp_path, 2)
    report = verify(path)
    assert [(f.kind, f.where) for f in report.findings] == [(Kind.CHANGED, "audit.jsonl line 3")]


def test_lines_cut_off_at_the_end_are_missed_for_ever(tmp_path: Path) -> None:
    path = written(tmp_path, 5)
    path.write_bytes(b"".join(path.read_bytes().splitlines(True)[:3]))
    assert [(f.kind, f.text) for f in verify(path).findings] == [(Kind.MISSING, "number 4 to 5")]
    written(tmp_path, 5)
    assert [(f.kind, f.text) for f in verify(path).findings] == [(Kind.MISSING, "number 4 to 5")]


@pytest.mark.parametrize("step", ["rename", "fsync", "unlink"])
def test_a_rotation_that_is_cut_anywhere_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                       step: str) -> None:  # fmt: skip
    path = written(tmp_path, 12, max_bytes=2000, keep=1)

    def fails(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as context:
        context.setattr(*((os, step) if step == "fsync" else (Path, step)), fails)
        files = LogFiles(path, 2000, 1)
        with pytest.raises(OSError, match="Input/output"):
            files.append([record(n) for n in range(100, 120)])
            files.append([record(120)])
        files.close()
    before = [entry.seq for entry in entries(path)]
    written(tmp_path, 30, max_bytes=2000, keep=1)
    report = verify(path)
    assert not report.broken, report.findings
    assert report.last >= before[-1] + 30


def test_kill_9_at_any_moment_leaves_a_log_that_goes_on(tmp_path: Path) -> None:
    program = (
        "import sys, datetime as dt\nfrom pathlib import Path\n"
        "from hub.trust.audit import Record\nfrom hub.trust.auditfiles import LogFiles\n"
        "files = LogFiles(Path(sys.argv[1]), 4000, 50)\nnow = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)\n"
        "while True:\n    files.append([Record(now, 'a', 'b', 'c', 'd')] * 3)\n    files.sync()\n"
        "    print(1, flush=True)\n"
    )
    path = tmp_path / "audit.jsonl"
    acknowledged = 0
    for turn in range(5):
        child = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        for _ in range(turn + 2):
            child.stdout.readline()
        child.kill()
        acknowledged += 3 * (turn + 2 + len(child.stdout.read().splitlines()))
        child.stdout.close()
        child.wait()
    written(tmp_path, 1)
    report = verify(path)
    assert not report.broken, report.findings
    assert sum(entry.who == "a" for entry in entries(path)) >= acknowledged


# --------------------------------------------------------------------------- a disk that refuses


def test_a_full_disk_leaves_the_chain_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "audit.jsonl"
    files = LogFiles(path)
    files.append([record(1)])
    files.sync()
    write = os.write

    def full(file: int, data: bytes) -> int:
        if len(data) < 100:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data[: len(data) // 2])

    with monkeypatch.context() as context:
        context.setattr(auditfiles.os, "write", full)
        with pytest.raises(OSError, match="No space"):
            files.append([record(2), record(3)])
    files.append([record(4)])
    files.close()
    report = verify(path)
    assert (report.findings, [entry.what for entry in entries(path)]) == (
        [], ["read boiler: field 1", "read boiler: field 4"],
    )  # fmt: skip


# --------------------------------------------------------------------------- tampering


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("pristine"), 14, max_bytes=1100)


def test_there_is_enough_to_tamper_with(pristine: Path) -> None:
    assert len(content(pristine)) >= 4
    assert verify(pristine).findings == []


def tampered(pristine: Path, folder: Path, changed: dict[str, bytes]) -> Path:
    for file in folder.iterdir():
        file.unlink()
    for name, data in changed.items():
        (folder / name).write_bytes(data)
    return folder / pristine.name


@given(data=st.data())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_change_of_bytes_is_found(pristine: Path, tmp_path: Path, data: st.DataObject) -> None:
    files = content(pristine)
    name = data.draw(st.sampled_from(sorted(files)))
    old = files[name]
    at = data.draw(st.integers(0, len(old)))
    length = data.draw(st.integers(0, min(400, len(old) - at)))
    new = old[:at] + data.draw(st.binary(max_size=40)) + old[at + length :]
    if new != old:
        assert verify(tampered(pristine, tmp_path, files | {name: new})).findings


@given(data=st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_line_removed_added_moved_or_edited_is_named(pristine: Path, tmp_path: Path, data: st.DataObject) -> None:
    lines = [(name, line) for name, text in content(pristine).items() if name.endswith("jsonl")
             for line in text.splitlines(True)]  # fmt: skip
    lines = sorted(lines, key=lambda pair: (pair[0] == pristine.name, pair[0]))
    at, other = data.draw(st.integers(0, len(lines) - 1)), data.draw(st.integers(0, len(lines)))
    what = data.draw(st.sampled_from([Kind.MISSING, Kind.ADDED, Kind.MOVED, Kind.CHANGED]))
    made = list(lines)
    if what is Kind.MISSING:
        del made[at]
    elif what is Kind.ADDED:
        made.insert(other, (lines[min(other, len(lines) - 1)][0], lines[at][1]))
        if other in (at, at + 1):
            return  # twice the same line in a row: found, and which of the two is new nobody can say
    elif what is Kind.MOVED:
        if other in (at, at + 1):
            return
        moved = made.pop(at)
        place = other - (other > at)
        made.insert(place, (made[min(place, len(made) - 1)][0], moved[1]))
    else:
        name, line = lines[at]
        made[at] = (name, line.replace(b'"yes"', b'"no"'))
    files = {"audit.seal": content(pristine)["audit.seal"], pristine.name: b""}
    for name, line in made:
        files[name] = files.get(name, b"") + line
    report = verify(tampered(pristine, tmp_path, files))
    found = [finding for finding in report.findings if "renamed" not in finding.text]
    assert what in {finding.kind for finding in found}, (at, other, found)
    if what in (Kind.CHANGED, Kind.MISSING):
        assert len(found) == 1
        assert f"number {at + 1}" in found[0].text


@pytest.mark.parametrize("number", range(3))
def test_a_file_removed_renamed_or_copied_is_found(pristine: Path, tmp_path: Path, number: int) -> None:
    files = content(pristine)
    name = sorted(files)[number]
    without = {key: value for key, value in files.items() if key != name}
    assert verify(tampered(pristine, tmp_path, without)).broken
    assert verify(tampered(pristine, tmp_path, without | {"audit-000000000003.jsonl": files[name]})).broken
    assert verify(tampered(pristine, tmp_path, files | {"audit-000000000999.jsonl": files[name]})).broken


def test_a_line_that_continues_the_chain_but_no_seal_covers_is_told(pristine: Path, tmp_path: Path) -> None:
    files = content(pristine)
    last = list(entries(pristine))[-1]
    _, forged = Chain(last.seq, last.hash).add(record(99, "eve@example.org"))
    path = tampered(pristine, tmp_path, files | {pristine.name: files[pristine.name] + forged})
    assert kinds(path) == [Kind.UNSEALED] and verify(path).broken


@given(st.lists(st.tuples(st.binary(max_size=200), st.booleans()), max_size=30))
def test_the_checker_takes_any_bytes(lines: list[tuple[bytes, bool]]) -> None:
    checker = Checker(None)
    for line, ended in lines:
        checker.line("x", line, ended)
    report = checker.done()
    assert report.broken or not lines


@pytest.mark.parametrize("line", [b"[" * 60_000, b'{"seq":' + b"9" * 5000 + b"}", b"\xff\xfe", b"null", b"{}",
                                  b"x" * (MAX_LINE + 5)])  # fmt: skip
def test_a_line_that_is_none_of_ours(line: bytes) -> None:
    assert read_line(line) is None


@given(st.binary(max_size=300))
def test_any_bytes_are_taken_for_a_seal_or_not(data: bytes) -> None:
    assert Seal.decode(data) is None


def test_many_wrong_lines_take_bounded_memory_and_the_rest_is_counted() -> None:
    checker = Checker(None)
    for number in range(20_000):
        checker.line(f"line {number}", b"nonsense")
    report = checker.done()
    assert len(report.findings) < 300 and report.more > 19_000
