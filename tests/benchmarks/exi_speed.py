"""Time per stanza: this codec against ElementTree, lxml and slixmpp's XML path, on one corpus in one run.

    python -m tests.benchmarks.exi_speed [--corpus DIRECTORY] [--schema FILE] [--rounds N]

Prints the median of the rounds for each document, encoding and decoding apart, in microseconds, and totals.
All paths go between `Element` objects and bytes; the grammars are ready before the clock starts. EXI is
measured with a new set of tables for every body and with tables kept for the session.

Why mypyc compiles the codec and not Cython (both tried on an earlier revision of this source, CPython 3.11, mypy 2.4,
Cython 3.3; one quick try each beside other work, so an indication and no contest):

- mypyc takes the typed Python as it is. Cross-module calls, class attributes, `Final` constants and `i64`
  become C by themselves. A stanza with one field: 7.9 + 7.2 µs (encode + decode), plain Python 50 + 55 µs.
- Cython in pure-Python mode takes the same files, but annotations alone leave every integer an object. With
  a .pxd beside the two innermost files the same stanza took 36 + 45 µs, and building took three times as
  long (77 s against 23 s of processor time). To come near mypyc every class needs its fields and methods
  told a second time in a .pxd; constants of other modules stay look-ups, and a method cannot be declared
  there when its name is a C type (`unsigned`).
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from hub import exi

Call = Callable[[], object]
Codec = tuple[Callable[[Any], object], Callable[[bytes], object], Callable[[bytes], Any]]

SHARED = Path(__file__).parents[2].parent / "shared" / "exi"


def median_microseconds(call: Callable[[], object], rounds: int) -> float:
    """The median time of one call; each round runs it often enough for the clock."""
    loops = 1
    while True:
        start = time.perf_counter()
        for _ in range(loops):
            call()
        elapsed = time.perf_counter() - start
        if elapsed > 0.002:
            break
        loops *= 4
    samples = []
    gc.disable()
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(loops):
            call()
        samples.append((time.perf_counter() - start) / loops)
    gc.enable()
    return statistics.median(samples) * 1e6


def exi_paths(
    grammars: exi.Grammars, session: bool
) -> tuple[Callable[[ET.Element], bytes], Callable[[bytes], object]]:
    """(encode, decode) with fresh coders; with `session`, coders that have seen the element before."""
    options = exi.Options()
    encoder = exi.Encoder(grammars, options, session)
    decoder = exi.Decoder(grammars, options, session)
    return encoder.encode, decoder.feed


def slixmpp_paths() -> tuple[Callable[[ET.Element], str], Callable[[bytes], object]] | None:
    try:
        from slixmpp.xmlstream import tostring
    except ImportError:
        return None

    def parse(data: bytes) -> object:
        parser = ET.XMLPullParser(("start", "end"))
        parser.feed(data)
        return [event for event in parser.read_events()][-1]

    return (lambda element: tostring(element)), parse


def paths_of(path: Path, grammars: exi.Grammars, others: dict[str, Codec]) -> tuple[str, list[Call]]:
    """The sizes of one document, and the calls to measure: EXI, EXI in a session, then the others."""
    data = path.read_bytes()
    element = ET.fromstring(data)
    encode, decode = exi_paths(grammars, False)
    body = encode(element)
    # A session's steady state: the tables already know the stanza.
    encode_again, decode_again = exi_paths(grammars, True)
    decode_again(encode_again(element))
    again = encode_again(element)
    decode_again(again)
    calls: list[Call] = [
        lambda: encode(element),
        lambda: decode(body),
        lambda: encode_again(element),
        lambda: decode_again(again),
    ]
    for serialise, parse, prepare in others.values():
        calls += prepared(serialise, parse, prepare(data), data)
    return f"{len(data):6} {len(body):6} {len(again):6}", calls


def prepared(
    serialise: Callable[[Any], object], parse: Callable[[bytes], object], tree: Any, data: bytes
) -> list[Call]:
    """The two calls of one codec for one document."""
    return [lambda: serialise(tree), lambda: parse(data)]


def other_codecs() -> dict[str, Codec]:
    """Name → (serialise, parse, prepare what is serialised)."""
    found: dict[str, Codec] = {"ET": (ET.tostring, ET.fromstring, ET.fromstring)}
    with contextlib.suppress(ImportError):
        from lxml import etree

        found["lxml"] = (etree.tostring, etree.fromstring, etree.fromstring)
    slixmpp = slixmpp_paths()
    if slixmpp:
        found["slixmpp"] = (*slixmpp, ET.fromstring)
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--corpus", type=Path, default=SHARED / "corpus")
    arguments.add_argument("--schema", type=Path, default=SHARED / "schemas" / "w-iot.xsd")
    arguments.add_argument("--rounds", type=int, default=15)
    chosen = arguments.parse_args()
    known = (
        exi.load_schemas([chosen.schema])
        if chosen.schema.suffix == ".xsd"
        else exi.Grammars.read(chosen.schema)
    )
    others = other_codecs()
    names = ["EXI", "session", *others]
    columns = [f"{name} {way}" for name in names for way in ("out", "in")]
    print(f"hub.exi compiled: {exi.compiled}; median µs of {chosen.rounds} rounds; out: serialise, in: parse")
    print(
        f"{'document':34} {'XML B':>6} {'EXI B':>6} {'sess B':>6} "
        + " ".join(f"{name:>11}" for name in columns)
    )
    totals = [0.0] * len(columns)
    for path in sorted(chosen.corpus.glob("*.xml")):
        sizes, calls = paths_of(path, known, others)
        times = [median_microseconds(call, chosen.rounds) for call in calls]
        totals = [total + each for total, each in zip(totals, times, strict=True)]
        print(f"{path.stem[:34]:34} {sizes} " + " ".join(f"{each:11.1f}" for each in times))
    print(f"{'total':34} {'':20} " + " ".join(f"{each:11.1f}" for each in totals))
    own = totals[0] + totals[1]
    for index, name in enumerate(names):
        both = totals[2 * index] + totals[2 * index + 1]
        print(f"{name:8} out + in {both:8.0f} µs; EXI takes {own / both:.2f} of it")


if __name__ == "__main__":
    main()
