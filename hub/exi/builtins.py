"""The 46 built-in types of XML Schema part 2 as model types, with the representations of table 7-1."""

from __future__ import annotations

from typing import Final

from .datatypes import (
    BASE64,
    BOOLEAN,
    COLLAPSE,
    DATES,
    DECIMAL,
    FLOAT,
    HEX,
    INTEGER,
    LIST,
    N_BIT,
    PRESERVE,
    REPLACE,
    STRING,  # fmt: skip
    UNSIGNED,
    Datatype,
)
from .model import Particle, Type, Wildcard
from .names import XSD_URI

XSD: Final = f"{{{XSD_URI}}}"
ANY_TYPE: Final = f"{XSD}anyType"
ANY_SIMPLE_TYPE: Final = f"{XSD}anySimpleType"

DATE_KINDS: Final = ("dateTime", "time", "date", "gYearMonth", "gYear", "gMonthDay", "gDay", "gMonth")
N_BIT_VALUES: Final = 4096  # the largest range that is coded as an offset (7.1.9)

_KINDS: Final = {
    "base64Binary": BASE64,
    "hexBinary": HEX,
    "boolean": BOOLEAN,
    "decimal": DECIMAL,
    "double": FLOAT,
    "float": FLOAT,
    "integer": INTEGER,
    **dict.fromkeys(DATE_KINDS, DATES),
}
_LISTS: Final = {"NMTOKENS": "NMTOKEN", "IDREFS": "IDREF", "ENTITIES": "ENTITY"}

# Type and base, bases first; a type without base here derives from anySimpleType.
_BASES: Final = {
    **dict.fromkeys(
        (
            "string",
            "boolean",
            "decimal",
            "float",
            "double",
            "duration",
            *DATE_KINDS,
            "hexBinary",
            "base64Binary",
            "anyURI",
            "QName",
            "NOTATION",
        ),
        "anySimpleType",
    ),
    "normalizedString": "string",
    "token": "normalizedString",
    "language": "token",
    "NMTOKEN": "token",
    "Name": "token",
    "NCName": "Name",
    "ID": "NCName",
    "IDREF": "NCName",
    "ENTITY": "NCName",
    "NMTOKENS": "anySimpleType",
    "IDREFS": "anySimpleType",
    "ENTITIES": "anySimpleType",
    "integer": "decimal",
    "nonPositiveInteger": "integer",
    "negativeInteger": "nonPositiveInteger",
    "long": "integer",
    "int": "long",
    "short": "int",
    "byte": "short",
    "nonNegativeInteger": "integer",
    "positiveInteger": "nonNegativeInteger",
    "unsignedLong": "nonNegativeInteger",
    "unsignedInt": "unsignedLong",
    "unsignedShort": "unsignedInt",
    "unsignedByte": "unsignedShort",
}

INTEGER_BOUNDS: Final[dict[str, tuple[int | None, int | None]]] = {
    "nonNegativeInteger": (0, None),
    "positiveInteger": (1, None),
    "nonPositiveInteger": (None, 0),
    "negativeInteger": (None, -1),
    "long": (-(2**63), 2**63 - 1),
    "int": (-(2**31), 2**31 - 1),
    "short": (-(2**15), 2**15 - 1),
    "byte": (-(2**7), 2**7 - 1),
    "unsignedLong": (0, 2**64 - 1),
    "unsignedInt": (0, 2**32 - 1),
    "unsignedShort": (0, 2**16 - 1),
    "unsignedByte": (0, 2**8 - 1),
}


def builtin_types() -> dict[str, Type]:
    """All built-in types by name, newly made."""
    any_type = Type(ANY_TYPE, mixed=True, particle=Particle(Wildcard(), 0, None), wildcard=Wildcard())
    any_simple = Type(ANY_SIMPLE_TYPE, any_type, Datatype(STRING, (ANY_SIMPLE_TYPE,)), simple=True)
    types = {ANY_TYPE: any_type, ANY_SIMPLE_TYPE: any_simple}
    for local, base_local in _BASES.items():
        base = types[XSD + base_local]
        names = _chain(local)
        datatype = _datatype(local, names, types)
        types[XSD + local] = Type(XSD + local, base, datatype, simple=True)
    for local, facet in (("anySimpleType", PRESERVE), ("string", PRESERVE), ("normalizedString", REPLACE)):
        declared = types[XSD + local].datatype
        assert declared is not None
        declared.whitespace = facet
    return types


def _chain(local: str) -> tuple[str, ...]:
    """The names of a type and its bases below anySimpleType."""
    names = []
    while local != "anySimpleType":
        names.append(XSD + local)
        local = _BASES[local]
    return tuple(names)


def _datatype(local: str, names: tuple[str, ...], types: dict[str, Type]) -> Datatype:
    """The representation of one built-in type."""
    if local in _LISTS:
        datatype = Datatype(LIST, names)
        datatype.item = types[XSD + _LISTS[local]].datatype
        return datatype
    locals_ = [name.removeprefix(XSD) for name in names]
    kind = next((_KINDS[each] for each in locals_ if each in _KINDS), STRING)
    if kind == INTEGER:
        bounds = [INTEGER_BOUNDS[each] for each in locals_ if each in INTEGER_BOUNDS]
        lows = [low for low, _ in bounds if low is not None]
        highs = [high for _, high in bounds if high is not None]
        return integer_datatype(max(lows, default=None), min(highs, default=None), names)
    datatype = Datatype(kind, names)
    if kind == DATES:
        datatype.date_kind = DATE_KINDS.index(local)
    datatype.whitespace = COLLAPSE
    return datatype


def integer_datatype(low: int | None, high: int | None, names: tuple[str, ...]) -> Datatype:
    """An integer by its bounds: offset, unsigned or signed (7.1.5, 7.1.6, 7.1.9)."""
    if low is not None and high is not None and 0 < high - low + 1 <= N_BIT_VALUES:
        datatype = Datatype(N_BIT, names)
        datatype.set_range(low, high)
        return datatype
    return Datatype(UNSIGNED if low is not None and low >= 0 else INTEGER, names)
