"""The schemas that ship: valid, closed, compiled as they stand, and fit for every stanza the product speaks."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import xmlschema

from hub import exi
from hub.exi import schemas
from hub.exi.grammarfile import dumps
from hub.exi.schemas.__main__ import compiled, main
from hub.exi.xsd import schema_of_schemas
from tests.stanzas.vectors_new_dialect import CONTROL_VECTORS, SENSOR_DATA_VECTORS
from tests.stanzas.vectors_new_trust import DISCOVERY_VECTORS, FAMILIES, PROVISIONING_VECTORS

from . import product

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "hub" / "exi" / "schemas"
XSD = "{http://www.w3.org/2001/XMLSchema}"
FILES = schemas.files()
STRICT = exi.Options(strict=True)


def validated(file: Path) -> xmlschema.XMLSchema10:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an import that does not resolve is only a warning there
        return xmlschema.XMLSchema10(str(file), validation="strict", allow="local")


# --------------------------------------------------------------------------- the files


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.name))
def test_each_file_is_valid_by_itself_and_finds_its_imports_beside_it(file: schemas.SchemaFile) -> None:
    schema = validated(FOLDER / file.name)
    assert schema.target_namespace == file.namespace
    assert not schema.all_errors


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.name))
def test_each_import_names_a_file_of_the_set_by_location_and_namespace(file: schemas.SchemaFile) -> None:
    names = {each.namespace: each.name for each in FILES}
    for import_ in ET.fromstring(file.data).iter(f"{XSD}import"):
        assert names[import_.get("namespace", "")] == import_.get("schemaLocation")


def test_validation_sees_an_ambiguous_wildcard(tmp_path: Path) -> None:
    for file in FILES:
        (tmp_path / file.name).write_bytes(file.data)
    client = (tmp_path / "client.xsd").read_text(encoding="utf-8")
    ambiguous, count = re.subn(r'<xs:any namespace="urn:ietf[^"]*"', '<xs:any namespace="##other"', client)
    assert count == 1
    (tmp_path / "client.xsd").write_text(ambiguous, encoding="utf-8")
    with pytest.raises(xmlschema.XMLSchemaModelError, match="overlap and are in the same"):
        validated(tmp_path / "client.xsd")


def test_every_namespace_of_a_wildcard_is_one_of_the_set() -> None:
    known = {file.namespace for file in FILES}
    for file in FILES:
        for wildcard in ET.fromstring(file.data).iter(f"{XSD}any"):
            assert set(wildcard.get("namespace", "").split()) <= known | {"##other"}, file.name


def test_no_pattern_has_anchors_that_xsd_takes_for_characters() -> None:
    patterns = [each.get("value", "") for file in FILES for each in ET.fromstring(file.data).iter(f"{XSD}pattern")]
    assert patterns and not any(pattern[0] in "^" or pattern[-1] in "$" for pattern in patterns)


@pytest.mark.parametrize("kind", ["sd", "ctr", "prov-d", "prov-t", "disco"])
def test_the_families_of_the_new_dialect_differ_in_their_namespace_only(kind: str) -> None:
    texts = {
        (FOLDER / f"{family}-{kind}.xsd")
        .read_text(encoding="utf-8")
        .replace(f"urn:{family}:iot", "urn:x:iot")
        .replace(f'"{family}-sd.xsd"', '"x-sd.xsd"')
        for family in ("nf", "ieee", "nfi")
    }
    assert len(texts) == 1


# --------------------------------------------------------------------------- what ships


@pytest.mark.parametrize("set_", schemas.SETS)
def test_what_ships_is_what_the_files_compile_to(set_: str) -> None:
    assert (FOLDER / f"{set_}.exig").read_bytes() == compiled(set_), "run `python -m hub.exi.schemas`"


def test_the_schema_of_schemas_that_ships_is_what_the_library_has() -> None:
    assert (FOLDER / "xsd.exig").read_bytes() == dumps(schema_of_schemas()), "run `python -m hub.exi.schemas`"


def test_the_command_writes_the_grammar_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 0
    assert (tmp_path / "xmpp.exig").read_bytes() == (FOLDER / "xmpp.exig").read_bytes()
    assert "default.exig: " in capsys.readouterr().out
    assert main([str(tmp_path / "nowhere")]) == 1
    assert "nowhere" in capsys.readouterr().err


def test_grammars_load_without_a_schema_library() -> None:
    program = (
        "import sys; sys.modules['xmlschema'] = None\n"
        "from hub.exi import schemas\n"
        "assert 'xmlschema' not in str(schemas.grammars('default').spaces[0])\n"
        "print(len(schemas.grammars().elements), len(schemas.grammars('default').elements))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    whole, default = map(int, ran.stdout.split())
    assert default < whole <= 127, "with more global elements the first code of every stanza takes 8 bits"


def test_grammars_are_loaded_once() -> None:
    assert schemas.grammars() is schemas.grammars(schemas.XMPP)
    assert schemas.grammars() is not schemas.grammars(schemas.DEFAULT)


# --------------------------------------------------------------------------- naming


def test_each_file_is_told_by_namespace_size_and_md5() -> None:
    assert [file.namespace for file in FILES] == sorted({file.namespace for file in FILES})
    for file in FILES:
        assert file.data == (FOLDER / file.name).read_bytes()
        assert file.identity == (file.namespace, len(file.data), hashlib.md5(file.data).hexdigest())
    assert {file.name for file in FILES} == {path.name for path in FOLDER.glob("*.xsd")}


def test_a_set_is_known_by_all_of_its_files_and_by_no_part() -> None:
    identities = [file.identity for file in FILES]
    assert schemas.set_of([*reversed(identities), identities[0]]) == schemas.XMPP
    assert schemas.set_of(file.identity for file in schemas.files(schemas.DEFAULT)) == schemas.DEFAULT
    assert schemas.set_of(identities[1:]) is None
    assert schemas.set_of([(*identities[0][:2], "0" * 32), *identities[1:]]) is None
    assert schemas.set_of([]) is None


def test_the_default_set_is_closed() -> None:
    names = {file.name for file in schemas.files(schemas.DEFAULT)}
    for file in schemas.files(schemas.DEFAULT):
        locations = {each.get("schemaLocation") for each in ET.fromstring(file.data).iter(f"{XSD}import")}
        assert locations <= names


def test_a_fingerprint_names_a_set_and_its_files() -> None:
    assert re.fullmatch("[0-9a-f]{32}", schemas.fingerprint())
    assert schemas.fingerprint() == schemas.fingerprint(schemas.XMPP) != schemas.fingerprint(schemas.DEFAULT)


def test_a_wrapper_imports_in_ascending_order() -> None:
    text = schemas.canonical_schema([("urn:b", "b & c.xsd"), ("jabber:client", "a.xsd")])
    root = ET.fromstring(text)
    assert root.get("targetNamespace") == "urn:xmpp:exi:cs"
    assert [(each.get("namespace"), each.get("schemaLocation")) for each in root] == [
        ("jabber:client", "a.xsd"), ("urn:b", "b & c.xsd"),
    ]  # fmt: skip


def test_an_unknown_set_is_an_error_that_names_the_known() -> None:
    for ask in (schemas.files, schemas.grammars, schemas.fingerprint):
        with pytest.raises(exi.SchemaError, match="no set of schemas 'all'; known are xmpp, default"):
            ask("all")


# --------------------------------------------------------------------------- every stanza

NOT_STRICT = {
    "a value that is not of its type is left out": "no schema has it",
    "a foreign element and an unknown value type are passed over": "no schema has it",
    "errors of parameters": "an error without a condition, which RFC 6120 section 8.3.2 wants",
}
"""Vectors of the new dialect that a strict stream cannot carry, and why."""

TAGS_NOT_STRICT = {
    "{urn:xmpp:iot:sensordata}rejected": "an answer of an older version, in an example of XEP-0324",
    "{urn:xmpp:iot:provisioning}credentials": "its schema has an element per credential, its examples do not",
}

CORPUS_NOT_STRICT = {
    "065-cc-getAllNodes.xml", "067-cc-getCapabilitiesResponse.xml", "068-cc-containsNodeResponse.xml",
}  # fmt: skip
"""Concentrators, for which the product has no schema."""


def there_and_back(stanza: ET.Element, options: exi.Options) -> ET.Element:
    grammars = schemas.grammars()
    [back] = exi.Decoder(grammars, options).feed(exi.Encoder(grammars, options).encode(stanza))
    return back


def own_stanzas() -> Iterator[Any]:
    for name in ("captured.xml", "written.xml"):
        for number, stanza in enumerate(product.stanzas(name)):
            yield pytest.param(stanza, id=f"{name}-{number}")
    for name in ("xep0323.xml", "xep0324.xml", "xep0325.xml", "xep0347.xml"):
        for number, example in enumerate(ET.parse(ROOT / "tests" / "stanzas" / name).getroot()):
            for stanza in example:
                yield pytest.param(product.in_client(stanza), id=f"{name}-{number}")
    for vector in (*SENSOR_DATA_VECTORS, *CONTROL_VECTORS):
        for family in ("nf", "ieee", "nfi"):
            for text, form in ((vector.xml, "read"), (vector.written, "written")):
                if text.startswith("<"):
                    namespace = f"urn:{family}:iot:{'ctr' if vector in CONTROL_VECTORS else 'sd'}:1.0"
                    stanza = ET.Element("{jabber:client}iq", type="set", id="1")
                    if text.startswith("<done"):
                        stanza = ET.Element("{jabber:client}message")
                    stanza.append(ET.fromstring(text.replace("NS", namespace)))
                    yield pytest.param(stanza, id=f"{family}-{vector.name}, {form}")
    for vector in (*PROVISIONING_VECTORS, *DISCOVERY_VECTORS):
        for family in FAMILIES:
            for text, form in ((vector.xml, "read"), (vector.written, "written")):
                if text:
                    stanza = ET.Element("{jabber:client}message" if "friend" in vector.kind else "{jabber:client}iq",
                                        type="normal" if "friend" in vector.kind else "set", id="1")  # fmt: skip
                    stanza.append(ET.fromstring(text.replace("FAMILY", family)))
                    yield pytest.param(stanza, id=f"{family}-{vector.name}, {form}")


OWN = list(own_stanzas())


@pytest.mark.parametrize("stanza", OWN)
def test_a_stanza_comes_back_equal(stanza: ET.Element) -> None:
    assert product.canonical(there_and_back(stanza, exi.Options())) == product.canonical(stanza)


@pytest.mark.parametrize("stanza", OWN)
def test_a_stanza_fits_strict(stanza: ET.Element, request: pytest.FixtureRequest) -> None:
    unknown = any(each.tag in TAGS_NOT_STRICT for each in stanza.iter())
    if unknown or any(f"-{name}, read]" in request.node.name for name in NOT_STRICT):
        with pytest.raises(exi.EncodeError, match=r"\(strict\)"):
            there_and_back(stanza, STRICT)
    else:
        assert product.canonical(there_and_back(stanza, STRICT)) == product.canonical(stanza)


def test_what_no_schema_knows_is_carried_only_where_the_stream_is_not_strict() -> None:
    stanza = ET.fromstring("<iq xmlns='jabber:client' id='a b_c' type='get'><q xmlns='urn:unknown' k='1'>t</q></iq>")
    assert product.canonical(there_and_back(stanza, exi.Options())) == product.canonical(stanza)
    with pytest.raises(exi.EncodeError, match="urn:unknown"):
        there_and_back(stanza, STRICT)


@pytest.mark.parametrize("options", [exi.Options(), STRICT], ids=["plain", "strict"])
@pytest.mark.parametrize("id_", ["", " ", "a_b", "dB3/=+", "\N{GREEK SMALL LETTER OMEGA}", "x" * 300])
def test_any_id_is_carried(id_: str, options: exi.Options) -> None:
    stanza = ET.Element("{jabber:client}iq", id=id_, type="get")
    assert there_and_back(stanza, options).get("id") == id_


@pytest.mark.parametrize("options", [exi.Options(), STRICT], ids=["plain", "strict"])
def test_the_default_set_carries_what_sets_a_stream_up(options: exi.Options) -> None:
    grammars = schemas.grammars(schemas.DEFAULT)
    spaces = ("{http://jabber.org/protocol/compress/exi}", "{http://etherx.jabber.org/streams}",
              "{urn:ietf:params:xml:ns:xmpp-sasl}")  # fmt: skip
    carried = [stanza for stanza in product.stanzas("written.xml") if stanza.tag.startswith(spaces)]
    assert {stanza.tag.partition("}")[0] + "}" for stanza in carried} == set(spaces)
    encoder, decoder = exi.Encoder(grammars, options), exi.Decoder(grammars, options)
    for stanza in carried:
        [back] = decoder.feed(encoder.encode(stanza))
        assert product.canonical(back) == product.canonical(stanza)


@pytest.mark.skipif(not product.SHARED_CORPUS.is_dir(), reason="../shared/exi/corpus is not here")
@pytest.mark.parametrize("options", [exi.Options(), STRICT], ids=["plain", "strict"])
def test_the_shared_corpus_comes_back_equal(options: exi.Options) -> None:
    refused = set()
    for file in sorted(product.SHARED_CORPUS.glob("*.xml")):
        stanza = ET.parse(file).getroot()
        try:
            back = there_and_back(stanza, options)
        except exi.EncodeError:
            refused.add(file.name)
        else:
            assert product.canonical(back) == product.canonical(stanza), file.name
    assert refused == (CORPUS_NOT_STRICT if options.strict else set())
