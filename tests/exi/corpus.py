"""Walks the vectors of ../shared/exi: what each one asks for, and how documents are compared.

Expected events are what another codec decodes. Comparison follows `meta.json` there: order of attributes,
white space between tags, prefixes, schema hints and xsi:nil="false" do not count; values count by meaning.
"""

from __future__ import annotations

import gzip
import json
import re
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from hub import exi
from hub.exi import api
from hub.exi.names import XSI_URI, QName
from hub.exi.sinks import Sink

SHARED = Path(__file__).parents[2].parent / "shared" / "exi"
ALIGNMENTS = {"byte": "byte-packed", "precomp": "pre-compression", "comp": "compression"}
NUMBERS = {
    "vml": "value_max_length",
    "vpc": "value_partition_capacity",
    "block": "block_size",
    "maxbeg": "max_builtin_element_grammars",
    "maxbp": "max_builtin_productions",
}
FLAGS = {"strict": "strict", "fragment": "fragment", "cookie": "cookie", "options": "header_options"}
PRESERVED = ("comments", "pis", "dtd", "prefixes", "lexical")


def read_lines(name: str) -> list[Any]:
    """The objects of a compressed file with one JSON value a line."""
    with gzip.open(SHARED / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def options_of(vector: dict[str, Any]) -> exi.Options:
    """The option words of a vector as `Options`."""
    found: dict[str, Any] = {}
    preserve = set()
    for word in filter(None, vector["options"].split(";")):
        name, _, value = word.partition("=")
        if name in PRESERVED:
            preserve.add(name)
        elif name in FLAGS:
            found[FLAGS[name]] = True
        elif name in NUMBERS:
            found[NUMBERS[name]] = int(value)
        elif name == "align":
            found["alignment"] = ALIGNMENTS[value]
        elif name == "schemaid":
            found["schema_id"] = "lab"
        elif name == "localvp0":
            found["local_value_partitions"] = False
        elif name == "sc":
            found["self_contained"] = tuple(
                each.removeprefix("{}") for each in re.findall(r"\{[^}]*\}[^,]*", value)
            )
        elif name == "dtrm":
            pairs = (pair.split("->") for pair in value.split(","))
            found["datatype_representations"] = {pair[0]: pair[1] for pair in pairs}
    if vector["doc"].endswith(".frag"):
        found["fragment"] = True
    return exi.Options(preserve=frozenset(preserve), **found)


class Grammar:
    """Grammars by the name of their schema, each compiled once."""

    def __init__(self) -> None:
        self.known: dict[str, exi.Grammars] = {}

    def of(self, schema: str | None) -> exi.Grammars | None:
        if schema is None:
            return None
        if schema not in self.known:
            # The vectors name the set of built-in XSD types by a remark in parentheses.
            paths = [] if schema.startswith("(") else [SHARED / schema]
            self.known[schema] = exi.load_schemas(paths)
        return self.known[schema]


class EventSink(Sink):
    """Collects events in the form of events.jsonl."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[list[str]] = []

    def start(self, qname: QName, prefix: str) -> None:
        self.events.append(["SE", f"{{{qname.uri}}}{qname.local}"])

    def attribute(self, qname: QName, value: str, prefix: str) -> None:
        self.events.append(["AT", f"{{{qname.uri}}}{qname.local}", value])

    def type_attribute(self, value: QName, prefix: str, value_prefix: str) -> None:
        self.events.append(["AT", f"{{{XSI_URI}}}type", value.local])

    def text(self, value: str) -> None:
        self.events.append(["CH", value])

    def end(self) -> None:
        self.events.append(["EE"])

    def comment(self, text: str) -> None:
        self.events.append(["CM", text])

    def instruction(self, target: str, data: str) -> None:
        self.events.append(["PI", target, data])

    def doctype(self, name: str, public: str, system: str, text: str) -> None:
        self.events.append(["DT", name])

    def entity(self, name: str) -> None:
        self.events.append(["ER", name])


def decode_events(data: bytes, grammars: exi.Grammars | None, options: exi.Options) -> list[list[str]]:
    """The events of a stream."""
    sink = EventSink()
    api._decode(data, grammars, options, sink)
    return sink.events


def normal(events: list[list[str]]) -> list[list[str]]:
    """Events without what does not count."""
    found: list[list[str]] = []
    for event in events:
        kind = event[0]
        if kind in ("SD", "ED", "NS"):
            continue
        if kind == "AT":
            name, value = event[1], event[2]
            if name in (f"{{{XSI_URI}}}schemaLocation", f"{{{XSI_URI}}}noNamespaceSchemaLocation"):
                continue
            if name == f"{{{XSI_URI}}}type":
                value = value.rpartition(":")[2]
            if name == f"{{{XSI_URI}}}nil":
                if value.strip() in ("false", "0"):
                    continue
                value = "true" if value.strip() == "1" else value
            found.append(["AT", name, value])
        elif kind == "CH" and found and found[-1][0] == "CH":
            found[-1] = ["CH", found[-1][1] + event[1]]
        else:
            found.append(event[:2] if kind in ("SE", "DT") else list(event))
    found = [event for event in found if event[0] != "CH" or event[1].strip()]
    ordered: list[list[str]] = []
    attributes: list[list[str]] = []
    for event in [*found, ["EE"]]:
        if event[0] == "AT":
            attributes.append(event)
            continue
        ordered += sorted(attributes)
        attributes = []
        ordered.append(event)
    return ordered[:-1]


def same_value(left: str, right: str) -> bool:
    """Whether two lexical forms mean the same."""
    left, right = " ".join(left.split()), " ".join(right.split())
    if left == right or left.replace(" ", "") == right.replace(" ", ""):
        return True
    left_parts, right_parts = left.split(), right.split()
    if len(left_parts) > 1 and len(left_parts) == len(right_parts):
        return all(same_value(*pair) for pair in zip(left_parts, right_parts, strict=True))
    try:
        return Decimal(left) == Decimal(right)
    except InvalidOperation:
        pass
    if {left, right} in ({"true", "1"}, {"false", "0"}):
        return True
    if left.upper() == right.upper() and re.fullmatch("[0-9A-Fa-f]*", left):
        return True
    return plain_time(left) == plain_time(right)


def plain_time(text: str) -> str:
    """A time without zeros at the end of its seconds, and with one spelling of UTC."""
    text = re.sub(r"(\.\d*?)0+(?=Z|[+-]|$)", lambda match: match[1].rstrip("."), text)
    return re.sub(r"[+-]00:00$", "Z", text)


def difference(found: list[list[str]], expected: list[list[str]]) -> str:
    """Where two documents differ, "" if they do not."""
    for left, right in zip(found, expected, strict=False):
        if left[0] in ("AT", "CH") and left[:-1] == right[:-1] and same_value(left[-1], right[-1]):
            continue
        if left != right:
            return f"found {left}, expected {right}"
    if len(found) != len(expected):
        return f"found {len(found)} events, expected {len(expected)}"
    return ""


class Walk:
    """All vectors and what they expect."""

    def __init__(self) -> None:
        self.vectors = read_lines("vectors.jsonl.gz")
        self.events = read_lines("events.jsonl.gz")
        self.by_id = {vector["id"]: vector for vector in self.vectors}
        self.grammars = Grammar()

    def expected(self, vector: dict[str, Any]) -> list[list[str]] | None:
        """The document a vector stands for; one with an x at the end of its number has its neighbour's."""
        line = vector["events"]
        if line is None and vector["id"].endswith("x"):
            line = self.by_id[vector["id"][:-1]]["events"]
        return None if line is None else normal(self.events[line])

    def check_decoding(self, vector: dict[str, Any]) -> str:
        """What is wrong with our decoding of a vector's bytes, "" if nothing."""
        expected = self.expected(vector)
        try:
            options = options_of(vector)
            data = bytes.fromhex(vector["exi"])
            events = decode_events(data, self.grammars.of(vector["schema"]), options)
        except exi.EXIError as error:
            return f"{type(error).__name__}: {error}"
        return "" if expected is None else difference(normal(events), expected)

    def check_encoding(self, vector: dict[str, Any]) -> str:
        """What is wrong with our encoding of a vector's document, "" if nothing."""
        grammars, options = self.grammars.of(vector["schema"]), options_of(vector)
        document = (SHARED / vector["doc"]).read_bytes()
        try:
            data = exi.from_xml(document, grammars, options)
        except exi.EncodeError as error:
            # Where the other codec refuses, too, refusing is right.
            return "" if vector["exi"] is None else f"EncodeError: {error}"
        if data.hex() == vector["exi"]:
            return ""
        if vector.get("nagasena") == "identical" and options.alignment != "compression":
            return "two codecs agree on other bytes"
        expected = self.expected(vector)
        try:
            events = decode_events(data, grammars, options)
        except exi.EXIError as error:
            return f"our own bytes do not decode: {error}"
        return "" if expected is None else difference(normal(events), expected)
