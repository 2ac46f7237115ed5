"""A fuzz target for atheris: hostile bytes end in `DecodeError`, nothing else, in bounded time and memory.

    python tests/exi/fuzz_exi.py [-max_total_time=1800] [directory with a corpus]

The first byte of an input chooses options and grammars, the second how the stream decoder gets the rest. What
decodes must encode again under the same options, and decode to the same root.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))
with atheris.instrument_imports(include=["hub.exi"]):
    from hub import exi

from tests.exi.helpers import canonical, grammars

LIMITS = exi.Limits(
    depth=40, string_length=20_000, decoded_size=400_000, expansion_floor=50_000, list_items=1000
)
SETS: list[tuple[exi.Grammars | None, exi.Options]] = []
for known in (None, grammars("sensor.xsd"), grammars("")):
    for settings in (
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
    ):
        SETS.append((known, exi.Options(limits=LIMITS, **settings)))  # type: ignore[arg-type]


def whole_stream(data: bytes, known: exi.Grammars | None, options: exi.Options) -> None:
    """Header, options document and body."""
    try:
        exi.to_xml(data, known, options)
    except exi.DecodeError:
        return


def bodies(data: bytes, cut: int, known: exi.Grammars | None, options: exi.Options) -> None:
    """Bare bodies, in pieces; what comes out must survive another round."""
    decoder = exi.Decoder(known, options)
    found = []
    step = cut or len(data) or 1
    try:
        for start in range(0, len(data), step):
            found += decoder.feed(data[start : start + step])
    except exi.DecodeError:
        pass
    for element in found[:3]:
        try:
            body = exi.Encoder(known, options).encode(element)
        except exi.EncodeError:
            continue  # a peer may send what our encoder would not, as an xsi:type that names no type
        again = exi.Decoder(known, options).feed(body)
        if len(again) == 1:
            assert canonical(again[0])[0] == canonical(element)[0]


def one_input(data: bytes) -> None:
    if len(data) < 3:
        return
    known, options = SETS[data[0] % len(SETS)]
    if data[1] & 1:
        whole_stream(data[2:], known, options)
    else:
        bodies(data[2:], data[1] >> 1, known, options)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
