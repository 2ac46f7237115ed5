"""XML text → events of a `BodyEncoder`, by expat. External entities are never fetched.

Namespaces are resolved here and not by expat, because preserve.prefixes wants to see the declarations.
Character data is gathered until the next event that is carried: a comment that is not preserved does not
split a text.
"""

from __future__ import annotations

import re
from typing import Any, Final
from xml.parsers import expat

from .encoder import BodyEncoder
from .errors import EncodeError
from .names import XML_URI, XSI_TYPE, clark, is_name

_DECLARATION: Final = re.compile(rb"^(?:\xef\xbb\xbf)?\s*<\?xml\s[^>]*\?>")
_XML_SPACE: Final = f"{{{XML_URI}}}space"


def encode_xml(encoder: BodyEncoder, data: bytes, fragment: bool) -> None:
    """SD … ED of a document, or of a fragment with any number of roots."""
    reader = XmlReader(encoder, fragment)
    if fragment:
        declaration = _DECLARATION.match(data)
        cut = declaration.end() if declaration else 0
        data = data[:cut] + b"<fragment>" + data[cut:] + b"</fragment>"
    reader.parse(data)
    encoder.end_document()


def checked_declarations(declared: list[tuple[str, str]]) -> dict[str, str]:
    """The namespace declarations of a start tag, if Namespaces in XML allows them."""
    for prefix, uri in declared:
        if (prefix and (not uri or ":" in prefix)) or prefix == "xmlns" or (prefix == "xml") != (uri == XML_URI):
            raise EncodeError(f"the prefix {prefix[:40]!r} cannot stand for the namespace {uri[:80]!r}")
    return dict(declared)


class XmlReader:
    """Expat's handlers for one document."""

    def __init__(self, encoder: BodyEncoder, fragment: bool) -> None:
        self.encoder = encoder
        self.preserve = encoder.options.preserve
        self.most_prefixes = encoder.options.limits.prefixes
        self.scopes: list[dict[str, str]] = [{"": "", "xml": XML_URI}]
        self.pending: list[str] = []
        self.wrapped = fragment  # the outermost element is ours and carries nothing
        self.depth = 0
        self.doctype: list[str] | None = None  # pieces of the internal subset while inside it
        self.doctype_ids = ("", "", "")

    def parse(self, data: bytes) -> None:
        """Feed the text; every error of the text is an `EncodeError`."""
        parser = expat.ParserCreate()
        parser.ordered_attributes = True
        parser.buffer_text = True
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.pending.append
        parser.CommentHandler = self.comment
        parser.ProcessingInstructionHandler = self.instruction
        parser.StartDoctypeDeclHandler = self.start_doctype
        parser.EndDoctypeDeclHandler = self.end_doctype
        if "dtd" in self.preserve:
            parser.DefaultHandler = self.other  # also keeps entity references as they are
            parser.SkippedEntityHandler = self.skipped
        try:
            parser.Parse(data, True)
        except (expat.ExpatError, LookupError, ValueError) as error:
            # The last two come from an XML declaration whose encoding is unknown or cannot be read.
            raise EncodeError(f"the text is not well-formed XML: {error}") from None

    # --- elements -------------------------------------------------------------------------------------------

    def start(self, name: str, flat: list[str]) -> None:
        """A start tag: SE, NS, then the attributes."""
        self.depth += 1
        if self.wrapped and self.depth == 1:
            return
        self.flush(False)
        scope = self.scopes[-1]
        declared: list[tuple[str, str]] = []
        plain: list[tuple[str, str]] = []
        for index in range(0, len(flat), 2):
            key, value = flat[index], flat[index + 1]
            if key == "xmlns":
                declared.append(("", value))
            elif key.startswith("xmlns:") and len(key) > 6:
                declared.append((key[6:], value))
            else:
                plain.append((key, value))
        if declared:
            scope = {**scope, **checked_declarations(declared)}
            if len(scope) > self.most_prefixes:
                raise EncodeError(f"more than {self.most_prefixes} namespace declarations in scope")
        self.scopes.append(scope)
        prefix, tag = self.resolve(name, scope, True)
        encoder = self.encoder
        encoder.start_element(tag, prefix)
        if encoder.self_contained:
            encoder.self_contain(tag, prefix)
        for declared_prefix, uri in declared:
            encoder.namespace(declared_prefix, uri, declared_prefix == prefix)
        self.attributes(plain, scope)

    def attributes(self, plain: list[tuple[str, str]], scope: dict[str, str]) -> None:
        """The attributes of a start tag, xsi:type first."""
        encoder = self.encoder
        values: dict[str, str] = {}
        prefixes: dict[str, str] = {}
        for key, value in plain:
            prefix, tag = self.resolve(key, scope, False)
            prefixes[tag] = prefix
            if tag == XSI_TYPE:
                value_prefix, _, local = value.strip().rpartition(":")
                uri = scope.get(value_prefix)
                if uri is None:
                    uri, local = "", value  # names no type; kept as it is
                encoder.xsi_type(uri, local, prefix, value_prefix, value)
            elif tag in values:
                raise EncodeError(f"the text is not well-formed XML: the attribute {tag} comes twice")
            else:
                values[tag] = value
        if values:
            encoder.attributes(values, prefixes)
        if _XML_SPACE in values:
            encoder.space_matters(values[_XML_SPACE] == "preserve" or encoder.view.lexical)

    def resolve(self, name: str, scope: dict[str, str], element: bool) -> tuple[str, str]:
        """(prefix, name in ElementTree's spelling)."""
        prefix, colon, local = name.partition(":")
        if not colon:
            return "", clark(scope[""], name) if element else name
        if not prefix or not is_name(local) or ":" in local:
            raise EncodeError(f"{name[:40]!r} is no name with a prefix")
        uri = scope.get(prefix)
        if uri is None:
            raise EncodeError(f"the prefix of {name} is not declared")
        return prefix, clark(uri, local)

    def end(self, name: str) -> None:
        """An end tag."""
        self.depth -= 1
        if self.wrapped and self.depth == 0:
            return
        self.flush(True)
        self.encoder.end_element()
        self.scopes.pop()

    def flush(self, before_end: bool) -> None:
        """Write the text gathered so far."""
        if self.pending:
            text = "".join(self.pending)
            self.pending.clear()
            if self.encoder.qname is not None:
                self.encoder.text(text, before_end)

    # --- the rest -------------------------------------------------------------------------------------------

    def comment(self, text: str) -> None:
        if self.doctype is not None:
            self.doctype.append(f"<!--{text}-->")
        elif "comments" in self.preserve:
            self.flush(True)
            self.encoder.comment(text)

    def instruction(self, target: str, data: str) -> None:
        if self.doctype is not None:
            self.doctype.append(f"<?{target} {data}?>")
        elif "pis" in self.preserve:
            self.flush(True)
            self.encoder.instruction(target, data)

    def start_doctype(self, name: str, system: str | None, public: str | None, internal: Any) -> None:
        self.doctype = []
        self.doctype_ids = (name, public or "", system or "")

    def end_doctype(self) -> None:
        parts, self.doctype = self.doctype or [], None
        if "dtd" in self.preserve:
            text = "".join(parts).strip()
            name, public, system = self.doctype_ids
            self.encoder.doctype(name, public, system, text.removeprefix("[").removesuffix("]"))

    def other(self, data: str) -> None:
        """Markup that has no handler: the internal subset, and references to entities."""
        if self.doctype is not None:
            self.doctype.append(data)
        elif data.startswith("&") and data.endswith(";"):
            self.skipped(data[1:-1], False)

    def skipped(self, name: str, parameter: Any) -> None:
        """A reference to an entity that is not expanded."""
        if not parameter:
            self.flush(False)
            self.encoder.entity(name)
