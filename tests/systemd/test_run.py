"""What `sh tests/run` says when the machine lacks something. That it works is shown by this test being run by it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parents[1] / "run"
TOOLS = ("sh", "dirname", "ejabberdctl", "tr", "sort", "openssl", "systemd-analyze", "systemd-sysusers", "shellcheck")


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder to be the whole PATH: all that is wanted but Prosody, and no apt-get."""
    for name in TOOLS:
        found = shutil.which(name)
        assert found is not None, name
        (tmp_path / name).symlink_to(found)
    put(tmp_path, "python3", f'exec {sys.executable} "$@"')
    return tmp_path


def put(folder: Path, name: str, text: str) -> None:
    (folder / name).unlink(missing_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def said(path: Path) -> str:
    done = subprocess.run(["sh", str(RUN)], env={"PATH": str(path)}, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60, check=False)  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr


def test_no_apt_get(bare: Path) -> None:
    words = said(bare)
    assert words.startswith("tests/run: missing:")
    assert "prosody" in words and "no apt-get here" in words
    assert "openssl" not in words


def test_neither_root_nor_sudo(bare: Path) -> None:
    put(bare, "apt-get", "exit 99")
    put(bare, "id", "echo 1000")
    assert "as root (there is no sudo here)" in said(bare)


def test_apt_get_fails(bare: Path) -> None:
    put(bare, "apt-get", "exit 99")
    put(bare, "id", "echo 0")
    put(bare, "env", 'shift; exec "$@"')
    assert "apt-get could not install" in said(bare)


def test_an_old_python(bare: Path) -> None:
    put(bare, "python3", f'exec {sys.executable} -c "import sys; sys.version_info = (3, 9, 2); $2"')
    assert said(bare).strip() == "tests/run: python3 is 3.9; it takes 3.11 or newer (Debian 12 has it)"
