"""`hub exi explain`: bodies taken apart by `hub.exi.explain`, as tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

from hub import exi
from hub.cli.show import table
from hub.cli.text import printable
from hub.exi import schemas
from hub.exi.explain import ATTRIBUTE, DECLARED, DOCUMENT, END, PADDING, START, Explainer, Explanation, Part
from hub.exi.names import XML_URI, XSI_URI, split_clark

if TYPE_CHECKING:
    from rich.console import Console

LONGEST_VALUE = 22  # characters of a value that are shown
BYTES_PER_LINE = 24
PREFIXES: Final = {XML_URI: "xml:", XSI_URI: "xsi:"}

Explained = tuple[bytes, int, Explanation]
"""A body, the bytes of its XML, and its parts."""


def explained(
    sources: Sequence[bytes], bodies: bool, grammars: exi.Grammars | None, options: exi.Options, session_tables: bool
) -> list[Explained]:
    """Every stanza of the sources in their order, sent in one session. Raises EXIError.

    `bodies`: the sources hold bare bodies, otherwise XML.
    """
    grammars = grammars or schemas.grammars()
    explainer = Explainer(grammars, options, session_tables)
    found: list[Explained] = []
    encoder = exi.Encoder(grammars, options, session_tables)
    for source in sources:
        data = source if bodies else b"".join(encoder.encode(stanza) for stanza in _stanzas(source))
        while data:
            explanation = explainer.explain(data)
            found.append((data[: explanation.size], len(compact(explanation.element).encode("utf-8")), explanation))
            data = data[explanation.size :]
    if not found:
        raise exi.EncodeError("there is no stanza to explain")
    return found


def show(found: Sequence[Explained], each: bool) -> None:
    """Draw the last stanza, or each; of several, also their sizes."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    if len(found) > 1:
        sizes = [explanation.size for _, _, explanation in found]
        console.print(f"{len(found)} stanzas, {sum(sizes)} bytes; each: {_abridged(sizes)}", markup=False)
    for data, xml_size, explanation in found if each else found[-1:]:
        console.print()
        _show_one(console, data, xml_size, explanation)


def _show_one(console: Console, data: bytes, xml_size: int, explanation: Explanation) -> None:
    from rich.text import Text

    console.print(printable(compact(explanation.element)), markup=False)
    for start in range(0, len(data), BYTES_PER_LINE):
        console.print(data[start : start + BYTES_PER_LINE].hex(" "), style="dim", markup=False)
    drawn = table("part", "content", "code", "name", "data", "bits", "how")
    for column in drawn.columns[2:6]:
        column.justify, column.no_wrap = "right", True
    for part in explanation.parts:
        cells = (_what(part), _content(part), *map(_bits, (part.code_bits, part.name_bits, part.value_bits)))
        drawn.add_row(*(Text(cell) for cell in (*cells, str(part.bits), "" if part.how == DECLARED else part.how)))
    code, name, value = explanation.total()
    drawn.add_row("sum", "", *map(str, (code, name, value, code + name + value)), "")
    console.print(drawn)
    share = f", {explanation.size / xml_size:.0%} of its XML ({xml_size} bytes)"
    console.print(f"{explanation.size} byte{'s' * (explanation.size > 1)}{share}", markup=False)


def _stanzas(source: bytes) -> Iterator[ET.Element]:
    """The elements of a text that holds several, one after the other; one root with the name `stanzas` is a shell."""
    text = source.lstrip()
    if text.startswith(b"<?xml"):
        text = text[text.find(b"?>") + 2 :]
    try:
        shell = ET.fromstring(b"<stanzas>" + text + b"</stanzas>")
    except ET.ParseError as error:
        raise exi.EncodeError(f"this is no XML: {error}") from None
    if len(shell) == 1 and shell[0].tag == "stanzas":
        shell = shell[0]
    if (shell.text or "").strip() or any((stanza.tail or "").strip() for stanza in shell):
        raise exi.EncodeError("between stanzas there is nothing but white space")
    return iter(shell)


def compact(element: ET.Element, outside: str = "") -> str:
    """The XML as XMPP writes it: no prefixes, a namespace where it changes."""
    namespace, local = split_clark(element.tag)
    attributes = [] if namespace == outside else [f" xmlns={quoteattr(namespace)}"]
    for tag, value in element.attrib.items():
        uri, name = split_clark(tag)
        attributes.append(f" {PREFIXES.get(uri, '')}{name}={quoteattr(value)}")
    inside = "".join(compact(child, namespace) + escape(child.tail or "") for child in element)
    content = escape(element.text or "") + inside
    start = f"<{local}{''.join(attributes)}"
    return f"{start}>{content}</{local}>" if content else f"{start}/>"


def _what(part: Part) -> str:
    local = printable(part.name.rpartition("}")[2])
    shown = {START: f"<{local}>", END: f"</{local}>", ATTRIBUTE: f" {local}", DOCUMENT: "end", PADDING: "padding"}
    return " " * part.depth + shown.get(part.kind, f" {part.kind}")


def _content(part: Part) -> str:
    text = printable(part.value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def _bits(count: int) -> str:
    return str(count) if count else ""


def _abridged(sizes: Sequence[int]) -> str:
    """The first sizes and the last."""
    words = [str(size) for size in sizes]
    return " ".join(words if len(words) <= 16 else [*words[:8], "…", *words[-4:]])
