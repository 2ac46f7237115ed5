"""Grammar files: those that are absent, damaged or meant to do harm are a `SchemaError`, quickly."""

from __future__ import annotations

import contextlib
import random
import time
import zlib
from pathlib import Path

import pytest

from hub import exi
from hub.exi.grammarfile import LARGEST_FILE, dumps, loads

from .helpers import grammars
from .make_vectors import INFORMED, SCHEMA_LESS

OPTIONS = [exi.Options(), exi.Options(strict=True), exi.Options(alignment="compression"),
           exi.Options(preserve=frozenset({"lexical", "prefixes"}))]  # fmt: skip


def sealed(body: bytes) -> bytes:
    """A file whose checksum fits."""
    return b"EXIG\x01" + zlib.crc32(body).to_bytes(4, "big") + body


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(exi.SchemaError, match="cannot be read"):
        exi.Grammars.read(tmp_path / "absent")
    with pytest.raises(exi.SchemaError, match="cannot be read"):
        exi.Grammars.read(tmp_path)
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(10 * LARGEST_FILE)
    with pytest.raises(exi.SchemaError, match="larger than"):
        exi.Grammars.read(large)
    good = dumps(grammars("sensor.xsd"))
    for data in (b"", b"EXIG", b"EXIG\x02", good[:-1], good[:20], good + b"\0", b"<xs:schema/>"):
        with pytest.raises(exi.SchemaError):
            loads(data)


@pytest.mark.parametrize("body", [b"", b"\x00", b"\xff" * 200_000, b"\x01" + b"\xff" * 100_000 + b"\x01", bytes(9)])
def test_bodies_that_are_none(body: bytes) -> None:
    start = time.perf_counter()
    with pytest.raises(exi.SchemaError, match="damaged"):
        loads(sealed(body))
    assert time.perf_counter() - start < 5


def test_damaged_bodies_with_a_checksum_that_fits() -> None:
    chance = random.Random(11)
    good = dumps(grammars("sensor.xsd"))[9:]
    documents = [text.encode() for text in {**INFORMED, **SCHEMA_LESS}.values()]
    used = 0
    for _ in range(3000):
        body = bytearray(good)
        for _ in range(chance.randint(1, 3)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        if chance.random() < 0.2:
            del body[chance.randrange(len(body)) :]
        try:
            known = loads(sealed(bytes(body)))
        except exi.SchemaError:
            continue
        used += 1
        options = chance.choice(OPTIONS)
        with contextlib.suppress(exi.EXIError):
            exi.from_xml(chance.choice(documents), known, options)
        with contextlib.suppress(exi.EXIError):
            exi.to_xml(b"\x80" + chance.randbytes(50), known, options)
    assert used > 100
