"""Writes vectors.json, the vectors kept in the repository: documents, options and the bytes they make.

    python -m tests.exi.make_vectors

Run it only when our output is meant to change, and after test_exi_corpus.py has passed on the vectors of
other codecs; the diff of vectors.json then shows what changed.
"""

from __future__ import annotations

import json
from typing import Any

from hub import exi

from .helpers import ALIGNMENTS, HERE, grammars

S = 'xmlns="urn:test:sensor"'
XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
NODE = (
    '<node nodeId="Dev.01"><timestamp value="2026-11-20T23:59:00Z">'
    '<numeric name="Temperature" value="21.50" unit="K" momentary="true"/>'
    '<numeric name="Temperature" value="-0.5"/><flag since="2026-01-02">true</flag><note>warm ☀</note>'
    "<extra>7</extra><bonus>-3</bonus></timestamp></node>"
)
INFORMED = {
    "fields": f'<fields {S} seqnr="45" level="3">{NODE}</fields>',
    "empty": f'<fields {S} seqnr="0"/>',
    "mixed": f'<fields {S} seqnr="1"><node nodeId="a"><timestamp value="1999-12-31T23:59:59.25+05:30">'
    "<text>one <b>two</b> <b/> three</text></timestamp></node></fields>",
    "nil": f'<fields {S} {XSI} seqnr="1"><node nodeId="a"><timestamp value="2000-01-01T00:00:00Z">'
    '<flag xsi:nil="true" since="2026-01-02"/></timestamp></node></fields>',
    "type": f'<fields {S} {XSI} xsi:type="MoreFields" seqnr="1"><done/></fields>',
}
DEVIATING = {
    "undeclared": f'<fields {S} seqnr="70000" level="21" new="x">'
    '<odd a="1">text</odd><odd a="1">text</odd></fields>',
    "unknown": '<other xmlns="urn:x"><a>1</a><a>1</a><b c="d" e="f"/></other>',
}
SCHEMA_LESS = {
    "plain": "<a b='1' c='two'><i>hello</i><i>hello</i> tail<j/></a>",
    "names": '<x:a xmlns:x="urn:x" xmlns:y="urn:y" x:k="v" y:k="v"><y:b/><x:a/></x:a>',
    "fidelity": "<!DOCTYPE a [<!ELEMENT a ANY>]><!-- c --><a><?p d?>t<!--x--><b/></a><!--end-->",
    "unicode": "<r v='Räksmörgås 🌡️ 中文'>Ω</r>",
}
FRAGMENT = "<a>1</a><b/><a>1</a>"


def option_sets() -> list[dict[str, Any]]:
    """The option sets that every document is written under."""
    sets: list[dict[str, Any]] = [{"alignment": alignment} for alignment in ALIGNMENTS]
    sets += [
        {"cookie": True, "header_options": True, "schema_id": "sensor"},
        {"preserve": ["comments", "pis", "dtd", "prefixes"]},
        {"preserve": ["lexical", "prefixes"]},
        {"value_max_length": 5, "value_partition_capacity": 2},
        {"local_value_partitions": False, "max_builtin_element_grammars": 0, "max_builtin_productions": 0},
        {"alignment": "compression", "block_size": 3, "header_options": True},
    ]
    return sets


def make() -> list[dict[str, Any]]:
    """All vectors."""
    found = []
    informed_sets = [*option_sets(), {"strict": True}, {"strict": True, "header_options": True}]
    cases = [
        (name, "sensor.xsd", text, settings) for name, text in INFORMED.items() for settings in informed_sets
    ]
    cases += [
        (name, "sensor.xsd", text, settings) for name, text in DEVIATING.items() for settings in option_sets()
    ]
    cases += [
        (name, "", text, settings) for name, text in DEVIATING.items() for settings in option_sets()[:4]
    ]
    cases += [
        (name, None, text, settings) for name, text in SCHEMA_LESS.items() for settings in option_sets()
    ]
    cases += [("fragment", None, FRAGMENT, {**settings, "fragment": True}) for settings in option_sets()]
    representations = {"{http://www.w3.org/2001/XMLSchema}double": "{http://www.w3.org/2009/exi}decimal"}
    cases.append(("fields", "sensor.xsd", INFORMED["fields"], {"datatype_representations": representations}))
    cases.append(("fields", "sensor.xsd", INFORMED["fields"], {"self_contained": ["{urn:test:sensor}node"]}))
    cases.append(("plain", None, SCHEMA_LESS["plain"], {"self_contained": ["i"]}))
    for name, schema, text, settings in cases:
        known = None if schema is None else grammars(schema)
        data = exi.from_xml(text.encode(), known, exi.Options(**settings))
        found.append({"name": name, "schema": schema, "options": settings, "xml": text, "exi": data.hex()})
    return found


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(vector, ensure_ascii=False) for vector in make())
    (HERE / "vectors.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
