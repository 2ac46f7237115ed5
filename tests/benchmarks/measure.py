"""Processes seen from outside: memory and processor time from /proc, questions and answers in lines of JSON."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hub.demo.prosody import end_with_parent

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
ANSWER_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 10.0
KIB_PER_MIB = 1024.0


class Child:
    """A process that dies with us. `talks`: it takes a line of JSON and answers with one; else its output is a log."""

    def __init__(
        self, command: Sequence[str], log: Path, talks: bool = False, env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:  # fmt: skip
        self.log = log
        self._unread = b""
        self.started = time.perf_counter()
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                list(command), stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talks else out, stderr=out, env={**os.environ, **(env or {})}, cwd=cwd,
                preexec_fn=end_with_parent,
            )  # fmt: skip

    @classmethod
    def module(cls, name: str, log: Path, **settings: Any) -> Child:
        """A module of this package that talks; its settings are the first line it reads."""
        child = cls([sys.executable, "-m", f"tests.benchmarks.{name}"], log, talks=True)
        child.tell(**settings)
        return child

    def ask(self, timeout: float = ANSWER_TIMEOUT_S, **question: Any) -> Any:
        self.tell(**question)
        return self.answer(timeout)

    def answer(self, timeout: float = ANSWER_TIMEOUT_S) -> Any:
        """The next line it says. Raises RuntimeError when it says none in time or has ended."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + timeout
        while b"\n" not in self._unread:
            readable, _, _ = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(self.process.stdout.fileno(), 1 << 20) if readable else b""
            if not data:
                raise RuntimeError(f"no answer: {self.tail()}")
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return json.loads(line)

    def tell(self, **line: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(line).encode() + b"\n")
        self.process.stdin.flush()

    def wait_for_log(self, text: str, timeout: float = 60.0) -> float:
        """Seconds from its start until its log shows `text`."""
        deadline = time.monotonic() + timeout
        while text not in self.log.read_text(errors="replace"):
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError(f"{text!r} is not in the log: {self.tail()}")
            time.sleep(0.002)
        return time.perf_counter() - self.started

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-1500:]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    # ------------------------------------------------------------------ from outside

    def cpu(self) -> float:
        """Processor seconds so far, user and system together; exact to a tick (10 ms)."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def memory(self) -> dict[str, float]:
        """MiB: `rss` (what `ps` shows), `pss` (shared pages divided among their users), `uss` (its own alone)."""
        kib = _kib(f"/proc/{self.process.pid}/smaps_rollup")
        own = kib["Private_Clean"] + kib["Private_Dirty"] + kib.get("Private_Hugetlb", 0)
        rss = _kib(f"/proc/{self.process.pid}/status")["VmRSS"]
        return {"rss": rss / KIB_PER_MIB, "pss": kib["Pss"] / KIB_PER_MIB, "uss": own / KIB_PER_MIB}


def _kib(path: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in Path(path).read_text().splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if len(words) == 2 and words[1] == "kB":
            found[name] = int(words[0])
    return found
