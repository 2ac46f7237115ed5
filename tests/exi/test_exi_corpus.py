"""Every vector of ../shared/exi, decoded and encoded, with a table of the outcome by option set.

Known deviations stand one by one in known_deviations.tsv with the clause that decides; one that passes must
leave the list.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from hub import exi

from . import corpus
from .helpers import ALIGNMENTS

DEVIATIONS = Path(__file__).with_name("known_deviations.tsv")

pytestmark = pytest.mark.skipif(not corpus.SHARED.is_dir(), reason="../shared/exi is not here")


def read_deviations() -> dict[tuple[str, str], str]:
    """(vector, "decode" or "encode") → clause and reason."""
    found = {}
    for line in DEVIATIONS.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            vector, direction, clause, reason = line.split("\t")
            found[vector, direction] = f"{clause}: {reason}"
    return found


def option_set(vector: dict[str, Any]) -> str:
    """The option words as the table shows them: long values are cut."""
    words = [
        word if len(word) < 24 else word.partition("=")[0] + "=…" for word in vector["options"].split(";")
    ]
    kind = "schema-less" if vector["schema"] is None else "schema-informed"
    return f"{kind:15} {';'.join(words) or '(default)'}"


def test_every_vector() -> None:
    walk = corpus.Walk()
    known = read_deviations()
    table: dict[str, Counter[str]] = {}
    failures, fixed = [], []
    for vector in walk.vectors:
        row = table.setdefault(option_set(vector), Counter())
        checks = {"encode": walk.check_encoding}
        if vector["exi"] is not None:
            checks["decode"] = walk.check_decoding
        for direction, check in checks.items():
            problem = check(vector)
            listed = (vector["id"], direction) in known
            outcome = "passed" if not problem else "known deviation" if listed else "failed"
            row[outcome] += 1
            if outcome == "failed":
                failures.append(
                    f"{vector['id']}\t{direction}\t{vector['doc']}\t[{vector['options']}]\t{problem}"
                )
            if listed and not problem:
                fixed.append(f"{vector['id']} {direction}")
    print(f"\nhub.exi compiled: {exi.compiled}; {len(walk.vectors)} vectors, decoded where they have bytes")
    print(f"{'option set':70} {'passed':>7} {'known':>6} {'failed':>7}")
    for name, row in sorted(table.items()):
        print(f"{name:70} {row['passed']:7} {row['known deviation']:6} {row['failed']:7}")
    total = sum(table.values(), Counter())
    print(f"{'total':70} {total['passed']:7} {total['known deviation']:6} {total['failed']:7}")
    assert not failures, "\n".join(failures[:40])
    assert not fixed, f"these pass now and must leave the list: {fixed}"


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize("schema", [None, "schemas/w-iot.xsd"])
def test_the_corpus_as_one_session_cut_at_every_byte(schema: str | None, alignment: str) -> None:
    options = exi.Options(alignment=alignment)
    known = walked_grammars().of(schema)
    paths = sorted((corpus.SHARED / "corpus").glob("*.xml"))
    elements = [ET.parse(path).getroot() for path in paths]
    encoder, decoder = exi.Encoder(known, options), exi.Decoder(known, options)
    bodies = [encoder.encode(element) for element in elements]
    data = b"".join(bodies)
    found = [element for at in range(len(data)) for element in decoder.feed(data[at : at + 1])]
    assert not decoder.pending
    again = exi.Encoder(known, options)
    assert [again.encode(element) for element in found] == bodies


@cache
def walked_grammars() -> corpus.Grammar:
    return corpus.Grammar()
