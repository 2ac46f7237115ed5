"""XSD files → `model.Schema`, through the library xmlschema: the only file that knows it.

The library is imported when schemas are loaded and not before; a hub that has a grammar file does without.
Nothing is fetched from a network and no external entity is read. Ambiguous content models are accepted, every
other error of a schema is a `SchemaError`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from .builtins import ANY_SIMPLE_TYPE, ANY_TYPE, INTEGER_BOUNDS, XSD, builtin_types, integer_datatype
from .charset import restricted_set
from .compiler import Compiler, xsd_types
from .datatypes import (
    BOOLEAN,
    BOOLEAN_LEXICAL,
    CHARSET,
    COLLAPSE,
    ENUM,
    INTEGER,
    LIST,
    N_BIT,
    PRESERVE,
    REPLACE,  # fmt: skip
    STRING,
    UNSIGNED,
    Datatype,
)
from .errors import SchemaError
from .grammars import Grammars
from .model import Attribute, Element, Group, Particle, Schema, Type, Wildcard
from .names import XSD_URI, XSI_URI, split_clark

BOUND_FACETS: Final = (("minInclusive", 0), ("minExclusive", 1), ("maxInclusive", 0), ("maxExclusive", -1))
BUILTIN: Final = frozenset(builtin_types())
WHITESPACE: Final = {"preserve": PRESERVE, "replace": REPLACE, "collapse": COLLAPSE}


def load_schemas(paths: Iterable[str | Path]) -> Grammars:
    """The grammars of one closed schema set: these files and all they import, include or redefine.

    Without any path: the built-in XSD types only (schemaId present and empty).
    """
    files = [Path(path) for path in paths]
    return Compiler(read_schemas(files)).compile() if files else xsd_types()


def schema_of_schemas() -> Grammars:
    """The grammars of http://www.w3.org/2001/XMLSchema.xsd, the schema that schemas are written in: the library has
    a copy."""
    try:
        import xmlschema
    except ImportError as error:
        raise SchemaError("reading XSD files needs the library xmlschema; grammar files do not") from error
    root: Any = xmlschema.XMLSchema10.meta_schema
    root.maps.build()
    return Compiler(Reader(root, of_schemas=True).read()).compile()


def read_schemas(paths: Sequence[Path]) -> Schema:
    """The model of one closed schema set."""
    try:
        import xmlschema
    except ImportError as error:
        raise SchemaError("reading XSD files needs the library xmlschema; grammar files do not") from error
    try:
        with warnings.catch_warnings():
            # A part that is missing would change every event code: both ends need the closed set.
            warnings.simplefilter("error")
            root = build(xmlschema, paths)
    except (
        xmlschema.XMLSchemaException, Warning, OSError, ValueError, TypeError, KeyError, RecursionError,
    ) as error:  # fmt: skip
        raise SchemaError(f"the schemas cannot be read: {error}") from error
    for problem in root.maps.all_errors if hasattr(root.maps, "all_errors") else root.all_errors:
        if not isinstance(problem, xmlschema.XMLSchemaModelError):
            raise SchemaError(f"the schemas are not valid: {problem}")
    try:
        return Reader(root).read()
    except RecursionError as error:
        raise SchemaError("the schemas are nested too deeply") from error


def build(library: Any, paths: Sequence[Path]) -> Any:
    """The library's schema object for these files."""
    settings = {"validation": "lax", "allow": "local", "defuse": "always"}
    root = library.XMLSchema10(str(paths[0]), **settings)
    for path in paths[1:]:
        root.add_schema(str(path), build=True)
    return root


class Reader:
    """Turns the library's components into the model's, each once. `of_schemas`: those of XML Schema itself, which are
    otherwise no part of a set."""

    def __init__(self, root: Any, of_schemas: bool = False) -> None:
        self.maps = root.maps
        self.foreign = {XSI_URI} if of_schemas else {XSD_URI, XSI_URI}
        self.schemas = [
            schema
            for schema in self.maps.iter_schemas()
            if (schema.target_namespace not in self.foreign if of_schemas else schema.meta_schema is not None)
        ]
        self.types: dict[object, Type] = {}
        self.elements: dict[object, Element] = {}
        self.datatypes: dict[object, Datatype] = {}
        self.members = transitive_members(self.maps.substitution_groups)
        self.builtin = builtin_types()
        self.any_type = self.builtin[ANY_TYPE]
        self.any_simple_type = self.builtin[ANY_SIMPLE_TYPE]

    def read(self) -> Schema:
        """Everything that the schemas declare globally."""
        schema = Schema()
        schema.uris = {each.target_namespace for each in self.schemas}
        wanted = schema.uris - self.foreign
        for name, element in self.maps.elements.items():
            if uri_of(name) in wanted:
                schema.elements.append(self.element(element))
        for name, attribute in self.maps.attributes.items():
            if uri_of(name) in wanted:
                schema.attributes.append(Attribute(name, self.type(attribute.type)))
        schema.types.extend(self.builtin.values())
        for name, type_ in self.maps.types.items():
            if uri_of(name) in wanted and name not in self.builtin:
                schema.types.append(self.type(type_))
        return schema

    # --- declarations ---------------------------------------------------------------------------------------

    def element(self, declaration: Any) -> Element:
        """An element declaration; copies that the library makes in derived types count as one."""
        if declaration.ref is not None:
            declaration = declaration.ref
        key = (id(declaration.elem), declaration.name)
        known = self.elements.get(key)
        if known is None:
            known = self.elements[key] = Element(declaration.name, self.any_type, declaration.nillable)
            known.type = self.type(declaration.type)
            if declaration.parent is None:
                known.members = [self.element(each) for each in self.members.get(declaration.name, ())]
        return known

    def type(self, source: Any) -> Type:
        """A type definition."""
        if source.name in self.builtin:
            return self.builtin[source.name]
        known = self.types.get(id(source))
        if known is None:
            known = self.types[id(source)] = Type(source.name)
            self.fill_type(known, source)
        return known

    def fill_type(self, type_: Type, source: Any) -> None:
        """The properties of a type definition."""
        if source.is_simple():
            type_.simple = True
            type_.base = self.any_simple_type if source.base_type is None else self.type(source.base_type)
            type_.datatype = self.datatype(source)
            type_.union = source.is_union()
            return
        type_.base = self.any_type if source.base_type is None else self.type(source.base_type)
        if not hasattr(source.content, "model"):  # the library calls content that only admits "" not simple
            type_.datatype = self.datatype(source.content)
        else:
            type_.mixed = source.mixed
            group = self.particle(source.content)
            type_.particle = None if empty(group) else group
        for name, attribute in source.attributes.items():
            if name is None:
                type_.wildcard = wildcard(attribute)
            elif attribute.use != "prohibited":
                required = attribute.use == "required"
                type_.attributes.append(Attribute(name, self.type(attribute.type), required))

    def particle(self, source: Any) -> Particle:
        """A particle with its term."""
        term: Element | Wildcard | Group
        if hasattr(source, "model"):
            group = source.ref if source.ref is not None and not len(source) else source
            term = Group(group.model, [self.particle(each) for each in group])
        elif hasattr(source, "process_contents"):
            term = wildcard(source)
        else:
            term = self.element(source)
        return Particle(term, source.min_occurs, source.max_occurs)

    # --- datatypes ------------------------------------------------------------------------------------------

    def datatype(self, source: Any) -> Datatype:
        """The representation of a simple type (table 7-1)."""
        if source.name in self.builtin:
            builtin = self.builtin[source.name].datatype
            assert builtin is not None
            return builtin
        known = self.datatypes.get(id(source))
        if known is None:
            known = self.datatypes[id(source)] = self.make_datatype(source)
            known.whitespace = WHITESPACE.get(source.white_space or "preserve", PRESERVE)
        return known

    def make_datatype(self, source: Any) -> Datatype:
        """The representation of a simple type, before its whiteSpace facet."""
        line = derivation(source)
        names = tuple(each.name for each in line if each.name)
        if source.is_union():
            # Also enumerated unions (7.2): their values are strings.
            datatype = Datatype(STRING, names)
            datatype.union = True
            return datatype
        if source.is_list():
            return self.list_datatype(source, names)
        primitive = next((each.name for each in reversed(line) if each.name), "").removeprefix(XSD)
        for each in line:
            values = enumeration(each)
            if values and primitive not in ("QName", "NOTATION"):
                plain = next(base for base in line[line.index(each) :] if not enumeration(base))
                # Only types with enumerated values count when a representation is looked for (7.4).
                last = max(index for index, base in enumerate(line) if enumeration(base))
                datatype = Datatype(ENUM, tuple(base.name for base in line[: last + 1] if base.name))
                datatype.set_values(values, self.datatype(plain))
                return datatype
        builtin = next((self.datatype(each) for each in line if is_builtin(each)), Datatype(STRING))
        return atomic_datatype(builtin, line, names)

    def list_datatype(self, source: Any, names: tuple[str, ...]) -> Datatype:
        """A list of items; enumerated lists are lists, too (7.2)."""
        datatype = Datatype(LIST, names)
        while not hasattr(source, "item_type"):
            source = source.base_type
        datatype.item = self.datatype(source.item_type)
        return datatype


def atomic_datatype(base: Datatype, line: list[Any], names: tuple[str, ...]) -> Datatype:
    """The representation of an atomic type without enumeration, from that of its built-in ancestor."""
    kind = int(base.kind)
    if kind in (N_BIT, UNSIGNED, INTEGER):
        return bounded_integer(line, names)
    patterns = own_patterns(line)
    if kind == BOOLEAN and patterns:
        return Datatype(BOOLEAN_LEXICAL, names)
    if kind == STRING and patterns:
        characters = restricted_set(patterns)
        if characters is not None:
            restricted = Datatype(CHARSET, names)
            restricted.set_characters(characters)
            return restricted
    datatype = Datatype(kind, names)
    datatype.date_kind = base.date_kind
    return datatype


def bounded_integer(line: list[Any], names: tuple[str, ...]) -> Datatype:
    """An integer by the bounds of its whole derivation."""
    bounds: tuple[list[int], list[int]] = ([], [])
    for each in line:
        if is_builtin(each):
            low, high = INTEGER_BOUNDS.get(each.name.removeprefix(XSD), (None, None))
            bounds[0].extend([] if low is None else [low])
            bounds[1].extend([] if high is None else [high])
            continue
        for facet, shift in BOUND_FACETS:
            found = each.facets.get(XSD + facet)
            if found is not None:
                bounds[0 if facet.startswith("min") else 1].append(int(found.value) + shift)
    return integer_datatype(max(bounds[0], default=None), min(bounds[1], default=None), names)


def is_builtin(source: Any) -> bool:
    """Whether a type is one of XML Schema's own that every schema has."""
    return source.name in BUILTIN


def derivation(source: Any) -> list[Any]:
    """A simple type and its bases, the type itself first."""
    line = []
    while source is not None and source.name not in (ANY_SIMPLE_TYPE, ANY_TYPE, f"{XSD}anyAtomicType"):
        line.append(source)
        source = source.base_type
    return line


def enumeration(source: Any) -> list[str]:
    """The enumerated values that this derivation step adds, as the schema spells them."""
    if source.elem is None or is_builtin(source):
        return []
    return [each.get("value", "") for each in restriction_children(source.elem, "enumeration")]


def own_patterns(line: list[Any]) -> list[str]:
    """The patterns of the most derived step that has any, if that is not a built-in type's."""
    for each in line:
        if is_builtin(each):
            return []
        if each.elem is not None:
            patterns = [child.get("value", "") for child in restriction_children(each.elem, "pattern")]
            if patterns:
                return patterns
    return []


def restriction_children(elem: Any, local: str) -> list[Any]:
    """The facets with this name in a simpleType or restriction element."""
    restriction = elem if elem.tag == f"{XSD}restriction" else elem.find(f"{XSD}restriction")
    if restriction is None:
        content = elem.find(f"{XSD}simpleContent")
        restriction = None if content is None else content.find(f"{XSD}restriction")
    return [] if restriction is None else list(restriction.findall(XSD + local))


def wildcard(source: Any) -> Wildcard:
    """An element or attribute wildcard."""
    spaces = set(source.namespace)
    if "##any" in spaces or "##other" in spaces:
        return Wildcard()
    return Wildcard(tuple(sorted(spaces)))


def empty(particle: Particle) -> bool:
    """Whether a content model admits nothing at all."""
    term = particle.term
    return particle.most == 0 or (isinstance(term, Group) and all(empty(each) for each in term.particles))


def transitive_members(groups: Any) -> dict[str, list[Any]]:
    """Head name → all declarations that may stand for it, however many steps away."""
    found: dict[str, list[Any]] = {}
    for head in groups:
        queue, seen = [head], {head}
        while queue:
            for member in groups.get(queue.pop(), ()):
                if member.name not in seen:
                    seen.add(member.name)
                    queue.append(member.name)
                    found.setdefault(head, []).append(member)
    return found


def uri_of(name: str) -> str:
    """The namespace of a name in ElementTree's spelling."""
    return split_clark(name)[0]
