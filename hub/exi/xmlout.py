"""Events → XML text: `XmlSink` writes what a `BodyDecoder` reads.

Where prefixes were preserved they come back; elsewhere elements use default namespaces and attributes use
declared or made-up prefixes (ns1, ns2, …; xsi for the schema instance namespace).
"""

from __future__ import annotations

from xml.parsers import expat
from xml.sax.saxutils import escape

from .errors import DecodeError, LimitError
from .names import XML_URI, XSI_TYPE, XSI_URI, QName
from .sinks import GHOST_TYPE, Sink

_TEXT_ESCAPES = {"\r": "&#13;"}
_VALUE_ESCAPES = {'"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}


def is_doctype(text: str) -> bool:
    """Whether a text is one document type declaration and nothing that hides behind it."""
    elements: list[str] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, attributes: elements.append(name)
    try:
        parser.Parse(text + "<root/>", True)
    except expat.ExpatError:
        return False
    return elements == ["root"]


class XmlSink(Sink):
    """Writes XML text; a start tag is held back until its attributes are complete."""

    def __init__(self, most_prefixes: int = 1_000) -> None:
        super().__init__()
        self.most_prefixes = most_prefixes
        self.parts: list[str] = []
        self.scopes: list[dict[str, str]] = [{"": "", "xml": XML_URI}]
        self.names: list[str] = []  # tags of the open elements, as written
        self.element: QName | None = None  # whose start tag is held back
        self.prefix = ""
        self.declared: dict[str, str] = {}
        self.attributes: list[tuple[QName, str, str]] = []
        self.seen: set[str] = set()
        self.type_name: tuple[QName, str] | None = None

    def result(self) -> bytes:
        """The document."""
        return "".join(self.parts).encode("utf-8")

    # --- events ---------------------------------------------------------------------------------------------

    def start(self, qname: QName, prefix: str) -> None:
        self.flush()
        self.element = qname
        self.prefix = prefix
        self.declared = {}
        self.attributes = []
        self.seen = set()
        self.type_name = None

    def namespace(self, prefix: str, uri: str, of_element: bool) -> None:
        if prefix in ("xml", "xmlns") or (prefix and not uri):
            return  # nothing to declare, or nothing that may be declared
        self.declared[prefix] = uri
        if of_element:
            self.prefix = prefix

    def attribute(self, qname: QName, value: str, prefix: str) -> None:
        if qname.tag in self.seen:
            raise DecodeError(f"the attribute {qname.tag} comes twice")
        self.seen.add(qname.tag)
        self.attributes.append((qname, value, prefix))

    def type_attribute(self, value: QName, prefix: str, value_prefix: str) -> None:
        if self.strip_ghosts and value.tag == GHOST_TYPE:
            return
        if XSI_TYPE in self.seen:
            raise DecodeError("xsi:type comes twice")
        self.seen.add(XSI_TYPE)
        self.type_name = (value, value_prefix)

    def text(self, value: str) -> None:
        self.flush()
        self.parts.append(escape(value, _TEXT_ESCAPES))

    def end(self) -> None:
        if self.element is not None:
            self.flush("/>")
            self.names.pop()
        else:
            self.parts.append(f"</{self.names.pop()}>")
        self.scopes.pop()

    def comment(self, text: str) -> None:
        self.flush()
        # "--" cannot stand in a comment of XML text.
        self.parts.append(f"<!--{text.replace('--', '- -')}{' ' if text.endswith('-') else ''}-->")

    def instruction(self, target: str, data: str) -> None:
        self.flush()
        data = data.replace("?>", "? >")  # would end the instruction
        self.parts.append(f"<?{target} {data}?>" if data else f"<?{target}?>")

    def doctype(self, name: str, public: str, system: str, text: str) -> None:
        identifier = f' PUBLIC "{public}" "{system}"' if public else f' SYSTEM "{system}"' if system else ""
        subset = f" [{text}]" if text else ""
        declaration = f"<!DOCTYPE {name}{identifier}{subset}>"
        if not is_doctype(declaration):
            raise DecodeError("expected a document type that XML can spell")
        self.parts.append(declaration)

    def entity(self, name: str) -> None:
        self.flush()
        self.parts.append(f"&{name};")

    # --- start tags -----------------------------------------------------------------------------------------

    def flush(self, close: str = ">") -> None:
        """Write the start tag that was held back."""
        element = self.element
        if element is None:
            return
        self.element = None
        scope = {**self.scopes[-1], **self.declared}
        if len(scope) > self.most_prefixes:
            raise LimitError(f"more than {self.most_prefixes} declarations in scope")
        added = dict(self.declared)
        name = self.element_name(element, scope, added)
        written: list[str] = []
        if self.type_name is not None:
            value, value_prefix = self.type_name
            wanted = self.prefix_for(value.uri, value_prefix, scope, added, True)
            text = f"{wanted}:{value.local}" if wanted else value.local
            xsi = self.prefix_for(XSI_URI, "xsi", scope, added, False)
            written.append(f'{xsi}:type="{escape(text, _VALUE_ESCAPES)}"')
        for qname, text, prefix in self.attributes:
            wanted = self.prefix_for(qname.uri, prefix, scope, added, False) if qname.uri else ""
            key = f"{wanted}:{qname.local}" if wanted else qname.local
            written.append(f'{key}="{escape(text, _VALUE_ESCAPES)}"')
        spelled = [
            f'xmlns:{prefix}="{escape(uri, _VALUE_ESCAPES)}"'
            if prefix
            else f'xmlns="{escape(uri, _VALUE_ESCAPES)}"'
            for prefix, uri in added.items()
        ]
        self.parts.append("<" + " ".join([name, *spelled, *written]) + close)
        self.scopes.append(scope)
        self.names.append(name)

    def element_name(self, element: QName, scope: dict[str, str], added: dict[str, str]) -> str:
        """The tag as written, its namespace declared."""
        prefix = self.prefix
        if scope.get(prefix) != element.uri or (prefix and not element.uri):
            if prefix in self.declared or (prefix and not element.uri):
                prefix = self.prefix_for(element.uri, "", scope, added, True) if element.uri else ""
            if scope.get(prefix) != element.uri:
                scope[prefix] = added[prefix] = element.uri
        return f"{prefix}:{element.local}" if prefix else element.local

    def prefix_for(
        self, uri: str, wish: str, scope: dict[str, str], added: dict[str, str], default: bool
    ) -> str:
        """A prefix in scope for a URI, declared if need be; "" only where the default may stand for it."""
        if (wish or default) and scope.get(wish) == uri:
            return wish
        for prefix, known in scope.items():
            if known == uri and (prefix or default):
                return prefix
        if not uri:
            return ""
        prefix = wish or ("xsi" if uri == XSI_URI else "")
        number = 1
        while not prefix or prefix in scope:
            prefix = f"ns{number}"
            number += 1
        scope[prefix] = added[prefix] = uri
        return prefix
