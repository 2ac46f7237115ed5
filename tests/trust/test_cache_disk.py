"""The cache of verdicts on a disk of two mebibytes that is full, or read-only, and mended."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.small_disk import SmallDisk

ROOT = Path(__file__).parents[2]

SCRIPT = """
import contextlib, json, logging, resource, subprocess, sys
from pathlib import Path
from hub.trust.cache import VerdictCache
from hub.things.questions import Question, Verdict

logging.basicConfig(format="%(message)s", stream=sys.stderr)
folder, how, real = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "True"
def spoil():
    if not real:
        return resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    with (folder / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass
def mend():
    if not real:
        return resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
    (folder / "filler").unlink(missing_ok=True)

cache = VerdictCache(folder / "verdicts.log", 1000, "us")
def ask(number):
    return Question("read", f"user{number}@example.org")
def put(first, last):
    for number in range(first, last):
        cache.put("server", ask(number), Verdict(True))
told = {}
if how == "full":
    put(0, 10)
    told["well"] = cache.trouble
    spoil()
put(10, 200)
told["trouble"], told["answers"] = cache.trouble, cache.get("server", ask(150)) == Verdict(True)
mend()
put(200, 300)
told["mended"] = cache.trouble
kept = VerdictCache(folder / "verdicts.log", 1000, "us")
told["kept"] = all(kept.get("server", ask(number)) for number in range(10, 300))
print(json.dumps(told))
"""


@pytest.mark.parametrize("how", ["full", "read-only"])
def test_verdicts_stay_in_memory_and_reach_the_disk_when_it_is_mended(tmp_path: Path, how: str) -> None:
    (tmp_path / "seed").mkdir()
    disk = SmallDisk(tmp_path / "disk", tmp_path / "seed", writable=how == "full")
    command = [*disk.within, sys.executable, "-c", SCRIPT, str(disk.folder), how, str(disk.is_real)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told.get("well", "") == "" == told["mended"]
    assert told["trouble"] and told["answers"] and told["kept"]
    assert done.stderr.count("cannot be written") == 1 == done.stderr.count("is written again")
