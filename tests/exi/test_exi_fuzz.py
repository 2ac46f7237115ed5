"""The fuzzing tool itself: that it runs on the form under test, says the same each time, and keeps what it finds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from itertools import count
from pathlib import Path

import pytest

from hub import exi
from tests.exi import fuzz_exi

from .helpers import HERE

TESTED = Path(exi.__file__).parents[2]
CHECKOUT = HERE.parents[1]  # its sources are never compiled


def fuzz(first_on_path: Path, *arguments: str | Path) -> str:
    """What the tool prints."""
    environment = {**os.environ, "PYTHONPATH": str(first_on_path)}
    command = [sys.executable, str(HERE / "fuzz_exi.py"), *map(str, arguments)]
    ran = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_a_thousand_mutated_inputs_come_to_the_same_in_both_forms() -> None:
    told = fuzz(TESTED, "--count", "1000", "--seed", "1")
    assert f"compiled: {exi.compiled}" in told
    found = re.search(r"^1000 inputs, (\d+) decoded, nothing found; (\w+)$", told, re.MULTILINE)
    assert found is not None and int(found[1]) > 100
    plain = fuzz(CHECKOUT, "--count", "1000", "--seed", "1")
    assert "compiled: False" in plain and plain.endswith(told.splitlines()[-1] + "\n")


def test_inputs_from_a_directory_and_files_again(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"\x01\x01\x80\x00")
    assert fuzz(TESTED, "--count", "20", tmp_path).splitlines()[-1].startswith("20 inputs, ")
    assert fuzz(TESTED, "--replay", tmp_path / "one").splitlines()[-1].startswith("1 inputs, ")


def test_what_it_died_of_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(data: bytes) -> str:
        if data.startswith(b"bad"):
            raise MemoryError
        return ""

    monkeypatch.setattr(fuzz_exi, "one_input", dies)
    with tempfile.TemporaryFile() as last:
        inputs = iter([b"a longer one before", b"bad one", b"never tried"])
        numbers = count()
        with pytest.raises(MemoryError):
            fuzz_exi.try_all(inputs, lambda done: done == next(numbers), last.fileno())
        assert last.read() == b"bad one"
