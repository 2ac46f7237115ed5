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


class Scope:
    """The namespace declarations in scope of an element: prefix → URI, and URI → a prefix that may stand for it."""

    def __init__(self, prefixes: dict[str, str], uris: dict[str, str], made: int) -> None:
        self.prefixes = prefixes
        self.uris = uris  # non-empty prefixes only; one that was declared anew since then no longer counts
        self.made = made  # number of the last prefix made up

    def inner(self) -> Scope:
        """A copy for an element that declares something."""
        return Scope(self.prefixes.copy(), self.uris.copy(), self.made)

    def declare(self, prefix: str, uri: str) -> None:
        """Let a prefix stand for a URI."""
        self.prefixes[prefix] = uri
        if prefix:
            self.uris[uri] = prefix

    def find(self, uri: str) -> str:
        """A prefix of a URI; the empty string if it has none."""
        prefix = self.uris.get(uri, "")
        return prefix if self.prefixes.get(prefix) == uri else ""

    def make_up(self) -> str:
        """A prefix that is not in scope."""
        while True:
            self.made += 1
            prefix = f"ns{self.made}"
            if prefix not in self.prefixes:
                return prefix


class XmlSink(Sink):
    """Writes XML text; a start tag is held back until its attributes are complete."""

    def __init__(self, most_prefixes: int = 1_000) -> None:
        super().__init__()
        self.most_prefixes = most_prefixes
        self.parts: list[str] = []
        self.scopes = [Scope({"": "", "xml": XML_URI}, {XML_URI: "xml"}, 0)]
        self.scope = self.scopes[0]
        self.own_scope = False  # `scope` belongs to the element being written, and not to its parent
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
        if prefix in ("xml", "xmlns") or uri == XML_URI or (prefix and not uri):
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
        self.scope = self.scopes[-1]
        self.own_scope = False
        added: dict[str, str] = {}
        for prefix, uri in self.declared.items():
            self.declare(prefix, uri, added)
        name = self.element_name(element, added)
        written: list[str] = []
        if self.type_name is not None:
            value, value_prefix = self.type_name
            wanted = self.prefix_for(value.uri, value_prefix, added, True)
            text = f"{wanted}:{value.local}" if wanted else value.local
            xsi = self.prefix_for(XSI_URI, "xsi", added, False)
            written.append(f'{xsi}:type="{escape(text, _VALUE_ESCAPES)}"')
        for qname, text, prefix in self.attributes:
            wanted = self.prefix_for(qname.uri, prefix, added, False) if qname.uri else ""
            key = f"{wanted}:{qname.local}" if wanted else qname.local
            written.append(f'{key}="{escape(text, _VALUE_ESCAPES)}"')
        spelled = [
            f'xmlns:{prefix}="{escape(uri, _VALUE_ESCAPES)}"'
            if prefix
            else f'xmlns="{escape(uri, _VALUE_ESCAPES)}"'
            for prefix, uri in added.items()
        ]
        self.parts.append("<" + " ".join([name, *spelled, *written]) + close)
        self.scopes.append(self.scope)
        self.names.append(name)

    def declare(self, prefix: str, uri: str, added: dict[str, str]) -> None:
        """Add a declaration to the start tag being written."""
        if not self.own_scope:
            self.scope = self.scope.inner()
            self.own_scope = True
        self.scope.declare(prefix, uri)
        added[prefix] = uri
        if len(self.scope.prefixes) > self.most_prefixes:
            raise LimitError(f"more than {self.most_prefixes} declarations in scope")

    def element_name(self, element: QName, added: dict[str, str]) -> str:
        """The tag as written, its namespace declared."""
        prefix, uri = self.prefix, element.uri
        if self.scope.prefixes.get(prefix) != uri or (prefix and not uri):
            if prefix in self.declared or (prefix and not uri):
                prefix = self.prefix_for(uri, "", added, True) if uri else ""
            if self.scope.prefixes.get(prefix) != uri:
                self.declare(prefix, uri, added)
        return f"{prefix}:{element.local}" if prefix else element.local

    def prefix_for(self, uri: str, wish: str, added: dict[str, str], default: bool) -> str:
        """A prefix in scope for a URI, declared if need be; "" only where the default may stand for it."""
        prefixes = self.scope.prefixes
        if (wish or default) and prefixes.get(wish) == uri:
            return wish
        if default and prefixes.get("") == uri:
            return ""
        found = self.scope.find(uri)
        if found or not uri:
            return found
        prefix = wish or ("xsi" if uri == XSI_URI else "")
        if not prefix or prefix in prefixes:
            prefix = self.scope.make_up()
        self.declare(prefix, uri, added)
        return prefix
