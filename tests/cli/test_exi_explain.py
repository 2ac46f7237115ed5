"""`hub exi explain`: what is drawn of a stanza, of several, and of what is none."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from hub import exi
from hub.cli.explain import compact
from hub.exi import schemas
from tests.cli.conftest import hub
from tests.exi import product

ACK = "<a xmlns='urn:xmpp:sm:3' h='{}'/>"
READING = (
    "<message xmlns='jabber:client' to='owner@localhost/raw'><fields xmlns='urn:xmpp:iot:sensordata' seqnr='{}'>"
    "<node nodeId='[air]'/></fields></message>"
)


def written(path: Path, *texts: str) -> str:
    path.write_text('<?xml version="1.0" encoding="UTF-8"?>\n' + "\n".join(texts), encoding="utf-8")
    return str(path)


def test_a_stanza_its_bytes_and_its_parts(tmp_path: Path) -> None:
    ran = hub("exi", "explain", written(tmp_path / "a.xml", ACK.format(5)), "--strict")
    assert ran.code == 0 and ran.err == ""
    lines = [line.split() for line in ran.out.splitlines() if line]
    assert lines[0] == ["<a", 'xmlns="urn:xmpp:sm:3"', 'h="5"/>']
    assert ["part", "content", "code", "name", "data", "bits", "how"] in lines
    assert ["<a>", "7", "7"] in lines and ["h", "5", "8", "8"] in lines
    assert ["sum", "8", "0", "8", "16"] in lines
    assert ran.out.splitlines()[-1] == "2 bytes, 6% of its XML (32 bytes)"


def test_several_stanzas_warm_the_tables_for_the_last(tmp_path: Path) -> None:
    file = written(tmp_path / "a.xml", READING.format(1), READING.format(2))
    one = hub("exi", "explain", file)
    assert one.out.startswith("2 stanzas, ") and one.out.count("<node>") == 1
    assert "[air]" in one.out
    assert hub("exi", "explain", file, "--each").out.count("<node>") == 2
    sizes = [int(size) for size in one.out.splitlines()[0].partition("each: ")[2].split()]
    assert sizes[1] < sizes[0] / 2
    apart = hub("exi", "explain", file, "--apart").out.splitlines()[0]
    assert apart.endswith(f"each: {sizes[0]} {sizes[0]}")
    repeated = hub("exi", "explain", file, "--repeat", "20").out.splitlines()[0]
    assert repeated.startswith("40 stanzas") and "…" in repeated


def test_bare_bodies_are_read_with_the_same_grammars(tmp_path: Path) -> None:
    encoder = exi.Encoder(schemas.grammars())
    file = tmp_path / "a.exi"
    file.write_bytes(b"".join(encoder.encode(ET.fromstring(READING.format(number))) for number in range(2)))
    grammars = tmp_path / "g.exig"
    schemas.grammars().write(grammars)
    plain = hub("exi", "explain", "--exi", str(file))
    assert plain.code == 0 and plain.out.startswith("2 stanzas, ")
    assert hub("exi", "explain", "--exi", "--grammars", str(grammars), str(file)).out == plain.out


def test_what_is_no_stanza_is_one_sentence(tmp_path: Path) -> None:
    for text, said in (("<a>", "this is no XML"), ("", "no stanza"), ("<a/> words <b/>", "nothing but white space")):
        ran = hub("exi", "explain", written(tmp_path / "a.xml", text))
        assert ran.code == 1 and said in ran.err and ran.err.count("\n") == 1, ran.err
    (tmp_path / "b.exi").write_bytes(b"\xff" * 9)
    assert hub("exi", "explain", "--exi", str(tmp_path / "b.exi")).code == 1


@pytest.mark.parametrize("name", ["captured.xml", "written.xml"])
def test_the_xml_that_is_shown_is_the_stanza(name: str) -> None:
    for stanza in product.stanzas(name):
        assert product.canonical(ET.fromstring(compact(stanza))) == product.canonical(stanza)
