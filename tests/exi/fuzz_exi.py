"""A fuzz target: hostile bytes end in `DecodeError`, nothing else, in bounded time and memory.

    python tests/exi/fuzz_exi.py [-max_total_time=1800] [-max_len=600] [DIRECTORY]       plain Python, needs atheris
    python tests/exi/fuzz_exi.py --mutate SECONDS [--seed N] [DIRECTORY…]                either form
    python tests/exi/fuzz_exi.py --replay FILE…                                          either form

Without options of ours, atheris looks for inputs that reach new lines of the codec, and collects them in the
directory. `--mutate` changes known inputs blindly: those of the directories (atheris' own will do), or those made of
vectors.json. `--count N` in place of `--mutate` stops after so many inputs. What is tested is the first `hub` on the
path (PYTHONPATH comes before this checkout), and is told first.

The first byte of an input chooses options and grammars, the second how the stream decoder gets the rest. What
decodes must encode again under the same options, and decode to the same root.

The compiled form is fuzzed with the sanitizers for addresses and undefined behaviour, in a copy that is thrown away:

    CFLAGS="-fsanitize=address,undefined -fno-sanitize=shift-base -g" LDFLAGS=-fsanitize=address,undefined \\
        MYPYC_OPT_LEVEL=1 MYPYC_DEBUG_LEVEL=2 HUB_EXI_COMPILE=1 pip install --no-deps --target /tmp/asan .
    LD_PRELOAD=$(gcc -print-file-name=libasan.so) PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0 \\
        PYTHONPATH=/tmp/asan python tests/exi/fuzz_exi.py --mutate 1800

It sees what the compiled code does, not what the interpreter does on its behalf (a write in front of an object, for
one); for that, run an ordinary compiled form under PYTHONMALLOC=debug as well. When the process dies, the input it
died of is in the file that was named at the start.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

HERE = Path(__file__).parent
GUIDED = __name__ == "__main__" and not any(word.startswith("--") or word == "-h" for word in sys.argv[1:])
instrumented: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
if GUIDED:
    import atheris

    instrumented = atheris.instrument_imports(include=["hub.exi"])

sys.path.append(str(HERE.parents[1]))
with instrumented:
    from hub import exi

from tests.exi.helpers import canonical, grammars  # noqa: E402  # after the path is set

LIMITS = exi.Limits(
    depth=40, string_length=20_000, decoded_size=400_000, expansion_floor=50_000, list_items=1000
)
SCHEMAS = (None, "sensor.xsd", "")
SETTINGS: tuple[dict[str, Any], ...] = (
    {},
    {"alignment": "byte-packed"},
    {"alignment": "pre-compression", "block_size": 4},
    {"alignment": "compression"},
    {"preserve": {"comments", "pis", "dtd", "prefixes"}},
    {"preserve": {"lexical", "prefixes"}},
    {"self_contained": ("{urn:test:sensor}node",)},
    {"value_max_length": 8, "value_partition_capacity": 2},
    {"fragment": True},
    {"strict": True},
)
SETS: list[tuple[exi.Grammars | None, exi.Options]] = [
    (None if name is None else grammars(name), exi.Options(limits=LIMITS, **settings))
    for name in SCHEMAS
    for settings in SETTINGS
]


def whole_stream(data: bytes, known: exi.Grammars | None, options: exi.Options) -> str:
    """Header, options document and body."""
    try:
        return exi.to_xml(data, known, options).decode()
    except exi.DecodeError as error:
        return repr(error)


def bodies(data: bytes, cut: int, known: exi.Grammars | None, options: exi.Options) -> str:
    """Bare bodies, in pieces; what comes out must survive another round."""
    decoder = exi.Decoder(known, options)
    found: list[ET.Element] = []
    step = cut or len(data) or 1
    said = ""
    try:
        for start in range(0, len(data), step):
            found += decoder.feed(data[start : start + step])
    except exi.DecodeError as error:
        said = repr(error)
    for element in found[:3]:
        try:
            body = exi.Encoder(known, options).encode(element)
        except exi.EncodeError:
            continue  # a peer may send what our encoder would not, as an xsi:type that names no type
        again = exi.Decoder(known, options).feed(body)
        if len(again) == 1:
            assert canonical(again[0])[0] == canonical(element)[0]
    return f"{[canonical(element) for element in found]}{said}"


def one_input(data: bytes) -> str:
    """Try one input. What came of it is returned, so that both forms can be compared: XML or elements, or the error."""
    if len(data) < 3:
        return ""
    known, options = SETS[data[0] % len(SETS)]
    if data[1] & 1:
        return whole_stream(data[2:], known, options)
    return bodies(data[2:], data[1] >> 1, known, options)


# --- mutation -----------------------------------------------------------------------------------------------


def seeds_of_vectors() -> list[bytes]:
    """Each vector as a whole stream, and as a bare body where its header is the single byte."""
    found = []
    for vector in json.loads((HERE / "vectors.json").read_text(encoding="utf-8")):
        settings = vector["options"]
        fitting = [
            number
            for number, those in enumerate(SETTINGS)
            if those and all(settings.get(key) == value for key, value in those.items() if key != "block_size")
        ]
        first = SCHEMAS.index(vector["schema"]) * len(SETTINGS) + (fitting[0] if fitting else 0)
        data = bytes.fromhex(vector["exi"])
        found.append(bytes((first, 1)) + data)
        if not settings.get("header_options"):
            found += (bytes((first, 0)) + data[1:], bytes((first, 6)) + data[1:])
    return found


def seeds_of(folders: list[Path]) -> list[bytes]:
    """The files of the folders, in an order that is always the same; without folders, the vectors."""
    if not folders:
        return seeds_of_vectors()
    return [file.read_bytes() for folder in folders for file in sorted(folder.iterdir()) if file.is_file()]


def mutated(chance: random.Random, seeds: list[bytes]) -> bytes:
    """A seed with up to five changes: bytes, bits, cuts, runs, and pieces of others."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.randint(0, 5)):
        at = chance.randrange(len(data) + 1)
        way = chance.randrange(6)
        if way == 0:
            data[at : at + 1] = bytes((chance.randrange(256),))
        elif way == 1 and at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        elif way == 2:
            del data[at : at + chance.randint(1, 4)]
        elif way == 3:
            data[at:at] = bytes((chance.choice((0xFF, 0x80, 0, 1, 0x7F)),)) * chance.randint(1, 12)
        elif way == 4:
            other = chance.choice(seeds)
            start = chance.randrange(len(other) + 1)
            data[at:at] = other[start : start + chance.randint(1, 20)]
        else:
            data[0:1] = bytes((chance.randrange(len(SETS)),))
    return bytes(data)


def mutations(seed: int, folders: list[Path]) -> Iterator[bytes]:
    """Inputs without end; the same for the same seed and folders."""
    chance = random.Random(seed)
    seeds = seeds_of(folders)
    while True:
        yield mutated(chance, seeds)


def try_all(inputs: Iterator[bytes], goes_on: Callable[[int], bool], last: int) -> tuple[int, int, str]:
    """(inputs, how many of them decoded to something, a digest of what came of each).

    Each input is written to the file `last` before it is tried: a crash of the process leaves it there.
    """
    count = decoded = 0
    digest = hashlib.sha256()
    while goes_on(count):
        data = next(inputs, None)
        if data is None:
            break
        os.ftruncate(last, os.pwrite(last, data, 0))
        result = one_input(data)
        digest.update(result.encode() + b"\0")
        decoded += bool(result) and result.startswith(("<", "[("))
        count += 1
    return count, decoded, digest.hexdigest()


def main() -> None:
    arguments = argparse.ArgumentParser(description="Fuzz hub.exi without atheris; the docstring says more.")
    way = arguments.add_mutually_exclusive_group(required=True)
    way.add_argument("--mutate", type=float, metavar="SECONDS", help="mutate known inputs for so long")
    way.add_argument("--count", type=int, metavar="N", help="mutate known inputs, so many times")
    way.add_argument("--replay", action="store_true", help="try the files, once each")
    arguments.add_argument("--seed", type=int, default=0, help="of the random numbers")
    arguments.add_argument("paths", type=Path, nargs="*", help="directories with inputs; for --replay, files")
    chosen = arguments.parse_args()
    with tempfile.NamedTemporaryFile(prefix="fuzz_exi.", delete=False) as last:
        print(f"{Path(exi.__file__).parent}, compiled: {exi.compiled}; seed {chosen.seed}")
        print(f"a crash leaves its input in {last.name}", flush=True)
        if chosen.replay:
            inputs, goes_on = (file.read_bytes() for file in chosen.paths), lambda _: True
        elif chosen.count is not None:
            inputs, goes_on = mutations(chosen.seed, chosen.paths), lambda count: count < chosen.count
        else:
            end = time.monotonic() + chosen.mutate
            inputs, goes_on = mutations(chosen.seed, chosen.paths), lambda _: time.monotonic() < end
        count, decoded, digest = try_all(inputs, goes_on, last.fileno())
    Path(last.name).unlink()
    print(f"{count} inputs, {decoded} decoded, nothing found; {digest}")


if GUIDED:
    atheris.Setup(sys.argv, lambda data: (one_input(data), None)[1])
    atheris.Fuzz()
elif __name__ == "__main__":
    main()
