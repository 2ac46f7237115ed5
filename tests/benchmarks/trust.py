"""What a decision costs that a node has in its cache, and what a start costs: `python -m tests.benchmarks.trust`.

Rounds alternate between the judge that asks (from its cache: a question that gets as far as a server ends the run) and
the one that asks nobody (`[access]`), so the ratio holds on a shared machine. A decision is the whole of it: the
request with its nodes and fields by name, the digest, the verdict, what is left of the request, and the audit on a real
disk. "In turn" are more readers than have their decision at hand, so that each goes through everything.

`--json FILE` keeps the numbers. Bar: a cached decision takes at most 50 µs.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from devices.base import FieldSpec, ParameterSpec, ValueType
from hub.programs.node_trust import RULES
from hub.services.audit import Audit
from hub.services.decisions import DecisionLog
from hub.things.model import Assignment, Command, FieldTypes, NodeRef, ReadoutRequest
from hub.things.questions import Question, Right, Verdict
from hub.things.thing import Description, Thing
from hub.trust.access import AccessLists, Judge
from hub.trust.cache import VerdictCache
from hub.trust.provisioned import MAX_RECENT, Provisioned, Trust
from hub.trust.provisioned import SERVER as PROVIDED

BAR_US: Final = 50.0
ROUNDS: Final = 15
CALLS: Final = 2000
SERVER, CALLER = "provisioning.example.org", "reader@example.org/phone"
STARTING: Final = 1000

Work = Callable[[Judge], Awaitable[Any]]


def things(count: int) -> dict[str, Thing]:
    """As a bme280 and a relay in turn."""
    made = {}
    for number in range(count):
        name = f"thing-{number:04}"
        fields = ("output",) if number % 2 else ("temperature", "humidity", "pressure")
        parameters = ("output",) if number % 2 else ()
        made[name] = Thing(Description(
            name, fields=tuple(FieldSpec(field, ValueType.NUMERIC) for field in fields),
            parameters=tuple(ParameterSpec(parameter, ValueType.BOOLEAN) for parameter in parameters),
        ))  # fmt: skip
    return made


async def nobody(question: Question, servers: Sequence[str]) -> Mapping[str, Verdict]:
    raise SystemExit(f"not a measurement of the cache: {servers} were asked {question}")


async def allow(_: Question, servers: Sequence[str]) -> Mapping[str, Verdict]:
    return {server: Verdict(True) for server in servers}


async def narrow(question: Question, servers: Sequence[str]) -> Mapping[str, Verdict]:
    return {server: Verdict(True, (question.nodes or ())[::2], question.names[:1]) for server in servers}


ALL = ReadoutRequest("1", types=FieldTypes.PRESENT)
ONE = ReadoutRequest("1", (NodeRef("thing-0000"),), ("temperature",))
SET = Command((NodeRef("thing-0001"),), (Assignment("output", True, ValueType.BOOLEAN),))

READERS: Final = [f"reader{number}@example.org/phone" for number in range(3 * MAX_RECENT)]


def in_turn() -> Work:
    callers = itertools.cycle(READERS)
    return lambda judge: judge.may_read(next(callers), ALL)


CASES: list[tuple[str, int, Any, Work]] = [
    ("read one field", 20, allow, lambda judge: judge.may_read(CALLER, ONE)),
    ("read everything of 20 things", 20, allow, lambda judge: judge.may_read(CALLER, ALL)),
    ("the same, narrowed", 20, narrow, lambda judge: judge.may_read(CALLER, ALL)),
    ("read everything of 100 things", 100, allow, lambda judge: judge.may_read(CALLER, ALL)),
    ("the same, narrowed", 100, narrow, lambda judge: judge.may_read(CALLER, ALL)),
    ("read everything of 1,000 things", 1000, allow, lambda judge: judge.may_read(CALLER, ALL)),
    ("20 things, 300 readers in turn", 20, allow, in_turn()),
    ("100 things, 300 readers in turn", 100, allow, in_turn()),
    ("set one output", 20, allow, lambda judge: judge.may_control(CALLER, SET)),
    ("see our presence", 20, allow, lambda judge: judge.may_follow(CALLER)),
]


async def timed(judge: Judge, work: Work) -> float:
    """Microseconds of the processor for one call: others on this machine do not count."""
    start = time.process_time()
    for _ in range(CALLS):
        await work(judge)
    return (time.process_time() - start) / CALLS * 1e6


async def decisions(folder: Path) -> dict[str, dict[str, float]]:
    results = {}
    audit = Audit(folder / "audit.jsonl")
    audit.start()
    logged = DecisionLog(audit, time.monotonic)

    def note(question: Question, left: Verdict, source: str) -> None:
        logged.decided(question, left, RULES[source], remembered=source != PROVIDED)

    for number, (name, count, answer, work) in enumerate(CASES):
        path, trust = folder / f"{number}.log", Trust((SERVER,), SERVER, "owner@example.org")
        site = things(count)
        first = VerdictCache(path, 2000, "benchmark")
        for _ in READERS:
            await work(Provisioned(site, trust, first, answer))
        cached = Provisioned(site, trust, VerdictCache(path, 2000, "benchmark"), nobody, note=note)
        lists = AccessLists(("*@example.org",), ("*@example.org",))
        rounds = [(await timed(cached, work), await timed(lists, work)) for _ in range(ROUNDS)]
        ours = statistics.median(mine for mine, _ in rounds)
        results[f"{name} ({count})" if name in results else name] = {
            "us": ours, "slowest_round_us": max(mine for mine, _ in rounds), "per_second": 1e6 / ours,
            "ratio_to_access": statistics.median(mine / other for mine, other in rounds),
        }  # fmt: skip
    logged.close()
    await audit.stop()
    return results


def start(folder: Path) -> dict[str, float]:
    """A power cut has ended everything; the file is as it was left. A thousand things ask, each its own question."""
    path = folder / "start.log"
    questions = [Question(Right.READ, f"reader{n % 40}@example.org", (NodeRef(f"thing-{n:04}"),), ("temperature",),
                          FieldTypes.MOMENTARY) for n in range(STARTING)]  # fmt: skip
    cache = VerdictCache(path, 2 * STARTING, "benchmark")
    begun = time.perf_counter()
    for question in questions:
        cache.put(SERVER, question, Verdict(True))
    put = time.perf_counter() - begun
    size = path.stat().st_size
    begun = time.perf_counter()
    again = VerdictCache(path, 2 * STARTING, "benchmark")
    loaded = time.perf_counter() - begun
    missing = sum(again.get(SERVER, question) is None for question in questions)
    answered = time.perf_counter() - begun - loaded
    begun = time.perf_counter()
    again.clear()
    cleared = time.perf_counter() - begun
    if missing:
        raise SystemExit(f"{missing} verdicts are lost")
    return {"load_ms": loaded * 1e3, "answer_all_ms": answered * 1e3, "keep_one_us": put / STARTING * 1e6,
            "bytes_each": size / STARTING, "forget_ms": cleared * 1e3}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(decisions(Path(folder)))
        begun = start(Path(folder))
    print(f"{'a cached decision':<32}{'µs':>8}{'slowest':>9}{'per second':>12}{'times [access]':>16}  bar")
    for name, row in found.items():
        verdict = "met" if row["us"] <= BAR_US else "MISSED"
        print(f"{name:<32}{row['us']:>8.1f}{row['slowest_round_us']:>9.1f}{row['per_second']:>12,.0f}"
              f"{row['ratio_to_access']:>16.1f}  {verdict} (≤ {BAR_US:g})")  # fmt: skip
    print(f"start with {STARTING:,} verdicts: read in {begun['load_ms']:.1f} ms, all answered in "
          f"{begun['answer_all_ms']:.1f} ms more, nothing asked; {begun['bytes_each']:.0f} bytes each, kept in "
          f"{begun['keep_one_us']:.0f} µs; forgetting all, on the disk: {begun['forget_ms']:.1f} ms")  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps({"decisions": found, "start": begun}, indent=1))


if __name__ == "__main__":
    main()
