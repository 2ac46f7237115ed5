"""EXIficient decodes what we encode. Opt in with HUB_EXI_PEER=1 where Java and Maven are; else it is not collected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hub import exi

from . import peer
from .corpus import decode_events, difference, normal
from .helpers import ALIGNMENTS, HERE, SCHEMAS, grammars

pytestmark = pytest.mark.timeout(peer.SECONDS)
VECTORS = json.loads((HERE / "vectors.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize("schema", [None, "sensor.xsd"])
def test_the_peer_reads_what_we_write(schema: str | None, alignment: str, tmp_path: Path) -> None:
    known = None if schema is None else grammars(schema)
    texts = sorted(
        {each["xml"] for each in VECTORS if each["schema"] == schema and each["name"] != "fragment"}
    )
    files = []
    for number, text in enumerate(texts):
        path = tmp_path / f"{number}.exi"
        path.write_bytes(exi.from_xml(text.encode(), known, exi.Options(alignment=alignment)))
        files.append(str(path))
    name = "-" if schema is None else str(SCHEMAS / schema)
    lines = peer.run("decode", name, peer.CODING[alignment], *files)
    assert len(lines) == len(texts)
    for text, line in zip(texts, lines, strict=True):
        # Their text goes through our codec once more, so that both are events of the same kind.
        ours, theirs = (exi.from_xml(each.encode(), known) for each in (text, line))
        found, expected = (decode_events(each, known, exi.Options()) for each in (theirs, ours))
        assert not difference(normal(found), normal(expected))
