"""Time per stanza against EXIficient on the JVM: SAX events ↔ bytes there, elements ↔ bytes here.

    HUB_EXI_PEER=1 python -m tests.benchmarks.exi_exificient [--corpus DIRECTORY] [--schema FILE]

Both sides have their grammars ready and are warmed up; each figure is the median of the rounds, in µs.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from xml.etree import ElementTree as ET

from hub import exi

from ..exi import peer
from .exi_speed import SHARED, median_microseconds


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--corpus", type=Path, default=SHARED / "corpus")
    arguments.add_argument("--schema", type=Path, default=SHARED / "schemas" / "w-iot.xsd")
    arguments.add_argument("--rounds", type=int, default=15)
    chosen = arguments.parse_args()
    if not peer.available():
        raise SystemExit("this needs HUB_EXI_PEER=1, Java and Maven")
    paths = sorted(chosen.corpus.glob("*.xml"))
    theirs = {}
    for line in peer.run("bench", str(chosen.schema), str(chosen.rounds), *map(str, paths)):
        name, encoding, decoding = line.split()
        theirs[name] = (float(encoding), float(decoding))
    grammars = exi.load_schemas([chosen.schema])
    print(f"hub.exi compiled: {exi.compiled}; median µs of {chosen.rounds} rounds")
    print(f"{'document':34} {'our enc':>9} {'our dec':>9} {'their enc':>9} {'their dec':>9} {'ratio':>6}")
    totals = [0.0] * 4
    for path in paths:
        element = ET.fromstring(path.read_bytes())
        encoder = exi.Encoder(grammars, session_tables=False)
        decoder = exi.Decoder(grammars, session_tables=False)
        body = encoder.encode(element)
        times = [
            median_microseconds(
                lambda encoder=encoder, element=element: encoder.encode(element), chosen.rounds
            ),
            median_microseconds(lambda decoder=decoder, body=body: decoder.feed(body), chosen.rounds),
            *theirs[path.name],
        ]
        totals = [total + each for total, each in zip(totals, times, strict=True)]
        ratio = (times[0] + times[1]) / (times[2] + times[3])
        print(f"{path.stem[:34]:34} " + " ".join(f"{each:9.1f}" for each in times) + f" {ratio:6.2f}")
    ratio = (totals[0] + totals[1]) / (totals[2] + totals[3])
    print(f"{'total':34} " + " ".join(f"{each:9.1f}" for each in totals) + f" {ratio:6.2f}")


if __name__ == "__main__":
    main()
