"""What grammars and a codec pair cost: schema compile time, grammar file, load time, memory.

    python -m tests.benchmarks.exi_size [--corpus DIRECTORY] [--schema FILE]

Memory is what a fresh process grows by, in its resident set, from one step to the next.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

from hub import exi

from .exi_speed import SHARED


def resident() -> int:
    """The resident set of this process, in KiB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


def steps(grammar_file: Path, corpus: Path) -> None:
    """In a fresh process: prints what each step adds to the resident set, in KiB."""
    elements = [ET.fromstring(path.read_bytes()) for path in sorted(corpus.glob("*.xml"))]
    marks = [resident()]
    grammars = exi.Grammars.read(grammar_file)
    marks.append(resident())
    encoder, decoder = exi.Encoder(grammars), exi.Decoder(grammars)
    marks.append(resident())
    for element in elements:
        decoder.feed(encoder.encode(element))
    marks.append(resident())
    print(*(after - before for before, after in pairwise(marks)))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--corpus", type=Path, default=SHARED / "corpus")
    arguments.add_argument("--schema", type=Path, default=SHARED / "schemas" / "w-iot.xsd")
    arguments.add_argument("--steps", type=Path, help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.steps:
        steps(chosen.steps, chosen.corpus)
        return
    start = time.perf_counter()
    grammars = exi.load_schemas([chosen.schema])
    compiling = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "grammars.exig"
        grammars.write(path)
        size = path.stat().st_size
        samples = []
        for _ in range(15):
            start = time.perf_counter()
            exi.Grammars.read(path)
            samples.append(time.perf_counter() - start)
        command = [sys.executable, "-m", __spec__.name, "--steps", str(path), "--corpus", str(chosen.corpus)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded, pair, used = done.stdout.split()
    print(f"hub.exi compiled: {exi.compiled}; {chosen.schema.name}")
    print(f"schemas read and compiled   {compiling * 1e3:9.0f} ms")
    print(f"grammar file                {size:9} bytes, {len(grammars.offsets)} states")
    print(
        f"grammar file loaded in      {statistics.median(samples) * 1e3:9.1f} ms (median of {len(samples)})"
    )
    print(f"memory: grammars            {loaded:>9} KiB")
    print(f"memory: encoder and decoder {pair:>9} KiB")
    print(f"memory: after the corpus    {used:>9} KiB more, elements in flight included")


if __name__ == "__main__":
    main()
