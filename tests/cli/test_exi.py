"""`hub exi`: files and pipes in and out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import ROOT, hub
from tests.exi.helpers import SCHEMAS

XML = b'<r xmlns="urn:x"><a k="1">text</a><!-- note --></r>'


def pipe(*arguments: str, data: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "hub", "exi", *arguments], input=data, capture_output=True, timeout=60, check=False,
        cwd=ROOT,
    )  # fmt: skip


def test_what_goes_in_through_a_pipe_comes_back() -> None:
    encoded = pipe("encode", data=XML)
    assert encoded.returncode == 0 and len(encoded.stdout) < len(XML) / 1.5
    assert pipe("decode", data=encoded.stdout).stdout == XML.replace(b"<!-- note -->", b"")


def test_options_in_the_header_need_not_be_given_again() -> None:
    encoded = pipe("encode", "--header-options", "--cookie", "--preserve", "comments", "--alignment", "compression",
                   data=XML)  # fmt: skip
    assert encoded.stdout.startswith(b"$EXI")
    assert b"<!-- note -->" in pipe("decode", data=encoded.stdout).stdout


def test_a_schema_is_compiled_once_and_used_without_its_library(tmp_path: Path) -> None:
    file = tmp_path / "sensor.exig"
    ran = hub("exi", "compile", str(SCHEMAS / "sensor.xsd"), "-o", str(file))
    assert ran.code == 0 and file.exists()
    told = hub("exi", "info", str(file)).out
    assert "codec: " in told and "urn:test:sensor" in told
    assert "limit depth: 200" in hub("exi", "info").out


def test_an_error_is_one_sentence() -> None:
    wrong = (["decode"], b"\x80"), (["encode"], b"<r>"), (["decode", "--schema", "/no.xsd"], b"")
    for ran in (pipe(*arguments, data=data) for arguments, data in wrong):
        assert ran.returncode == 1
        assert ran.stderr.startswith(b"hub: ") and ran.stderr.count(b"\n") == 1, ran.stderr


def test_schema_and_grammars_are_not_both_given(tmp_path: Path) -> None:
    ran = pipe("encode", "--schema", str(SCHEMAS / "sensor.xsd"), "--grammars", str(tmp_path / "a"), data=XML)
    assert ran.returncode == 2 and b"give one of them" in ran.stderr
